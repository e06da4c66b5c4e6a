//! The shapes that cross the wire, each defined once: written by one end, read by the other, with
//! no behaviour of their own. [`versions`] says how they may change.
//!
//! | module | shape |
//! | --- | --- |
//! | [`ndjson`] | a byte stream cut into lines |
//! | [`message`] | what kind of message a line is (M-1) |
//! | [`callback`] | what an agent asks of a client with hooks or MCP servers (M-6) |
//! | [`control`] | control requests and responses (M-2, M-3) |
//! | [`log_message`] | the relay's and the worker's own messages in a log |
//! | [`link_v1`] | the control frames of a session's link |
//! | [`code_session`] | version 2: what travels by plain requests and events (C) |
//! | [`device`] | log-ins, and what each may do (Y-9) |
//! | [`oauth`] | logging in (T-6) |
//! | [`jwt`] | when a token runs out (T-2) |
//! | [`worker_api`] | the Environments API (E) |
//! | [`work_secret`] | a work secret (S-1) |
//! | [`push`] | notifications (Y-7) |
//! | [`session`] | a session's state and result |
//! | [`session_name`] | the two names of one session (I-1) |
//! | `sse` | a byte stream cut into Server-Sent Events |
//! | [`audit`] | who did what (Y-9) |
//! | [`worktree`] | a worktree that was kept, and what a person wants done with it (W-5) |
//! | [`viewer`] | what viewers request, and what they receive |
//! | [`housekeeping`] | which of an agent's messages are for people (M-8) |
//! | [`health`] | whether a relay is up |
//! | [`url`] | the relay's base URL and what is built on it (S-2) |
//! | [`error`] | the body of a refusal (E-9) |

pub mod audit;
pub mod callback;
pub mod code_session;
pub mod control;
pub mod device;
pub mod error;
pub mod health;
pub mod housekeeping;
pub mod jwt;
pub mod last_line;
pub(crate) mod latitude;
pub mod link_v1;
pub mod log_message;
pub mod message;
pub mod ndjson;
pub mod oauth;
pub mod proof;
pub mod push;
mod raw;
pub(crate) mod rfc3339;
pub mod session;
pub mod session_name;
pub(crate) mod sse;
#[cfg(test)]
mod tests;
pub mod url;
pub mod versions;
pub mod viewer;
pub mod work_secret;
pub mod worker_api;
pub mod worktree;

use bytes::Bytes;
use serde::Serialize;

use crate::base::text::Text;

/// A shape of this crate as JSON. Their keys are text and none has a fallible `Serialize` of its
/// own, so this cannot fail.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Bytes {
    match serde_json::to_vec(value) {
        Ok(json) => Bytes::from(json),
        Err(error) => unreachable!("a shape of this crate is always JSON: {error}"),
    }
}

/// The same as text: a line, or a frame on a stream.
pub(crate) fn to_text<T: Serialize>(value: &T) -> Text {
    Text::from_utf8(to_json(value)).unwrap_or_default()
}
