//! Viewers of one session: its log from any point, then as it grows (R-2, Y-5).
//!
//! A viewer is a cursor into the log. While it keeps up, new events go to it as they come; when too
//! much is on the way to it, it is left alone, and what it missed is read from the store once there
//! is room again. So it never costs more than its credit, and it never sees a hole.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::base::id::{OpId, SessionId};
use crate::base::limits::{
    MAX_PAGE_EVENTS, VIEWER_ALIVE_EVERY, VIEWER_SILENT_AFTER, VIEWER_STALLED_AFTER,
};
use crate::base::text::Text;
use crate::contract::action::Message;
use crate::contract::event::IncomingRequest;
use crate::relay::exchange::{Pending, query_number, wants_websocket};
use crate::relay::http::authority::offered;
use crate::relay::http::response::ApiError;
use crate::relay::streams::Outgoing;
use crate::relay::{Purpose, Relay, Timer, close};
use crate::store::{AccountId, Answer, Page, StoreError, StoreOp};
use crate::wire::to_text;
use crate::wire::viewer::{PROTOCOL, SessionFrame};

/// Largest message of a viewer that is taken; none of them has a meaning yet.
pub(in crate::relay) const MAX_VIEWER_MESSAGE: usize = 4096;

#[derive(Default)]
pub(in crate::relay) struct Viewers {
    by_op: BTreeMap<OpId, Viewer>,
    by_session: BTreeMap<SessionId, BTreeSet<OpId>>,
}

impl Viewers {
    pub(in crate::relay) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }

    pub(in crate::relay) fn of(&self, session: &SessionId) -> Vec<OpId> {
        self.by_session.get(session).into_iter().flatten().copied().collect()
    }

    pub(in crate::relay) fn are_there(&self, session: &SessionId) -> bool {
        self.by_session.contains_key(session)
    }
}

/// A viewer that the store has to know the session of.
#[derive(Clone, Debug)]
pub(in crate::relay) struct Subscribing {
    session: SessionId,
    owner: AccountId,
    after: u64,
    protocol: Option<&'static str>,
}

struct Viewer {
    session: SessionId,
    owner: AccountId,
    /// The last event that was sent.
    cursor: u64,
    /// The last event that is known to be there.
    until: u64,
    /// The last event that was there when the subscription began; `None` until that is known.
    begun_at: Option<u64>,
    was_told_live: bool,
    /// Whether it has to be told what the session is like.
    is_stale: bool,
    is_open: bool,
    is_reading: bool,
    outgoing: Outgoing,
}

/// The subprotocol to select for a viewer, if it offers one.
pub(in crate::relay) fn protocol_of(asked: &IncomingRequest) -> Option<&'static str> {
    offered(asked).any(|offer| offer == PROTOCOL).then_some(PROTOCOL)
}

impl Relay {
    pub(in crate::relay) fn subscribe(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        query: &str,
        owner: AccountId,
        session: SessionId,
    ) -> Result<(), ApiError> {
        wants_websocket(asked)?;
        let after = query_number(query, "after")?.unwrap_or(0);
        let call = StoreOp::GetSession { owner: owner.clone(), id: session.clone() };
        let protocol = protocol_of(asked);
        let subscribing = Subscribing { session, owner, after, protocol };
        self.store(Pending::Subscribe { op, subscribing }, call);
        Ok(())
    }

    pub(in crate::relay) fn subscribed(
        &mut self,
        op: OpId,
        subscribing: Subscribing,
        answer: &Result<Answer, StoreError>,
    ) {
        let Subscribing { session, owner, after, protocol } = subscribing;
        // A browser cannot see the status of a refused handshake, so it is told by a close code.
        let is_full = self.viewers.of(&session).len() >= self.config.max_subscribers;
        let purpose = match answer {
            Err(_) => Purpose::CloseOnOpen(close::GONE),
            Ok(_) if is_full => Purpose::CloseOnOpen(close::LIMIT),
            Ok(_) => Purpose::Viewer,
        };
        let is_welcome = matches!(purpose, Purpose::Viewer);
        if !self.upgrade(op, purpose, protocol, MAX_VIEWER_MESSAGE) || !is_welcome {
            return;
        }
        self.viewers.by_session.entry(session.clone()).or_default().insert(op);
        let viewer = Viewer {
            session,
            owner,
            cursor: after,
            until: after,
            begun_at: None,
            was_told_live: false,
            is_stale: true,
            is_open: false,
            is_reading: false,
            outgoing: Outgoing::default(),
        };
        self.viewers.by_op.insert(op, viewer);
    }

