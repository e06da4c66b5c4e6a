//! What all parts of the relay act on: its steps and timers, its configuration, and the exchanges
//! and store operations in progress. It knows none of the parts.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::bodies::Bodies;
use super::close;
use super::config::RelayConfig;
use super::devices::Devices;
use super::exchange::{Exchange, Exchanges};
use super::guesses::Guesses;
use super::http::assets::Page;
use super::http::authority::Authority;
use super::http::error::ApiError;
use super::http::site::Site;
use super::http::views;
use super::notice::RelayNotice;
use super::oauth::LogIns;
use super::oidc::known::Oidc;
use super::pending::Pending;
use super::purpose::{Engine, Purpose, StreamKind, Timer};
use super::stops::Stops;
use super::store_calls::StoreCalls;
use super::streams::watching::Watching;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{LINK_DEAD_AFTER, MAX_NAME_BYTES};
use crate::base::time::{Instant, UnixTime};
use crate::contract::action::{Action, Head, Message, Response};
use crate::contract::event::IncomingRequest;
use crate::store::{AccountId, Session, StoreOp};
use crate::wire::session::SessionState;
use crate::wire::url::BaseUrl;
use crate::wire::viewer::SessionView;

/// What every part of the relay acts on during one call.
pub(super) struct Cx<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) shared: &'a mut Shared,
}

/// State that all parts share and none of them owns.
pub(super) struct Shared {
    pub(super) config: RelayConfig,
    pub(super) authority: Authority,
    pub(super) site: Site,
    pub(super) page: Page,
    pub(super) bodies: Bodies,
    pub(super) log_ins: LogIns,
    pub(super) oidc: Oidc,
    pub(super) devices: Devices,
    pub(super) guesses: Guesses,
    pub(super) watching: Watching,
    pub(super) phase: Phase,
    pub(super) exchanges: Exchanges,
    pub(super) store_calls: StoreCalls,
    /// Accounts that were removed, and of which something is still there.
    pub(super) ending: Vec<AccountId>,
    /// Sessions that are to end, which the store could not keep.
    pub(super) stops: Stops,
    /// Sessions whose link is up.
    pub(super) connected: BTreeSet<SessionId>,
}

/// The stage of the relay's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Serving,
    Stopping,
}

/// How long a stream may take to close.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before retrying after the listener or the store failed.
pub(super) const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(1);

impl<'a> Cx<'a> {
    pub(super) fn new(engine: &'a mut Engine, shared: &'a mut Shared) -> Self {
        shared.store_calls.observe(engine.fx.now());
        Self { engine, shared }
    }

    pub(super) const fn now(&self) -> Instant {
        self.engine.fx.now().mono
    }

    pub(super) const fn wall(&self) -> UnixTime {
        self.engine.fx.now().wall
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.shared.phase == Phase::Stopping
    }

    pub(super) fn notify(&mut self, notice: RelayNotice) {
        self.engine.fx.notify(notice);
    }

    /// Asks the store; `pending` says what to do with its answer.
    pub(super) fn store(&mut self, pending: Pending, op: StoreOp) {
        let by = pending.waiting().and_then(|op| self.shared.exchanges.actor(op));
        self.shared.store_calls.start(self.engine, pending, op, by);
    }

    /// Reads a session again, so that everyone learns whether its link is up.
    pub(super) fn refresh_session(&mut self, owner: AccountId, session: SessionId) {
        let op = StoreOp::GetSession { owner: owner.clone(), id: session.clone() };
        self.store(Pending::Refresh { owner, session }, op);
    }

    /// Where a client reaches this relay.
    pub(super) fn base_url(&self, request: &IncomingRequest) -> Option<String> {
        if let Some(url) = &self.shared.config.public_url {
            return Some(url.clone());
        }
        let scheme = if request.is_tls { "https" } else { "http" };
        let host = request.header("host").filter(|host| host.len() <= MAX_NAME_BYTES)?;
        let url = BaseUrl::parse(&format!("{scheme}://{host}"));
        // If the host does not make a URL that a worker would accept, the worker keeps its own.
        url.ok().map(|url| format!("{url}"))
    }

