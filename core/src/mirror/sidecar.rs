//! What is in a mirror's file, and beside it.

use alloc::format;
use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::page::gap_line;
use crate::base::id::SessionId;
use crate::wire::to_json;
use crate::wire::url::BaseUrl;
use crate::wire::viewer::EventView;

/// The file beside a mirror that says of what it is one.
pub(super) fn identity_path(path: &str) -> String {
    format!("{path}.mirror")
}

/// Of what a file is a mirror. It is on disk before the first event is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    version: u32,
    relay: String,
    session: SessionId,
}

impl Identity {
    pub(super) fn new(relay: &BaseUrl, session: &SessionId) -> Self {
        Self { version: 1, relay: relay.to_string(), session: session.clone() }
    }

    pub(super) fn to_file(&self) -> Bytes {
        to_json(self)
    }

    /// Whether the file that says this is one of ours; if not, why, for a person.
    pub(super) fn check(&self, file: &[u8]) -> Result<(), String> {
        let Ok(found) = serde_json::from_slice::<Self>(file) else {
            return Err("what is beside it is not readable as a mirror's".into());
        };
        if found.version != self.version {
            return Err(format!("it was written by another version ({})", found.version));
        }
        if !found.session.is_same_session(&self.session) {
            return Err(format!("it is the mirror of {}", found.session));
        }
        if found.relay != self.relay {
            return Err(format!("it is the mirror of a session at {}", found.relay));
        }
        Ok(())
    }
}

/// Where a file continues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The last event in it.
    pub(super) seq: u64,
    /// How much of it stays, in bytes.
    pub(super) offset: u64,
    /// The line of that event, if it is one.
    pub(super) last: Option<Bytes>,
}

impl Place {
    pub(super) const START: Self = Self { seq: 0, offset: 0, last: None };
}

/// What the end of a file shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    At(Place),
    /// Not even one whole line is in it: more of it is needed.
    TooShort,
    /// These bytes begin with a line that is none of ours.
    Foreign,
    /// Whole events come after what is no line of ours, and nothing was torn off there: somebody has
    /// changed the file.
    Damaged {
        /// The last event before it.
        after: u64,
    },
}

/// Looks for the last line that was written whole. `data` is the end of a file with `length` bytes.
///
/// All that an append wrote may be torn, in the middle too: the system may have died with it, and what it
/// did not write is empty. What was there before it is on disk. So every line has to follow from the one
/// before, and the first that does not ends the file, if what comes then looks like that.
pub(super) fn look_at_end(length: u64, data: &Bytes) -> End {
    let is_whole = data.len() as u64 == length;
    let before = length - data.len() as u64;
    let mut at = match (is_whole, data.iter().position(|byte| *byte == b'\n')) {
        (true, _) => 0,
        (false, Some(newline)) => newline + 1,
        (false, None) => return End::TooShort,
    };
    let (mut found, mut is_first) = (Place::START, true);
    while let Some(len) = data[at..].iter().position(|byte| *byte == b'\n') {
        let line = data.slice(at..at + len);
        let Some(entry) = Entry::parse(&line) else { break };
        if (!is_first || is_whole) && entry.after() != found.seq {
            break;
        }
        is_first = false;
        at += len + 1;
        let last = matches!(entry, Entry::Event(_)).then_some(line);
        found = Place { seq: entry.seq(), offset: before + at as u64, last };
    }
    match (is_first, is_whole) {
        (false, _) if has_more(&data[at..]) => End::Damaged { after: found.seq },
        (false, _) => End::At(found),
        (true, false) => End::TooShort,
        // Torn before its first line was whole, or not ours.
        (true, true) if data.contains(&b'\n') && !is_torn(data) => End::Foreign,
        (true, true) if has_more(data) => End::Damaged { after: 0 },
        (true, true) => End::At(Place::START),
    }
}

/// Whether whole events are in what is to be cut off, with nothing missing that was never written.
fn has_more(data: &[u8]) -> bool {
    let mut lines = data.split_inclusive(|byte| *byte == b'\n');
    !data.contains(&0)
        && lines.any(|line| line.ends_with(b"\n") && Entry::parse(line.trim_ascii_end()).is_some())
}

/// Whether the file's first line may have been meant as one of ours: it starts like an event or is
/// empty where it was not written.
fn is_torn(data: &[u8]) -> bool {
    data.first().is_none_or(|first| *first == 0)
        || data.starts_with(b"{\"seq\":")
        || data.starts_with(b"{\"type\":\"gap\"")
}

/// One line of a mirror.
enum Entry {
    Event(u64),
    Gap { after: u64, resumes_after: u64 },
}

#[derive(Deserialize)]
struct Gap {
    after: u64,
    resumes_after: u64,
}

