//! What a program asks of a viewer, and what it is told.

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::contract::event::ExitStatus;
use crate::wire::viewer::{Origin, PermissionPost, Receipts, SessionView};

/// What a program asks of a viewer.
#[derive(Clone, Debug)]
pub enum RemoteCommand {
    /// Send a message as it is, of any type that a person may send. One without a `uuid`, or a
    /// `request_id` where it takes one, is given one first.
    Send(Text),
    /// Answer one of the agent's questions (M-2).
    Answer(PermissionPost),
    /// Answer what the agent asks this client (M-6).
    AnswerCallback {
        /// The agent's id for it.
        request_id: String,
        /// The event that asks.
        seq: u64,
        /// The answer, a JSON object, or why there is none.
        answer: Result<Text, String>,
    },
    /// End the agent's turn.
    Interrupt,
    /// End the session.
    Stop,
    /// Send what waits, for some seconds at most, and finish; at once the second time.
    Disconnect,
}

/// What a program is told.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteNotice {
    /// The session is being followed.
    Connected,
    /// It is not any more, and may be again.
    Disconnected {
        /// Why.
        reason: String,
    },
    /// It is tried again after a pause.
    Reconnecting {
        /// Why it failed.
        reason: String,
        /// The pause.
        retry_in: Duration,
    },
    /// The session as it is now.
    Session(Box<SessionView<'static>>),
    /// Something happened in it.
    Event(RemoteEvent),
    /// Events that this viewer has not seen are not kept any more.
    Gap {
        /// The last one before them.
        after: u64,
        /// The last of them.
        resumes_after: u64,
    },
    /// All that had happened when it was connected has been told.
    Live {
        /// The last event of that.
        seq: u64,
    },
    /// The agent asks a person (M-2).
    PermissionAsked(Asked),
    /// That can no longer be answered here.
    PermissionWithdrawn {
        /// The agent's id for it.
        request_id: String,
        /// The event that asked.
        seq: u64,
        /// The tool use that it was about.
        tool_use_id: Option<String>,
        /// Why.
        why: Withdrawal,
    },
    /// The agent asks this client, which has declared a hook or an MCP server (M-6).
    CallbackAsked {
        /// The agent's id for it.
        request_id: String,
        /// The event that asks.
        seq: u64,
        /// The whole `control_request`.
        message: Text,
    },
    /// That can no longer be answered.
    CallbackWithdrawn {
        /// The agent's id for it.
        request_id: String,
        /// Why.
        reason: String,
    },
    /// What was sent has come further (M-7).
    Receipts(Receipts),
    /// Something that was sent is stored, under this number.
    Accepted {
        /// What it was.
        sent: Sent,
        /// Its event.
        seq: u64,
    },
    /// Something cannot be sent.
    Refused {
        /// What it was.
        sent: Sent,
        /// The status of the relay's refusal; `None` if it was not asked.
        status: Option<u16>,
        /// Why, and what to try.
        reason: String,
    },
    /// Something was not sent before this viewer ended, as far as it knows.
    Unsent(Sent),
    /// The agent has written this to stderr: told to whoever stands in for it.
    AgentStderr {
        /// Some lines.
        text: String,
    },
    /// The agent has failed, and the session with it: told to whoever stands in for it, which ends
    /// in the same way.
    AgentFailed {
        /// How it ended.
        status: ExitStatus,
    },
    /// The credential's file could not be written after its tokens were renewed.
    CredentialUnsaved {
        /// Why.
        reason: String,
    },
}

/// Something that happened in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEvent {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was stored.
    pub at: UnixTime,
    /// Who wrote it.
    pub from: Origin,
    /// The message, as the bytes that it came in.
    pub message: Text,
}

/// A question of the agent to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The agent's id for it.
    pub request_id: String,
    /// The event that asks.
    pub seq: u64,
    /// The tool use that it is about.
    pub tool_use_id: Option<String>,
    /// The tool.
    pub tool_name: String,
    /// The whole `control_request`.
    pub message: Text,
}

/// Why a question can no longer be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Somebody else has answered it.
    Answered,
    /// The agent has taken it back, or has ended.
    Withdrawn {
        /// In words, if there are any.
        reason: String,
    },
}

/// Something that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A message.
    Message {
        /// Its id.
        uuid: String,
        /// Its id as a `control_request`.
        request_id: Option<String>,
    },
    /// An answer to a question.
    Answer {
        /// The agent's id for the question.
        request_id: String,
    },
    /// An answer to what the agent asked this client.
    Callback {
        /// The agent's id for it.
        request_id: String,
    },
    /// An interrupt.
    Interrupt {
        /// The id of the `control_request` that it is.
        request_id: String,
    },
    /// The wish that the session ends.
    Stop,
    /// What could not be read.
    Unreadable,
}
