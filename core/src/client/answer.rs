//! The result of a request: the expected shape, or an error.

use alloc::format;
use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::error::{ApiError, RequestError};
use crate::contract::event::Event;

/// Reads the answer to a request. 204 and an empty body are `null`.
pub fn answer<T: DeserializeOwned>(event: Event) -> Result<T, RequestError> {
    let body = body(event)?;
    let body: &[u8] = if body.is_empty() { b"null" } else { body.as_ref() };
    serde_json::from_slice(body).map_err(|error| {
        let reason = format!("the answer is not what a relay gives ({})", category(&error));
        RequestError::BadAnswer(reason)
    })
}

fn body(event: Event) -> Result<Bytes, RequestError> {
    match event {
        Event::Response { response, .. } => match response.status {
            200..=299 => Ok(response.body),
            400..=599 => Err(RequestError::Refused(ApiError::of(&response))),
            status => {
                let reason = format!("the answer has the unexpected status {status}");
                Err(RequestError::BadAnswer(reason))
            }
        },
        Event::Failed { failure, .. } => Err(RequestError::Broken(failure)),
        other => unreachable!("a request is answered by Response or Failed, not {other:?}"),
    }
}

/// What is wrong with an answer, without any of its content, which may hold secrets.
fn category(error: &serde_json::Error) -> String {
    let words = error.to_string();
    match error.classify() {
        // Our own error about an identifier names the field and shows none of its value (E-8).
        _ if words.contains("usable identifier") => words,
        serde_json::error::Category::Data => {
            format!("JSON of another shape, at column {}", error.column())
        }
        _ => String::from("no JSON"),
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

    fn response(status: u16, body: &'static str) -> Event {
        let body = Bytes::from_static(body.as_bytes());
        Event::Response { op: OpId::FIRST, response: Response { status, headers: vec![], body } }
    }

    #[test]
    fn every_status_and_transport_error_is_classified() {
        use FailureTrack::{Connection, General};
        let track = |event| answer::<Option<Fence>>(event).map(|_| ()).map_err(|e| e.track());
        for status in [200, 201, 204] {
            assert_eq!(track(response(status, "")), Ok(()), "{status}");
        }
        for status in [400, 401, 403, 404, 405, 409, 410, 413, 426] {
            assert_eq!(track(response(status, "")), Err(None), "{status} is never retried");
        }
        for status in [429, 500, 502, 503, 504, 599] {
            assert_eq!(track(response(status, "")), Err(Some(General)), "{status}");
        }
        for status in [100, 301, 302, 304] {
            assert_eq!(track(response(status, "")), Err(Some(General)), "{status}");
        }
        assert_eq!(track(response(200, "<html>")), Err(Some(General)));
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
