//! What an agent writes to stderr, on its way to viewers as it comes (W-10).
//!
//! The first line goes out at once. What follows soon after is collected, and goes out together after
//! a pause that grows while the agent keeps writing: however much an agent writes there, it takes up
//! only a small part of the log. Lines are cut, and those that do not fit are counted.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::base::limits::{
    STDERR_LINE_BYTES, STDERR_LONGEST_PAUSE, STDERR_PAUSE, STDERR_REPORT_BYTES,
};
use crate::base::time::Instant;

/// What goes out at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Whole lines, without the last line break.
    pub(super) text: String,
    /// How many lines were left out after them.
    pub(super) dropped: u64,
}

/// What has not gone out yet, and when it may.
#[derive(Debug)]
pub(super) struct Stderr {
    collected: Report,
    line: Vec<u8>,
    /// When it began, if it has.
    line_since: Option<Instant>,
    /// The line is longer than what is kept of it.
    is_cut: bool,
    pause: Duration,
    /// Nothing goes out before this.
    next: Option<Instant>,
}

impl Stderr {
    pub(super) const fn new() -> Self {
        Self {
            collected: Report { text: String::new(), dropped: 0 },
            line: Vec::new(),
            line_since: None,
            is_cut: false,
            pause: STDERR_PAUSE,
            next: None,
        }
    }

    /// The agent has written this.
    pub(super) fn push(&mut self, now: Instant, data: &[u8]) {
        let mut lines = data.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        for line in lines {
            self.extend(line);
            self.end_line();
        }
        if !last.is_empty() {
            self.extend(last);
            self.line_since.get_or_insert(now);
        }
    }

    fn extend(&mut self, more: &[u8]) {
        let room = STDERR_LINE_BYTES.saturating_sub(self.line.len());
        self.is_cut |= more.len() > room;
        self.line.extend_from_slice(more.get(..more.len().min(room)).unwrap_or_default());
    }

    fn end_line(&mut self) {
        let is_cut = core::mem::take(&mut self.is_cut);
        let line = core::mem::take(&mut self.line);
        self.line_since = None;
        let line = String::from_utf8_lossy(&line);
        // A character that was cut in half shows as one that is replaced.
        let line = if is_cut { line.trim_end_matches('\u{fffd}') } else { line.trim_end() };
        if line.is_empty() {
            return;
        }
        let Report { text, dropped } = &mut self.collected;
        if *dropped > 0 || text.len() + line.len() > STDERR_REPORT_BYTES {
            *dropped = dropped.saturating_add(1);
            return;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
        if is_cut {
            text.push('…');
        }
    }

    /// When there is something to go out.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let text = self.next.filter(|_| !self.collected.text.is_empty());
        let line = self.line_since.map(|since| since + STDERR_PAUSE);
        let line = line.map(|at| self.next.map_or(at, |next| at.max(next)));
        text.into_iter().chain(line).min()
    }

    /// What may go out now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Report> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        if self.line_since.is_some_and(|since| since + STDERR_PAUSE <= now) {
            // It has no end, and has had its time.
            self.end_line();
        }
        if self.collected.text.is_empty() {
            return None;
        }
        if self.next.is_none_or(|next| next + self.pause <= now) {
            self.pause = STDERR_PAUSE;
        }
        self.next = Some(now + self.pause);
        self.pause = (self.pause * 2).min(STDERR_LONGEST_PAUSE);
        Some(core::mem::take(&mut self.collected))
    }

    /// The agent has ended: whatever is left.
    pub(super) fn finish(&mut self) -> Option<Report> {
        self.end_line();
        Some(core::mem::take(&mut self.collected)).filter(|report| *report != Report::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn report(text: &str, dropped: u64) -> Option<Report> {
        Some(Report { text: text.to_string(), dropped })
    }

    #[test]
    fn the_first_line_goes_out_at_once_and_the_next_ones_together() {
        let mut stderr = Stderr::new();
        stderr.push(at(0), b"one\n");
        assert_eq!(stderr.take(at(10)), report("one", 0));
        assert_eq!(stderr.deadline(), None, "there is nothing to wait for");
        stderr.push(at(0), b"two\nthr");
        stderr.push(at(0), b"ee\n\n");
        assert_eq!(stderr.take(at(10)), None);
        assert_eq!(stderr.deadline(), Some(at(11)));
        assert_eq!(stderr.take(at(11)), report("two\nthree", 0));
    }

    #[test]
    fn a_line_without_an_end_goes_out_after_a_pause() {
        let mut stderr = Stderr::new();
        stderr.push(at(0), b"Password: ");
        assert_eq!(stderr.take(at(0)), None);
        assert_eq!(stderr.deadline(), Some(at(1)));
        assert_eq!(stderr.take(at(1)), report("Password:", 0));
    }

    #[test]
    fn pauses_grow_while_it_goes_on_and_are_short_again_after_a_quiet_one() {
        let mut stderr = Stderr::new();
        let mut now = at(0);
        let mut pauses = Vec::new();
        stderr.push(now, b"x\n");
        for _ in 0..9 {
            assert_eq!(stderr.take(now), report("x", 0));
            stderr.push(now, b"x\n");
            let next = stderr.deadline().expect("a pause");
            pauses.push(next.saturating_since(now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(stderr.take(now), report("x", 0));
        now = now + STDERR_LONGEST_PAUSE * 2;
        assert_eq!(stderr.take(now), None, "nothing came");
        stderr.push(at(0), b"y\n");
        assert_eq!(stderr.take(now), report("y", 0));
        stderr.push(at(0), b"y\n");
        assert_eq!(stderr.deadline(), Some(now + Duration::from_secs(1)));
    }

    #[test]
    fn long_lines_are_cut_and_surplus_ones_counted() {
        let mut stderr = Stderr::new();
        let long = "ä".repeat(STDERR_LINE_BYTES);
        stderr.push(at(0), format!("a{long}\n").as_bytes());
        let cut = stderr.take(at(0)).expect("a line").text;
        assert!(cut.starts_with("aä") && cut.ends_with("ä…"), "{cut}");
        assert!(cut.len() <= STDERR_LINE_BYTES + "…".len());
        for n in 0..10_000 {
            stderr.push(at(0), format!("line {n}\n").as_bytes());
        }
        let Report { text, dropped } = stderr.finish().expect("lines");
        assert!(text.len() <= STDERR_REPORT_BYTES + 1024);
        assert_eq!(text.lines().count() as u64 + dropped, 10_000);
        assert_eq!(stderr.finish(), None);
    }
}
