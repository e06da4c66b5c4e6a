//! How a worker shows which of a relay's lines it has had last: by what is in it, not only by its number.
//! A relay that was set back to an earlier state gives numbers again that it had given before.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The header in which a worker names the last line that its agent was given.
pub const LAST_LINE_HEADER: &str = "x-footbridge-last-line";

/// A line for an agent: its number, and what tells it from another one of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLine {
    /// Its number.
    pub number: u64,
    /// Of its bytes.
    pub mark: u64,
}

impl LastLine {
    /// The mark of a line: its FNV-1a of 64 bits. Nobody has to be kept from making two lines with the same
    /// one, and each line is marked as it comes: SHA-256 was three quarters of all that was done about it.
    pub fn mark_of(line: &[u8]) -> u64 {
        const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        line.iter().fold(BASIS, |mark, byte| (mark ^ u64::from(*byte)).wrapping_mul(PRIME))
    }

    /// From a header; `None` if it is malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, mark) = text.trim().split_once('-')?;
        let is_mark = mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mark = u64::from_str_radix(mark, 16).ok().filter(|_| is_mark)?;
        Some(Self { number: number.parse().ok()?, mark })
    }
}

impl fmt::Display for LastLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.number, self.mark)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_header_comes_back_as_it_was_and_anything_else_is_none() {
        let line = LastLine { number: 17, mark: LastLine::mark_of(b"abc") };
        assert_eq!(line.to_string(), "17-e71fa2190541574b");
        assert_eq!(LastLine::parse(&line.to_string()), Some(line));
        for bad in
            ["", "17", "17-", "-ba7816bf8f01cfea", "x-ba7816bf8f01cfea", "1-+a7816bf8f01cfea"]
        {
            assert_eq!(LastLine::parse(bad), None, "{bad:?}");
        }
    }
}
