//! Git's answers.

use alloc::string::{String, ToString};

use crate::contract::event::Event;

/// The result of one command.
pub(super) struct Answer {
    pub(super) is_success: bool,
    pub(super) out: String,
    error: String,
}

impl Answer {
    pub(super) fn of(event: &Event) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        match event {
            Event::Ran { status, stdout, stderr, .. } => {
                Self { is_success: status.is_success(), out: text(stdout), error: text(stderr) }
            }
            Event::Failed { failure, .. } => Self::none(failure.to_string()),
            _ => Self::none(String::new()),
        }
    }

    /// A command that could not be run as it has to be.
    pub(super) const fn failed(reason: String) -> Self {
        Self::none(reason)
    }

    const fn none(error: String) -> Self {
        Self { is_success: false, out: String::new(), error }
    }

    /// Whether another program holds one of git's lock files.
    pub(super) fn has_met_a_lock(&self) -> bool {
        !self.is_success && self.error.contains(".lock'")
    }

    /// The line in which git says what is wrong; the rest is advice.
    pub(super) fn complaint(&self) -> String {
        let line = self
            .error
            .lines()
            .find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        String::from(line.or_else(|| self.error.lines().last()).unwrap_or("git failed"))
    }
}
