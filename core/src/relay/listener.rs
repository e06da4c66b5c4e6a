//! Accepting as many requests at once as there is room for.

use alloc::format;
use alloc::string::String;

use super::config::RelayConfig;
use super::cx::{Cx, Phase, RETRY_AFTER_FAILURE};
use super::notice::RelayNotice;
use super::purpose::{Engine, Purpose, Timer};
use crate::base::id::OpId;
use crate::base::limits::{
    ACCEPT_POOL, CLIENT_READ_GRACE, CLIENT_READ_RATE, HEAD_TIME, MAX_EXCHANGES,
    MAX_PEOPLES_CONNECTIONS, MAX_PEOPLES_CONNECTIONS_PER_ADDRESS, MAX_STORE_OPERATIONS,
    MAX_STRANGERS_CONNECTIONS, MAX_STRANGERS_CONNECTIONS_PER_ADDRESS, MAX_STRANGERS_REQUESTS,
    MAX_WORKERS_CONNECTIONS, MAX_WORKERS_CONNECTIONS_PER_ADDRESS, STRANGER_READ_GRACE,
    STRANGER_READ_RATE, STRANGERS_PAUSE,
};
use crate::contract::action::Action;
use crate::contract::clients::{ConnectionLimits, ListenLimits, Pace};
use crate::contract::event::IoError;
use crate::contract::machine::{MachineError, MachineErrorKind};

/// The listener and its open `Accept`s.
#[derive(Debug)]
pub(super) struct Listener {
    op: OpId,
    accepting: usize,
}

impl Listener {
    pub(super) fn open(engine: &mut Engine, config: &RelayConfig) -> Self {
        let address = config.listen.clone();
        let limits = listen_limits(config.is_behind_proxy);
        let op = engine.fx.start(Purpose::Listener, |op| Action::Listen { op, address, limits });
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
            let listener = self.op;
            cx.engine.fx.start(Purpose::Accept, |op| Action::Accept { op, listener });
        }
    }

    pub(super) fn close(&self, cx: &mut Cx) {
        cx.engine.fx.cancel(self.op);
    }
}

/// What clients may take up. All connections of a proxy come from one address: it is the proxy that
/// has to bound how many each of its clients gets.
const fn listen_limits(is_behind_proxy: bool) -> ListenLimits {
    let stranger = Pace { grace: STRANGER_READ_GRACE, bytes_per_second: STRANGER_READ_RATE };
    let client = Pace { grace: CLIENT_READ_GRACE, bytes_per_second: CLIENT_READ_RATE };
    ListenLimits {
        head_time: HEAD_TIME,
        strangers: connections(
            MAX_STRANGERS_CONNECTIONS,
            MAX_STRANGERS_CONNECTIONS_PER_ADDRESS,
            stranger,
            is_behind_proxy,
        ),
        strangers_requests: MAX_STRANGERS_REQUESTS,
        strangers_pause: STRANGERS_PAUSE,
        workers: connections(
            MAX_WORKERS_CONNECTIONS,
            MAX_WORKERS_CONNECTIONS_PER_ADDRESS,
            client,
            is_behind_proxy,
        ),
        people: connections(
            MAX_PEOPLES_CONNECTIONS,
            MAX_PEOPLES_CONNECTIONS_PER_ADDRESS,
            client,
            is_behind_proxy,
        ),
    }
}

const fn connections(
    total: usize,
    per_address: usize,
    reading: Pace,
    is_one_address: bool,
) -> ConnectionLimits {
    let per_address = if is_one_address { total } else { per_address };
    ConnectionLimits { total, per_address, reading }
}
