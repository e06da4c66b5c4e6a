//! What an agent prints, as messages and as what is none (M-1).
//!
//! Agents are started through shells, wrappers and terminals of every kind, so what surrounds a
//! message is taken off where that cannot change its meaning: white space, a byte order mark,
//! terminal codes, what a carriage return has overwritten. Several messages on one line are several
//! messages. What is left and is no message is skipped, and viewers are told: of each kind once, at
//! once; what follows of the same kind is counted, and goes out together after a pause that grows
//! while the agent goes on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::base::limits::{STRAY_LINE_BYTES, STRAY_LONGEST_PAUSE, STRAY_PAUSE};
use crate::base::text::Text;
use crate::base::time::{Duration, Instant};
use crate::wire::message::{Head, MessageError};
use crate::wire::ndjson::Line;

/// A part of a line of the agent.
#[derive(Debug, PartialEq)]
pub(crate) enum Part<'line> {
    Message(&'line Text, Head<'line>),
    Stray(Stray),
}

/// Something that is no message.
#[derive(Debug, PartialEq)]
pub(crate) struct Stray {
    kind: Kind,
    /// How long a line was that is too long.
    bytes: usize,
    /// Its beginning.
    line: String,
}

/// What is printed in place of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Words, such as a shell's greeting.
    Words,
    /// Words with terminal codes.
    Terminal,
    /// A part of JSON that is written over several lines, or that has been cut off.
    Fragment,
    /// JSON that is no message.
    NotTyped,
    NotUtf8,
    Utf16,
    TooLong,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Words,
        Self::Terminal,
        Self::Fragment,
        Self::NotTyped,
        Self::NotUtf8,
        Self::Utf16,
        Self::TooLong,
    ];

    /// For people. `spoke` is whether the agent has ever printed a message.
    fn reason(self, bytes: usize, spoke: bool) -> String {
        let reason = match self {
            Self::Words if spoke => "the line is not JSON",
            Self::Words => {
                "text before the first message, such as the greeting of a shell: the line is not JSON"
            }
            Self::Terminal => {
                "text for a terminal, with colours or other codes: the line is not JSON"
            }
            Self::Fragment => {
                "a part of JSON, which is cut off or written over several lines: the line is not JSON that is complete"
            }
            Self::NotTyped => return format!("{}", MessageError::NotTyped),
            Self::NotUtf8 => "a line is not UTF-8",
            Self::Utf16 => "a line is not UTF-8, but UTF-16, as some Windows programs write it",
            Self::TooLong => return format!("a line of {bytes} bytes is over the limit"),
        };
        String::from(reason)
    }
}

