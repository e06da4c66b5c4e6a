//! What a machine can ask of its runtime: plain data, no callbacks.
//!
//! Every action starts or addresses one operation, named by its [`OpId`]. The answers are the
//! [events](crate::contract::event); the table in [contract](crate::contract) says which action
//! gets which. `Debug` shows sizes instead of contents, so that a trace holds no secrets (T-5).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use crate::base::id::OpId;
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::trace::{Size, shown};
use crate::contract::clients::{ListenLimits, Pace, Standing};
pub use crate::contract::http::{Answer, Head, Method, Reach, Request, Response};
use crate::store;

/// One thing for the runtime to carry out.
#[derive(Clone, PartialEq)]
pub enum Action {
    /// One HTTP exchange. Answer: `Response`, or `Failed`; for [`Answer::Stream`]: `Head` or
    /// `Failed`, then `Received` until `Closed`.
    Request {
        /// The operation that this starts.
        op: OpId,
        /// What to send.
        request: Request,
    },

    /// Opens a stream. Answer: `Opened`, then any number of `Received` and `Sent`, and `Closed` at
    /// the end; or `Refused` or `Failed` instead of `Opened`.
    Open {
        /// The operation that this starts; from then on, the stream's id.
        op: OpId,
        /// What to connect to.
        target: Target,
    },
    /// Puts a message on a stream, in order. Answer: `Sent` once it has left for the other side.
    Send {
        /// The stream.
        op: OpId,
        /// The message.
        message: Message,
    },
    /// Ends a stream once everything sent has left. Answer: `Closed`.
    Close {
        /// The stream.
        op: OpId,
        /// The WebSocket close code; meaningless for a byte stream.
        code: u16,
    },
    /// Stops reading from a stream, a streamed answer or a process's stdout until `Resume`. Data
    /// already on its way may still arrive.
    Pause {
        /// The stream or process.
        op: OpId,
    },
    /// Resumes reading after `Pause`.
    Resume {
        /// The stream or process.
        op: OpId,
    },

    /// Starts a process in a process group of its own, with pipes to all three standard streams.
    /// Answer: `Spawned`, then `Stdout`, `Stderr`, one `OutputEnded` for each output and one
    /// `Exited`, in any order; or `Failed` instead of `Spawned`. The last of those three ends is
    /// the last event. The id stays valid for `Signal` until `Cancel`, because the process may have
    /// left others in its group.
    Spawn {
        /// The operation that this starts; from then on, the process's id.
        op: OpId,
        /// What to run.
        command: ProcessSpec,
    },
    /// Writes to a process's stdin, in order. Answer: `Written` when the pipe has all of it, or
    /// `InputClosed` when it never will.
    Write {
        /// The process.
        op: OpId,
        /// The bytes.
        data: Bytes,
    },
    /// Closes a process's stdin after everything written so far.
    CloseInput {
        /// The process.
        op: OpId,
    },
    /// Signals the whole process group. No answer; a group that is gone is not an error.
    Signal {
        /// The process.
        op: OpId,
        /// The signal.
        signal: Signal,
    },
    /// Kills a process and everything that it started, also what left its group. Answer:
    /// `TreeEnded` once nothing of it is left, or the runtime has given up on what is.
    EndTree {
        /// The operation that this starts.
        op: OpId,
        /// The process: spawned, and not cancelled yet. It may be cancelled right after this.
        process: OpId,
    },
    /// Runs one command to completion and collects its output. Answer: `Ran`, or `Failed`.
    Run {
        /// The operation that this starts.
        op: OpId,
        /// What to run; its stdin is empty.
        command: ProcessSpec,
        /// After this long the process group is killed, and the answer is `Failed`.
        timeout: Duration,
        /// How many bytes to keep of each of stdout and stderr, counted from the start.
        limit: usize,
    },

