//! Why a program does not run, in more words than the system's: that only says "no such file" of an
//! interpreter, and "permission denied" of a directory on the way.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::contract::event::{IoError, IoErrorKind};
use rustix::fs::{Access, access};

/// How much of a program is read: the system looks at no more of a script's first line.
const HEAD_BYTES: u64 = 256;
/// How much of a program's beginning names its loader.
const LOADER_BYTES: u64 = 4 << 10;
/// What every binary begins with.
const BINARY: &[u8] = b"\x7fELF";
/// Where a binary says for which kind of machine it is.
const MACHINE: std::ops::Range<usize> = 18..20;
/// Kinds that run the programs of an older one: x86-64 and aarch64.
const ALSO_RUN: [([u8; 2], [u8; 2]); 2] = [([62, 0], [3, 0]), ([183, 0], [40, 0])];

/// What cannot run is found out before it is tried: the system's libraries would pass such a file to
/// a shell.
pub(crate) fn check(spec: &ProcessSpec) -> Result<(), IoError> {
    let is_tried = |path: &PathBuf| access(path.as_path(), Access::EXEC_OK).is_ok();
    let Some(path) = place_of(spec).filter(is_tried) else { return Ok(()) };
    let why = match head(&path, HEAD_BYTES) {
        Ok(head) if head.is_empty() && is_file(&path) => "it is empty",
        Ok(head) if is_of_another_machine(&head) => "it is for another kind of machine",
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(IoError { kind: IoErrorKind::Other, detail: sentence(spec, &path, why) })
}

/// Why a program cannot be started, if its file shows that.
pub(crate) fn why_not(spec: &ProcessSpec) -> Option<IoError> {
    let error = match place_of(spec).map(|path| (fs::metadata(&path), path)) {
        None => io::ErrorKind::NotFound.into(),
        Some((Err(error), _)) => error,
        Some((Ok(found), path))
            if found.is_file() && access(path.as_path(), Access::EXEC_OK).is_ok() =>
        {
            return None;
        }
        Some(_) => io::ErrorKind::PermissionDenied.into(),
    };
    Some(not_started(spec, &error))
}

/// The system refuses to start a program.
pub(crate) fn not_started(spec: &ProcessSpec, error: &io::Error) -> IoError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => IoErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => IoErrorKind::Denied,
        _ => IoErrorKind::Other,
    };
    let Some(path) = place_of(spec) else {
        let detail = format!("the program {}: no directory in PATH has it", spec.program);
        return IoError { kind, detail };
    };
    let why = match kind {
        IoErrorKind::NotFound => missing(&path),
        IoErrorKind::Denied => denied(&path),
        _ => None,
    };
    // What is there is not "not found".
    let is_there = fs::symlink_metadata(&path).is_ok();
    let kind = if kind == IoErrorKind::NotFound && is_there { IoErrorKind::Other } else { kind };
    let why = why.unwrap_or_else(|| error.to_string());
    IoError { kind, detail: sentence(spec, &path, &why) }
}

fn sentence(spec: &ProcessSpec, path: &Path, why: &str) -> String {
    match Path::new(&spec.program) == path {
        true => format!("the program {}: {why}", spec.program),
        false => format!("the program {} ({}): {why}", spec.program, path.display()),
    }
}

