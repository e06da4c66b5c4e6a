//! What `--help` says.

use super::args::Topic;

/// The help of the program, or of one command.
pub(super) fn text(topic: Topic) -> String {
    let (usage, parts): (&str, &[&str]) = match topic {
        Topic::Program => (PROGRAM, &[SETTINGS, EXIT_CODES]),
        Topic::Up => (
            UP,
            &[
                SERVE,
                WORK,
                TOKEN_FILE,
                READY_JSON,
                COMMON,
                SETTINGS,
                RELAY_ENVIRONMENT,
                EXIT_CODES,
                UP_EXAMPLE,
            ],
        ),
        Topic::Relay => (
            RELAY,
            &[
                SERVE,
                SERVE_TLS,
                TOKEN_FILE,
                READY_JSON,
                COMMON,
                SETTINGS,
                RELAY_ENVIRONMENT,
                EXIT_CODES,
                RELAY_EXAMPLE,
            ],
        ),
        Topic::Work => (
            WORKER,
            &[
                CHECK,
                WORK,
                REACH,
                TOKEN_FILE,
                READY_JSON,
                COMMON,
                BACKOFF,
                SETTINGS,
                WORK_ENVIRONMENT,
                EXIT_CODES,
                WORK_EXAMPLE,
            ],
        ),
        Topic::Config => (
            CONFIG,
            &[
                CONFIG_JSON,
                SERVE,
                SERVE_TLS,
                RELAY_URL,
                WORK,
                REACH,
                TOKEN_FILE,
                COMMON,
                BACKOFF,
                SETTINGS,
                CONFIG_EXAMPLE,
            ],
        ),
        Topic::Agent => (AGENT, &[AGENT_OPTIONS, AGENT_ENVIRONMENT, EXIT_CODES, AGENT_EXAMPLE]),
    };
    [&[usage], parts].concat().concat()
}

const PROGRAM: &str = "\
Footbridge: drive an agent on this machine from a browser anywhere else.

Usage: footbridge [COMMAND] [OPTIONS]

Commands:
  up      Relay, web page and worker for this directory, all in one (the default)
  relay   The relay and its web page alone
  work    A worker for a directory, at a relay that runs elsewhere
  config  What is set, and where each value comes from
  agent   The built-in shell agent, on standard input and output
  help    The help of a command: footbridge help work

Options:
  -h, --help      This help; after a command, that command's help
  -V, --version   The version
";

const UP: &str = "\
Starts a relay with its web page and a worker for a directory, in one process,
and prints the page's address. Ctrl-C ends it cleanly; a second one at once.

Usage: footbridge [up] [OPTIONS]

Options:
";

const RELAY: &str = "\
Starts a relay with its web page. Workers and browsers connect to it.

Usage: footbridge relay [OPTIONS]

Options:
";

const WORKER: &str = "\
Registers a directory of this machine at a relay and runs its sessions. Ctrl-C
ends them and deregisters; a second one does so without waiting.

Usage: footbridge work --relay URL [OPTIONS]
       footbridge work --relay URL --check [OPTIONS]

Options:
      --relay URL            The relay's address: https://…, or http:// on this
                             machine
";

const CHECK: &str =
    "      --check                Try what a run would need, tell what is wrong, and
                             register nothing: the token, the directory, the
                             relay and its clock, git, the state directory, the
                             agent. The exit code is that of such a run; with
                             --json the findings are one JSON object
";

const RELAY_URL: &str = "      --relay URL            The relay's address, for footbridge work
";

const CONFIG: &str = "\
Shows what is in force for each setting, and where each value comes from: the
default, a line of the configuration file, a variable, or a flag. Of the access
token it says only whether there is one.

Usage: footbridge config [OPTIONS]

Options:
";

const CONFIG_JSON: &str = "      --json                 Print it as one line of JSON
";

const AGENT: &str = "\
The built-in agent: a shell. It reads stream-json messages on standard input,
takes each as a command line, asks for permission, runs it by /bin/sh and
writes what happens to standard output.

Usage: footbridge agent [OPTIONS]

Options:
";

const SERVE: &str = "      --listen ADDR:PORT     Where to listen; port 0 takes a free one
                             [default: 127.0.0.1:8787]
      --behind-proxy         Allow an address that other machines can reach
                             without TLS: a proxy in front speaks it
      --public-url URL       The relay's address as others see it
";

const SERVE_TLS: &str = "      --tls-cert FILE        Certificate chain (PEM); needs --tls-key
      --tls-key FILE         Its private key (PEM)
";

