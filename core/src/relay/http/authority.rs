//! Who sent a request, and what that allows (Y-4).

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use super::error::ApiError;
use super::request::{offered_protocols, query_value};
use super::route::{Access, Route};
use crate::auth::{AccountKey, proof, signed_again, worker_of};
use crate::base::id::EnvironmentId;
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::contract::clients::Standing;
use crate::contract::event::IncomingRequest;
use crate::relay::answer_tokens::AnswerClaims;
use crate::relay::codes::SignInCodes;
use crate::relay::config::{AccessToken, RelayKeys};
use crate::relay::device_tokens::AccessClaims;
use crate::relay::tokens::{BrowserClaims, Claims, TokenIssuer};
use crate::relay::worker_tokens::WorkerClaims;
use crate::store::{AccountId, PushSignIn};
use crate::wire::audit::ActorKind;

/// Knows every credential of this relay, access tokens only by what is derived from them.
pub(in crate::relay) struct Authority {
    pub(in crate::relay) issuer: TokenIssuer,
    pub(in crate::relay) codes: SignInCodes,
    accounts: Vec<Account>,
}

/// A person, and how their credentials are recognised.
struct Account {
    id: AccountId,
    /// Of the access token.
    digest: Vec<u8>,
    /// Of what is signed for the person's browsers and workers.
    key: AccountKey,
}

/// The credential of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Credential {
    None,
    /// One this relay did not issue.
    Unknown,
    Account(AccountId),
    /// The token of one of a person's browsers.
    Browser(AccountId, BrowserClaims),
    /// A code that signs a browser in.
    Code(String),
    /// The credential of one of a person's workers.
    Worker(AccountId),
    Environment(EnvironmentId),
    Session(Claims),
    /// What a session's worker has in version 2.
    CodeWorker(WorkerClaims),
    /// The access token of one of a person's devices.
    Device(AccessClaims),
    /// A link that answers one question.
    AnswerLink(AnswerClaims),
}

/// Whose request it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Identity {
    Anybody,
    Account(AccountId),
    /// One of a person's browsers, by its own id.
    Browser(AccountId, BrowserClaims),
    /// Nobody yet, but with a code that makes somebody of them.
    Code(String),
    /// A device of a person's, if the store says that it is still there.
    Device(AccessClaims),
    /// A worker that may register for a person.
    Registrar(AccountId),
    Worker,
    /// Somebody with a credential that they do not show, and the proof that they asked for.
    Asker(String),
    Session(Claims),
    /// The worker of a session, in version 2.
    CodeWorker(WorkerClaims),
    /// Somebody with a link that answers one question.
    AnswerLink(AnswerClaims),
}

impl Identity {
    /// What a runtime has to know of it.
    pub(in crate::relay) const fn standing(&self) -> Standing {
        match self {
            // A question can be read in a proxy's log, and asked again by anybody.
            Self::Anybody | Self::Code(_) | Self::Asker(_) | Self::AnswerLink(_) => {
                Standing::Stranger
            }
            Self::Registrar(_) | Self::Worker | Self::Session(_) | Self::CodeWorker(_) => {
                Standing::Worker
            }
            Self::Account(_) | Self::Browser(..) | Self::Device(_) => Standing::Person,
        }
    }

    /// The person whose credential it is.
    pub(in crate::relay) const fn owner(&self) -> Option<&AccountId> {
        match self {
            Self::Account(owner) | Self::Browser(owner, _) | Self::Registrar(owner) => Some(owner),
            Self::Device(claims) => Some(&claims.owner),
            Self::Anybody
            | Self::Asker(_)
            | Self::Code(_)
            | Self::Worker
            | Self::Session(_)
            | Self::AnswerLink(_)
            | Self::CodeWorker(_) => None,
        }
    }

    /// As whom it is written down, if it is (Y-9): what was shown, and which one of them it is.
    pub(in crate::relay) fn actor(&self) -> Option<(ActorKind, Option<String>)> {
        Some(match self {
            Self::Anybody
            | Self::Asker(_)
            | Self::Worker
            | Self::Session(_)
            | Self::CodeWorker(_) => return None,
            Self::Account(_) => (ActorKind::AccessToken, None),
            Self::Browser(_, claims) => (ActorKind::Browser, Some(claims.id.clone())),
            Self::Device(claims) => (ActorKind::Device, Some(String::from(claims.device.as_str()))),
            Self::Registrar(_) => (ActorKind::Worker, None),
            Self::Code(_) => (ActorKind::SignInCode, None),
            Self::AnswerLink(claims) => (ActorKind::AnswerLink, Some(claims.name())),
        })
    }
}

/// Why a request was not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Denial {
    /// The credential is not one of this relay's: it may be a guess.
    Unknown,
    Refused(ApiError),
}

/// The subprotocol that carries a browser's credential.
const BEARER_PROTOCOL: &str = "footbridge.bearer.";