/// The file that a program's name stands for, whether or not it can be run.
fn place_of(spec: &ProcessSpec) -> Option<PathBuf> {
    if spec.program.contains('/') {
        let directory = spec.directory.as_deref().unwrap_or_default();
        return Some(Path::new(directory).join(&spec.program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<_> = std::env::split_paths(&path).map(|at| at.join(&spec.program)).collect();
    let runs =
        places.iter().find(|at| is_file(at) && access(at.as_path(), Access::EXEC_OK).is_ok());
    let is_there = |at: &&PathBuf| fs::symlink_metadata(at).is_ok();
    runs.or_else(|| places.iter().find(is_there)).cloned()
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// Its beginning. A pipe in its place is not waited for.
fn head(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !is_file(path) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut head = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut head)?;
    Ok(head)
}

fn is_of_another_machine(head: &[u8]) -> bool {
    let Some(machine) = machine_of(head) else { return false };
    let own = head_of_own().and_then(|own| machine_of(&own));
    own.is_some_and(|own| own != machine && !ALSO_RUN.contains(&(own, machine))) && !has_emulators()
}

fn machine_of(head: &[u8]) -> Option<[u8; 2]> {
    head.strip_prefix(BINARY)?;
    head.get(MACHINE)?.try_into().ok()
}

fn head_of_own() -> Option<Vec<u8>> {
    head(&std::env::current_exe().ok()?, HEAD_BYTES).ok()
}

/// Whether programs for other machines may be run by an emulator here.
fn has_emulators() -> bool {
    let Ok(entries) = fs::read_dir("/proc/sys/fs/binfmt_misc") else { return false };
    entries
        .flatten()
        .any(|entry| !matches!(entry.file_name().to_str(), Some("register" | "status")))
}

/// Something that it needs is missing, if not the program itself.
fn missing(path: &Path) -> Option<String> {
    if let Ok(target) = fs::read_link(path)
        && fs::metadata(path).is_err()
    {
        return Some(format!("it is a link to {}, which is not there", target.display()));
    }
    let head = head(path, LOADER_BYTES).ok()?;
    match interpreter(&head) {
        Some(Interpreter::Script(name)) if name.ends_with('\r') => Some(format!(
            "its lines end as in Windows, so that it asks for an interpreter called {name:?}"
        )),
        Some(Interpreter::Script(name)) => {
            Some(format!("it is there, but its first line asks for {name}, which is not"))
        }
        Some(Interpreter::Loader(name)) => {
            Some(format!("it is there, but it was built for a system with {name}, which is not"))
        }
        None => None,
    }
}

enum Interpreter {
    Script(String),
    Loader(String),
}

/// What has to run it.
fn interpreter(head: &[u8]) -> Option<Interpreter> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(rest) = head.strip_prefix(b"#!") {
        let line = rest.split(|byte| *byte == b'\n').next()?;
        let line = line.trim_ascii_start();
        let name = line.split(|byte| *byte == b' ' || *byte == b'\t').next()?;
        return Some(Interpreter::Script(text(name)));
    }
    head.strip_prefix(BINARY)?;
    let names = head.split(|byte| *byte == 0);
    let loader = names
        .into_iter()
        .find(|name| name.starts_with(b"/") && name.windows(3).any(|part| part == b"/ld"))?;
    Some(Interpreter::Loader(text(loader)))
}

/// What exactly may not be read, searched or run.
fn denied(path: &Path) -> Option<String> {
    let above: Vec<_> = path.ancestors().skip(1).filter(|at| !at.as_os_str().is_empty()).collect();
    let closed = above.iter().rev().find(|at| access(**at, Access::EXEC_OK).is_err());
    if let Some(closed) = closed {
        return Some(format!("the directory {} may not be searched", closed.display()));
    }
    let found = fs::metadata(path).ok()?;
    if found.is_dir() {
        return Some(String::from("it is a directory, not a program"));
    }
    if found.permissions().mode() & 0o111 == 0 {
        let what = format!("it is not marked as executable: chmod +x {}", path.display());
        return Some(what);
    }
    if access(path, Access::EXEC_OK).is_err() {
        return Some(String::from(
            "this user may not run it, or its file system is mounted with noexec",
        ));
    }
    match interpreter(&head(path, LOADER_BYTES).ok()?)? {
        Interpreter::Script(name) | Interpreter::Loader(name) => {
            Some(format!("it asks for {name}, which may not be run"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Why a program with this content and mode does not run.
    fn why(content: &[u8], mode: u32) -> String {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("agent");
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        shown(&path)
    }

    fn shown(path: &Path) -> String {
        let spec = spec(path.to_str().expect("text"));
        if let Err(failure) = check(&spec) {
            return failure.to_string();
        }
        match std::process::Command::new(path).spawn() {
            Ok(mut child) => {
                child.wait().expect("a child");
                String::from("it runs")
            }
            Err(error) => not_started(&spec, &error).to_string(),
        }
    }

    fn spec(program: &str) -> ProcessSpec {
        ProcessSpec {
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            directory: None,
        }
    }

    #[test]
    fn what_is_really_missing_is_named() {
        let loader: Vec<u8> =
            [&head_of_own().expect("it")[..64], b"\0/lib/ld-none.so.1\0"].concat();
        let mut foreign = loader.clone();
        foreign[MACHINE].copy_from_slice(&[0xf3, 0x7f]);
        let cases: [(&[u8], u32, &str); 7] = [
            (b"#!/bin/sh\n", 0o755, "it runs"),
            (b"", 0o755, "it is empty"),
            (b"#!/no/such/sh -e\n", 0o755, "asks for /no/such/sh, which is not"),
            (b"#! /bin/sh\r\n", 0o755, "lines end as in Windows"),
            (b"#!/bin/sh\n", 0o644, "not marked as executable: chmod +x /"),
            (b"#!/etc\n", 0o755, "it asks for /etc, which may not be run"),
            (&foreign, 0o755, "for another kind of machine"),
        ];
        for (content, mode, words) in cases {
            // An emulator would be asked.
            let is_known = !has_emulators() || content != foreign;
            let why = why(content, mode);
            assert!(why.contains(words) || !is_known, "{why} instead of {words}");
            assert!(!why.contains("not found"), "{why}");
        }
        assert!(
            matches!(interpreter(&loader), Some(Interpreter::Loader(name)) if name == "/lib/ld-none.so.1")
        );
    }

    #[test]
    fn links_directories_and_names_are_told_apart() {
        let home = tempfile::tempdir().expect("a directory");
        let at = |name: &str| home.path().join(name);
        symlink("/no/such/agent", at("dangling")).expect("linked");
        fs::create_dir(at("directory")).expect("made");
        let cases = [
            (at("dangling"), "a link to /no/such/agent, which is not there"),
            (at("directory"), "it is a directory"),
            (at("none"), "not found"),
            (PathBuf::from("no-such-agent-anywhere"), "no directory in PATH has it"),
        ];
        for (path, words) in cases {
            let why = shown(&path);
            assert!(why.contains(words), "{why} instead of {words}");
        }
    }
}