    /// Replaces a file atomically and durably, readable only by its owner; creates missing parent
    /// directories. Answer: `Saved`, or `Failed`.
    Save {
        /// The operation that this starts.
        op: OpId,
        /// The file's path.
        path: String,
        /// Its whole new content.
        data: Bytes,
    },
    /// Reads a file. Answer: `Loaded`, or `Failed`.
    Load {
        /// The operation that this starts.
        op: OpId,
        /// The file's path.
        path: String,
        /// For a file larger than this the answer is `Failed`.
        limit: usize,
    },
    /// Cuts a file to `offset` bytes and writes `data` there, durably. A missing file counts as an
    /// empty one: it is created, readable only by its owner, with missing parent directories.
    /// Answer: `Appended`, or `Failed`; after a failure, as after a crash, any part of `data` may be
    /// there. A file that is shorter than `offset` is left as it is, and the answer is `Failed`.
    Append {
        /// The operation that this starts.
        op: OpId,
        /// The file's path.
        path: String,
        /// How much of it stays, in bytes.
        offset: u64,
        /// What comes after that.
        data: Bytes,
    },
    /// Reads the end of a file. Answer: `EndLoaded`, or `Failed`.
    LoadEnd {
        /// The operation that this starts.
        op: OpId,
        /// The file's path.
        path: String,
        /// How many bytes of its end to read.
        limit: usize,
    },
    /// Removes a file; a missing file is not an error. Answer: `Removed`, or `Failed`.
    Remove {
        /// The operation that this starts.
        op: OpId,
        /// The file's path.
        path: String,
    },
    /// Lists the files in a directory. Answer: `Listed` (empty if there is no such directory), or
    /// `Failed`.
    List {
        /// The operation that this starts.
        op: OpId,
        /// The directory's path.
        path: String,
    },

    /// Takes the lock that a file is among processes, which all of them have to ask for; creates it and
    /// missing parent directories, readable only by their owner. Answer: `Locked`, and from then on it
    /// is held until `Cancel`, or until the process ends, however it does; or `Failed`, with
    /// [`IoErrorKind::TimedOut`](super::event::IoErrorKind::TimedOut) if another one holds it.
    Lock {
        /// The operation that this starts; from then on, what holds the lock.
        op: OpId,
        /// The file's path. Its content does not matter, and it stays.
        path: String,
        /// How long another process may hold it.
        patience: Duration,
    },

    /// Opens a listening socket. Answer: `Listening`, or `Failed`.
    Listen {
        /// The operation that this starts; from then on, the listener's id.
        op: OpId,
        /// Address and port; port 0 takes a free one. `unix:PATH` is a local socket that only its owner
        /// can open; one that was left behind there is replaced, and it goes with the listener.
        address: String,
        /// What its clients may take up.
        limits: ListenLimits,
    },
    /// Takes one request from a listener's clients: at most as many are under way as there are
    /// open `Accept`s and unanswered requests. Answer: `Requested`, then `Closed` if the client
    /// leaves before it is answered.
    Accept {
        /// The operation that this starts; from then on, the exchange's id.
        op: OpId,
        /// The listener.
        listener: OpId,
    },
    /// Says who the client of an exchange is. No answer. Its connection keeps that standing until a
    /// request on it shows otherwise.
    Vouch {
        /// The exchange.
        op: OpId,
        /// Who it is.
        standing: Standing,
    },
    /// Reads the body of a request that was `Requested` with an unread one. Answer: `BodyRead`, or
    /// `Closed` if the client leaves or takes too long. An exchange may be answered without it, or
    /// before it is there; the rest of the body is then not read.
    ReadBody {
        /// The exchange.
        op: OpId,
        /// A larger one is not read: it arrives as
        /// [`Body::TooLarge`](crate::contract::event::Body::TooLarge). One that HTTP cannot make sense
        /// of arrives as [`Body::Malformed`](crate::contract::event::Body::Malformed).
        max_body: usize,
        /// How slowly it may come.
        pace: Pace,
    },
    /// Answers an exchange that was `Requested`. Nothing follows.
    Reply {
        /// The exchange.
        op: OpId,
        /// The answer.
        response: Response,
    },
    /// Answers an exchange that was `Requested` with a stream, which `Send` then fills (a text
    /// counts as its bytes) and `Close` ends. Answer: `Sent`, and `Closed` at the end, or when the
    /// client leaves. A HEAD request gets no body: the stream is `Closed` at once.
    ReplyStream {
        /// The exchange; from then on, the stream's id.
        op: OpId,
        /// The head of the answer.
        head: Head,
        /// How long sent data may wait for the client to read. After that the stream is cut, and
        /// `Closed` with [`IoErrorKind::TimedOut`](super::event::IoErrorKind::TimedOut).
        write_timeout: Duration,
    },
    /// Turns an exchange that was `Requested` into a WebSocket. Answer: `Opened` or `Failed`, and
    /// from then on as after `Open`.
    Upgrade {
        /// The exchange; from then on, the stream's id.
        op: OpId,
        /// The subprotocol to select.
        protocol: Option<String>,
        /// The largest message to accept; a larger one closes the stream with code 1009.
        max_message: usize,
    },

