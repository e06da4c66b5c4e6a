//! The WebSocket of a viewer: frames out, keepalives both ways.

use core::time::Duration;

use super::outgoing::Outgoing;
use crate::base::id::OpId;
use crate::base::limits::{
    MIN_VIEWER_ALIVE_EVERY, VIEWER_ALIVE_EVERY, VIEWER_SILENT_AFTER, VIEWER_STALLED_AFTER,
};
use crate::base::text::Text;
use crate::contract::action::Message;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{offered_protocols, query_number};
use crate::relay::purpose::Timer;
use crate::wire::to_text;
use crate::wire::viewer::{PROTOCOL, SessionFrame};

/// Largest message accepted from a viewer; messages mean nothing except that it is alive.
pub(super) const MAX_VIEWER_MESSAGE: usize = 4096;

/// The subprotocol to select for a viewer, if it offers one.
pub(super) fn select_protocol(request: &IncomingRequest) -> Option<&'static str> {
    offered_protocols(request).any(|offer| offer == PROTOCOL).then_some(PROTOCOL)
}

/// How often a viewer wants to be sent something, from the `alive` of its query, in seconds.
pub(super) fn alive_every(query: &str) -> Result<Duration, ApiError> {
    let wanted = query_number(query, "alive")?.map(Duration::from_secs);
    let within = |wanted: Duration| wanted.clamp(MIN_VIEWER_ALIVE_EVERY, VIEWER_ALIVE_EVERY);
    Ok(wanted.map_or(VIEWER_ALIVE_EVERY, within))
}

/// One viewer's WebSocket, of a session or of the overview.
#[derive(Debug)]
pub(super) struct ViewerStream {
    op: OpId,
    /// How often it is sent something.
    alive_every: Duration,
    outgoing: Outgoing,
    /// An event larger than its credit is on its way.
    has_large: bool,
}

impl ViewerStream {
    pub(super) fn new(cx: &mut Cx, op: OpId, alive_every: Duration) -> Self {
        cx.shared.watching.begin_stream();
        Self { op, alive_every, outgoing: Outgoing::default(), has_large: false }
    }

    /// Bytes that may be on their way to a viewer.
    pub(super) fn credit(cx: &Cx) -> usize {
        cx.shared.watching.credit(cx.shared.config.stream_credit)
    }

    /// Makes room for an event, if it is larger than the credit. Returns whether there is any.
    pub(super) fn makes_room(&mut self, cx: &mut Cx, bytes: usize) -> bool {
        if bytes <= Self::credit(cx) || self.has_large {
            return true;
        }
        self.has_large = cx.shared.watching.large_left() > 0;
        if self.has_large {
            cx.shared.watching.begin_large();
        }
        self.has_large
    }

    fn large_over(&mut self, cx: &mut Cx) {
        if core::mem::take(&mut self.has_large) {
            cx.shared.watching.end_large();
        }
    }

    pub(super) fn on_opened(&self, cx: &mut Cx) {
        cx.engine.set_timer(Timer::ViewerKeepalive(self.op), self.alive_every);
    }

    /// Bytes that may still be sent before the viewer counts as slow.
    pub(super) fn room(&self, cx: &Cx) -> usize {
        Self::credit(cx).saturating_sub(self.outgoing.bytes())
    }

    pub(super) fn has_room(&self, cx: &Cx) -> bool {
        self.room(cx) > 0
    }

    /// Whether a page is worth reading: half of what is on its way has left. Each read is an
    /// operation of the store, so many small pages would cost more than what they carry; and while
    /// one is read, the other half keeps the viewer busy.
    pub(super) fn has_room_for_page(&self, cx: &Cx) -> bool {
        self.outgoing.bytes() <= Self::credit(cx) / 2
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
        cx.engine.set_timer(Timer::ViewerKeepalive(self.op), self.alive_every);
        cx.send(self.op, message);
    }

    pub(super) fn on_sent(&mut self, cx: &mut Cx, messages: usize) {
        self.outgoing.sent(messages);
        if self.is_idle() {
            self.large_over(cx);
            cx.engine.timers.clear(&Timer::ViewerStalled(self.op));
        } else {
            cx.engine.set_timer(Timer::ViewerStalled(self.op), VIEWER_STALLED_AFTER);
        }
    }

    /// Sends a keepalive, unless something is already on its way, which serves as one.
    pub(super) fn keep_alive(&mut self, cx: &mut Cx) {
        cx.engine.set_timer(Timer::ViewerKeepalive(self.op), self.alive_every);
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

    /// It is over.
    pub(super) fn end(mut self, cx: &mut Cx) {
        self.large_over(cx);
        cx.shared.watching.end_stream();
        let op = self.op;
        for timer in [Timer::ViewerKeepalive(op), Timer::ViewerStalled(op), Timer::ViewerIdle(op)] {
            cx.engine.timers.clear(&timer);
        }
    }
}
