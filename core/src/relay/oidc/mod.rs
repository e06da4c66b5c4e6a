//! Signing in at the page with a provider of `OpenID` Connect, for those who have one: the authorization
//! code flow with PKCE.
//!
//! ```text
//!   browser                           relay                              provider
//!     GET /v1/oidc/start ─────────▶  (openid-configuration) ◀──────────────▶
//!     ◀── 303, cookie ────────────
//!     signs in · · · · · · · · · · · · · · · · · · · · · · · · · · · · · · ▶
//!     GET /v1/oidc/callback?code ─▶  code, verifier ───────────────────────▶
//!                                    ◀──────────────────────────── ID token
//!                                    (keys, if they are not known) ◀───────▶
//!     ◀── 303, a sign-in code ────
//! ```
//!
//! Nothing of a sign-in is kept here until it is over (see `ticket`). Who the provider says it is has to be
//! one of the relay's people already; nobody gets an account by it. What the browser is given in the end is
//! the same code that a link from `footbridge sign-in` has.

pub(super) mod call;
pub(super) mod config;
mod error;
mod keys;
pub(super) mod known;
mod provider;
mod ticket;
mod token;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::call::{Back, Step, Then};
use self::call::{Call, SigningIn};
pub use self::config::{OidcConfig, OidcConfigError, OidcPerson, OidcWho, Rs256};
use self::error::OidcError;
use self::keys::keys_in;
use self::provider::{Provider, add, basic, document_url};
use self::ticket::Ticket;
use self::token::{Person, Read};
use super::cx::Cx;
use super::http::request::query_value;
use super::http::response;
use super::notice::RelayNotice;
use super::oauth::decoded;
use super::pending::{Noted, Pending};
use super::purpose::Purpose;
use super::sign_in;
use crate::base::id::OpId;
use crate::base::limits::{
    MAX_OIDC_ANSWER_BYTES, OIDC_KEYS_AGAIN_AFTER, OIDC_PROVIDER_KEPT_FOR, REQUEST_TIMEOUT,
};
use crate::base::secret::Secret;
use crate::base::text::is_hidden;
use crate::contract::action::{Action, Answer, Method, Reach, Request, Response};
use crate::contract::event::{IncomingRequest, IoError};
use crate::engine::admission::counted_address;
use crate::store::{self, AccountId, StoreOp};
use crate::wire::audit::ActorKind;

/// `GET /v1/oidc`: whether there is a provider, for the page.
pub(super) fn show(cx: &mut Cx, op: OpId) {
    #[derive(Serialize)]
    struct Shown<'a> {
        provider: Option<&'a str>,
    }
    let provider = cx.shared.config.oidc.as_ref().map(OidcConfig::name);
    let shown = response::json(200, &Shown { provider });
    cx.reply(op, shown);
}

/// `GET /v1/oidc/start`.
pub(super) fn start(cx: &mut Cx, op: OpId, request: &IncomingRequest, query: &str) {
    let now = cx.wall();
    let ticket = Ticket::new(&mut cx.shared.authority.issuer, now, query_value(query, "user_code"));
    match base(cx, request) {
        Ok(base) => with_provider(cx, op, Then::Begin(Back { ticket, base })),
        Err(error) => refuse(cx, op, &error),
    }
}

/// `GET /v1/oidc/callback`.
pub(super) fn back(cx: &mut Cx, op: OpId, request: &IncomingRequest, query: &str) {
    match came_back(cx, request, query) {
        Ok(then) => with_provider(cx, op, then),
        Err(error) => refuse(cx, op, &error),
    }
}

fn came_back(cx: &Cx, request: &IncomingRequest, query: &str) -> Result<Then, OidcError> {
    let value = |name| query_value(query, name).and_then(|value| decoded(value.as_bytes()));
    let base = base(cx, request)?;
    let state = value("state").unwrap_or_default();
    let issuer = &cx.shared.authority.issuer;
    let ticket = Ticket::of(issuer, &state, request, cx.wall()).ok_or(OidcError::Ticket)?;
    if let Some(error) = value("error") {
        let words = value("error_description").unwrap_or(error);
        return Err(OidcError::Refused(plain(&words)));
    }
    let config = cx.shared.config.oidc.as_ref().ok_or(OidcError::Off)?;
    // RFC 9207: another provider's answer is not for this one.
    if value("iss").is_some_and(|iss| iss != config.issuer) {
        return Err(OidcError::Ticket);
    }
    let code = value("code").filter(|code| !code.is_empty()).ok_or(OidcError::Ticket)?;
    Ok(Then::Redeem(Back { ticket, base }, Secret::new(code)))
}

