//! What a provider says about itself (`OpenID` Connect Discovery).

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::config::{OidcConfig, is_safe};
use super::error::OidcError;
use crate::base::secret::Secret;

/// Where a provider is asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Provider {
    pub(super) authorization: String,
    pub(super) token: String,
    pub(super) keys: String,
    /// Whether the relay shows its secret in a form, rather than in a header.
    pub(super) takes_secret_in_form: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// Where the document is.
pub(super) fn document_url(config: &OidcConfig) -> String {
    let issuer = config.issuer.trim_end_matches('/');
    alloc::format!("{issuer}/.well-known/openid-configuration")
}

impl Provider {
    pub(super) fn of(config: &OidcConfig, body: &[u8]) -> Result<Self, OidcError> {
        let refuse = |words: &str| OidcError::Provider(String::from(words));
        let document: Document = serde_json::from_slice(body).map_err(|_| {
            refuse("its openid-configuration is none: is --oidc-issuer the right URL?")
        })?;
        if document.issuer != config.issuer {
            return Err(refuse(
                "its openid-configuration names another issuer than --oidc-issuer does: use the very same text, a slash at the end included",
            ));
        }
        let Document { authorization_endpoint, token_endpoint, jwks_uri, .. } = document;
        let urls = [&authorization_endpoint, &token_endpoint, &jwks_uri];
        if !urls.iter().all(|url| is_safe(url)) {
            return Err(refuse("its openid-configuration names an address without https"));
        }
        let methods = document.token_endpoint_auth_methods_supported;
        let has = |name: &str| methods.iter().any(|method| method == name);
        Ok(Self {
            authorization: authorization_endpoint,
            token: token_endpoint,
            keys: jwks_uri,
            takes_secret_in_form: has("client_secret_post") && !has("client_secret_basic"),
        })
    }
}

/// Adds a field to a form or a query.
pub(super) fn add(to: &mut String, name: &str, value: &str) {
    if !to.is_empty() && !to.ends_with(['?', '&']) {
        to.push('&');
    }
    to.push_str(name);
    to.push('=');
    to.push_str(&encoded(value));
}

/// As it stands in a form or a query.
pub(super) fn encoded(text: &str) -> String {
    let mut all = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                all.push(char::from(byte));
            }
            other => all.push_str(&alloc::format!("%{other:02X}")),
        }
    }
    all
}

/// `Authorization` of a client with a secret (RFC 6749, 2.3.1).
pub(super) fn basic(client_id: &str, secret: &Secret) -> Secret {
    use base64::Engine as _;
    let both = alloc::format!("{}:{}", encoded(client_id), encoded(secret.reveal()));
    let both = base64::engine::general_purpose::STANDARD.encode(both);
    Secret::new(alloc::format!("Basic {both}"))
}
