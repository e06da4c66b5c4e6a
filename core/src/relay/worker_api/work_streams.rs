//! Streams of work: what a worker would get by one poll after another, as it comes (E-2).
//!
//! ```text
//!   open ─▶ asking ─▶ an item is sent ─▶ asking …
//!            ▲  └─▶ waiting: nothing is queued
//!            └─────────┘ there is work
//! ```
//!
//! Items are claimed one at a time, each under a key of its own that follows from the stream's and the
//! item's number. A worker that opens another stream after item N under the same key is given whatever
//! was claimed as N + 1 and never reached it, as a poll that is repeated is.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use super::polls::preferred_wait;
use super::work;
use crate::base::id::{EnvironmentId, OpId};
use crate::base::limits::{MAX_HELD_POLLS, MAX_ID_BYTES, MAX_WORK_ON_STREAM, STREAM_ALIVE_EVERY};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::{Head, Message};
use crate::contract::event::IncomingRequest;
use crate::relay::close;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::event_stream::{HEAD, PADDING};
use crate::relay::http::request::{bounded, idempotency_key, query_number};
use crate::relay::http::response::owned;
use crate::relay::pending::{Claim, Pending, WorkOpening};
use crate::relay::purpose::{StreamKind, Timer};
use crate::store::{Answer, Lease, StoreError, StoreOp};
use crate::wire::worker_api::work_stream::WorkStreamEvent;

/// The open streams, oldest first.
#[derive(Default)]
pub(in crate::relay) struct WorkStreams {
    by_op: BTreeMap<OpId, WorkStream>,
    /// Those that have asked for an item that is their successor's by now.
    replaced: BTreeSet<OpId>,
}

struct WorkStream {
    opening: WorkOpening,
    state: State,
    /// Messages that have not left yet.
    on_the_way: usize,
    alive_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The store was asked for an item; `again` if there was work since.
    Asking { again: bool },
    /// Another item is asked for once everything has left.
    Sending,
    /// There is none.
    Waiting,
}

/// A worker wants its work as it comes.
pub(in crate::relay) fn open(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    query: &str,
    environment: EnvironmentId,
) -> Result<(), ApiError> {
    let after = match request.header("last-event-id").map(str::trim) {
        None | Some("") => 0,
        Some(id) => {
            bounded("Last-Event-ID", id, MAX_ID_BYTES)?;
            let bad = |_| ApiError::invalid("Last-Event-ID must be the number of an item");
            id.parse().map_err(bad)?
        }
    };
    if after > u64::MAX - MAX_WORK_ON_STREAM {
        return Err(ApiError::invalid("Last-Event-ID is beyond all items"));
    }
    let room = query_number(query, "room")?.unwrap_or(1).min(MAX_WORK_ON_STREAM);
    if room == 0 {
        return Err(ApiError::invalid("room must be at least 1: so many items may come"));
    }
    let cap = cx.shared.config.poll_cap;
    let until = cx.now() + preferred_wait(request).unwrap_or(cap).min(cap);
    let (key, base_url) = (idempotency_key(request)?, cx.base_url(request));
    let opening = WorkOpening { claim: Claim { environment, key, until, base_url }, after, room };
    let lease = opening.lease();
    cx.store(Pending::OpenWork { op, opening: Box::new(opening) }, lease);
    Ok(())
}

impl WorkOpening {
    /// Asks the store for the next item.
    fn lease(&self) -> StoreOp {
        let number = self.after + 1;
        let key = self.claim.key.as_ref().map(|key| format!("{key}-{number}"));
        StoreOp::LeaseWork { environment: self.claim.environment.clone(), key }
    }

    fn is_of(&self, environment: &EnvironmentId) -> bool {
        self.claim.environment == *environment
    }
}

impl WorkStreams {
    /// The store's answer to somebody who wants to open a stream.
    pub(in crate::relay) fn on_opening(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        opening: WorkOpening,
        answer: Result<Answer, StoreError>,
    ) {
        let lease = match answer {
            Ok(Answer::Leased(lease)) => lease,
            Ok(_) => return cx.refuse(op, &ApiError::unavailable()),
            Err(error) => return cx.refuse(op, &error.into()),
        };
        let head = Head { status: 200, headers: owned(&HEAD) };
        if !cx.reply_stream(op, StreamKind::Work, head) {
            return give_back(cx, lease);
        }
        self.make_room(cx, &opening);
        let alive_at = cx.now() + STREAM_ALIVE_EVERY;
        let mut stream = WorkStream { opening, state: State::Waiting, on_the_way: 0, alive_at };
        // A proxy that collects a few kilobytes before it passes anything on gets them at once.
        stream.send(cx, op, Text::from(PADDING));
        stream.send(cx, op, WorkStreamEvent::Open.to_text());
        self.by_op.insert(op, stream);
        self.leased(cx, op, lease);
    }

    /// Another stream of its worker ends what it replaces, or what there are too many of.
    fn make_room(&mut self, cx: &mut Cx, opening: &WorkOpening) {
        let Claim { environment, key, .. } = &opening.claim;
        let of_it: Vec<_> = self.of(environment);
        let replaced = |op: &&OpId| {
            let older = self.by_op.get(op).and_then(|stream| stream.opening.claim.key.as_ref());
            older.is_some() && older == key.as_ref()
        };
        let mut over: Vec<_> = of_it.iter().filter(replaced).copied().collect();
        // What they have asked for is claimed under the key that both have.
        let asks = |op: &&OpId| {
            let state = self.by_op.get(op).map(|stream| stream.state);
            matches!(state, Some(State::Asking { .. }))
        };
        let asking: Vec<_> = over.iter().filter(asks).copied().collect();
        self.replaced.extend(asking);
        if over.is_empty() && of_it.len() >= MAX_HELD_POLLS {
            over.extend(of_it.first());
        }
        for op in over {
            self.end(cx, op);
        }
    }