    /// A session as viewers see it.
    pub(super) fn view<'s>(&self, session: &'s Session) -> SessionView<'s> {
        let mut view = views::session(session, self.shared.connected.contains(&session.id));
        view.stopping |= self.shared.stops.has(&session.id) && session.state != SessionState::Ended;
        view
    }

    /// Answers an exchange; does nothing if its client has left.
    pub(super) fn reply(&mut self, op: OpId, response: Response) {
        let Some(Exchange { method, path, client, .. }) = self.shared.exchanges.answered(op) else {
            return;
        };
        self.shared.bodies.over(op);
        self.shared.devices.over(op);
        self.notify(RelayNotice::Answered { method, path, status: response.status, client });
        self.engine.fx.act(op, |op| Action::Reply { op, response });
        self.engine.fx.finish(op);
    }

    pub(super) fn refuse(&mut self, op: OpId, error: &ApiError) {
        if self.shared.exchanges.is_waiting(op) {
            self.reply(op, error.response());
        }
    }

    /// Turns an exchange into a WebSocket of this kind. Returns whether it will become one.
    pub(super) fn upgrade(
        &mut self,
        op: OpId,
        kind: StreamKind,
        protocol: Option<&'static str>,
        max_message: usize,
    ) -> bool {
        // A relay that is stopping closes the stream as soon as it is open.
        if self.is_stopping() {
            self.upgrade_and_close(op, close::GOING_AWAY, protocol, max_message);
            return false;
        }
        self.upgrade_for(op, Purpose::Opening(kind), protocol, max_message)
    }

    /// Turns an exchange into a WebSocket just to close it: a browser cannot see the status of a
    /// refused handshake, but it can see a close code.
    pub(super) fn upgrade_and_close(
        &mut self,
        op: OpId,
        code: u16,
        protocol: Option<&'static str>,
        max_message: usize,
    ) {
        let code = if self.is_stopping() { close::GOING_AWAY } else { code };
        self.upgrade_for(op, Purpose::CloseOnOpen(code), protocol, max_message);
    }

    fn upgrade_for(
        &mut self,
        op: OpId,
        purpose: Purpose,
        protocol: Option<&'static str>,
        max_message: usize,
    ) -> bool {
        let Some(Exchange { method, path, client, .. }) = self.shared.exchanges.upgraded(op) else {
            return false;
        };
        self.shared.bodies.over(op);
        self.notify(RelayNotice::Answered { method, path, status: 101, client });
        self.engine.fx.repurpose(op, purpose);
        let protocol = protocol.map(Into::into);
        self.engine.fx.act(op, |op| Action::Upgrade { op, protocol, max_message });
        true
    }

    /// Answers an exchange with a stream of this kind. Returns whether there is one now.
    pub(super) fn reply_stream(&mut self, op: OpId, kind: StreamKind, head: Head) -> bool {
        if self.is_stopping() {
            self.refuse(op, &ApiError::unavailable());
            return false;
        }
        let Some(Exchange { method, path, client, .. }) = self.shared.exchanges.upgraded(op) else {
            return false;
        };
        self.shared.bodies.over(op);
        self.notify(RelayNotice::Answered { method, path, status: head.status, client });
        self.engine.fx.repurpose(op, Purpose::Stream(kind));
        let write_timeout = LINK_DEAD_AFTER;
        self.engine.fx.act(op, |op| Action::ReplyStream { op, head, write_timeout });
        true
    }

    pub(super) fn send(&mut self, op: OpId, message: Message) {
        self.engine.fx.act(op, |op| Action::Send { op, message });
    }

    /// Ends a stream in order. Anything that still arrives on it is dropped, so the part that owns
    /// it has to forget it.
    pub(super) fn close_stream(&mut self, op: OpId, code: u16) {
        match self.engine.fx.purpose(op) {
            Some(Purpose::Opening(_) | Purpose::CloseOnOpen(_)) => {
                self.engine.fx.repurpose(op, Purpose::CloseOnOpen(code));
            }
            Some(Purpose::Stream(_)) => self.close_open_stream(op, code),
            _ => {}
        }
    }

    /// Ends a stream that is open.
    pub(super) fn close_open_stream(&mut self, op: OpId, code: u16) {
        self.engine.fx.repurpose(op, Purpose::Closing);
        self.engine.fx.act(op, |op| Action::Close { op, code });
        self.engine.set_timer(Timer::Closing(op), CLOSE_TIMEOUT);
    }

    /// Ends a stream without waiting for the other side. The part that owns it has to forget it.
    pub(super) fn cut_stream(&mut self, op: OpId) {
        if self.engine.fx.purpose(op).is_some() {
            self.engine.fx.cancel(op);
            self.stream_over(op);
        }
    }

    /// A stream is over.
    pub(super) fn stream_over(&mut self, op: OpId) {
        self.engine.timers.clear(&Timer::Closing(op));
        self.shared.devices.over(op);
        self.shared.exchanges.over();
    }
}
