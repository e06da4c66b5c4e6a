//! Viewers of one session: its log from any point on, then as it grows (R-2, Y-5).
//!
//! A viewer is a cursor into the log. While it keeps up, new events are sent to it as they are
//! stored. When too much is on its way, it is sent nothing more, and what it missed is read from
//! the store once there is room again. So it never costs more than its credit, and never sees a
//! hole.
//!
//! ```text
//!   Opening ──▶ Starting ──▶ CatchingUp ──▶ Live
//!          opened     first page      cursor at the end that the first page named
//! ```

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::viewer_stream::{MAX_VIEWER_MESSAGE, ViewerStream, alive_every, select_protocol};
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{LOOKED_AT_FOR, MAX_PAGE_EVENTS};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::Message;
use crate::contract::event::IncomingRequest;
use crate::relay::close;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{query_number, query_value, require_websocket};
use crate::relay::pending::{Pending, Subscribing};
use crate::relay::purpose::StreamKind;
use crate::relay::viewer_api::callback::check_client;
use crate::store::{AccountId, Answer, OpenCallback, Page, StoreError, StoreOp};
use crate::wire::to_text;
use crate::wire::viewer::{Receipts, SessionFrame, ViewerAlive};

/// The viewers of sessions.
#[derive(Default)]
pub(in crate::relay) struct Viewers {
    by_op: BTreeMap<OpId, Viewer>,
    by_session: BTreeMap<SessionId, BTreeSet<OpId>>,
    /// Those that wait until a page can be read for them.
    waiting: VecDeque<OpId>,
    /// Those whose next event is larger than their credit, and has to wait for others.
    held_up: VecDeque<OpId>,
}

struct Viewer {
    session: SessionId,
    owner: AccountId,
    /// Its id, if it says so: the agent may ask it (M-6).
    client: Option<String>,
    /// When it last said that a person looks at it.
    looked_at: Option<Instant>,
    /// The last event that it was told to answer.
    asked: u64,
    /// The last event sent.
    cursor: u64,
    /// The last event known to exist.
    until: u64,
    stage: Stage,
    snapshot: Snapshot,
    page: PageRead,
    stream: ViewerStream,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The WebSocket is not open yet.
    Opening,
    /// How far the log reaches is not known yet.
    Starting,
    /// Everything stored when the subscription began is being sent, up to this event.
    CatchingUp { end: u64 },
    /// All of that has been sent, and the viewer was told so.
    Live,
}

/// Whether the viewer has the session's current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Snapshot {
    Due,
    Sent,
}

/// Whether the store is reading a page for the viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageRead {
    Idle,
    /// Others come first.
    Waiting,
    UnderWay,
}

pub(in crate::relay) fn subscribe(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    query: &str,
    owner: AccountId,
    session: SessionId,
) -> Result<(), ApiError> {
    require_websocket(request)?;
    let after = query_number(query, "after")?.unwrap_or(0);
    let client = query_value(query, "client").map(String::from);
    client.as_deref().map_or(Ok(()), check_client)?;
    let read = StoreOp::GetSession { owner: owner.clone(), id: session.clone() };
    let protocol = select_protocol(request);
    let alive_every = alive_every(query)?;
    let subscribing = Subscribing { session, owner, after, client, alive_every, protocol };
    cx.store(Pending::Subscribe { op, subscribing }, read);
    Ok(())
}

impl Viewers {
    pub(in crate::relay) fn on_subscribed(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        subscribing: Subscribing,
        answer: &Result<Answer, StoreError>,
    ) {
        let Subscribing { session, owner, after, client, alive_every, protocol } = subscribing;
        if answer.is_err() {
            return cx.upgrade_and_close(op, close::GONE, protocol, MAX_VIEWER_MESSAGE);
        }
        if self.of(&session).len() >= cx.shared.config.max_subscribers {
            return cx.upgrade_and_close(op, close::LIMIT, protocol, MAX_VIEWER_MESSAGE);
        }
        if !cx.upgrade(op, StreamKind::Viewer, protocol, MAX_VIEWER_MESSAGE) {
            return;
        }
        self.by_session.entry(session.clone()).or_default().insert(op);
        let viewer = Viewer {
            session,
            owner,
            client,
            looked_at: None,
            asked: 0,
            cursor: after,
            until: after,
            stage: Stage::Opening,
            snapshot: Snapshot::Due,
            page: PageRead::Idle,
            stream: ViewerStream::new(cx, op, alive_every),
        };
        self.by_op.insert(op, viewer);
    }