    /// The store's answer to a stream that is open, or was.
    pub(in crate::relay) fn on_answer(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        answer: Result<Answer, StoreError>,
    ) {
        match answer {
            _ if self.replaced.remove(&op) => {}
            Ok(Answer::Leased(lease)) => self.leased(cx, op, lease),
            // The next request is told why.
            Ok(_) | Err(_) => self.close(cx, op, close::FAILED),
        }
    }

    fn leased(&mut self, cx: &mut Cx, op: OpId, lease: Option<Lease>) {
        let Some(stream) = self.by_op.get_mut(&op) else {
            // The client left while the store was working.
            return give_back(cx, lease);
        };
        let Some(lease) = lease else {
            let is_outdated = stream.state == State::Asking { again: true };
            stream.state = State::Waiting;
            if is_outdated {
                stream.ask(cx, op);
            }
            return stream.set_timer(cx, op);
        };
        let item = work::item(cx, &stream.opening.claim, &lease);
        stream.opening.after += 1;
        stream.opening.room -= 1;
        stream.state = State::Sending;
        stream.send(cx, op, WorkStreamEvent::work(stream.opening.after, &item));
        stream.set_timer(cx, op);
        if stream.opening.room == 0 {
            self.end(cx, op);
        }
    }

    pub(in crate::relay) fn on_sent(&mut self, cx: &mut Cx, op: OpId, messages: usize) {
        let Some(stream) = self.by_op.get_mut(&op) else { return };
        stream.on_the_way = stream.on_the_way.saturating_sub(messages);
        if stream.state == State::Sending && stream.on_the_way == 0 {
            stream.ask(cx, op);
        }
    }

    /// There is work: the streams that wait for it ask again, oldest first.
    pub(in crate::relay) fn wake(&mut self, cx: &mut Cx, environment: &EnvironmentId) {
        let of_it = |(_, stream): &(&OpId, &mut WorkStream)| stream.opening.is_of(environment);
        for (op, stream) in self.by_op.iter_mut().filter(of_it) {
            match &mut stream.state {
                State::Asking { again } => *again = true,
                State::Sending => {}
                State::Waiting => stream.ask(cx, *op),
            }
        }
    }

    /// It is time to say that it is still there, or to end.
    pub(in crate::relay) fn on_timer(&mut self, cx: &mut Cx, op: OpId) {
        let Some(stream) = self.by_op.get_mut(&op) else { return };
        if stream.opening.claim.until <= cx.now() {
            return self.end(cx, op);
        }
        stream.alive_at = cx.now() + STREAM_ALIVE_EVERY;
        stream.send(cx, op, WorkStreamEvent::Unknown.to_text());
        stream.set_timer(cx, op);
    }

    /// Ends a stream that has done what it was to.
    fn end(&mut self, cx: &mut Cx, op: OpId) {
        if let Some(stream) = self.by_op.get_mut(&op) {
            stream.send(cx, op, WorkStreamEvent::End.to_text());
        }
        self.close(cx, op, close::DONE);
    }

    /// Its worker has to register again, which the next request tells it.
    pub(in crate::relay) fn close_environment(&mut self, cx: &mut Cx, environment: &EnvironmentId) {
        for op in self.of(environment) {
            self.close(cx, op, close::GONE);
        }
    }

    pub(in crate::relay) fn close(&mut self, cx: &mut Cx, op: OpId, code: u16) {
        self.forget(cx, op);
        cx.close_stream(op, code);
    }

    /// A stream is over, or about to be.
    pub(in crate::relay) fn forget(&mut self, cx: &mut Cx, op: OpId) {
        self.by_op.remove(&op);
        cx.engine.timers.clear(&Timer::WorkStream(op));
    }

    pub(in crate::relay) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }

    fn of(&self, environment: &EnvironmentId) -> Vec<OpId> {
        let of_it = self.by_op.iter().filter(|(_, stream)| stream.opening.is_of(environment));
        of_it.map(|(op, _)| *op).collect()
    }
}

impl WorkStream {
    fn ask(&mut self, cx: &mut Cx, op: OpId) {
        self.state = State::Asking { again: false };
        cx.store(Pending::Work { op }, self.opening.lease());
    }

    fn send(&mut self, cx: &mut Cx, op: OpId, text: Text) {
        self.on_the_way += 1;
        cx.send(op, Message::Text(text));
    }

    fn set_timer(&self, cx: &mut Cx, op: OpId) {
        let at = self.alive_at.min(self.opening.claim.until);
        cx.engine.timers.set(Timer::WorkStream(op), at);
    }
}

/// An item that reaches nobody goes to the next one who asks.
fn give_back(cx: &mut Cx, lease: Option<Lease>) {
    if let Some(Lease { work, fence, .. }) = lease {
        cx.store(Pending::ReturnWork, StoreOp::ReturnWork { work, fence });
    }
}
