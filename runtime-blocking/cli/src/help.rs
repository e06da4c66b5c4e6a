//! The parts of `--help` that the programs share. `PROGRAM` is replaced by the program's name.

pub mod small;

/// Joins the parts.
pub fn text(program: &str, parts: &[&str]) -> String {
    parts.concat().replace("PROGRAM", program)
}

/// What a worker does.
pub const WORKER: &str = "\
Registers a directory on this machine with a relay and runs its sessions.
Ctrl-C ends them and deregisters; a second Ctrl-C does not wait for them.
";

/// The relay that a worker connects to.
pub const RELAY: &str =
    "      --relay URL            The relay's address: https://…, or http:// if it is
                             on this machine
";

/// What a worker runs.
pub const WORK: &str =
    "      --agent 'COMMAND …'    Program to run for each session, split into words
                             the way a shell does. Claude Code gets the flags
                             that it needs: by its name or path, behind a link,
                             after env, nice, npx and the like, or as a script
                             with the line \"# footbridge-agent: claude-code\"
                             [default: PROGRAM agent]
      --agent-resume 'COMMAND {session} …'
                             Program to run for a session whose agent ended when
                             the worker did; {session} becomes the id that the
                             agent gave its conversation. Claude Code needs no
                             such command; other agents start over without one
      --allow-missing-agent  Start although the agent's program is not there;
                             sessions fail until it is
      --directory DIR        Directory that sessions run in
                             [default: the current directory]
      --name NAME            Name of this machine [default: its host name]; two
                             workers for the same directory need different ones
      --spawn-mode MODE      same-dir; worktree, for a git worktree per session;
                             or single-session [default: same-dir]
      --disposable NAME      Let a worktree go with ignored files that have this
                             name or are in a directory of this name (*NAME for
                             all that end with NAME); can be repeated. Without
                             it, what git ignores keeps a worktree, except in
                             directories such as node_modules, target, build,
                             dist and .venv, and in caches with a CACHEDIR.TAG
      --max-sessions N       Maximum number of concurrent sessions, 1 to 1024
                             [default: 32]
      --session-limit TIME   Maximum length of a session [default: 24h]
      --shutdown-grace TIME  How long an agent has to exit before it is killed
                             [default: 30s]
      --transport HOW        How sessions travel: v1, a WebSocket each; v2,
                             plain requests and a stream of events each, for
                             networks that let no WebSocket through; or auto,
                             as the relay says, and as v1 where v2 does not get
                             through [default: auto]
      --work-by HOW          How work comes from the relay: stream, as it comes;
                             poll, one request after another; or auto, by a
                             stream where the relay offers one and it gets
                             through [default: auto]
      --allow-variable NAME  Let the relay set this variable for the agents of
                             its sessions (NAME* for all that begin with NAME);
                             can be repeated. LANG, LC_*, TZ, NO_COLOR and
                             COLORTERM need no permission. With
                             FOOTBRIDGE_SESSION_TOKEN, agents are given their
                             session's token, and can speak in its name
      --allow-flag NAME      Let the relay give this flag to the agents of its
                             sessions, such as settings or mcp-config, which can
                             make them run any program; can be repeated. A few
                             harmless ones such as --model need no permission
      --allow-relay URL      Let sessions connect to this address if the relay
                             names it, and not only to the relay itself; can be
                             repeated
      --trust-repository     Let the worker's own git run the filters that the
                             repository's configuration names, and fetch what a
                             partial clone lacks. Filters in your own git
                             configuration, such as Git LFS, run without it;
                             hooks never do
";

/// How a worker starts where another one ended.
pub const CONTINUE: &str =
    "      --continue             Take up what a crash of another worker has left in
                             this directory or in a sibling git worktree within
                             the last 4 hours, as that worker: with its --name
                             and --spawn-mode. What still runs is left alone.
                             What this worker itself was running continues
                             without it
";

/// How a worker ends where another one starts.
pub const HAND_OVER: &str =
    "      --hand-over            When told to stop, leave the sessions to the next
                             worker here instead of ending them. SIGUSR1 drains
                             a worker: it takes no more sessions, and stops like
                             this once the last one has ended
";

/// How a worker reaches its relay.
pub const REACH: &str =
    "      --never-give-up        Keep trying to reach the relay forever instead of
                             giving up after 10 minutes
      --trust-relay          Register although the relay cannot prove that it is
                             the one from before: after a return to an older
                             version of it
      --ca-file FILE         Certificates to trust in addition to the well-known
                             authorities' (PEM): an authority's, or the relay's
                             own
";

/// Where the access token or a worker's credential is.
pub const TOKEN_FILE: &str =
    "      --token-file FILE      File that holds the access token, or a worker's
                             own credential; must not be accessible to anyone
                             else
                             [default: ~/.local/state/footbridge/token]
";

/// Where log-ins are kept.
pub const SECRETS: &str =
    "      --secrets WHERE        Where the log-in of footbridge login is kept: file,
                             which only you can read; or keyring, which is on no
                             disk: that of the Linux kernel, until the machine
                             restarts or for 3 days without use, in programs
                             built with --features keyring [default: file]
";

/// Where those who watch a program ask.
pub const HEALTH: &str =
    "      --health ADDR:PORT     Answer GET /health, /ready and /metrics there, in
                             plain HTTP and without a credential: numbers, and
                             nothing about what is in a session
";

/// The line that is printed once a program is ready.
pub const READY_JSON: &str =
    "      --json                 Print a single line of JSON to standard output when
                             ready, and nothing else
";

/// What is logged.
pub const LOG: &str =
    "      --log-level LEVEL      What to log to standard error: error, warn, info
                             or debug, which includes every event
                             [default: info]
      --log-format FORMAT    text, or json: one object per line [default: text]
  -v, --verbose              Same as --log-level debug
  -q, --quiet                Same as --log-level error
  -h, --help                 Print this help
";

/// What the shell agent does.
pub const AGENT: &str = "\
The built-in agent: a shell. It reads stream-json messages from standard input,
treats each one as a command line, asks for permission, runs it with /bin/sh,
and writes what happens to standard output.
";

/// The options of the shell agent.
pub const AGENT_OPTIONS: &str = "
Options:
      --directory DIR          Directory that commands run in
                               [default: the current directory]
      --session-id ID          Session id [default: a new one]
      --permission-mode MODE   default, acceptEdits, or bypassPermissions, which
                               runs commands without asking [default: default]
  -q, --quiet                  Log only errors
  -h, --help                   Print this help

Environment:
  FOOTBRIDGE_SESSION_ID   The session id, unless --session-id is given
";

/// How a program exits.
pub const EXIT_CODES: &str = "
Exit codes:
  0  success
  1  unexpected error
  2  invalid command line or configuration
  3  refused by the relay: bad token, no permission, or not found
  4  the relay could not be reached for too long
  5  a problem on this machine: address in use, agent or file not found
  6  another worker already serves this directory for this relay
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_the_shell_agent_is_in_its_help() {
        for option in crate::args::Agent::OPTIONS {
            assert!(AGENT_OPTIONS.contains(&format!("--{option} ")), "--{option}");
        }
    }
}
