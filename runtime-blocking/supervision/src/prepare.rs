//! What a process is started with.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::contract::event::{IoError, IoErrorKind};

/// Sets its environment and directory.
pub(crate) fn set(command: &mut Command, spec: &ProcessSpec) {
    for name in &spec.env_remove {
        command.env_remove(name);
    }
    command.envs(spec.env.iter().map(|(name, value)| (name, value.reveal())));
    if let Some(directory) = &spec.directory {
        command.current_dir(directory);
    }
}

/// The standard library would look up a bare name in the `PATH` that the program is given, if it is
/// given one of its own.
pub(crate) fn program_of(spec: &ProcessSpec) -> PathBuf {
    let is_bare = !spec.program.contains('/');
    let mut named = spec.env.iter().map(|(name, _)| name).chain(&spec.env_remove);
    if is_bare && named.any(|name| name == "PATH") {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut places = std::env::split_paths(&path).map(|place| place.join(&spec.program));
        if let Some(found) = places.find(|place| is_executable(place)) {
            return found;
        }
    }
    PathBuf::from(&spec.program)
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// The system only says "no such file", whatever is missing.
pub(crate) fn check_directory(spec: &ProcessSpec) -> Result<(), IoError> {
    let Some(directory) = &spec.directory else { return Ok(()) };
    let error = match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => {
            match rustix::fs::access(directory, rustix::fs::Access::EXEC_OK) {
                Ok(()) => return Ok(()),
                Err(error) => error.into(),
            }
        }
        Ok(_) => io::ErrorKind::NotADirectory.into(),
        Err(error) => error,
    };
    Err(failure(&format!("the directory {directory}"), &error))
}

pub(crate) fn no_pipes(program: &str, error: &io::Error) -> IoError {
    failure(&format!("the pipes of {program}"), error)
}

fn failure(place: &str, error: &io::Error) -> IoError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => IoErrorKind::NotFound,
        io::ErrorKind::PermissionDenied => IoErrorKind::Denied,
        _ => IoErrorKind::Other,
    };
    IoError { kind, detail: format!("{place}: {error}") }
}
