//! The arguments of `footbridge mirror`.

use std::path::PathBuf;

use footbridge_cli::exit::Error;
use footbridge_core::base::id::SessionId;

use super::SignIn;

/// A request to keep a copy of a session's log.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct Mirror {
    /// The relay that has it, named as for `sign-in`.
    pub(in crate::program) source: SignIn,
    pub(in crate::program) session: SessionId,
    /// The file.
    pub(in crate::program) to: PathBuf,
}

impl Mirror {
    pub(super) fn of(
        source: SignIn,
        session: Option<PathBuf>,
        to: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let session = session.ok_or_else(|| {
            Error::usage("footbridge mirror needs a session, such as footbridge mirror session_1 --to log.ndjson")
        })?;
        let session = SessionId::new(&session.to_string_lossy())
            .map_err(|error| Error::usage(error.to_string()))?;
        let to = to.ok_or_else(|| Error::usage("footbridge mirror needs --to FILE"))?;
        Ok(Self { source, session, to })
    }
}
