//! What `--help` says.

use footbridge_cli::help::{
    AGENT, AGENT_OPTIONS, CONTINUE, EXIT_CODES, HAND_OVER, LOG, REACH, READY_JSON, RELAY,
    TOKEN_FILE, WORK, WORKER, text as of,
};

use super::args::Topic;

/// The help of the program, or of its agent.
pub(super) fn text(topic: Topic) -> String {
    let parts: &[&str] = match topic {
        Topic::Worker => &[
            WORKER,
            USAGE,
            RELAY,
            CONTINUE,
            WORK,
            HAND_OVER,
            REACH,
            TOKEN_FILE,
            READY_JSON,
            LOG,
            VERSION,
            ENVIRONMENT,
            EXIT_CODES,
            EXAMPLE,
        ],
        Topic::Agent => &[AGENT, AGENT_USAGE, AGENT_OPTIONS],
    };
    of("footbridge-worker", parts)
}

const USAGE: &str = "
Usage: footbridge-worker --relay URL [OPTIONS]
       footbridge-worker agent [OPTIONS]    the built-in shell agent

Options:
";

const VERSION: &str = "  -V, --version              Print the version
";

const ENVIRONMENT: &str = "
Environment:
  FOOTBRIDGE_TOKEN   A worker credential (footbridge relay credential), or the
                     relay's access token; takes precedence over the file
  XDG_STATE_HOME     Where footbridge/token is, instead of ~/.local/state
  HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
                     The proxy to use for reaching the relay
";

const EXAMPLE: &str = "
Example:
  footbridge-worker --relay https://relay.example.org
";

const AGENT_USAGE: &str = "
Usage: footbridge-worker agent [OPTIONS]
";
