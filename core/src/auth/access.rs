//! The person's access token, and where a newer one may be found (T-1, E-10).

use alloc::string::String;

use crate::base::secret::Secret;

/// Largest token file that is read.
pub(crate) const MAX_TOKEN_FILE_BYTES: usize = 16 << 10;

/// The access token in use, and the file that it came from.
///
/// A request that it does not open is tried once more after the file has been read again: whoever
/// runs the relay may have written a new token there since. A second refusal is final.
#[derive(Clone, Debug)]
pub struct AccessToken {
    current: Secret,
    file: Option<String>,
}

impl AccessToken {
    /// A token that stays as it is: one from the environment.
    pub const fn fixed(token: Secret) -> Self {
        Self { current: token, file: None }
    }

    /// A token from a file.
    pub const fn from_file(token: Secret, path: String) -> Self {
        Self { current: token, file: Some(path) }
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.current
    }

    /// Where a newer one may be.
    pub(crate) fn file(&self) -> Option<String> {
        self.file.clone()
    }

    /// Takes what the file holds now; whether that is another token than before. What cannot be one
    /// is not taken.
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
    fn only_another_token_is_worth_another_try() {
        let mut token = AccessToken::from_file(Secret::from("old"), String::from("/t"));
        for same in [&b"old\n"[..], b"", b"  \n", b"\xff", b"two\nlines", b"new\0"] {
            assert!(!token.refresh(same));
        }
        assert!(token.refresh(b"new\n"));
        assert_eq!(token.secret().reveal(), "new");
    }
}
