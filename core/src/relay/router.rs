//! The relay as a role: routes each event, timer and command to the part it concerns.

use super::bodies::Bodies;
use super::close;
use super::config::{RelayConfig, RelayKeys};
use super::cx::{Cx, Phase, RETRY_AFTER_FAILURE, Shared};
use super::devices::Devices;
use super::dispatch;
use super::exchange::Exchanges;
use super::fanout;
use super::guesses::Guesses;
use super::http::assets::Page;
use super::http::authority::Authority;
use super::http::site::Site;
use super::listener::Listener;
use super::notice::{RelayCommand, RelayNotice};
use super::oauth::LogIns;
use super::oidc;
use super::oidc::known::Oidc;
use super::parts::Parts;
use super::pending::Pending;
use super::people;
use super::purpose::{Engine, Purpose, Timer};
use super::sign_in;
use super::stopping;
use super::stops::Stops;
use super::store_calls::StoreCalls;
use super::streams::watching::Watching;
use crate::base::id::OpId;
use crate::base::limits::SHUTDOWN_GRACE;
use crate::contract::event::{Event, IncomingRequest, IoError};
use crate::engine::runner::{Role, Slept};
use crate::store::{Committed, StoreOp};

/// A relay, without the loop around it.
pub(super) struct Router {
    shared: Shared,
    listener: Listener,
    parts: Parts,
}

impl Router {
    /// `config` has already been checked.
    pub(super) fn new(mut config: RelayConfig, keys: &RelayKeys, engine: &mut Engine) -> Self {
        let authority = Authority::new(keys, core::mem::take(&mut config.access_tokens));
        let listener = Listener::open(engine, &config);
        let shared = Shared {
            store_calls: StoreCalls::new(config.policy, authority.issuer.run()),
            site: Site::new(&config),
            page: Page::new(config.assets),
            config,
            authority,
            bodies: Bodies::default(),
            log_ins: LogIns::default(),
            oidc: Oidc::default(),
            devices: Devices::default(),
            guesses: Guesses::default(),
            watching: Watching::default(),
            phase: Phase::Starting,
            exchanges: Exchanges::default(),
            ending: alloc::vec::Vec::new(),
            stops: Stops::default(),
            connected: alloc::collections::BTreeSet::new(),
        };
        Self { shared, listener, parts: Parts::new(keys) }
    }

    fn shutdown(&mut self, engine: &mut Engine) {
        let Self { shared, listener, parts } = self;
        let cx = &mut Cx::new(engine, shared);
        if cx.is_stopping() {
            return;
        }
        cx.shared.phase = Phase::Stopping;
        cx.notify(RelayNotice::ShuttingDown { requests: cx.shared.exchanges.serving() });
        listener.close(cx);
        parts.polls.refuse_all(cx);
        dispatch::refuse_unread(cx);
        parts.close_all(cx, close::GOING_AWAY);
        cx.engine.set_timer(Timer::Shutdown, SHUTDOWN_GRACE);
    }

    fn on_requested(&mut self, engine: &mut Engine, op: OpId, request: IncomingRequest) {
        let Self { shared, listener, parts } = self;
        let cx = &mut Cx::new(engine, shared);
        if listener.on_requested(cx, op) {
            dispatch::on_request(parts, cx, op, request);
        }
    }

    fn on_stored(&mut self, engine: &mut Engine, op: OpId, committed: Committed) {
        let Self { shared, parts, .. } = self;
        let cx = &mut Cx::new(engine, shared);
        let Some(Purpose::Store(pending, writes)) = cx.engine.fx.finish(op) else { return };
        cx.shared.store_calls.over(&pending);
        cx.shared.store_calls.kept(cx.engine.fx.now().mono, writes);
        let Committed { answer, changes } = committed;
        let due = changes.due;
        dispatch::on_answer(parts, cx, *pending, answer);
        fanout::fan_out(parts, cx, *changes);
        cx.shared.store_calls.schedule_sweep(cx.engine, due);
    }

    /// An operation ended by itself.
    fn on_over(&mut self, engine: &mut Engine, op: OpId, failure: Option<IoError>) {
        let Self { shared, listener, parts } = self;
        let cx = &mut Cx::new(engine, shared);
        let Some(purpose) = cx.engine.fx.finish(op) else { return };
        match purpose {
            Purpose::Listener => Listener::on_failed(cx, failure),
            Purpose::Accept => listener.on_accept_failed(cx),
            Purpose::Exchange => {
                cx.shared.exchanges.abandoned(op);
                cx.shared.bodies.over(op);
                cx.shared.devices.over(op);
                parts.polls.forget(cx, op);
            }
            Purpose::Opening(kind) | Purpose::Stream(kind) => {
                parts.forget(cx, op, kind);
                cx.stream_over(op);
            }
            Purpose::CloseOnOpen(_) | Purpose::Closing => cx.stream_over(op),
            Purpose::Push => {
                if let Some(failure) = failure {
                    parts.push.on_failed(cx, op, &failure);
                }
            }
            Purpose::Oidc(call) => {
                if let Some(failure) = failure {
                    oidc::on_failed(cx, *call, &failure);
                }
            }
            Purpose::Store(pending, writes) => {
                cx.shared.store_calls.over(&pending);
                let now = cx.now();
                let report = failure
                    .as_ref()
                    .and_then(|failure| cx.shared.store_calls.failed(now, failure, writes));
                if let Some(report) = report {
                    cx.notify(report);
                }
                if matches!(*pending, Pending::Sweep) {
                    cx.engine.set_timer(Timer::Sweep, RETRY_AFTER_FAILURE);
                }
                dispatch::on_store_failed(parts, cx, *pending, failure.as_ref());
            }
        }
    }
}

