//! Messages of the viewers' streams: each one JSON object with its `type`. Those of a type that is
//! not known are ignored.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::environment::EnvironmentView;
use super::event::EventView;
use super::session::SessionView;
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::text::Text;
use crate::wire::versions::tag_of;

/// A message of a subscription to one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SessionFrame<'a> {
    /// The session as it is now.
    Session {
        /// The session.
        session: SessionView<'a>,
    },
    /// The next event.
    Event(EventView<'a>),
    /// Events are no longer kept.
    Gap {
        /// The last event before them.
        after: u64,
        /// The last one of them.
        resumes_after: u64,
    },
    /// Everything stored when the subscription began has been sent.
    Live {
        /// The last event then.
        seq: u64,
    },
    /// The connection is alive. Viewers say this too.
    Alive,
    /// A message of a later version.
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
        struct Gap {
            after: u64,
            resumes_after: u64,
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

    /// An event as a message, without looking at what the agent printed again.
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

/// A message of the overview: environments and sessions as they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OverviewFrame<'a> {
    /// Everything that there is: first of all, and for whoever has missed a change.
    Overview {
        /// By id.
        #[serde(default)]
        environments: Vec<EnvironmentView<'a>>,
        /// The newest first.
        #[serde(default)]
        sessions: Vec<SessionView<'a>>,
    },
    /// An environment is new, or different.
    Environment {
        /// As it is now.
        environment: EnvironmentView<'a>,
    },
    /// An environment is no more.
    EnvironmentGone {
        /// Its name.
        id: Cow<'a, EnvironmentId>,
    },
    /// A session is new, or different.
    Session {
        /// As it is now.
        session: SessionView<'a>,
    },
    /// A session is no longer kept.
    SessionGone {
        /// Its name.
        id: Cow<'a, SessionId>,
    },
    /// The connection is alive. Viewers say this too.
    Alive,
    /// A message of a later version.
    #[serde(other)]
    Unknown,
}