/// Passes the parts of a line that say something to `each`, in order.
pub(crate) fn parts(line: Line, mut each: impl FnMut(Part<'_>)) {
    let bytes = match line {
        Line::Whole(bytes) => bytes,
        Line::TooLong { beginning, bytes } => {
            return each(stray(Kind::TooLong, bytes, &beginning));
        }
    };
    let bytes = trimmed(bytes);
    if bytes.is_empty() {
        return;
    }
    let text = match Text::from_utf8(bytes) {
        Ok(text) => text,
        Err(bytes) => {
            let kind = if is_utf16(&bytes) { Kind::Utf16 } else { Kind::NotUtf8 };
            return each(stray(kind, bytes.len(), &bytes));
        }
    };
    match Head::parse(&text) {
        Ok(head) => each(Part::Message(&text, head)),
        Err(_) => recovered(&text, each),
    }
}

/// The messages that a line holds among other things.
fn recovered(text: &Text, mut each: impl FnMut(Part<'_>)) {
    let mut rest = bare(text.as_str());
    // A terminal would show what comes after the last carriage return.
    if let Some((_, last)) = rest.rsplit_once('\r')
        && last.starts_with('{')
    {
        rest = last;
    }
    while rest.starts_with('{') {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let Some(Ok(value)) = values.next() else { break };
        let value = Text::from(String::from(value.get()));
        let Ok(head) = Head::parse(&value) else { break };
        each(Part::Message(&value, head));
        let end = values.byte_offset();
        rest = bare(rest.get(end..).unwrap_or_default());
    }
    if !rest.is_empty() {
        let kind = kind_of(rest);
        each(stray(kind, rest.len(), rest.as_bytes()));
    }
}

fn kind_of(text: &str) -> Kind {
    if Head::parse(&Text::from(String::from(text))) == Err(MessageError::NotTyped) {
        return Kind::NotTyped;
    }
    if text.contains('\0') {
        return if is_utf16(text.as_bytes()) { Kind::Utf16 } else { Kind::Terminal };
    }
    if text.contains(|letter: char| letter.is_control() && letter != '\t') {
        return Kind::Terminal;
    }
    let is_closing = text.chars().all(|letter| "{}[], ".contains(letter));
    let is_field = text.starts_with('"') && text.contains("\":");
    if is_closing || is_field || text.starts_with('{') { Kind::Fragment } else { Kind::Words }
}

fn stray(kind: Kind, bytes: usize, line: &[u8]) -> Part<'static> {
    let shown = line.get(..line.len().min(STRAY_LINE_BYTES)).unwrap_or_default();
    let shown = String::from_utf8_lossy(shown);
    // A character that was cut in half shows as one that is replaced.
    let is_cut = line.len() > STRAY_LINE_BYTES;
    let shown = if is_cut { shown.trim_end_matches('\u{fffd}') } else { &shown };
    Part::Stray(Stray { kind, bytes, line: String::from(shown) })
}

/// Without white space and byte order marks around it.
fn trimmed(mut bytes: Bytes) -> Bytes {
    const MARK: &[u8] = "\u{feff}".as_bytes();
    loop {
        let start = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let _ = bytes.split_to(start);
        let end = bytes.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
        bytes.truncate(bytes.len() - end);
        if bytes.starts_with(MARK) {
            let _ = bytes.split_to(MARK.len());
        } else if start == 0 && end == 0 {
            return bytes;
        }
    }
}

/// Without white space, byte order marks, terminal codes and control characters around it.
fn bare(mut text: &str) -> &str {
    loop {
        let before = text.len();
        text = text.trim_matches(|letter: char| {
            letter.is_whitespace() || letter == '\u{feff}' || letter == '\0' || letter == '\u{7}'
        });
        text = after_code(text).unwrap_or(text);
        // Codes at the end, such as one that resets colours. None of them holds a brace.
        let end = text.rfind('}').map_or(0, |at| at + 1);
        let tail = text.get(end..).unwrap_or_default();
        if end > 0 && is_all_codes(tail) {
            text = text.get(..end).unwrap_or_default();
        }
        if text.len() == before {
            return text;
        }
    }
}

fn is_all_codes(mut text: &str) -> bool {
    while let Some(rest) = after_code(text) {
        text = rest.trim_start();
    }
    text.is_empty()
}

/// What follows a terminal code that a text begins with: one that sets colours or moves, or one that
/// sets a title.
fn after_code(text: &str) -> Option<&str> {
    let code = text.strip_prefix('\u{1b}')?;
    let Some(first) = code.chars().next() else { return Some("") };
    let rest = code.get(first.len_utf8()..).unwrap_or_default();
    match first {
        '[' => {
            let end = rest.find(|letter: char| ('@'..='~').contains(&letter))?;
            rest.get(end + 1..)
        }
        ']' | 'P' | '^' | '_' => {
            let end = rest.find(['\u{7}', '\u{1b}'])?;
            let rest = rest.get(end..)?;
            Some(rest.strip_prefix("\u{1b}\\").or_else(|| rest.get(1..)).unwrap_or_default())
        }
        // One that names a character set has one more letter.
        '(' | ')' | '*' | '+' | '#' => {
            let next = rest.chars().next().map_or(0, char::len_utf8);
            rest.get(next..)
        }
        _ => Some(rest),
    }
}

/// Whether a line looks like a piece of UTF-16: a mark at its beginning, or every other byte is zero.
fn is_utf16(line: &[u8]) -> bool {
    let zeros = line.iter().filter(|byte| **byte == 0).count();
    line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") || zeros * 3 > line.len()
}

/// What viewers are told of what was skipped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// What it is, for a person.
    pub(crate) reason: String,
    /// The beginning of one line.
    pub(crate) line: String,
    /// How many more there were of the same kind.
    pub(crate) more: u64,
}

