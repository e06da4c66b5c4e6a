//! Responses whose body is a stream: written piece by piece, and read the same way or collected.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Answer, Head, Message, Response};
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::ids::{Address, ConnId, End, Op, PartyId};
use crate::sim::cx::{Cx, failure};
use crate::sim::event::{Arrival, SimEvent};
use crate::sim::network::conn::{Body, ConnKind, Parcel};
use crate::sim::network::{Network, WORK_STREAM};
use crate::sim::observe;

impl Network {
    pub(crate) fn reply_stream(
        &mut self,
        cx: &mut Cx,
        id: PartyId,
        op: OpId,
        head: Head,
        write_timeout: Duration,
    ) {
        let party = &mut cx.parties[id];
        let Some(Op::Exchange(conn_id)) = party.ops.get(&op).copied() else { return };
        let to = Address { party: id, life: party.life, op };
        party.ops.insert(op, Op::Stream(conn_id, End::Server));
        let Some(conn) = self.conns.get_mut(&conn_id) else { return };
        if conn.loses_answer {
            conn.server = None;
            let failure = Some(failure(IoErrorKind::Disconnected));
            cx.tell(to, Event::Closed { op, code: None, failure });
            return self.put(
                cx,
                conn_id,
                End::Client,
                Arrival::Reset(IoErrorKind::Disconnected),
                0,
            );
        }
        if conn.label.starts_with("HEAD ") || matches!(head.status, 204 | 304) {
            conn.server = None;
            let Head { status, headers } = head;
            let answer = Arrival::Response(Response { status, headers, body: Bytes::new() });
            cx.tell(to, Event::Closed { op, code: None, failure: None });
            return self.put(cx, conn_id, End::Client, answer, 0);
        }
        conn.body = Some(Body {
            write_timeout,
            sent: 0,
            received: 0,
            is_write_timed: false,
            is_idle_timed: false,
            whole: None,
        });
        self.put(cx, conn_id, End::Client, Arrival::Head(head), 256);
    }

    pub(super) fn arrive_head(&mut self, cx: &mut Cx, id: ConnId, head: Head) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        // The client has left in the meantime, and its system says so.
        let Some(to) = conn.client else { return self.reset(cx, id) };
        let op = to.op;
        let Head { status, headers } = head;
        match conn.kind {
            ConnKind::Http { answer: Answer::Stream { .. } } => {
                conn.label.insert_str(0, "open ");
                cx.tell(to, Event::Head { op, head: Head { status, headers } });
                self.be_patient(cx, id);
            }
            ConnKind::Http { answer: Answer::Whole { .. } } => {
                if let Some(body) = &mut conn.body {
                    body.whole = Some(Response { status, headers, body: Bytes::new() });
                }
            }
            ConnKind::WebSocket { .. } => {
                self.abandon(cx, id, End::Client, false);
                let response = Response { status, headers, body: Bytes::new() };
                cx.tell(to, Event::Refused { op, response });
            }
        }
    }

    /// A piece of a body has reached its client, or the end of it.
    pub(super) fn take_piece(&mut self, cx: &mut Cx, id: ConnId, to: Address, parcel: Parcel) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some(body) = &mut conn.body else { return };
        let op = to.op;
        match (parcel, &mut body.whole, conn.kind) {
            (
                Parcel::Message(message),
                Some(whole),
                ConnKind::Http { answer: Answer::Whole { max_body } },
            ) => {
                whole.body = Bytes::from([&whole.body[..], &message.into_bytes()].concat());
                if whole.body.len() > max_body {
                    self.abandon(cx, id, End::Client, false);
                    let failure = failure(IoErrorKind::TooLarge);
                    return cx.tell(to, Event::Failed { op, failure });
                }
                self.pump(cx, id, End::Server);
            }
            (Parcel::Message(message), ..) => {
                body.received += 1;
                let message = Message::Binary(message.into_bytes());
                if conn.label.contains(WORK_STREAM)
                    && let Message::Binary(bytes) = &message
                {
                    observe::work_came(cx, bytes);
                }
                if !message.is_empty() {
                    cx.tell(to, Event::Received { op, message });
                }
                self.pump(cx, id, End::Server);
            }
            (Parcel::Close(_), whole, _) => {
                let last = match whole.take() {
                    Some(response) => Event::Response { op, response },
                    None => Event::Closed { op, code: None, failure: None },
                };
                self.forget(id);
                cx.tell(to, last);
            }
        }
    }

    /// What the server has written has been sent; with `is_end`, up to the last piece.
    pub(super) fn piece_left(&mut self, cx: &mut Cx, id: ConnId, pieces: usize, is_end: bool) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some(body) = &mut conn.body else { return };
        body.sent += u64::try_from(pieces).unwrap_or(u64::MAX);
        if is_end && let Some(to) = conn.server.take() {
            cx.tell(to, Event::Closed { op: to.op, code: None, failure: None });
        }
    }

    /// Makes sure that data does not wait forever for the client.
    pub(super) fn watch_writing(&mut self, cx: &mut Cx, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some(body) = &mut conn.body else { return };
        if conn.down.waiting.is_empty() || std::mem::replace(&mut body.is_write_timed, true) {
            return;
        }
        let (wait, sent) = (body.write_timeout, body.sent);
        cx.later(wait, SimEvent::WriteLimit { conn: id, sent });
    }

    pub(crate) fn write_limit(&mut self, cx: &mut Cx, id: ConnId, sent: u64) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (Some(body), Some(to)) = (&mut conn.body, conn.server) else { return };
        body.is_write_timed = false;
        if conn.down.waiting.is_empty() || body.sent != sent {
            return self.watch_writing(cx, id);
        }
        self.abandon(cx, id, End::Server, false);
        let failure = Some(failure(IoErrorKind::TimedOut));
        cx.tell(to, Event::Closed { op: to.op, code: None, failure });
    }

    /// The client waits for the next piece from here on.
    pub(super) fn be_patient(&mut self, cx: &mut Cx, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let ConnKind::Http { answer: Answer::Stream { idle_timeout } } = conn.kind else { return };
        let Some(body) = &mut conn.body else { return };
        body.received += 1;
        if !std::mem::replace(&mut body.is_idle_timed, true) {
            let received = body.received;
            cx.later(idle_timeout, SimEvent::IdleLimit { conn: id, received });
        }
    }

    pub(crate) fn idle_limit(&mut self, cx: &mut Cx, id: ConnId, received: u64) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let (Some(body), Some(to)) = (&mut conn.body, conn.client) else { return };
        body.is_idle_timed = false;
        if conn.down.is_paused {
            // It continues when the client does.
            return;
        }
        if body.received != received {
            return self.be_patient(cx, id);
        }
        self.abandon(cx, id, End::Client, false);
        let failure = Some(failure(IoErrorKind::TimedOut));
        cx.tell(to, Event::Closed { op: to.op, code: None, failure });
    }
}

/// A complete response for a client that wants a stream.
pub(super) fn stream_answer(cx: &mut Cx, to: Address, response: Response) {
    let op = to.op;
    let Response { status, headers, body } = response;
    cx.tell(to, Event::Head { op, head: Head { status, headers } });
    if !body.is_empty() {
        cx.tell(to, Event::Received { op, message: Message::Binary(body) });
    }
    cx.tell(to, Event::Closed { op, code: None, failure: None });
}
