//! Who asks, and what that opens (Y-4).

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::id::{EnvironmentId, SessionId};
use crate::base::time::UnixTime;
use crate::contract::event::IncomingRequest;
use crate::relay::config::{AccessToken, RelayKeys};
use crate::relay::http::response::ApiError;
use crate::relay::http::route::Route;
use crate::relay::tokens::{Claims, TokenIssuer};
use crate::store::AccountId;

/// Knows every credential of this relay, and the access tokens only by their digests.
pub(in crate::relay) struct Authority {
    pub(in crate::relay) mint: TokenIssuer,
    people: Vec<(AccountId, Vec<u8>)>,
}

/// A credential that came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credential {
    /// None, or one that was not given here.
    Unknown,
    Account(AccountId),
    Environment(EnvironmentId),
    Session(Claims),
}

/// What a route is open to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum RequiredAccess {
    Nothing,
    Account,
    Environment(EnvironmentId),
    /// The session's token, and of one lease in one environment where that is named.
    Lease(EnvironmentId),
    Session(SessionId),
}

/// Who may go on.
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
        let mint = TokenIssuer::new(keys);
        let person = |AccessToken { person, token }: AccessToken| {
            let digest = mint.digest(&token);
            (AccountId(person), digest)
        };
        let people = tokens.into_iter().map(person).collect();
        Self { mint, people }
    }

    /// Looks whether a request may have what it asks for.
    pub(in crate::relay) fn admit(
        &self,
        asked: &IncomingRequest,
        route: &Route,
        now: UnixTime,
    ) -> Result<Identity, ApiError> {
        let needs = needs(route);
        if needs == RequiredAccess::Nothing {
            return Ok(Identity::Anybody);
        }
        let may_be_protocol = matches!(route, Route::Subscribe(_) | Route::Overview);
        let credential = self.credential(asked, may_be_protocol);
        match (needs, credential) {
            (_, Credential::Unknown) => Err(ApiError::unauthenticated()),
            (RequiredAccess::Account, Credential::Account(person)) => Ok(Identity::Account(person)),
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

    fn credential(&self, asked: &IncomingRequest, may_be_protocol: bool) -> Credential {
        let bearer = asked.header("authorization").and_then(bearer);
        let protocol = || offered(asked).find_map(|offer| offer.strip_prefix(BEARER_PROTOCOL));
        let Some(token) = bearer.or_else(|| if may_be_protocol { protocol() } else { None }) else {
            return Credential::Unknown;
        };
        if let Some(claims) = self.mint.claims_of(token) {
            return Credential::Session(claims);
        }
        if let Some(environment) = self.mint.environment_of(token) {
            return Credential::Environment(environment);
        }
        // All are compared, so that the time does not tell whose it is.
        let mut found = Credential::Unknown;
        for (person, digest) in &self.people {
            if self.mint.is_token(token, digest) {
                found = Credential::Account(person.clone());
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

/// The WebSocket subprotocols that a client offers.
pub(in crate::relay) fn offered(asked: &IncomingRequest) -> impl Iterator<Item = &str> {
    let headers = asked.headers.iter().filter(|(name, _)| name == "sec-websocket-protocol");
    headers.flat_map(|(_, value): &(String, String)| value.split(',').map(str::trim))
}

fn needs(route: &Route) -> RequiredAccess {
    match route {
        Route::Health | Route::Asset => RequiredAccess::Nothing,
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
        | Route::Subscribe(_)
        | Route::Overview => RequiredAccess::Account,
    }
}