    /// Carries out one atomic store operation. Operations take effect in the order in which they
    /// were requested. Answer: `Stored` once it is durable.
    Store {
        /// The operation that this starts.
        op: OpId,
        /// What to do.
        transaction: store::Transaction,
    },

    /// Stops an operation and forgets its id. No answer; see the
    /// [contract](crate::contract#what-cancel-promises) for what becomes of each kind.
    Cancel {
        /// The operation.
        op: OpId,
    },
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { op, request } => {
                shown(f, "Request", &[("op", op), ("request", request)])
            }
            Self::Open { op, target } => shown(f, "Open", &[("op", op), ("target", target)]),
            Self::Send { op, message } => shown(f, "Send", &[("op", op), ("message", message)]),
            Self::Close { op, code } => shown(f, "Close", &[("op", op), ("code", code)]),
            Self::Pause { op } => shown(f, "Pause", &[("op", op)]),
            Self::Resume { op } => shown(f, "Resume", &[("op", op)]),
            Self::Spawn { op, command } => shown(f, "Spawn", &[("op", op), ("command", command)]),
            Self::Write { op, data } => shown(f, "Write", &[("op", op), ("data", &Size(data))]),
            Self::CloseInput { op } => shown(f, "CloseInput", &[("op", op)]),
            Self::Signal { op, signal } => shown(f, "Signal", &[("op", op), ("signal", signal)]),
            Self::EndTree { op, process } => {
                shown(f, "EndTree", &[("op", op), ("process", process)])
            }
            Self::Run { op, command, timeout, limit } => shown(
                f,
                "Run",
                &[("op", op), ("command", command), ("timeout", timeout), ("limit", limit)],
            ),
            Self::Save { op, path, data } => {
                shown(f, "Save", &[("op", op), ("path", path), ("data", &Size(data))])
            }
            Self::Load { op, path, limit } => {
                shown(f, "Load", &[("op", op), ("path", path), ("limit", limit)])
            }
            Self::Append { op, path, offset, data } => shown(
                f,
                "Append",
                &[("op", op), ("path", path), ("offset", offset), ("data", &Size(data))],
            ),
            Self::LoadEnd { op, path, limit } => {
                shown(f, "LoadEnd", &[("op", op), ("path", path), ("limit", limit)])
            }
            Self::Remove { op, path } => shown(f, "Remove", &[("op", op), ("path", path)]),
            Self::List { op, path } => shown(f, "List", &[("op", op), ("path", path)]),
            Self::Lock { op, path, patience } => {
                shown(f, "Lock", &[("op", op), ("path", path), ("patience", patience)])
            }
            Self::Listen { op, address, .. } => {
                shown(f, "Listen", &[("op", op), ("address", address)])
            }
            Self::Accept { op, listener } => {
                shown(f, "Accept", &[("op", op), ("listener", listener)])
            }
            Self::Vouch { op, standing } => {
                shown(f, "Vouch", &[("op", op), ("standing", standing)])
            }
            Self::ReadBody { op, max_body, .. } => {
                shown(f, "ReadBody", &[("op", op), ("max_body", max_body)])
            }
            Self::Reply { op, response } => {
                shown(f, "Reply", &[("op", op), ("response", response)])
            }
            Self::ReplyStream { op, head, write_timeout } => shown(
                f,
                "ReplyStream",
                &[("op", op), ("head", head), ("write_timeout", write_timeout)],
            ),
            Self::Upgrade { op, protocol, max_message } => shown(
                f,
                "Upgrade",
                &[("op", op), ("protocol", protocol), ("max_message", max_message)],
            ),
            Self::Store { op, transaction } => {
                shown(f, "Store", &[("op", op), ("transaction", transaction)])
            }
            Self::Cancel { op } => shown(f, "Cancel", &[("op", op)]),
        }
    }
}

