//! The parts that own the relay's connections, and which of them a WebSocket belongs to.

use super::config::RelayKeys;
use super::cx::Cx;
use super::links::Links;
use super::purpose::{Purpose, StreamKind};
use super::push::Push;
use super::refreshes::Refreshes;
use super::streams::overviews::Overviews;
use super::streams::viewers::Viewers;
use super::worker_api::polls::Polls;
use super::worker_api::work_streams::WorkStreams;
use crate::base::id::OpId;
use crate::contract::action::Message;

/// The parts. None of them knows another.
pub(super) struct Parts {
    pub(super) polls: Polls,
    pub(super) work_streams: WorkStreams,
    pub(super) links: Links,
    pub(super) viewers: Viewers,
    pub(super) overviews: Overviews,
    pub(super) refreshes: Refreshes,
    pub(super) push: Push,
}

impl Parts {
    pub(super) fn new(keys: &RelayKeys) -> Self {
        Self {
            polls: Polls::default(),
            work_streams: WorkStreams::default(),
            links: Links::default(),
            viewers: Viewers::default(),
            overviews: Overviews::default(),
            refreshes: Refreshes::default(),
            push: Push::new(keys),
        }
    }

    pub(super) fn on_opened(&mut self, cx: &mut Cx, op: OpId) {
        match cx.engine.fx.purpose(op) {
            Some(Purpose::Opening(kind)) => {
                cx.engine.fx.repurpose(op, Purpose::Stream(kind));
                match kind {
                    StreamKind::Link => self.links.on_opened(cx, op),
                    StreamKind::Viewer => self.viewers.on_opened(cx, op),
                    StreamKind::Overview => self.overviews.on_opened(cx, op),
                    // It is no WebSocket, and open from its beginning.
                    StreamKind::Work => {}
                }
            }
            Some(Purpose::CloseOnOpen(code)) => cx.close_open_stream(op, code),
            _ => {}
        }
    }

    pub(super) fn on_received(&mut self, cx: &mut Cx, op: OpId, message: Message) {
        match self.kind_of(cx, op) {
            Some(StreamKind::Link) => self.links.on_received(cx, op, message),
            Some(StreamKind::Viewer) => {
                if let Some(session) = self.viewers.on_received(cx, op, &message) {
                    self.push.seen(cx, &session);
                }
            }
            Some(StreamKind::Overview) => self.overviews.touch_viewer(cx, op),
            Some(StreamKind::Work) | None => {}
        }
    }

    pub(super) fn on_sent(&mut self, cx: &mut Cx, op: OpId, messages: usize) {
        match self.kind_of(cx, op) {
            Some(StreamKind::Link) => self.links.on_sent(cx, op, messages),
            Some(StreamKind::Viewer) => self.viewers.on_sent(cx, op, messages),
            Some(StreamKind::Overview) => self.overviews.on_sent(cx, op, messages),
            Some(StreamKind::Work) => self.work_streams.on_sent(cx, op, messages),
            None => {}
        }
    }

    /// Something may have waited for its person for long enough.
    pub(super) fn tell(&mut self, cx: &mut Cx) {
        let looked_at = self.viewers.looked_at(cx);
        self.push.on_due(cx, &looked_at);
    }

    /// Nothing has been sent to a viewer for a while.
    pub(super) fn keep_alive(&mut self, cx: &mut Cx, op: OpId) {
        match self.kind_of(cx, op) {
            Some(StreamKind::Viewer) => self.viewers.keep_alive(cx, op),
            Some(StreamKind::Overview) => self.overviews.keep_alive(cx, op),
            Some(StreamKind::Link | StreamKind::Work) | None => {}
        }
    }

    /// Ends a stream in order, or as soon as it is open.
    pub(super) fn close(&mut self, cx: &mut Cx, op: OpId, code: u16) {
        match self.kind_of(cx, op) {
            Some(StreamKind::Link) => self.links.close(cx, op, code),
            Some(StreamKind::Viewer) => self.viewers.close(cx, op, code),
            Some(StreamKind::Overview) => self.overviews.close(cx, op, code),
            Some(StreamKind::Work) => self.work_streams.close(cx, op, code),
            None => cx.close_stream(op, code),
        }
    }

    pub(super) fn close_all(&mut self, cx: &mut Cx, code: u16) {
        for op in self.links.ops() {
            self.links.close(cx, op, code);
        }
        for op in self.viewers.ops() {
            self.viewers.close(cx, op, code);
        }
        for op in self.overviews.ops() {
            self.overviews.close(cx, op, code);
        }
        for op in self.work_streams.ops() {
            self.work_streams.close(cx, op, code);
        }
    }

    /// Ends a stream without waiting for the other side.
    pub(super) fn cut(&mut self, cx: &mut Cx, op: OpId) {
        let kind = self.kind_of(cx, op);
        cx.cut_stream(op);
        if let Some(kind) = kind {
            self.forget(cx, op, kind);
        }
    }

    /// A stream of this kind is over.
    pub(super) fn forget(&mut self, cx: &mut Cx, op: OpId, kind: StreamKind) {
        match kind {
            StreamKind::Link => self.links.forget(cx, op),
            StreamKind::Viewer => self.viewers.forget(cx, op),
            StreamKind::Overview => self.overviews.forget(cx, op),
            StreamKind::Work => self.work_streams.forget(cx, op),
        }
    }

    /// Which part a stream belongs to; `None` if it is closing, or not a stream.
    fn kind_of(&self, cx: &Cx, op: OpId) -> Option<StreamKind> {
        match cx.engine.fx.purpose(op) {
            Some(Purpose::Opening(kind) | Purpose::Stream(kind)) => Some(kind),
            _ => None,
        }
    }
}
