//! The result of a session that did not end on its own.

use alloc::string::String;

use crate::wire::session::{ResultStatus, SessionResult};

/// The result of a session that did not end on its own.
pub(crate) fn ended(status: ResultStatus, message: &str) -> SessionResult {
    SessionResult {
        status,
        exit_code: None,
        signal: None,
        message: message.into(),
        stderr: String::new(),
    }
}
