//! `footbridge backup`: a copy of what a relay keeps.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use footbridge_cli::exit::Error;
use footbridge_cli::print;

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
        let secret = fs::read(from)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        file.write_all(&secret)?;
        file.sync_all()
    };
    copied().map_err(|error| Error::disk(format_args!("cannot copy {}", from.display()), &error))
}

fn beside(target: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    target.with_file_name(name)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