    pub(in crate::relay) fn on_opened(&mut self, cx: &mut Cx, op: OpId) {
        let Some(viewer) = self.by_op.get_mut(&op) else { return };
        viewer.stage = Stage::Starting;
        viewer.stream.on_opened(cx);
        self.read_on(cx, op);
    }

    pub(in crate::relay) fn on_page(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        answer: Result<Answer, StoreError>,
    ) {
        cx.shared.watching.end_read();
        match (answer, self.by_op.get_mut(&op)) {
            (Ok(Answer::Page(page)), Some(viewer)) => {
                let first = page.entries.first().map_or(0, |entry| entry.line.len());
                if viewer.stream.makes_room(cx, first) {
                    viewer.send_page(cx, &page);
                    self.read_on(cx, op);
                } else {
                    viewer.page = PageRead::Waiting;
                    self.held_up.push_back(op);
                }
            }
            (Ok(Answer::Page(_)), None) => {}
            _ => self.close(cx, op, close::GONE),
        }
        self.read_waiting(cx);
    }

    /// The store failed to read a page; whoever it was for is about to be closed.
    pub(in crate::relay) fn on_page_failed(&mut self, cx: &mut Cx) {
        cx.shared.watching.end_read();
        self.read_waiting(cx);
    }

    /// Reads the next page for a viewer that is behind, now or when it is its turn.
    fn read_on(&mut self, cx: &mut Cx, op: OpId) {
        let Some(viewer) = self.by_op.get_mut(&op) else { return };
        if !viewer.wants_page(cx) {
            return;
        }
        if cx.shared.watching.may_read() {
            viewer.read_page(cx, op);
        } else {
            viewer.page = PageRead::Waiting;
            self.waiting.push_back(op);
        }
    }

    /// Reads pages for those who wait, as far as there is room.
    fn read_waiting(&mut self, cx: &mut Cx) {
        if cx.is_stopping() {
            return;
        }
        for _ in 0..cx.shared.watching.large_left() {
            let Some(op) = self.held_up.pop_front() else { break };
            self.waiting.push_back(op);
        }
        while cx.shared.watching.may_read() {
            let Some(op) = self.waiting.pop_front() else { return };
            let Some(viewer) = self.by_op.get_mut(&op) else { continue };
            viewer.page = PageRead::Idle;
            if viewer.wants_page(cx) {
                viewer.read_page(cx, op);
            }
        }
    }

    /// Sends a new event to every viewer that has all earlier ones and room for it.
    pub(in crate::relay) fn on_appended(
        &mut self,
        cx: &mut Cx,
        session: &SessionId,
        seq: u64,
        frame: &Text,
    ) {
        for op in self.of(session) {
            let Some(viewer) = self.by_op.get_mut(&op) else { continue };
            viewer.until = viewer.until.max(seq);
            if !viewer.awaits(seq) || !viewer.stream.has_room(cx) {
                continue;
            }
            if frame.len() > ViewerStream::credit(cx) {
                self.read_on(cx, op);
                continue;
            }
            viewer.cursor = seq;
            viewer.stream.send(cx, frame.clone());
        }
    }

    /// The agent asks the client that has declared its hooks or MCP servers, by an event that was sent
    /// to it just now, or will be with a page.
    pub(in crate::relay) fn on_callback(
        &mut self,
        cx: &mut Cx,
        session: &SessionId,
        answerer: &str,
        callback: &OpenCallback,
    ) {
        for op in self.of(session) {
            let Some(viewer) = self.by_op.get_mut(&op) else { continue };
            if viewer.client.as_deref() == Some(answerer) {
                viewer.ask(cx, callback);
            }
        }
    }

