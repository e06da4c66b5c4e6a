//! What waits until it may be passed on, in order, and what is kept of what was (M-5, I-2).
//!
//! ```text
//!                session          history given         relay behind
//!   NoSession ───────────▶ Flushing ───────────▶ Open ⇄ Paused
//!       ▲                                          │
//!       └──────────── the session is gone ─────────┘
//! ```

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::base::limits::{BRIDGE_HISTORY_BYTES, BRIDGE_MOST_WAITING_BYTES, BRIDGE_WAITING_BYTES};
use crate::base::text::Text;
use crate::wire::message::{Head, Kind};

/// Where lines of the program stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    NoSession,
    Flushing,
    Open,
    Paused,
}

/// Whether a line was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Taken,
    TooMuch,
}

#[derive(Debug)]
pub(super) struct FlushGate {
    stage: Stage,
    /// The program gives its history later.
    awaits_history: bool,
    waiting: VecDeque<Text>,
    waiting_bytes: usize,
    /// What has passed, for a session that has to begin again.
    passed: VecDeque<Text>,
    passed_bytes: usize,
    dropped: u64,
    is_behind: bool,
}

impl FlushGate {
    pub(super) const fn new(awaits_history: bool) -> Self {
        Self {
            stage: Stage::NoSession,
            awaits_history,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            passed: VecDeque::new(),
            passed_bytes: 0,
            dropped: 0,
            is_behind: false,
        }
    }

    /// Whether nothing waits for the history any more.
    pub(super) const fn is_flushed(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Paused)
    }

    /// The program says something.
    pub(super) fn push(&mut self, line: Text) -> Admission {
        if self.waiting_bytes + line.len() > BRIDGE_MOST_WAITING_BYTES {
            return Admission::TooMuch;
        }
        self.waiting_bytes += line.len();
        self.waiting.push_back(line);
        Admission::Taken
    }

    /// There is a session, which has seen nothing of this conversation or all of it.
    pub(super) fn open(&mut self, is_new: bool) {
        if is_new {
            // What an earlier session was told comes before what waits.
            while let Some(line) = self.passed.pop_back() {
                self.passed_bytes -= line.len();
                if is_said(&line) {
                    self.waiting_bytes += line.len();
                    self.waiting.push_front(line);
                }
            }
        } else {
            self.awaits_history = false;
        }
        self.stage = if self.awaits_history { Stage::Flushing } else { Stage::Open };
    }

    /// What was said before comes first. Returns whether it was asked for.
    pub(super) fn history(&mut self, lines: Vec<Text>) -> bool {
        if !core::mem::replace(&mut self.awaits_history, false) {
            return false;
        }
        for line in lines.into_iter().rev() {
            self.waiting_bytes += line.len();
            self.waiting.push_front(line);
        }
        if self.stage == Stage::Flushing {
            self.stage = Stage::Open;
        }
        true
    }

    /// What was said so far, also what waits, is not for the next session.
    pub(super) fn forget(&mut self) {
        let lines = self.passed.iter().chain(&self.waiting).filter(|line| is_said(line));
        self.dropped += u64::try_from(lines.count()).unwrap_or_default();
        (self.passed_bytes, self.waiting_bytes) = (0, 0);
        self.passed.clear();
        self.waiting.clear();
    }

    /// The session is gone.
    pub(super) const fn close(&mut self) {
        self.stage = Stage::NoSession;
    }

    /// The relay is behind, or no longer.
    pub(super) fn pause(&mut self, is_paused: bool) {
        self.stage = match (self.stage, is_paused) {
            (Stage::Open, true) => Stage::Paused,
            (Stage::Paused, false) => Stage::Open,
            (stage, _) => stage,
        };
    }

    /// The next line that may pass.
    pub(super) fn next(&mut self) -> Option<Text> {
        if self.stage != Stage::Open {
            return None;
        }
        let line = self.waiting.pop_front()?;
        self.waiting_bytes -= line.len();
        self.passed_bytes += line.len();
        self.passed.push_back(line.clone());
        while self.passed_bytes > BRIDGE_HISTORY_BYTES
            && let Some(oldest) = self.passed.pop_front()
        {
            self.passed_bytes -= oldest.len();
            self.dropped += u64::from(is_said(&oldest));
        }
        Some(line)
    }

    /// How many lines could not be kept.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether the program is to pause, if that has changed.
    pub(super) fn behind(&mut self) -> Option<bool> {
        let is_behind = match self.is_behind {
            true => self.waiting_bytes > BRIDGE_WAITING_BYTES / 2,
            false => self.waiting_bytes > BRIDGE_WAITING_BYTES,
        };
        (core::mem::replace(&mut self.is_behind, is_behind) != is_behind).then_some(is_behind)
    }

    /// Nothing more is passed on (B-4).
    pub(super) fn clear(&mut self) {
        self.stage = Stage::NoSession;
        self.waiting.clear();
        self.waiting_bytes = 0;
    }
}

/// Whether it is part of the conversation: questions, requests and their answers are between a session
/// and its viewers, and mean nothing in another one.
fn is_said(line: &Text) -> bool {
    Head::parse(line).is_ok_and(|head| matches!(head.kind(), Kind::User | Kind::Other))
}
