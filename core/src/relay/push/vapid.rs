//! Who sends a message, for its push service (RFC 8292): signed with a key of the relay's own, to which
//! the browsers have bound their subscriptions.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::sec1::ToSec1Point;
use serde::Serialize;

use crate::auth::{keyed, mac};
use crate::base::limits::VAPID_LIFE;
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::wire::to_json;

/// The relay's key.
pub(super) struct VapidKey {
    secret: SigningKey,
    /// As browsers and push services know it.
    public: String,
}

#[derive(Serialize)]
struct Header {
    typ: &'static str,
    alg: &'static str,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: u64,
    sub: &'a str,
}

impl VapidKey {
    /// The key that comes from a seed.
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let seed = keyed(seed);
        // One draw in four billion is no key.
        let mut drawn = (0u32..).map(|at| {
            let bytes = mac(&seed, "vapid", &format!("{at}")).finalize().into_bytes();
            SecretKey::from_slice(&bytes)
        });
        let Some(secret) = drawn.find_map(Result::ok) else { unreachable!("numbers do not end") };
        let public = URL_SAFE_NO_PAD.encode(secret.public_key().to_sec1_point(false).as_bytes());
        Self { secret: secret.into(), public }
    }

    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// The `Authorization` of a request to the push service of this origin. `contact` is whom its owner
    /// may ask.
    pub(super) fn authorization(&self, origin: &str, contact: &str, now: UnixTime) -> Secret {
        let encode = |json: &[u8]| URL_SAFE_NO_PAD.encode(json);
        let exp = (now + VAPID_LIFE).as_secs();
        let claims = encode(&to_json(&Claims { aud: origin, exp, sub: contact }));
        let signed = format!("{}.{claims}", encode(&to_json(&Header { typ: "JWT", alg: "ES256" })));
        // Some servers take no space after the comma.
        // The signature's number comes from the key and the message (RFC 6979): no randomness.
        let signature: Signature = self.secret.sign(signed.as_bytes());
        let signature = encode(&signature.to_bytes());
        Secret::new(format!("vapid t={signed}.{signature},k={}", self.public))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use p256::ecdsa::VerifyingKey;
    use p256::ecdsa::signature::Verifier;

    #[test]
    fn a_request_is_signed_for_its_push_service_alone_and_not_for_long() {
        let key = VapidKey::new(&[3; 32]);
        let now = UnixTime::from_millis(1_767_225_600_000);
        let header = key.authorization("https://push.example", "mailto:a@example.com", now);
        let header = header.reveal().strip_prefix("vapid t=").expect("the scheme");
        let (token, public) = header.split_once(",k=").expect("both parts");
        assert_eq!(public, key.public());
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
        let verifying = VerifyingKey::from_sec1_bytes(&decode(public)).expect("a key");
        let signature = Signature::from_slice(&decode(signature)).expect("64 bytes");
        verifying.verify(signed.as_bytes(), &signature).expect("its own");
        let parts: Vec<_> = signed.split('.').map(decode).collect();
        assert_eq!(parts[0], br#"{"typ":"JWT","alg":"ES256"}"#);
        let claims: serde_json::Value = serde_json::from_slice(&parts[1]).expect("claims");
        assert_eq!(claims["aud"], "https://push.example");
        assert_eq!(claims["exp"], 1_767_225_600 + 3600);
        assert_eq!(claims["sub"], "mailto:a@example.com");
    }

    #[test]
    fn the_key_follows_from_its_seed_alone() {
        let public = |seed| String::from(VapidKey::new(&[seed; 32]).public());
        assert_eq!(public(1), public(1));
        assert_ne!(public(1), public(2));
        assert_eq!(URL_SAFE_NO_PAD.decode(public(1)).expect("base64url").len(), 65);
    }
}
