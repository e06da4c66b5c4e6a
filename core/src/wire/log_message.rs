//! The relay's and the worker's own messages in a session's log, of type `footbridge`.

use alloc::borrow::Cow;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::session::{SessionResult, SessionState};
use super::to_text;
use super::worktree::{WorktreeAction, WorktreeNote, WorktreePost};
use crate::base::text::Text;

/// A message from the relay or the worker, by its `subtype`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subtype", rename_all = "snake_case")]
pub enum LogMessage<'a> {
    /// The session has changed state.
    SessionState {
        /// The new state.
        state: SessionState,
        /// Its result, once it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Cow<'a, SessionResult>>,
    },
    /// A question can no longer be answered.
    PermissionWithdrawn {
        /// The agent's id for it.
        request_id: Cow<'a, str>,
        /// Why.
        #[serde(default)]
        reason: Cow<'a, str>,
    },
    /// A question to a client with hooks or MCP servers can no longer be answered (M-6).
    CallbackWithdrawn {
        /// The agent's id for it.
        request_id: Cow<'a, str>,
        /// Why.
        #[serde(default)]
        reason: Cow<'a, str>,
    },
    /// Messages were on their way to an agent that has ended: nobody can know whether it read them.
    MessagesIndeterminate(Unsettled<'a>),
    /// Messages that never reached an agent, and never will.
    MessagesUndelivered(Unsettled<'a>),
    /// The same, because their worker was gone for too long.
    MessagesExpired(Unsettled<'a>),
    /// Viewers' requests that will never be answered.
    RequestsUnanswered {
        /// Their ids.
        #[serde(default)]
        request_ids: Cow<'a, [String]>,
        /// Why.
        #[serde(default)]
        reason: Cow<'a, str>,
    },
    /// The worker no longer holds some lines that never arrived.
    LinesLost {
        /// The last line before them.
        after: u64,
        /// The last of them.
        resumes_after: u64,
    },
    /// Lines for the agent were lost: the relay no longer holds them.
    MessagesLost {
        /// How many, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
    },
    /// The relay was set back to an earlier state, such as a backup.
    RelaySetBack {
        /// What that means for the session, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
    },
    /// The agent printed something that is not a message.
    AgentOutputError {
        /// What is wrong with it.
        #[serde(default)]
        message: Cow<'a, str>,
        /// Its beginning.
        #[serde(default)]
        line: Cow<'a, str>,
        /// How many more lines of the same kind were skipped.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: u64,
    },
    /// The agent wrote to stderr.
    AgentStderr {
        /// One or more lines, cut if they were long.
        #[serde(default)]
        text: Cow<'a, str>,
        /// How many further lines were left out.
        #[serde(default, skip_serializing_if = "is_zero")]
        dropped: u64,
    },
    /// The agent is running.
    AgentStarted {
        /// Its process.
        pid: u32,
    },
    /// The agent that has just started continues the conversation of the one before, or that of
    /// another session.
    AgentResumed {
        /// What happened, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
        /// What the agent calls the conversation.
        #[serde(default)]
        conversation: Cow<'a, str>,
    },
    /// The agent that has just started knows nothing of the conversation so far.
    AgentRestarted {
        /// What happened, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
    },
    /// The agent leaves its stdin unread.
    AgentNotReading {
        /// What that means, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
    },
    /// It has begun to read again.
    AgentReading {
        /// The same, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
    },
    /// The agent has ended.
    AgentExited {
        /// What happened, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
        /// With this code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// By this signal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// The last line for the agent that its stdin has accepted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delivered: Option<u64>,
        /// The last line that was written to its stdin, accepted or not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempted: Option<u64>,
    },
    /// What has become of the session's worktree, which was kept when the session ended.
    Worktree {
        /// What happened, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
        /// What a person had asked for, if that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<WorktreeAction>,
        /// What the worker says about it.
        worktree: Cow<'a, WorktreeNote>,
    },
    /// A person has decided about it.
    WorktreeRequested(WorktreePost),
    /// What a person has asked for will not be done.
    WorktreeUnanswered {
        /// What it was.
        action: WorktreeAction,
        /// Why.
        #[serde(default)]
        reason: Cow<'a, str>,
    },
    /// A commit that only the `HEAD` of a worktree had that somebody removed has got a name.
    CommitKept {
        /// What happened, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
        /// The commit.
        #[serde(default)]
        commit: Cow<'a, str>,
        /// Its name.
        #[serde(default)]
        reference: Cow<'a, str>,
    },
    /// A subtype from a later version.
    #[serde(other)]
    Unknown,
}

/// What viewers sent and did not end well (M-7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Unsettled<'a> {
    /// Of the messages among them.
    pub uuids: Cow<'a, [String]>,
    /// Of the control requests among them.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub request_ids: Cow<'a, [String]>,
    /// Of the questions whose answers are among them.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub answers: Cow<'a, [String]>,
    /// Their events; empty in a worker's message, which does not know them.
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    pub seqs: Cow<'a, [u64]>,
    /// Their lines, as a link counts them; only in a worker's message.
    #[serde(skip_serializing_if = "<[u64]>::is_empty")]
    pub lines: Cow<'a, [u64]>,
    /// Why.
    pub reason: Cow<'a, str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The `type` of all of them.
pub const OWN_TYPE: &str = "footbridge";

#[derive(Serialize, Deserialize)]
struct Typed<'a, T> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(flatten)]
    message: T,
}

impl<'a> LogMessage<'a> {
    /// As a line.
    pub fn to_line(&self) -> Text {
        to_text(&Typed { kind: Cow::Borrowed(OWN_TYPE), message: self })
    }

    /// From a line; `None` if it is of another type.
    pub fn parse(line: &'a str) -> Result<Option<Self>, serde_json::Error> {
        // Other messages may have a different kind of `subtype`, so the type is read first.
        if &*super::versions::tag_of(line.as_bytes())? != OWN_TYPE {
            return Ok(None);
        }
        let Typed { message, .. } = serde_json::from_str::<Typed<'_, Self>>(line)?;
        Ok(Some(message))
    }
}
