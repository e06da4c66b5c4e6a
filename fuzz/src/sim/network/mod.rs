//! What the network does with a connection, from the first packet to the last, and what each end
//! learns when it breaks.

mod body;
pub(crate) mod conn;
mod credential;
mod door;
pub(crate) mod exchange;
pub(crate) mod portal;
mod stream;

use std::collections::BTreeMap;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Answer;
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::ids::{Address, ConnId, End, Op, PartyId};
use crate::mutants::Mutant;
use crate::names::RELAY;
use crate::sim::clock::Time;
use crate::sim::cx::{Cx, failure};
use crate::sim::event::{Arrival, SimEvent};
use crate::sim::network::conn::{Conn, ConnKind, Parcel};
use crate::sim::network::door::Door;
use crate::sim::skew::Skew;

/// What the target of a stream of work has in it.
pub(crate) const WORK_STREAM: &str = "/work/stream?";

/// After this time, a system gives up a connection whose packets nobody acknowledges.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15 * 60);
/// Roughly how often a connection's lost packet is sent again.
const RETRANSMISSION: Duration = Duration::from_millis(400);

/// All connections, and what may happen to them.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    next: ConnId,
    skew: Skew,
    /// Whom the relay lets in, in a world with strangers.
    door: Option<Door>,
    /// What a broken runtime keeps for those whose body is not there.
    kept: BTreeMap<ConnId, OpId>,
}

impl Network {
    pub(crate) fn new(skew: Skew, has_strangers: bool) -> Self {
        let door = has_strangers.then(|| Door::new(ListenLimits::default()));
        Self { conns: BTreeMap::new(), next: 0, skew, door, kept: BTreeMap::new() }
    }

    /// Whether parties speak different versions of the wire.
    pub(crate) const fn has_versions(&self) -> bool {
        self.skew.is_on()
    }

    fn add(&mut self, conn: Conn) -> ConnId {
        self.next += 1;
        self.conns.insert(self.next, conn);
        self.next
    }

