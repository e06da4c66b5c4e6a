//! What is kept of a command's output, and how bytes become text.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::limits::{TOOL_RESULT_HEAD_BYTES, TOOL_RESULT_TAIL_BYTES};

/// Turns chunks into text. Anything that is not UTF-8 becomes U+FFFD; a character cut off by the
/// end of a chunk waits for the next chunk.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The beginning of a character: at most three bytes.
    cut: Vec<u8>,
}

impl Decoder {
    pub(super) fn push(&mut self, chunk: &[u8]) -> String {
        let mut bytes = core::mem::take(&mut self.cut);
        bytes.extend_from_slice(chunk);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            if chunks.peek().is_none() && is_cut(invalid) {
                self.cut = invalid.to_vec();
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }

    /// Ends the text: a character that was never completed becomes U+FFFD.
    pub(super) fn finish(&mut self) -> &'static str {
        if core::mem::take(&mut self.cut).is_empty() { "" } else { "\u{fffd}" }
    }
}

/// Whether bytes at the end may be the beginning of a character.
fn is_cut(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

/// The beginning and the end of a text; whatever lies between is only counted.
#[derive(Debug, Default)]
pub(super) struct Kept {
    head: String,
    head_is_full: bool,
    tail: String,
    /// Bytes that were dropped between the two.
    dropped: usize,
}

impl Kept {
    pub(super) fn push(&mut self, text: &str) {
        let room = if self.head_is_full { 0 } else { TOOL_RESULT_HEAD_BYTES - self.head.len() };
        let (head, rest) = text.split_at(text.floor_char_boundary(room));
        self.head.push_str(head);
        self.head_is_full |= !rest.is_empty();
        self.tail.push_str(rest);
        // It grows to twice the limit before it is trimmed, so that each byte is moved at most
        // once.
        if self.tail.len() > 2 * TOOL_RESULT_TAIL_BYTES {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let excess = self.tail.len().saturating_sub(TOOL_RESULT_TAIL_BYTES);
        let from = self.tail.ceil_char_boundary(excess);
        self.tail.drain(..from);
        self.dropped += from;
    }

    /// All of it, with a note where something was dropped.
    pub(super) fn into_text(mut self) -> String {
        self.trim();
        if self.dropped > 0 {
            let note = format!("\n[… {} bytes of output left out …]\n", self.dropped);
            self.head.push_str(&note);
        }
        self.head.push_str(&self.tail);
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_same_however_its_bytes_are_split() {
        let whole: &[u8] = b"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z\xff\xf0\x9f-\xe2\x82";
        let expected = String::from_utf8_lossy(whole);
        for at in 0..=whole.len() {
            for to in at..=whole.len() {
                let mut decoder = Decoder::default();
                let mut text = String::new();
                for chunk in [&whole[..at], &whole[at..to], &whole[to..]] {
                    text.push_str(&decoder.push(chunk));
                }
                text.push_str(decoder.finish());
                assert_eq!(text, expected, "cut at {at} and {to}");
            }
        }
    }

    #[test]
    fn the_beginning_and_the_end_of_a_flood_are_kept() {
        let mut kept = Kept::default();
        kept.push(&"a".repeat(TOOL_RESULT_HEAD_BYTES - 1));
        for _ in 0..10_000 {
            kept.push("€€€€€€€€€€");
            assert!(kept.tail.len() <= 2 * TOOL_RESULT_TAIL_BYTES + 30);
        }
        kept.push("the end");
        let text = kept.into_text();
        assert!(text.starts_with('a') && text.ends_with("€the end"));
        assert!(text.contains("bytes of output left out"));
        assert!(text.len() < TOOL_RESULT_HEAD_BYTES + TOOL_RESULT_TAIL_BYTES + 100);
    }

    #[test]
    fn output_that_fits_is_kept_unchanged() {
        let mut kept = Kept::default();
        let fits = "é".repeat((TOOL_RESULT_HEAD_BYTES + TOOL_RESULT_TAIL_BYTES) / 2);
        kept.push(&fits);
        assert_eq!(kept.into_text(), fits);
    }
}
