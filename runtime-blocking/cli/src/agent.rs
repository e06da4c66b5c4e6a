//! The shell agent's configuration, from the command line and the environment.

use std::path::Path;

use footbridge_core::agents::shell::Config;
use footbridge_core::base::limits::MAX_ID_BYTES;

use crate::args;
use crate::exit::Error;
use crate::token::{TOKEN_VARIABLE, TRUST_VARIABLES};

/// The agent's own credentials, which no command needs.
const HIDDEN: [&str; 4] =
    [TOKEN_VARIABLE, "FOOTBRIDGE_SESSION_TOKEN", TRUST_VARIABLES[0], TRUST_VARIABLES[1]];

/// The configuration that the shell agent starts with.
pub fn config(args: args::Agent) -> Result<Config, Error> {
    let directory = crate::directory(args.directory.as_deref().unwrap_or(Path::new(".")))?;
    let given = |id: &String| !id.is_empty() && id.len() <= MAX_ID_BYTES;
    let session_id = args.session_id.or_else(|| std::env::var("FOOTBRIDGE_SESSION_ID").ok());
    Ok(Config {
        directory,
        session_id: session_id.filter(given),
        permission_mode: args.permission_mode,
        env_remove: HIDDEN.map(String::from).to_vec(),
        seed: crate::seed()?,
    })
}
