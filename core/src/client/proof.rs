//! Asks what answers at the relay's address whether it knows a credential, before it is sent there
//! again (Y-4).

use alloc::format;
use alloc::string::String;

use super::answer::answer;
use super::error::RequestError;
use super::foreign::ForeignAnswer;
use super::request::get;
use crate::auth::proof::{is_proof, question};
use crate::base::secret::Secret;
use crate::contract::action::Request;
use crate::contract::event::Event;
use crate::wire::proof::Proof;
use crate::wire::url::BaseUrl;

/// A number that is used once, as a proof is asked for with it.
fn nonce(number: u128) -> String {
    format!("{number:032x}")
}

/// `GET /v1/proof`, which shows nothing of the credential.
pub fn ask_for_proof(relay: &BaseUrl, credential: &Secret, number: u128) -> Request {
    let query = question(credential, &nonce(number));
    get(relay, &format!("/v1/proof?{query}"), None)
}

/// Whether it was proved. The relay may not know the credential (401), or not be able to tell now;
/// all else is the answer of something that is not the relay.
pub fn proved(event: Event, credential: &Secret, number: u128) -> Result<(), RequestError> {
    let unproved = |status| {
        let reason = "it cannot prove that it is a relay that knows this credential";
        RequestError::Foreign(ForeignAnswer::unreadable(status, reason))
    };
    match answer::<Proof>(event) {
        Ok(Proof { proof }) if is_proof(credential, &nonce(number), &proof) => Ok(()),
        Ok(_) => Err(unproved(200)),
        Err(RequestError::Refused(refusal))
            if !refusal.is_unauthorized() && !refusal.is_retryable() =>
        {
            Err(unproved(refusal.status))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::OpId;
    use crate::contract::action::Response;
    use crate::engine::backoff::FailureTrack;
    use alloc::vec;
    use bytes::Bytes;

    #[test]
    fn nothing_but_a_proof_is_trusted_and_an_imposter_ends_nothing() {
        let credential = Secret::from("the-token");
        let judged = |status: u16, body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            let response = Response { status, headers: vec![], body };
            proved(Event::Response { op: OpId::FIRST, response }, &credential, 7)
        };
        for (status, body) in [
            (200, ""),
            (200, "{}"),
            (200, r#"{"proof":"AAAA"}"#),
            (404, ""),
            (404, r#"{"error":{"type":"not_found","message":"no"}}"#),
            (403, "no"),
            (302, ""),
        ] {
            let error = judged(status, body).expect_err("no proof");
            assert_eq!(error.track(), Some(FailureTrack::General), "{status} {body}: {error}");
        }
        let unknown = r#"{"error":{"type":"authentication_failed","message":"no"}}"#;
        assert!(judged(401, unknown).expect_err("no proof").is_unauthorized());
        assert!(!judged(401, "<html>").expect_err("no proof").is_unauthorized());
        let relay = BaseUrl::parse("http://127.0.0.1:1").expect("a URL");
        let request = ask_for_proof(&relay, &credential, 7);
        assert!(request.headers.iter().all(|(name, _)| *name != "authorization"));
        assert!(!request.url.contains("the-token"));
    }
}
