//! The files of log-ins, one for each relay (T-1).

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footbridge_core::auth::{Credential, LogIn};
use footbridge_core::base::secret::Secret;
use footbridge_core::wire::url::BaseUrl;
use sha2::{Digest as _, Sha256};

use crate::exit::Error;
use crate::secret_file::SecretFile;
use crate::token::{Sources, TOKEN_VARIABLE, trusted_device_token};

/// The directory of all of them, in the state directory.
const LOG_INS: &str = "log-ins";
/// As many bytes as a log-in may have.
const PROBE_BYTES: usize = 4096;

/// Where the log-in at a relay is kept, or would be.
pub fn path(sources: &Sources, relay: &BaseUrl) -> Result<PathBuf, Error> {
    let state = sources.state_directory();
    let state = state.ok_or_else(|| {
        Error::usage("nowhere to keep a log-in because HOME is not set: set it".to_owned())
    })?;
    let name = URL_SAFE_NO_PAD.encode(Sha256::digest(relay.to_string()));
    Ok(state.join(LOG_INS).join(name))
}

/// Makes sure that a log-in can be kept there, before anybody is asked for one.
pub fn prepare(path: &Path) -> Result<(), Error> {
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

/// The log-in that is kept there, if any. One that others can read is refused.
pub fn read(path: &Path) -> Result<Option<LogIn>, Error> {
    fn check(text: &str) -> Option<Secret> {
        LogIn::parse(text.as_bytes()).map(|_| Secret::from(text))
    }
    let otherwise = "is no log-in: remove the file, and run footbridge login again";
    let kept = SecretFile { path, what: "log-in", check, otherwise }.read()?;
    Ok(kept.and_then(|kept| LogIn::parse(kept.reveal().as_bytes())))
}

/// The log-in at a relay.
pub fn of(sources: &Sources, relay: &BaseUrl) -> Result<Option<(LogIn, PathBuf)>, Error> {
    let Ok(path) = path(sources, relay) else { return Ok(None) };
    Ok(read(&path)?.map(|log_in| (log_in, path)))
}

/// What a worker registers with: a token that it is given, the log-in at this relay, or the access
/// token of a relay that runs on this machine.
pub fn credential_for(sources: &Sources, relay: &BaseUrl) -> Result<Credential, Error> {
    let is_given =
        sources.variable.as_ref().is_some_and(|value| !value.is_empty()) || sources.file.is_some();
    if !is_given
        && let Some((log_in, path)) = of(sources, relay)?
        && let Some(path) = path.to_str()
    {
        let credential = Credential::from_log_in(log_in, path.to_owned());
        return Ok(credential.on_trusted_device(trusted_device_token()));
    }
    let path = sources.path()?;
    if !is_given && !path.exists() {
        return Err(Error::usage(format!(
            "not logged in at {relay}: run footbridge login {relay}, or set {TOKEN_VARIABLE}, or put the relay's token in {} (mode 0600)",
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
