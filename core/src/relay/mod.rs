//! The relay: the server in the middle, as a machine (Y).
//!
//! A request comes in, is routed and authorised, and becomes one store operation; what comes of that
//! is the answer, and what has changed goes to everybody whom it concerns. So the relay itself keeps
//! connections only, and says *accepted* only after the store has said *stored*.
//!
//! ```text
//!   Requested ─▶ http ─▶ worker_api, viewer_api ─▶ Store
//!                                                    │
//!   Reply, Send ◀─ http, link_v1, streams ◀─ fanout ◀─ Stored
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | `config`, `notice` | what a relay is built with, asked and tells |
//! | `tokens` | the relay's own credentials |
//! | `http` | what a request asks for, who may, and what its answer looks like; the page |
//! | `exchange` | a request from its arrival to its answer |
//! | `worker_api` | the workers' side: register, poll, lease (E) |
//! | `viewer_api` | the viewers' side: sessions, messages, questions (M) |
//! | `streams` | what viewers watch (R-2), and what all WebSockets have in common |
//! | `link_v1` | a session's link (S-2) |
//! | `fanout` | who hears of what |
//! | [`store`](crate::store) | what is kept, as operations and their outcomes (Y-2) |
//!
#![doc = include_str!("http.md")]

mod config;
mod exchange;
mod fanout;
mod http;
mod link_v1;
mod notice;
mod streams;
#[cfg(test)]
mod tests;
mod tokens;
mod viewer_api;
mod worker_api;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::sync::Arc;
use core::time::Duration;

pub use self::config::{AccessToken, Asset, RelayConfig, RelayConfigError, RelayKeys};
use self::exchange::{Exchange, Pending};
use self::http::authority::Authority;
use self::link_v1::Links;
pub use self::notice::{RelayCommand, RelayNotice};
use self::streams::overviews::Overviews;
use self::streams::viewers::Viewers;
use self::worker_api::work::Polls;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{
    ACCEPT_POOL, MAX_EXCHANGES, MAX_REQUEST_BYTES, MAX_STORE_OPERATIONS, SHUTDOWN_GRACE,
};
use crate::base::time::{Instant, Now};
use crate::contract::action::Action;
use crate::contract::event::{Event, IoError};
use crate::contract::machine::{Machine, MachineError, MachineErrorKind, Step};
use crate::engine::effects::Effects;
use crate::engine::timer::Timers;
use crate::store::{AccountId, Committed, RelayRun, RelayTime, StoreOp, StorePolicy, Transaction};

/// A relay.
pub struct Relay {
    config: RelayConfig,
    policy: Arc<StorePolicy>,
    authority: Authority,
    fx: Effects<Purpose, RelayNotice>,
    timers: Timers<Timer>,
    phase: Phase,
    listener: OpId,
    /// `Accept`s that are open.
    accepting: usize,
    /// Exchanges and streams that are under way.
    serving: usize,
    /// Store operations that are under way.
    storing: usize,
    run: RelayRun,
    /// The time of the first call, from which the running time is counted.
    started: Option<Instant>,
    is_sweeping: bool,
    /// Sessions that the store failed to read after their link had come or gone.
    unread: BTreeMap<SessionId, AccountId>,
    exchanges: BTreeMap<OpId, Exchange>,
    /// Exchanges that are being turned into WebSockets.
    opening: BTreeSet<OpId>,
    polls: Polls,
    links: Links,
    viewers: Viewers,
    overviews: Overviews,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Serving,
    Stopping,
}

