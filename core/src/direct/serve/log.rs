//! The last lines of the session, numbered from 1.

use alloc::collections::VecDeque;

use crate::base::limits::{DIRECT_LOG_BYTES, DIRECT_LOG_LINES};
use crate::base::text::Text;
use crate::hosting::audience::Audience;

/// The lines that are still held.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<(Text, Audience)>,
    bytes: usize,
    /// How many were held and are not any more.
    dropped: u64,
}

impl Log {
    pub(super) fn push(&mut self, line: Text, audience: Audience) {
        self.bytes += line.len();
        self.lines.push_back((line, audience));
        // The last one is always held.
        while self.lines.len() > 1
            && (self.lines.len() > DIRECT_LOG_LINES || self.bytes > DIRECT_LOG_BYTES)
            && let Some((line, _)) = self.lines.pop_front()
        {
            self.bytes -= line.len();
            self.dropped += 1;
        }
    }

    /// The number of the last line that is not held any more.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The number of the last line.
    pub(super) fn last(&self) -> u64 {
        self.dropped + u64::try_from(self.lines.len()).unwrap_or(u64::MAX)
    }

    /// The line after this one, if it is held.
    pub(super) fn after(&self, number: u64) -> Option<&(Text, Audience)> {
        let at = number.checked_sub(self.dropped)?;
        self.lines.get(usize::try_from(at).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go_first_and_numbers_stay() {
        let mut log = Log::default();
        for n in 0..DIRECT_LOG_LINES + 10 {
            log.push(Text::from(alloc::format!("{n}")), Audience::All);
        }
        assert_eq!((log.dropped(), log.last()), (10, DIRECT_LOG_LINES as u64 + 10));
        assert_eq!(log.after(9), None);
        assert_eq!(log.after(10).map(|(line, _)| line.as_str()), Some("10"));
        assert_eq!(log.after(log.last()), None);
        log.push(Text::from("x".repeat(DIRECT_LOG_BYTES + 1)), Audience::All);
        assert_eq!(log.last() - log.dropped(), 1, "a line of any length is held");
    }
}
