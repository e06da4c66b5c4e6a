//! What a mirror asks of a relay: a session's log, and whether it has ended.

use alloc::format;

use super::request::get;
use crate::base::id::SessionId;
use crate::base::limits::{LOG_PAGE_TIMEOUT, MAX_LOG_PAGE_BYTES};
use crate::base::secret::Secret;
use crate::contract::action::{Answer, Request};
use crate::wire::url::BaseUrl;

/// The page of a log after this event.
pub(crate) fn events(relay: &BaseUrl, token: &Secret, session: &SessionId, after: u64) -> Request {
    let path = format!("/v1/sessions/{session}/events?after={after}");
    Request {
        timeout: LOG_PAGE_TIMEOUT,
        answer: Answer::Whole { max_body: MAX_LOG_PAGE_BYTES },
        ..get(relay, &path, Some(token))
    }
}

/// The session itself.
pub(crate) fn session(relay: &BaseUrl, token: &Secret, session: &SessionId) -> Request {
    get(relay, &format!("/v1/sessions/{session}"), Some(token))
}