/// What an operation was started for.
#[derive(Clone, Debug)]
enum Purpose {
    Listener,
    Accept,
    Exchange,
    Link,
    Viewer,
    Overview,
    /// A stream that is to be closed with this code as soon as it is open.
    CloseOnOpen(u16),
    /// A stream that is being closed.
    Closing,
    Store(Box<Pending>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The listener failed to take a client: try again.
    Refill,
    /// Something in the store may have lapsed.
    Sweep,
    /// The store failed to read a session: try again.
    Refresh,
    /// A poll has been held for long enough.
    Poll(OpId),
    /// A link has been silent.
    LinkIdle(OpId),
    /// A session has ended, and its link is still open.
    LinkDrain(OpId),
    /// A viewer has heard nothing for a while.
    ViewerKeepalive(OpId),
    /// A viewer's stream makes no progress.
    ViewerStalled(OpId),
    /// A viewer says no more that it is there.
    ViewerIdle(OpId),
    /// A stream does not close.
    Closing(OpId),
    /// The relay has to finish.
    Shutdown,
}

/// How long to wait after the listener or the store failed at something.
const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(1);
/// How long a stream may take to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// The WebSocket close codes that the relay uses beside those of [`crate::wire::link`].
mod close {
    pub(super) const DONE: u16 = 1000;
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const FAILED: u16 = 1011;
    pub(super) const GONE: u16 = 4404;
    pub(super) const LIMIT: u16 = 4429;
}

impl Relay {
    /// A relay that listens as soon as it is driven.
    pub fn new(mut config: RelayConfig, keys: &RelayKeys) -> Result<Self, RelayConfigError> {
        config.check()?;
        let authority = Authority::new(keys, core::mem::take(&mut config.access_tokens));
        let mut fx = Effects::new();
        let address = config.listen.clone();
        let listener = fx.start(Purpose::Listener, |op| Action::Listen { op, address });
        Ok(Self {
            run: authority.mint.run(),
            policy: Arc::new(config.policy),
            config,
            authority,
            fx,
            timers: Timers::new(),
            phase: Phase::Starting,
            listener,
            accepting: 0,
            serving: 0,
            storing: 0,
            started: None,
            is_sweeping: false,
            unread: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            opening: BTreeSet::new(),
            polls: Polls::default(),
            links: Links::default(),
            viewers: Viewers::default(),
            overviews: Overviews::default(),
        })
    }

    fn advance(&mut self, now: Now) {
        self.fx.advance(now);
        let now = self.fx.now();
        self.started.get_or_insert(now.mono);
    }

    /// The time as the store needs it.
    fn moment(&self) -> RelayTime {
        let now = self.fx.now();
        let running = now.mono.saturating_since(self.started.unwrap_or(now.mono));
        let millis = u64::try_from(running.as_millis()).unwrap_or(u64::MAX);
        RelayTime { wall: now.wall, run: self.run, running: Duration::from_millis(millis) }
    }

    /// Asks the store; the answer goes on with `pending`.
    fn store(&mut self, pending: Pending, call: StoreOp) {
        let (at, policy, call) = (self.moment(), self.policy.clone(), Box::new(call));
        let transaction = Transaction { at, policy, op: call };
        let purpose = Purpose::Store(Box::new(pending));
        self.storing += 1;
        self.fx.start(purpose, |op| Action::Store { op, transaction });
    }

    fn on_stored(&mut self, op: OpId, outcome: Committed) {
        let Some(Purpose::Store(pending)) = self.fx.finish(op) else { return };
        self.storing = self.storing.saturating_sub(1);
        if matches!(*pending, Pending::Sweep) {
            self.is_sweeping = false;
        }
        let Committed { answer, changes } = outcome;
        let due = changes.due;
        self.settle_pending(*pending, answer);
        self.spread(*changes);
        self.expect_lapse(due);
    }

    /// Looks after what may lapse in `due`, which is the next such time.
    fn expect_lapse(&mut self, due: Option<Duration>) {
        if self.is_sweeping {
            return;
        }
        match due {
            Some(due) => {
                let at = self.fx.now().mono + due.max(Duration::from_millis(1));
                self.timers.set(Timer::Sweep, at);
            }
            None => self.timers.clear(&Timer::Sweep),
        }
    }

