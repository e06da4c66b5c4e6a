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
use crate::regular_file;

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
        let file = match regular_file::open(self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(error)),
        };
        // From the open file, so that it cannot be swapped in between.
        let metadata = file.metadata().map_err(cannot)?;
        let owner = metadata.uid();
        if !is_trusted(owner) {
            return Err(Error::local(format!(
                "the {what} file {shown} belongs to another user (uid {owner}), who knows the {what} and can change it: make one of your own and replace the {what}"
            )));
        }
        check_directory(directory_of(self.path), what)?;
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
        let directory = directory_of(self.path);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(cannot)?;
        check_directory(directory, what)?;
        let secret = new_secret()?;
        match place(self.path, &secret) {
            Ok(()) => Ok(secret),
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

/// Writes a secret to a new file that only its owner can read.
pub fn write_secret(path: &Path, what: &str, secret: &Secret) -> Result<(), Error> {
    check_directory(directory_of(path), what)?;
    let shown = path.display();
    place(path, secret).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::local(format!(
            "{shown} exists already and is left as it is: remove it, or choose another file"
        )),
        _ => Error::disk(format_args!("cannot write the {what} file {shown}"), &error),
    })
}

/// Makes a file with a secret appear complete, or not at all.
fn place(path: &Path, secret: &Secret) -> io::Result<()> {
    let directory = directory_of(path);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = directory.join(name);
    let written = write_new(&temporary, secret.reveal())
        .and_then(|()| std::fs::hard_link(&temporary, path))
        .and_then(|()| File::open(directory)?.sync_all());
    let removed = std::fs::remove_file(&temporary);
    written.and(removed)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Refuses a directory that others may write to: they may put another file in the place of the secret's.
pub fn check_directory(directory: &Path, what: &str) -> Result<(), Error> {
    let shown = directory.display();
    let metadata = std::fs::metadata(directory)
        .map_err(|error| Error::local(format!("cannot look at {shown}: {error}")))?;
    let is_sticky = metadata.mode() & 0o1000 != 0;
    if metadata.mode() & 0o022 != 0 && !is_sticky {
        return Err(Error::local(format!(
            "the {what} is in {shown}, where others can replace it (mode {:04o}): run chmod go-w {shown}",
            metadata.mode() & 0o7777
        )));
    }
    if !is_trusted(metadata.uid()) {
        return Err(Error::local(format!(
            "the {what} is in {shown}, which belongs to another user (uid {}), who can replace it: keep it in a directory of your own",
            metadata.uid()
        )));
    }
    Ok(())
}

/// This user, or the one that can do anything anyway.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Refuses a file with a private key that others can read. One of the system's may be readable by a
/// group that exists for that.
pub fn check_private_key(path: &Path) -> Result<(), Error> {
    let shown = path.display();
    let metadata = std::fs::metadata(path)
        .map_err(|error| Error::local(format!("cannot read the key {shown}: {error}")))?;
    let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.mode() & others != 0 {
        return Err(Error::local(format!(
            "the key {shown} can be read by others (mode {:04o}): run chmod 600 {shown} and consider replacing the key and its certificate",
            metadata.mode() & 0o7777
        )));
    }
    if !is_trusted(metadata.uid()) {
        return Err(Error::local(format!(
            "the key {shown} belongs to another user (uid {}): make it your own with chown",
            metadata.uid()
        )));
    }
    Ok(())
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Tokens of workers and sessions are signed with it.
    Signing,
    /// Push services know the relay by it.
    Push,
}

impl Key {
    const fn file(self, path: &Path) -> SecretFile<'_> {
        let (what, otherwise) = match self {
            Self::Signing => (
                "signing key",
                "is not a key; restore it from a backup, or remove it, which ends all sessions",
            ),
            Self::Push => (
                "push key",
                "is not a key; restore it from a backup, or remove it: no session ends by that, but every browser has to turn its notifications on again",
            ),
        };
        let check = |text: &str| decode(text).map(|_| Secret::from(text));
        SecretFile { path, what, check, otherwise }
    }
}

