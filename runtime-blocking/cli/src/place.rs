//! The directory that a worker serves: who else does, and what this program leaves in it.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use footbridge_core::worker::{SpawnMode, WorkerConfig};
use rustix::process::{Pid, test_kill_process};

use crate::event_log::EventLog;
use crate::value::Level;

/// The file that shows which session runs in a directory (K-1).
pub(crate) const POINTER: &str = "bridge-pointer.json";
/// What the name of a file that is being written ends in, after the id of its process.
const TEMPORARY: &str = ".new";
/// What is written above the patterns.
const COMMENT: &str =
    "# While sessions run here, a Footbridge worker keeps this file (and its next version).";

/// Shows other workers that this directory is taken, for as long as it is kept.
#[derive(Debug)]
pub struct Presence {
    _directory: Option<File>,
}

/// Settles in the directory of a worker that is about to start: warns of another one there, removes
/// what a crash has left, and keeps the pointer out of `git status`.
pub fn settle(log: EventLog, config: &WorkerConfig, is_named: bool) -> Presence {
    let directory = Path::new(&config.directory);
    remove_leftovers(directory, |name| name.starts_with(&format!(".{POINTER}.")));
    if let Some(state) = &config.state_directory {
        remove_leftovers(Path::new(state), |_| true);
    }
    if config.keeps_pointer {
        // Where that is not possible, the pointer shows up; that is all.
        let _ = exclude_pointer(directory);
    }
    let (presence, is_alone) = Presence::announce(directory);
    if !is_alone {
        warn_of_another(log, config, is_named);
    }
    presence
}

fn warn_of_another(log: EventLog, config: &WorkerConfig, is_named: bool) {
    let files = match config.spawn_mode {
        SpawnMode::Worktree { .. } => "",
        SpawnMode::SameDir | SpawnMode::SingleSession => {
            ", and their sessions change the same files"
        }
    };
    let names = match is_named {
        true => String::new(),
        false => format!(
            "; people may see both as {}: give one a name of its own with --name",
            config.machine_name
        ),
    };
    let words = format_args!(
        "another worker on this machine serves {}, too: both take work{files}{names}",
        config.directory
    );
    log.write(Level::Warn, "directory_shared", &[], words);
}

impl Presence {
    /// Says, too, whether this is the only one.
    fn announce(directory: &Path) -> (Self, bool) {
        // A file system without locks cannot tell.
        let Ok(directory) = File::open(directory) else { return (Self { _directory: None }, true) };
        let is_alone = !matches!(directory.try_lock(), Err(fs::TryLockError::WouldBlock));
        // Whoever comes next finds all of them.
        let _ = directory.try_lock_shared();
        (Self { _directory: Some(directory) }, is_alone)
    }
}

/// Removes what a process that is gone was writing: `.NAME.PROCESS.new`.
fn remove_leftovers(directory: &Path, is_ours: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with('.') && is_ours(name)) else {
            continue;
        };
        let process = name.strip_suffix(TEMPORARY).and_then(|name| name.rsplit_once('.'));
        let process = process.and_then(|(_, id)| Pid::from_raw(id.parse().ok()?));
        let is_gone = |process| test_kill_process(process) == Err(rustix::io::Errno::SRCH);
        if process.is_some_and(is_gone) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Adds the pointer to the repository's own `info/exclude`, which is in no commit, if it is not there.
fn exclude_pointer(directory: &Path) -> Option<()> {
    let (top, common) = repository(directory)?;
    let below = escaped(directory.strip_prefix(&top).ok()?.to_str()?)?;
    let below = if below.is_empty() { String::new() } else { format!("/{below}") };
    let pattern = format!("{below}/{POINTER}");
    let file = common.join("info/exclude");
    let before = fs::read(&file).unwrap_or_default();
    let mut lines = before.split(|byte| *byte == b'\n');
    if lines.any(|line| line == pattern.as_bytes()) {
        return Some(());
    }
    fs::create_dir_all(file.parent()?).ok()?;
    let mut exclude = OpenOptions::new().append(true).create(true).open(&file).ok()?;
    let end = if before.is_empty() || before.ends_with(b"\n") { "" } else { "\n" };
    let text = format!("{end}{COMMENT}\n{pattern}\n{below}/.{POINTER}.*{TEMPORARY}\n");
    exclude.write_all(text.as_bytes()).ok()
}

/// The repository that a directory is in: the top of its files, and where git keeps what all its
/// worktrees share.
fn repository(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let top = directory.ancestors().find(|place| place.join(".git").exists())?;
    let mut git = top.join(".git");
    if git.is_file() {
        let text = fs::read_to_string(&git).ok()?;
        git = top.join(text.strip_prefix("gitdir: ")?.trim_end_matches('\n'));
    }
    if let Ok(common) = fs::read_to_string(git.join("commondir")) {
        git = git.join(common.trim_end_matches('\n'));
    }
    git.join("HEAD").is_file().then(|| (top.to_owned(), git))
}

/// A path as a pattern that matches only it; `None` if there is none.
fn escaped(path: &str) -> Option<String> {
    let escape = |c: char| {
        let is_special = matches!(c, '\\' | '*' | '?' | '[');
        is_special.then_some('\\').into_iter().chain([c])
    };
    (!path.contains('\n')).then(|| path.chars().flat_map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_to_a_directory_is_told_of_those_who_are_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let (first, is_alone) = Presence::announce(directory.path());
        assert!(is_alone);
        let (second, is_alone) = Presence::announce(directory.path());
        assert!(!is_alone);
        drop(first);
        let (_third, is_alone) = Presence::announce(directory.path());
        assert!(!is_alone, "the second one is left");
        drop(second);
    }

    #[test]
    fn only_what_processes_that_are_gone_were_writing_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let own = format!(".{POINTER}.{}.new", std::process::id());
        // No process has the largest id.
        let gone = format!(".{POINTER}.{}.new", i32::MAX);
        let others = [".other.2147483647.new", ".bridge-pointer.json.x.new", "bridge-pointer.json"];
        for name in [&own, &gone].into_iter().map(String::as_str).chain(others) {
            fs::write(directory.path().join(name), "").expect("written");
        }
        remove_leftovers(directory.path(), |name| name.starts_with(".bridge-pointer.json."));
        for name in [own.as_str()].into_iter().chain(others) {
            assert!(directory.path().join(name).exists(), "{name}");
        }
        assert!(!directory.path().join(gone).exists());
    }

    #[test]
    fn a_pointer_is_excluded_once_wherever_it_is() {
        let home = tempfile::tempdir().expect("a directory");
        let top = home.path();
        fs::create_dir_all(top.join(".git/info")).expect("made");
        fs::write(top.join(".git/HEAD"), "ref: refs/heads/main\n").expect("written");
        fs::write(top.join(".git/info/exclude"), "*.o").expect("written");
        let below = top.join("a [b]/c");
        fs::create_dir_all(&below).expect("made");
        for place in [&below, top, &below] {
            exclude_pointer(place).expect("excluded");
        }
        let text = fs::read_to_string(top.join(".git/info/exclude")).expect("text");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "*.o",
            "/a \\[b]/c/bridge-pointer.json",
            "/a \\[b]/c/.bridge-pointer.json.*.new",
            "/bridge-pointer.json",
            "/.bridge-pointer.json.*.new",
        ];
        assert_eq!(lines, expected);
        assert_eq!(exclude_pointer(Path::new("/")), None, "no repository");
    }
}
