//! The arguments of `footbridge attach`.

use footbridge_cli::args::{RelayArgs, text};
use footbridge_cli::exit::Error;
use footbridge_core::base::id::{EnvironmentId, SessionId};
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
    /// The last event that is known already.
    pub(in crate::program) after: Option<u64>,
}

impl Wanted {
    /// Its long options that are no settings, besides those that several commands have.
    pub(in crate::program) const OPTIONS: [&str; 7] =
        ["config", "json", "new", "environment", "title", "viewer-only", "after"];

    /// The session, which has no flag.
    pub(super) fn name(&mut self, session: &str) -> Result<(), Error> {
        let session = SessionId::new(session);
        self.session = Some(session.map_err(|error| Error::usage(error.to_string()))?);
        Ok(())
    }

    pub(super) fn take(&mut self, name: &str, parser: &mut Parser) -> Result<(), Error> {
        match name {
            "new" => self.is_new = true,
            "viewer-only" => self.viewer_only = true,
            "title" => self.title = Some(text(parser)?),
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

    pub(super) fn check(self) -> Result<Self, Error> {
        if self.is_new && self.session.is_some() {
            return Err(Error::usage("name a session, or make one with --new, but not both"));
        }
        if self.title.is_some() && !self.is_new {
            return Err(Error::usage("--title is for a new session: give --new too"));
        }
        Ok(self)
    }
}