impl Entry {
    fn parse(line: &[u8]) -> Option<Self> {
        if line.ends_with(b"\r") {
            // JSON would take it. The log has no such line: somebody has converted the file.
            return None;
        }
        if let Ok(event) = serde_json::from_slice::<EventView<'_>>(line) {
            return Some(Self::Event(event.seq)).filter(|_| event.seq > 0);
        }
        let Gap { after, resumes_after } = serde_json::from_slice(line).ok()?;
        let is_ours =
            resumes_after > after && gap_line(after, resumes_after).trim_end().as_bytes() == line;
        is_ours.then_some(Self::Gap { after, resumes_after })
    }

    /// The event that it follows.
    const fn after(&self) -> u64 {
        match self {
            Self::Event(seq) => *seq - 1,
            Self::Gap { after, .. } => *after,
        }
    }

    /// The last event that it stands for.
    const fn seq(&self) -> u64 {
        match self {
            Self::Event(seq) => *seq,
            Self::Gap { resumes_after, .. } => *resumes_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn event(seq: u64) -> String {
        let at = "2026-01-31T12:00:00.000Z";
        format!(
            "{{\"seq\":{seq},\"at\":\"{at}\",\"from\":\"agent\",\"message\":{{\"n\":{seq}}}}}\n"
        )
    }

    fn file(seqs: impl IntoIterator<Item = u64>) -> String {
        seqs.into_iter().map(event).collect()
    }

    fn end_of(text: &str, window: usize) -> End {
        let data = Bytes::copy_from_slice(text.as_bytes());
        let start = data.len().saturating_sub(window);
        look_at_end(data.len() as u64, &data.slice(start..))
    }

    fn place(seq: u64, offset: usize) -> End {
        let last = Bytes::from(event(seq).trim_end().as_bytes().to_vec());
        End::At(Place { seq, offset: offset as u64, last: Some(last) })
    }

    #[test]
    fn a_file_that_is_cut_anywhere_continues_after_its_last_whole_line() {
        let whole = file(1..=3);
        let ends: Vec<_> = (0..=3).map(|n| file(1..=n).len()).collect();
        for cut in 0..=whole.len() {
            let lines = ends.iter().filter(|end| **end <= cut).count() - 1;
            let expected =
                if lines == 0 { End::At(Place::START) } else { place(lines as u64, ends[lines]) };
            assert_eq!(end_of(&whole[..cut], 1 << 20), expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_was_not_written_in_the_middle_ends_the_file_there() {
        // The system died: the file has its new length, and not all of its blocks.
        let mut torn = file(1..=6).into_bytes();
        let (from, to) = (file(1..=3).len() + 10, file(1..=4).len() + 10);
        torn[from..to].fill(0);
        let torn = String::from_utf8(torn).expect("UTF-8");
        assert_eq!(end_of(&torn, 1 << 20), place(3, file(1..=3).len()));
        assert_eq!(end_of(&("\0".repeat(50) + "\n"), 1 << 20), End::At(Place::START));
    }

    #[test]
    fn a_file_whose_line_endings_were_converted_is_not_continued() {
        let converted = file(1..=6).replace('\n', "\r\n");
        assert_eq!(end_of(&converted, 1 << 20), End::Damaged { after: 0 });
        let latest = file(1..=3).replace('\n', "\r\n") + &event(4);
        assert_eq!(end_of(&latest, 1 << 20), End::Damaged { after: 0 });
        let first = file(1..=3) + &file(4..=6).replace('\n', "\r\n");
        assert_eq!(end_of(&first, 1 << 20), End::Damaged { after: 3 });
    }

    #[test]
    fn whole_events_after_a_damaged_place_are_not_thrown_away() {
        for seqs in [[1, 2, 4], [1, 2, 2], [1, 2, 1]] {
            assert_eq!(end_of(&file(seqs), 1 << 20), End::Damaged { after: 2 }, "{seqs:?}");
        }
        let mut flipped = file(1..=6);
        flipped.replace_range(file(1..=3).len() + 1..file(1..=3).len() + 2, "x");
        assert_eq!(end_of(&flipped, 1 << 20), End::Damaged { after: 3 });
        assert_eq!(end_of(&flipped, flipped.len() - 5), End::Damaged { after: 3 });
        let mut first = file(1..=6);
        first.replace_range(12..13, "x");
        assert_eq!(end_of(&first, 1 << 20), End::Damaged { after: 0 });
    }

    #[test]
    fn a_gap_that_was_said_is_no_damage() {
        let with_gap = file([1]) + &gap_line(1, 7) + &event(8);
        assert_eq!(end_of(&with_gap, 1 << 20), place(8, with_gap.len()));
        let only = gap_line(0, 7);
        let expected = Place { seq: 7, offset: only.len() as u64, last: None };
        assert_eq!(end_of(&only, 1 << 20), End::At(expected));
    }

    #[test]
    fn a_part_of_a_file_is_enough_once_it_has_a_whole_line() {
        let (whole, line) = (file(1..=5), event(5).len());
        assert_eq!(end_of(&whole, line + 1), place(5, whole.len()));
        assert_eq!(end_of(&whole, line - 1), End::TooShort);
        let torn = &whole[..whole.len() - 3];
        assert_eq!(end_of(torn, line), End::TooShort);
        assert_eq!(end_of(torn, 2 * line), place(4, file(1..=4).len()));
    }

    #[test]
    fn a_file_of_something_else_is_not_touched() {
        for text in ["hello\n", "{\"a\":1}\n", "\n"] {
            assert_eq!(end_of(text, 1 << 20), End::Foreign, "{text:?}");
        }
    }

    #[test]
    fn another_relays_or_sessions_file_is_refused_by_name() {
        let relay = |url| BaseUrl::parse(url).expect("a URL");
        let session = |id| SessionId::new(id).expect("an id");
        let ours = Identity::new(&relay("https://a.example"), &session("session_1"));
        assert_eq!(ours.check(&ours.to_file()), Ok(()));
        let same = Identity::new(&relay("https://a.example"), &session("cse_1"));
        assert_eq!(ours.check(&same.to_file()), Ok(()), "I-1");
        let other = Identity::new(&relay("https://b.example"), &session("session_1"));
        assert!(ours.check(&other.to_file()).expect_err("refused").contains("https://b.example"));
        let other = Identity::new(&relay("https://a.example"), &session("session_2"));
        assert!(ours.check(&other.to_file()).expect_err("refused").contains("session_2"));
        assert!(ours.check(b"{").is_err());
    }
}