impl Role for Router {
    type Command = RelayCommand;
    type Notice = RelayNotice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, engine: &mut Engine, command: RelayCommand) {
        match command {
            RelayCommand::Shutdown => self.shutdown(engine),
            RelayCommand::MakeSignInCode => {
                let cx = &mut Cx::new(engine, &mut self.shared);
                if let Some(code) = sign_in::code_for_program(cx) {
                    cx.notify(RelayNotice::SignInCode { code });
                }
            }
            RelayCommand::SetPeople { people, gone } => {
                let Self { shared, parts, .. } = self;
                people::set(parts, &mut Cx::new(engine, shared), people, gone);
            }
            RelayCommand::SetCertifiedNames { names } => self.shared.site.set_certified(&names),
            RelayCommand::SetOidcPeople { people } => {
                if let Some(oidc) = &mut self.shared.config.oidc {
                    oidc.people = people;
                }
            }
        }
    }

    fn on_event(&mut self, engine: &mut Engine, event: Event) {
        match event {
            Event::Requested { op, request } => return self.on_requested(engine, op, request),
            Event::Stored { op, committed } => return self.on_stored(engine, op, committed),
            Event::Closed { op, .. } => return self.on_over(engine, op, None),
            Event::Failed { op, failure } => return self.on_over(engine, op, Some(failure)),
            _ => {}
        }
        let Self { shared, parts, .. } = self;
        let cx = &mut Cx::new(engine, shared);
        match event {
            Event::Listening { op, address } => Listener::on_listening(cx, op, address),
            Event::BodyRead { op, body } => dispatch::on_body(parts, cx, op, body),
            Event::Response { op, response } => match cx.engine.fx.purpose(op) {
                Some(Purpose::Oidc(call)) => {
                    cx.engine.fx.finish(op);
                    oidc::on_response(cx, *call, &response);
                }
                _ => parts.push.on_response(cx, op, &response),
            },
            Event::Opened { op } => parts.on_opened(cx, op),
            Event::Received { op, message } => parts.on_received(cx, op, message),
            Event::Sent { op, messages } => parts.on_sent(cx, op, messages),
            Event::StoreChanged { changes } => {
                let due = changes.due;
                fanout::fan_out_of_others(parts, cx, *changes);
                cx.shared.store_calls.schedule_sweep(cx.engine, due);
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, engine: &mut Engine, timer: Timer) {
        let Self { shared, parts, .. } = self;
        let cx = &mut Cx::new(engine, shared);
        match timer {
            // Settling takes care of it.
            Timer::Refill => {}
            Timer::Sweep => cx.store(Pending::Sweep, StoreOp::Lapse),
            Timer::Refresh => parts.refreshes.on_timer(cx),
            Timer::EndAccounts => people::on_timer(cx),
            Timer::Stops => stopping::on_timer(cx),
            Timer::Push => parts.tell(cx),
            Timer::PushRetry => parts.push.on_retry(cx),
            Timer::Poll(op) => parts.polls.end(cx, op),
            Timer::WorkStream(op) => parts.work_streams.on_timer(cx, op),
            Timer::LinkIdle(op) => parts.links.on_idle(cx, op),
            Timer::LinkDrain(op) => parts.links.on_drained(cx, op),
            Timer::ViewerKeepalive(op) => parts.keep_alive(cx, op),
            Timer::ViewerStalled(op) | Timer::ViewerIdle(op) | Timer::Closing(op) => {
                parts.cut(cx, op);
            }
            Timer::Shutdown => cx.engine.fx.end(Ok(())),
        }
    }

    fn on_wake(&mut self, _: &mut Engine, slept: Slept) {
        self.shared.store_calls.slept(slept.counted);
    }

    fn settle(&mut self, engine: &mut Engine) {
        let Self { shared, listener, .. } = self;
        let cx = &mut Cx::new(engine, shared);
        listener.refill(cx);
        if cx.is_stopping() && cx.shared.exchanges.serving() == 0 {
            cx.engine.fx.end(Ok(()));
        }
    }
}
