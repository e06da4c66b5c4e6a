//! A log-in, as it is kept in a file (T-1, T-6).

use alloc::string::{String, ToString};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::Mac;
use serde::{Deserialize, Serialize};

use super::account_key::{keyed, mac};
use crate::base::secret::{self, Secret};
use crate::wire::device::Scopes;
use crate::wire::oauth::Tokens;
use crate::wire::to_json;
use crate::wire::url::BaseUrl;

/// What a device holds: the tokens of a relay, and how it asks for the next ones.
///
/// A refresh token works once. Several processes may share a file, and an answer may be lost, so a
/// request for the next tokens has a key that follows from the file alone: whoever repeats it with the
/// same file gets the same answer, and nobody who has only the token can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogIn {
    relay: String,
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    access_token: Secret,
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    refresh_token: Secret,
    /// Of the next request for tokens.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    refresh_key: Secret,
    #[serde(default)]
    scope: Option<Scopes>,
    /// What shows that it is a trusted device (D-2).
    #[serde(default, skip_serializing_if = "Option::is_none", with = "secret::optional")]
    trusted_device_token: Option<Secret>,
}

impl LogIn {
    /// One that has just been approved. `seed` is known to nobody else.
    pub fn new(relay: &BaseUrl, tokens: Tokens, seed: &Secret) -> Self {
        let Tokens { access_token, refresh_token, scope, .. } = tokens;
        let refresh_key = key(seed, &refresh_token);
        Self {
            relay: relay.to_string(),
            access_token,
            refresh_token,
            refresh_key,
            scope,
            trusted_device_token: None,
        }
    }

    /// Reads a file's content; `None` if it holds no log-in.
    pub fn parse(file: &[u8]) -> Option<Self> {
        serde_json::from_slice(file).ok()
    }

    /// The content of its file.
    pub fn to_file(&self) -> Bytes {
        to_json(self)
    }

    /// Whether it is one at this relay.
    pub fn is_at(&self, relay: &BaseUrl) -> bool {
        self.relay == relay.to_string()
    }

    /// For requests.
    pub const fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// For the next tokens.
    pub const fn refresh_token(&self) -> &Secret {
        &self.refresh_token
    }

    /// What it allows, as far as the relay has said.
    pub const fn scope(&self) -> Option<Scopes> {
        self.scope
    }

    pub(crate) const fn refresh_key(&self) -> &Secret {
        &self.refresh_key
    }

    /// The same with the next tokens.
    pub(crate) fn refreshed(&self, tokens: Tokens) -> Self {
        let Tokens { access_token, refresh_token, scope, .. } = tokens;
        // They are already there, if the same was asked twice: the key follows once.
        let refresh_key = match refresh_token == self.refresh_token {
            true => self.refresh_key.clone(),
            false => key(&self.refresh_key, &refresh_token),
        };
        let (relay, scope) = (self.relay.clone(), scope.or(self.scope));
        let trusted_device_token = self.trusted_device_token.clone();
        Self { relay, access_token, refresh_token, refresh_key, scope, trusted_device_token }
    }

    /// What it shows as a trusted device, if it is one.
    pub(crate) const fn trusted_device_token(&self) -> Option<&Secret> {
        self.trusted_device_token.as_ref()
    }

    /// It is enrolled as a trusted device.
    pub(crate) fn trust(&mut self, token: Secret) {
        self.trusted_device_token = Some(token);
    }
}

fn key(seed: &Secret, refresh_token: &Secret) -> Secret {
    let mac = mac(&keyed(seed.reveal().as_bytes()), "refresh", refresh_token.reveal());
    Secret::new(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn tokens(name: &str) -> Tokens {
        Tokens {
            access_token: Secret::new(format!("access-{name}")),
            token_type: "Bearer".into(),
            expires_in: Some(3600),
            refresh_token: Secret::new(format!("refresh-{name}")),
            scope: Some(Scopes::WORK),
        }
    }

    #[test]
    fn processes_with_the_same_file_ask_in_the_same_way_and_nobody_else_can() {
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let first = LogIn::new(&relay, tokens("1"), &Secret::from("seed"));
        let again = LogIn::parse(&first.to_file()).expect("it is one");
        assert_eq!(again, first);
        assert_eq!(again.refreshed(tokens("2")), first.refreshed(tokens("2")));
        let (second, third) = (first.refreshed(tokens("2")), first.refreshed(tokens("3")));
        assert_ne!(second.refresh_key(), first.refresh_key());
        assert_ne!(second.refresh_key(), third.refresh_key());
        assert_eq!(second.refreshed(tokens("2")), second, "asked twice");
        let other = LogIn::new(&relay, tokens("1"), &Secret::from("another seed"));
        assert_ne!(other.refresh_key(), first.refresh_key());
        assert!(first.is_at(&relay) && !format!("{first:?}").contains("refresh-1"));
    }

    #[test]
    fn anything_else_is_no_log_in() {
        for file in ["", "{}", "a-token", r#"{"relay":"x","access_token":"a b"}"#, "null", "\u{0}"]
        {
            assert_eq!(LogIn::parse(file.as_bytes()), None, "{file}");
        }
    }
}
