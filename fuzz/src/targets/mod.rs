//! Entry points for fuzzers: plain functions of bytes, which panic if something is wrong. They run on
//! stable in `cargo test`, and under `cargo fuzz` for as long as one likes (`fuzz/README.md`).

pub mod corpus;
mod machines;
mod parsers;
mod reach;

pub use machines::{
    api_answers, git_outputs, relay_bodies, relay_paths, relay_requests, relay_store_order,
    relay_tokens, self_check, shell_agent, spool_files, worker_answers, worker_token_file,
    worker_worktrees,
};
pub use parsers::{
    api_shapes, control_lines, ids_and_urls, link_words, message_heads, ndjson_lines, work_secrets,
};
pub use reach::reached;

/// A target: a function of bytes that panics if something is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// What takes the bytes.
    pub run: fn(&[u8]),
    /// Places that its inputs get to within seconds, or else it has lost its worth: see [`reached`].
    pub places: &'static [&'static str],
}

const fn target(name: &'static str, run: fn(&[u8]), places: &'static [&'static str]) -> Target {
    Target { name, run, places }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("ndjson_lines", ndjson_lines, &[]),
    target("message_heads", message_heads, &[]),
    target("control_lines", control_lines, &[]),
    target("link_words", link_words, &[]),
    target("work_secrets", work_secrets, &[]),
    target("ids_and_urls", ids_and_urls, &[]),
    target("api_shapes", api_shapes, &[]),
    target("api_answers", api_answers, &[]),
    target("spool_files", spool_files, &[]),
    target("git_outputs", git_outputs, &[]),
    target("relay_tokens", relay_tokens, &[]),
    target("relay_paths", relay_paths, &[]),
    target("relay_bodies", relay_bodies, &[]),
    target("relay_requests", relay_requests, &[]),
    target("relay_store_order", relay_store_order, &[]),
    target("worker_answers", worker_answers, &[]),
    target("worker_worktrees", worker_worktrees, &[]),
    target("worker_token_file", worker_token_file, &[]),
    target("shell_agent", shell_agent, &[]),
    target("self_check", self_check, &[]),
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
