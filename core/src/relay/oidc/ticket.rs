//! A sign-in that is under way. Nothing of it is kept: what comes back from the provider says which one
//! it is, signed; the browser shows by a cookie that it is the one that has begun it; and what else is
//! needed follows from it and the relay's key. So nobody can push out the sign-ins of others.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::limits::OIDC_SIGN_IN_LIFE;
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::contract::event::IncomingRequest;
use crate::relay::tokens::TokenIssuer;
use crate::wire::device::USER_CODE_LENGTH;
use crate::wire::to_json;

/// The beginning of the cookie's name; a part of the id follows, so that two tabs do not meet.
const COOKIE: &str = "footbridge-oidc-";
const COOKIE_ID: usize = 8;

/// A sign-in that is under way, in the provider's words its `state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::relay) struct Ticket {
    id: String,
    /// In seconds since 1970.
    exp: u64,
    /// The code of the log-in that is to be approved next, if that is why the person signs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_code: Option<String>,
}

impl Ticket {
    pub(super) fn new(issuer: &mut TokenIssuer, now: UnixTime, user_code: Option<&str>) -> Self {
        let plain = user_code.filter(|code| {
            code.len() <= 2 * USER_CODE_LENGTH
                && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        let exp = (now + OIDC_SIGN_IN_LIFE).as_secs();
        Self { id: issuer.uuid(), exp, user_code: plain.map(String::from) }
    }

    /// What goes to the provider and comes back.
    pub(super) fn state(&self, issuer: &TokenIssuer) -> String {
        let ticket = self.encoded();
        let signature = issuer.keys.sign("oidc state", &ticket);
        format!("{ticket}.{signature}")
    }

    /// The sign-in that this state is of, if the browser is the one that has begun it.
    pub(super) fn of(
        issuer: &TokenIssuer,
        state: &str,
        request: &IncomingRequest,
        now: UnixTime,
    ) -> Option<Self> {
        let (encoded, signature) = state.split_once('.')?;
        issuer.keys.has_signed("oidc state", encoded, signature).then_some(())?;
        let ticket: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()?;
        let name = ticket.cookie_name();
        let cookies = request.header("cookie").unwrap_or_default().split(';');
        let mut shown = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        let is_its_own = shown.any(|(given, value)| {
            given == name && issuer.keys.has_signed("oidc browser", encoded, value)
        });
        (is_its_own && now.as_secs() < ticket.exp).then_some(ticket)
    }

    fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(to_json(self))
    }

    fn cookie_name(&self) -> String {
        format!("{COOKIE}{}", self.id.get(..COOKIE_ID).unwrap_or_default())
    }

    /// Binds it to a browser. It is sent along when the provider's page leads back, so it is `Lax`.
    pub(super) fn cookie(&self, issuer: &TokenIssuer, secure: bool) -> String {
        let value = issuer.keys.sign("oidc browser", &self.encoded());
        let (name, life) = (self.cookie_name(), OIDC_SIGN_IN_LIFE.as_secs());
        let secure = if secure { "; Secure" } else { "" };
        format!("{name}={value}; Max-Age={life}; HttpOnly; SameSite=Lax{secure}")
    }

    /// Takes the cookie back.
    pub(super) fn no_cookie(&self) -> String {
        format!("{}=; Max-Age=0; HttpOnly; SameSite=Lax", self.cookie_name())
    }

    /// What the token has to repeat.
    pub(super) fn nonce(&self, issuer: &TokenIssuer) -> String {
        issuer.keys.sign("oidc nonce", &self.encoded())
    }

    /// What only whoever has begun can show at the end (PKCE).
    pub(super) fn verifier(&self, issuer: &TokenIssuer) -> Secret {
        Secret::new(issuer.keys.sign("oidc verifier", &self.encoded()))
    }

    pub(super) fn challenge(&self, issuer: &TokenIssuer) -> String {
        let verifier = self.verifier(issuer);
        URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.reveal().as_bytes()))
    }

    /// Where the page goes once the person is signed in, with the code that does it.
    pub(super) fn destination(&self, base: &str, code: &Secret) -> String {
        let code = code.reveal();
        match &self.user_code {
            Some(user_code) => format!("{base}/device?user_code={user_code}#code={code}"),
            None => format!("{base}/#code={code}"),
        }
    }
}