    /// The clients that are connected to a session, as far as they say who they are.
    pub(in crate::relay) fn clients_of(&self, session: &SessionId) -> Vec<String> {
        let viewers = self.of(session).into_iter().filter_map(|op| self.by_op.get(&op));
        viewers.filter_map(|viewer| viewer.client.clone()).collect()
    }

    /// Reads what viewers of a session have missed, for those with room for it.
    pub(in crate::relay) fn catch_up(&mut self, cx: &mut Cx, session: &SessionId) {
        for op in self.of(session) {
            self.read_on(cx, op);
        }
    }

    /// The session has changed; viewers without room for the update get it later.
    pub(in crate::relay) fn on_changed(&mut self, cx: &mut Cx, session: &SessionId, frame: &Text) {
        for op in self.of(session) {
            let Some(viewer) = self.by_op.get_mut(&op) else { continue };
            let is_open = viewer.stage != Stage::Opening;
            if is_open && viewer.snapshot == Snapshot::Sent && viewer.stream.has_room(cx) {
                viewer.stream.send(cx, frame.clone());
            } else {
                viewer.snapshot = Snapshot::Due;
            }
        }
    }

    /// What viewers sent has come further.
    pub(in crate::relay) fn on_receipts(
        &mut self,
        cx: &mut Cx,
        session: &SessionId,
        receipts: Receipts,
    ) {
        if self.has_any(session) {
            let frame = to_text(&SessionFrame::Receipts { receipts });
            self.on_changed(cx, session, &frame);
        }
    }

    pub(in crate::relay) fn on_sent(&mut self, cx: &mut Cx, op: OpId, messages: usize) {
        let Some(viewer) = self.by_op.get_mut(&op) else { return };
        viewer.stream.on_sent(cx, messages);
        self.read_on(cx, op);
        self.read_waiting(cx);
    }

    /// A viewer has sent something: it is alive, and may say whether a person looks at it. Returns the
    /// session if one does.
    pub(in crate::relay) fn on_received(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        message: &Message,
    ) -> Option<SessionId> {
        let viewer = self.by_op.get_mut(&op)?;
        viewer.stream.touch(cx);
        let Message::Text(text) = message else { return None };
        let ViewerAlive { visible } = serde_json::from_str(text.as_str()).ok()?;
        viewer.looked_at = visible.then(|| cx.now());
        visible.then(|| viewer.session.clone())
    }

    /// The sessions that somebody looks at.
    pub(in crate::relay) fn looked_at(&self, cx: &Cx) -> BTreeSet<SessionId> {
        let now = cx.now();
        let is_fresh = |at: Instant| now.saturating_since(at) < LOOKED_AT_FOR;
        let viewers = self.by_op.values();
        let looked_at = viewers.filter(|viewer| viewer.looked_at.is_some_and(is_fresh));
        looked_at.map(|viewer| viewer.session.clone()).collect()
    }

    pub(in crate::relay) fn keep_alive(&mut self, cx: &mut Cx, op: OpId) {
        if let Some(viewer) = self.by_op.get_mut(&op) {
            viewer.stream.keep_alive(cx);
        }
    }

    pub(in crate::relay) fn close(&mut self, cx: &mut Cx, op: OpId, code: u16) {
        self.forget(cx, op);
        cx.close_stream(op, code);
    }

    /// A viewer's stream is over, or about to be.
    pub(in crate::relay) fn forget(&mut self, cx: &mut Cx, op: OpId) {
        let Some(Viewer { session, stream, .. }) = self.by_op.remove(&op) else { return };
        stream.end(cx);
        self.waiting.retain(|waiting| *waiting != op);
        self.held_up.retain(|waiting| *waiting != op);
        self.read_waiting(cx);
        if let Some(ops) = self.by_session.get_mut(&session) {
            ops.remove(&op);
            if ops.is_empty() {
                self.by_session.remove(&session);
            }
        }
    }

