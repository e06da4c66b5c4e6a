//! A viewer's sessions: its requests about them, and its subscription to each, applied event by
//! event and resumed after a break.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::Instant;
use footbridge_core::contract::action::{
    Action, Answer, Message, Method, Reach, Request, Response, Target,
};
use footbridge_core::contract::event::Event;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::habits::Habit;
use super::notice::{Listed, Receipts, View, ViewerNotice};
use super::{ALIVE, Purpose, RETRY_MILLIS, SILENCE, Task, Viewer, Watched};
use crate::names::{RELAY_URL, RELAY_WS_URL};

/// How long a viewer waits for a response.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest response that it reads.
const MAX_RESPONSE: usize = 4 << 20;

/// The code with which the relay closes a subscription that it has no room for.
const NO_PLACE: u16 = 4429;
/// The largest message that it accepts.
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

fn receipts_in(value: &Value) -> Option<Receipts> {
    Some(Receipts { delivered: value["delivered"].as_u64()?, seen: value["seen"].as_u64()? })
}

impl Viewer {
    pub(super) fn send(
        &mut self,
        purpose: Purpose,
        method: Method,
        path: &str,
        body: String,
        key: &str,
    ) {
        let bearer = format!("Bearer {}", self.config.token.borrow());
        let mut headers = vec![("authorization", Secret::new(bearer))];
        if !key.is_empty() {
            headers.push(("idempotency-key", Secret::from(key)));
        }
        let request = Request {
            method,
            url: format!("{RELAY_URL}{path}"),
            headers,
            body: Bytes::from(body),
            timeout: TIMEOUT,
            answer: Answer::Whole { max_body: MAX_RESPONSE },
            reach: Reach::Anywhere,
        };
        self.start(purpose, |op| Action::Request { op, request });
    }

    pub(super) fn list(&mut self, purpose: Purpose, path: &str) {
        self.send(purpose, Method::Get, path, String::new(), "");
    }