impl Action {
    /// The operation that it starts or addresses.
    pub const fn op(&self) -> OpId {
        match self {
            Self::Request { op, .. }
            | Self::Open { op, .. }
            | Self::Send { op, .. }
            | Self::Close { op, .. }
            | Self::Pause { op }
            | Self::Resume { op }
            | Self::Spawn { op, .. }
            | Self::Write { op, .. }
            | Self::CloseInput { op }
            | Self::Signal { op, .. }
            | Self::EndTree { op, .. }
            | Self::Run { op, .. }
            | Self::Save { op, .. }
            | Self::Load { op, .. }
            | Self::Append { op, .. }
            | Self::LoadEnd { op, .. }
            | Self::Remove { op, .. }
            | Self::List { op, .. }
            | Self::Lock { op, .. }
            | Self::Listen { op, .. }
            | Self::Accept { op, .. }
            | Self::Vouch { op, .. }
            | Self::ReadBody { op, .. }
            | Self::Reply { op, .. }
            | Self::ReplyStream { op, .. }
            | Self::Upgrade { op, .. }
            | Self::Store { op, .. }
            | Self::Cancel { op } => *op,
        }
    }

    /// Whether it starts its operation, rather than addressing one that was started earlier.
    pub const fn is_start(&self) -> bool {
        matches!(
            self,
            Self::Request { .. }
                | Self::Open { .. }
                | Self::Spawn { .. }
                | Self::EndTree { .. }
                | Self::Run { .. }
                | Self::Save { .. }
                | Self::Load { .. }
                | Self::Append { .. }
                | Self::LoadEnd { .. }
                | Self::Remove { .. }
                | Self::List { .. }
                | Self::Lock { .. }
                | Self::Listen { .. }
                | Self::Accept { .. }
                | Self::Store { .. }
        )
    }
}

/// Where a stream leads.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A WebSocket.
    WebSocket {
        /// Absolute `ws:` or `wss:` URL.
        url: String,
        /// Extra headers for the handshake, names in lower case.
        headers: Vec<(&'static str, Secret)>,
        /// The subprotocol to offer; not selecting it counts as a refusal.
        protocol: Option<&'static str>,
        /// From the start to the end of the handshake.
        timeout: Duration,
        /// The largest message to accept; a larger one closes the stream with code 1009.
        max_message: usize,
    },
    /// A local (Unix) socket, as a byte stream: every message is [`Message::Binary`]. The end of what
    /// comes from there arrives as one empty message; `Closed` means that the other side is gone, or
    /// answers `Close`.
    Local {
        /// Its path.
        path: String,
        /// How long connecting may take.
        timeout: Duration,
    },
    /// The program's own stdin (as `Received`) and stdout (by `Send`), as a byte stream: every
    /// message is [`Message::Binary`]. The end of stdin arrives as one empty message and leaves
    /// stdout open. `Closed` means that stdout is gone, or answers `Close`.
    Stdio,
}

/// One message of a stream.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// A WebSocket text message.
    Text(Text),
    /// A WebSocket binary message, or bytes from a byte stream.
    Binary(Bytes),
}

impl Message {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.as_bytes().len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, which are not copied.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Text(_)) { "Text" } else { "Binary" };
        write!(f, "{kind}({} bytes)", self.len())
    }
}

/// A program to start.
#[derive(Clone, PartialEq)]
pub struct ProcessSpec {
    /// Its name or path; a name without a slash is looked up in the runtime's `PATH`.
    pub program: String,
    /// Its arguments, not including its own name.
    pub args: Vec<String>,
    /// Variables to set in addition to those it inherits.
    pub env: Vec<(String, Secret)>,
    /// Variables it must not inherit. Those in `env` are set after this.
    pub env_remove: Vec<String>,
    /// Its working directory; `None` for the runtime's own.
    pub directory: Option<String>,
}

impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.env.iter().map(|(name, _)| name);
        f.debug_struct("ProcessSpec")
            .field("program", &self.program)
            .field("args", &self.args.len())
            .field("env", &names.collect::<Vec<_>>())
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// A signal for a process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: stop what you are doing.
    Interrupt,
    /// SIGTERM: exit.
    Terminate,
    /// SIGKILL: the process is killed.
    Kill,
}
