//! The credentials that a relay issues, and its ids: all from keyed hashes, so that nobody can
//! guess one and none has to be kept.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::config::RelayKeys;
use super::keyring::Keyring;
use crate::auth::{AccountKey, keyed};
use crate::base::id::{DeviceId, EnvironmentId, IdError, SessionId, WorkId};
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::store::RelayRun;
use crate::wire::device::{USER_CODE_LENGTH, USER_CODE_LETTERS};
use crate::wire::jwt::SESSION_TOKEN_PREFIX;
use crate::wire::to_json;

/// The prefix of every code that signs a browser in.
pub(super) const CODE_PREFIX: &str = "fbcode-";
/// The prefix of every browser's token.
const BROWSER_PREFIX: &str = "fbbrowser-";

/// For what a session token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Audience {
    #[serde(rename = "footbridge:session")]
    Session,
    #[serde(other)]
    Other,
}

/// The claims of a session token. The token of an item without a session names no session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Tokens of earlier versions name none.
    #[serde(rename = "aud", default, skip_serializing_if = "Option::is_none")]
    pub(super) audience: Option<Audience>,
    #[serde(rename = "sub", default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<SessionId>,
    #[serde(rename = "env")]
    pub(super) environment: EnvironmentId,
    pub(super) work: WorkId,
    pub(super) fence: u64,
    /// In seconds since 1970.
    pub(super) iat: u64,
    /// In seconds since 1970.
    pub(super) exp: u64,
}

impl Claims {
    pub(super) const fn is_expired(&self, now: UnixTime) -> bool {
        now.as_secs() >= self.exp
    }
}

/// The first part of a JWT. What it says is for others: this relay knows one algorithm, and checks no
/// token in any other way.
pub(super) fn jose_header(typ: &str) -> String {
    #[derive(Serialize)]
    struct JoseHeader<'a> {
        alg: &'a str,
        typ: &'a str,
    }
    URL_SAFE_NO_PAD.encode(to_json(&JoseHeader { alg: "HS256", typ }))
}

/// Draws ids, issues credentials, and recognises its own.
pub(super) struct TokenIssuer {
    pub(super) keys: Keyring,
    entropy: Hmac<Sha256>,
    drawn: u64,
}

impl TokenIssuer {
    pub(super) fn new(keys: &RelayKeys) -> Self {
        Self { keys: Keyring::new(keys), entropy: keyed(&keys.entropy), drawn: 0 }
    }

    /// The name of the relay run these keys were drawn for.
    pub(super) fn run(&self) -> RelayRun {
        let mut mac = self.entropy.clone();
        mac.update(b"run");
        let bytes = mac.finalize().into_bytes();
        RelayRun(bytes.iter().take(8).fold(0, |run, byte| run << 8 | u64::from(*byte)))
    }

    /// 256 bits that nobody can guess.
    pub(super) fn random(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut mac = self.entropy.clone();
        mac.update(&self.drawn.to_be_bytes());
        mac.finalize().into_bytes().into()
    }

    /// 128 bits that nobody can guess, as 32 hexadecimal digits.
    fn draw(&mut self) -> String {
        let bytes = self.random();
        bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn environment_id(&mut self) -> Result<EnvironmentId, IdError> {
        EnvironmentId::new(&format!("env_{}", self.draw()))
    }

    pub(super) fn session_id(&mut self) -> Result<SessionId, IdError> {
        SessionId::new(&format!("session_{}", self.draw()))
    }

    pub(super) fn work_id(&mut self) -> Result<WorkId, IdError> {
        WorkId::new(&format!("work_{}", self.draw()))
    }

    /// 128 random bits in the form of a version 4 UUID.
    pub(super) fn uuid(&mut self) -> String {
        let hex = self.draw();
        let part = |from, to| hex.get(from..to).unwrap_or_default();
        format!(
            "{}-{}-4{}-a{}-{}",
            part(0, 8),
            part(8, 12),
            part(13, 16),
            part(17, 20),
            part(20, 32)
        )
    }

    fn mac(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        self.keys.mac(purpose, text)
    }

    pub(super) fn device_id(&mut self) -> Result<DeviceId, IdError> {
        DeviceId::new(&format!("device_{}", self.draw()))
    }

    /// A code by which a device fetches its tokens.
    pub(super) fn device_code(&mut self) -> Secret {
        Secret::new(format!("fbdevice-{}", self.draw()))
    }

    /// A code that a person types.
    pub(super) fn user_code(&mut self) -> String {
        let number = u128::from_str_radix(&self.draw(), 16).unwrap_or_default();
        let digits = core::iter::successors(Some(number), |number| Some(number / 20));
        let letter = |number: u128| {
            let at = usize::try_from(number % 20).unwrap_or_default();
            char::from(USER_CODE_LETTERS.get(at).copied().unwrap_or(b'B'))
        };
        digits.take(USER_CODE_LENGTH).map(letter).collect()
    }

    /// A code that signs a browser in.
    pub(super) fn sign_in_code(&mut self) -> Secret {
        Secret::new(format!("{CODE_PREFIX}{}", self.draw()))
    }

    /// The digest kept of such a code.
    pub(super) fn code_digest(&self, code: &str) -> Vec<u8> {
        self.mac("code", code).finalize().into_bytes().to_vec()
    }

    /// Whether this is the code with that digest; takes equally long wherever they differ.
    pub(super) fn is_code(&self, code: &str, digest: &[u8]) -> bool {
        self.mac("code", code).verify_slice(digest).is_ok()
    }

    /// The digest kept of an access token.
    pub(super) fn digest(&self, token: &Secret) -> Vec<u8> {
        self.mac("access", token.reveal()).finalize().into_bytes().to_vec()
    }

    /// Whether this is the token with that digest; takes equally long wherever they differ.
    pub(super) fn is_token(&self, token: &str, digest: &[u8]) -> bool {
        self.mac("access", token).verify_slice(digest).is_ok()
    }

    /// The credential of an environment: its name, and proof that it was issued here.
    pub(super) fn environment_secret(&self, id: &EnvironmentId) -> Secret {
        Secret::new(format!("{id}.{}", self.keys.sign("environment", id.as_str())))
    }

    /// The environment a credential was issued to.
    pub(super) fn environment_of(&self, secret: &str) -> Option<EnvironmentId> {
        let (id, proof) = secret.split_once('.')?;
        let id = EnvironmentId::new(id).ok()?;
        self.keys.has_signed("environment", id.as_str(), proof).then_some(id)
    }

    /// A session token: a JWT (HS256) behind its prefix.
    pub(super) fn session_token(&self, claims: &Claims) -> Secret {
        let claims = URL_SAFE_NO_PAD.encode(to_json(claims));
        let signed = format!("{}.{claims}", jose_header("JWT"));
        let signature = self.keys.sign("session", &signed);
        Secret::new(format!("{SESSION_TOKEN_PREFIX}{signed}.{signature}"))
    }

    /// The claims of a session token, if it was issued here; it may have expired.
    pub(super) fn claims_of(&self, token: &str) -> Option<Claims> {
        let token = token.strip_prefix(SESSION_TOKEN_PREFIX)?;
        let (signed, signature) = token.rsplit_once('.')?;
        self.keys.has_signed("session", signed, signature).then_some(())?;
        let (_, claims) = signed.split_once('.')?;
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok();
        claims.filter(|claims: &Claims| claims.audience.is_none_or(|aud| aud == Audience::Session))
    }
}

/// What a browser's token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BrowserClaims {
    /// Tells apart the browsers of one person.
    pub(super) id: String,
    /// In seconds since 1970.
    pub(super) exp: u64,
}