/// What has been skipped, and when viewers are told.
#[derive(Debug)]
pub(crate) struct Strays {
    /// Whether the agent has ever printed a message.
    spoke: bool,
    /// For each kind, whether it has been told of, and what has not: one of them, and how many more.
    kinds: [(bool, Option<(Stray, u64)>); Kind::ALL.len()],
    pause: Duration,
    /// Nothing of a kind that is known goes out before this.
    next: Option<Instant>,
}

impl Strays {
    pub(crate) const fn new() -> Self {
        Self {
            spoke: false,
            kinds: [const { (false, None) }; Kind::ALL.len()],
            pause: STRAY_PAUSE,
            next: None,
        }
    }

    /// The agent has printed a message.
    pub(crate) const fn saw_message(&mut self) {
        self.spoke = true;
    }

    /// It has printed something that is none. Returns what viewers are told at once.
    pub(crate) fn push(&mut self, now: Instant, stray: Stray) -> Option<Report> {
        let (is_known, held) = self.kinds.get_mut(stray.kind as usize)?;
        match held {
            Some((_, more)) => *more = more.saturating_add(1),
            None => *held = Some((stray, 0)),
        }
        if *is_known && self.next.is_some_and(|next| now < next) {
            return None;
        }
        let is_new = !core::mem::replace(is_known, true);
        let held = held.take();
        if !is_new || self.next.is_none() {
            self.begin_pause(now);
        }
        held.map(|held| report(held, self.spoke))
    }

    fn begin_pause(&mut self, now: Instant) {
        if self.next.is_none_or(|next| next + self.pause <= now) {
            self.pause = STRAY_PAUSE;
        }
        self.next = Some(now + self.pause);
        self.pause = (self.pause * 2).min(STRAY_LONGEST_PAUSE);
    }

    /// When there is something to tell.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.next.filter(|_| self.kinds.iter().any(|(_, held)| held.is_some()))
    }

    /// What viewers are told now.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Report> {
        if self.deadline().is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.begin_pause(now);
        self.finish()
    }

    /// The agent has ended: whatever is left.
    pub(crate) fn finish(&mut self) -> Vec<Report> {
        let held = self.kinds.iter_mut().filter_map(|(_, held)| held.take());
        held.map(|held| report(held, self.spoke)).collect()
    }
}

