//! Finding out whether a relay is the one that knows a credential, without showing it (Y-4).
//!
//! ```text
//!   client                                            relay
//!     nonce ── GET /v1/proof?of=…&nonce=…&mac=… ──▶  recomputes the credential from `of`,
//!                                                    or knows it: is the mac its own?
//!     is the proof its own?  ◀── 200 {"proof": …} ──
//!     then, and only then: authorization: Bearer …
//! ```
//!
//! `mac` and `proof` are keyed hashes of the nonce under the credential itself. Whoever has taken the
//! relay's port can give no proof, and learns nothing that it could show to the relay. The relay
//! proves nothing to somebody who does not know the credential already, so nobody can use it to check
//! guesses without being counted.
//!
//! A program between the two that passes everything on is not found out: that takes TLS.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use super::account_key::AccountKey;
use crate::base::secret::Secret;

/// The characters of a signature of 32 bytes.
pub(crate) const SIGNATURE_CHARS: usize = 43;
/// How the credentials begin that are a text and its signature.
const SIGNED: [&str; 5] = ["fbworker-", "fbbrowser-", "fbaccess-", "fbrefresh-", "env_"];
/// The characters of a nonce.
const NONCE_CHARS: core::ops::RangeInclusive<usize> = 16..=64;

/// What of a credential anybody may see: all but the signature, if that is what keeps it secret.
fn public_part(credential: &Secret) -> &str {
    let text = credential.reveal();
    let is_signed = SIGNED.iter().any(|prefix| text.starts_with(prefix));
    let end = text.len().checked_sub(SIGNATURE_CHARS).filter(|_| is_signed);
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// The query that asks for a proof.
pub(crate) fn question(credential: &Secret, nonce: &str) -> String {
    let mac = sign(&AccountKey::new(credential), "question", nonce);
    format!("of={}&nonce={nonce}&mac={mac}", public_part(credential))
}

/// Whether this proves that the relay knows the credential.
pub(crate) fn is_proof(credential: &Secret, nonce: &str, proof: &str) -> bool {
    verifies(&AccountKey::new(credential), "proof", nonce, proof)
}

/// The proof, for somebody who has shown that they know the credential with this key.
pub(crate) fn answer(key: &AccountKey, nonce: &str, mac: &str) -> Option<String> {
    verifies(key, "question", nonce, mac).then(|| sign(key, "proof", nonce))
}

/// Whether a text is a nonce, and nothing else.
pub(crate) fn is_nonce(text: &str) -> bool {
    NONCE_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn sign(key: &AccountKey, purpose: &str, nonce: &str) -> String {
    URL_SAFE_NO_PAD.encode(key.mac(purpose, nonce).finalize().into_bytes())
}

fn verifies(key: &AccountKey, purpose: &str, nonce: &str, mac: &str) -> bool {
    let mac = URL_SAFE_NO_PAD.decode(mac);
    mac.is_ok_and(|mac| key.mac(purpose, nonce).verify_slice(&mac).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::worker_credential;

    const NONCE: &str = "0123456789abcdef";

    fn part<'q>(query: &'q str, name: &str) -> &'q str {
        let part = query.split('&').find_map(|part| part.strip_prefix(name));
        part.and_then(|part| part.strip_prefix('=')).expect("it is there")
    }

    #[test]
    fn a_question_shows_no_secret_and_only_who_knows_the_credential_has_the_answer() {
        let token = Secret::from("an-access-token-7Qx");
        let credential = worker_credential(&token, "laptop").expect("a credential");
        for known in [&token, &credential] {
            let query = question(known, NONCE);
            assert!(!query.contains(known.reveal()));
            let mac = part(&query, "mac");
            let proof = answer(&AccountKey::new(known), NONCE, mac).expect("it knows");
            assert!(is_proof(known, NONCE, &proof));
            assert!(!is_proof(known, "another-nonce-of-it", &proof), "not used again");
            assert!(!is_proof(known, NONCE, mac), "a question is no answer");
            let stranger = AccountKey::new(&Secret::from("a-guess"));
            assert_eq!(answer(&stranger, NONCE, mac), None);
            assert_eq!(answer(&AccountKey::new(known), NONCE, &proof), None);
        }
        assert_eq!(part(&question(&token, NONCE), "of"), "", "nothing of it is public");
        let query = question(&credential, NONCE);
        let of = part(&query, "of");
        assert_eq!(of.len() + SIGNATURE_CHARS, credential.reveal().len());
    }

    #[test]
    fn a_nonce_is_short_and_plain() {
        for (text, expected) in
            [(NONCE, true), ("short", false), ("0123456789abcde&", false), (&"x".repeat(65), false)]
        {
            assert_eq!(is_nonce(text), expected, "{text}");
        }
    }
}
