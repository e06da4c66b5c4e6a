//! Messages on the viewers' streams: each is one JSON object with a `type`. Unknown types are
//! ignored.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::environment::EnvironmentView;
use super::event::EventView;
use super::receipt::Receipts;
use super::session::SessionView;
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::text::Text;
use crate::wire::versions::tag_of;

/// A message on a subscription to one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "a frame is written or read at once, and not kept")]
pub enum SessionFrame<'a> {
    /// The session as it is now.
    Session {
        /// The session.
        session: SessionView<'a>,
    },
    /// The next event.
    Event(EventView<'a>),
    /// What viewers sent has come further.
    Receipts {
        /// How far.
        receipts: Receipts,
    },
    /// The agent asks this client, which has declared hooks or MCP servers (M-6). It comes after the
    /// event, and again after a break.
    Callback {
        /// The agent's id for the question.
        request_id: Cow<'a, str>,
        /// The event that asks.
        seq: u64,
    },
    /// Some events are no longer kept.
    Gap {
        /// The last event before them.
        after: u64,
        /// The last of them.
        resumes_after: u64,
    },
    /// Everything stored when the subscription began has been sent.
    Live {
        /// The last event at that time.
        seq: u64,
    },
    /// The connection is alive. Viewers send this too.
    Alive,
    /// A message from a later version.
    Unknown,
}

impl<'a> SessionFrame<'a> {
    /// From the content of a text message.
    pub fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Session<'a> {
            session: SessionView<'a>,
        }
        #[derive(Deserialize)]
        struct Moved {
            receipts: Receipts,
        }
        #[derive(Deserialize)]
        struct Gap {
            after: u64,
            resumes_after: u64,
        }
        #[derive(Deserialize)]
        struct Asked {
            request_id: String,
            seq: u64,
        }
        #[derive(Deserialize)]
        struct Live {
            seq: u64,
        }
        Ok(match &*tag_of(json.as_bytes())? {
            "session" => {
                let Session { session } = serde_json::from_str(json)?;
                Self::Session { session }
            }
            "event" => Self::Event(serde_json::from_str(json)?),
            "receipts" => {
                let Moved { receipts } = serde_json::from_str(json)?;
                Self::Receipts { receipts }
            }
            "callback" => {
                let Asked { request_id, seq } = serde_json::from_str(json)?;
                Self::Callback { request_id: Cow::Owned(request_id), seq }
            }
            "gap" => {
                let Gap { after, resumes_after } = serde_json::from_str(json)?;
                Self::Gap { after, resumes_after }
            }
            "live" => {
                let Live { seq } = serde_json::from_str(json)?;
                Self::Live { seq }
            }
            "alive" => Self::Alive,
            _ => Self::Unknown,
        })
    }

    /// An event as a message, without scanning the agent's output again.
    pub fn event(event: &EventView<'_>) -> Text {
        let mut json = String::with_capacity(event.size());
        json.push_str("{\"type\":\"event\",");
        event.write(&mut json);
        Text::from(json)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for SessionFrame<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).map_err(D::Error::custom)
    }
}

/// A message of a viewer: it is alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerAlive {
    /// Whether a person looks at the session just now: then they are not told elsewhere that it waits
    /// (Y-7).
    #[serde(default)]
    pub visible: bool,
}

/// A message on the overview: environments and sessions as they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "a frame is written or read at once, and not kept")]
pub enum OverviewFrame<'a> {
    /// The whole state: sent first, and again to a viewer that missed a change.
    Overview {
        /// By id.
        #[serde(default)]
        environments: Vec<EnvironmentView<'a>>,
        /// Newest first.
        #[serde(default)]
        sessions: Vec<SessionView<'a>>,
    },
    /// An environment is new or has changed.
    Environment {
        /// As it is now.
        environment: EnvironmentView<'a>,
    },
    /// An environment is gone.
    EnvironmentGone {
        /// Its id.
        id: Cow<'a, EnvironmentId>,
    },
    /// A session is new or has changed.
    Session {
        /// As it is now.
        session: SessionView<'a>,
    },
    /// A session is no longer kept.
    SessionGone {
        /// Its id.
        id: Cow<'a, SessionId>,
    },
    /// The connection is alive. Viewers send this too.
    Alive,
    /// A message from a later version.
    #[serde(other)]
    Unknown,
}
