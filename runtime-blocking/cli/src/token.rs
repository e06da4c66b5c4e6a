//! The access token, and where it comes from (T-1, T-5).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use footbridge_core::base::secret::Secret;

use crate::args::LogArgs;
use crate::exit::Error;
use crate::secret_file::SecretFile;
use crate::value::Secrets;

/// The variable that takes precedence over any file. No agent or command inherits it.
pub const TOKEN_VARIABLE: &str = "FOOTBRIDGE_TOKEN";

/// The token in a file of its own; `None` if there is none.
pub fn read_token(path: &Path) -> Result<Option<Secret>, Error> {
    file(path).read()
}

/// Makes a token, in a file of its own that only its owner can read.
pub fn make_token(path: &Path) -> Result<Secret, Error> {
    file(path).read_or_create()
}

/// What shows that this is a trusted device, and takes precedence over what is kept (D-2).
pub const TRUST_VARIABLES: [&str; 2] =
    ["FOOTBRIDGE_TRUSTED_DEVICE_TOKEN", "CLAUDE_TRUSTED_DEVICE_TOKEN"];

/// What the environment says of that; an empty value says nothing.
pub fn trusted_device_token() -> Option<Secret> {
    let given = TRUST_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    let mut given = given.map(|value| Secret::from(value.trim()));
    given.find(|token| !token.reveal().is_empty())
}

/// Length limits: a token is sent in a header and as a WebSocket subprotocol.
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 16..=512;

/// Where a token may come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The value of [`TOKEN_VARIABLE`].
    pub variable: Option<OsString>,
    /// `--token-file`.
    pub file: Option<PathBuf>,
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<OsString>,
    /// `$HOME`.
    pub home: Option<OsString>,
    /// Where log-ins are kept.
    pub secrets: Secrets,
}

impl Sources {
    /// From this process's environment.
    pub fn from_environment(file: Option<PathBuf>) -> Self {
        Self {
            variable: std::env::var_os(TOKEN_VARIABLE),
            file,
            state_home: std::env::var_os("XDG_STATE_HOME"),
            home: std::env::var_os("HOME"),
            secrets: Secrets::default(),
        }
    }

    /// The same, with what was set.
    pub fn of(reports: &LogArgs) -> Self {
        Self { secrets: reports.secrets, ..Self::from_environment(reports.token_file.clone()) }
    }

    /// The token, for a client: there must be one. Also the file it came from, where a newer one
    /// may be found later.
    pub fn read(&self) -> Result<(Secret, Option<PathBuf>), Error> {
        if let Some(token) = self.variable()? {
            return Ok((token, None));
        }
        let path = self.path()?;
        let token = file(&path).read()?.ok_or_else(|| {
            Error::usage(format!(
                "no access token: set {TOKEN_VARIABLE}, or put the relay's token in {} (mode 0600)",
                path.display()
            ))
        })?;
        Ok((token, Some(path)))
    }

    /// The token, for a relay, which creates and keeps one the first time; and the file that it is
    /// kept in.
    pub fn read_or_create(&self) -> Result<(Secret, Option<PathBuf>), Error> {
        if let Some(token) = self.variable()? {
            return Ok((token, None));
        }
        let path = self.path()?;
        Ok((file(&path).read_or_create()?, Some(path)))
    }

    /// The directory for everything the program keeps; `None` if there is no place for it.
    pub fn state_directory(&self) -> Option<PathBuf> {
        // The XDG base directory specification says to ignore a relative one.
        let absolute = |dir: &Option<OsString>| {
            dir.as_ref().map(PathBuf::from).filter(|dir| dir.is_absolute())
        };
        let state = absolute(&self.state_home)
            .or_else(|| absolute(&self.home).map(|home| home.join(".local/state")));
        state.map(|state| state.join("footbridge"))
    }

    fn variable(&self) -> Result<Option<Secret>, Error> {
        let Some(value) = self.variable.as_ref().filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let token = value.to_str().and_then(check);
        let wrong = || Error::usage(format!("the value of {TOKEN_VARIABLE} {NO_TOKEN}"));
        token.map(Some).ok_or_else(wrong)
    }

    /// The file that stores it, or would.
    pub fn path(&self) -> Result<PathBuf, Error> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let state = self.state_directory();
        state.map(|state| state.join("token")).ok_or_else(|| {
            Error::usage(format!(
                "nowhere to keep the access token because HOME is not set: set {TOKEN_VARIABLE}, or name a file with --token-file"
            ))
        })
    }
}