impl BrowserClaims {
    /// A token for a browser of the person with this key: with another access token, all browsers
    /// have to sign in again.
    pub(super) fn issue(&self, key: &AccountKey) -> Secret {
        sign_browser(key, &URL_SAFE_NO_PAD.encode(to_json(self)))
    }

    /// The token of which this is all but the signature.
    pub(super) fn signed_again(key: &AccountKey, public: &str) -> Option<Secret> {
        let claims = public.strip_prefix(BROWSER_PREFIX)?.strip_suffix('.')?;
        Some(sign_browser(key, claims))
    }

    /// The claims of a token, if it was issued with this key; it may have expired.
    pub(super) fn of(token: &str, key: &AccountKey) -> Option<Self> {
        let (claims, signature) = token.strip_prefix(BROWSER_PREFIX)?.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        key.mac("browser", claims).verify_slice(&signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

fn sign_browser(key: &AccountKey, claims: &str) -> Secret {
    let signature = key.mac("browser", claims).finalize().into_bytes();
    Secret::new(format!("{BROWSER_PREFIX}{claims}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;

    fn issuer(signing: u8) -> TokenIssuer {
        TokenIssuer::new(&RelayKeys::new([signing; 32], [7; 32]))
    }

    fn claims() -> Claims {
        Claims {
            audience: Some(Audience::Session),
            session: SessionId::new("session_1").ok(),
            environment: EnvironmentId::new("env_1").expect("valid"),
            work: WorkId::new("work_1").expect("valid"),
            fence: 3,
            iat: 100,
            exp: 200,
        }
    }

    #[test]
    fn only_the_key_that_signed_a_session_token_recognises_it() {
        let token = issuer(1).session_token(&claims());
        assert!(token.reveal().starts_with("sk-ant-si-"));
        assert_eq!(issuer(1).claims_of(token.reveal()), Some(claims()));
        assert_eq!(issuer(2).claims_of(token.reveal()), None);
        for at in 0..token.reveal().len() {
            let mut bent = token.reveal().as_bytes().to_owned();
            bent[at] ^= 1;
            let bent = String::from_utf8(bent).expect("ASCII");
            assert_eq!(issuer(1).claims_of(&bent), None, "byte {at}");
        }
    }

    #[test]
    fn an_environment_secret_names_its_environment_and_proves_it() {
        let id = EnvironmentId::new("env_1").expect("valid");
        let secret = issuer(1).environment_secret(&id);
        assert_eq!(issuer(1).environment_of(secret.reveal()), Some(id));
        assert_eq!(issuer(2).environment_of(secret.reveal()), None);
        let other = secret.reveal().replace("env_1", "env_2");
        assert_eq!(issuer(1).environment_of(&other), None);
    }

    #[test]
    fn a_run_is_named_by_the_entropy_of_its_start() {
        let run = |entropy| TokenIssuer::new(&RelayKeys::new([1; 32], [entropy; 32])).run();
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn drawn_texts_are_all_different_and_come_from_the_entropy_alone() {
        let (mut a, mut b) = (issuer(1), issuer(2));
        let drawn: alloc::collections::BTreeSet<_> = (0..1000).map(|_| a.draw()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(drawn.contains(&b.draw()));
        assert_eq!(b.uuid().len(), 36);
    }
}
