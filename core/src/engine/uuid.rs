//! Ids of messages.

use alloc::format;
use alloc::string::String;

use fastrand::Rng;

/// The number of a UUID as it is usually written, so that no two texts have the same; `None` for any
/// other text.
pub(crate) fn number(text: &str) -> Option<u128> {
    if text.len() != 36 {
        return None;
    }
    let mut number = 0;
    for (at, byte) in text.bytes().enumerate() {
        let digit = match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some(number)
}

/// A random UUID (RFC 9562, version 4).
pub(crate) fn uuid(rng: &mut Rng) -> String {
    let random = rng.u128(..);
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_a_number_as_it_is_usually_written_and_nothing_else_has() {
        assert_eq!(
            number("00000000-0000-4000-8000-0000000000ff"),
            Some(0x4000_8000_0000_0000_00ff)
        );
        let text = uuid(&mut Rng::with_seed(1));
        assert!(number(&text).is_some(), "{text}");
        for text in [
            "",
            "00000000-0000-4000-8000-0000000000FF",
            "00000000-0000-4000-8000-0000000000f",
            "000000000000-4000-8000-0000000000ff-",
            "00000000000004000080000000000000000f",
            "00000000-0000-4000-8000-0000000000f\u{0}",
            "ä0000000-0000-4000-8000-00000000000",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
