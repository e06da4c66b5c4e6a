//! What devices ask: to log in, for tokens, and to give them back.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::net::IpAddr;

use super::forms::Form;
use super::refusal::Refusal;
use super::waiting::{Approved, Asked, Polled};
use crate::base::id::OpId;
use crate::base::limits::{
    ACCESS_TOKEN_LIFE, LOG_IN_INTERVAL, LOG_IN_LIFE, MAX_NAME_BYTES,
    MAX_STORE_OPERATIONS_FOR_STRANGERS,
};
use crate::base::text::is_hidden;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::device_tokens::{AccessClaims, RefreshClaims};
use crate::relay::guesses::Guess;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{client_of, idempotency_key};
use crate::relay::http::response;
use crate::relay::http::route::Route;
use crate::relay::notice::RelayNotice;
use crate::relay::pending::{Pending, TokenCall};
use crate::store::{Answer, DeviceGrant, StoreError, StoreOp};
use crate::wire::audit::ActorKind;
use crate::wire::device::{Scopes, shown_user_code};
use crate::wire::oauth::{
    DEVICE_AUTHORIZATION_PATH, DEVICE_CODE_GRANT, DeviceAuthorization, Metadata, OAuthErrorType,
    REFRESH_GRANT, REVOCATION_PATH, TOKEN_PATH, Tokens, VERIFICATION_PATH,
};

/// Whether this is one of the requests whose refusals are worded as OAuth has it.
pub(in crate::relay) const fn is_grant(route: &Route) -> bool {
    matches!(route, Route::BeginLogIn | Route::Token | Route::GiveBack)
}

/// `GET /.well-known/oauth-authorization-server`.
pub(in crate::relay) fn metadata(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
) -> Result<(), ApiError> {
    let issuer = cx.base_url(request).ok_or_else(|| ApiError::invalid("its Host is no name"))?;
    let at = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
    let metadata = Metadata {
        device_authorization_endpoint: at(DEVICE_AUTHORIZATION_PATH),
        token_endpoint: at(TOKEN_PATH),
        revocation_endpoint: at(REVOCATION_PATH),
        grant_types_supported: vec![DEVICE_CODE_GRANT.into(), REFRESH_GRANT.into()],
        response_types_supported: vec![],
        scopes_supported: Scopes::ALL.to_string().split(' ').map(owned).collect(),
        token_endpoint_auth_methods_supported: vec!["none".into()],
        issuer,
    };
    cx.reply(op, response::json(200, &metadata));
    Ok(())
}

fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(String::from(text))
}

/// `POST /v1/oauth/device_authorization`.
pub(in crate::relay) fn begin(cx: &mut Cx, op: OpId, request: &IncomingRequest) {
    let begun = try_begin(cx, request);
    answer(cx, op, begun.map(|begun| response::json(200, &begun)));
}

fn try_begin(cx: &mut Cx, request: &IncomingRequest) -> Result<DeviceAuthorization, Refusal> {
    let form = Form::of(request)?;
    let client = form.required("client_id")?;
    // Not among the fields of RFC 8628: what the machine calls itself, for whoever is asked.
    let name = form.get("device_name").unwrap_or(client);
    for (field, text) in [("client_id", client), ("device_name", name)] {
        if text.len() > MAX_NAME_BYTES || text.chars().any(is_hidden) {
            let words =
                format!("{field} is longer than {MAX_NAME_BYTES} bytes, or cannot be shown");
            return Err(Refusal::new(OAuthErrorType::InvalidRequest, &words));
        }
    }
    let scopes = form.get("scope").map_or(Ok(Scopes::WORK), scopes)?;
    let base = cx.base_url(request);
    let base =
        base.ok_or_else(|| Refusal::new(OAuthErrorType::InvalidRequest, "no usable Host"))?;
    let address = client_of(request, cx.shared.config.is_behind_proxy);
    let (client, name) = (String::from(client), String::from(name));
    let asked = Asked { client, name, scopes, address };
    let now = cx.now();
    let authority = &mut cx.shared.authority;
    let (device_code, plain) = cx.shared.log_ins.begin(&mut authority.issuer, asked, now);
    let user_code = shown_user_code(&plain);
    let verification_uri = format!("{}{VERIFICATION_PATH}", base.trim_end_matches('/'));
    Ok(DeviceAuthorization {
        device_code,
        verification_uri_complete: Some(format!("{verification_uri}?user_code={user_code}")),
        user_code,
        verification_uri,
        expires_in: LOG_IN_LIFE.as_secs(),
        interval: LOG_IN_INTERVAL.as_secs(),
    })
}

