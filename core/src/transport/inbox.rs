//! The relay's lines, as far as they have come here; and which of them it gives again after it was set
//! back to an earlier state, such as a backup.
//!
//! A relay that was set back counts on from an earlier number. It knows no more of the later lines, and
//! gives their numbers to others. So a line is known by its number *and* by what is in it: what comes
//! again is skipped for as long as it is the same as before, and with the first that is not, all others
//! are new.

use alloc::collections::VecDeque;

use crate::base::limits::KNOWN_LINES;
use crate::base::text::Text;
use crate::wire::last_line::LastLine;

/// How far the relay's lines have come here.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The last one that has arrived, on any connection.
    received: u64,
    /// The last one that is done with: in the agent's stdin, or not meant for it.
    delivered: u64,
    /// The marks of the last lines up to `received`, oldest first.
    marks: VecDeque<u64>,
    /// What it had before the relay was set back, until a line comes that it had not.
    before: Option<Before>,
    /// What the relay no longer gives is done with, whatever waits here.
    floor: u64,
}

#[derive(Debug)]
struct Before {
    received: u64,
    marks: VecDeque<u64>,
}

/// The relay was set back so far that nobody can say any more which of its lines are new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CannotTell;

/// The mark of a line, of those up to `last`.
fn mark_at(marks: &VecDeque<u64>, last: u64, number: u64) -> Option<u64> {
    let back = usize::try_from(last.checked_sub(number)?).ok()?;
    marks.get(marks.len().checked_sub(back + 1)?).copied()
}

impl Inbox {
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The last line that is done with, as the relay can look it up.
    pub(crate) fn last_line(&self) -> Option<LastLine> {
        let number = self.delivered;
        mark_at(&self.marks, self.received, number).map(|mark| LastLine { number, mark })
    }

    /// A line has arrived. Returns whether it is new.
    pub(crate) fn arrived(&mut self, number: u64, line: &Text) -> bool {
        if number <= self.received {
            return false;
        }
        self.received = number;
        let mark = LastLine::mark_of(line.as_bytes());
        self.marks.push_back(mark);
        if self.marks.len() > KNOWN_LINES {
            self.marks.pop_front();
        }
        let known = self.before.as_ref();
        let known = known.and_then(|before| mark_at(&before.marks, before.received, number));
        if known == Some(mark) {
            return false;
        }
        self.before = None;
        true
    }

    /// The relay no longer holds its lines up to `from`. Returns how many of them have not arrived.
    ///
    /// # Errors
    ///
    /// After it was set back: it gives lines again that are not known here any more.
    pub(crate) fn resume(&mut self, from: u64) -> Result<u64, CannotTell> {
        let mut had = self.received;
        if let Some(before) = &self.before {
            let known = u64::try_from(before.marks.len()).unwrap_or(u64::MAX);
            if from.max(self.received) < before.received.saturating_sub(known) {
                return Err(CannotTell);
            }
            had = before.received;
            if from >= before.received {
                self.before = None;
            }
        }
        let skipped = from.saturating_sub(self.received);
        if skipped > 0 {
            self.delivered += skipped;
            self.received = from;
            self.marks.clear();
        }
        self.floor = self.floor.max(from);
        Ok(from.saturating_sub(had))
    }

    /// All lines that have arrived except the last `pending` are done with.
    pub(crate) fn confirm(&mut self, pending: usize) {
        let pending = u64::try_from(pending).unwrap_or(u64::MAX);
        // After the relay was set back, some of those that wait here have no number any more.
        let done = self.received.saturating_sub(pending);
        self.delivered = done.max(self.floor).min(self.received);
    }

    /// The relay was set back: it has to say where it is. Returns whether there is anything to go by.
    pub(crate) fn set_back(&mut self) -> bool {
        if self.received == 0 {
            return false;
        }
        let (received, marks) = (self.received, core::mem::take(&mut self.marks));
        // What was recognised so far is a part of what was there before.
        self.before.get_or_insert(Before { received, marks });
        (self.received, self.delivered, self.floor) = (0, 0, 0);
        true
    }

    /// Whether the lines that it had are still being told from new ones.
    pub(crate) const fn is_recognising(&self) -> bool {
        self.before.is_some()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;

    fn give(inbox: &mut Inbox, first: u64, lines: &[&str]) -> Vec<bool> {
        let lines = (first..).zip(lines);
        lines.map(|(number, line)| inbox.arrived(number, &Text::from(line.to_string()))).collect()
    }

    #[test]
    fn of_lines_that_come_again_those_that_are_as_before_are_known() {
        let mut inbox = Inbox::default();
        assert_eq!(give(&mut inbox, 1, &["a", "b", "c", "d"]), [true; 4]);
        inbox.confirm(0);
        assert!(inbox.set_back());
        assert_eq!((inbox.received(), inbox.last_line()), (0, None), "nothing is claimed");
        // It had acknowledged one, and the relay has never heard of c and d.
        assert_eq!(inbox.resume(1), Ok(0));
        assert_eq!(give(&mut inbox, 2, &["b", "x", "d"]), [false, true, true]);
        inbox.confirm(0);
        assert_eq!((inbox.delivered(), inbox.is_recognising()), (4, false));
        let mark = LastLine::mark_of(b"d");
        assert_eq!(inbox.last_line(), Some(LastLine { number: 4, mark }));
    }

    #[test]
    fn what_still_waits_here_is_not_acknowledged_in_place_of_what_came_later() {
        let mut inbox = Inbox::default();
        give(&mut inbox, 1, &["a", "b", "c"]);
        inbox.confirm(3);
        inbox.set_back();
        assert_eq!(inbox.resume(1), Ok(0));
        assert_eq!(give(&mut inbox, 2, &["x"]), [true]);
        // Of four that wait, two have a number.
        inbox.confirm(4);
        assert_eq!(inbox.delivered(), 1, "the relay no longer holds that one");
        inbox.confirm(1);
        assert_eq!(inbox.delivered(), 1);
        inbox.confirm(0);
        assert_eq!(inbox.delivered(), 2);
    }

    #[test]
    fn a_relay_that_is_set_back_twice_or_too_far() {
        let mut inbox = Inbox::default();
        let many: Vec<_> = (1..=KNOWN_LINES + 10).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        give(&mut inbox, 1, &many);
        inbox.confirm(0);
        inbox.set_back();
        assert_eq!(inbox.resume(10), Ok(0));
        assert_eq!(give(&mut inbox, 11, &["11", "12"]), [false; 2]);
        inbox.set_back();
        assert_eq!(inbox.resume(11), Ok(0));
        assert_eq!(give(&mut inbox, 12, &["12", "x"]), [false, true]);

        let mut inbox = Inbox::default();
        give(&mut inbox, 1, &many);
        inbox.set_back();
        assert_eq!(inbox.resume(9), Err(CannotTell));
        assert!(!Inbox::default().set_back(), "there is nothing to go by");
    }

    #[test]
    fn what_the_relay_no_longer_holds_is_missing_once() {
        let mut inbox = Inbox::default();
        give(&mut inbox, 1, &["a"]);
        assert_eq!(inbox.resume(4), Ok(3));
        assert_eq!(inbox.resume(4), Ok(0));
        assert_eq!(inbox.last_line(), None);
        assert_eq!(give(&mut inbox, 4, &["d", "e"]), [false, true]);
    }
}