    pub(in crate::relay) fn viewer_opened(&mut self, op: OpId) {
        let Some(viewer) = self.viewers.by_op.get_mut(&op) else { return };
        viewer.is_open = true;
        self.timers.set(Timer::ViewerKeepalive(op), self.fx.now().mono + VIEWER_ALIVE_EVERY);
        self.serve_viewer(op);
    }

    /// Reads on for a viewer that is behind, if it has room.
    fn serve_viewer(&mut self, op: OpId) {
        let Some(viewer) = self.viewers.by_op.get_mut(&op) else { return };
        let is_behind = viewer.is_stale || viewer.cursor < viewer.until;
        let room = self.config.stream_credit.saturating_sub(viewer.outgoing.bytes());
        if !viewer.is_open || viewer.is_reading || !is_behind || room == 0 {
            return;
        }
        viewer.is_reading = true;
        let (owner, session) = (viewer.owner.clone(), viewer.session.clone());
        let (after, max_events) = (viewer.cursor, MAX_PAGE_EVENTS);
        let call = StoreOp::ReadLog { owner, session, after, max_events, max_bytes: room };
        self.store(Pending::Page { op }, call);
    }

    pub(in crate::relay) fn page_read(&mut self, op: OpId, answer: Result<Answer, StoreError>) {
        let Ok(Answer::Page(page)) = answer else { return self.close_stream(op, close::GONE) };
        let Some(viewer) = self.viewers.by_op.get_mut(&op) else { return };
        viewer.is_reading = false;
        let last_seq = page.session.last_seq;
        if viewer.begun_at.is_none() {
            // Someone who says that it has more than there is gets what comes next.
            viewer.begun_at = Some(last_seq);
            viewer.cursor = viewer.cursor.min(last_seq);
            viewer.until = last_seq;
        }
        viewer.until = viewer.until.max(last_seq);
        if core::mem::take(&mut viewer.is_stale) {
            self.send_session(op, &page);
        }
        self.send_gap(op, page.session.first_seq);
        for entry in &page.entries {
            if let Some(viewer) = self.viewers.by_op.get_mut(&op) {
                viewer.cursor = entry.seq;
            }
            self.send_to_viewer(op, SessionFrame::event(&entry.into()));
        }
        self.say_live(op);
        self.serve_viewer(op);
    }

    fn send_session(&mut self, op: OpId, page: &Page) {
        let session = self.session_view(&page.session);
        self.send_to_viewer(op, to_text(&SessionFrame::Session { session }));
    }

    /// Says so, if retention has dropped what a viewer would have seen next.
    fn send_gap(&mut self, op: OpId, first_seq: u64) {
        let Some(viewer) = self.viewers.by_op.get_mut(&op) else { return };
        let (after, resumes_after) = (viewer.cursor, first_seq.saturating_sub(1));
        if resumes_after > after {
            viewer.cursor = resumes_after;
            self.send_to_viewer(op, to_text(&SessionFrame::Gap { after, resumes_after }));
        }
    }

    fn say_live(&mut self, op: OpId) {
        let Some(viewer) = self.viewers.by_op.get_mut(&op) else { return };
        let Some(seq) = viewer.begun_at.filter(|seq| viewer.cursor >= *seq) else { return };
        if !core::mem::replace(&mut viewer.was_told_live, true) {
            self.send_to_viewer(op, to_text(&SessionFrame::Live { seq }));
        }
    }

