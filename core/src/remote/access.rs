//! The credential that a session is looked at with, and how it is renewed (E-10, T-6).
//!
//! ```text
//!           a 401        its file is read             nobody else has renewed it
//!   Ready ────────▶ Locking ────▶ Loading ─────────────────────────────▶ Refreshing ──▶ Saving
//!     ▲                              │  a newer one is there                 │            │
//!     └──────────────────────────────┴──────────────────────────────────────┴────────────┘
//! ```
//!
//! While it is being renewed, nothing is sent. A second 401 is final.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fastrand::Rng;

use super::cx::{self, Engine, Purpose, Timer};
use super::notice::RemoteNotice;
use crate::auth::{Credential, MAX_TOKEN_FILE_BYTES, RefreshLock};
use crate::base::secret::Secret;
use crate::client::{RequestError, TokenError, TokenRetry, device};
use crate::contract::action::{Action, Request};
use crate::contract::event::Event;
use crate::contract::machine::MachineError;
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};
use crate::wire::device::Scope;
use crate::wire::url::BaseUrl;

/// What it acts on.
#[derive(Debug)]
pub(super) struct Cx<'a, N> {
    pub(super) engine: &'a mut Engine<N>,
    pub(super) rng: &'a mut Rng,
    pub(super) relay: &'a BaseUrl,
    pub(super) told: &'a mut Vec<RemoteNotice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Renewing,
}

/// The credential in use.
#[derive(Debug)]
pub(super) struct Access {
    credential: Credential,
    retry: TokenRetry,
    state: State,
    backoff: Backoff,
    /// Among the processes that share a log-in.
    lock: RefreshLock,
}

/// What can be done about a 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The credential is being renewed.
    Begun,
    /// Nothing more.
    Final,
}

/// What an answer about the credential leads to.
#[derive(Debug)]
pub(super) enum Renewed {
    Pending,
    /// What waits may be sent.
    Ready,
    Failed(MachineError),
}

impl<N> cx::Cx<'_, N> {
    /// What access works on.
    pub(super) const fn at_access(&mut self) -> Cx<'_, N> {
        let relay = &self.config.relay;
        Cx { engine: self.engine, rng: self.rng, relay, told: self.told }
    }
}

impl Access {
    pub(super) const fn new(credential: Credential, backoff: BackoffConfig) -> Self {
        let (backoff, lock) = (Backoff::new(backoff), RefreshLock::Free);
        Self { credential, retry: TokenRetry::Unused, state: State::Ready, backoff, lock }
    }

    /// The credential, unless it is being renewed.
    pub(super) fn token(&self) -> Option<Secret> {
        (self.state == State::Ready).then(|| self.credential.secret().clone())
    }

    /// Adds to a request what shows that it comes from a trusted device, if it does (D-2).
    pub(super) fn show_trust(&self, request: &mut Request) {
        self.credential.show_trust(request);
    }

    /// What the relay has to know before it is shown anything. A refresh token is known for longer than
    /// an access token.
    pub(super) fn proved_by(&self) -> &Secret {
        let log_in = self.credential.log_in();
        log_in.map_or_else(|| self.credential.secret(), |log_in| log_in.refresh_token())
    }

    /// It was accepted.
    pub(super) const fn works(&mut self) {
        self.retry.reset();
    }

    /// It was refused.
    pub(super) fn refused<N>(&mut self, cx: &mut Cx<'_, N>, error: &RequestError) -> Renewal {
        if self.state == State::Renewing {
            return Renewal::Begun;
        }
        let Some(path) = self.retry.take(error, &self.credential) else { return Renewal::Final };
        self.state = State::Renewing;
        self.look(cx, path);
        Renewal::Begun
    }

    /// Looks at its file; at that of a log-in, while nobody else refreshes it.
    fn look<N>(&mut self, cx: &mut Cx<'_, N>, path: String) {
        match self.credential.log_in() {
            Some(_) => self.lock.take(&mut cx.engine.fx, Purpose::LockToken, &path),
            None => Self::load(cx, path),
        }
    }

