//! Viewers watching all of their environments and sessions.
//!
//! One that is too slow for the changes is sent nothing until everything on its way has arrived,
//! and then the whole state again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::viewer_stream::{MAX_VIEWER_MESSAGE, ViewerStream, alive_every, select_protocol};
use crate::base::id::OpId;
use crate::base::text::Text;
use crate::contract::event::IncomingRequest;
use crate::relay::close;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::require_websocket;
use crate::relay::pending::Pending;
use crate::relay::purpose::StreamKind;
use crate::store::{AccountId, Answer, StoreError, StoreOp};
use crate::wire::to_text;
use crate::wire::viewer::{EnvironmentView, OverviewFrame};

/// The viewers of overviews.
#[derive(Default)]
pub(in crate::relay) struct Overviews {
    by_op: BTreeMap<OpId, Overview>,
}

struct Overview {
    owner: AccountId,
    state: State,
    stream: ViewerStream,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The WebSocket is not open yet.
    Opening,
    /// The store was asked for the whole state.
    Reading,
    /// It has the whole state, and is sent each change.
    Current,
    /// It missed a change.
    Stale,
}

impl Overviews {
    pub(in crate::relay) fn watch(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        request: &IncomingRequest,
        query: &str,
        owner: AccountId,
    ) -> Result<(), ApiError> {
        require_websocket(request)?;
        let alive_every = alive_every(query)?;
        let protocol = select_protocol(request);
        let watching = self.by_op.values().filter(|other| other.owner == owner).count();
        if watching >= cx.shared.config.max_subscribers {
            cx.upgrade_and_close(op, close::LIMIT, protocol, MAX_VIEWER_MESSAGE);
        } else if cx.upgrade(op, StreamKind::Overview, protocol, MAX_VIEWER_MESSAGE) {
            let stream = ViewerStream::new(cx, op, alive_every);
            self.by_op.insert(op, Overview { owner, state: State::Opening, stream });
        }
        Ok(())
    }

    pub(in crate::relay) fn on_opened(&mut self, cx: &mut Cx, op: OpId) {
        let Some(overview) = self.by_op.get_mut(&op) else { return };
        overview.stream.on_opened(cx);
        overview.read(cx, op);
    }

    pub(in crate::relay) fn on_read(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        answer: Result<Answer, StoreError>,
    ) {
        let Ok(Answer::Overview { environments, sessions }) = answer else { return };
        let Some(overview) = self.by_op.get_mut(&op) else { return };
        let environments = environments.iter().map(EnvironmentView::from).collect();
        let sessions = sessions.iter().map(|session| cx.view(session)).collect();
        let frame = to_text(&OverviewFrame::Overview { environments, sessions });
        overview.state = State::Current;
        overview.stream.send(cx, frame);
    }

    /// Sends a change to everybody it belongs to. While the store is reading, the change is in its
    /// answer or comes after it: the store answers in order.
    pub(in crate::relay) fn on_changed(&mut self, cx: &mut Cx, owner: &AccountId, frame: &Text) {
        for overview in self.by_op.values_mut() {
            if overview.owner != *owner || overview.state != State::Current {
                continue;
            }
            if overview.stream.has_room(cx) {
                overview.stream.send(cx, frame.clone());
            } else {
                overview.state = State::Stale;
            }
        }
    }

    pub(in crate::relay) fn on_sent(&mut self, cx: &mut Cx, op: OpId, messages: usize) {
        let Some(overview) = self.by_op.get_mut(&op) else { return };
        overview.stream.on_sent(cx, messages);
        if overview.stream.is_idle() && overview.state == State::Stale {
            overview.read(cx, op);
        }
    }

    pub(in crate::relay) fn touch_viewer(&self, cx: &mut Cx, op: OpId) {
        if let Some(overview) = self.by_op.get(&op) {
            overview.stream.touch(cx);
        }
    }

    pub(in crate::relay) fn keep_alive(&mut self, cx: &mut Cx, op: OpId) {
        if let Some(overview) = self.by_op.get_mut(&op) {
            overview.stream.keep_alive(cx);
        }
    }

    pub(in crate::relay) fn close(&mut self, cx: &mut Cx, op: OpId, code: u16) {
        self.forget(cx, op);
        cx.close_stream(op, code);
    }

    /// A stream of the overview is over, or about to be.
    pub(in crate::relay) fn forget(&mut self, cx: &mut Cx, op: OpId) {
        if let Some(Overview { stream, .. }) = self.by_op.remove(&op) {
            stream.end(cx);
        }
    }

    pub(in crate::relay) fn ops(&self) -> Vec<OpId> {
        self.by_op.keys().copied().collect()
    }
}

impl Overview {
    fn read(&mut self, cx: &mut Cx, op: OpId) {
        self.state = State::Reading;
        let owner = self.owner.clone();
        cx.store(Pending::Overview { op }, StoreOp::List { owner });
    }
}