impl Authority {
    pub(in crate::relay) fn new(keys: &RelayKeys, tokens: Vec<AccessToken>) -> Self {
        let issuer = TokenIssuer::new(keys);
        let mut authority = Self { issuer, codes: SignInCodes::default(), accounts: Vec::new() };
        authority.set_accounts(tokens);
        authority
    }

    /// Lets these people in, and nobody else. Returns who no longer is.
    pub(in crate::relay) fn set_accounts(&mut self, tokens: Vec<AccessToken>) -> Vec<AccountId> {
        let account = |AccessToken { person, token }: AccessToken| Account {
            id: AccountId(person),
            digest: self.issuer.digest(&token),
            key: AccountKey::new(&token),
        };
        let now = tokens.into_iter().map(account).collect();
        let before = core::mem::replace(&mut self.accounts, now);
        let gone = before.into_iter().map(|account| account.id).filter(|id| !self.knows(id));
        gone.collect()
    }

    /// Whether there is such an account.
    pub(in crate::relay) fn knows(&self, owner: &AccountId) -> bool {
        self.accounts.iter().any(|account| account.id == *owner)
    }

    /// Whether there is more than one account.
    pub(in crate::relay) const fn is_shared(&self) -> bool {
        self.accounts.len() > 1
    }

    /// Whom the program runs this relay for.
    pub(in crate::relay) fn first_account(&self) -> Option<AccountId> {
        self.accounts.first().map(|account| account.id.clone())
    }

    /// A credential for one of a person's browsers.
    pub(in crate::relay) fn browser_token(
        &self,
        account: &AccountId,
        id: String,
        expires_at: UnixTime,
    ) -> Option<Secret> {
        let account = self.accounts.iter().find(|known| known.id == *account)?;
        Some(BrowserClaims { id, exp: expires_at.as_secs() }.issue(&account.key))
    }

    /// The sign-in with which a person has made a request, as a subscription keeps it (Y-7).
    pub(in crate::relay) fn push_sign_in(
        &self,
        request: &IncomingRequest,
        owner: &AccountId,
    ) -> Option<PushSignIn> {
        let token = request.header("authorization").and_then(bearer)?;
        let account = self.accounts.iter().find(|known| known.id == *owner)?;
        let claims = BrowserClaims::of(token, &account.key);
        let until = claims.as_ref().map(|claims| UnixTime::from_millis(claims.exp * 1000));
        let id = claims.map(|claims| claims.id).unwrap_or_default();
        Some(PushSignIn::Person { mark: mark(&account.key, &id), until })
    }

    /// Whether a sign-in still counts: with another access token, none of a person's browsers does. Of
    /// a device, the store knows.
    pub(in crate::relay) fn is_signed_in(&self, owner: &AccountId, sign_in: &PushSignIn) -> bool {
        let Some(account) = self.accounts.iter().find(|known| known.id == *owner) else {
            return false;
        };
        match sign_in {
            PushSignIn::Device(_) => true,
            PushSignIn::Person { mark: kept, .. } => {
                kept.split_once('.').is_some_and(|(id, _)| mark(&account.key, id) == *kept)
            }
        }
    }

    /// Returns whose request it is, if they are allowed to make it.
    pub(in crate::relay) fn admit(
        &self,
        request: &IncomingRequest,
        route: &Route,
        access: Access,
        now: UnixTime,
    ) -> Result<Identity, Denial> {
        match access {
            Access::Anybody => return Ok(Identity::Anybody),
            Access::Question => return self.prove(request),
            _ => {}
        }
        let may_be_protocol = matches!(route, Route::Subscribe(_) | Route::Overview);
        let credential = self.credential(request, may_be_protocol, now);
        let (environment, session) = route.worker_subjects();
        match (access, credential) {
            (_, Credential::None) => Err(Denial::Refused(ApiError::unauthenticated())),
            (_, Credential::Unknown) => Err(Denial::Unknown),
            (
                Access::Person
                | Access::Approval
                | Access::Owner
                | Access::Registration
                | Access::CodeSession
                | Access::Bridge
                | Access::SignIn,
                Credential::Account(account),
            ) => Ok(Identity::Account(account)),
            (
                Access::Person | Access::Registration | Access::CodeSession | Access::Bridge,
                Credential::Device(claims),
            ) => match route.scope(access) {
                _ if claims.is_expired(now) => Err(Denial::Refused(ApiError::token_expired())),
                Some(scope) if !claims.scopes.allow(scope) => {
                    Err(Denial::Refused(ApiError::out_of_scope(scope.as_str())))
                }
                _ => Ok(Identity::Device(claims)),
            },
            (Access::Person | Access::Approval, Credential::Browser(account, claims)) => {
                if now.as_secs() < claims.exp {
                    Ok(Identity::Browser(account, claims))
                } else {
                    Err(Denial::Refused(ApiError::signed_out()))
                }
            }
            (Access::Registration, Credential::Worker(account)) => Ok(Identity::Registrar(account)),
            (Access::SignIn, Credential::Code(code)) => Ok(Identity::Code(code)),
            (Access::AnswerLink, Credential::AnswerLink(claims)) => match claims.is_expired(now) {
                true => Err(Denial::Refused(ApiError::link_over())),
                false => Ok(Identity::AnswerLink(claims)),
            },
            (Access::Environment, Credential::Environment(given))
                if environment == Some(&given) =>
            {
                Ok(Identity::Worker)
            }
            (Access::Lease, Credential::Session(claims))
                if environment == Some(&claims.environment)
                    && route.work() == Some(&claims.work) =>
            {
                unexpired(claims, now)
            }
            (Access::CodeWorker, Credential::CodeWorker(claims))
                if session == Some(&claims.session) =>
            {
                if claims.is_expired(now) {
                    return Err(Denial::Refused(ApiError::worker_expired()));
                }
                Ok(Identity::CodeWorker(claims))
            }
            (Access::Session | Access::Bridge, Credential::Session(claims))
                if session.is_some() && claims.session.as_ref() == session =>
            {
                unexpired(claims, now)
            }
            _ => Err(Denial::Refused(ApiError::forbidden())),
        }
    }