    pub(super) fn locked<N>(&mut self, cx: &mut Cx<'_, N>, event: &Event) {
        self.lock.answered(&mut cx.engine.fx, Purpose::LockToken, event);
        if let Some(path) = self.credential.file() {
            Self::load(cx, path);
        }
    }

    fn load<N>(cx: &mut Cx<'_, N>, path: String) {
        let limit = MAX_TOKEN_FILE_BYTES;
        cx.engine.fx.start(Purpose::Token, |op| Action::Load { op, path, limit });
    }

    /// Its file was read. Even without another one in it, it is tried once more: that refusal decides.
    pub(super) fn loaded<N>(&mut self, cx: &mut Cx<'_, N>, event: &Event) -> Renewed {
        let is_newer = match event {
            Event::Loaded { data: Some(data), .. } => self.credential.refresh(data),
            _ => false,
        };
        match self.credential.log_in().filter(|_| !is_newer) {
            Some(log_in) => {
                let request = device::refresh(cx.relay, log_in);
                let purpose = Purpose::RefreshToken;
                cx.engine.fx.start(purpose, |op| Action::Request { op, request });
                Renewed::Pending
            }
            None => self.ready(cx),
        }
    }

    fn ready<N>(&mut self, cx: &mut Cx<'_, N>) -> Renewed {
        self.lock.release(&mut cx.engine.fx);
        self.state = State::Ready;
        self.backoff.reset();
        Renewed::Ready
    }

    /// The relay has answered to a request for the next tokens. They are kept before they are used:
    /// those before are of no use any more.
    pub(super) fn refreshed<N>(&mut self, cx: &mut Cx<'_, N>, event: Event) -> Renewed {
        match device::tokens(event) {
            Ok(tokens) => {
                let log_in = self.credential.log_in().map(|log_in| log_in.refreshed(tokens));
                let (Some(log_in), Some(path)) = (log_in, self.credential.file()) else {
                    return self.ready(cx);
                };
                let data = log_in.to_file();
                self.credential.adopt(log_in);
                cx.engine.fx.start(Purpose::SaveToken, |op| Action::Save { op, path, data });
                Renewed::Pending
            }
            Err(TokenError::Request(error)) => match error.track() {
                Some(track) => self.retry_later(cx, &error, track),
                None => self.ready(cx),
            },
            // What the relay says to the one that there is decides.
            Err(TokenError::Refused { .. }) => self.ready(cx),
        }
    }

    fn retry_later<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        error: &RequestError,
        track: FailureTrack,
    ) -> Renewed {
        self.lock.release(&mut cx.engine.fx);
        let wall = cx.engine.fx.now().wall;
        match self.backoff.fail(cx.engine.fx.now().mono, track, error.retry_after(wall), cx.rng) {
            Verdict::RetryAfter(pause) => {
                cx.engine.set_timer(Timer::Renew, pause);
                Renewed::Pending
            }
            Verdict::GiveUp { .. } => Renewed::Failed(error.fault("renew the log-in", cx.relay)),
        }
    }

    /// The pause is over.
    pub(super) fn renew<N>(&mut self, cx: &mut Cx<'_, N>) {
        if let Some(path) = self.credential.file() {
            self.look(cx, path);
        }
    }

    /// The next tokens are kept, or cannot be: they are used all the same.
    pub(super) fn saved<N>(&mut self, cx: &mut Cx<'_, N>, event: &Event) -> Renewed {
        if let Event::Failed { failure, .. } = event {
            cx.told.push(RemoteNotice::CredentialUnsaved { reason: failure.detail.clone() });
        }
        self.ready(cx)
    }

    /// What to do about a 403, of something that takes this scope.
    pub(super) fn advice(&self, scope: Scope, relay: &BaseUrl) -> String {
        let Some(log_in) = self.credential.log_in() else {
            return String::from("use an access token, or a log-in of footbridge login");
        };
        let known = log_in.scope().filter(|known| !known.allow(scope));
        let scopes = known.map_or_else(
            || format!("watch,answer,drive,{}", scope.as_str()),
            |known| format!("{known} {}", scope.as_str()).replace(' ', ","),
        );
        format!("log in again with footbridge login {relay} --scope {scopes}")
    }
}
