//! Who asks, and what that opens (Y-4).

use alloc::string::String;
use alloc::vec::Vec;

use super::config::{AccessToken, RelayKeys};
use super::reply::Refusal;
use super::routes::Route;
use super::tokens::{Claims, Mint};
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::time::UnixTime;
use crate::contract::event::Asked;
use crate::store::Person;

/// Knows every credential of this relay, and the access tokens only by their digests.
pub(super) struct Authority {
    pub(super) mint: Mint,
    people: Vec<(Person, Vec<u8>)>,
}

/// A credential that came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credential {
    /// None, or one that was not given here.
    Unknown,
    Person(Person),
    Environment(EnvironmentId),
    Session(Claims),
}

/// What a route is open to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Person,
    Environment(EnvironmentId),
    /// The session's token, and of one lease in one environment where that is named.
    Lease(EnvironmentId),
    Session(SessionId),
}

/// Who may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    Anybody,
    Person(Person),
    Worker,
    Session(Claims),
}

/// The subprotocol that carries a browser's access token.
const BEARER_PROTOCOL: &str = "footbridge.bearer.";

impl Authority {
    pub(super) fn new(keys: &RelayKeys, tokens: Vec<AccessToken>) -> Self {
        let mint = Mint::new(keys);
        let person = |AccessToken { person, token }: AccessToken| {
            let digest = mint.digest(&token);
            (Person(person), digest)
        };
        let people = tokens.into_iter().map(person).collect();
        Self { mint, people }
    }

    /// Looks whether a request may have what it asks for.
    pub(super) fn admit(
        &self,
        asked: &Asked,
        route: &Route,
        now: UnixTime,
    ) -> Result<Caller, Refusal> {
        let needs = needs(route);
        if needs == Needs::Nothing {
            return Ok(Caller::Anybody);
        }
        let may_be_protocol = matches!(route, Route::Subscribe(_) | Route::Overview);
        let credential = self.credential(asked, may_be_protocol);
        match (needs, credential) {
            (_, Credential::Unknown) => Err(Refusal::unauthenticated()),
            (Needs::Person, Credential::Person(person)) => Ok(Caller::Person(person)),
            (Needs::Environment(id), Credential::Environment(given)) if id == given => {
                Ok(Caller::Worker)
            }
            (Needs::Lease(id), Credential::Session(claims))
                if claims.environment == id && route.work().is_none_or(|w| claims.work == *w) =>
            {
                unexpired(claims, now)
            }
            (Needs::Session(id), Credential::Session(claims))
                if claims.session.as_ref() == Some(&id) =>
            {
                unexpired(claims, now)
            }
            _ => Err(Refusal::forbidden()),
        }
    }

    fn credential(&self, asked: &Asked, may_be_protocol: bool) -> Credential {
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
                found = Credential::Person(person.clone());
            }
        }
        found
    }
}

fn unexpired(claims: Claims, now: UnixTime) -> Result<Caller, Refusal> {
    if claims.is_expired(now) { Err(Refusal::expired()) } else { Ok(Caller::Session(claims)) }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The WebSocket subprotocols that a client offers.
pub(super) fn offered(asked: &Asked) -> impl Iterator<Item = &str> {
    let headers = asked.headers.iter().filter(|(name, _)| name == "sec-websocket-protocol");
    headers.flat_map(|(_, value): &(String, String)| value.split(',').map(str::trim))
}

fn needs(route: &Route) -> Needs {
    match route {
        Route::Health | Route::Asset => Needs::Nothing,
        Route::Poll(id)
        | Route::StopWork(id, _)
        | Route::Redispatch(id, _)
        | Route::Deregister(id) => Needs::Environment(id.clone()),
        Route::Ack(id, _) | Route::Heartbeat(id, _) => Needs::Lease(id.clone()),
        Route::Ingress(id) => Needs::Session(id.clone()),
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
        | Route::Overview => Needs::Person,
    }
}
