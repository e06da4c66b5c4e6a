//! The variables of the worker's own environment that none of its child processes inherits (S-3,
//! T-5): neither an agent nor git, at a session or in a check.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Those that tie git to one repository, which a worker started from a git hook or by `git` itself
/// has: an agent's git would work on that one instead of its own worktree. They are git's own list
/// (`git rev-parse --local-env-vars`), those of its older and newer versions, and the others that
/// git sets for what it runs and that change what a path, a reference or the time means.
const OF_A_REPOSITORY: [&str; 28] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_ATTR_SOURCE",
    "GIT_AUTHOR_DATE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_DATE",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REFERENCE_BACKEND",
    "GIT_REFLOG_ACTION",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Those that an agent sets for what it runs, and the credentials of its session. In a worker that
/// an agent started, they would make the inner agent believe that it is a part of the outer one.
/// Settings of the owner's, such as `CLAUDE_CONFIG_DIR` and the credentials that an agent signs in
/// with, are not among them.
const OF_AN_OUTER_SESSION: [&str; 33] = [
    "AI_AGENT",
    "CLAUDECODE",
    "CLAUDE_AGENT_SDK_VERSION",
    "CLAUDE_CODE_BRIDGE_MCP_CARRIER",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_CODE_CONTAINER_ID",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_ENVIRONMENT_KIND",
    "CLAUDE_CODE_ENVIRONMENT_RUNNER_VERSION",
    "CLAUDE_CODE_EXECPATH",
    "CLAUDE_CODE_REMOTE",
    "CLAUDE_CODE_REMOTE_ENVIRONMENT_TYPE",
    "CLAUDE_CODE_REMOTE_MEMORY_DIR",
    "CLAUDE_CODE_REMOTE_SESSION_ID",
    "CLAUDE_CODE_REMOTE_SESSION_ORIGIN",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SESSION_KIND",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_SUPERVISED",
    "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
    "CLAUDE_CODE_WORKER_EPOCH",
    "CLAUDE_ENV_FILE",
    "CLAUDE_PLUGIN_ROOT",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_SESSION_INGRESS_TOKEN_FILE",
    "CODEX_SANDBOX",
    "CODEX_THREAD_ID",
    "CURSOR_AGENT",
    "FOOTBRIDGE_SESSION_ID",
    "FOOTBRIDGE_SESSION_TOKEN",
    "FOOTBRIDGE_SESSION_URL",
    "GEMINI_CLI",
];

/// How many of the settings in `GIT_CONFIG_COUNT` are looked for: without that, they say nothing
/// anyway.
const NUMBERED_SETTINGS: usize = 16;

/// All of them, and those that the program keeps to itself.
pub(super) fn withheld(own: &[String]) -> Vec<String> {
    let others = OF_A_REPOSITORY.iter().chain(&OF_AN_OUTER_SESSION);
    let others = others.map(|name| String::from(*name));
    let settings = (0..NUMBERED_SETTINGS)
        .flat_map(|n| ["KEY", "VALUE"].map(|part| format!("GIT_CONFIG_{part}_{n}")));
    own.iter().cloned().chain(others).chain(settings).collect()
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn nothing_that_git_itself_calls_local_to_a_repository_is_inherited() {
        let mut git = std::process::Command::new("git");
        let output = git.args(["rev-parse", "--local-env-vars"]).output().expect("git");
        let names = String::from_utf8(output.stdout).expect("text");
        assert!(names.contains("GIT_DIR"), "{names}");
        let missing: Vec<_> =
            names.lines().filter(|name| !OF_A_REPOSITORY.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
