//! The keys that a relay signs with. It signs with the newest one and recognises what it has signed
//! with any, so that keys can be replaced without ending what is in use.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::config::RelayKeys;
use crate::auth::{keyed, mac};
use crate::base::limits::MAX_SIGNING_KEYS;

pub(super) struct Keyring {
    newest: Hmac<Sha256>,
    /// Newest first.
    older: Vec<Hmac<Sha256>>,
}

impl Keyring {
    pub(super) fn new(keys: &RelayKeys) -> Self {
        let older = keys.older.iter().take(MAX_SIGNING_KEYS - 1);
        Self { newest: keyed(&keys.signing), older: older.map(|key| keyed(key)).collect() }
    }

    /// The keyed hash of a text for one purpose, by the newest key.
    pub(super) fn mac(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        mac(&self.newest, purpose, text)
    }

    /// The signature of a text for one purpose.
    pub(super) fn sign(&self, purpose: &str, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(purpose, text).finalize().into_bytes())
    }

    /// Each key's signature, newest first.
    pub(super) fn sign_with_each(&self, purpose: &str, text: &str) -> Vec<String> {
        let sign = |key| URL_SAFE_NO_PAD.encode(mac(key, purpose, text).finalize().into_bytes());
        self.all().map(sign).collect()
    }

    /// Whether one of the keys has signed this. All are tried, so that the time taken does not say
    /// which.
    pub(super) fn has_signed(&self, purpose: &str, text: &str, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        let has = |key| mac(key, purpose, text).verify_slice(&signature).is_ok();
        self.all().fold(false, |found, key| has(key) | found)
    }

    fn all(&self) -> impl Iterator<Item = &Hmac<Sha256>> {
        core::iter::once(&self.newest).chain(&self.older)
    }
}