    pub(in crate::relay) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }

    /// The viewers of this session.
    pub(in crate::relay) fn of(&self, session: &SessionId) -> Vec<OpId> {
        self.by_session.get(session).into_iter().flatten().copied().collect()
    }

    pub(in crate::relay) fn has_any(&self, session: &SessionId) -> bool {
        self.by_session.contains_key(session)
    }
}

impl Viewer {
    /// Whether this is the very next event for a viewer that has kept up.
    fn awaits(&self, seq: u64) -> bool {
        self.stage == Stage::Live && self.page == PageRead::Idle && self.cursor + 1 == seq
    }

    /// Whether it is behind, and has room for a page.
    fn wants_page(&self, cx: &Cx) -> bool {
        let is_behind = self.snapshot == Snapshot::Due || self.cursor < self.until;
        let may_read = self.stage != Stage::Opening && self.page == PageRead::Idle;
        may_read && is_behind && self.stream.has_room_for_page(cx)
    }

    fn read_page(&mut self, cx: &mut Cx, op: OpId) {
        cx.shared.watching.begin_read();
        self.page = PageRead::UnderWay;
        let (owner, session) = (self.owner.clone(), self.session.clone());
        let (after, max_events) = (self.cursor, MAX_PAGE_EVENTS);
        let read =
            StoreOp::ReadLog { owner, session, after, max_events, max_bytes: self.stream.room(cx) };
        cx.store(Pending::Page { op }, read);
    }

    fn send_page(&mut self, cx: &mut Cx, page: &Page) {
        self.page = PageRead::Idle;
        let last_seq = page.session.last_seq;
        if self.stage == Stage::Starting {
            // A viewer that claims to have more than exists gets whatever comes next.
            self.stage = Stage::CatchingUp { end: last_seq };
            self.cursor = self.cursor.min(last_seq);
            self.until = last_seq;
        }
        self.until = self.until.max(last_seq);
        if self.snapshot == Snapshot::Due {
            self.snapshot = Snapshot::Sent;
            let session = cx.view(&page.session);
            self.stream.send(cx, to_text(&SessionFrame::Session { session }));
        }
        self.skip_gap(cx, page.session.first_seq);
        for entry in &page.entries {
            self.cursor = entry.seq;
            self.stream.send(cx, SessionFrame::event(&entry.into()));
        }
        let callbacks = &page.session.callbacks;
        if self.client.is_some() && self.client == callbacks.answerer {
            callbacks.open.iter().for_each(|callback| self.ask(cx, callback));
        }
        if let Stage::CatchingUp { end } = self.stage
            && self.cursor >= end
        {
            self.stage = Stage::Live;
            self.stream.send(cx, to_text(&SessionFrame::Live { seq: end }));
        }
    }

    /// Tells the client to answer an event that it has, once on each connection.
    fn ask(&mut self, cx: &mut Cx, OpenCallback { request_id, seq }: &OpenCallback) {
        // What it claims to have is not known before the first page.
        let is_known = matches!(self.stage, Stage::CatchingUp { .. } | Stage::Live);
        if is_known && (self.asked + 1..=self.cursor).contains(seq) {
            self.asked = *seq;
            let request_id = Cow::Borrowed(request_id.as_str());
            self.stream.send(cx, to_text(&SessionFrame::Callback { request_id, seq: *seq }));
        }
    }

    /// Tells the viewer if retention has dropped the events it would have seen next.
    fn skip_gap(&mut self, cx: &mut Cx, first_seq: u64) {
        let (after, resumes_after) = (self.cursor, first_seq.saturating_sub(1));
        if resumes_after > after {
            self.cursor = resumes_after;
            self.stream.send(cx, to_text(&SessionFrame::Gap { after, resumes_after }));
        }
    }
}
