//! The shapes that cross a wire, each with its parser, and no behaviour.
//!
//! | module | shape |
//! | --- | --- |
//! | [`ndjson`] | a byte stream cut into lines |
//! | [`message`] | what kind of message a line is (M-1) |
//! | [`control`] | control requests and responses (M-2, M-3) |
//! | [`link_v1`] | the words of a session's link beside its lines |
//! | [`worker_api`] | the Environments API (E) |
//! | [`work_secret`] | a work secret (S-1) |
//! | [`session`] | a session's state and result |
//! | [`url`] | the relay's base URL and what is built on it (S-2) |
//! | [`error`] | the body of a refusal (E-9) |

pub mod control;
pub mod error;
pub mod link_v1;
pub mod message;
pub mod ndjson;
pub mod session;
pub mod url;
pub mod work_secret;
pub mod worker_api;

pub use link_v1 as link;
pub use worker_api::{environment, work};

use bytes::Bytes;
use serde::Serialize;

/// A shape of this crate as JSON. Those have text for keys and no fallible `Serialize` of their
/// own, so that it cannot fail.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Bytes {
    match serde_json::to_vec(value) {
        Ok(json) => Bytes::from(json),
        Err(error) => unreachable!("a shape of this crate is always JSON: {error}"),
    }
}
