//! What somebody else has written, so that it does nothing to a terminal, or to a reader, but show
//! itself: no escape sequence, no invisible character, no changed direction of writing.

use std::fmt::Write as _;

use footbridge_core::base::text::is_hidden;

use super::limits::ENTRY_BYTES;

/// Columns of a tabulator.
const TAB: &str = "    ";

/// Text with every hidden character made visible: what a person is asked to agree to.
pub(in crate::program) fn exact(text: &str) -> String {
    shown(text, |_| false)
}

/// The same, but without the few invisible characters that ordinary text has: joiners, soft hyphens and
/// marks of byte order.
pub(in crate::program) fn prose(text: &str) -> String {
    shown(text, |c| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'))
}

/// On one line.
pub(super) fn one_line(text: &str) -> String {
    prose(text).split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
}

fn shown(text: &str, is_left_out: impl Fn(char) -> bool) -> String {
    let mut all = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => all.push('\n'),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\t' => all.push_str(TAB),
            // Unicode has pictures of these.
            '\0'..='\u{1f}' => all.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('?')),
            '\u{7f}' => all.push('\u{2421}'),
            c if !is_hidden(c) => all.push(c),
            c if is_left_out(c) => {}
            c => {
                let _ = write!(all, "<U+{:04X}>", u32::from(c));
            }
        }
    }
    all
}

/// What a command has printed: without colours and the like, and with a line that was written over as
/// what it became.
pub(super) fn printed(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        all.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        // Parameters and intermediates, and one final byte.
        let end = sequence.find(|c: char| !(' '..='?').contains(&c));
        match end.filter(|end| sequence[*end..].starts_with(|c: char| ('@'..='~').contains(&c))) {
            Some(end) => rest = &sequence[end + 1..],
            None => {
                all.push('\u{1b}');
                rest = &rest[at + 1..];
            }
        }
    }
    all.push_str(rest);
    let lines = all.split('\n').map(|line| {
        let line = line.trim_end_matches('\r');
        line.rsplit('\r').next().unwrap_or_default()
    });
    prose(&lines.collect::<Vec<_>>().join("\n"))
}

/// The beginning and the end of a text that is too long to be kept.
pub(super) fn bounded(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= ENTRY_BYTES {
        return text.into();
    }
    let head = text.floor_char_boundary(ENTRY_BYTES / 4 * 3);
    let tail = text.ceil_char_boundary(text.len() - ENTRY_BYTES / 4);
    let left_out = tail - head;
    format!("{}\n… {left_out} bytes are left out here …\n{}", &text[..head], &text[tail..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_hidden_or_commands_a_terminal_gets_through() {
        let attacks = [
            ("\u{1b}]52;c;ZXZpbA==\u{7}", "␛]52;c;ZXZpbA==␇"),
            ("\u{1b}]0;title\u{1b}\\", "␛]0;title␛\\"),
            ("\u{1b}[2J\u{1b}[H", "␛[2J␛[H"),
            ("\u{9b}2J\u{9d}0;t\u{9c}", "<U+009B>2J<U+009D>0;t<U+009C>"),
            ("a\u{202e}b\u{2066}c", "a<U+202E>b<U+2066>c"),
            ("rm a\rls", "rm a␍ls"),
            ("a\u{8}b\u{7f}", "a␈b␡"),
            ("a\u{e0041}b\u{2028}c", "a<U+E0041>b<U+2028>c"),
        ];
        for (attack, expected) in attacks {
            assert_eq!(exact(attack), expected);
            assert_eq!(prose(attack), expected);
        }
        assert_eq!(exact("a\u{200b}b"), "a<U+200B>b");
        assert_eq!(prose("\u{feff}a\u{200d}b\r\nc\td"), "ab\nc    d");
        let all: String = ('\0'..='\u{ffff}').collect();
        for text in [exact(&all), prose(&all), printed(&all)] {
            assert!(!text.contains(|c| is_hidden(c) && c != '\n'));
        }
    }

    #[test]
    fn what_a_command_printed_is_read_as_a_terminal_would_leave_it() {
        assert_eq!(printed("\u{1b}[1;32mok\u{1b}[0m\u{1b}[K done"), "ok done");
        assert_eq!(printed("10%\r20%\r100%\r\nend\n"), "100%\nend\n");
        assert_eq!(printed("\u{1b}]52;c;x\u{7}\u{1b}["), "␛]52;c;x␇␛[");
    }

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let text = format!("begin{}end", "ä".repeat(1 << 20));
        let short = bounded(&text);
        assert!(short.len() < ENTRY_BYTES + 100);
        assert!(short.starts_with("begin") && short.ends_with("end"));
        assert!(short.contains("bytes are left out here"));
    }
}
