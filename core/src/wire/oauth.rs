//! Logging in without a browser on the machine (T-6): the shapes of RFC 8628, 6749 and 8414.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::device::Scopes;
use crate::base::secret::{self, Secret};

/// The grant by which a device fetches the tokens of a log-in.
pub const DEVICE_CODE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The grant by which it has them refreshed.
pub const REFRESH_GRANT: &str = "refresh_token";
/// What this project's own programs call themselves.
pub const CLIENT_ID: &str = "footbridge";

/// Where a device begins.
pub const DEVICE_AUTHORIZATION_PATH: &str = "/v1/oauth/device_authorization";
/// Where it fetches tokens.
pub const TOKEN_PATH: &str = "/v1/oauth/token";
/// Where it gives them back.
pub const REVOCATION_PATH: &str = "/v1/oauth/revoke";
/// Where a client finds these (RFC 8414).
pub const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";
/// The page on which a person approves a log-in.
pub const VERIFICATION_PATH: &str = "/device";

/// The answer to a device that begins (RFC 8628, 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAuthorization {
    /// With which it asks for its tokens.
    #[serde(serialize_with = "secret::reveal")]
    pub device_code: Secret,
    /// What the person is to type.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// How many seconds it waits for that.
    pub expires_in: u64,
    /// How many seconds to leave between two questions.
    #[serde(default = "five_seconds")]
    pub interval: u64,
}

const fn five_seconds() -> u64 {
    5
}

/// Tokens (RFC 6749, 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// For requests.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    pub access_token: Secret,
    /// `Bearer`.
    pub token_type: Cow<'static, str>,
    /// How many seconds the access token is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
    /// For the next ones.
    #[serde(serialize_with = "secret::reveal")]
    pub refresh_token: Secret,
    /// What they allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scopes>,
}

/// Why there are none (RFC 6749, 5.2; RFC 8628, 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum OAuthErrorType {
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidScope,
    UnauthorizedClient,
    UnsupportedGrantType,
    TemporarilyUnavailable,
    /// One that is not known here.
    #[serde(other)]
    Other,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthErrorBody<'a> {
    /// Which.
    pub error: OAuthErrorType,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<Cow<'a, str>>,
}

/// What a relay says of itself (RFC 8414).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the RFC")]
pub struct Metadata {
    pub issuer: String,
    pub device_authorization_endpoint: String,
    pub token_endpoint: String,
    pub revocation_endpoint: String,
    pub grant_types_supported: Vec<Cow<'static, str>>,
    pub response_types_supported: Vec<Cow<'static, str>>,
    pub scopes_supported: Vec<Cow<'static, str>>,
    pub token_endpoint_auth_methods_supported: Vec<Cow<'static, str>>,
}