fn report((Stray { kind, bytes, line }, more): (Stray, u64), spoke: bool) -> Report {
    Report { reason: kind.reason(bytes, spoke), line, more }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn parts_of(line: &[u8]) -> (Vec<String>, Vec<(Kind, String)>) {
        let (mut messages, mut strays) = (Vec::new(), Vec::new());
        parts(Line::Whole(Bytes::copy_from_slice(line)), |part| match part {
            Part::Message(text, _) => messages.push(text.as_str().to_string()),
            Part::Stray(Stray { kind, line, .. }) => strays.push((kind, line)),
        });
        (messages, strays)
    }

    #[test]
    fn a_message_is_found_among_what_shells_and_terminals_put_around_it() {
        const MESSAGE: &str = r#"{"type":"a","n":1}"#;
        for around in [
            "MESSAGE",
            "\u{feff}MESSAGE",
            " \u{feff} MESSAGE \t",
            "\u{feff}\u{feff}MESSAGE\r\r",
            "\u{1b}[0mMESSAGE\u{1b}[0m",
            "\u{1b}]0;user@host: ~\u{7}MESSAGE",
            "\u{1b}]2;a title\u{1b}\\\u{1b}[?2004hMESSAGE\u{1b}[?2004l",
            "\u{1b}(B\u{1b}[m\u{1b}=MESSAGE",
            " 10 %\r 50 %\r100 %\rMESSAGE",
            "\u{1b}[2K\r\u{1b}[1GMESSAGE",
            "\0\0MESSAGE\0",
        ] {
            let line = around.replace("MESSAGE", MESSAGE);
            assert_eq!(
                parts_of(line.as_bytes()),
                ([MESSAGE.to_string()].into(), [].into()),
                "{around:?}"
            );
        }
    }

    #[test]
    fn several_messages_on_one_line_are_several_and_what_follows_them_is_told() {
        let (messages, strays) = parts_of(br#"{"type":"a"}{"type":"b"} {"type":"c"}"#);
        assert_eq!((messages.len(), strays.len()), (3, 0));
        let (messages, strays) = parts_of(br#"{"type":"a"} done"#);
        assert_eq!((messages.len(), strays), (1, [(Kind::Words, "done".into())].into()));
        let (messages, strays) = parts_of(br#"{"type":"a"}}"#);
        assert_eq!((messages.len(), strays), (1, [(Kind::Fragment, "}".into())].into()));
    }

    #[test]
    fn what_is_no_message_is_named() {
        let utf16: Vec<u8> = "{\"type\":\"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&b"\xff\xfe"[..], &utf16].concat();
        for (line, kind) in [
            (&b"Welcome to the machine"[..], Kind::Words),
            (b"Loading {model}", Kind::Words),
            ("naïve ünïcödé".as_bytes(), Kind::Words),
            (b"\x1b[32mready\x1b[0m", Kind::Terminal),
            (b"\x1b]0;never ends", Kind::Terminal),
            (b"one\rtwo", Kind::Terminal),
            (b"a\0b and the rest of it", Kind::Terminal),
            (b"{", Kind::Fragment),
            (b"  \"type\": \"assistant\",", Kind::Fragment),
            (b"  },", Kind::Fragment),
            (b"{\"type\":\"cut of", Kind::Fragment),
            (b"[1,2]", Kind::NotTyped),
            (b"7", Kind::NotTyped),
            (b"{\"no\":\"type\"}", Kind::NotTyped),
            (b"{\"type\":7}", Kind::NotTyped),
            (b"bad \xff bytes", Kind::NotUtf8),
            (&utf16, Kind::Utf16),
            (&marked, Kind::Utf16),
        ] {
            let (messages, strays) = parts_of(line);
            assert!(messages.is_empty(), "{line:?}");
            assert_eq!(
                strays.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
                [kind],
                "{line:?}"
            );
        }
        for blank in [&b"  \t "[..], b"\r", "\u{feff}".as_bytes(), b" \x0c"] {
            assert_eq!(parts_of(blank), ([].into(), [].into()), "{blank:?}");
        }
    }

    #[test]
    fn deep_or_endless_nesting_ends() {
        for text in ["[", "{\"a\":", "{\"type\":\"a\",\"x\":[", "}", "\u{1b}", "\u{1b}["] {
            let (messages, strays) = parts_of(text.repeat(50_000).as_bytes());
            let is_code = text.starts_with('\u{1b}');
            assert_eq!((messages.len(), strays.len()), (0, usize::from(!is_code)), "{text:?}");
            assert!(strays.iter().all(|(_, line)| line.len() <= STRAY_LINE_BYTES));
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(seconds))
    }

    fn push(strays: &mut Strays, seconds: u64, line: &str) -> Option<(String, u64)> {
        let mut report = None;
        parts(Line::Whole(Bytes::copy_from_slice(line.as_bytes())), |part| match part {
            Part::Stray(stray) => report = strays.push(at(seconds), stray),
            Part::Message(..) => panic!("{line} is a message"),
        });
        report.map(|report| (report.line, report.more))
    }

    #[test]
    fn each_kind_is_told_once_and_what_follows_is_counted() {
        let mut strays = Strays::new();
        assert_eq!(push(&mut strays, 0, "hello"), Some(("hello".into(), 0)));
        assert_eq!(push(&mut strays, 0, "[1]"), Some(("[1]".into(), 0)), "another kind");
        assert_eq!(strays.deadline(), None);
        for n in 0..1000 {
            assert_eq!(push(&mut strays, 0, &format!("word {n}")), None);
        }
        assert_eq!(strays.deadline(), Some(at(1)));
        assert!(strays.take(at(0)).is_empty());
        let told = strays.take(at(1));
        assert_eq!((told.len(), &*told[0].line, told[0].more), (1, "word 0", 999));
        assert!(told[0].reason.contains("before the first message"), "{told:?}");
        strays.saw_message();
        let mut times = Vec::new();
        for second in 1..200 {
            push(&mut strays, second, "word");
            if !strays.take(at(second)).is_empty() {
                times.push(second);
            }
        }
        assert!(times.len() < 8, "{times:?}");
        let last = strays.finish();
        assert!(last.len() == 1 && last[0].reason == "the line is not JSON", "{last:?}");
        assert_eq!(strays.finish(), []);
        assert_eq!(push(&mut strays, 9000, "late"), Some(("late".into(), 0)), "after a long rest");
    }
}
