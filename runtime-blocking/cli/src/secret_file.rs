//! Files that hold one secret each: only their owner can read them, and they appear complete or not
//! at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footbridge_core::base::secret::Secret;

use crate::exit::Error;

/// Random bytes of a new secret.
const BYTES: usize = 32;

/// A file with a secret, or the place for one.
#[derive(Clone, Copy)]
pub(crate) struct SecretFile<'a> {
    pub(crate) path: &'a Path,
    /// What kind of secret, for people.
    pub(crate) what: &'a str,
    /// Accepts text as the secret, if it can be one.
    pub(crate) check: fn(&str) -> Option<Secret>,
    /// What is wrong with text that is not accepted, for people.
    pub(crate) otherwise: &'a str,
}

impl SecretFile<'_> {
    /// The secret, which is created if there is none.
    pub(crate) fn read_or_create(&self) -> Result<Secret, Error> {
        match self.read()? {
            Some(secret) => Ok(secret),
            None => self.create(),
        }
    }

    /// Reads it; `None` if there is no file. One that others can read is refused.
    pub(crate) fn read(&self) -> Result<Option<Secret>, Error> {
        let (what, shown) = (self.what, self.path.display());
        let cannot = |error: io::Error| {
            Error::disk(format_args!("cannot read the {what} file {shown}"), &error)
        };
        let file = match File::open(self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        // From the open file, so that it cannot be swapped in between.
        let metadata = file.metadata().map_err(cannot)?;
        if !metadata.is_file() {
            return Err(Error::local(format!("the {what} file {shown} is not a regular file")));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(Error::local(format!(
                "the {what} file {shown} can be read by others (mode {:04o}): run chmod 600 {shown} and consider replacing the {what}",
                metadata.mode() & 0o7777
            )));
        }
        let mut text = zeroize::Zeroizing::new(String::with_capacity(4096));
        file.take(4096).read_to_string(&mut text).map_err(cannot)?;
        (self.check)(&text).map(Some).ok_or_else(|| {
            Error::local(format!("the content of the {what} file {shown} {}", self.otherwise))
        })
    }

    /// Creates a new secret and its file; if another process was first, its secret is used.
    fn create(&self) -> Result<Secret, Error> {
        let (what, shown) = (self.what, self.path.display());
        let cannot = |error: io::Error| {
            Error::disk(format_args!("cannot write the {what} file {shown}"), &error)
        };
        let directory = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let directory = directory.unwrap_or_else(|| Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(cannot)?;
        let secret = new_secret()?;
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let temporary = directory.join(name);
        let written = write_new(&temporary, secret.reveal())
            .and_then(|()| std::fs::hard_link(&temporary, self.path))
            .and_then(|()| File::open(directory)?.sync_all());
        let removed = std::fs::remove_file(&temporary);
        match written {
            Ok(()) => removed.map(|()| secret).map_err(cannot),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.read()?.ok_or_else(|| {
                    Error::local(format!(
                        "the {what} file {shown} appeared and disappeared again; try again"
                    ))
                })
            }
            Err(error) => Err(cannot(error)),
        }
    }
}

/// Reads the key in a file of its own, or creates it.
pub fn read_or_create_key(path: &Path) -> Result<[u8; BYTES], Error> {
    let file = SecretFile {
        path,
        what: "signing key",
        check: |text| decode(text).map(|_| Secret::from(text)),
        otherwise: "is not a key; restore it from a backup, or remove it, which ends all sessions",
    };
    let secret = file.read_or_create()?;
    decode(secret.reveal()).ok_or_else(|| Error::local("what was just created is not a key"))
}

fn decode(text: &str) -> Option<[u8; BYTES]> {
    URL_SAFE_NO_PAD.decode(text.trim()).ok()?.try_into().ok()
}

fn write_new(path: &Path, secret: &str) -> std::io::Result<()> {
    // One of an earlier process with our id, which did not get to its end.
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(secret.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn new_secret() -> Result<Secret, Error> {
    let mut bytes = zeroize::Zeroizing::new([0; BYTES]);
    crate::random(&mut *bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_kept() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a/b/key");
        let key = read_or_create_key(&path).expect("made");
        assert_eq!(read_or_create_key(&path), Ok(key));
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
        std::fs::write(&path, "no key").expect("written");
        let error = read_or_create_key(&path).expect_err("no key");
        assert!(error.message.contains("signing key file") && !error.message.contains("no key\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        let error = read_or_create_key(&path).expect_err("readable");
        assert!(error.message.contains("can be read by others"), "{error}");
    }

    #[test]
    fn what_an_earlier_try_left_is_no_obstacle() {
        let home = tempfile::tempdir().expect("a directory");
        let left = home.path().join(format!("key.{}.new", std::process::id()));
        std::fs::write(&left, "half").expect("written");
        read_or_create_key(&home.path().join("key")).expect("made");
        assert!(!left.exists());
    }
}
