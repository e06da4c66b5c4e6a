//! Who sent a request, and what that allows (Y-4).

use alloc::vec::Vec;

use super::error::ApiError;
use super::request::offered_protocols;
use super::route::Route;
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::time::UnixTime;
use crate::contract::event::IncomingRequest;
use crate::relay::config::{AccessToken, RelayKeys};
use crate::relay::tokens::{Claims, TokenIssuer};
use crate::store::AccountId;

/// Knows every credential of this relay, access tokens only by their digests.
pub(in crate::relay) struct Authority {
    pub(in crate::relay) issuer: TokenIssuer,
    accounts: Vec<(AccountId, Vec<u8>)>,
}

/// The credential of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credential {
    /// None, or one this relay did not issue.
    Unknown,
    Account(AccountId),
    Environment(EnvironmentId),
    Session(Claims),
}

/// What a route requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum RequiredAccess {
    Nothing,
    Account,
    Environment(EnvironmentId),
    /// The token of a lease in this environment.
    Lease(EnvironmentId),
    Session(SessionId),
}

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Identity {
    Anybody,
    Account(AccountId),
    Worker,
    Session(Claims),
}

/// The subprotocol that carries a browser's access token.
const BEARER_PROTOCOL: &str = "footbridge.bearer.";

impl Authority {
    pub(in crate::relay) fn new(keys: &RelayKeys, tokens: Vec<AccessToken>) -> Self {
        let issuer = TokenIssuer::new(keys);
        let account = |AccessToken { person, token }: AccessToken| {
            let digest = issuer.digest(&token);
            (AccountId(person), digest)
        };
        let accounts = tokens.into_iter().map(account).collect();
        Self { issuer, accounts }
    }

    /// Returns whose request it is, if they are allowed to make it.
    pub(in crate::relay) fn admit(
        &self,
        request: &IncomingRequest,
        route: &Route,
        now: UnixTime,
    ) -> Result<Identity, ApiError> {
        let required = required_access(route);
        if required == RequiredAccess::Nothing {
            return Ok(Identity::Anybody);
        }
        let may_be_protocol = matches!(route, Route::Subscribe(_) | Route::Overview);
        let credential = self.credential(request, may_be_protocol);
        match (required, credential) {
            (_, Credential::Unknown) => Err(ApiError::unauthenticated()),
            (RequiredAccess::Account, Credential::Account(account)) => {
                Ok(Identity::Account(account))
            }
            (RequiredAccess::Environment(id), Credential::Environment(given)) if id == given => {
                Ok(Identity::Worker)
            }
            (RequiredAccess::Lease(id), Credential::Session(claims))
                if claims.environment == id && route.work().is_none_or(|w| claims.work == *w) =>
            {
                unexpired(claims, now)
            }
            (RequiredAccess::Session(id), Credential::Session(claims))
                if claims.session.as_ref() == Some(&id) =>
            {
                unexpired(claims, now)
            }
            _ => Err(ApiError::forbidden()),
        }
    }

    fn credential(&self, request: &IncomingRequest, may_be_protocol: bool) -> Credential {
        let bearer = request.header("authorization").and_then(bearer);
        let protocol =
            || offered_protocols(request).find_map(|offer| offer.strip_prefix(BEARER_PROTOCOL));
        let Some(token) = bearer.or_else(|| if may_be_protocol { protocol() } else { None }) else {
            return Credential::Unknown;
        };
        if let Some(claims) = self.issuer.claims_of(token) {
            return Credential::Session(claims);
        }
        if let Some(environment) = self.issuer.environment_of(token) {
            return Credential::Environment(environment);
        }
        // All are compared, so that the time taken does not reveal whose it is.
        let mut found = Credential::Unknown;
        for (account, digest) in &self.accounts {
            if self.issuer.is_token(token, digest) {
                found = Credential::Account(account.clone());
            }
        }
        found
    }
}

fn unexpired(claims: Claims, now: UnixTime) -> Result<Identity, ApiError> {
    if claims.is_expired(now) { Err(ApiError::expired()) } else { Ok(Identity::Session(claims)) }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn required_access(route: &Route) -> RequiredAccess {
    match route {
        Route::Health | Route::Ready | Route::Version | Route::Asset => RequiredAccess::Nothing,
        Route::Poll(id)
        | Route::StopWork(id, _)
        | Route::Redispatch(id, _)
        | Route::Deregister(id) => RequiredAccess::Environment(id.clone()),
        Route::Ack(id, _) | Route::Heartbeat(id, _) => RequiredAccess::Lease(id.clone()),
        Route::Ingress(id) => RequiredAccess::Session(id.clone()),
        Route::Register
        | Route::Environments
        | Route::Environment(_)
        | Route::Healthcheck(_)
        | Route::Sessions
        | Route::CreateSession
        | Route::Session(_)
        | Route::Messages(_)
        | Route::Permission(_)
        | Route::Interrupt(_)
        | Route::StopSession(_)
        | Route::Events(_)
        | Route::Receipts(_)
        | Route::Receipt(..)
        | Route::Subscribe(_)
        | Route::Overview => RequiredAccess::Account,
    }
}
