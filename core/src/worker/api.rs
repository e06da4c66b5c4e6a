//! Requests of the Environments API, and what their answers mean (E-1 to E-10).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::dispatch::Lease;
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::limits::{MAX_RESPONSE_BYTES, POLL_SLACK, POLL_WAIT, REQUEST_TIMEOUT};
use crate::base::secret::Secret;
use crate::contract::action::{Method, Request};
use crate::contract::event::{Event, IoError};
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::backoff::FailureTrack;
use crate::wire::environment::Registration;
use crate::wire::error::ApiError;
use crate::wire::to_json;
use crate::wire::url::BaseUrl;
use crate::wire::work::{Fence, StopWork};

const USER_AGENT: &str = concat!("footbridge/", env!("CARGO_PKG_VERSION"));

/// A registered environment: where it is and what opens it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) id: EnvironmentId,
    pub(super) secret: Secret,
}

/// `POST /v1/environments/bridge` (E-1).
pub(super) fn register(relay: &BaseUrl, token: &Secret, body: &Registration) -> Request {
    post(relay, "/v1/environments/bridge", token, body)
}

/// `GET …/work/poll` (E-2). The key makes a lost answer come again instead of the next item.
pub(super) fn poll(relay: &BaseUrl, environment: &Environment, key: &str) -> Request {
    let path = format!("/v1/environments/{}/work/poll", environment.id);
    let mut headers = headers(&environment.secret);
    headers.push(("prefer", Secret::new(format!("wait={}", POLL_WAIT.as_secs()))));
    headers.push(("idempotency-key", Secret::from(key)));
    Request {
        method: Method::Get,
        url: relay.join(&path),
        headers,
        body: Bytes::new(),
        timeout: POLL_WAIT + POLL_SLACK,
        max_response: MAX_RESPONSE_BYTES,
    }
}

/// `POST …/work/{work}/ack` (E-4).
pub(super) fn ack(relay: &BaseUrl, lease: &Lease) -> Request {
    about_lease(relay, lease, "ack")
}

/// `POST …/work/{work}/heartbeat` (E-5).
pub(super) fn heartbeat(relay: &BaseUrl, lease: &Lease) -> Request {
    about_lease(relay, lease, "heartbeat")
}

fn about_lease(relay: &BaseUrl, lease: &Lease, verb: &str) -> Request {
    let path = format!("/v1/environments/{}/work/{}/{verb}", lease.environment.id, lease.work);
    post(relay, &path, &lease.token, &Fence { fence: lease.fence })
}

/// `POST …/work/{work}/stop` (E-6).
pub(super) fn stop_work(
    relay: &BaseUrl,
    environment: &Environment,
    work: &WorkId,
    body: &StopWork,
) -> Request {
    let path = format!("/v1/environments/{}/work/{work}/stop", environment.id);
    post(relay, &path, &environment.secret, body)
}

/// `POST …/sessions/{session}/redispatch` (W-8).
pub(super) fn redispatch(
    relay: &BaseUrl,
    environment: &Environment,
    session: &SessionId,
) -> Request {
    let path = format!("/v1/environments/{}/sessions/{session}/redispatch", environment.id);
    post(relay, &path, &environment.secret, &Empty {})
}

/// `POST /v1/environments/{id}/stop` (E-7).
pub(super) fn deregister(relay: &BaseUrl, environment: &Environment) -> Request {
    let path = format!("/v1/environments/{}/stop", environment.id);
    post(relay, &path, &environment.secret, &Empty {})
}

/// `GET /health`, for which no credential is needed.
pub(super) fn health(relay: &BaseUrl) -> Request {
    get(relay, "/health", common_headers().into())
}

/// `GET /v1/environments`, with the person's access token.
pub(super) fn environments(relay: &BaseUrl, token: &Secret) -> Request {
    get(relay, "/v1/environments", headers(token))
}

/// A body that says nothing: `{}`.
#[derive(Serialize)]
struct Empty {}

fn headers(token: &Secret) -> Vec<(&'static str, Secret)> {
    let mut headers = vec![("authorization", Secret::new(["Bearer ", token.reveal()].concat()))];
    headers.extend(common_headers());
    headers
}

