//! What travels in version 2 (C-1, C-2): JSON by plain requests towards the relay, Server-Sent Events
//! towards the worker. `relay/http.md` has the meaning of each.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::session::SessionResult;
use super::versions::or_default;
use super::worker_api::environment::Metadata;
use crate::base::id::SessionId;
use crate::base::secret::{self, Secret};
use crate::base::text::Text;

/// The body of `POST /v1/code/sessions`: everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateCodeSession {
    /// A title for people.
    pub title: Option<String>,
    /// The name of the machine that will run it, for people.
    pub machine_name: Option<String>,
    /// The directory that it works in.
    pub directory: Option<String>,
    /// The branch that is checked out there.
    pub branch: Option<String>,
    /// The URL of the repository's remote.
    pub git_repo_url: Option<String>,
    /// What else is known.
    #[serde(deserialize_with = "or_default")]
    pub metadata: Metadata,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSessionCreated {
    /// The session.
    pub session: NewSession,
}

/// A session that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
}

/// The body of `POST …/bridge`: everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BridgeRequest {
    /// Names the run of the agent that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_run: Option<String>,
    /// Whether the worker will say how far the lines for its agent have come.
    #[serde(deserialize_with = "or_default")]
    pub acknowledges: bool,
}

/// The answer to it: what the session's worker shows from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// The credential.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    pub worker_jwt: Secret,
    /// For how many seconds it is valid.
    pub expires_in: u64,
    /// Where the relay is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_base_url: Option<String>,
    /// The number of this bridge: only the newest one counts.
    pub worker_epoch: u64,
    /// How many of the worker's lines are stored.
    #[serde(default)]
    pub received: u64,
}

/// The body of `POST …/worker/events`.
#[derive(Debug, Deserialize)]
pub struct Batch<'a> {
    /// The bridge that it is sent under.
    #[serde(alias = "epoch")]
    pub worker_epoch: u64,
    /// The number of its first line, among all lines of the worker; missing: after what is stored.
    #[serde(default)]
    pub first_sequence_num: Option<u64>,
    /// The lines.
    #[serde(borrow, default)]
    pub events: Vec<&'a RawValue>,
    /// Lines for the agent that are in its stdin, or not meant for it: up to this one.
    #[serde(default)]
    pub delivered: Option<u64>,
    /// Lines for the agent that the worker has: up to this one.
    #[serde(default)]
    pub with_worker: Option<u64>,
}

/// One element of a batch.
#[derive(Clone, Copy, Debug)]
pub enum BatchItem<'a> {
    /// A line of the agent.
    Line(&'a RawValue),
    /// A message of the worker itself.
    Report(&'a RawValue),
}

impl<'a> BatchItem<'a> {
    /// What an element is: a message that has a `type` stands for itself, so that nothing an agent
    /// prints can pass for a report.
    pub fn of(raw: &'a RawValue) -> Self {
        #[derive(Deserialize)]
        struct Shape<'a> {
            #[serde(rename = "type")]
            kind: Option<IgnoredAny>,
            #[serde(borrow)]
            payload: Option<&'a RawValue>,
            #[serde(borrow)]
            report: Option<&'a RawValue>,
        }
        match serde_json::from_str(raw.get()) {
            Ok(Shape { kind: None, payload: Some(line), .. }) => Self::Line(line),
            Ok(Shape { kind: None, report: Some(message), .. }) => Self::Report(message),
            _ => Self::Line(raw),
        }
    }
}

/// Writes a [`Batch`] whose lines are already JSON.
#[derive(Debug)]
pub struct BatchWriter {
    json: String,
    has_any: bool,
}

impl BatchWriter {
    /// An empty batch.
    pub fn new(epoch: u64, first: u64, delivered: u64, with_worker: u64) -> Self {
        let json = format!(
            r#"{{"worker_epoch":{epoch},"first_sequence_num":{first},"delivered":{delivered},"with_worker":{with_worker},"events":["#
        );
        Self { json, has_any: false }
    }

    /// Adds a line of the agent.
    pub fn line(&mut self, line: &str) {
        self.add(r#"{"payload":"#, line);
    }

    /// Adds a message of the worker itself.
    pub fn report(&mut self, message: &str) {
        self.add(r#"{"report":"#, message);
    }

    fn add(&mut self, head: &str, json: &str) {
        if core::mem::replace(&mut self.has_any, true) {
            self.json.push(',');
        }
        self.json.push_str(head);
        self.json.push_str(json);
        self.json.push('}');
    }

    /// The body.
    pub fn finish(mut self) -> Bytes {
        self.json.push_str("]}");
        Bytes::from(self.json)
    }
}

/// The answer to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchStored {
    /// All lines of the worker up to this one are stored.
    pub received: u64,
}

/// The body of `PUT …/worker` and of `POST …/worker/heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerUpdate {
    /// The bridge that it is sent under.
    #[serde(alias = "epoch")]
    pub worker_epoch: u64,
    /// What the worker does, in a `PUT`.
    #[serde(default, alias = "worker_status", skip_serializing_if = "Option::is_none")]
    pub state: Option<WorkerState>,
    /// How the session ended, with the state `ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<SessionResult>,
    /// As in a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<u64>,
    /// As in a batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_worker: Option<u64>,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// It waits for a message.
    Idle,
    /// It is in a turn.
    Running,
    /// It is in a turn, and waits for an answer.
    #[serde(alias = "requires_action")]
    Waiting,
    /// The session is over.
    Ended,
    /// What a later version calls by another name: it changes nothing.
    #[serde(other)]
    Other,
}

