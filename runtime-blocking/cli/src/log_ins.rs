//! Where log-ins are kept, one for each relay: in files, or in the system's keyring (T-1).
//!
//! One that is kept in the other place is not taken over: a log-in takes its place, which ends it at
//! the relay and removes it here. What has been on a disk, and in its backups, is worth nothing then.

use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footbridge_core::auth::{Credential, LogIn};
use footbridge_core::base::secret::Secret;
use footbridge_core::wire::url::BaseUrl;
use footbridge_secrets::{Entry, KeyringError, SCHEME};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::exit::Error;
use crate::secret_file::SecretFile;
use crate::token::{Sources, TOKEN_VARIABLE, trusted_device_token};
use crate::value::Secrets;

/// The directory of all of them, in the state directory.
const LOG_INS: &str = "log-ins";
/// As many bytes as a log-in may have.
const PROBE_BYTES: usize = 4096;

/// Where the log-in at a relay is kept, or would be: in a file, or in an entry of the keyring that is
/// called after the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    store: Secrets,
    file: PathBuf,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.store {
            Secrets::File => write!(f, "the file {}", self.file.display()),
            Secrets::Keyring => f.write_str("the keyring, until this machine restarts"),
        }
    }
}

impl Place {
    /// The one that is asked for.
    pub fn of(sources: &Sources, relay: &BaseUrl) -> Result<Self, Error> {
        let state = sources.state_directory();
        let state = state.ok_or_else(|| {
            Error::usage("nowhere to keep a log-in because HOME is not set: set it".to_owned())
        })?;
        let name = URL_SAFE_NO_PAD.encode(Sha256::digest(relay.to_string()));
        Ok(Self { store: sources.secrets, file: state.join(LOG_INS).join(name) })
    }

    /// The other one.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        let store = match self.store {
            Secrets::File => Secrets::Keyring,
            Secrets::Keyring => Secrets::File,
        };
        Self { store, file: self.file.clone() }
    }

    /// As the machines take it: a path, or what names an entry of the keyring.
    pub fn name(&self) -> Result<String, Error> {
        let file = self.file.to_str();
        let file = file.ok_or_else(|| Error::usage("the state directory's path is not UTF-8"))?;
        Ok(match self.store {
            Secrets::File => file.to_owned(),
            Secrets::Keyring => format!("{SCHEME}{file}"),
        })
    }

    fn entry(&self) -> Result<Option<Entry>, Error> {
        Ok(Entry::named(Path::new(&self.name()?)))
    }

    /// Makes sure that a log-in can be kept there, before anybody is asked for one.
    pub fn prepare(&self) -> Result<(), Error> {
        match self.entry()? {
            Some(entry) => entry.try_out(PROBE_BYTES).map_err(keyring),
            None => try_file(&self.file),
        }
    }

    /// The log-in that is kept there, if any. A file that others can read is refused.
    pub fn read(&self) -> Result<Option<LogIn>, Error> {
        let Some(entry) = self.entry()? else { return read_file(&self.file) };
        let Some(kept) = entry.load().map_err(keyring)?.map(Zeroizing::new) else {
            return Ok(None);
        };
        LogIn::parse(&kept).map(Some).ok_or_else(|| {
            Error::local("what the keyring has is no log-in: run footbridge login again")
        })
    }

    /// Forgets what is kept there, if anything.
    pub fn remove(&self) -> Result<(), Error> {
        if let Some(entry) = self.entry()? {
            return entry.remove().map_err(keyring);
        }
        match std::fs::remove_file(&self.file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::disk(format_args!("cannot remove {}", self.file.display()), &error))
            }
            _ => Ok(()),
        }
    }
}

fn keyring(error: KeyringError) -> Error {
    match error {
        KeyringError::NotBuilt => Error::usage(error.to_string()),
        _ => Error::local(error.to_string()),
    }
}

fn try_file(path: &Path) -> Result<(), Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let probe = directory.join(format!(".probe-{}", std::process::id()));
    let tried = DirBuilder::new().recursive(true).mode(0o700).create(directory).and_then(|()| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe)?;
        file.write_all(&[0; PROBE_BYTES])
    });
    let _ = std::fs::remove_file(&probe);
    tried.map_err(|error| {
        Error::disk(format_args!("cannot keep a log-in in {}", directory.display()), &error)
    })
}

