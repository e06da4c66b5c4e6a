//! Requests of version 2 (C-1, C-2). All of them go below a session's own URL.

use alloc::format;
use alloc::string::ToString;

use bytes::Bytes;

use super::request::{as_stream, get_url, post_url};
use crate::base::secret::Secret;
use crate::contract::action::Request;
use crate::wire::code_session::{BridgeRequest, WorkerUpdate};
use crate::wire::last_line::{LAST_LINE_HEADER, LastLine};
use crate::wire::to_json;

/// `POST …/bridge`: with a person's access token, or the token of the session's item.
pub(crate) fn bridge(session_url: &str, token: &Secret, body: &BridgeRequest) -> Request {
    post_url(format!("{session_url}/bridge"), token, to_json(body))
}

/// `GET …/worker/events/stream`: after this line for the agent; the worker still holds its own lines
/// after `holds_after`.
pub(crate) fn open_stream(
    session_url: &str,
    jwt: &Secret,
    after: u64,
    holds_after: u64,
    last: Option<LastLine>,
) -> Request {
    let query = format!("from_sequence_num={after}&holds_after={holds_after}");
    let mut request = get_url(format!("{session_url}/worker/events/stream?{query}"), jwt);
    as_stream(&mut request, after);
    request.headers.extend(last.map(header));
    request
}

/// `POST …/worker/events`, with a batch.
pub(crate) fn send_batch(session_url: &str, jwt: &Secret, batch: Bytes) -> Request {
    post_url(format!("{session_url}/worker/events"), jwt, batch)
}

/// `POST …/worker/heartbeat`.
pub(crate) fn heartbeat(
    session_url: &str,
    jwt: &Secret,
    update: &WorkerUpdate,
    last: Option<LastLine>,
) -> Request {
    let mut request = post_url(format!("{session_url}/worker/heartbeat"), jwt, to_json(update));
    request.headers.extend(last.map(header));
    request
}

fn header(line: LastLine) -> (&'static str, Secret) {
    (LAST_LINE_HEADER, Secret::new(line.to_string()))
}
