//! Encrypting a message for one browser (RFC 8291): its push service sees how long it is, in steps,
//! and nothing else.

use alloc::vec::Vec;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes128Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use hkdf::Hkdf;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use sha2::Sha256;

use crate::base::limits::{MAX_PUSH_BYTES, PUSH_PADDING_BYTES};
use crate::wire::push::PushKeys;

/// The record size (RFC 8188): more than one record ever has, and what every push service takes.
const RECORD_BYTES: u32 = 4096;
/// Ends the only record's content.
const LAST_RECORD: u8 = 2;
const SALT_BYTES: usize = 16;
const AUTH_BYTES: usize = 16;

/// The keys of a browser, checked.
#[derive(Clone)]
pub(super) struct Browser {
    public: PublicKey,
    auth: Vec<u8>,
}

impl Browser {
    /// `None` if they are not what a browser gives.
    pub(super) fn of(keys: &PushKeys) -> Option<Self> {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let public = PublicKey::from_sec1_bytes(&decode(&keys.p256dh)?).ok()?;
        let auth = decode(&keys.auth)?;
        (auth.len() == AUTH_BYTES).then_some(Self { public, auth })
    }
}

/// What a message is encrypted with besides the browser's keys: new for each.
pub(super) struct Once {
    pub(super) key: SecretKey,
    pub(super) salt: [u8; SALT_BYTES],
}

impl Once {
    /// From 64 bytes that nobody can guess; `None` if they are among the very few that are no key.
    pub(super) fn of(key: &[u8; 32], salt: &[u8; 32]) -> Option<Self> {
        let mut first = [0; SALT_BYTES];
        first.iter_mut().zip(salt).for_each(|(to, from)| *to = *from);
        Some(Self { key: SecretKey::from_slice(key).ok()?, salt: first })
    }
}

/// The body of a request to a push service; `None` if the message is too long.
pub(super) fn seal(browser: &Browser, once: &Once, message: &[u8]) -> Option<Bytes> {
    if message.len() >= MAX_PUSH_BYTES {
        return None;
    }
    let mut record = message.to_vec();
    record.push(LAST_RECORD);
    record.resize(record.len().next_multiple_of(PUSH_PADDING_BYTES), 0);
    seal_record(browser, once, &record)
}

fn seal_record(browser: &Browser, once: &Once, record: &[u8]) -> Option<Bytes> {
    let own = once.key.public_key().to_sec1_point(false);
    let theirs = browser.public.to_sec1_point(false);
    let shared = once.key.diffie_hellman(&browser.public);
    let input = {
        let info = [b"WebPush: info\0", theirs.as_bytes(), own.as_bytes()].concat();
        expand::<32>(&browser.auth, shared.raw_secret_bytes(), &info)?
    };
    let key = expand::<16>(&once.salt, &input, b"Content-Encoding: aes128gcm\0")?;
    let nonce = expand::<12>(&once.salt, &input, b"Content-Encoding: nonce\0")?;
    let cipher = Aes128Gcm::new(&key.into());
    let sealed = cipher.encrypt(&Nonce::from(nonce), record).ok()?;
    let own_length = u8::try_from(own.len()).ok()?;
    let head = [&once.salt[..], &RECORD_BYTES.to_be_bytes(), &[own_length], own.as_bytes()];
    Some(Bytes::from([&head.concat()[..], &sealed].concat()))
}

/// HKDF (RFC 5869) with SHA-256.
fn expand<const N: usize>(salt: &[u8], input: &[u8], info: &[u8]) -> Option<[u8; N]> {
    let mut output = [0; N];
    Hkdf::<Sha256>::new(Some(salt), input).expand(info, &mut output).ok()?;
    Some(output)
}

/// What a browser makes of such a body.
#[cfg(test)]
pub(in crate::relay) fn open(secret: &SecretKey, auth: &[u8], body: &[u8]) -> Vec<u8> {
    let (salt, rest) = body.split_at(SALT_BYTES);
    let (theirs, sealed) = rest[5..].split_at(usize::from(rest[4]));
    let public = PublicKey::from_sec1_bytes(theirs).expect("a key");
    let shared = secret.diffie_hellman(&public);
    let own = secret.public_key().to_sec1_point(false);
    let info = [b"WebPush: info\0", own.as_bytes(), theirs].concat();
    let input = expand::<32>(auth, shared.raw_secret_bytes(), &info).expect("32 bytes");
    let key = expand::<16>(salt, &input, b"Content-Encoding: aes128gcm\0").expect("16 bytes");
    let nonce = expand::<12>(salt, &input, b"Content-Encoding: nonce\0").expect("12 bytes");
    let cipher = Aes128Gcm::new(&key.into());
    let mut record = cipher.decrypt(&Nonce::from(nonce), sealed).expect("for this browser");
    while record.pop() == Some(0) {}
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    }

    /// The keys of RFC 8291, appendix A.
    fn keys() -> PushKeys {
        PushKeys {
            p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4".into(),
            auth: "BTBZMqHH6r4Tts7J_aSIgg".into(),
        }
    }

    fn once() -> Once {
        let key = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let mut salt = [0; 32];
        salt[..16].copy_from_slice(&bytes("DGv6ra1nlYgDCS1FRnbzlw"));
        Once::of(&key.try_into().expect("32 bytes"), &salt).expect("a key")
    }

    #[test]
    fn the_example_of_the_standard_comes_out_byte_for_byte() {
        let browser = Browser::of(&keys()).expect("a browser's keys");
        let record = b"When I grow up, I want to be a watermelon\x02";
        let sealed = seal_record(&browser, &once(), record).expect("sealed");
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(URL_SAFE_NO_PAD.encode(sealed), expected);
    }

    #[test]
    fn how_long_a_message_is_shows_only_in_steps() {
        let browser = Browser::of(&keys()).expect("a browser's keys");
        let length = |bytes: usize| {
            seal(&browser, &once(), &alloc::vec![b'x'; bytes]).map(|sealed| sealed.len())
        };
        assert_eq!(length(1), length(PUSH_PADDING_BYTES - 1));
        assert!(length(PUSH_PADDING_BYTES) > length(1));
        assert!(length(MAX_PUSH_BYTES - 1).expect("fits") <= 4096, "what every service takes");
        assert_eq!(length(MAX_PUSH_BYTES), None);
    }

    #[test]
    fn keys_that_no_browser_gives_are_refused() {
        let with = |p256dh: &str, auth: &str| {
            Browser::of(&PushKeys { p256dh: p256dh.into(), auth: auth.into() }).is_some()
        };
        let PushKeys { p256dh, auth } = keys();
        assert!(with(&p256dh, &auth));
        assert!(with(&p256dh, "BTBZMqHH6r4Tts7J_aSIgg=="), "padding does no harm");
        assert!(!with(&p256dh, "BTBZMqHH6r4Tts7J_aSI"));
        assert!(!with("", &auth) && !with("!!", &auth));
        // A point that is not on the curve would give the key away.
        let mut off = bytes(&p256dh);
        *off.last_mut().expect("bytes") ^= 1;
        assert!(!with(&URL_SAFE_NO_PAD.encode(off), &auth));
    }
}
