//! Accepting as many requests at once as there is room for.

use alloc::format;
use alloc::string::String;

use super::cx::{Cx, Phase, RETRY_AFTER_FAILURE};
use super::notice::RelayNotice;
use super::purpose::{Engine, Purpose, Timer};
use crate::base::id::OpId;
use crate::base::limits::{ACCEPT_POOL, MAX_EXCHANGES, MAX_REQUEST_BYTES, MAX_STORE_OPERATIONS};
use crate::contract::action::Action;
use crate::contract::event::IoError;
use crate::contract::machine::{MachineError, MachineErrorKind};

/// The listener and its open `Accept`s.
#[derive(Debug)]
pub(super) struct Listener {
    op: OpId,
    accepting: usize,
}

impl Listener {
    pub(super) fn open(engine: &mut Engine, address: String) -> Self {
        let op = engine.fx.start(Purpose::Listener, |op| Action::Listen { op, address });
        Self { op, accepting: 0 }
    }

    pub(super) fn on_listening(cx: &mut Cx, op: OpId, address: String) {
        if cx.engine.fx.purpose(op).is_some() {
            cx.shared.phase = Phase::Serving;
            cx.notify(RelayNotice::Listening { address });
        }
    }

    pub(super) fn on_failed(cx: &mut Cx, failure: Option<IoError>) {
        let address = &cx.shared.config.listen;
        let why = failure.map_or_else(|| "it was closed".into(), |failure| format!("{failure}"));
        let message = format!(
            "the relay cannot listen on {address} ({why}): choose another address with a free port, or stop what uses it"
        );
        cx.engine.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
    }

    /// A request arrived. Returns whether it came through an open `Accept`.
    pub(super) fn on_requested(&mut self, cx: &mut Cx, op: OpId) -> bool {
        if !matches!(cx.engine.fx.purpose(op), Some(Purpose::Accept)) {
            return false;
        }
        self.accept_over();
        cx.engine.fx.repurpose(op, Purpose::Exchange);
        true
    }

    pub(super) fn on_accept_failed(&mut self, cx: &mut Cx) {
        self.accept_over();
        cx.engine.set_timer(Timer::Refill, RETRY_AFTER_FAILURE);
    }

    fn accept_over(&mut self) {
        debug_assert!(self.accepting > 0, "more accepts ended than began");
        self.accepting = self.accepting.saturating_sub(1);
    }

    /// Opens as many `Accept`s as there is room for.
    pub(super) fn refill(&mut self, cx: &mut Cx) {
        let may_refill =
            cx.shared.phase == Phase::Serving && !cx.engine.timers.is_set(&Timer::Refill);
        while may_refill
            && self.accepting < ACCEPT_POOL
            && self.accepting + cx.shared.exchanges.serving() < MAX_EXCHANGES
            && self.accepting + cx.shared.store_calls.under_way() < MAX_STORE_OPERATIONS
        {
            self.accepting += 1;
            let (listener, max_body) = (self.op, MAX_REQUEST_BYTES);
            cx.engine.fx.start(Purpose::Accept, |op| Action::Accept { op, listener, max_body });
        }
    }

    pub(super) fn close(&self, cx: &mut Cx) {
        cx.engine.fx.cancel(self.op);
    }
}
