//! The purposes of the agent's operations and timers, and what it reports to its program.

use core::fmt;

use crate::base::limits::MAX_LINE_BYTES;
use crate::engine::runner;
use crate::wire::message::MessageError;

/// The context every part acts on.
pub(super) type Cx = runner::Cx<Purpose, Timer, Notice>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Stdio,
    Command,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The running command was asked to end; now it is killed.
    Kill,
    /// The running command is no longer waited for.
    LetGo,
    /// The last messages are no longer waited for.
    Flush,
}

/// What the agent reports to its program, for people to read on stderr. It never quotes a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A line from the host was skipped.
    Skipped(MessageError),
    /// A line from the host was longer than [`MAX_LINE_BYTES`] and was skipped.
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A `control_request` without a `request_id` cannot be answered.
    Unanswerable,
    /// A command did not end even though it was killed.
    Abandoned,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(reason) => write!(f, "skipped a line of input: {reason}"),
            Self::TooLong { bytes } => write!(
                f,
                "skipped a line of input: it has {bytes} bytes, more than the limit of {MAX_LINE_BYTES}"
            ),
            Self::Unanswerable => {
                f.write_str("skipped a control_request: it has no request_id to answer to")
            }
            Self::Abandoned => f.write_str("a command did not end although it was killed"),
        }
    }
}
