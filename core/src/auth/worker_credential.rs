//! What a worker holds instead of a person's access token (Y-4).
//!
//! ```text
//!   fbworker-<name, base64url><signature, 43 characters>
//! ```
//!
//! It registers environments, and opens nothing else. Nothing of it is stored: it is signed with a
//! key that comes from the access token, and ends with it. It consists of the characters of an
//! access token, so that it can be kept and sent wherever one can.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use super::account_key::AccountKey;
use super::proof::SIGNATURE_CHARS;
use crate::base::secret::Secret;

/// The prefix of every worker credential.
const PREFIX: &str = "fbworker-";
/// The longest name, in bytes.
pub const MAX_CREDENTIAL_NAME_BYTES: usize = 64;

/// The worker credential of this name, signed for the person with this access token; the same each
/// time. `None` if the name is empty or longer than [`MAX_CREDENTIAL_NAME_BYTES`], or if the token is
/// a worker credential itself.
pub fn worker_credential(access_token: &Secret, name: &str) -> Option<Secret> {
    let has_name = (1..=MAX_CREDENTIAL_NAME_BYTES).contains(&name.len());
    if !has_name || is_worker_credential(access_token) {
        return None;
    }
    Some(sign(&AccountKey::new(access_token), &URL_SAFE_NO_PAD.encode(name)))
}

fn sign(key: &AccountKey, name: &str) -> Secret {
    let signature = URL_SAFE_NO_PAD.encode(key.mac("worker", name).finalize().into_bytes());
    Secret::new(format!("{PREFIX}{name}{signature}"))
}

/// Whether a credential says of itself that it is a worker's.
pub(crate) fn is_worker_credential(credential: &Secret) -> bool {
    credential.reveal().starts_with(PREFIX)
}

/// The worker credential of which this is all but the signature.
pub(crate) fn signed_again(key: &AccountKey, public: &str) -> Option<Secret> {
    public.strip_prefix(PREFIX).map(|name| sign(key, name))
}

/// The name in a worker credential that was signed with this key.
pub(crate) fn worker_of(key: &AccountKey, credential: &str) -> Option<String> {
    let rest = credential.strip_prefix(PREFIX)?;
    let (name, signature) = rest.split_at_checked(rest.len().checked_sub(SIGNATURE_CHARS)?)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    key.mac("worker", name).verify_slice(&signature).ok()?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;

    const TOKEN: &str = "a-token-of-the-person-7Qx";

    fn key(token: &str) -> AccountKey {
        AccountKey::new(&Secret::from(token))
    }

    #[test]
    fn only_the_access_token_that_signed_it_recognises_it() {
        let made = worker_credential(&Secret::from(TOKEN), "Eva's laptop").expect("a credential");
        assert_eq!(worker_of(&key(TOKEN), made.reveal()).as_deref(), Some("Eva's laptop"));
        assert_eq!(worker_of(&key("another-token"), made.reveal()), None);
        for at in 0..made.reveal().len() {
            let mut bent = made.reveal().as_bytes().to_owned();
            bent[at] ^= 1;
            let bent = String::from_utf8(bent).expect("ASCII");
            assert_eq!(worker_of(&key(TOKEN), &bent), None, "byte {at}");
        }
        for short in ["", "fbworker-", "fbworker-x", TOKEN] {
            assert_eq!(worker_of(&key(TOKEN), short), None);
        }
    }

    #[test]
    fn it_can_stand_wherever_an_access_token_can() {
        for name in ["x", &"ü".repeat(32)] {
            let made = worker_credential(&Secret::from(TOKEN), name).expect("a credential");
            let is_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(made.reveal().bytes().all(is_char) && made.reveal().len() < 512);
            assert!(is_worker_credential(&made) && !is_worker_credential(&Secret::from(TOKEN)));
        }
        for name in ["", &"x".repeat(65)] {
            assert_eq!(worker_credential(&Secret::from(TOKEN), name), None);
        }
        assert_eq!(worker_credential(&Secret::from("fbworker-x"), "x"), None);
    }
}
