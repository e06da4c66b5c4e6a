//! One retry after a 401, with a refreshed token (E-10).

use alloc::string::String;

use super::error::RequestError;
use crate::auth::Credential;

/// Whether a request made with a credential from a file may be retried once.
///
/// ```text
///             401: read the token's file
///   Unused ─────────────────────────────▶ Used ──── 401 ──▶ final
///     ▲            and try again           │
///     └──────────── success ───────────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenRetry {
    /// The next 401 is worth a retry.
    #[default]
    Unused,
    /// The token file has already been checked.
    Used,
}

impl TokenRetry {
    /// Where to look for a newer token before the retry; `None` if the error is about something
    /// else, the token cannot change, or this was the second refusal.
    pub fn take(&mut self, error: &RequestError, token: &Credential) -> Option<String> {
        let file = token.file().filter(|_| error.is_unauthorized())?;
        (core::mem::replace(self, Self::Used) == Self::Unused).then_some(file)
    }

    /// The token worked, or the caller has its own reason to allow another retry.
    pub const fn reset(&mut self) {
        *self = Self::Unused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use crate::contract::action::Response;
    use alloc::vec;
    use bytes::Bytes;

    fn refusal(status: u16) -> RequestError {
        let body = Bytes::from_static(br#"{"error":{"type":"authentication_failed"}}"#);
        RequestError::of(&Response { status, headers: vec![], body })
    }

    #[test]
    fn only_the_first_401_in_a_row_is_worth_another_try() {
        let token = Credential::from_file(Secret::from("t"), String::from("/token"));
        let mut retry = TokenRetry::default();
        assert_eq!(retry.take(&refusal(403), &token), None);
        assert_eq!(retry.take(&refusal(401), &token).as_deref(), Some("/token"));
        assert_eq!(retry.take(&refusal(401), &token), None, "the second is final");
        retry.reset();
        assert!(retry.take(&refusal(401), &token).is_some());
    }

    #[test]
    fn a_token_that_cannot_change_is_not_retried() {
        let token = Credential::fixed(Secret::from("t"));
        assert_eq!(TokenRetry::default().take(&refusal(401), &token), None);
    }
}
