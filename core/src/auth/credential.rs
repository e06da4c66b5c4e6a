//! What a worker registers with, and where to find a newer one (T-1, E-10).

use alloc::string::String;

use super::log_in::LogIn;
use super::worker_credential::is_worker_credential;
use crate::base::secret::Secret;
use crate::contract::action::Request;
use crate::wire::device::TRUST_HEADER;

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
    /// If it is that of a device, which can be refreshed.
    log_in: Option<LogIn>,
    /// What shows that it is used on a trusted device, if it was given and not kept (D-2).
    trusted_device_token: Option<Secret>,
}

impl Credential {
    /// A token that never changes: one from the environment.
    pub const fn fixed(token: Secret) -> Self {
        Self { current: token, file: None, log_in: None, trusted_device_token: None }
    }

    /// A token from a file.
    pub const fn from_file(token: Secret, path: String) -> Self {
        Self { current: token, file: Some(path), log_in: None, trusted_device_token: None }
    }

    /// A log-in, and the path of what it is kept in: a file, or an entry of the system's keyring.
    pub fn from_log_in(log_in: LogIn, path: String) -> Self {
        let current = log_in.access_token().clone();
        Self { current, file: Some(path), log_in: Some(log_in), trusted_device_token: None }
    }

    /// With what shows that it is used on a trusted device, which is shown instead of what is kept.
    #[must_use]
    pub fn on_trusted_device(self, token: Option<Secret>) -> Self {
        Self { trusted_device_token: token.filter(Secret::is_bearer), ..self }
    }

    /// Adds to a request what shows that it comes from a trusted device, if this is one.
    pub(crate) fn show_trust(&self, request: &mut Request) {
        let kept = || self.log_in.as_ref().and_then(LogIn::trusted_device_token);
        let token = self.trusted_device_token.as_ref().or_else(kept);
        request.headers.extend(token.map(|token| (TRUST_HEADER, token.clone())));
    }

    /// The log-in that it is of.
    pub const fn log_in(&self) -> Option<&LogIn> {
        self.log_in.as_ref()
    }

    /// Takes the next tokens of its log-in.
    pub(crate) fn adopt(&mut self, log_in: LogIn) {
        self.current = log_in.access_token().clone();
        self.log_in = Some(log_in);
    }

    /// Whether it is a worker's own credential, which opens nothing that is a person's.
    pub fn is_worker_credential(&self) -> bool {
        is_worker_credential(&self.current)
    }

    /// Whether a relay recognises it by its own signature alone, and can prove that it does.
    pub(crate) fn is_signed(&self) -> bool {
        self.is_worker_credential() || self.log_in.is_some()
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
        if let Some(known) = &self.log_in {
            let kept = LogIn::parse(file).filter(|kept| kept != known);
            let is_newer = kept.is_some();
            if let Some(kept) = kept {
                self.adopt(kept);
            }
            return is_newer;
        }
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