const WORK: &str = "      --agent 'COMMAND …'    The program of each session, split into words as a
                             shell does. \"claude\" alone means Claude Code with
                             the flags it needs [default: footbridge agent]
      --directory DIR        Where the sessions work [default: this directory]
      --name NAME            The machine's name [default: its host name]
      --spawn-mode MODE      same-dir, single-session, or worktree: each session
                             in a git worktree of its own [default: same-dir]
      --max-sessions N       Sessions at once, 1 to 1024 [default: 32]
      --session-limit TIME   The longest that a session may last [default: 24h]
      --shutdown-grace TIME  From asking an agent to end to killing it
                             [default: 30s]
      --allow-variable NAME  A variable that a session may set for its agent
                             although it changes how programs are loaded, as
                             NODE_OPTIONS does; may be repeated
";

const REACH: &str =
    "      --never-give-up        Try for ever to reach the relay, not for 10 minutes
      --ca-file FILE         Certificate authorities to trust besides the
                             well-known ones (PEM)
";

const TOKEN_FILE: &str =
    "      --token-file FILE      The file of the access token; nobody else may be
                             able to read it
                             [default: ~/.local/state/footbridge/token]
";

const READY_JSON: &str =
    "      --json                 Print one line of JSON on standard output once it
                             is ready, and nothing else
";

const COMMON: &str = "      --config FILE          The configuration file
                             [default: ~/.config/footbridge/config.toml]
      --log-level LEVEL      What is told on standard error: error, warn, info,
                             or debug, with every event and request
                             [default: info]
      --log-format FORMAT    text, or json: an object a line [default: text]
  -v, --verbose              As --log-level debug
  -q, --quiet                As --log-level error
  -h, --help                 This help
";

const BACKOFF: &str = "
Pauses of footbridge work, in milliseconds. The first is doubled up to the cap;
after that time of nothing but failures it gives up:
      --conn-initial-ms N, --conn-cap-ms N, --conn-give-up-ms N
                             While the relay cannot be reached
                             [default: 2000, 120000, 600000]
      --general-initial-ms N, --general-cap-ms N, --general-give-up-ms N
                             While it answers that it cannot do it now
                             [default: 500, 30000, 600000]
      --stop-work-base-delay-ms N
                             The first pause before a result is reported again
                             [default: 1000]
";

const SETTINGS: &str = "
Settings:
  Every option of up, relay and work but --check, --config and --json is a
  setting, and can be given in three ways, each before the one above it:
    max_sessions = 8            a line of the configuration file
    FOOTBRIDGE_MAX_SESSIONS=8   a variable
    --max-sessions 8            an option
  The file is TOML without tables; a path in it is meant from where it is. No
  secret may stand in it. footbridge config shows what is in force.
";

const AGENT_OPTIONS: &str =
    "      --directory DIR          Where commands run [default: this directory]
      --session-id ID          The conversation's id [default: a new one]
      --permission-mode MODE   default, acceptEdits, or bypassPermissions, which
                               runs commands without asking [default: default]
  -q, --quiet                  Tell errors alone
  -h, --help                   This help
";

const CONFIG_EXAMPLE: &str = "
Example of a configuration file:
  relay = \"https://relay.example.org\"
  directory = \"~/project\"
  agent = \"claude\"
  max_sessions = 8
  session_limit = \"12h\"
  allow_variable = [\"NODE_OPTIONS\"]
";

const RELAY_ENVIRONMENT: &str = "
Environment:
  FOOTBRIDGE_TOKEN   The access token; comes before the file. Without both, a
                     new token is made and kept in the file
  FOOTBRIDGE_CONFIG  The configuration file; --config comes before it
  XDG_CONFIG_HOME    Where footbridge/config.toml is, instead of ~/.config
  XDG_STATE_HOME     Where footbridge/token is, instead of ~/.local/state
";

const WORK_ENVIRONMENT: &str = "
Environment:
  FOOTBRIDGE_TOKEN   The relay's access token; comes before the file
  FOOTBRIDGE_CONFIG  The configuration file; --config comes before it
  XDG_CONFIG_HOME    Where footbridge/config.toml is, instead of ~/.config
  XDG_STATE_HOME     Where footbridge/token is, instead of ~/.local/state
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                     The proxy to reach the relay by
";

const AGENT_ENVIRONMENT: &str = "
Environment:
  FOOTBRIDGE_SESSION_ID   The conversation's id, unless --session-id names it
";

const EXIT_CODES: &str = "
Exit codes:
  0  a clean end
  1  something unexpected
  2  the command line or the configuration is wrong
  3  the relay refused: the token, a permission, or it does not know of this
  4  the relay could not be reached for too long
  5  something on this machine: an address in use, an agent or file not found
";

const UP_EXAMPLE: &str = "
Example:
  footbridge up --agent claude
";

const RELAY_EXAMPLE: &str = "
Example:
  footbridge relay --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem
";

const WORK_EXAMPLE: &str = "
Example:
  footbridge work --relay https://relay.example.org --agent claude
";

const AGENT_EXAMPLE: &str = r#"
Example:
  echo '{"type":"user","message":{"role":"user","content":"date"}}' |
    footbridge agent
"#;