/// Where the browser reaches this relay, if there is a provider at all.
fn base(cx: &Cx, request: &IncomingRequest) -> Result<String, OidcError> {
    cx.shared.config.oidc.as_ref().ok_or(OidcError::Off)?;
    let base = cx.base_url(request).ok_or(OidcError::Off)?;
    Ok(String::from(base.trim_end_matches('/')))
}

fn redirect_uri(base: &str) -> String {
    format!("{base}/v1/oidc/callback")
}

/// Goes on once it is known where the provider is asked for what.
fn with_provider(cx: &mut Cx, op: OpId, then: Then) {
    let now = cx.now();
    let known = cx.shared.oidc.provider.as_ref();
    let known = known.filter(|(since, _)| now < *since + OIDC_PROVIDER_KEPT_FOR);
    match known.map(|(_, provider)| provider.clone()) {
        Some(provider) => go_on(cx, op, &provider, then),
        None => {
            let Some(config) = &cx.shared.config.oidc else {
                return refuse(cx, op, &OidcError::Off);
            };
            let url = document_url(config);
            ask(cx, op, Step::Discover(then), get(url));
        }
    }
}

fn go_on(cx: &mut Cx, op: OpId, provider: &Provider, then: Then) {
    match then {
        Then::Begin(Back { ticket, base }) => begin(cx, op, provider, &ticket, &base),
        Then::Redeem(back, code) => redeem(cx, op, provider, back, &code),
    }
}

/// Sends the browser to the provider.
fn begin(cx: &mut Cx, op: OpId, provider: &Provider, ticket: &Ticket, base: &str) {
    let Some(config) = &cx.shared.config.oidc else { return refuse(cx, op, &OidcError::Off) };
    let issuer = &cx.shared.authority.issuer;
    let mut to = provider.authorization.clone();
    to.push(if to.contains('?') { '&' } else { '?' });
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", &config.client_id),
        ("redirect_uri", &redirect_uri(base)),
        ("scope", "openid email"),
        ("state", &ticket.state(issuer)),
        ("nonce", &ticket.nonce(issuer)),
        ("code_challenge", &ticket.challenge(issuer)),
        ("code_challenge_method", "S256"),
    ] {
        add(&mut to, name, value);
    }
    let cookie = ticket.cookie(issuer, base.starts_with("https://"));
    cx.reply(op, redirect(to, cookie));
}

/// Asks the provider for its token about whoever has come back.
fn redeem(cx: &mut Cx, op: OpId, provider: &Provider, back: Back, code: &Secret) {
    let Some(config) = &cx.shared.config.oidc else { return refuse(cx, op, &OidcError::Off) };
    let verifier = back.ticket.verifier(&cx.shared.authority.issuer);
    let mut form = String::new();
    add(&mut form, "grant_type", "authorization_code");
    add(&mut form, "code", code.reveal());
    add(&mut form, "redirect_uri", &redirect_uri(&back.base));
    add(&mut form, "code_verifier", verifier.reveal());
    let mut headers = alloc::vec![
        ("content-type", Secret::from("application/x-www-form-urlencoded")),
        ("accept", Secret::from("application/json")),
    ];
    match &config.client_secret {
        Some(secret) if !provider.takes_secret_in_form => {
            headers.push(("authorization", basic(&config.client_id, secret)));
        }
        secret => {
            add(&mut form, "client_id", &config.client_id);
            if let Some(secret) = secret {
                add(&mut form, "client_secret", secret.reveal());
            }
        }
    }
    let request = Request {
        method: Method::Post,
        headers,
        body: Bytes::from(form),
        ..get(provider.token.clone())
    };
    ask(cx, op, Step::Redeem(back), request);
}

/// Whom the relay runs for has named the provider, so it may be anywhere.
fn get(url: String) -> Request {
    Request {
        method: Method::Get,
        url,
        headers: alloc::vec![("accept", Secret::from("application/json"))],
        body: Bytes::new(),
        timeout: REQUEST_TIMEOUT,
        answer: Answer::Whole { max_body: MAX_OIDC_ANSWER_BYTES },
        reach: Reach::Anywhere,
    }
}

