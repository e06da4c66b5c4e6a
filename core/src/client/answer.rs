//! The result of a request: the expected shape, or an error.

use alloc::format;
use alloc::string::{String, ToString};

use serde::de::DeserializeOwned;

use super::error::RequestError;
use super::foreign::ForeignAnswer;
use crate::contract::event::Event;

/// Reads the answer to a request. 204 is `null`; any other answer has a body.
pub fn answer<T: DeserializeOwned>(event: Event) -> Result<T, RequestError> {
    let response = match event {
        Event::Response { response, .. } => response,
        Event::Failed { failure, .. } => return Err(RequestError::Broken(failure)),
        other => unreachable!("a request is answered by Response or Failed, not {other:?}"),
    };
    let body: &[u8] = match response.status {
        204 => b"null",
        200..=299 => &response.body,
        _ => return Err(RequestError::of(&response)),
    };
    serde_json::from_slice(body).map_err(|error| {
        RequestError::Foreign(match category(&error) {
            Some(reason) => ForeignAnswer::unreadable(response.status, &reason),
            None => ForeignAnswer::of(&response),
        })
    })
}

/// What is wrong with JSON, without any of its content, which may hold secrets; `None` if it is
/// none.
fn category(error: &serde_json::Error) -> Option<String> {
    let words = error.to_string();
    match error.classify() {
        // Our own error about an identifier names the field and shows none of its value (E-8).
        _ if words.contains("usable identifier") => Some(words),
        serde_json::error::Category::Data => {
            Some(format!("JSON of another shape, at column {}", error.column()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::OpId;
    use crate::contract::action::Response;
    use crate::contract::event::{IoError, IoErrorKind};
    use crate::engine::backoff::FailureTrack;
    use crate::wire::worker_api::work::Fence;
    use alloc::vec;
    use bytes::Bytes;

    fn response(status: u16, body: &'static str) -> Event {
        let body = Bytes::from_static(body.as_bytes());
        Event::Response { op: OpId::FIRST, response: Response { status, headers: vec![], body } }
    }

    #[test]
    fn every_status_and_transport_error_is_classified() {
        use FailureTrack::{Connection, General};
        let track = |event| answer::<Option<Fence>>(event).map(|_| ()).map_err(|e| e.track());
        let refusal = |status| response(status, r#"{"error":{"type":"later"}}"#);
        for (status, body) in [(204, ""), (200, "null"), (201, r#"{"fence":1}"#)] {
            assert_eq!(track(response(status, body)), Ok(()), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 409, 410, 413, 426] {
            assert_eq!(track(refusal(status)), Err(None), "{status} is never retried");
        }
        for status in [429, 500, 502, 503, 504, 599] {
            assert_eq!(track(refusal(status)), Err(Some(General)), "{status}");
        }
        for status in [100, 301, 302, 304, 400, 401, 403, 404, 407, 409, 410, 503] {
            assert_eq!(track(response(status, "<html>")), Err(Some(General)), "{status}");
        }
        for body in ["", "<html>", r#"{"fence":"#] {
            assert_eq!(track(response(200, body)), Err(Some(General)), "200 {body}");
        }
        for kind in
            [IoErrorKind::Dns, IoErrorKind::Refused, IoErrorKind::TimedOut, IoErrorKind::Tls]
        {
            let failure = IoError { kind, detail: String::new() };
            let event = Event::Failed { op: OpId::FIRST, failure };
            assert_eq!(track(event), Err(Some(Connection)), "{kind:?}");
        }
    }

    #[test]
    fn an_error_about_a_bad_answer_does_not_show_its_content() {
        let error = answer::<Fence>(response(200, r#"{"fence":"hunter2"}"#)).expect_err("bad");
        assert!(error.to_string().contains("not what a relay gives"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
