//! What `--help` of the small program, `footbridge-worker`, says.

use super::{
    AGENT, AGENT_OPTIONS, CONTINUE, EXIT_CODES, HAND_OVER, HEALTH, LOG, REACH, READY_JSON, RELAY,
    SECRETS, TOKEN_FILE, WORK, WORKER, text as of,
};

/// The name of the program.
const PROGRAM: &str = "footbridge-worker";

/// The help of the program itself.
pub fn worker() -> String {
    let parts = [
        WORKER,
        USAGE,
        RELAY,
        CONTINUE,
        WORK,
        HAND_OVER,
        REACH,
        TOKEN_FILE,
        SECRETS,
        HEALTH,
        READY_JSON,
        LOG,
        VERSION,
        ENVIRONMENT,
        EXIT_CODES,
        EXAMPLE,
    ];
    of(PROGRAM, &parts)
}

/// The help of its agent.
pub fn agent() -> String {
    of(PROGRAM, &[AGENT, AGENT_USAGE, AGENT_OPTIONS])
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
