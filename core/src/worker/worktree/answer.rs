//! Git's answers.

use alloc::string::{String, ToString};

use crate::contract::event::Event;

/// The result of one command.
pub(super) struct Answer {
    pub(super) is_success: bool,
    pub(super) out: String,
    error: String,
    /// The length of the output as it was read.
    out_bytes: usize,
}

impl Answer {
    pub(super) fn of(event: &Event) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_string();
        match event {
            Event::Ran { status, stdout, stderr, .. } => Self {
                is_success: status.is_success(),
                out: text(stdout),
                error: text(stderr),
                out_bytes: stdout.len(),
            },
            Event::Failed { failure, .. } => Self::none(failure.to_string()),
            _ => Self::none(String::new()),
        }
    }

    /// A command that could not be run as it has to be.
    pub(super) const fn failed(reason: String) -> Self {
        Self::none(reason)
    }

    const fn none(error: String) -> Self {
        Self { is_success: false, out: String::new(), error, out_bytes: 0 }
    }

    /// Whether there may have been more output than was read.
    pub(super) const fn is_cut(&self, limit: usize) -> bool {
        self.out_bytes >= limit
    }

    /// Whether another program holds one of git's lock files.
    pub(super) fn has_met_a_lock(&self) -> bool {
        !self.is_success && self.error.contains(".lock'")
    }

    /// Whether there is no directory to run in.
    pub(super) fn says_directory_is_gone(&self) -> bool {
        let has = |words| self.error.contains(words);
        !self.is_success && has("cannot change to") && has("No such file or directory")
    }

    /// Whether a file that the command was to read is not there.
    pub(super) fn says_file_is_missing(&self) -> bool {
        !self.is_success && self.error.contains("No such file or directory")
    }

    /// Whether `HEAD` is on a branch that has no commit yet.
    pub(super) fn says_head_is_unborn(&self) -> bool {
        !self.is_success && self.error.contains("argument 'HEAD'")
    }

    /// Whether there already is a branch of this name.
    pub(super) fn says_branch_exists(&self) -> bool {
        !self.is_success && self.error.contains("already exists")
    }

    /// Whether a bisection is in progress.
    pub(super) fn warns_of_bisecting(&self) -> bool {
        self.error.contains("while bisecting")
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
