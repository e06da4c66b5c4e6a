//! What a runtime reports to a machine: the answers to
//! [`Action`](crate::contract::action::Action)s, and the passing of time.
//!
//! Bytes arrive as [`Bytes`]: a runtime hands over the buffer it read into, and each line in it is
//! passed along without being copied.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::base::id::OpId;
pub use crate::base::io_error::{IoError, IoErrorKind};
use crate::base::time::UnixTime;
use crate::base::trace::{Size, shown};
use crate::contract::action::Message;
pub use crate::contract::http::{Body, Head, IncomingRequest, Response};
use crate::store;

/// One thing that happened.
#[derive(Clone, PartialEq)]
pub enum Event {
    /// The instant of the last `Wait` has come. Harmless at any other time.
    Tick,

    /// The answer to `Request`, whatever its status.
    Response {
        /// The operation, which is over.
        op: OpId,
        /// What arrived.
        response: Response,
    },
    /// The head of a streamed answer, whatever its status.
    Head {
        /// The operation, which is a stream from here on.
        op: OpId,
        /// What arrived.
        head: Head,
    },
    /// The operation could not be started, or broke off. Nothing follows for it.
    Failed {
        /// The operation, which is over.
        op: OpId,
        /// Why.
        failure: IoError,
    },

    /// A stream is open.
    Opened {
        /// The stream.
        op: OpId,
    },
    /// The other side answered the WebSocket handshake with an ordinary HTTP answer, or did not
    /// select the subprotocol it was offered (status 101).
    Refused {
        /// The operation, which is over.
        op: OpId,
        /// Its answer.
        response: Response,
    },
    /// A message arrived.
    Received {
        /// The stream.
        op: OpId,
        /// A whole message; for a byte stream or a streamed answer, whatever one read returned.
        message: Message,
    },
    /// Messages have left for the other side, in order.
    Sent {
        /// The stream.
        op: OpId,
        /// How many messages since the last such event.
        messages: usize,
    },
    /// A stream has ended, or a client left before its exchange was answered.
    Closed {
        /// The operation, which is over.
        op: OpId,
        /// The WebSocket close code received, if any.
        code: Option<u16>,
        /// What broke it; `None` after an orderly end.
        failure: Option<IoError>,
    },

    /// A process is running.
    Spawned {
        /// The process.
        op: OpId,
        /// Its process id, which is also its process group id.
        pid: u32,
    },
    /// A process wrote to stdout.
    Stdout {
        /// The process.
        op: OpId,
        /// What one read returned.
        data: Bytes,
    },
    /// A process wrote to stderr.
    Stderr {
        /// The process.
        op: OpId,
        /// What one read returned.
        data: Bytes,
    },
    /// One of a process's outputs has ended.
    OutputEnded {
        /// The process.
        op: OpId,
        /// Which one.
        output: Output,
    },
    /// The pipe has accepted writes, in order.
    Written {
        /// The process.
        op: OpId,
        /// How many writes since the last such event.
        writes: usize,
    },
    /// A process has stopped reading: unconfirmed writes are lost, later ones are ignored.
    InputClosed {
        /// The process.
        op: OpId,
    },
    /// A process has exited and was reaped. Its outputs may continue, if a child still holds them.
    Exited {
        /// The process.
        op: OpId,
        /// How it ended.
        status: ExitStatus,
    },
    /// A process and everything that it started has been killed.
    TreeEnded {
        /// The operation, which is over.
        op: OpId,
        /// What could not be ended, each by its process id and name; usually nothing.
        survivors: Vec<String>,
    },
    /// A command has finished.
    Ran {
        /// The operation, which is over.
        op: OpId,
        /// How it ended.
        status: ExitStatus,
        /// The beginning of its stdout.
        stdout: Bytes,
        /// The beginning of its stderr.
        stderr: Bytes,
    },

    /// A file has been replaced, durably.
    Saved {
        /// The operation, which is over.
        op: OpId,
    },
    /// A file was read.
    Loaded {
        /// The operation, which is over.
        op: OpId,
        /// Its whole content; `None` if there is no such file.
        data: Option<Bytes>,
        /// When its content was last changed, if the system says.
        modified: Option<UnixTime>,
    },
    /// Data was added to the end of a file, durably.
    Appended {
        /// The operation, which is over.
        op: OpId,
    },
    /// The end of a file was read.
    EndLoaded {
        /// The operation, which is over.
        op: OpId,
        /// The length of the whole file; 0 if there is none.
        length: u64,
        /// Its last bytes.
        data: Bytes,
    },
    /// A file has been removed.
    Removed {
        /// The operation, which is over.
        op: OpId,
    },
    /// The names of a directory's files, sorted.
    Listed {
        /// The operation, which is over.
        op: OpId,
        /// Bare names; those that are not UTF-8 are left out.
        names: Vec<String>,
    },

    /// A lock is held.
    Locked {
        /// What holds it.
        op: OpId,
    },