/// Reads the key in a file of its own, if there is one.
pub fn read_key(path: &Path, key: Key) -> Result<Option<[u8; BYTES]>, Error> {
    Ok(key.file(path).read()?.and_then(|secret| decode(secret.reveal())))
}

/// Reads the key in a file of its own, or creates it.
pub fn read_or_create_key(path: &Path, key: Key) -> Result<[u8; BYTES], Error> {
    let secret = key.file(path).read_or_create()?;
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
        let key = read_or_create_key(&path, Key::Signing).expect("made");
        assert_eq!(read_or_create_key(&path, Key::Signing), Ok(key));
        assert_eq!(path.metadata().expect("there").mode() & 0o777, 0o600);
        std::fs::write(&path, "no key").expect("written");
        let error = read_or_create_key(&path, Key::Signing).expect_err("no key");
        assert!(error.message.contains("signing key file") && !error.message.contains("no key\n"));
        assert!(error.message.contains("ends all sessions"), "{error}");
        let error = read_or_create_key(&path, Key::Push).expect_err("no key");
        assert!(error.message.contains("push key file"), "{error}");
        assert!(error.message.contains("no session ends"), "{error}");
        let link = home.path().join("a/link");
        std::os::unix::fs::symlink("gone", &link).expect("a link");
        let error = read_or_create_key(&link, Key::Signing).expect_err("it leads nowhere");
        assert!(error.message.contains("a link to gone"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        let error = read_or_create_key(&path, Key::Signing).expect_err("readable");
        assert!(error.message.contains("can be read by others"), "{error}");
    }

    #[test]
    fn a_secret_where_others_can_replace_it_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("shared");
        let path = directory.join("key");
        read_or_create_key(&path, Key::Signing).expect("made");
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        for (bad, is_refused) in [(0o777, true), (0o770, true), (0o1777, false), (0o755, false)] {
            std::fs::set_permissions(&directory, mode(bad)).expect("set");
            let read = read_or_create_key(&path, Key::Signing);
            assert_eq!(read.is_err(), is_refused, "{bad:o}");
            if let Err(error) = read {
                assert!(error.message.contains("chmod go-w"), "{error}");
            }
        }
        std::fs::set_permissions(&directory, mode(0o777)).expect("set");
        std::fs::remove_file(&path).expect("removed");
        read_or_create_key(&path, Key::Signing).expect_err("none is made there either");
    }

    #[test]
    fn a_secret_of_another_user_is_refused() {
        // Only root can give a file away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("key");
        read_or_create_key(&path, Key::Signing).expect("made");
        std::os::unix::fs::chown(&path, Some(12345), None).expect("given away");
        let error = read_or_create_key(&path, Key::Signing).expect_err("another's");
        assert!(error.message.contains("uid 12345"), "{error}");
    }

    #[test]
    fn a_private_key_that_others_can_read_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("key.pem");
        std::fs::write(&path, "a key").expect("written");
        let is_root = rustix::process::geteuid().is_root();
        for (mode, is_fine) in
            [(0o600, true), (0o400, true), (0o640, is_root), (0o644, false), (0o660, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            let checked = check_private_key(&path);
            assert_eq!(checked.is_ok(), is_fine, "{mode:o}");
            if let Err(error) = checked {
                assert!(error.message.contains("chmod 600"), "{error}");
            }
        }
    }

    #[test]
    fn what_an_earlier_try_left_is_no_obstacle() {
        let home = tempfile::tempdir().expect("a directory");
        let left = home.path().join(format!("key.{}.new", std::process::id()));
        std::fs::write(&left, "half").expect("written");
        read_or_create_key(&home.path().join("key"), Key::Signing).expect("made");
        assert!(!left.exists());
    }
}
