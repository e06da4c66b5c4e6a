//! What all WebSockets of the relay have in common.

pub(in crate::relay) mod overviews;
pub(in crate::relay) mod viewers;

use alloc::collections::VecDeque;

use crate::base::id::OpId;
use crate::contract::action::{Action, Message};
use crate::relay::{CLOSE_TIMEOUT, Purpose, Relay, Timer};

/// What is on the way to the other side of a stream.
#[derive(Debug, Default)]
pub(in crate::relay) struct Outgoing {
    messages: VecDeque<usize>,
    bytes: usize,
}

/// What a message counts for beside its content.
const MESSAGE_OVERHEAD: usize = 64;

impl Outgoing {
    pub(in crate::relay) fn add(&mut self, message: &Message) {
        self.messages.push_back(message.len() + MESSAGE_OVERHEAD);
        self.bytes += message.len() + MESSAGE_OVERHEAD;
    }

    pub(in crate::relay) fn sent(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(bytes) = self.messages.pop_front() else { return };
            self.bytes -= bytes;
        }
    }

    pub(in crate::relay) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::relay) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

impl Relay {
    pub(in crate::relay) fn on_opened(&mut self, op: OpId) {
        self.opening.remove(&op);
        match self.fx.purpose(op) {
            Some(Purpose::Link) => self.link_opened(op),
            Some(Purpose::Viewer) => self.viewer_opened(op),
            Some(Purpose::Overview) => self.overview_opened(op),
            Some(Purpose::CloseOnOpen(code)) => self.close_stream(op, code),
            _ => {}
        }
    }

    pub(in crate::relay) fn on_sent(&mut self, op: OpId, messages: usize) {
        match self.fx.purpose(op) {
            Some(Purpose::Link) => self.link_sent(op, messages),
            Some(Purpose::Viewer) => self.viewer_sent(op, messages),
            Some(Purpose::Overview) => self.overview_sent(op, messages),
            _ => {}
        }
    }

    pub(in crate::relay) fn send(&mut self, op: OpId, message: Message) {
        self.fx.act(op, |op| Action::Send { op, message });
    }

    /// Ends a stream in order: whatever still comes by it is dropped.
    pub(in crate::relay) fn close_stream(&mut self, op: OpId, code: u16) {
        if !matches!(
            self.fx.purpose(op),
            Some(Purpose::Link | Purpose::Viewer | Purpose::Overview | Purpose::CloseOnOpen(_))
        ) {
            return;
        }
        self.forget_stream(op);
        if self.opening.contains(&op) {
            self.fx.repurpose(op, Purpose::CloseOnOpen(code));
            return;
        }
        self.fx.repurpose(op, Purpose::Closing);
        self.fx.act(op, |op| Action::Close { op, code });
        self.timers.set(Timer::Closing(op), self.fx.now().mono + CLOSE_TIMEOUT);
    }

    /// Ends a stream without waiting for the other side.
    pub(in crate::relay) fn cut_stream(&mut self, op: OpId) {
        if self.fx.purpose(op).is_some() {
            self.fx.cancel(op);
            self.stream_is_over(op);
        }
    }

    pub(in crate::relay) fn stream_is_over(&mut self, op: OpId) {
        self.forget_stream(op);
        self.opening.remove(&op);
        self.timers.clear(&Timer::Closing(op));
        self.serving = self.serving.saturating_sub(1);
    }

    fn forget_stream(&mut self, op: OpId) {
        let of_viewers =
            [Timer::ViewerKeepalive(op), Timer::ViewerStalled(op), Timer::ViewerIdle(op)];
        for timer in of_viewers.into_iter().chain([Timer::LinkIdle(op), Timer::LinkDrain(op)]) {
            self.timers.clear(&timer);
        }
        self.forget_link(op);
        self.forget_viewer(op);
        self.forget_overview(op);
    }

    pub(in crate::relay) fn close_all_streams(&mut self, code: u16) {
        let links = self.links.ops();
        let viewers = self.viewers.ops();
        let overviews = self.overviews.ops();
        for op in links.into_iter().chain(viewers).chain(overviews) {
            self.close_stream(op, code);
        }
    }
}
