//! The tokens of devices (T-6): signed, and bound to a device that the store can end at any time.
//!
//! | token | form | checked |
//! | --- | --- | --- |
//! | access | `fbaccess-` and a JWT: `aud`, `sub`, `dev`, `scope`, `epoch`, `iat`, `exp` | signature, audience, expiry, scope; the device and its epoch by the store, on each call |
//! | refresh | `fbrefresh-`, claims, signature: `sub`, `dev`, `gen`, `scope` | signature; the device and the number by the store |
//!
//! A token of one kind is signed for another purpose than those of the other kinds, so none can pass
//! for another, whatever it says of itself.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::tokens::{TokenIssuer, jose_header};
use crate::base::id::DeviceId;
use crate::base::limits::ACCESS_TOKEN_LIFE;
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::store::{AccountId, DeviceGrant};
use crate::wire::device::Scopes;
use crate::wire::to_json;

/// The audience of access tokens.
const AUDIENCE: &str = "footbridge:relay";
/// The prefix of every access token.
const ACCESS_PREFIX: &str = "fbaccess-";
/// The prefix of every refresh token.
const REFRESH_PREFIX: &str = "fbrefresh-";

/// What each is signed for.
const ACCESS: &str = "access token";
const REFRESH: &str = "refresh token";

/// What is signed in all but the signature of a device's token, and for what.
fn signed_part(text: &str) -> Option<(&'static str, &str)> {
    let access = text.strip_prefix(ACCESS_PREFIX).map(|signed| (ACCESS, signed));
    access.or_else(|| text.strip_prefix(REFRESH_PREFIX).map(|signed| (REFRESH, signed)))
}

/// The claims of an access token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccessClaims {
    aud: Cow<'static, str>,
    #[serde(rename = "sub")]
    pub(super) owner: AccountId,
    #[serde(rename = "dev")]
    pub(super) device: DeviceId,
    #[serde(rename = "scope")]
    pub(super) scopes: Scopes,
    pub(super) epoch: u64,
    /// In seconds since 1970.
    iat: u64,
    /// In seconds since 1970.
    exp: u64,
}

impl AccessClaims {
    pub(super) fn new(grant: &DeviceGrant, scopes: Scopes, now: UnixTime) -> Self {
        Self {
            aud: Cow::Borrowed(AUDIENCE),
            owner: grant.device.owner.clone(),
            device: grant.device.id.clone(),
            scopes,
            epoch: grant.epoch,
            iat: now.as_secs(),
            exp: (now + ACCESS_TOKEN_LIFE).as_secs(),
        }
    }

    pub(super) const fn is_expired(&self, now: UnixTime) -> bool {
        now.as_secs() >= self.exp
    }
}

/// The claims of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RefreshClaims {
    #[serde(rename = "sub")]
    pub(super) owner: AccountId,
    #[serde(rename = "dev")]
    pub(super) device: DeviceId,
    #[serde(rename = "gen")]
    pub(super) generation: u64,
    #[serde(rename = "scope")]
    pub(super) scopes: Scopes,
}

impl RefreshClaims {
    pub(super) fn new(grant: &DeviceGrant) -> Self {
        let DeviceGrant { device, generation, .. } = grant;
        Self {
            owner: device.owner.clone(),
            device: device.id.clone(),
            generation: *generation,
            scopes: device.scopes,
        }
    }
}

impl TokenIssuer {
    /// The credentials of this relay's own of which this is all but the signature: one for each key.
    pub(super) fn signed_again(&self, public: &str) -> Vec<Secret> {
        let Some(text) = public.strip_suffix('.') else { return Vec::new() };
        let environment = text.starts_with("env_").then_some(("environment", text));
        let device = || signed_part(text);
        let Some((purpose, signed)) = environment.or_else(device) else { return Vec::new() };
        let signatures = self.keys.sign_with_each(purpose, signed).into_iter();
        signatures.map(|signature| Secret::new(format!("{public}{signature}"))).collect()
    }

    pub(super) fn access_token(&self, claims: &AccessClaims) -> Secret {
        let signed = format!("{}.{}", jose_header("at+jwt"), encode(claims));
        let signature = self.keys.sign(ACCESS, &signed);
        Secret::new(format!("{ACCESS_PREFIX}{signed}.{signature}"))
    }

    /// The claims of an access token that was issued here, for here; it may have expired.
    pub(super) fn access_claims_of(&self, token: &str) -> Option<AccessClaims> {
        let (signed, signature) = token.strip_prefix(ACCESS_PREFIX)?.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        self.keys.has_signed(ACCESS, signed, signature).then_some(())?;
        decode(claims).filter(|claims: &AccessClaims| claims.aud == AUDIENCE)
    }

    pub(super) fn refresh_token(&self, claims: &RefreshClaims) -> Secret {
        let claims = encode(claims);
        let signature = self.keys.sign(REFRESH, &claims);
        Secret::new(format!("{REFRESH_PREFIX}{claims}.{signature}"))
    }

    /// The claims of a refresh token that was issued here.
    pub(super) fn refresh_claims_of(&self, token: &str) -> Option<RefreshClaims> {
        let (claims, signature) = token.strip_prefix(REFRESH_PREFIX)?.rsplit_once('.')?;
        self.keys.has_signed(REFRESH, claims, signature).then_some(())?;
        decode(claims)
    }
}

fn encode<T: Serialize>(claims: &T) -> alloc::string::String {
    URL_SAFE_NO_PAD.encode(to_json(claims))
}

fn decode<T: DeserializeOwned>(claims: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}
