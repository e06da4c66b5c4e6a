//! What a session's worker shows in version 2 (C-1): a JWT (HS256) that is valid for a short time, for
//! one session, and for one epoch of it. Whether that epoch is still the newest only the store knows,
//! and is asked on each call.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::pending::{Acks, Bridging};
use super::tokens::{TokenIssuer, jose_header};
use crate::base::id::SessionId;
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::wire::to_json;

const AUDIENCE: &str = "footbridge:worker";
const SCOPE: &str = "worker";
/// What it is signed for: a token of another kind never passes for it.
const WORKER: &str = "worker token";

/// Its claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WorkerClaims {
    aud: Cow<'static, str>,
    scope: Cow<'static, str>,
    #[serde(rename = "sub")]
    pub(super) session: SessionId,
    pub(super) epoch: u64,
    /// Whether the session is an item of an environment's, which ends it.
    #[serde(default)]
    pub(super) item: bool,
    /// Whether its worker acknowledges lines.
    #[serde(default)]
    acks: bool,
    /// The run of the agent that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<String>,
    /// In seconds since 1970.
    iat: u64,
    /// In seconds since 1970.
    exp: u64,
}

impl WorkerClaims {
    pub(super) fn new(bridging: &Bridging, epoch: u64, now: UnixTime, until: UnixTime) -> Self {
        Self {
            aud: Cow::Borrowed(AUDIENCE),
            scope: Cow::Borrowed(SCOPE),
            session: bridging.session.clone(),
            epoch,
            item: bridging.has_item,
            acks: bridging.acks == Acks::Given,
            run: bridging.run.clone(),
            iat: now.as_secs(),
            exp: until.as_secs(),
        }
    }

    pub(super) const fn is_expired(&self, now: UnixTime) -> bool {
        now.as_secs() >= self.exp
    }

    pub(super) const fn acks(&self) -> Acks {
        if self.acks { Acks::Given } else { Acks::Missing }
    }
}

impl TokenIssuer {
    pub(super) fn worker_token(&self, claims: &WorkerClaims) -> Secret {
        let claims = URL_SAFE_NO_PAD.encode(to_json(claims));
        let signed = format!("{}.{claims}", jose_header("JWT"));
        let signature = self.keys.sign(WORKER, &signed);
        Secret::new(format!("{signed}.{signature}"))
    }

    /// The claims of a worker's token that was issued here, for that; it may have expired.
    pub(super) fn worker_claims_of(&self, token: &str) -> Option<WorkerClaims> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        self.keys.has_signed(WORKER, signed, signature).then_some(())?;
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok();
        claims.filter(|claims: &WorkerClaims| claims.aud == AUDIENCE && claims.scope == SCOPE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::config::RelayKeys;
    use alloc::borrow::ToOwned;

    fn issuer(signing: u8) -> TokenIssuer {
        TokenIssuer::new(&RelayKeys::new([signing; 32], [7; 32]))
    }

    fn claims() -> WorkerClaims {
        let bridging = Bridging {
            session: SessionId::new("session_1").expect("an id"),
            has_item: false,
            acks: Acks::Given,
            run: None,
            base_url: None,
        };
        let at = UnixTime::from_millis;
        WorkerClaims::new(&bridging, 3, at(100_000), at(200_000))
    }

    #[test]
    fn it_has_the_three_parts_of_a_jwt_and_only_its_relay_accepts_it() {
        let token = issuer(1).worker_token(&claims());
        assert_eq!(token.reveal().split('.').count(), 3);
        let times = crate::wire::jwt::JwtTimes::of(token.reveal()).expect("it is readable");
        assert_eq!(times.expires_at.map(UnixTime::as_secs), Some(200));
        assert_eq!(issuer(1).worker_claims_of(token.reveal()), Some(claims()));
        assert_eq!(issuer(2).worker_claims_of(token.reveal()), None);
        for at in 0..token.reveal().len() {
            let mut bent = token.reveal().as_bytes().to_owned();
            bent[at] ^= 1;
            let bent = String::from_utf8(bent).expect("ASCII");
            assert_eq!(issuer(1).worker_claims_of(&bent), None, "byte {at}");
        }
    }

    #[test]
    fn a_token_signed_with_an_older_key_of_the_ring_still_counts() {
        let token = issuer(1).worker_token(&claims());
        let mut keys = RelayKeys::new([2; 32], [7; 32]);
        keys.older.push([1; 32]);
        assert_eq!(TokenIssuer::new(&keys).worker_claims_of(token.reveal()), Some(claims()));
    }

    #[test]
    fn no_other_credential_of_the_relay_passes_for_it() {
        let issuer = issuer(1);
        let signed =
            format!("{}.{}", jose_header("JWT"), URL_SAFE_NO_PAD.encode(to_json(&claims())));
        for purpose in ["session", "environment", "access token", "refresh token", "code"] {
            let bent = format!("{signed}.{}", issuer.keys.sign(purpose, &signed));
            assert_eq!(issuer.worker_claims_of(&bent), None, "{purpose}");
        }
    }
}