fn ask(cx: &mut Cx, op: OpId, step: Step, request: Request) {
    let Some(client) = cx.shared.exchanges.client(op).map(counted_address) else { return };
    let oidc = &mut cx.shared.oidc;
    if !oidc.places.take(client) {
        return refuse(cx, op, &OidcError::Busy);
    }
    let call = Call { op, client, step };
    if matches!(call.step, Step::Discover(_)) {
        match &mut oidc.discovery {
            Some(others) => return others.push(call),
            none => *none = Some(Vec::new()),
        }
    }
    let purpose = Purpose::Oidc(Box::new(call));
    cx.engine.fx.start(purpose, |op| Action::Request { op, request });
}

/// The provider has answered.
pub(super) fn on_response(cx: &mut Cx, call: Call, response: &Response) {
    for Call { op, step, .. } in over(cx, call) {
        if !cx.shared.exchanges.is_waiting(op) {
            continue;
        }
        if let Err(error) = take(cx, op, step, response) {
            refuse(cx, op, &error);
        }
    }
}

/// The provider could not be asked.
pub(super) fn on_failed(cx: &mut Cx, call: Call, failure: &IoError) {
    for Call { op, .. } in over(cx, call) {
        refuse(cx, op, &OidcError::Unreachable(plain(&format!("{failure}"))));
    }
}

/// Who has waited for this answer; their places are free again.
fn over(cx: &mut Cx, call: Call) -> Vec<Call> {
    let oidc = &mut cx.shared.oidc;
    let others = match call.step {
        Step::Discover(_) => oidc.discovery.take().unwrap_or_default(),
        Step::Redeem(_) | Step::Keys(..) => Vec::new(),
    };
    let all: Vec<_> = core::iter::once(call).chain(others).collect();
    all.iter().for_each(|call| oidc.places.free(call.client));
    all
}

fn take(cx: &mut Cx, op: OpId, step: Step, response: &Response) -> Result<(), OidcError> {
    let Response { status, body, .. } = response;
    let config = cx.shared.config.oidc.as_ref().ok_or(OidcError::Off)?;
    match step {
        Step::Discover(then) => {
            answered("its openid-configuration", *status)?;
            let provider = Provider::of(config, body)?;
            let now = cx.now();
            cx.shared.oidc.provider = Some((now, provider.clone()));
            go_on(cx, op, &provider, then);
            Ok(())
        }
        Step::Redeem(back) => {
            let token = id_token(*status, body)?;
            judge(cx, op, back, token, true)
        }
        Step::Keys(back, token) => {
            answered("its keys", *status)?;
            let keys = keys_in(body)
                .ok_or_else(|| OidcError::Provider("its jwks_uri leads to no keys".to_string()))?;
            let now = cx.now();
            cx.shared.oidc.keys = Some((now, keys));
            judge(cx, op, back, token, false)
        }
    }
}

fn answered(what: &str, status: u16) -> Result<(), OidcError> {
    match status {
        200 => Ok(()),
        429 | 500.. => Err(OidcError::Unreachable(format!("{what}: HTTP {status}"))),
        _ => Err(OidcError::Provider(format!("{what} is answered with HTTP {status}"))),
    }
}

/// The token in the provider's answer, or why there is none, in its own words.
fn id_token(status: u16, body: &[u8]) -> Result<Secret, OidcError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Tokens {
        id_token: Option<String>,
        error: Option<String>,
        error_description: Option<String>,
    }
    let Tokens { id_token, error, error_description } =
        serde_json::from_slice(body).unwrap_or_default();
    match (status, id_token, error) {
        (200, Some(token), _) => Ok(Secret::new(token)),
        // The code was used before, or too late: the person can begin again.
        (_, _, Some(error)) if error == "invalid_grant" => {
            Err(OidcError::Refused(plain(&error_description.unwrap_or(error))))
        }
        (_, _, Some(error)) => {
            let words = error_description.map(|words| format!(": {words}")).unwrap_or_default();
            let words = plain(&format!("{error}{words}"));
            let hint = match &*error {
                "invalid_client" | "unauthorized_client" => {
                    "; look at --oidc-client-id and --oidc-client-secret-file"
                }
                _ => "",
            };
            Err(OidcError::Provider(format!("{words}{hint}")))
        }
        (status, ..) => {
            answered("its token endpoint", status)?;
            Err(OidcError::Provider("there is no id_token in it".to_string()))
        }
    }
}

