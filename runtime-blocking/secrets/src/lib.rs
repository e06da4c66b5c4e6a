//! Secrets in the system's keyring instead of a file (T-1): what both runtimes and both programs share.
//!
//! A machine names what it saves, loads and removes by a path. One that begins with [`SCHEME`] names an
//! entry of the keyring, which is called after the path that follows; the lock among processes is the
//! file beside that path all the same, because a keyring has none. Nothing secret is in that file.
//!
//! | | a file | the keyring |
//! | --- | --- | --- |
//! | is kept by | a file system | the memory of the kernel: the persistent keyring of the user |
//! | survives | everything | the end of every process and sign-in of the user |
//! | does not survive | | a restart of the machine; [`KEPT_UNUSED`] in which nobody uses it |
//! | can be read by | the user, root, who has the disk or a backup of it | the user, root |
//! | one write | replaces all of it, or nothing | the same |
//!
//! The kernel answers at once and asks nobody, so no call waits for a person or another program.

#[cfg(all(feature = "keyring", target_os = "linux"))]
mod kernel;
#[cfg(not(all(feature = "keyring", target_os = "linux")))]
#[path = "none.rs"]
mod kernel;

use std::io;
use std::path::Path;
use std::time::Duration;

/// What the name of an entry of the keyring begins with. No path of a file that is kept does: they are
/// absolute.
pub const SCHEME: &str = "keyring:";
/// How long the kernel keeps what nobody uses, unless `kernel.keys.persistent_keyring_expiry` says
/// otherwise.
pub const KEPT_UNUSED: Duration = Duration::from_hours(72);
/// The longest secret that the kernel keeps, in bytes.
pub const MAX_BYTES: usize = 32_767;

/// Why the keyring could not be used, and what to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// It was left out of this program.
    #[error(
        "this program was built without the keyring: build it with --features keyring, or keep the log-in in a file (--secrets file)"
    )]
    NotBuilt,
    /// The system has none, or not one for each user.
    #[error("this system has no keyring that lasts: keep the log-in in a file (--secrets file)")]
    Missing,
    /// The system does not let this program use it.
    #[error(
        "this program may not use the keyring: allow it to (containers often forbid it), or keep the log-in in a file (--secrets file)"
    )]
    Denied,
    /// It holds as much as it may.
    #[error(
        "the keyring of this user is full: remove keys (keyctl), raise kernel.keys.maxbytes, or keep the log-in in a file (--secrets file)"
    )]
    Full,
    /// What is to be kept is longer than it keeps.
    #[error("the keyring keeps no more than {MAX_BYTES} bytes")]
    TooLong,
    /// Something else; the number is the system's.
    #[error(
        "the keyring failed (error {0}): try again, or keep the log-in in a file (--secrets file)"
    )]
    Other(i32),
}

impl From<KeyringError> for io::Error {
    fn from(error: KeyringError) -> Self {
        let kind = match error {
            KeyringError::NotBuilt | KeyringError::Missing => io::ErrorKind::Unsupported,
            KeyringError::Denied => io::ErrorKind::PermissionDenied,
            KeyringError::Full => io::ErrorKind::QuotaExceeded,
            KeyringError::TooLong => io::ErrorKind::FileTooLarge,
            KeyringError::Other(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// One secret in the keyring, or the place for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is called, which everybody on the machine may see.
    description: String,
}

impl Entry {
    /// The entry that a machine's path names; `None` if it names a file.
    pub fn named(path: &Path) -> Option<Self> {
        let file = path.to_str()?.strip_prefix(SCHEME)?;
        Some(Self { description: format!("footbridge:{file}") })
    }

    /// What is kept there, if anything.
    pub fn load(&self) -> Result<Option<Vec<u8>>, KeyringError> {
        kernel::load(&self.description)
    }

    /// Keeps this instead of what was there.
    pub fn save(&self, secret: &[u8]) -> Result<(), KeyringError> {
        if secret.len() > MAX_BYTES {
            return Err(KeyringError::TooLong);
        }
        kernel::save(&self.description, secret)
    }

    /// Keeps nothing there any more.
    pub fn remove(&self) -> Result<(), KeyringError> {
        kernel::remove(&self.description)
    }

    /// Whether something of this size could be kept there, which is tried with an entry beside it.
    pub fn try_out(&self, bytes: usize) -> Result<(), KeyringError> {
        let probe =
            Self { description: format!("{}.probe-{}", self.description, std::process::id()) };
        let tried = probe.save(&vec![b'0'; bytes]);
        tried.and(probe.remove())
    }
}

/// The file that is the lock among processes which share what this path names.
pub fn lock_file(path: &Path) -> &Path {
    let file = path.to_str().and_then(|path| path.strip_prefix(SCHEME));
    file.map_or(path, Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry of the keyring, if there is one here.
    fn entry(directory: &Path) -> Option<Entry> {
        let name = format!("{SCHEME}{}", directory.join("log-in").display());
        let entry = Entry::named(Path::new(&name)).expect("an entry");
        match entry.try_out(MAX_BYTES / 8) {
            Ok(()) => Some(entry),
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    #[test]
    fn only_a_path_with_the_scheme_names_an_entry_and_its_lock_is_a_file() {
        let entry = Entry::named(Path::new("keyring:/s/log-in")).expect("an entry");
        assert_eq!(entry.description, "footbridge:/s/log-in");
        for file in ["/s/log-in", "/s/keyring:", "log-in"] {
            assert_eq!(Entry::named(Path::new(file)), None);
            assert_eq!(lock_file(Path::new(file)), Path::new(file));
        }
        assert_eq!(lock_file(Path::new("keyring:/s/l.lock")), Path::new("/s/l.lock"));
    }

    #[test]
    fn what_is_kept_is_replaced_as_a_whole_and_seen_by_every_thread_until_it_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let Some(entry) = entry(directory.path()) else { return };
        assert_eq!(entry.load(), Ok(None));
        for kept in [&b"first, and longer"[..], b"second"] {
            assert_eq!(entry.save(kept), Ok(()));
            let other = entry.clone();
            let seen = std::thread::spawn(move || other.load()).join().expect("no panic");
            assert_eq!(seen, Ok(Some(kept.to_vec())));
        }
        assert_eq!(entry.save(&[0; MAX_BYTES + 1]), Err(KeyringError::TooLong));
        assert_eq!(entry.load(), Ok(Some(b"second".to_vec())));
        assert_eq!((entry.remove(), entry.remove()), (Ok(()), Ok(())));
        assert_eq!(entry.load(), Ok(None));
    }

    #[test]
    fn every_error_says_what_to_try_and_has_a_kind() {
        use io::ErrorKind as Kind;
        let cases = [
            (KeyringError::NotBuilt, Kind::Unsupported, "--features keyring"),
            (KeyringError::Missing, Kind::Unsupported, "--secrets file"),
            (KeyringError::Denied, Kind::PermissionDenied, "--secrets file"),
            (KeyringError::Full, Kind::QuotaExceeded, "kernel.keys.maxbytes"),
            (KeyringError::TooLong, Kind::FileTooLarge, "32767"),
            (KeyringError::Other(5), Kind::Other, "error 5"),
        ];
        for (error, kind, advice) in cases {
            assert!(error.to_string().contains(advice), "{error}");
            assert_eq!(io::Error::from(error).kind(), kind);
        }
    }
}