const fn file(path: &Path) -> SecretFile<'_> {
    SecretFile { path, what: "token", check, otherwise: NO_TOKEN }
}

const NO_TOKEN: &str =
    "is not an access token: it must be 16 to 512 characters from A-Z, a-z, 0-9, - and _";

/// Accepts text as a token if it can be one: it must be safe as a WebSocket subprotocol.
fn check(text: &str) -> Option<Secret> {
    let text = text.trim();
    let is_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (TOKEN_CHARS.contains(&text.len()) && text.bytes().all(is_char)).then(|| Secret::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitKind;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn sources(home: &Path) -> Sources {
        Sources { home: Some(home.into()), ..Sources::default() }
    }

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
    }

    #[test]
    fn a_relay_creates_a_token_once_and_only_its_owner_can_read_it() {
        let home = tempfile::tempdir().expect("a directory");
        let sources = sources(home.path());
        assert_eq!(sources.read().expect_err("none yet").why, ExitKind::Usage);
        let made = sources.read_or_create().expect("made");
        assert_eq!(made.0.reveal().len(), 43);
        assert_eq!(sources.read_or_create(), Ok(made.clone()));
        assert_eq!(sources.read(), Ok(made));
        let directory = home.path().join(".local/state/footbridge");
        let mode = |path: &Path| path.metadata().expect("there").mode() & 0o777;
        assert_eq!((mode(&directory), mode(&directory.join("token"))), (0o700, 0o600));
        let names: Vec<_> = std::fs::read_dir(&directory).expect("there").collect();
        assert_eq!(names.len(), 1, "no temporary file is left");
    }

    #[test]
    fn the_variable_overrides_the_option_which_overrides_the_state_directory() {
        let home = tempfile::tempdir().expect("a directory");
        let path = |name: &str| home.path().join(name);
        std::fs::create_dir_all(path("state/footbridge")).expect("made");
        write(&path("state/footbridge/token"), "from-the-state-directory\n", 0o600);
        write(&path("option"), "from-the-option-file", 0o600);
        let mut sources = sources(home.path());
        sources.state_home = Some(path("state").into());
        let read = |sources: &Sources| sources.read().expect("a token").0.reveal().to_owned();
        assert_eq!(read(&sources), "from-the-state-directory");
        sources.file = Some(path("option"));
        assert_eq!(read(&sources), "from-the-option-file");
        sources.variable = Some("from-the-environment".into());
        assert_eq!(read(&sources), "from-the-environment");
        sources.variable = Some("".into());
        assert_eq!(read(&sources), "from-the-option-file");
    }

    #[test]
    fn an_unsafe_file_or_one_without_a_token_is_a_clear_error() {
        let home = tempfile::tempdir().expect("a directory");
        let file = home.path().join("token");
        let sources = Sources { file: Some(file.clone()), ..Sources::default() };
        let cases = [
            ("a-good-token-in-a-file", 0o640, "can be read by others (mode 0640): run chmod 600"),
            ("a-good-token-in-a-file", 0o604, "can be read by others (mode 0604)"),
            ("short", 0o600, "is not an access token"),
            ("a token with spaces in it", 0o600, "is not an access token"),
            ("", 0o600, "is not an access token"),
        ];
        for (text, mode, expected) in cases {
            write(&file, text, mode);
            for result in [sources.read(), sources.read_or_create()] {
                let error = result.expect_err(text);
                assert_eq!(error.why, ExitKind::Local);
                assert!(error.message.contains(expected), "{error}");
                assert!(error.message.contains(&*file.to_string_lossy()), "{error}");
                assert!(text.is_empty() || !error.message.contains(text), "no secret: {error}");
            }
        }
        let sources = Sources { file: Some(home.path().into()), ..Sources::default() };
        assert!(sources.read().expect_err("a directory").message.contains("regular file"));
    }

    #[test]
    fn with_no_place_to_keep_it_the_error_says_what_to_set() {
        let error = Sources::default().read_or_create().expect_err("no place");
        assert!(error.message.contains("FOOTBRIDGE_TOKEN") && error.why == ExitKind::Usage);
        let sources = Sources { variable: Some("p w".into()), ..Sources::default() };
        let error = sources.read().expect_err("no token");
        assert!(!error.message.contains("p w"), "{error}");
    }
}
