//! The provider's keys, and the signatures of its tokens: RS256 and ES256, and nothing else.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, VerifyingKey};
use serde::Deserialize;

use super::config::Rs256;
use crate::base::limits::MAX_OIDC_KEYS;

/// A key of the provider's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A DER `RSAPublicKey`.
    Rsa(Vec<u8>),
    /// A point on P-256, not compressed.
    P256(Vec<u8>),
}

/// By what a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
}

impl Algorithm {
    /// `none` is none, nor is any that takes a secret which others may know.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// Numbers of RSA keys, in bytes: 2,048 to 8,192 bits.
const RSA_BYTES: core::ops::RangeInclusive<usize> = 256..=1024;

/// A key as it is sent: every value is optional, since there are keys of many kinds.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

/// The keys in a JWKS that can sign tokens. What is of another kind is left out; `None` if it is no JWKS.
pub(super) fn keys_in(body: &[u8]) -> Option<Vec<Key>> {
    #[derive(Deserialize)]
    struct Keys {
        keys: Vec<serde_json::Value>,
    }
    let Keys { keys } = serde_json::from_slice(body).ok()?;
    let keys = keys.into_iter().filter_map(|key| key_of(serde_json::from_value(key).ok()?));
    Some(keys.take(MAX_OIDC_KEYS).collect())
}

fn key_of(jwk: Jwk) -> Option<Key> {
    if jwk.r#use.is_some_and(|of| of != "sig") {
        return None;
    }
    let number = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    let kind = match (&*jwk.kty, &*jwk.crv) {
        ("RSA", _) => {
            let (modulus, exponent) = (number(&jwk.n)?, number(&jwk.e)?);
            let modulus = unsigned(&modulus);
            RSA_BYTES.contains(&modulus.len()).then_some(())?;
            (1..=8).contains(&exponent.len()).then_some(())?;
            Kind::Rsa(sequence(modulus, unsigned(&exponent)))
        }
        ("EC", "P-256") => {
            let (x, y) = (number(&jwk.x)?, number(&jwk.y)?);
            (x.len() == 32 && y.len() == 32).then_some(())?;
            let point = [&[4], &*x, &*y].concat();
            VerifyingKey::from_sec1_bytes(&point).ok()?;
            Kind::P256(point)
        }
        _ => return None,
    };
    Some(Key { id: jwk.kid, kind })
}

fn unsigned(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    number.get(start..).unwrap_or_default()
}

/// Two numbers in DER.
fn sequence(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let both = [integer(modulus), integer(exponent)].concat();
    tagged(0x30, &both)
}

fn integer(number: &[u8]) -> Vec<u8> {
    let is_negative = number.first().is_none_or(|byte| byte & 0x80 != 0);
    let padded = if is_negative { [&[0], number].concat() } else { number.to_vec() };
    tagged(0x02, &padded)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = unsigned(&length);
    let short = u8::try_from(content.len()).ok().filter(|length| *length < 0x80);
    let head = match (short, u8::try_from(length.len())) {
        (Some(length), _) => alloc::vec![tag, length],
        (None, bytes) => [&[tag, 0x80 | bytes.unwrap_or_default()], length].concat(),
    };
    [head, content.to_vec()].concat()
}

/// Whether one of these keys has signed it. If none has, the provider may have changed them, even under
/// the same name.
pub(super) fn has_signed(
    keys: &[Key],
    (algorithm, id): (Algorithm, Option<&str>),
    message: &[u8],
    signature: &[u8],
    rs256: Option<Rs256>,
) -> bool {
    let fits = |key: &&Key| {
        let is_of_kind = matches!(
            (&key.kind, algorithm),
            (Kind::Rsa(_), Algorithm::Rs256) | (Kind::P256(_), Algorithm::Es256)
        );
        is_of_kind && (id.is_none() || key.id.is_none() || key.id.as_deref() == id)
    };
    keys.iter().filter(fits).any(|key| match &key.kind {
        Kind::Rsa(der) => rs256.is_some_and(|check| check(der, message, signature)),
        Kind::P256(point) => {
            let key = VerifyingKey::from_sec1_bytes(point);
            let signature = Signature::from_slice(signature);
            key.ok().zip(signature.ok()).is_some_and(|(key, of)| key.verify(message, &of).is_ok())
        }
    })
}
