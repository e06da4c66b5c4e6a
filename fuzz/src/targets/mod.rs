//! Entry points for fuzzers: plain functions of bytes, which panic if something is wrong. They run on
//! stable in `cargo test`, and under `cargo fuzz` for as long as one likes (`fuzz/README.md`).

mod machines;
mod parsers;

pub use machines::{relay_requests, relay_store_order, worker_answers};
pub use parsers::{ids_and_urls, link_words, message_heads, ndjson_lines, work_secrets};

/// A target: its name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("ndjson_lines", ndjson_lines),
    ("message_heads", message_heads),
    ("link_words", link_words),
    ("work_secrets", work_secrets),
    ("ids_and_urls", ids_and_urls),
    ("relay_requests", relay_requests),
    ("relay_store_order", relay_store_order),
    ("worker_answers", worker_answers),
];

/// Takes a fuzzer's bytes apart.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of some things; the first one when the bytes are used up.
    pub(crate) fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        let at = usize::from(self.byte().unwrap_or(0)) % of.len();
        of[at]
    }

    /// Some of the bytes as they are.
    pub(crate) fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }
}