    /// Sends a task's request.
    pub(super) fn ask(&mut self, task: Task) {
        let (path, body, key) = match &task {
            Task::Create { key } => {
                let at = self.rng.usize(..self.environments.len().max(1));
                let Some(environment) = self.environments.get(at) else {
                    return self.note_within(RETRY_MILLIS, task);
                };
                let body = match self.habits.title_for(key) {
                    Some(title) => {
                        format!(r#"{{"environment_id":"{environment}","title":"{title}"}}"#)
                    }
                    None => format!(r#"{{"environment_id":"{environment}"}}"#),
                };
                (String::from("/v1/sessions"), body, key.clone())
            }
            Task::Post { session, uuid, text } => {
                let body = format!(
                    r#"{{"messages":[{{"type":"user","uuid":"{uuid}","message":{{"role":"user","content":"{text}"}}}}]}}"#
                );
                (format!("/v1/sessions/{session}/messages"), body, String::new())
            }
            Task::Answer { session, request_id, body, is_allow } => {
                let (session, request_id) = (session.clone(), request_id.clone());
                let path = format!("/v1/sessions/{session}/permission");
                let body = body.clone();
                let is_allow = *is_allow;
                self.tell(ViewerNotice::Answering { session, request_id, is_allow });
                (path, body, String::new())
            }
            Task::Interrupt { session } => {
                (format!("/v1/sessions/{session}/interrupt"), String::new(), String::new())
            }
            Task::Stop { session } => {
                (format!("/v1/sessions/{session}/stop"), String::new(), String::new())
            }
            _ => return,
        };
        self.send(Purpose::Task(task), Method::Post, &path, body, &key);
    }

    pub(super) fn take(&mut self, event: Event) {
        let Some(op) = event.op() else { return };
        match self.open.get(&op).cloned() {
            Some(Purpose::Stream(session)) => self.take_from_stream(op, &session, event),
            Some(Purpose::Overview) => self.take_from_overview(op, event),
            Some(purpose) => {
                self.open.remove(&op);
                match event {
                    Event::Response { response, .. } => self.answered(purpose, &response),
                    _ => self.again(purpose, None),
                }
            }
            None => {}
        }
    }

    fn again(&mut self, purpose: Purpose, wait: Option<Duration>) {
        // Lists are requested regularly anyway.
        let Purpose::Task(mut task) = purpose else { return };
        if let Task::Habit(Habit::Batch { said, .. }) = &mut task {
            said.iter_mut().for_each(|one| one.was_sent = true);
        }
        match wait {
            Some(wait) => self.note(wait, task),
            None => self.note_within(RETRY_MILLIS, task),
        }
    }

    fn answered(&mut self, purpose: Purpose, response: &Response) {
        // If the token has changed in the meantime, the retry uses the new one.
        if matches!(response.status, 401 | 429 | 500..=599) {
            let secs = response.header("retry-after").and_then(|secs| secs.parse().ok());
            let wait = secs.map(|secs: u64| Duration::from_secs(secs.clamp(1, 60)));
            return self.again(purpose, wait);
        }
        if let Purpose::Task(Task::Habit(Habit::Page { session })) = purpose {
            return self.page_answered(session, response);
        }
        let Ok(body) = serde_json::from_slice::<Value>(&response.body) else {
            return self.again(purpose, None);
        };
        match purpose {
            Purpose::Environments if response.status == 200 => self.found_environments(&body),
            Purpose::Sessions if response.status == 200 => self.found_sessions(&body),
            Purpose::Task(task) => self.task_answered(task, response.status, &body),
            _ => {}
        }
    }

    fn found_environments(&mut self, body: &Value) {
        self.compare(Listed::Environments, body);
        let all = body["environments"].as_array().cloned().unwrap_or_default();
        let online = all.iter().filter(|environment| environment["online"] == true);
        self.environments =
            online.filter_map(|environment| Some(environment["id"].as_str()?.to_owned())).collect();
        if !self.environments.is_empty() && !self.is_settling {
            for n in 0..std::mem::take(&mut self.config.sessions) {
                let key = format!("{}-session-{n}", self.config.name);
                let key = self.habits.session_key(key);
                self.note_within(10..30_000, Task::Create { key });
            }
        }
    }

    fn found_sessions(&mut self, body: &Value) {
        self.compare(Listed::Sessions, body);
        for session in body["sessions"].as_array().into_iter().flatten() {
            self.view(session);
            let Some(id) = session["id"].as_str() else { continue };
            if self.config.follows && session["state"] != "ended" {
                self.watch(id);
            }
        }
    }

    fn watch(&mut self, session: &str) {
        if self.watched.contains_key(session) || self.is_settling {
            return;
        }
        self.watched.insert(session.to_owned(), Watched::default());
        if self.habits.reads_pages() {
            self.begin_habit(Habit::Page { session: session.to_owned() });
        } else {
            self.begin(Task::Subscribe { session: session.to_owned() });
        }
        let left = self.config.messages;
        if left > 0 {
            self.note_within(10..10_000, Task::Speak { session: session.to_owned(), left });
        }
    }

    fn task_answered(&mut self, task: Task, status: u16, body: &Value) {
        match (task, status) {
            (Task::Create { key }, 201) => {
                let session = body["id"].as_str().unwrap_or_default().to_owned();
                let title = self.habits.title_for(&key);
                self.tell(ViewerNotice::Created { key, session: session.clone(), title });
                self.watch(&session);
            }
            // The environment is gone: any other will do.
            (Task::Create { key }, 404) if !self.is_settling => {
                self.environments.clear();
                self.note_within(5_000..20_000, Task::Create { key });
            }
            (Task::Post { session, uuid, .. }, 200) => {
                let seq = body["accepted"][0]["seq"].as_u64().unwrap_or_default();
                self.tell(ViewerNotice::Accepted { session, uuid, seq });
            }
            (Task::Post { session, uuid, .. }, _) => {
                self.tell(ViewerNotice::Rejected { session, uuid });
            }
            (Task::Answer { session, request_id, body, .. }, 200) => {
                self.tell(ViewerNotice::Answered { session, request_id, body });
            }
            (Task::Answer { session, request_id, .. }, 409) => {
                let answer = body["error"]["answer"].to_string();
                self.tell(ViewerNotice::Conflict { session, request_id, answer });
            }
            (Task::Answer { session, request_id, .. }, 410) => {
                self.tell(ViewerNotice::Withdrawn { session, request_id });
            }
            (Task::Stop { .. }, 200) => self.view(body),
            (Task::Habit(habit), status) => self.habit_answered(habit, status, body),
            _ => {}
        }
    }

    pub(super) fn subscribe(&mut self, session: &str) {
        let Some(watched) = self.watched.get(session) else { return };
        if watched.stream.is_some() || watched.is_over {
            return;
        }
        let client = self.client().map(|client| format!("&client={client}")).unwrap_or_default();
        let bearer = format!("Bearer {}", self.config.token.borrow());
        let target = Target::WebSocket {
            url: format!(
                "{RELAY_WS_URL}/v1/sessions/{session}/events/ws?after={}{client}",
                watched.after
            ),
            headers: vec![("authorization", Secret::new(bearer))],
            protocol: Some("footbridge.viewer.v1"),
            timeout: Duration::from_secs(15),
            max_message: MAX_MESSAGE,
        };
        let op = self.start(Purpose::Stream(session.to_owned()), |op| Action::Open { op, target });
        let now = self.now.mono;
        if let Some(watched) = self.watched.get_mut(session) {
            watched.stream = Some(op);
            watched.is_served = false;
            watched.heard_at = now;
            watched.spoke_at = Instant::ORIGIN;
        }
        self.note(SILENCE, Task::Listen { session: session.to_owned() });
    }

    /// Drops a subscription that has been silent for too long.
    pub(super) fn listen(&mut self, session: &str) {
        let Some(watched) = self.watched.get(session) else { return };
        let Some(op) = watched.stream else { return };
        let silent = self.now.mono.saturating_since(watched.heard_at);
        if silent >= SILENCE {
            self.steps.act(Action::Cancel { op });
            self.open.remove(&op);
            self.lost(session, false);
        } else {
            let wait = SILENCE - silent + Duration::from_millis(1);
            self.note(wait, Task::Listen { session: session.to_owned() });
        }
    }

    fn lost(&mut self, session: &str, is_full: bool) {
        if let Some(watched) = self.watched.get_mut(session) {
            watched.stream = None;
        }
        self.tell(ViewerNotice::Unsubscribed { session: session.to_owned(), is_full });
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
                self.steps.act(Action::Send { op, message });
            }
        }
        match event {
            Event::Received { message: Message::Text(text), .. } => {
                self.served(session);
                self.frame(session, text.as_str());
            }
            Event::Refused { response, .. } => {
                self.open.remove(&op);
                if response.status == 404 { self.gone(session) } else { self.lost(session, false) }
            }
            Event::Closed { code, .. } => {
                self.open.remove(&op);
                match code {
                    Some(4404) => self.gone(session),
                    code => self.lost(session, code == Some(NO_PLACE)),
                }
            }
            Event::Failed { .. } => {
                self.open.remove(&op);
                self.lost(session, false);
            }
            _ => {}
        }
    }

    fn served(&mut self, session: &str) {
        let Some(watched) = self.watched.get_mut(session) else { return };
        if !std::mem::replace(&mut watched.is_served, true) {
            self.tell(ViewerNotice::Subscribed { session: session.to_owned() });
            self.consider_hooks(session);
        }
    }

    fn frame(&mut self, session: &str, text: &str) {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else { return };
        match frame.kind {
            "event" => {
                let message = frame.message.map(RawValue::get).unwrap_or_default();
                self.apply(session, frame.seq, frame.from, message);
            }
            "callback" => {
                if let Ok(value) = serde_json::from_str::<Value>(text)
                    && let Some(request_id) = value["request_id"].as_str()
                {
                    self.hook_asked(session, request_id, frame.seq);
                }
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
            "receipts" => {
                if let Ok(value) = serde_json::from_str::<Value>(text)
                    && let Some(receipts) = receipts_in(&value["receipts"])
                {
                    let session = session.to_owned();
                    self.tell(ViewerNotice::Receipts { session, receipts });
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

    /// Takes in a description of a session.
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
            receipts: receipts_in(&body["receipts"]),
        }));
    }
}
