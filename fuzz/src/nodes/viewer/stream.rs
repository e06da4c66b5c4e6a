//! A viewer's subscription to one session: applied event by event, resumed after a break.

use crate::names::RELAY_WS_URL;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::Instant;
use footbridge_core::contract::action::{Action, Message, Target};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::Step;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::notice::View;
use super::{ALIVE, Purpose, RETRY_MILLIS, SILENCE, Task, Viewer, ViewerNotice};

/// The largest message that it takes.
const MAX_MESSAGE: usize = 16 << 20;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    from: &'a str,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(default)]
    after: u64,
    #[serde(default)]
    resumes_after: u64,
}

impl Viewer {
    pub(super) fn subscribe(&mut self, session: &str) {
        let Some(watched) = self.watched.get(session) else { return };
        if watched.stream.is_some() || watched.is_over {
            return;
        }
        let bearer = format!("Bearer {}", self.config.token.borrow());
        let target = Target::WebSocket {
            url: format!("{RELAY_WS_URL}/v1/sessions/{session}/events/ws?after={}", watched.after),
            headers: vec![("authorization", Secret::new(bearer))],
            protocol: Some("footbridge.viewer.v1"),
            timeout: Duration::from_secs(15),
            max_message: MAX_MESSAGE,
        };
        let op = self.start(Purpose::Stream(session.to_owned()), |op| Action::Open { op, target });
        let now = self.now.mono;
        if let Some(watched) = self.watched.get_mut(session) {
            watched.stream = Some(op);
            watched.heard_at = now;
            watched.spoke_at = Instant::ORIGIN;
        }
        self.note(SILENCE, Task::Listen { session: session.to_owned() });
    }

    /// Lets go of a subscription that has been silent for too long.
    pub(super) fn listen(&mut self, session: &str) {
        let Some(watched) = self.watched.get(session) else { return };
        let Some(op) = watched.stream else { return };
        let silent = self.now.mono.saturating_since(watched.heard_at);
        if silent >= SILENCE {
            self.queue.push_back(Step::Do(Action::Cancel { op }));
            self.open.remove(&op);
            self.lost(session);
        } else {
            let wait = SILENCE - silent + Duration::from_millis(1);
            self.note(wait, Task::Listen { session: session.to_owned() });
        }
    }

    fn lost(&mut self, session: &str) {
        if let Some(watched) = self.watched.get_mut(session) {
            watched.stream = None;
        }
        self.note_within(RETRY_MILLIS, Task::Subscribe { session: session.to_owned() });
    }

    pub(super) fn gone(&mut self, session: &str) {
        if let Some(watched) = self.watched.get_mut(session) {
            watched.is_over = true;
            watched.stream = None;
        }
        self.tell(ViewerNotice::Gone { session: session.to_owned() });
    }

    pub(super) fn take_from_stream(&mut self, op: OpId, session: &str, event: Event) {
        if let Some(watched) = self.watched.get_mut(session) {
            watched.heard_at = self.now.mono;
            let is_due = self.now.mono.saturating_since(watched.spoke_at) >= ALIVE;
            if is_due && matches!(event, Event::Received { .. }) {
                watched.spoke_at = self.now.mono;
                let message = Message::Text(Text::from(r#"{"type":"alive"}"#));
                self.queue.push_back(Step::Do(Action::Send { op, message }));
            }
        }
        match event {
            Event::Received { message: Message::Text(text), .. } => {
                self.frame(session, text.as_str());
            }
            Event::Refused { response, .. } => {
                self.open.remove(&op);
                if response.status == 404 { self.gone(session) } else { self.lost(session) }
            }
            Event::Closed { code, .. } => {
                self.open.remove(&op);
                if code == Some(4404) { self.gone(session) } else { self.lost(session) }
            }
            Event::Failed { .. } => {
                self.open.remove(&op);
                self.lost(session);
            }
            _ => {}
        }
    }

    fn frame(&mut self, session: &str, text: &str) {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else { return };
        match frame.kind {
            "event" => {
                let message = frame.message.map(RawValue::get).unwrap_or_default();
                self.apply(session, frame.seq, frame.from, message);
            }
            "gap" => {
                let Some(watched) = self.watched.get_mut(session) else { return };
                let after = std::mem::replace(&mut watched.after, frame.resumes_after);
                self.tell(ViewerNotice::Gap {
                    session: session.to_owned(),
                    after,
                    from: frame.after,
                    resumes_after: frame.resumes_after,
                });
            }
            "session" => {
                if let Ok(value) = serde_json::from_str::<Value>(text) {
                    self.view(&value["session"]);
                }
            }
            _ => {}
        }
    }

    pub(super) fn apply(&mut self, session: &str, seq: u64, from: &str, message: &str) {
        let Some(watched) = self.watched.get_mut(session) else { return };
        let after = std::mem::replace(&mut watched.after, seq);
        if from == "agent"
            && message.contains("can_use_tool")
            && let Ok(value) = serde_json::from_str::<Value>(message)
            && let Some(request_id) = value["request_id"].as_str()
        {
            self.consider(session, request_id);
        }
        self.tell(ViewerNotice::Event {
            session: session.to_owned(),
            after,
            seq,
            from: from.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Takes a description of a session in.
    pub(super) fn view(&mut self, body: &Value) {
        let Some(session) = body["id"].as_str() else { return };
        let pending = body["pending_permissions"].as_array().into_iter().flatten();
        let pending: Vec<_> =
            pending.filter_map(|one| Some(one["request_id"].as_str()?.to_owned())).collect();
        let state = body["state"].as_str().unwrap_or_default().to_owned();
        if let Some(watched) = self.watched.get_mut(session) {
            watched.is_ended = state == "ended";
            watched.pending.clone_from(&pending);
            for request_id in &pending {
                self.consider(session, request_id);
            }
        }
        self.tell(ViewerNotice::View(View {
            session: session.to_owned(),
            state,
            is_connected: body["connected"] == true,
            pending,
            last_seq: body["last_seq"].as_u64().unwrap_or_default(),
            result: body["result"]["status"].as_str().map(str::to_owned),
            title: body["title"].as_str().map(str::to_owned),
        }));
    }
}
