//! Messages on an open stream: as many at once as fit, none while its reader has paused it.

use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::fact::{Fact, Way};
use crate::ids::{ConnId, End, Role};
use crate::names::RELAY;
use crate::sim::cx::{Cx, failure};
use crate::sim::event::Arrival;
use crate::sim::network::Network;
use crate::sim::network::conn::{CREDIT, Parcel};

/// Whether a connection carries the lines of a session.
pub(crate) fn is_link(label: &str) -> bool {
    label.contains("/session_ingress/") || label.contains("/worker/events/stream")
}

impl Network {
    /// One end of a stream sends a message.
    pub(crate) fn send(&mut self, cx: &mut Cx, id: ConnId, end: End, message: Message, by: Role) {
        self.put_parcel(cx, id, end, Parcel::Message(message));
        let Some(found) = self.conns.get_mut(&id) else { return };
        let bytes = found.lane(end.other()).waiting_bytes;
        let is_link = is_link(&found.label);
        let way = if is_link { Way::Link } else { Way::Viewer };
        cx.fact(Fact::Outstanding { role: by, bytes, way });
    }

    pub(crate) fn close_lane(&mut self, cx: &mut Cx, conn: ConnId, end: End, code: u16) {
        self.put_parcel(cx, conn, end, Parcel::Close(code));
    }

    fn put_parcel(&mut self, cx: &mut Cx, conn: ConnId, from: End, parcel: Parcel) {
        let Some(found) = self.conns.get_mut(&conn) else { return };
        let lane = found.lane(from.other());
        if lane.is_closed {
            return;
        }
        lane.is_closed = matches!(parcel, Parcel::Close(_));
        lane.waiting_bytes += parcel.len();
        lane.waiting.push_back(parcel);
        self.pump(cx, conn, from);
        self.watch_writing(cx, conn);
    }

    /// Sends what fits.
    pub(super) fn pump(&mut self, cx: &mut Cx, id: ConnId, from: End) {
        let (mut sent, mut is_end) = (0, false);
        loop {
            let Some(conn) = self.conns.get_mut(&id) else { return };
            let lane = conn.lane(from.other());
            if lane.credit_used > CREDIT {
                break;
            }
            let Some(parcel) = lane.waiting.pop_front() else { break };
            let bytes = parcel.len();
            lane.waiting_bytes -= bytes;
            lane.credit_used += bytes;
            sent += usize::from(matches!(parcel, Parcel::Message(_)));
            is_end |= matches!(parcel, Parcel::Close(_));
            self.put(cx, id, from.other(), Arrival::Parcel(parcel), bytes);
        }
        if sent > 0
            && let Some(to) = self.conns.get(&id).and_then(|conn| conn.end(from))
        {
            cx.tell(to, Event::Sent { op: to.op, messages: sent });
        }
        self.piece_left(cx, id, sent, is_end);
    }

    pub(super) fn arrive_parcel(&mut self, cx: &mut Cx, id: ConnId, end: End, parcel: Parcel) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let lane = conn.lane(end);
        if lane.is_paused {
            lane.held.push_back(parcel);
        } else {
            self.take_parcel(cx, id, end, parcel);
        }
    }

    fn take_parcel(&mut self, cx: &mut Cx, id: ConnId, end: End, parcel: Parcel) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let limit = conn.max_message(end);
        let lane = conn.lane(end);
        lane.credit_used = lane.credit_used.saturating_sub(parcel.len());
        let to = conn.end(end);
        let Some(to) = to else { return self.pump(cx, id, end.other()) };
        if conn.body.is_some() {
            return self.take_piece(cx, id, to, parcel);
        }
        let op = to.op;
        match parcel {
            Parcel::Message(message) if message.len() > limit => {
                let failure = Some(failure(IoErrorKind::TooLarge));
                *conn.end_mut(end) = None;
                cx.tell(to, Event::Closed { op, code: Some(1009), failure });
                self.put(cx, id, end.other(), Arrival::CloseAck(1009), 8);
            }
            Parcel::Message(message) => {
                self.hear(cx, id, end);
                let Some(conn) = self.conns.get(&id) else { return };
                let (message, more) = self.skew.message(cx, conn, end, message);
                cx.tell(to, Event::Received { op, message });
                if let Some(message) = more {
                    cx.tell(to, Event::Received { op, message });
                }
                self.pump(cx, id, end.other());
            }
            Parcel::Close(code) => {
                let what = conn.label.clone();
                let is_judged = conn.to == RELAY
                    && conn.client.is_some_and(|client| cx.parties[client.party].role.is_welcome());
                *conn.end_mut(end) = None;
                cx.tell(to, Event::Closed { op, code: Some(code), failure: None });
                self.put(cx, id, end.other(), Arrival::CloseAck(code), 8);
                if is_judged {
                    cx.fact(Fact::Misunderstood { what, code });
                }
            }
        }
    }

    /// A worker's message on a session's link has reached the relay.
    fn hear(&mut self, cx: &mut Cx, id: ConnId, end: End) {
        let Some(conn) = self.conns.get(&id) else { return };
        if end == End::Server
            && conn.to == RELAY
            && let Some((_, session)) = conn.label.split_once("/session_ingress/ws/")
        {
            let session = session.to_owned();
            cx.fact(Fact::LinkHeard { session });
        }
    }

    /// One end of a stream pauses or resumes reading.
    pub(crate) fn set_paused(&mut self, cx: &mut Cx, id: ConnId, end: End, is_paused: bool) {
        let Some(found) = self.conns.get_mut(&id) else { return };
        let lane = found.lane(end);
        lane.is_paused = is_paused;
        let held = if is_paused { Default::default() } else { std::mem::take(&mut lane.held) };
        for parcel in held {
            self.take_parcel(cx, id, end, parcel);
        }
        if !is_paused {
            self.be_patient(cx, id);
        }
    }
}
