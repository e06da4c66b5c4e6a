//! The WebSocket of a viewer: frames out, keepalives both ways.

use super::outgoing::Outgoing;
use crate::base::id::OpId;
use crate::base::limits::{VIEWER_ALIVE_EVERY, VIEWER_SILENT_AFTER, VIEWER_STALLED_AFTER};
use crate::base::text::Text;
use crate::contract::action::Message;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::request::offered_protocols;
use crate::relay::purpose::Timer;
use crate::wire::to_text;
use crate::wire::viewer::{PROTOCOL, SessionFrame};

/// Largest message accepted from a viewer; messages mean nothing except that it is alive.
pub(super) const MAX_VIEWER_MESSAGE: usize = 4096;

/// The subprotocol to select for a viewer, if it offers one.
pub(super) fn select_protocol(request: &IncomingRequest) -> Option<&'static str> {
    offered_protocols(request).any(|offer| offer == PROTOCOL).then_some(PROTOCOL)
}

/// One viewer's WebSocket, of a session or of the overview.
#[derive(Debug)]
pub(super) struct ViewerStream {
    op: OpId,
    outgoing: Outgoing,
}

impl ViewerStream {
    pub(super) fn new(op: OpId) -> Self {
        Self { op, outgoing: Outgoing::default() }
    }

    pub(super) fn on_opened(&self, cx: &mut Cx) {
        cx.engine.set_timer(Timer::ViewerKeepalive(self.op), VIEWER_ALIVE_EVERY);
    }

    /// Bytes that may still be sent before the viewer counts as slow.
    pub(super) const fn room(&self, cx: &Cx) -> usize {
        cx.shared.config.stream_credit.saturating_sub(self.outgoing.bytes())
    }

    pub(super) const fn has_room(&self, cx: &Cx) -> bool {
        self.room(cx) > 0
    }

    /// Whether a page is worth reading: half of what is on its way has left. Each read is an
    /// operation of the store, so many small pages would cost more than what they carry; and while
    /// one is read, the other half keeps the viewer busy.
    pub(super) const fn has_room_for_page(&self, cx: &Cx) -> bool {
        self.outgoing.bytes() <= cx.shared.config.stream_credit / 2
    }

    /// Whether everything has arrived.
    pub(super) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Sends a frame, which has to arrive in time. It also shows the viewer that the relay is
    /// alive.
    pub(super) fn send(&mut self, cx: &mut Cx, frame: Text) {
        let message = Message::Text(frame);
        self.outgoing.add(&message);
        if !cx.engine.timers.is_set(&Timer::ViewerStalled(self.op)) {
            cx.engine.set_timer(Timer::ViewerStalled(self.op), VIEWER_STALLED_AFTER);
        }
        cx.engine.set_timer(Timer::ViewerKeepalive(self.op), VIEWER_ALIVE_EVERY);
        cx.send(self.op, message);
    }

    pub(super) fn on_sent(&mut self, cx: &mut Cx, messages: usize) {
        self.outgoing.sent(messages);
        if self.is_idle() {
            cx.engine.timers.clear(&Timer::ViewerStalled(self.op));
        } else {
            cx.engine.set_timer(Timer::ViewerStalled(self.op), VIEWER_STALLED_AFTER);
        }
    }

    /// Sends a keepalive, unless something is already on its way, which serves as one.
    pub(super) fn keep_alive(&mut self, cx: &mut Cx) {
        cx.engine.set_timer(Timer::ViewerKeepalive(self.op), VIEWER_ALIVE_EVERY);
        if self.is_idle() {
            self.send(cx, to_text(&SessionFrame::Alive));
        }
    }

    /// The viewer sent something: whatever it is, the viewer is alive. From now on it is expected
    /// to keep sending, because a connection abandoned by a phone looks the same as a quiet one,
    /// and takes up one of the few slots.
    pub(super) fn touch(&self, cx: &mut Cx) {
        cx.engine.set_timer(Timer::ViewerIdle(self.op), VIEWER_SILENT_AFTER);
    }

    pub(super) fn clear_timers(&self, cx: &mut Cx) {
        let op = self.op;
        for timer in [Timer::ViewerKeepalive(op), Timer::ViewerStalled(op), Timer::ViewerIdle(op)] {
            cx.engine.timers.clear(&timer);
        }
    }
}