    fn on_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Refill => {}
            Timer::Sweep => {
                self.is_sweeping = true;
                self.store(Pending::Sweep, StoreOp::Lapse);
            }
            Timer::Refresh => self.read_all_anew(),
            Timer::Poll(op) => self.end_poll(op),
            Timer::LinkIdle(op) => self.link_is_quiet(op),
            Timer::LinkDrain(op) => self.close_link(op, close::DONE),
            Timer::ViewerKeepalive(op) => self.say_alive(op),
            Timer::ViewerStalled(op) | Timer::ViewerIdle(op) | Timer::Closing(op) => {
                self.cut_stream(op);
            }
            Timer::Shutdown => self.fx.end(Ok(())),
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Listening { op, address } if self.fx.purpose(op).is_some() => {
                self.phase = Phase::Serving;
                self.fx.notify(RelayNotice::Listening { address });
            }
            Event::Requested { op, request: asked } => self.on_asked(op, &asked),
            Event::Stored { op, committed: outcome } => self.on_stored(op, outcome),
            Event::Opened { op } => self.on_opened(op),
            Event::Received { op, message } => match self.fx.purpose(op) {
                Some(Purpose::Link) => self.link_received(op, message),
                Some(Purpose::Viewer | Purpose::Overview) => self.viewer_is_there(op),
                _ => {}
            },
            Event::Sent { op, messages } => self.on_sent(op, messages),
            Event::Closed { op, .. } => self.on_over(op, None),
            Event::Failed { op, failure } => self.on_over(op, Some(failure)),
            _ => {}
        }
    }

    /// An operation is over by itself.
    fn on_over(&mut self, op: OpId, failure: Option<IoError>) {
        let Some(purpose) = self.fx.finish(op) else { return };
        match purpose {
            Purpose::Listener => self.listener_failed(failure),
            Purpose::Accept => {
                self.accepting = self.accepting.saturating_sub(1);
                self.timers.set(Timer::Refill, self.fx.now().mono + RETRY_AFTER_FAILURE);
            }
            Purpose::Exchange => {
                self.exchanges.remove(&op);
                self.forget_poll(op);
                self.serving = self.serving.saturating_sub(1);
            }
            Purpose::Store(pending) => {
                self.storing = self.storing.saturating_sub(1);
                self.store_failed(*pending, failure);
            }
            Purpose::Link
            | Purpose::Viewer
            | Purpose::Overview
            | Purpose::CloseOnOpen(_)
            | Purpose::Closing => self.stream_is_over(op),
        }
    }

    fn listener_failed(&mut self, failure: Option<IoError>) {
        let address = &self.config.listen;
        let why = failure.map_or_else(|| "it was closed".into(), |failure| format!("{failure}"));
        let message = format!(
            "the relay cannot listen on {address} ({why}): choose another address with a free port, or stop what uses it"
        );
        self.fx.end(Err(MachineError { kind: MachineErrorKind::Local, message }));
    }

    fn store_failed(&mut self, pending: Pending, failure: Option<IoError>) {
        if let Some(failure) = failure {
            self.fx.notify(RelayNotice::StoreFailed { detail: failure.detail });
        }
        if matches!(pending, Pending::Sweep) {
            self.is_sweeping = false;
            self.timers.set(Timer::Sweep, self.fx.now().mono + RETRY_AFTER_FAILURE);
        }
        if let Pending::Refresh { owner, session } = pending {
            return self.read_anew_later(owner, session);
        }
        if let Some(op) = pending.waiting() {
            self.refuse(op, &http::response::ApiError::unavailable());
            self.close_stream(op, close::FAILED);
        }
    }

    fn shutdown(&mut self) {
        if self.phase == Phase::Stopping {
            return;
        }
        self.phase = Phase::Stopping;
        self.fx.cancel(self.listener);
        self.refuse_polls();
        self.close_all_streams(close::GOING_AWAY);
        self.timers.set(Timer::Shutdown, self.fx.now().mono + SHUTDOWN_GRACE);
    }

    /// What every call ends with: due timers, enough open `Accept`s, and the end if it has come.
    fn settle(&mut self) {
        let now = self.fx.now().mono;
        while let Some((timer, _)) = self.timers.pop_due(now) {
            self.on_timer(timer);
        }
        debug_assert!(self.timers.next().is_none_or(|next| next > now), "a timer in the past");
        let is_refilling = !self.timers.is_set(&Timer::Refill);
        while self.phase == Phase::Serving
            && is_refilling
            && self.accepting < ACCEPT_POOL
            && self.accepting + self.serving < MAX_EXCHANGES
            && self.accepting + self.storing < MAX_STORE_OPERATIONS
        {
            self.accepting += 1;
            let (listener, max_body) = (self.listener, MAX_REQUEST_BYTES);
            self.fx.start(Purpose::Accept, |op| Action::Accept { op, listener, max_body });
        }
        if self.phase == Phase::Stopping && self.serving == 0 {
            self.fx.end(Ok(()));
        }
    }
}

impl Machine for Relay {
    type Command = RelayCommand;
    type Notice = RelayNotice;

    fn command(&mut self, now: Now, command: RelayCommand) {
        if self.fx.is_ended() {
            return;
        }
        self.advance(now);
        match command {
            RelayCommand::Shutdown => self.shutdown(),
        }
        self.settle();
    }

    fn handle(&mut self, now: Now, event: Event) {
        if self.fx.is_ended() {
            return;
        }
        self.advance(now);
        self.on_event(event);
        self.settle();
    }

    fn step(&mut self) -> Step<RelayNotice> {
        self.fx.step(self.timers.next())
    }
}
