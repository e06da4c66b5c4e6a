//! What a link shows that answers one question (Y-9): signed, so that a guess costs no look into the store.

use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tokens::TokenIssuer;
use crate::base::id::SessionId;
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::store::ANSWER_LINK_NAME;
use crate::wire::to_json;

/// The prefix of every link's token.
const PREFIX: &str = "fbanswer-";
/// What each is signed for.
const PURPOSE: &str = "answer link";

/// What a link's token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AnswerClaims {
    #[serde(rename = "sub")]
    pub(super) session: SessionId,
    /// What only this link has.
    #[serde(rename = "jti")]
    id: String,
    /// In seconds since 1970.
    exp: u64,
}

impl AnswerClaims {
    pub(super) const fn new(session: SessionId, id: String, until: UnixTime) -> Self {
        Self { session, id, exp: until.as_secs() }
    }

    pub(super) const fn is_expired(&self, now: UnixTime) -> bool {
        now.as_secs() >= self.exp
    }

    /// As the store knows it.
    pub(super) fn digest(&self) -> String {
        let digest = Sha256::digest(self.id.as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// As the audit log knows it.
    pub(super) fn name(&self) -> String {
        String::from(self.digest().get(..ANSWER_LINK_NAME).unwrap_or_default())
    }
}

impl TokenIssuer {
    pub(super) fn answer_link(&self, claims: &AnswerClaims) -> Secret {
        let claims = URL_SAFE_NO_PAD.encode(to_json(claims));
        Secret::new(format!("{PREFIX}{claims}.{}", self.keys.sign(PURPOSE, &claims)))
    }

    /// What a link says, if it was made here; it may have run out.
    pub(super) fn answer_claims_of(&self, token: &str) -> Option<AnswerClaims> {
        let (claims, signature) = token.strip_prefix(PREFIX)?.rsplit_once('.')?;
        self.keys.has_signed(PURPOSE, claims, signature).then_some(())?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}