fn scopes(text: &str) -> Result<Scopes, Refusal> {
    Scopes::parse(text).ok_or_else(|| {
        let words = format!("the scopes are: {}", Scopes::ALL);
        Refusal::new(OAuthErrorType::InvalidScope, &words)
    })
}

/// `POST /v1/oauth/token`.
pub(in crate::relay) fn token(cx: &mut Cx, op: OpId, request: &IncomingRequest) {
    if let Err(refusal) = try_token(cx, op, request) {
        answer(cx, op, Err(refusal));
    }
}

fn try_token(cx: &mut Cx, op: OpId, request: &IncomingRequest) -> Result<(), Refusal> {
    let form = Form::of(request)?;
    let wanted = form.get("scope").map(scopes).transpose()?;
    let client = client_of(request, cx.shared.config.is_behind_proxy);
    match form.required("grant_type")? {
        DEVICE_CODE_GRANT => {
            let code = (form.required("device_code")?, form.required("client_id")?);
            let approved = poll(cx, code, client)?;
            let Approved { owner, device: id, asked } = approved;
            let Asked { name, scopes, address, .. } = asked;
            if !cx.shared.authority.knows(&owner) {
                return Err(unknown(cx, client));
            }
            let add = StoreOp::AddDevice { owner, id, name, scopes, address: address.to_string() };
            ask(cx, op, TokenCall::Tokens { wanted, is_new: true }, add);
        }
        REFRESH_GRANT => {
            let shown = form.required("refresh_token")?;
            let claims = cx.shared.authority.issuer.refresh_claims_of(shown);
            let claims = claims.filter(|claims| cx.shared.authority.knows(&claims.owner));
            let claims = claims.ok_or_else(|| unknown(cx, client))?;
            let key = idempotency_key(request);
            let invalid = |_| Refusal::new(OAuthErrorType::InvalidRequest, "a bad Idempotency-Key");
            let RefreshClaims { device: id, generation, scopes, .. } = claims;
            if wanted.is_some_and(|wanted| !wanted.are_within(scopes)) {
                let words = format!("this log-in was granted {scopes}");
                return Err(Refusal::new(OAuthErrorType::InvalidScope, &words));
            }
            let (key, address) = (key.map_err(invalid)?, client.to_string());
            let refresh = StoreOp::RefreshDevice { id, generation, key, address };
            ask(cx, op, TokenCall::Tokens { wanted, is_new: false }, refresh);
        }
        _ => {
            let words = format!("the grant types are {DEVICE_CODE_GRANT} and {REFRESH_GRANT}");
            return Err(Refusal::new(OAuthErrorType::UnsupportedGrantType, &words));
        }
    }
    Ok(())
}

fn poll(cx: &mut Cx, code: (&str, &str), client: IpAddr) -> Result<Approved, Refusal> {
    let now = cx.now();
    let (kind, words) = match cx.shared.log_ins.poll(&cx.shared.authority.issuer, code, now) {
        Polled::Approved(approved) => {
            // What waits for a disk waits for everybody.
            if cx.shared.store_calls.under_way() >= MAX_STORE_OPERATIONS_FOR_STRANGERS {
                return Err(Refusal::unavailable());
            }
            return Ok(approved);
        }
        Polled::Unknown => return Err(unknown(cx, client)),
        Polled::AnothersCode => {
            (OAuthErrorType::InvalidGrant, "another client_id has asked for this device_code")
        }
        Polled::Pending => (OAuthErrorType::AuthorizationPending, "nobody has approved it yet"),
        Polled::TooEarly => {
            (OAuthErrorType::SlowDown, "ask less often: 5 seconds more between two")
        }
        Polled::Expired => (OAuthErrorType::ExpiredToken, "nobody has approved it in time"),
        Polled::Denied => (OAuthErrorType::AccessDenied, "the person has refused it"),
    };
    Err(Refusal::new(kind, words))
}