    /// A listener is open.
    Listening {
        /// The listener.
        op: OpId,
        /// The address it was actually given.
        address: String,
    },
    /// A client sent a request.
    Requested {
        /// The exchange, under the id of its `Accept`.
        op: OpId,
        /// The request. A body is usually unread.
        request: IncomingRequest,
    },
    /// The body of a request was read.
    BodyRead {
        /// The exchange.
        op: OpId,
        /// The body.
        body: Body,
    },
    /// A store operation was carried out and is durable, or was rejected.
    Stored {
        /// The operation, which is over.
        op: OpId,
        /// The result.
        committed: store::Committed,
    },
    /// Changes made by others in a store that several relays share. It answers no action: it comes
    /// whenever the runtime learns of the changes, in the order in which they were committed.
    StoreChanged {
        /// What changed; as in [`store::Committed`], for everyone it concerns.
        changes: Box<store::Changes>,
    },
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tick => f.write_str("Tick"),
            Self::Response { op, response } => {
                shown(f, "Response", &[("op", op), ("response", response)])
            }
            Self::Head { op, head } => shown(f, "Head", &[("op", op), ("head", head)]),
            Self::Failed { op, failure } => shown(f, "Failed", &[("op", op), ("failure", failure)]),
            Self::Opened { op } => shown(f, "Opened", &[("op", op)]),
            Self::Refused { op, response } => {
                shown(f, "Refused", &[("op", op), ("response", response)])
            }
            Self::Received { op, message } => {
                shown(f, "Received", &[("op", op), ("message", message)])
            }
            Self::Sent { op, messages } => shown(f, "Sent", &[("op", op), ("messages", messages)]),
            Self::Closed { op, code, failure } => {
                shown(f, "Closed", &[("op", op), ("code", code), ("failure", failure)])
            }
            Self::Spawned { op, pid } => shown(f, "Spawned", &[("op", op), ("pid", pid)]),
            Self::Stdout { op, data } => shown(f, "Stdout", &[("op", op), ("data", &Size(data))]),
            Self::Stderr { op, data } => shown(f, "Stderr", &[("op", op), ("data", &Size(data))]),
            Self::OutputEnded { op, output } => {
                shown(f, "OutputEnded", &[("op", op), ("output", output)])
            }
            Self::Written { op, writes } => shown(f, "Written", &[("op", op), ("writes", writes)]),
            Self::InputClosed { op } => shown(f, "InputClosed", &[("op", op)]),
            Self::Exited { op, status } => shown(f, "Exited", &[("op", op), ("status", status)]),
            Self::TreeEnded { op, survivors } => {
                shown(f, "TreeEnded", &[("op", op), ("survivors", survivors)])
            }
            Self::Ran { op, status, stdout, stderr } => shown(
                f,
                "Ran",
                &[
                    ("op", op),
                    ("status", status),
                    ("stdout", &Size(stdout)),
                    ("stderr", &Size(stderr)),
                ],
            ),
            Self::Saved { op } => shown(f, "Saved", &[("op", op)]),
            Self::Loaded { op, data, modified } => {
                let data = data.as_ref().map(Size);
                shown(f, "Loaded", &[("op", op), ("data", &data), ("modified", modified)])
            }
            Self::Appended { op } => shown(f, "Appended", &[("op", op)]),
            Self::EndLoaded { op, length, data } => {
                shown(f, "EndLoaded", &[("op", op), ("length", length), ("data", &Size(data))])
            }
            Self::Removed { op } => shown(f, "Removed", &[("op", op)]),
            Self::Listed { op, names } => shown(f, "Listed", &[("op", op), ("names", names)]),
            Self::Locked { op } => shown(f, "Locked", &[("op", op)]),
            Self::Listening { op, address } => {
                shown(f, "Listening", &[("op", op), ("address", address)])
            }
            Self::Requested { op, request } => {
                shown(f, "Requested", &[("op", op), ("request", request)])
            }
            Self::BodyRead { op, body } => shown(f, "BodyRead", &[("op", op), ("body", body)]),
            Self::Stored { op, committed } => {
                shown(f, "Stored", &[("op", op), ("committed", committed)])
            }
            Self::StoreChanged { changes } => {
                shown(f, "StoreChanged", &[("events", &changes.entries.len())])
            }
        }
    }
}

impl Event {
    /// Whether it ends its operation, whatever came before it. A process that ran has no such
    /// event: the last of its three ends is its last event, which
    /// [`Operation`](super::check::Operation) keeps track of.
    pub const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Response { .. }
                | Self::Failed { .. }
                | Self::Refused { .. }
                | Self::Closed { .. }
                | Self::TreeEnded { .. }
                | Self::Ran { .. }
                | Self::Saved { .. }
                | Self::Loaded { .. }
                | Self::Appended { .. }
                | Self::EndLoaded { .. }
                | Self::Removed { .. }
                | Self::Listed { .. }
                | Self::Stored { .. }
        )
    }

    /// The operation it is about; `None` for events that answer nothing: [`Event::Tick`] and
    /// [`Event::StoreChanged`].
    pub const fn op(&self) -> Option<OpId> {
        match self {
            Self::Tick | Self::StoreChanged { .. } => None,
            Self::Response { op, .. }
            | Self::Head { op, .. }
            | Self::Failed { op, .. }
            | Self::Opened { op }
            | Self::Refused { op, .. }
            | Self::Received { op, .. }
            | Self::Sent { op, .. }
            | Self::Closed { op, .. }
            | Self::Spawned { op, .. }
            | Self::Stdout { op, .. }
            | Self::Stderr { op, .. }
            | Self::OutputEnded { op, .. }
            | Self::Written { op, .. }
            | Self::InputClosed { op }
            | Self::Exited { op, .. }
            | Self::TreeEnded { op, .. }
            | Self::Ran { op, .. }
            | Self::Saved { op }
            | Self::Loaded { op, .. }
            | Self::Appended { op }
            | Self::EndLoaded { op, .. }
            | Self::Removed { op }
            | Self::Listed { op, .. }
            | Self::Locked { op }
            | Self::Listening { op, .. }
            | Self::Requested { op, .. }
            | Self::BodyRead { op, .. }
            | Self::Stored { op, .. } => Some(*op),
        }
    }
}

/// One of a process's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Output {
    Stdout,
    Stderr,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// On its own, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl ExitStatus {
    /// Whether it exited with code 0.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}
