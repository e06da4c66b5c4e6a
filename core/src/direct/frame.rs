//! The control frames of `footbridge.direct.v1`: binary messages, each a JSON object.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::contract::action::Message;
use crate::wire::to_json;

/// The subprotocol.
pub const PROTOCOL: &str = "footbridge.direct.v1";

/// One frame. What a `type` does not need is left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
    /// Of a client's `resume`: who it is, the same on each connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<Cow<'a, str>>,
    /// Of a `resume`: the run of the server whose lines are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<Cow<'a, str>>,
    /// Of a `resume` and an `ack`: the last line of the other side that is safe here.
    #[serde(default)]
    pub(super) received: u64,
    /// Of a `resume`, a `gap` and a `skip`: the next line is the one after this.
    #[serde(default)]
    pub(super) from: u64,
    /// Of a client's `resume`: it can be told to skip lines.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(super) skips: bool,
    /// Of a server's `resume`: the agent's open questions that are this client's to answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) questions: Vec<Box<RawValue>>,
}

impl Frame<'_> {
    /// One that says only what it is.
    pub(super) fn of(kind: &'static str) -> Frame<'static> {
        Frame { kind: Cow::Borrowed(kind), ..Frame::default() }
    }

    pub(super) fn parse(data: &[u8]) -> Option<Frame<'_>> {
        serde_json::from_slice(data).ok()
    }

    pub(super) fn message(&self) -> Message {
        Message::Binary(self.to_bytes())
    }

    fn to_bytes(&self) -> Bytes {
        to_json(self)
    }
}