    /// From now on, a connection swallows everything.
    pub(crate) fn swallow(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.is_swallowed = true;
        }
    }

    /// A connection is over.
    pub(crate) fn forget(&mut self, id: ConnId) {
        self.conns.remove(&id);
        if let Some(door) = &mut self.door {
            door.gone(id);
        }
    }

    /// Sends something. It arrives after everything that was sent before; not at all if the
    /// connection swallows everything.
    pub(crate) fn put(
        &mut self,
        cx: &mut Cx,
        id: ConnId,
        end: End,
        arrival: Arrival,
        bytes: usize,
    ) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.is_swallowed {
            if !std::mem::replace(&mut conn.is_doomed, true) {
                cx.later(UNACKNOWLEDGED, SimEvent::Unacknowledged { conn: id });
            }
            return;
        }
        let host = &cx.hosts[conn.host];
        let is_event = matches!(arrival, Arrival::Parcel(Parcel::Message(_)));
        let is_stream =
            ["/worker/events/stream", WORK_STREAM].iter().any(|it| conn.label.contains(it));
        if is_event && end == End::Client && is_stream {
            conn.is_collected |= host.collected_until > cx.at;
            if conn.is_collected {
                return;
            }
        }
        let (latency, per_kib) = (host.latency, host.per_kib);
        let cut_until = host.cut_until;
        let slowness = if host.slow_until > cx.at { host.slowness } else { 1 };
        let mut arrives = cx.at + cx.about(latency * slowness);
        let per_kib = per_kib * slowness;
        arrives += per_kib.saturating_mul(u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
        if cut_until > cx.at {
            arrives = arrives.max(cut_until + cx.about(RETRANSMISSION));
        }
        if cx.plan.loss > 0 && cx.rng.u32(..100) < cx.plan.loss {
            arrives += cx.about(RETRANSMISSION);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let lane = conn.lane(end);
        let arrives: Time = arrives.max(lane.last_arrival + Duration::from_nanos(1));
        lane.last_arrival = arrives;
        cx.queue.note(arrives, SimEvent::Arrive { conn: id, end, arrival });
    }

    /// Something arrives at an end. Returns the last event of a connection that ends with it.
    pub(crate) fn arrive(
        &mut self,
        cx: &mut Cx,
        id: ConnId,
        end: End,
        arrival: Arrival,
    ) -> Option<(Address, Event)> {
        self.draw(cx, id, end, &arrival);
        let conn = self.conns.get_mut(&id)?;
        if end == End::Server {
            conn.heard_at = cx.at;
        }
        let to = conn.end(end);
        match arrival {
            Arrival::Request => self.arrive_request(cx, id),
            Arrival::Response(response) => return self.arrive_response(cx, id, response),
            Arrival::Head(head) => self.arrive_head(cx, id, head),
            Arrival::Upgraded(protocol) => self.arrive_upgraded(cx, id, protocol.as_deref()),
            Arrival::Parcel(parcel) => self.arrive_parcel(cx, id, end, parcel),
            Arrival::CloseAck(code) => {
                if let Some(to) = to {
                    let closed = Event::Closed { op: to.op, code: Some(code), failure: None };
                    cx.tell(to, closed);
                }
                self.forget(id);
            }
            Arrival::Reset(kind) => {
                let was_open = end == End::Server || conn.label.starts_with("open ");
                self.forget(id);
                if let Some(to) = to {
                    broken_at(cx, to, kind, was_open);
                }
            }
        }
        None
    }

    fn draw(&self, cx: &mut Cx, id: ConnId, end: End, arrival: &Arrival) {
        let Some(conn) = self.conns.get(&id) else { return };
        let name = |party: PartyId| cx.parties[party].name.as_str();
        let client = conn.client.map_or("nobody", |client| name(client.party));
        let (from, to) = match end {
            End::Server => (client, name(conn.to)),
            End::Client => (name(conn.to), client),
        };
        let label = || match arrival {
            Arrival::Request => crate::trace::shown(&conn.label),
            Arrival::Response(response) => response.status.to_string(),
            Arrival::Head(head) => head.status.to_string(),
            Arrival::Upgraded(_) => String::from("101"),
            Arrival::Parcel(Parcel::Message(message)) => crate::trace::message_words(message),
            Arrival::Parcel(Parcel::Close(code)) | Arrival::CloseAck(code) => {
                format!("close {code}")
            }
            Arrival::Reset(kind) => format!("broken: {kind}"),
        };
        cx.trace.draw(from, to, label);
    }

    pub(crate) fn time_limit(&mut self, cx: &mut Cx, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let Some(to) = conn.client else { return };
        let is_whole = matches!(conn.kind, ConnKind::Http { answer: Answer::Whole { .. } });
        if is_whole || !conn.label.starts_with("open ") {
            if cx.parties[conn.to].backlog.contains(&id) {
                self.note_wait(cx, id);
            }
            let failure = failure(IoErrorKind::TimedOut);
            self.abandon(cx, id, End::Client, false);
            cx.tell(to, Event::Failed { op: to.op, failure });
        }
    }

    /// One end drops a connection; the other learns of it, unless it happens silently.
    pub(crate) fn abandon(&mut self, cx: &mut Cx, id: ConnId, end: End, is_silent: bool) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        *conn.end_mut(end) = None;
        conn.is_swallowed |= is_silent;
        let is_untaken = conn.end(end.other()).is_none() && end == End::Client;
        // A client that left before its request was accepted may have sent it already.
        if is_untaken && (conn.asked.is_none() || cx.rng.bool()) {
            self.forget(id);
        } else {
            self.put(cx, id, end.other(), Arrival::Reset(IoErrorKind::Disconnected), 0);
        }
    }

    /// Nobody has acknowledged anything for too long: any end still there learns of it.
    pub(crate) fn unacknowledged(&mut self, cx: &mut Cx, id: ConnId) {
        if self.conns.get(&id).is_some_and(|conn| conn.is_swallowed) {
            self.reset(cx, id);
        }
    }

    /// A connection breaks in the middle, and both ends are told.
    pub(crate) fn reset(&mut self, cx: &mut Cx, id: ConnId) {
        self.free_place(cx, id);
        for end in [End::Client, End::Server] {
            let Some(conn) = self.conns.get(&id) else { return };
            let was_open = end == End::Server || conn.label.starts_with("open ");
            if let Some(to) = conn.end(end) {
                broken_at(cx, to, IoErrorKind::Disconnected, was_open);
            }
        }
        self.forget(id);
    }
}

/// One end learns that its connection is gone.
pub(super) fn broken_at(cx: &mut Cx, to: Address, kind: IoErrorKind, was_open: bool) {
    let hears = cx.mutant != Some(Mutant::LosesTrack) || to.party != RELAY;
    if !cx.is_alive(to) || !hears {
        return;
    }
    let op = to.op;
    match cx.parties[to.party].ops.get(&op) {
        Some(Op::Request(_)) => cx.tell(to, Event::Failed { op, failure: failure(kind) }),
        Some(Op::Stream(..)) => {
            // Before it is open it fails, after that it closes.
            let event = if was_open {
                Event::Closed { op, code: None, failure: Some(failure(kind)) }
            } else {
                Event::Failed { op, failure: failure(kind) }
            };
            cx.tell(to, event);
        }
        Some(Op::Exchange(_)) => {
            cx.tell(to, Event::Closed { op, code: None, failure: Some(failure(kind)) });
        }
        _ => {}
    }
}
