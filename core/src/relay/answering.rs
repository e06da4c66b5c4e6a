//! Who may answer an agent's questions.

use super::http::error::ApiError;
use crate::wire::device::{Scope, Scopes};

/// Whether whoever asks may answer an agent's questions, also before those are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answering {
    Allowed,
    /// The log-in has no such scope.
    NotGranted,
    /// It takes a trusted device.
    Untrusted {
        is_browser: bool,
    },
}

impl Answering {
    /// Of somebody who may, if they need not be trusted or are.
    pub(super) fn of(demanded: Option<Scopes>, is_trusted: bool, is_browser: bool) -> Self {
        let is_demanded = demanded.is_some_and(|demanded| demanded.name(Scope::Answer));
        if is_demanded && !is_trusted { Self::Untrusted { is_browser } } else { Self::Allowed }
    }

    pub(super) fn check(self) -> Result<(), ApiError> {
        match self {
            Self::Allowed => Ok(()),
            Self::NotGranted => Err(ApiError::out_of_scope(Scope::Answer.as_str())),
            Self::Untrusted { is_browser } => Err(ApiError::elevated(is_browser)),
        }
    }
}
