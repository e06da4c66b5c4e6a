//! The sessions that stand-ins on this machine have made for their programs. Each ends with its stand-in;
//! one whose stand-in was killed goes on, and the next stand-in here says so.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use footbridge_cli::token::Sources;
use footbridge_core::base::id::SessionId;
use footbridge_core::wire::url::BaseUrl;
use serde::{Deserialize, Serialize};

/// The directory's name in the state directory.
const DIRECTORY: &str = "stand-ins";
/// How many are read, and so named.
const MOST: usize = 100;
const EXTENSION: &str = "json";

/// A session that was made.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    pub(super) session: String,
    pub(super) relay: String,
}

/// A note of it, which is locked as long as its stand-in runs, and goes with it.
pub(super) struct Note {
    path: PathBuf,
    _locked: File,
}

impl Drop for Note {
    fn drop(&mut self) {
        // What is left names a session that has ended.
        let _ = fs::remove_file(&self.path);
    }
}

fn directory() -> Option<PathBuf> {
    Some(Sources::from_environment(None).state_directory()?.join(DIRECTORY))
}

/// Takes a note; where that is not possible, nobody learns of the session but from its relay.
pub(super) fn note(session: &SessionId, relay: &BaseUrl) -> Option<Note> {
    note_in(&directory()?, session, relay)
}

fn note_in(directory: &Path, session: &SessionId, relay: &BaseUrl) -> Option<Note> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).ok()?;
    let path = directory.join(session.as_str()).with_extension(EXTENSION);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path).ok()?;
    file.try_lock().ok()?;
    let made = Made { session: session.to_string(), relay: relay.to_string() };
    file.write_all(&serde_json::to_vec(&made).ok()?).ok()?;
    Some(Note { path, _locked: file })
}

/// The sessions whose stand-ins were killed. Each is named once.
pub(super) fn left() -> Vec<Made> {
    directory().map(|directory| left_in(&directory)).unwrap_or_default()
}

fn left_in(directory: &Path) -> Vec<Made> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let notes = paths.filter(|path| path.extension().is_some_and(|it| it == EXTENSION));
    notes.take(MOST).filter_map(|path| take(&path)).collect()
}

/// Takes a note away, unless its stand-in runs, or is only just writing it.
fn take(path: &Path) -> Option<Made> {
    File::open(path).ok()?.try_lock().ok()?;
    let json = fs::read(path).ok().filter(|json| !json.is_empty())?;
    fs::remove_file(path).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_named_once_its_stand_in_is_gone_without_having_ended_it() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("notes");
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let session = |name: &str| SessionId::new(name).expect("an id");
        assert_eq!(left_in(&directory), Vec::new());
        let ended = note_in(&directory, &session("session_ended"), &relay).expect("a note");
        let runs = note_in(&directory, &session("session_runs"), &relay).expect("a note");
        let killed = note_in(&directory, &session("session_killed"), &relay).expect("a note");
        drop(ended);
        // Its lock goes with its process, and its file stays.
        let copy = fs::read(&killed.path).expect("text");
        let path = killed.path.clone();
        drop(killed);
        fs::write(&path, copy).expect("written");
        fs::write(directory.join("session_new.json"), "").expect("written");
        fs::write(directory.join("session_bad.json"), "{").expect("written");
        let made = Made { session: "session_killed".to_owned(), relay: relay.to_string() };
        assert_eq!(left_in(&directory), [made]);
        assert_eq!(left_in(&directory), Vec::new(), "once");
        assert!(runs.path.exists());
    }
}
