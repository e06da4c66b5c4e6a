//! The credential of a mirror: proved to be known before it is shown, and renewed if it is refused.

use alloc::string::String;

use fastrand::Rng;

use super::{Cx, Purpose};
use crate::auth::{Credential, MAX_TOKEN_FILE_BYTES, RefreshLock};
use crate::base::secret::Secret;
use crate::client::{RequestError, TokenError, TokenRetry, ask_for_proof, device, proved};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::url::BaseUrl;

/// What is known about whoever answers at the relay's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Nothing yet.
    Unknown,
    /// It has proved that it knows the credential, and has answered ever since.
    Proved,
    /// It had, and then something failed: by now another program may be there.
    Lost,
}

/// What came of looking for another credential.
#[derive(Debug)]
pub(super) enum Renewal {
    /// More is asked for before there is a result.
    UnderWay,
    /// There is another one.
    Renewed,
    /// There is none for now.
    Failed(RequestError),
    /// There will be none without a person.
    Refused,
}

#[derive(Debug)]
pub(super) struct Access {
    relay: BaseUrl,
    credential: Credential,
    trust: Trust,
    retry: TokenRetry,
    /// Among the processes that share a log-in.
    lock: RefreshLock,
    number: u128,
}

impl Access {
    pub(super) const fn new(relay: BaseUrl, credential: Credential) -> Self {
        let (trust, retry) = (Trust::Unknown, TokenRetry::Unused);
        Self { relay, credential, trust, retry, lock: RefreshLock::Free, number: 0 }
    }

    /// What to show, if it may be shown.
    pub(super) fn token(&self) -> Option<&Secret> {
        (self.trust == Trust::Proved).then(|| self.credential.secret())
    }

    /// What a relay has to know: a refresh token is known for longer than an access token.
    fn proved_by(&self) -> &Secret {
        self.credential
            .log_in()
            .map_or_else(|| self.credential.secret(), |log_in| log_in.refresh_token())
    }

    pub(super) fn ask_for_proof(&mut self, cx: &mut Cx, rng: &mut Rng) {
        self.number = rng.u128(..);
        let request = ask_for_proof(&self.relay, self.proved_by(), self.number);
        cx.fx.start(Purpose::Proof, |op| Action::Request { op, request });
    }

    pub(super) fn proof(&mut self, event: Event) -> Result<(), RequestError> {
        proved(event, self.proved_by(), self.number)?;
        self.trust = Trust::Proved;
        Ok(())
    }

    /// It was accepted.
    pub(super) const fn accepted(&mut self) {
        self.retry.reset();
    }

    /// Whether a refusal comes from the relay, and not from whatever is there now.
    pub(super) fn is_relays_word(&self) -> bool {
        self.trust != Trust::Lost
    }

    /// A request has failed. The next one looks for another credential again, if that was it.
    pub(super) fn failed(&mut self) {
        if self.trust == Trust::Proved {
            self.trust = Trust::Lost;
        }
        self.retry.reset();
    }

    /// Looks for another credential after a refusal. Returns whether that may help.
    pub(super) fn renew(&mut self, cx: &mut Cx, error: &RequestError) -> bool {
        let Some(path) = self.retry.take(error, &self.credential) else { return false };
        match self.credential.log_in() {
            Some(_) => self.lock.take(&mut cx.fx, Purpose::LockToken, &path),
            None => Self::load(cx, path),
        }
        true
    }

    /// Nobody else refreshes the log-in now.
    pub(super) fn locked(&mut self, cx: &mut Cx, event: &Event) {
        self.lock.answered(&mut cx.fx, Purpose::LockToken, event);
        if let Some(path) = self.credential.file() {
            Self::load(cx, path);
        }
    }

    /// A renewal is over, if that is all that came of it.
    pub(super) fn settled(&mut self, cx: &mut Cx, renewal: &Renewal) {
        if !matches!(renewal, Renewal::UnderWay) {
            self.lock.release(&mut cx.fx);
        }
    }

    fn load(cx: &mut Cx, path: String) {
        let limit = MAX_TOKEN_FILE_BYTES;
        cx.fx.start(Purpose::Token, |op| Action::Load { op, path, limit });
    }

    /// The token's file was read. If nobody else has refreshed a log-in, this does.
    pub(super) fn loaded(&mut self, cx: &mut Cx, event: &Event) -> Renewal {
        if let Event::Loaded { data: Some(data), .. } = event
            && self.credential.refresh(data)
        {
            return Renewal::Renewed;
        }
        match self.credential.log_in() {
            // Only who has proved to know it is shown the refresh token.
            Some(log_in) if self.trust == Trust::Proved => {
                let request = device::refresh(&self.relay, log_in);
                cx.fx.start(Purpose::Refresh, |op| Action::Request { op, request });
                Renewal::UnderWay
            }
            _ => Renewal::Refused,
        }
    }

    /// There are new tokens, which are kept before they are used: those before are of no use any more.
    pub(super) fn refreshed(&mut self, cx: &mut Cx, event: Event) -> Renewal {
        let (Some(log_in), Some(path)) = (self.credential.log_in(), self.credential.file()) else {
            return Renewal::Refused;
        };
        match device::tokens(event) {
            Ok(tokens) => {
                let log_in = log_in.refreshed(tokens);
                let data = log_in.to_file();
                self.credential.adopt(log_in);
                cx.fx.start(Purpose::SaveLogIn, |op| Action::Save { op, path, data });
                Renewal::UnderWay
            }
            Err(TokenError::Request(error)) => Renewal::Failed(error),
            Err(TokenError::Refused { .. }) => Renewal::Refused,
        }
    }

    /// What a log-in lacks that may do everything but this.
    pub(super) const fn advice(&self) -> &'static str {
        match self.credential.log_in() {
            Some(_) => "; a log-in needs the scope watch: footbridge login --scope watch",
            None => "",
        }
    }
}