    /// Proves to whoever knows a credential that this relay knows it too.
    fn prove(&self, request: &IncomingRequest) -> Result<Identity, Denial> {
        let (_, query) = request.target.split_once('?').unwrap_or_default();
        let value = |name| query_value(query, name).unwrap_or_default();
        let (of, nonce, mac) = (value("of"), value("nonce"), value("mac"));
        if !proof::is_nonce(nonce) || mac.is_empty() {
            let message = "it takes of, nonce and mac: see http.md";
            return Err(Denial::Refused(ApiError::invalid(message)));
        }
        let own = self.issuer.signed_again(of);
        if !own.is_empty() {
            let mut proofs = own.iter().map(|own| proof::answer(&AccountKey::new(own), nonce, mac));
            return proofs.find_map(|proof| proof).map(Identity::Asker).ok_or(Denial::Unknown);
        }
        // All are compared, so that the time taken does not reveal whose it is.
        let mut found = None;
        for Account { key, .. } in &self.accounts {
            let signed = signed_again(key, of).or_else(|| BrowserClaims::signed_again(key, of));
            let proof = match signed {
                Some(signed) => proof::answer(&AccountKey::new(&signed), nonce, mac),
                None => proof::answer(key, nonce, mac).filter(|_| of.is_empty()),
            };
            found = found.or(proof);
        }
        found.map(Identity::Asker).ok_or(Denial::Unknown)
    }

    fn credential(
        &self,
        request: &IncomingRequest,
        may_be_protocol: bool,
        now: UnixTime,
    ) -> Credential {
        let bearer = request.header("authorization").and_then(bearer);
        let protocol =
            || offered_protocols(request).find_map(|offer| offer.strip_prefix(BEARER_PROTOCOL));
        let Some(token) = bearer.or_else(|| if may_be_protocol { protocol() } else { None }) else {
            return Credential::None;
        };
        if let Some(claims) = self.issuer.claims_of(token) {
            return Credential::Session(claims);
        }
        if let Some(environment) = self.issuer.environment_of(token) {
            return Credential::Environment(environment);
        }
        if let Some(claims) = self.issuer.worker_claims_of(token) {
            return Credential::CodeWorker(claims);
        }
        if let Some(claims) = self.issuer.access_claims_of(token) {
            let is_known = self.accounts.iter().any(|account| account.id == claims.owner);
            return if is_known { Credential::Device(claims) } else { Credential::Unknown };
        }
        if let Some(claims) = self.issuer.answer_claims_of(token) {
            return Credential::AnswerLink(claims);
        }
        if self.codes.is_open(&self.issuer, token, now) {
            return Credential::Code(String::from(token));
        }
        // All are compared, so that the time taken does not reveal whose it is.
        let mut found = Credential::Unknown;
        for Account { id, digest, key } in &self.accounts {
            if self.issuer.is_token(token, digest) {
                found = Credential::Account(id.clone());
            } else if let Some(claims) = BrowserClaims::of(token, key) {
                found = Credential::Browser(id.clone(), claims);
            } else if worker_of(key, token).is_some() {
                found = Credential::Worker(id.clone());
            }
        }
        found
    }
}

/// What a subscription keeps of a browser: it opens nothing.
fn mark(key: &AccountKey, id: &str) -> String {
    let signature = key.mac("push", id).finalize().into_bytes();
    alloc::format!("{id}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn unexpired(claims: Claims, now: UnixTime) -> Result<Identity, Denial> {
    if claims.is_expired(now) {
        return Err(Denial::Refused(ApiError::expired()));
    }
    Ok(Identity::Session(claims))
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