/// The answer to either.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerPulse {
    /// `running`, `stopping` once a person has asked for the session to end, or `ended`.
    pub state: Cow<'static, str>,
}

impl WorkerPulse {
    /// Whether a person has asked for the session to end.
    pub fn is_stopping(&self) -> bool {
        self.state == "stopping"
    }
}

/// What a relay says on a stream besides its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEvent {
    /// A line for the agent, and its number.
    Line {
        /// Its number.
        number: u64,
        /// The line.
        line: Text,
    },
    /// First of all: what the relay has, and what it no longer holds.
    Resume(StreamResume),
    /// What was declared to an earlier run of the agent: an `initialize` without a number (M-6).
    Declared(Text),
    /// A person wants the session to end.
    Stop,
    /// The relay ends the stream; the code is as on a link of version 1.
    Close(StreamClose),
    /// Of a later version, to be ignored.
    Unknown,
}

/// Where both sides stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamResume {
    /// Lines of the worker that are stored.
    pub received: u64,
    /// Lines for the agent that the relay no longer holds: up to this one.
    pub from: u64,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamClose {
    /// As the close code of a WebSocket.
    pub code: u16,
}

impl StreamEvent {
    /// From the name, the id and the data of an event; `None` if it is malformed.
    pub fn parse(name: &str, id: Option<&str>, data: String) -> Option<Self> {
        Some(match name {
            "message" => {
                let number = id?.parse().ok()?;
                Self::Line { number, line: Text::from(data) }
            }
            "resume" => Self::Resume(serde_json::from_str(&data).ok()?),
            "close" => Self::Close(serde_json::from_str(&data).ok()?),
            "declared" => {
                let message: Box<RawValue> = serde_json::from_str(&data).ok()?;
                Self::Declared(Text::from(message.get().replace(['\n', '\r'], " ")))
            }
            "stop" => Self::Stop,
            _ => Self::Unknown,
        })
    }

    /// As it is written to a stream.
    pub fn to_text(&self) -> Text {
        Text::from(match self {
            Self::Line { number, line } => {
                let line = line.as_str();
                let mut text = String::with_capacity(line.len() + 40);
                text.push_str(&format!("id: {number}\ndata: "));
                push_data(&mut text, line);
                text
            }
            Self::Resume(resume) => named("resume", &super::to_text(resume)),
            Self::Close(close) => named("close", &super::to_text(close)),
            Self::Declared(line) => named("declared", line),
            Self::Stop => named("stop", &Text::from("{}")),
            Self::Unknown => String::from(":\n\n"),
        })
    }
}

fn named(name: &str, data: &Text) -> String {
    let mut text = format!("event: {name}\ndata: ");
    push_data(&mut text, data.as_str());
    text
}

/// In JSON a line break stands only between tokens, so a space can replace it.
fn push_data(text: &mut String, data: &str) {
    if data.contains(['\n', '\r']) {
        text.push_str(&data.replace(['\n', '\r'], " "));
    } else {
        text.push_str(data);
    }
    text.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_batch_is_written_of_is_read_back_byte_for_byte() {
        let lines = ["{\"type\":\"user\", \"a\":1e400}", "{\"payload\":{\"type\":\"x\"}}", "[1]"];
        let mut writer = BatchWriter::new(3, 7, 2, 4);
        for line in lines {
            writer.line(line);
        }
        writer.report("{\"type\":\"footbridge\"}");
        let body = writer.finish();
        let batch: Batch<'_> = serde_json::from_slice(&body).expect("a batch");
        assert_eq!((batch.worker_epoch, batch.first_sequence_num), (3, Some(7)));
        assert_eq!((batch.delivered, batch.with_worker), (Some(2), Some(4)));
        let items: Vec<_> = batch.events.iter().map(|raw| BatchItem::of(raw)).collect();
        for (item, line) in items.iter().zip(lines) {
            assert!(matches!(item, BatchItem::Line(raw) if raw.get() == line), "{line}");
        }
        let is_report = |item: &BatchItem<'_>| matches!(item, BatchItem::Report(raw) if raw.get().contains("footbridge"));
        assert!(is_report(&items[3]));
    }

    #[test]
    fn a_bare_message_stands_for_itself_whatever_else_it_has() {
        let bare = r#"{"worker_epoch":1,"events":[{"type":"x","report":{"type":"footbridge"}}]}"#;
        let batch: Batch<'_> = serde_json::from_str(bare).expect("a batch");
        assert!(
            matches!(BatchItem::of(batch.events[0]), BatchItem::Line(raw) if raw.get().contains("\"x\""))
        );
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let line = StreamEvent::Line { number: 9, line: Text::from("{\"a\":\r1}") };
        assert_eq!(line.to_text().as_str(), "id: 9\ndata: {\"a\": 1}\n\n");
        let resume = StreamEvent::Resume(StreamResume { received: 4, from: 2 });
        assert_eq!(
            resume.to_text().as_str(),
            "event: resume\ndata: {\"received\":4,\"from\":2}\n\n"
        );
        let read =
            StreamEvent::parse("resume", None, String::from(r#"{"received":4,"from":2,"x":1}"#));
        assert_eq!(read, Some(resume));
        assert_eq!(StreamEvent::parse("message", None, String::new()), None, "a line has a number");
        assert_eq!(StreamEvent::parse("later", None, String::new()), Some(StreamEvent::Unknown));
    }
}