    /// A new event, for everybody who has all those before it and room for it.
    pub(in crate::relay) fn event_came(&mut self, session: &SessionId, seq: u64, told: &Text) {
        for op in self.viewers.of(session) {
            let credit = self.config.stream_credit;
            let Some(viewer) = self.viewers.by_op.get_mut(&op) else { continue };
            let is_next = viewer.was_told_live && !viewer.is_reading && viewer.cursor + 1 == seq;
            viewer.until = viewer.until.max(seq);
            if is_next && viewer.outgoing.bytes() < credit {
                viewer.cursor = seq;
                self.send_to_viewer(op, told.clone());
            }
        }
    }

    /// The session is different; whoever has no room for it is told later.
    pub(in crate::relay) fn tell_viewers(&mut self, session: &SessionId, told: &Text) {
        for op in self.viewers.of(session) {
            let credit = self.config.stream_credit;
            let Some(viewer) = self.viewers.by_op.get_mut(&op) else { continue };
            let has_room = viewer.outgoing.bytes() < credit;
            if viewer.is_open && !viewer.is_stale && has_room {
                self.send_to_viewer(op, told.clone());
            } else {
                viewer.is_stale = true;
            }
        }
    }

    fn send_to_viewer(&mut self, op: OpId, told: Text) {
        let Some(viewer) = self.viewers.by_op.get_mut(&op) else { return };
        let message = Message::Text(told);
        viewer.outgoing.add(&message);
        self.watch_stream(op);
        self.send(op, message);
    }

    /// Something is on the way to a viewer: it has to arrive, and counts as a sign of life.
    pub(in crate::relay) fn watch_stream(&mut self, op: OpId) {
        let now = self.fx.now().mono;
        if !self.timers.is_set(&Timer::ViewerStalled(op)) {
            self.timers.set(Timer::ViewerStalled(op), now + VIEWER_STALLED_AFTER);
        }
        self.timers.set(Timer::ViewerKeepalive(op), now + VIEWER_ALIVE_EVERY);
    }

    pub(in crate::relay) fn viewer_sent(&mut self, op: OpId, messages: usize) {
        let Some(viewer) = self.viewers.by_op.get_mut(&op) else { return };
        viewer.outgoing.sent(messages);
        let is_idle = viewer.outgoing.is_empty();
        self.stream_moved(op, is_idle);
        self.serve_viewer(op);
    }

    pub(in crate::relay) fn stream_moved(&mut self, op: OpId, is_idle: bool) {
        if is_idle {
            self.timers.clear(&Timer::ViewerStalled(op));
        } else {
            self.timers.set(Timer::ViewerStalled(op), self.fx.now().mono + VIEWER_STALLED_AFTER);
        }
    }

    /// A viewer has said something: whatever it is, it is there. From now on it is expected to say
    /// so again and again, because a connection that a phone has left behind looks like one that is
    /// merely quiet, and takes up one of the few places.
    pub(in crate::relay) fn viewer_is_there(&mut self, op: OpId) {
        self.timers.set(Timer::ViewerIdle(op), self.fx.now().mono + VIEWER_SILENT_AFTER);
    }

    pub(in crate::relay) fn say_alive(&mut self, op: OpId) {
        let told = to_text(&SessionFrame::Alive);
        self.timers.set(Timer::ViewerKeepalive(op), self.fx.now().mono + VIEWER_ALIVE_EVERY);
        match self.viewers.by_op.get(&op) {
            // With something on the way, one word more says nothing.
            Some(viewer) if viewer.outgoing.is_empty() => self.send_to_viewer(op, told),
            Some(_) => {}
            None => self.say_overview_alive(op, told),
        }
    }

    pub(in crate::relay) fn forget_viewer(&mut self, op: OpId) {
        let Some(Viewer { session, .. }) = self.viewers.by_op.remove(&op) else { return };
        if let Some(ops) = self.viewers.by_session.get_mut(&session) {
            ops.remove(&op);
            if ops.is_empty() {
                self.viewers.by_session.remove(&session);
            }
        }
    }
}
