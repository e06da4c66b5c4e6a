//! Which texts can be run as a command line.

use crate::base::limits::MAX_SHELL_COMMAND_BYTES;

/// Why a message is not a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CommandLineError {
    #[error("There is no command line in this message: write one as text.")]
    Empty,
    #[error(
        "The command line is longer than {MAX_SHELL_COMMAND_BYTES} bytes: put it into a file and run that."
    )]
    TooLong,
    #[error("The command line holds a NUL character, which no command can.")]
    Nul,
}

/// Checks a text as a command line, whether a person wrote it or changed it when asked.
pub(super) fn runnable(text: &str) -> Result<&str, CommandLineError> {
    if text.trim().is_empty() {
        Err(CommandLineError::Empty)
    } else if text.len() > MAX_SHELL_COMMAND_BYTES {
        Err(CommandLineError::TooLong)
    } else if text.contains('\0') {
        Err(CommandLineError::Nul)
    } else {
        Ok(text)
    }
}
