//! The arguments of `footbridge chat`.

use std::path::PathBuf;
use std::time::Duration;

use footbridge_cli::args::RelayArgs;
use footbridge_cli::value::Transport;
use footbridge_core::wire::url::BaseUrl;

/// A request to talk with an agent here, and to share that.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::program) struct Chat {
    /// The relay, if the settings name one.
    pub(in crate::program) relay: Option<BaseUrl>,
    /// This machine's, for where none has written down where it is.
    pub(in crate::program) assumed: BaseUrl,
    pub(in crate::program) reach: RelayArgs,
    pub(in crate::program) agent: Option<String>,
    pub(in crate::program) directory: Option<PathBuf>,
    /// This machine's name.
    pub(in crate::program) name: Option<String>,
    pub(in crate::program) title: Option<String>,
    pub(in crate::program) grace: Duration,
    /// Lines instead of a screen.
    pub(in crate::program) is_plain: bool,
    pub(in crate::program) transport: Transport,
}
