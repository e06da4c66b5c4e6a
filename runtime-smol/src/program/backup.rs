//! `footbridge backup`: a copy of what a relay keeps.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use footbridge_cli::exit::Error;
use footbridge_cli::{print, regular_file};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};

use super::args::Backup;
use super::data::{self, PUSH_KEY, SIGNING_KEY, TLS, TOKEN, USERS};
use super::users::UNFINISHED;

pub(super) fn run(args: &Backup) -> Result<(), Error> {
    let (directory, sources) = data::places(&args.data, &args.reports)?;
    let Some(directory) = directory else {
        return Err(Error::usage("a relay in memory keeps nothing that could be copied"));
    };
    let target = &args.target;
    if target.exists() {
        let words = format!("{} is there already; name a directory to make", target.display());
        return Err(Error::usage(words));
    }
    if !directory.is_dir() {
        let words = format!(
            "there is nothing to copy: no relay has kept anything in {} (name its directory with --data, as for the relay)",
            directory.display()
        );
        return Err(Error::local(words));
    }
    remove_unfinished(target);
    // It gets its name once it is complete.
    let partial = beside(target);
    let cannot = |error: &io::Error| Error::disk(partial.display(), error);
    DirBuilder::new().mode(0o700).create(&partial).map_err(|error| cannot(&error))?;
    let copied = copy(&directory, &sources.path()?, &partial).and_then(|()| {
        let named = fs::rename(&partial, target).and_then(|()| sync(parent(target)));
        named.map_err(|error| cannot(&error))
    });
    if copied.is_err() {
        // The first error is what counts.
        let _ = fs::remove_dir_all(&partial);
        return copied;
    }
    print(&format!("{}\n", target.display()))
}

fn copy(directory: &Path, token: &Path, target: &Path) -> Result<(), Error> {
    footbridge_store_sqlite::backup(directory, target)
        .map_err(|error| Error::local(error.to_string()))?;
    copy_secret(&directory.join(SIGNING_KEY), &target.join(SIGNING_KEY))?;
    let push_key = directory.join(PUSH_KEY);
    if push_key.exists() {
        copy_secret(&push_key, &target.join(PUSH_KEY))?;
    }
    for older in data::older_keys(directory) {
        copy_secret(&older, &target.join(older.file_name().unwrap_or_default()))?;
    }
    if token.exists() {
        copy_secret(token, &target.join(TOKEN))?;
    }
    // Other people's accounts, and what phones have been told to trust.
    for folder in [USERS, TLS] {
        copy_folder(&directory.join(folder), &target.join(folder))?;
    }
    sync(target).map_err(|error| Error::disk(target.display(), &error))
}

/// All files of a folder, if there is one. Those that are being written are not copied.
fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    let cannot =
        |error: &io::Error| Error::disk(format_args!("cannot copy {}", from.display()), error);
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(cannot(&error)),
    };
    DirBuilder::new().mode(0o700).create(to).map_err(|error| cannot(&error))?;
    for entry in entries {
        let entry = entry.map_err(|error| cannot(&error))?;
        let name = entry.file_name();
        let is_unfinished = Path::new(&name).extension().is_some_and(|end| end == UNFINISHED);
        if !is_unfinished && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            copy_secret(&entry.path(), &to.join(name))?;
        }
    }
    sync(to).map_err(|error| cannot(&error))
}

fn copy_secret(from: &Path, to: &Path) -> Result<(), Error> {
    let copied = || -> io::Result<()> {
        let mut secret = Vec::new();
        regular_file::open(from)?.read_to_end(&mut secret)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        file.write_all(&secret)?;
        file.sync_all()
    };
    copied().map_err(|error| Error::disk(format_args!("cannot copy {}", from.display()), &error))
}

fn beside(target: &Path) -> PathBuf {
    let mut name = prefix(target);
    name.push(format!("{}{UNNAMED}", std::process::id()));
    target.with_file_name(name)
}

/// How the names of copies end that are not complete.
const UNNAMED: &str = ".new";

/// How they begin.
fn prefix(target: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".");
    name
}

/// Removes what killed ones have left beside this target: copies of keys and tokens.
fn remove_unfinished(target: &Path) {
    let Ok(entries) = fs::read_dir(parent(target)) else { return };
    let prefix = prefix(target);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.as_bytes().strip_prefix(prefix.as_bytes());
        let pid = pid.and_then(|rest| rest.strip_suffix(UNNAMED.as_bytes()));
        let pid = pid.and_then(|pid| str::from_utf8(pid).ok()?.parse().ok());
        let Some(pid) = pid.and_then(Pid::from_raw) else { continue };
        let is_dead = pid == getpid() || test_kill_process(pid) == Err(Errno::SRCH);
        if is_dead && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // What cannot be removed is no obstacle to this one.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_one_has_left_is_removed_and_what_another_one_makes_is_not() {
        let home = tempfile::tempdir().expect("a directory");
        let mut gone = std::process::Command::new("true").spawn().expect("it starts");
        gone.wait().expect("it ends");
        let alive = std::os::unix::process::parent_id();
        let make = |name: String| {
            let path = home.path().join(name);
            fs::create_dir(&path).expect("made");
            fs::write(path.join(TOKEN), "a token").expect("written");
            path
        };
        let left = make(format!(".copy.{}.new", gone.id()));
        let others = [
            make(format!(".copy.{alive}.new")),
            make(format!(".other.{}.new", gone.id())),
            make(".copy.x.new".to_owned()),
            make("copy".to_owned()),
        ];
        remove_unfinished(&home.path().join("copy"));
        assert!(!left.exists());
        assert!(others.iter().all(|path| path.join(TOKEN).exists()));
    }
}
