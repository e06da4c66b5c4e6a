//! What relay and worker themselves say in a session's log: messages of the type `footbridge`.

use alloc::borrow::Cow;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::session::{SessionResult, SessionState};
use super::to_text;
use crate::base::text::Text;

/// A message of the relay or the worker, by its `subtype`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "subtype", rename_all = "snake_case")]
pub enum LogMessage<'a> {
    /// The session has come to another state.
    SessionState {
        /// Which.
        state: SessionState,
        /// What came of it, once it has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Cow<'a, SessionResult>>,
    },
    /// A question can no longer be answered.
    PermissionWithdrawn {
        /// The agent's name for it.
        request_id: Cow<'a, str>,
        /// Why.
        #[serde(default)]
        reason: Cow<'a, str>,
    },
    /// Messages were given to a run of the agent that ended before it confirmed them.
    MessagesIndeterminate {
        /// Of the `user` messages among them.
        #[serde(default)]
        uuids: Cow<'a, [String]>,
    },
    /// Requests of viewers that will never be answered.
    RequestsUnanswered {
        /// Their names.
        #[serde(default)]
        request_ids: Cow<'a, [String]>,
        /// Why.
        #[serde(default)]
        reason: Cow<'a, str>,
    },
    /// The worker no longer holds lines that never arrived.
    LinesLost {
        /// The last line before them.
        after: u64,
        /// The last one of them.
        resumes_after: u64,
    },
    /// Lines for the agent are lost: the relay no longer holds them.
    MessagesLost {
        /// How many, for a person.
        #[serde(default)]
        message: Cow<'a, str>,
    },
    /// The agent printed what is no message.
    AgentOutputError {
        /// What is wrong with it.
        #[serde(default)]
        message: Cow<'a, str>,
        /// Its beginning.
        #[serde(default)]
        line: Cow<'a, str>,
    },
    /// The agent runs.
    AgentStarted {
        /// Its process.
        pid: u32,
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
    },
    /// A subtype of a later version.
    #[serde(other)]
    Unknown,
}

/// What all of them have for a type.
const TYPE: &str = "footbridge";

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
        to_text(&Typed { kind: Cow::Borrowed(TYPE), message: self })
    }

    /// From a line; `None` if it is of another type.
    pub fn parse(line: &'a str) -> Result<Option<Self>, serde_json::Error> {
        // Anything else may have another kind of `subtype`, so the type is read first.
        if &*super::versions::tag_of(line.as_bytes())? != TYPE {
            return Ok(None);
        }
        let Typed { message, .. } = serde_json::from_str::<Typed<'_, Self>>(line)?;
        Ok(Some(message))
    }
}
