//! Where a machine's programs find each other.

use std::path::PathBuf;

use footbridge_cli::exit::Error;
use footbridge_cli::token::Sources;

/// Where things are that do not outlive this machine's next start.
pub(super) fn runtime_directory() -> Result<PathBuf, Error> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(directory) = runtime.filter(|directory| directory.is_absolute()) {
        return Ok(directory.join("footbridge"));
    }
    let state = Sources::from_environment(None).state_directory();
    state.map(|state| state.join("run")).ok_or_else(|| {
        Error::usage("nowhere to keep what is shared while it runs because HOME is not set: set it")
    })
}
