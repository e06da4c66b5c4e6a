//! Refusals as OAuth words them (RFC 6749, 5.2).

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::{String, ToString};

use crate::base::limits::GUESS_ALLOWED_EVERY;
use crate::contract::action::Response;
use crate::relay::http::response::json;
use crate::wire::oauth::{OAuthErrorBody, OAuthErrorType};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    kind: OAuthErrorType,
    words: String,
    /// The status, and how long to stay away, in seconds.
    away: Option<(u16, u64)>,
}

impl Refusal {
    pub(super) fn new(kind: OAuthErrorType, words: &str) -> Self {
        Self { kind, words: words.to_owned(), away: None }
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(OAuthErrorType::InvalidRequest, &format!("the form has no {name}"))
    }

    /// Too many unknown tokens have come from this address.
    pub(super) fn slowed() -> Self {
        let words =
            "this address has sent too many tokens that this relay does not know: wait a moment";
        let away = Some((429, GUESS_ALLOWED_EVERY.as_secs().max(1)));
        Self { away, ..Self::new(OAuthErrorType::InvalidGrant, words) }
    }

    pub(super) fn unavailable() -> Self {
        let words = "the relay cannot store anything now: try again in a moment";
        let away = Some((503, 1));
        Self { away, ..Self::new(OAuthErrorType::TemporarilyUnavailable, words) }
    }

    pub(super) fn response(&self) -> Response {
        let error_description = Some(Cow::Borrowed(&*self.words));
        let body = OAuthErrorBody { error: self.kind, error_description };
        let (status, seconds) = self.away.map_or((400, None), |(status, s)| (status, Some(s)));
        let mut response = json(status, &body);
        if let Some(seconds) = seconds {
            response.headers.push(("retry-after".to_owned(), seconds.to_string()));
        }
        response
    }
}

/// The store has failed.
pub(in crate::relay) fn store_failed() -> Response {
    Refusal::unavailable().response()
}
