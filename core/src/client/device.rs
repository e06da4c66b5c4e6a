//! What a device asks of a relay about itself (T-6, Y-9).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use super::answer::answer;
use super::error::RequestError;
use super::request::{Empty, form, get, post};
use crate::auth::LogIn;
use crate::base::id::DeviceId;
use crate::base::limits::TRUST_TIMEOUT;
use crate::base::secret::Secret;
use crate::contract::action::Request;
use crate::contract::event::Event;
use crate::wire::device::{Scopes, TRUST_PATH, TrustPost};
use crate::wire::oauth::{
    CLIENT_ID, DEVICE_AUTHORIZATION_PATH, DEVICE_CODE_GRANT, OAuthErrorBody, OAuthErrorType,
    REFRESH_GRANT, REVOCATION_PATH, TOKEN_PATH, Tokens,
};
use crate::wire::url::BaseUrl;

/// Why there are no tokens.
#[derive(Debug)]
pub enum TokenError {
    /// The relay says so, in the words of OAuth.
    Refused {
        /// Why.
        kind: OAuthErrorType,
        /// For people.
        description: String,
    },
    /// There was no such answer.
    Request(RequestError),
}

/// Begins a log-in.
pub(super) fn begin(relay: &BaseUrl, scopes: Scopes, name: &str) -> Request {
    let scope = format!("{scopes}");
    let fields = [("client_id", CLIENT_ID), ("scope", &scope), ("device_name", name)];
    form(relay, DEVICE_AUTHORIZATION_PATH, &fields)
}

/// Asks whether it was approved.
pub(super) fn fetch(relay: &BaseUrl, device_code: &Secret) -> Request {
    let code = device_code.reveal();
    let fields =
        [("grant_type", DEVICE_CODE_GRANT), ("client_id", CLIENT_ID), ("device_code", code)];
    form(relay, TOKEN_PATH, &fields)
}

/// Asks for the next tokens of a log-in.
pub(crate) fn refresh(relay: &BaseUrl, log_in: &LogIn) -> Request {
    let token = log_in.refresh_token().reveal();
    let fields =
        [("grant_type", REFRESH_GRANT), ("client_id", CLIENT_ID), ("refresh_token", token)];
    let mut request = form(relay, TOKEN_PATH, &fields);
    request.headers.push(("idempotency-key", log_in.refresh_key().clone()));
    request
}

/// The tokens that were asked for.
pub(crate) fn tokens(event: Event) -> Result<Tokens, TokenError> {
    if let Event::Response { response, .. } = &event
        && response.status >= 400
        && let Ok(body) = serde_json::from_slice::<OAuthErrorBody<'_>>(&response.body)
        && !matches!(body.error, OAuthErrorType::Other | OAuthErrorType::TemporarilyUnavailable)
        && response.status != 429
    {
        let description = body.error_description.map(Cow::into_owned);
        let description = description.unwrap_or_else(|| format!("{:?}", body.error));
        let description = description.chars().take(300).collect();
        return Err(TokenError::Refused { kind: body.error, description });
    }
    answer(event).map_err(TokenError::Request)
}

/// Gives a token back: the device has logged out.
pub(super) fn give_back(relay: &BaseUrl, token: &Secret) -> Request {
    form(relay, REVOCATION_PATH, &[("token", token.reveal()), ("client_id", CLIENT_ID)])
}

/// Whose a credential is.
pub(super) fn who_am_i(relay: &BaseUrl, token: &Secret) -> Request {
    get(relay, "/v1/whoami", Some(token))
}

/// Enrols it as a trusted one (D-1).
pub(super) fn trust(relay: &BaseUrl, token: &Secret, name: &str) -> Request {
    let body = TrustPost { display_name: String::from(name) };
    Request { timeout: TRUST_TIMEOUT, ..post(relay, TRUST_PATH, Some(token), &body) }
}

/// The devices of a person.
pub(super) fn devices(relay: &BaseUrl, token: &Secret) -> Request {
    get(relay, "/v1/devices", Some(token))
}

/// Ends one.
pub(super) fn revoke(relay: &BaseUrl, token: &Secret, id: &DeviceId) -> Request {
    post(relay, &format!("/v1/devices/{id}/revoke"), Some(token), &Empty {})
}

/// What was done, after the entry with this number.
pub(super) fn audit(relay: &BaseUrl, token: &Secret, after: u64) -> Request {
    get(relay, &format!("/v1/audit?after={after}"), Some(token))
}

/// Whether a request shows a token in its form.
pub(crate) fn shows_token(request: &Request, relay: &BaseUrl) -> bool {
    [TOKEN_PATH, REVOCATION_PATH].iter().any(|path| request.url == relay.join(path))
}