fn common_headers() -> [(&'static str, Secret); 2] {
    [("accept", Secret::from("application/json")), ("user-agent", Secret::from(USER_AGENT))]
}

fn get(relay: &BaseUrl, path: &str, headers: Vec<(&'static str, Secret)>) -> Request {
    Request {
        method: Method::Get,
        url: relay.join(path),
        headers,
        body: Bytes::new(),
        timeout: REQUEST_TIMEOUT,
        max_response: MAX_RESPONSE_BYTES,
    }
}

fn post<T: Serialize>(relay: &BaseUrl, path: &str, token: &Secret, body: &T) -> Request {
    let mut headers = headers(token);
    headers.push(("content-type", Secret::from("application/json")));
    Request {
        method: Method::Post,
        url: relay.join(path),
        headers,
        body: to_json(body),
        timeout: REQUEST_TIMEOUT,
        max_response: MAX_RESPONSE_BYTES,
    }
}

/// What came of a request, if it was not what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum RequestError {
    /// The relay said no.
    Refused(ApiError),
    /// There was no answer.
    Broken(IoError),
    /// The answer is not the relay's: another server's page, a cut body.
    BadAnswer(String),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Broken(failure) => failure.fmt(f),
            Self::BadAnswer(reason) => f.write_str(reason),
        }
    }
}

impl RequestError {
    /// The track to try again on; `None` where trying again cannot help (E-9).
    pub(super) const fn track(&self) -> Option<FailureTrack> {
        match self {
            Self::Broken(_) => Some(FailureTrack::Connection),
            Self::BadAnswer(_) => Some(FailureTrack::General),
            Self::Refused(refusal) if refusal.is_retryable() => Some(FailureTrack::General),
            Self::Refused(_) => None,
        }
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Broken(_) | Self::BadAnswer(_) => None,
        }
    }

    pub(super) const fn refusal(&self) -> Option<&ApiError> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Broken(_) | Self::BadAnswer(_) => None,
        }
    }

    /// The end of the worker that this trouble is, while it tried to do `what` (E-9).
    pub(super) fn fault(&self, what: &str, relay: &BaseUrl) -> MachineError {
        let (kind, advice) = match self.refusal().map(|refusal| refusal.status) {
            Some(401) => (
                MachineErrorKind::Unauthorized,
                "log in again: check that the access token is the one that the relay was started with",
            ),
            Some(403) => (MachineErrorKind::Forbidden, "ask whoever runs the relay"),
            Some(404 | 410) => {
                (MachineErrorKind::NotFound, "check that this URL is a Footbridge relay's")
            }
            _ => {
                (MachineErrorKind::Protocol, "check that relay and worker are of the same version")
            }
        };
        MachineError { kind, message: format!("could not {what} at {relay}: {self}; {advice}") }
    }
}

/// Reads the answer to a request: its body, or the trouble. 204 and an empty body are `null`.
pub(super) fn answer<T: DeserializeOwned>(event: Event) -> Result<T, RequestError> {
    match event {
        Event::Response { response, .. } => match response.status {
            200..=299 => {
                let body: &[u8] =
                    if response.body.is_empty() { b"null" } else { response.body.as_ref() };
                serde_json::from_slice(body).map_err(|error| {
                    RequestError::BadAnswer(format!(
                        "the answer is not what a relay gives ({})",
                        category(&error)
                    ))
                })
            }
            400..=599 => Err(RequestError::Refused(ApiError::of(&response))),
            status => Err(RequestError::BadAnswer(format!(
                "the answer has the unexpected status {status}"
            ))),
        },
        Event::Failed { failure, .. } => Err(RequestError::Broken(failure)),
        other => unreachable!("a request is answered by Response or Failed, not {other:?}"),
    }
}

/// What is wrong with an answer, without any of its content: it may hold secrets.
fn category(error: &serde_json::Error) -> String {
    let words = error.to_string();
    match error.classify() {
        // Our own words about an identifier name the field and show nothing of it (E-8).
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
    use crate::contract::event::IoErrorKind;

    fn response(status: u16, body: &'static str) -> Event {
        let body = Bytes::from_static(body.as_bytes());
        Event::Response { op: OpId::FIRST, response: Response { status, headers: vec![], body } }
    }

    #[test]
    fn every_status_and_transport_error_has_its_consequence() {
        use FailureTrack::{Connection, General};
        let track = |event| answer::<Option<Fence>>(event).map(|_| ()).map_err(|t| t.track());
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
    fn a_bad_answer_does_not_show_what_it_held() {
        let trouble = answer::<Fence>(response(200, r#"{"fence":"hunter2"}"#)).expect_err("bad");
        assert!(trouble.to_string().contains("not what a relay gives"), "{trouble}");
        assert!(!trouble.to_string().contains("hunter2"), "{trouble}");
    }
}
