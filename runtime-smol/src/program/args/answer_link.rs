//! The arguments of `footbridge answer-link`.

use std::path::Path;
use std::time::Duration;

use footbridge_cli::args::RelayArgs;
use footbridge_cli::duration;
use footbridge_cli::exit::Error;
use footbridge_core::base::id::SessionId;
use footbridge_core::wire::url::BaseUrl;

/// A request for a link that answers a question.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct AnswerLink {
    /// The relay, if the settings name one.
    pub(in crate::program) relay: Option<BaseUrl>,
    /// This machine's, for where none has written down where it is.
    pub(in crate::program) assumed: BaseUrl,
    pub(in crate::program) reach: RelayArgs,
    pub(in crate::program) asked: Asked,
}

/// For what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::program) struct Asked {
    pub(in crate::program) session: SessionId,
    /// The agent's id for the question, where it has several.
    pub(in crate::program) request: Option<String>,
    pub(in crate::program) expires_in: Option<Duration>,
}

impl Asked {
    pub(super) fn of(
        session: Option<&Path>,
        request: Option<String>,
        expires_in: Option<&str>,
    ) -> Result<Self, Error> {
        let session = session.ok_or_else(|| {
            Error::usage(
                "footbridge answer-link needs a session, such as footbridge answer-link session_1",
            )
        })?;
        let session = SessionId::new(&session.to_string_lossy())
            .map_err(|error| Error::usage(error.to_string()))?;
        let expires_in = expires_in.map(|text| match duration::parse(text) {
            Ok(span) if span.as_secs() > 0 => Ok(span),
            Ok(_) => Err(Error::usage("--expires-in: a link works for at least a second")),
            Err(error) => Err(Error::usage(format!("--expires-in: {error}"))),
        });
        Ok(Self { session, request, expires_in: expires_in.transpose()? })
    }
}