/// A token that was not issued here, which may be a guess; or one that is used up.
fn unknown(cx: &mut Cx, client: IpAddr) -> Refusal {
    let now = cx.now();
    let Guess { is_slowed, report } = cx.shared.guesses.wrong(now, client);
    if let Some(report) = report {
        cx.notify(report);
    }
    if is_slowed {
        return Refusal::slowed();
    }
    let words = "this relay does not know it, or it has been used: log in again";
    Refusal::new(OAuthErrorType::InvalidGrant, words)
}

fn ask(cx: &mut Cx, op: OpId, call: TokenCall, store_op: StoreOp) {
    cx.store(Pending::Token { op, call }, store_op);
}

/// The store has answered to a request for tokens.
pub(in crate::relay) fn granted(cx: &mut Cx, op: OpId, call: TokenCall, answered: Answer) {
    let TokenCall::Tokens { wanted, is_new } = call else { return given_back(cx, op) };
    let tokens = match answered {
        Answer::Granted(grant) => {
            if is_new {
                let (device, name) = (grant.device.id.clone(), grant.device.name.clone());
                cx.notify(RelayNotice::LoggedIn { device, name, scopes: grant.device.scopes });
            }
            Ok(tokens(cx, &grant, wanted))
        }
        Answer::RefreshReused => {
            let words = "this refresh token was used before, so somebody else may have it: the log-in has ended. Log in again";
            Err(Refusal::new(OAuthErrorType::InvalidGrant, words))
        }
        // A store that answers a different question from the one it was asked is broken.
        _ => Err(Refusal::unavailable()),
    };
    answer(cx, op, tokens.map(|tokens| response::json(200, &tokens)));
}

fn tokens(cx: &Cx, grant: &DeviceGrant, wanted: Option<Scopes>) -> Tokens {
    let scopes = wanted.filter(|wanted| wanted.are_within(grant.device.scopes));
    let scopes = scopes.unwrap_or(grant.device.scopes);
    let issuer = &cx.shared.authority.issuer;
    Tokens {
        access_token: issuer.access_token(&AccessClaims::new(grant, scopes, cx.wall())),
        token_type: "Bearer".into(),
        expires_in: Some(ACCESS_TOKEN_LIFE.as_secs()),
        refresh_token: issuer.refresh_token(&RefreshClaims::new(grant)),
        scope: Some(scopes),
    }
}

/// The store refuses what a request needs.
pub(in crate::relay) fn refused(cx: &mut Cx, op: OpId, call: TokenCall, error: &StoreError) {
    match call {
        // Whatever is not there any more is as good as given back (RFC 7009, 2.2).
        TokenCall::GiveBack => given_back(cx, op),
        TokenCall::Tokens { .. } => {
            let refusal = Refusal::new(OAuthErrorType::InvalidGrant, &error.message());
            answer(cx, op, Err(refusal));
        }
    }
}

/// `POST /v1/oauth/revoke` (RFC 7009): either token ends the device.
pub(in crate::relay) fn give_back(cx: &mut Cx, op: OpId, request: &IncomingRequest) {
    let issuer = &cx.shared.authority.issuer;
    let form = Form::of(request);
    let shown = form.as_ref().map_err(Clone::clone).and_then(|form| form.required("token"));
    let shown = match shown {
        Ok(shown) => shown,
        Err(refusal) => return answer(cx, op, Err(refusal)),
    };
    let refresh = issuer.refresh_claims_of(shown).map(|claims| (claims.owner, claims.device));
    let access = || issuer.access_claims_of(shown).map(|claims| (claims.owner, claims.device));
    match refresh.or_else(access) {
        Some((owner, id)) => {
            let name = Some(String::from(id.as_str()));
            cx.shared.exchanges.acts(op, ActorKind::Device, name);
            ask(cx, op, TokenCall::GiveBack, StoreOp::RevokeDevice { owner, id });
        }
        None => {
            let client = client_of(request, cx.shared.config.is_behind_proxy);
            unknown(cx, client);
            given_back(cx, op);
        }
    }
}

fn given_back(cx: &mut Cx, op: OpId) {
    cx.reply(op, response::empty(200));
}

fn answer(cx: &mut Cx, op: OpId, answered: Result<crate::contract::action::Response, Refusal>) {
    cx.reply(op, answered.unwrap_or_else(|refusal| refusal.response()));
}
