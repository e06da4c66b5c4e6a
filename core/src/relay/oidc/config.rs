//! With which provider people sign in, and as whom.

use alloc::string::String;
use alloc::vec::Vec;

use crate::base::limits::{MAX_ID_BYTES, MAX_NAME_BYTES};
use crate::base::secret::Secret;

/// Whether a signature (RSASSA-PKCS1-v1_5 with SHA-256) over a message was made with a key, which is a
/// DER `RSAPublicKey`. A pure function: a runtime that speaks TLS has one anyway.
pub type Rs256 = fn(key: &[u8], message: &[u8], signature: &[u8]) -> bool;

/// A provider of `OpenID` Connect, at which people sign in.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// Its name, which is a URL, exactly as it says itself.
    pub issuer: String,
    /// By what it knows this relay.
    pub client_id: String,
    /// What it has given this relay to show, unless it knows it as a public client.
    pub client_secret: Option<Secret>,
    /// Checks signatures by RSA; without it, only those on P-256 count.
    pub rs256: Option<Rs256>,
    /// Who of the relay's people is who there. Nobody else gets in by it.
    pub people: Vec<OidcPerson>,
}

/// A person of the relay's, as the provider knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OidcPerson {
    /// The person's account.
    pub person: String,
    /// Who that is there.
    pub who: OidcWho,
}

/// By what a person is known at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidcWho {
    /// What the provider calls them (`sub`), which it never gives to anybody else.
    Subject(String),
    /// An address that the provider has verified. Upper and lower case do not matter.
    Email(String),
}

/// Why a relay cannot let people sign in with a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcConfigError {
    /// What is sent to it could be read on the way.
    #[error(
        "the provider's issuer must begin with https:// (or http:// on this machine), as its own documentation gives it, without a query"
    )]
    Issuer,
    /// It is missing or too long.
    #[error("the client id is missing or too long: it is what the provider has given this relay")]
    ClientId,
}

impl OidcConfig {
    pub(in crate::relay) fn check(&self) -> Result<(), OidcConfigError> {
        let has_parts = self.issuer.contains(['?', '#', '@']);
        if !is_safe(&self.issuer) || has_parts || self.issuer.len() > MAX_NAME_BYTES {
            return Err(OidcConfigError::Issuer);
        }
        if self.client_id.is_empty() || self.client_id.len() > MAX_ID_BYTES {
            return Err(OidcConfigError::ClientId);
        }
        Ok(())
    }

    /// The provider's host, for people.
    pub(super) fn name(&self) -> &str {
        let rest = self.issuer.split_once("://").map_or(&*self.issuer, |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

/// Whether nobody on the way can read what is sent to this URL.
pub(super) fn is_safe(url: &str) -> bool {
    let is_plain = !url.chars().any(|c| c.is_whitespace() || c.is_control());
    let local = || url.strip_prefix("http://").filter(|rest| is_local(rest));
    let Some(rest) = url.strip_prefix("https://").or_else(local) else { return false };
    is_plain && !rest.is_empty() && !rest.starts_with(['/', '?', '#'])
}

fn is_local(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}
