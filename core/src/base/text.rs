//! Bytes known to be UTF-8.

use alloc::string::String;
use core::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that shares its memory when cloned or sliced: an agent's line is passed along as the
/// original bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    /// Wraps bytes that are UTF-8; returns them if they are not.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, Bytes> {
        match core::str::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => Err(bytes),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        // `from_utf8` has already checked these bytes; checking again is a smaller price than
        // `unsafe`.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As bytes.
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// As its underlying bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// A part of it, which shares its memory. `part` is a slice of [`as_str`](Self::as_str).
    pub(crate) fn slice_of(&self, part: &str) -> Self {
        Self(self.0.slice_ref(part.as_bytes()))
    }

    /// Its length in bytes.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its lines, without line endings; empty ones are left out.
    pub fn lines(self) -> impl Iterator<Item = Self> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            loop {
                if rest.is_empty() {
                    return None;
                }
                let end = memchr::memchr(b'\n', &rest);
                let mut line = rest.split_to(end.map_or(rest.len(), |at| at + 1));
                let ending = line.iter().rev().take_while(|b| matches!(b, b'\n' | b'\r')).count();
                if ending > 0 {
                    line.truncate(line.len() - ending);
                }
                if !line.is_empty() {
                    return Some(Self(line));
                }
            }
        })
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text.into_bytes()))
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// Cuts a text to a length in bytes, between characters.
pub fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// Whether a character shows nothing of itself but changes how others are shown: a control character,
/// a line separator, or a format character (Unicode's classes Cc, Zl, Zp and Cf).
pub const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}'
        | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

/// A text on one line, without what is hidden in it: for a terminal, whoever has written it.
pub fn without_hidden(text: &str) -> String {
    text.chars().filter(|c| !is_hidden(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn lines_are_cut_at_newlines_and_empty_ones_left_out() {
        let text = Text::from("one\r\n\n two\nthree");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, [Text::from("one"), Text::from(" two"), Text::from("three")]);
    }

    #[test]
    fn what_is_not_utf_8_is_given_back() {
        let bytes = Bytes::from_static(b"\xff");
        assert_eq!(Text::from_utf8(bytes.clone()), Err(bytes));
    }
}
