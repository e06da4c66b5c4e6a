//! Events of a session's log as viewers see them. The message passes through byte for byte.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::base::time::UnixTime;
use crate::wire::{raw, rfc3339};

/// Who wrote an entry in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A line that the agent printed.
    Agent,
    /// A line for the agent's stdin.
    Viewer,
    /// A report from the worker.
    Worker,
    /// The relay itself.
    Relay,
}

impl Origin {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Viewer => "viewer",
            Self::Worker => "worker",
            Self::Relay => "relay",
        }
    }
}

/// One event of a session's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView<'a> {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was stored.
    #[serde(with = "rfc3339")]
    pub at: UnixTime,
    /// Who wrote it.
    pub from: Origin,
    /// The message, JSON exactly as received.
    #[serde(borrow, with = "raw")]
    pub message: &'a str,
}

/// Roughly what an event takes in addition to its message.
const EVENT_BYTES: usize = 96;

impl EventView<'_> {
    /// Roughly how many bytes it takes as JSON.
    pub(super) const fn size(&self) -> usize {
        self.message.len() + EVENT_BYTES
    }

    /// Writes its fields and the end of its object exactly as serde would, without scanning the
    /// message again.
    pub(super) fn write(&self, json: &mut String) {
        let Self { seq, at, from, message } = self;
        let from = from.as_str();
        // Writing to a String cannot fail.
        let _ = write!(json, r#""seq":{seq},"at":"{at}","from":"{from}","message":"#);
        json.push_str(message);
        json.push('}');
    }
}

/// A page of a session's log: the answer to `GET /v1/sessions/{id}/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage<'a> {
    /// In order and without gaps.
    #[serde(borrow, default)]
    pub events: Vec<EventView<'a>>,
    /// The first event still kept.
    pub first_seq: u64,
    /// The last event so far.
    pub last_seq: u64,
}

/// An [`EventPage`] as JSON, written event by event.
pub fn write_page<'a>(
    events: impl Iterator<Item = EventView<'a>> + Clone,
    first_seq: u64,
    last_seq: u64,
) -> String {
    let bytes: usize = events.clone().map(|event| event.size()).sum();
    let mut json = String::with_capacity(bytes + EVENT_BYTES);
    json.push_str("{\"events\":[");
    for (at, event) in events.enumerate() {
        json.push_str(if at == 0 { "{" } else { ",{" });
        event.write(&mut json);
    }
    // Writing to a String cannot fail.
    let _ = write!(json, r#"],"first_seq":{first_seq},"last_seq":{last_seq}}}"#);
    json
}
