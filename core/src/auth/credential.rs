//! What a worker registers with, and where to find a newer one (T-1, E-10).

use alloc::string::String;

use super::worker_credential::is_worker_credential;
use crate::base::secret::Secret;

/// The largest token file that is read, in bytes.
pub(crate) const MAX_TOKEN_FILE_BYTES: usize = 16 << 10;

/// The credential in use, a worker's own or a person's access token, and the file it came from.
///
/// When the relay rejects it, the file is read again and the request retried once: whoever runs the
/// relay may have written a new token there since. A second rejection is final.
#[derive(Clone, Debug)]
pub struct Credential {
    current: Secret,
    file: Option<String>,
}

impl Credential {
    /// A token that never changes: one from the environment.
    pub const fn fixed(token: Secret) -> Self {
        Self { current: token, file: None }
    }

    /// A token from a file.
    pub const fn from_file(token: Secret, path: String) -> Self {
        Self { current: token, file: Some(path) }
    }

    /// Whether it is a worker's own credential, which opens nothing that is a person's.
    pub fn is_worker_credential(&self) -> bool {
        is_worker_credential(&self.current)
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.current
    }

    /// Where a newer one may be.
    pub(crate) fn file(&self) -> Option<String> {
        self.file.clone()
    }

    /// Adopts the token in the file's current content, and returns whether it differs from the one
    /// before. Content that cannot be a token is ignored.
    pub(crate) fn refresh(&mut self, file: &[u8]) -> bool {
        let Some(token) = core::str::from_utf8(file).ok().map(str::trim) else { return false };
        let token = Secret::from(token);
        if !token.is_bearer() || token == self.current {
            return false;
        }
        self.current = token;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_different_token_is_worth_a_retry() {
        let mut token = Credential::from_file(Secret::from("old"), String::from("/t"));
        for same in [&b"old\n"[..], b"", b"  \n", b"\xff", b"two\nlines", b"new\0"] {
            assert!(!token.refresh(same));
        }
        assert!(token.refresh(b"new\n"));
        assert_eq!(token.secret().reveal(), "new");
    }
}
