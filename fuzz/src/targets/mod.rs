//! Entry points for fuzzers: plain functions of bytes that panic if something is wrong. They run on
//! stable in `cargo test`, and for any length of time under `cargo fuzz` (`fuzz/README.md`).

pub mod corpus;
mod input;
mod machines;
mod parsers;
mod reach;

pub use machines::{
    api_answers, git_outputs, relay_bodies, relay_paths, relay_requests, relay_store_order,
    relay_tokens, self_check, shell_agent, spool_files, worker_answers, worker_token_file,
    worker_worktrees,
};
pub use parsers::{
    api_shapes, control_lines, ids_and_urls, jwt_times, link_words, message_heads, ndjson_lines,
    work_secrets,
};
pub use reach::reached;

/// A target: a function of bytes that panics if something is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Places that its inputs must reach within seconds, or it has become useless: see [`reached`].
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
    target("jwt_times", jwt_times, &["a JWT was read"]),
    target("ids_and_urls", ids_and_urls, &[]),
    target("api_shapes", api_shapes, &["a shape was read", "a refusal was read"]),
    target("api_answers", api_answers, &["an answer was understood", "an agent was started"]),
    target("spool_files", spool_files, &["a result was reported"]),
    target("git_outputs", git_outputs, &["a worktree was made", "a worktree was removed"]),
    target(
        "relay_tokens",
        relay_tokens,
        &[
            "a good token opened",
            "a bent credential was refused",
            "a forged token was refused",
            "an expired token was refused",
        ],
    ),
    target("relay_paths", relay_paths, &["a path was found"]),
    target("relay_bodies", relay_bodies, &["a body was taken"]),
    target(
        "relay_requests",
        relay_requests,
        &[
            "a link spoke",
            "a message was taken",
            "a question was answered",
            "a viewer came",
            "a lease was extended",
            "work was ended",
        ],
    ),
    target(
        "relay_store_order",
        relay_store_order,
        &["a link spoke", "a message was taken", "a viewer came"],
    ),
    target(
        "worker_answers",
        worker_answers,
        &[
            "a session's link came up",
            "an agent was written to",
            "lines left on a link",
            "a result was kept",
            "it ended",
        ],
    ),
    target(
        "worker_worktrees",
        worker_worktrees,
        &[
            "a worktree was made",
            "a worktree was removed",
            "an agent was written to",
            "a result was kept",
            "it ended",
        ],
    ),
    target(
        "worker_token_file",
        worker_token_file,
        &["the token was read again", "an agent was written to", "it ended"],
    ),
    target(
        "shell_agent",
        shell_agent,
        &[
            "a question was asked",
            "a command was started",
            "a command was signalled",
            "a turn ended",
            "it ended",
        ],
    ),
    target("self_check", self_check, &["it told all it found", "the agent answered"]),
];
