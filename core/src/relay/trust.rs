//! Trusted devices (D): a second thing that only they can show, which a relay may demand for what
//! agents do.
//!
//! | who | shows | is given it | counts until |
//! | --- | --- | --- | --- |
//! | a log-in | `X-Trusted-Device-Token` | by `POST /api/auth/trusted_devices`, within ten minutes of the log-in | it is enrolled again, or ends |
//! | a browser | a cookie, which no script can read | with its token, at its sign-in | its sign-in ends |
//! | an access token | nothing | is the relay's own secret, or a person's | |
//!
//! What is stolen of a log-in or of a page's storage is then not enough to answer or to drive. A person
//! whose browser is not trusted is not locked out of anything: signing in again makes it one.

use alloc::format;
use alloc::string::String;

use super::cx::Cx;
use super::http::error::ApiError;
use super::http::request::{body, bounded};
use super::http::response;
use super::http::route::{Access, Route};
use super::pending::{Pending, ViewerCall};
use super::tokens::{BrowserClaims, TokenIssuer};
use crate::base::id::{DeviceId, OpId};
use crate::base::limits::{BROWSER_TOKEN_LIFE, MAX_NAME_BYTES};
use crate::base::secret::Secret;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::store::{AccountId, DeviceGrant, StoreOp};
use crate::wire::device::{Scopes, TRUST_HEADER, TrustPost, Trusted};

/// The beginning of the name of a trusted browser's cookie; its id follows, because cookies are not kept
/// apart by port.
const COOKIE: &str = "footbridge-trusted-";
/// What each is signed for.
const DEVICE: &str = "trusted device";
const BROWSER: &str = "trusted browser";
/// The prefix of every token.
const PREFIX: &str = "fbtrusted-";

/// Whether a request takes a trusted device. One that lets another device in does whatever is demanded:
/// that one would be trusted next.
pub(super) fn is_demanded(demanded: Option<Scopes>, route: &Route) -> bool {
    let scope = route.scope(Access::Person);
    let lets_in = *route == Route::AnswerLogIn;
    demanded.is_some_and(|demanded| lets_in || scope.is_some_and(|scope| demanded.name(scope)))
}

impl TokenIssuer {
    /// What a trusted device shows: for this enrolment and no other.
    pub(super) fn trusted_device_token(&self, id: &DeviceId, number: u64) -> Secret {
        Secret::new(format!("{PREFIX}{}", self.keys.sign(DEVICE, &format!("{id}.{number}"))))
    }

    fn trusted_browser_token(&self, owner: &AccountId, id: &str) -> String {
        format!("{PREFIX}{}", self.keys.sign(BROWSER, &format!("{id}.{}", owner.0)))
    }

    /// Whether a request shows that it comes from that device.
    pub(super) fn is_trusted_device(
        &self,
        request: &IncomingRequest,
        id: &DeviceId,
        number: u64,
    ) -> bool {
        let shown = request.header(TRUST_HEADER).and_then(|token| token.strip_prefix(PREFIX));
        let signed = format!("{id}.{number}");
        shown.is_some_and(|signature| self.keys.has_signed(DEVICE, &signed, signature))
    }

    /// Whether a request comes from that browser, as it signed in.
    pub(super) fn is_trusted_browser(
        &self,
        request: &IncomingRequest,
        owner: &AccountId,
        claims: &BrowserClaims,
    ) -> bool {
        let cookies = request.header("cookie").unwrap_or_default().split(';');
        let mut shown = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        let signed = format!("{}.{}", claims.id, owner.0);
        shown.any(|(name, value)| {
            let is_own = name.strip_prefix(COOKIE) == Some(&*claims.id);
            let signature = value.strip_prefix(PREFIX).filter(|_| is_own);
            signature.is_some_and(|signature| self.keys.has_signed(BROWSER, &signed, signature))
        })
    }
}

/// Makes a browser that signs in a trusted one.
pub(super) fn with_browser(
    cx: &Cx,
    mut response: Response,
    owner: &AccountId,
    id: &str,
) -> Response {
    let token = cx.shared.authority.issuer.trusted_browser_token(owner, id);
    let life = BROWSER_TOKEN_LIFE.as_secs();
    let secure = if cx.shared.site.public_tls_host().is_some() { "; Secure" } else { "" };
    // Without a path it is for what is beside the sign-in: no page's files, and whatever a proxy has put
    // before the path.
    let cookie = format!("{COOKIE}{id}={token}; Max-Age={life}; HttpOnly; SameSite=Strict{secure}");
    response.headers.push((String::from("set-cookie"), cookie));
    response
}

/// `POST /api/auth/trusted_devices` (D-1).
pub(super) fn enrol(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
) -> Result<(), ApiError> {
    let TrustPost { display_name: name } = body(request)?;
    bounded("display_name", &name, MAX_NAME_BYTES)?;
    let id = cx.shared.devices.of(op).map(|acting| acting.device.clone());
    let id = id.ok_or_else(ApiError::no_device)?;
    let call = ViewerCall::Trusted;
    cx.store(Pending::ViewerCall { op, call }, StoreOp::TrustDevice { owner, id, name });
    Ok(())
}

/// It is enrolled.
pub(super) fn enrolled(cx: &Cx, grant: &DeviceGrant) -> Response {
    let id = &grant.device.id;
    let Some(trust) = grant.device.trust else { return ApiError::unavailable().response() };
    let device_token = cx.shared.authority.issuer.trusted_device_token(id, trust.number);
    response::json(201, &Trusted { device_id: id.clone(), device_token })
}
