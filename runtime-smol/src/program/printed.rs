//! What a program that follows something prints, and that it cannot any more.

use std::io::{ErrorKind, Write as _};

use footbridge_cli::exit::Error;

/// Standard output, for as long as somebody reads it.
#[derive(Debug, Default)]
pub(super) struct Printed {
    end: Option<Result<(), Error>>,
}

impl Printed {
    /// Prints; returns whether more can be printed. A reader that has gone (`| head`) is an end like any
    /// other, a full disk is an error.
    pub(super) fn print(&mut self, text: &str) -> bool {
        if self.end.is_none() && !text.is_empty() {
            let mut stdout = std::io::stdout().lock();
            if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
                self.end = Some(match error.kind() {
                    ErrorKind::BrokenPipe => Ok(()),
                    _ => Err(Error::disk("cannot write to standard output", &error)),
                });
            }
        }
        self.end.is_none()
    }

    /// How it ended.
    pub(super) fn outcome(self) -> Result<(), Error> {
        self.end.unwrap_or(Ok(()))
    }
}
