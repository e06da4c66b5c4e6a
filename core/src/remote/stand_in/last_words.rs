//! What the agent has said about its own end, for a program that would have read it from its stderr.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::base::limits::STDERR_TAIL_BYTES;
use crate::wire::session::SessionResult;

/// Of one run of the agent.
#[derive(Debug, Default)]
pub(super) struct LastWords {
    /// The end of what it has written to stderr.
    stderr: String,
    /// How it has ended, if it has.
    over: Option<String>,
}

impl LastWords {
    /// Another run has begun.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// It has written this to stderr.
    pub(super) fn heard(&mut self, text: &str) {
        if !self.stderr.is_empty() {
            self.stderr.push('\n');
        }
        self.stderr.push_str(text);
        self.stderr = tail(&self.stderr).to_owned();
    }

    /// It has ended.
    pub(super) fn over(&mut self, message: &str) {
        self.over = Some(message.to_owned());
    }

    /// Whether it has, and no other run has begun.
    pub(super) const fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// A reason that something was not answered, with the agent's own, if it has ended.
    pub(super) fn with(&self, reason: &str) -> String {
        match &self.over {
            Some(how) => self.said(format!("{reason}: {how}")),
            None => reason.to_owned(),
        }
    }

    /// Why the session has ended.
    pub(super) fn of_session(&self, message: &str) -> String {
        self.said(message.to_owned())
    }

    /// Takes in how the session has ended. Returns what was not heard as it was written.
    pub(super) fn result(&mut self, result: &SessionResult) -> Option<String> {
        let unheard = tail(result.stderr.trim_end());
        let is_new = self.stderr.is_empty() && !unheard.is_empty();
        is_new.then(|| {
            unheard.clone_into(&mut self.stderr);
            self.stderr.clone()
        })
    }

    fn said(&self, mut words: String) -> String {
        if !self.stderr.is_empty() {
            words.push_str("; it said on stderr: ");
            words.push_str(&self.stderr);
        }
        words
    }
}

/// As much of the end as is kept.
fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(STDERR_TAIL_BYTES);
    text.get(text.ceil_char_boundary(from)..).unwrap_or_default()
}
