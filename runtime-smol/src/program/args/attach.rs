//! The arguments of `footbridge attach`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use footbridge_cli::args::{RelayArgs, text};
use footbridge_cli::exit::Error;
use footbridge_core::base::id::{EnvironmentId, SessionId};
use footbridge_core::base::limits::MAX_NAME_BYTES;
use footbridge_core::wire::url::BaseUrl;
use lexopt::{Parser, ValueExt};

/// A request to follow a session.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct Attach {
    /// The relay, if the settings name one.
    pub(in crate::program) relay: Option<BaseUrl>,
    /// This machine's, for where none has written down where it is.
    pub(in crate::program) assumed: BaseUrl,
    pub(in crate::program) reach: RelayArgs,
    pub(in crate::program) wanted: Wanted,
}

/// What its own options say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::program) struct Wanted {
    pub(in crate::program) session: Option<SessionId>,
    /// Whether a new session is to be made, and where.
    pub(in crate::program) is_new: bool,
    pub(in crate::program) environment: Option<EnvironmentId>,
    pub(in crate::program) title: Option<String>,
    pub(in crate::program) viewer_only: bool,
    /// Whether lines are appended, and nothing is drawn.
    pub(in crate::program) is_plain: bool,
    /// The last event that is known already.
    pub(in crate::program) after: Option<u64>,
    /// The command line of the agent's program that it stands in for.
    pub(in crate::program) agent: Option<Vec<OsString>>,
}

/// The name under which the program is an agent's.
const AGENT_NAME: &str = "footbridge-agent";
/// Variables that say which session it stands in for the agent of.
const SESSION: &str = "FOOTBRIDGE_SESSION";
const ENVIRONMENT: &str = "FOOTBRIDGE_ENVIRONMENT";

/// The command line that was meant, if an SDK has started this program as an agent's: it passes nothing
/// but its agent's options.
pub(in crate::program) fn as_agent(
    name: Option<&OsStr>,
    args: &[OsString],
    environment: &super::Environment,
) -> Option<Vec<OsString>> {
    let is_named = name.and_then(|name| Path::new(name).file_name()) == Some(AGENT_NAME.as_ref());
    let is_command = args.first().is_some_and(|first| !first.to_string_lossy().starts_with('-'));
    let is_set = |wanted: &str| environment.iter().any(|(name, _)| name == wanted);
    let speaks =
        args.windows(2).any(|pair| pair[0] == "--input-format" && pair[1] == "stream-json")
            || args.iter().any(|arg| arg == "--input-format=stream-json");
    let asks_version = matches!(args, [one] if one == "-v" || one == "--version")
        && (is_set(SESSION) || is_set(ENVIRONMENT));
    let is_agents = !is_command && (is_named || speaks || asks_version);
    is_agents.then(|| {
        let own = ["attach", "--stream-json"].map(OsString::from);
        own.into_iter().chain(args.iter().cloned()).collect()
    })
}

impl Wanted {
    /// Its long options that are no settings, besides those that several commands have.
    pub(in crate::program) const OPTIONS: [&str; 9] = [
        "config",
        "json",
        "new",
        "environment",
        "title",
        "viewer-only",
        "plain",
        "after",
        "stream-json",
    ];

    /// The session, which has no flag.
    pub(super) fn name(&mut self, session: &str) -> Result<(), Error> {
        let session = SessionId::new(session);
        self.session = Some(session.map_err(|error| Error::usage(error.to_string()))?);
        Ok(())
    }

    pub(super) fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Error> {
        match name {
            "new" => self.is_new = true,
            // All that follows is the agent's.
            "stream-json" => self.agent = Some(parser.raw_args()?.collect()),
            "viewer-only" => self.viewer_only = true,
            "plain" => self.is_plain = true,
            "title" => self.title = Some(title(text(parser)?)?),
            "environment" => {
                let id = EnvironmentId::new(&text(parser)?);
                let id = id.map_err(|error| Error::usage(format!("--environment: {error}")))?;
                (self.environment, self.is_new) = (Some(id), true);
            }
            "after" => {
                let after = parser.value()?.parse();
                self.after =
                    Some(after.map_err(|error| Error::usage(format!("--after: {error}")))?);
            }
            _ => return Err(Error::usage(format!("unknown option --{name}; see --help"))),
        }
        Ok(())
    }

    /// With what the environment says of an agent's session.
    pub(super) fn check(mut self, environment: &super::Environment) -> Result<Self, Error> {
        let variable = |wanted: &str| {
            let found = environment.iter().find(|(name, _)| name == wanted);
            found.and_then(|(_, value)| value.to_str()).filter(|value| !value.is_empty())
        };
        if self.agent.is_some() && self.session.is_none() && !self.is_new {
            if let Some(session) = variable(SESSION) {
                self.name(session)?;
            } else if let Some(environment) = variable(ENVIRONMENT) {
                let id = EnvironmentId::new(environment);
                self.environment =
                    Some(id.map_err(|error| Error::usage(format!("{ENVIRONMENT}: {error}")))?);
            }
        }

        if self.is_new && self.session.is_some() {
            return Err(Error::usage("name a session, or make one with --new, but not both"));
        }
        if self.title.is_some() && !self.is_new {
            return Err(Error::usage("--title is for a new session: give --new too"));
        }
        Ok(self)
    }
}

fn title(title: String) -> Result<String, Error> {
    if title.len() > MAX_NAME_BYTES {
        return Err(Error::usage(format!("--title has more than {MAX_NAME_BYTES} bytes")));
    }
    Ok(title)
}
