//! Ids of messages.

use alloc::format;
use alloc::string::String;

use fastrand::Rng;

/// A random UUID (RFC 9562, version 4).
pub(crate) fn uuid(rng: &mut Rng) -> String {
    let random = rng.u128(..);
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from, to| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
