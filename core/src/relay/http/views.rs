//! Environments, sessions and events as viewers see them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::contract::action::Response;
use crate::relay::http::response;
use crate::store::{Entry, Environment, Page, Question, Session};
use crate::wire::session::{SessionResult, SessionState};
use crate::wire::to_json;

#[derive(Serialize)]
pub(in crate::relay) struct EnvironmentView<'a> {
    id: &'a str,
    machine_name: &'a str,
    directory: &'a str,
    branch: Option<&'a str>,
    git_repo_url: Option<&'a str>,
    worker_type: &'a str,
    max_sessions: u32,
    active_sessions: usize,
    online: bool,
    #[serde(serialize_with = "rfc3339")]
    created_at: UnixTime,
    #[serde(serialize_with = "rfc3339")]
    last_seen_at: UnixTime,
    last_healthcheck: Option<HealthcheckView>,
}

#[derive(Serialize)]
struct HealthcheckView {
    #[serde(serialize_with = "rfc3339")]
    asked_at: UnixTime,
    #[serde(serialize_with = "rfc3339_or_null")]
    answered_at: Option<UnixTime>,
}

impl<'a> EnvironmentView<'a> {
    pub(in crate::relay) fn of(environment: &'a Environment) -> Self {
        let said = &environment.registration;
        Self {
            id: environment.id.as_str(),
            machine_name: &said.machine_name,
            directory: &said.directory,
            branch: said.branch.as_deref(),
            git_repo_url: said.git_repo_url.as_deref(),
            worker_type: &said.metadata.worker_type,
            max_sessions: said.max_sessions,
            active_sessions: environment.active_sessions,
            online: environment.is_online,
            created_at: environment.created_at,
            last_seen_at: environment.last_seen_at,
            last_healthcheck: environment.last_healthcheck.map(|last| HealthcheckView {
                asked_at: last.asked_at,
                answered_at: last.answered_at,
            }),
        }
    }
}

#[derive(Serialize)]
pub(in crate::relay) struct SessionView<'a> {
    id: &'a str,
    environment_id: &'a str,
    title: Option<&'a str>,
    state: SessionState,
    connected: bool,
    stopping: bool,
    pending_permissions: &'a [Question],
    #[serde(serialize_with = "rfc3339")]
    created_at: UnixTime,
    #[serde(serialize_with = "rfc3339")]
    updated_at: UnixTime,
    first_seq: u64,
    last_seq: u64,
    result: Option<&'a SessionResult>,
}

impl<'a> SessionView<'a> {
    pub(in crate::relay) fn of(session: &'a Session, connected: bool) -> Self {
        Self {
            id: session.id.as_str(),
            environment_id: session.environment.as_str(),
            title: session.title.as_deref(),
            state: session.state,
            connected,
            stopping: session.is_stopping,
            pending_permissions: &session.pending,
            created_at: session.created_at,
            updated_at: session.updated_at,
            first_seq: session.first_seq,
            last_seq: session.last_seq,
            result: session.result.as_ref(),
        }
    }
}

fn rfc3339<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn rfc3339_or_null<S: Serializer>(
    time: &Option<UnixTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => rfc3339(time, serializer),
        None => serializer.serialize_none(),
    }
}

pub(in crate::relay) fn environments(environments: &[Environment]) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        environments: Vec<EnvironmentView<'a>>,
    }
    let environments = environments.iter().map(EnvironmentView::of).collect();
    response::json(200, &Body { environments })
}

/// A frame of a stream: an object with its `type`.
pub(in crate::relay) fn frame<T: Serialize>(value: &T) -> Text {
    Text::from_utf8(to_json(value)).unwrap_or_default()
}

/// An event as a frame of a subscription. The message goes in as the bytes that it is.
pub(in crate::relay) fn event_frame(entry: &Entry) -> Text {
    let mut json = String::with_capacity(entry.line.len() + FRAME_BYTES);
    json.push_str("{\"type\":\"event\",");
    push_event(&mut json, entry);
    Text::from(json)
}

/// What an event's frame takes beside its message, about.
const FRAME_BYTES: usize = 96;

fn push_event(json: &mut String, entry: &Entry) {
    let from = match entry.origin {
        crate::store::Origin::Agent => "agent",
        crate::store::Origin::Viewer => "viewer",
        crate::store::Origin::Worker => "worker",
        crate::store::Origin::Relay => "relay",
    };
    json.push_str("\"seq\":");
    json.push_str(&entry.seq.to_string());
    json.push_str(",\"at\":\"");
    json.push_str(&entry.at.to_string());
    json.push_str("\",\"from\":\"");
    json.push_str(from);
    json.push_str("\",\"message\":");
    json.push_str(entry.line.as_str());
    json.push('}');
}

/// A page of the log as an answer.
pub(in crate::relay) fn page(page: &Page) -> Response {
    let bytes: usize = page.entries.iter().map(|entry| entry.line.len() + FRAME_BYTES).sum();
    let mut json = String::with_capacity(bytes + FRAME_BYTES);
    json.push_str("{\"events\":[");
    for (at, entry) in page.entries.iter().enumerate() {
        json.push_str(if at == 0 { "{" } else { ",{" });
        push_event(&mut json, entry);
    }
    json.push_str("],\"first_seq\":");
    json.push_str(&page.session.first_seq.to_string());
    json.push_str(",\"last_seq\":");
    json.push_str(&page.session.last_seq.to_string());
    json.push('}');
    response::json_bytes(200, Bytes::from(json))
}
