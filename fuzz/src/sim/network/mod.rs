//! What the network does with a connection: from the first packet to the last.

mod breaks;
pub(crate) mod conn;
mod request;
mod response;
mod stream;

use std::time::Duration;

use footbridge_core::contract::event::Event;

use crate::sim::clock::Time;
use crate::sim::network::conn::{Arrival, ConnId, Parcel};
use crate::sim::party::{End, PartyId};
use crate::sim::world::{SimEvent, World};

/// After this time a system gives a connection up whose packets nobody acknowledges.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15 * 60);
/// How often a lost packet of a connection is sent again, about.
const RETRANSMISSION: Duration = Duration::from_millis(400);

impl World {
    pub(crate) fn is_cut(&self, host: crate::sim::host::HostId) -> bool {
        self.at < self.hosts[host].cut_until
    }

    /// Puts something on its way. It arrives after everything that was put there before; not at all
    /// if the connection swallows everything.
    pub(crate) fn put(&mut self, id: ConnId, end: End, arrival: Arrival, bytes: usize) {
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        if conn.is_swallowed {
            if !std::mem::replace(&mut conn.is_doomed, true) {
                self.later(UNACKNOWLEDGED, SimEvent::Unacknowledged { conn: id });
            }
            return;
        }
        let host = &self.hosts[conn.host];
        let (latency, per_kib) = (host.latency, host.per_kib);
        let cut_until = host.cut_until;
        let slowness = if host.slow_until > self.at { host.slowness } else { 1 };
        let mut arrives = self.at + self.about(latency * slowness);
        let per_kib = per_kib * slowness;
        arrives += per_kib.saturating_mul(u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
        if cut_until > self.at {
            arrives = arrives.max(cut_until + self.about(RETRANSMISSION));
        }
        if self.weather.loss > 0 && self.rng.u32(..100) < self.weather.loss {
            arrives += self.about(RETRANSMISSION);
        }
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        let lane = conn.lane(end);
        let arrives: Time = arrives.max(lane.last_arrival + Duration::from_nanos(1));
        lane.last_arrival = arrives;
        self.agenda.note(arrives, SimEvent::Arrive { conn: id, end, arrival });
    }

    pub(crate) fn arrive(&mut self, id: ConnId, end: End, arrival: Arrival) {
        self.draw(id, end, &arrival);
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        if end == End::Server {
            conn.heard_at = self.at;
        }
        let to = conn.end(end);
        match arrival {
            Arrival::Ask => self.arrive_ask(id),
            Arrival::Answer(response) => self.arrive_answer(id, response),
            Arrival::Upgraded(protocol) => self.arrive_upgraded(id, protocol.as_deref()),
            Arrival::Parcel(parcel) => self.arrive_parcel(id, end, parcel),
            Arrival::CloseAck(code) => {
                if let Some(to) = to {
                    let closed = Event::Closed { op: to.op, code: Some(code), failure: None };
                    self.tell(to, closed);
                }
                self.network.conns.remove(&id);
            }
            Arrival::Reset(kind) => {
                let was_open = end == End::Server || conn.label.starts_with("open ");
                self.network.conns.remove(&id);
                if let Some(to) = to {
                    self.broken_at(to, kind, was_open);
                }
            }
        }
    }

    fn draw(&mut self, id: ConnId, end: End, arrival: &Arrival) {
        let Some(conn) = self.network.conns.get(&id) else { return };
        let name = |party: PartyId| self.parties[party].name.as_str();
        let client = conn.client.map_or("nobody", |client| name(client.party));
        let (from, to) = match end {
            End::Server => (client, name(conn.to)),
            End::Client => (name(conn.to), client),
        };
        let label = || match arrival {
            Arrival::Ask => crate::trace::shown(&conn.label),
            Arrival::Answer(response) => response.status.to_string(),
            Arrival::Upgraded(_) => String::from("101"),
            Arrival::Parcel(Parcel::Message(message)) => crate::trace::message_words(message),
            Arrival::Parcel(Parcel::Close(code)) | Arrival::CloseAck(code) => {
                format!("close {code}")
            }
            Arrival::Reset(kind) => format!("broken: {kind}"),
        };
        self.trace.draw(from, to, label);
    }
}