fn read_file(path: &Path) -> Result<Option<LogIn>, Error> {
    fn check(text: &str) -> Option<Secret> {
        LogIn::parse(text.as_bytes()).map(|_| Secret::from(text))
    }
    let otherwise = "is no log-in: remove the file, and run footbridge login again";
    let kept = SecretFile { path, what: "log-in", check, otherwise }.read()?;
    Ok(kept.and_then(|kept| LogIn::parse(kept.reveal().as_bytes())))
}

/// The log-in at a relay, from where it is to be kept: from nowhere else.
pub fn of(sources: &Sources, relay: &BaseUrl) -> Result<Option<(LogIn, Place)>, Error> {
    match Place::of(sources, relay) {
        Ok(place) => Ok(place.read()?.map(|log_in| (log_in, place))),
        // With nowhere to keep a file there is none; a keyring was asked for.
        Err(_) if sources.secrets == Secrets::File => Ok(None),
        Err(error) => Err(error),
    }
}

/// What to say besides to who is not logged in, if a log-in is kept in the other place.
pub fn hint(sources: &Sources, relay: &BaseUrl) -> String {
    let other = Place::of(sources, relay).map(|place| place.elsewhere());
    let Some(other) = other.ok().filter(|other| matches!(other.read(), Ok(Some(_)))) else {
        return String::new();
    };
    let word = other.store.word();
    format!(" (there is a log-in in {other}: --secrets {word} uses it, a new one replaces it)")
}

/// What a worker registers with: a token that it is given, the log-in at this relay, or the access
/// token of a relay that runs on this machine.
pub fn credential_for(sources: &Sources, relay: &BaseUrl) -> Result<Credential, Error> {
    let is_given =
        sources.variable.as_ref().is_some_and(|value| !value.is_empty()) || sources.file.is_some();
    if !is_given && let Some((log_in, place)) = of(sources, relay)? {
        let credential = Credential::from_log_in(log_in, place.name()?);
        return Ok(credential.on_trusted_device(trusted_device_token()));
    }
    let path = sources.path()?;
    if !is_given && !path.exists() {
        return Err(Error::usage(format!(
            "not logged in at {relay}{}: run footbridge login {relay}, or set {TOKEN_VARIABLE}, or put the relay's token in {} (mode 0600)",
            hint(sources, relay),
            path.display()
        )));
    }
    let (token, file) = sources.read()?;
    Ok(credential(token, file).on_trusted_device(trusted_device_token()))
}

/// The credential, and the file to read it from again if the relay refuses it.
fn credential(token: Secret, file: Option<PathBuf>) -> Credential {
    match file.and_then(|file| file.into_os_string().into_string().ok()) {
        Some(file) => Credential::from_file(token, file),
        None => Credential::fixed(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_sought_where_it_is_to_be_kept_and_the_other_place_is_named() {
        let home = tempfile::tempdir().expect("a directory");
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let in_file = Sources { home: Some(home.path().into()), ..Sources::default() };
        let in_keyring = Sources { secrets: Secrets::Keyring, ..in_file.clone() };
        let file = Place::of(&in_file, &relay).expect("a place");
        let entry = Place::of(&in_keyring, &relay).expect("a place");
        assert_eq!((file.elsewhere(), entry.elsewhere()), (entry.clone(), file.clone()));
        assert_eq!(entry.name(), file.name().map(|path| format!("keyring:{path}")));
        file.prepare().expect("prepared");
        let kept = r#"{"relay":"https://relay.example/","access_token":"a","refresh_token":"r","refresh_key":"k"}"#;
        let kept = Secret::from(kept);
        crate::secret_file::write_secret(&file.file, "log-in", &kept).expect("written");
        assert!(of(&in_file, &relay).expect("read").is_some());
        if entry.prepare().is_err() {
            eprintln!("skipped: no keyring is to be had here");
            return;
        }
        assert_eq!(entry.read(), Ok(None));
        let refused = credential_for(&in_keyring, &relay).expect_err("not there");
        assert!(refused.message.contains("--secrets file uses it"), "{refused}");
        file.remove().expect("removed");
        file.remove().expect("nothing to remove");
        let refused = credential_for(&in_keyring, &relay).expect_err("nowhere");
        assert!(!refused.message.contains("--secrets"), "{refused}");
    }

    #[test]
    fn with_nowhere_to_name_it_after_a_keyring_that_was_asked_for_is_an_error() {
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        assert_eq!(of(&Sources::default(), &relay), Ok(None));
        let sources = Sources { secrets: Secrets::Keyring, ..Sources::default() };
        assert!(of(&sources, &relay).is_err());
    }
}