/// Looks at the token about a person; with the provider's keys once more, if they may have changed.
fn judge(
    cx: &mut Cx,
    op: OpId,
    back: Back,
    token: Secret,
    may_ask_for_keys: bool,
) -> Result<(), OidcError> {
    let config = cx.shared.config.oidc.as_ref().ok_or(OidcError::Off)?;
    let (now, nonce) = (cx.now(), back.ticket.nonce(&cx.shared.authority.issuer));
    // A key that the provider has withdrawn does not count for ever.
    let known = cx.shared.oidc.keys.as_ref();
    let known = known.filter(|(since, _)| now < *since + OIDC_PROVIDER_KEPT_FOR);
    let keys = known.map_or(&[][..], |(_, keys)| keys);
    match token::read(config, keys, &token, &nonce, cx.wall())? {
        Read::Person(person) => welcome(cx, op, &back, &person),
        Read::OtherKey => {
            let is_new = known.is_some_and(|(since, _)| now < *since + OIDC_KEYS_AGAIN_AFTER);
            let provider = cx.shared.oidc.provider.as_ref();
            let url = provider.map(|(_, provider)| provider.keys.clone());
            match url.filter(|_| may_ask_for_keys && !is_new) {
                Some(url) => {
                    ask(cx, op, Step::Keys(back, token), get(url));
                    Ok(())
                }
                None => Err(OidcError::Token("none of the provider's keys has signed it")),
            }
        }
    }
}

/// The provider has said who it is.
fn welcome(cx: &mut Cx, op: OpId, back: &Back, person: &Person) -> Result<(), OidcError> {
    let config = cx.shared.config.oidc.as_ref().ok_or(OidcError::Off)?;
    let account = person.account(config).map(|name| AccountId(String::from(name)));
    let account = account.filter(|account| cx.shared.authority.knows(account));
    let account = account.ok_or_else(|| OidcError::Unknown(plain(&person.words())))?;
    cx.shared.exchanges.acts(op, ActorKind::Oidc, Some(plain(&person.subject)));
    let note = StoreOp::Note { owner: account.clone(), noted: store::Noted::SignInCodeMade };
    let then = Noted::Oidc { account, signing_in: Box::new(SigningIn(back.clone())) };
    cx.store(Pending::Noted { op, then }, note);
    Ok(())
}

/// It has been written down that somebody signs in.
pub(super) fn noted(cx: &mut Cx, op: OpId, account: AccountId, SigningIn(back): &SigningIn) {
    let code = sign_in::new_code(cx, account).code;
    let to = back.ticket.destination(&back.base, &code);
    cx.reply(op, redirect(to, back.ticket.no_cookie()));
}

fn redirect(to: String, cookie: String) -> Response {
    let mut response = response::empty(303);
    response.headers.extend(response::owned(&[("referrer-policy", "no-referrer")]));
    response.headers.push((String::from("location"), to));
    response.headers.push((String::from("set-cookie"), cookie));
    response
}

/// Tells the person why, in words, since there is a browser before them and no program.
fn refuse(cx: &mut Cx, op: OpId, error: &OidcError) {
    if !cx.shared.exchanges.is_waiting(op) {
        return;
    }
    if error.is_reported() {
        cx.notify(RelayNotice::OidcFailed { detail: error.to_string() });
    }
    let words = escaped(&error.to_string());
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Footbridge: not signed in</title><h1>Not signed in</h1><p>{words}.</p><p><a href=\"../../\">Back to Footbridge</a></p></html>"
    );
    let mut response = response::empty(error.status());
    response.headers.extend(response::owned(&[
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ]));
    response.body = Bytes::from(page);
    cx.reply(op, response);
}

/// What the provider says, so that it can be shown.
fn plain(text: &str) -> String {
    const MAX_SHOWN_CHARS: usize = 400;
    text.chars().filter(|c| !is_hidden(*c)).take(MAX_SHOWN_CHARS).collect()
}

fn escaped(text: &str) -> String {
    let mut all = String::new();
    for c in text.chars() {
        match c {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            c => all.push(c),
        }
    }
    all
}
