//! The key that a person's lesser credentials are signed with (Y-4).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::base::secret::Secret;

/// A key that comes from a person's access token: with another token, everything that was signed
/// with it ends. The token cannot be found from it.
#[derive(Clone, Debug)]
pub(crate) struct AccountKey(Hmac<Sha256>);

impl AccountKey {
    pub(crate) fn new(access_token: &Secret) -> Self {
        Self(keyed(access_token.reveal().as_bytes()))
    }

    /// The keyed hash of a text, for one purpose.
    pub(crate) fn mac(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        mac(&self.0, purpose, text)
    }
}

/// A keyed hash that has hashed nothing yet.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    match Hmac::new_from_slice(key) {
        Ok(mac) => mac,
        Err(error) => unreachable!("HMAC takes a key of any length: {error}"),
    }
}

/// The keyed hash of a text, for one purpose.
pub(crate) fn mac(key: &Hmac<Sha256>, purpose: &str, text: &str) -> Hmac<Sha256> {
    // The purpose contains no zero byte, so no two pairs hash the same bytes.
    let mut mac = key.clone();
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text.as_bytes());
    mac
}
