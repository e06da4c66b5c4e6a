//! Several messages in one request: of a person, and for the agent itself. What got no answer is
//! said again in part, beside something new.

use footbridge_core::contract::action::Method;
use serde_json::{Value, json};

use super::habits::Habit;
use super::{Purpose, Task, Viewer, ViewerNotice};

/// One message of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    /// Its uuid, or the request's id.
    pub(crate) name: String,
    pub(crate) kind: Saying,
    /// It may be known to the relay from a request that got no answer.
    pub(crate) was_sent: bool,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Saying {
    /// Of a person: as a text, or as a list of blocks.
    User { bytes: usize, is_list: bool },
    /// A `control_request`, with a uuid of its own or without.
    Request { subtype: &'static str, has_uuid: bool },
}

/// What a viewer asks an agent, beside `interrupt`.
const SUBTYPES: [&str; 4] =
    ["initialize", "set_model", "set_permission_mode", "set_max_thinking_tokens"];
/// Accepted messages that may be said again.
const RECENT: usize = 8;

impl Said {
    const fn has_uuid(&self) -> bool {
        !matches!(self.kind, Saying::Request { has_uuid: false, .. })
    }

    fn json(&self) -> Value {
        let name = &self.name;
        match self.kind {
            Saying::User { bytes, is_list } => {
                let text = format!("echo {}", "b".repeat(bytes));
                let content =
                    if is_list { json!([{"type": "text", "text": text}]) } else { json!(text) };
                json!({"type": "user", "uuid": name,
                       "message": {"role": "user", "content": content}})
            }
            Saying::Request { subtype, has_uuid } => {
                let mut request = json!({"subtype": subtype});
                match subtype {
                    "set_model" => request["model"] = json!("a-model"),
                    "set_permission_mode" => request["mode"] = json!("acceptEdits"),
                    "set_max_thinking_tokens" => request["max_thinking_tokens"] = json!(4096),
                    _ => {}
                }
                let mut message =
                    json!({"type": "control_request", "request_id": name, "request": request});
                if has_uuid {
                    message["uuid"] = json!(format!("{name}-uuid"));
                }
                message
            }
        }
    }
}

impl Viewer {
    pub(super) fn a_request(&mut self) -> Said {
        self.habits.requests += 1;
        let rng = &mut self.habits.rng;
        let kind = Saying::Request {
            subtype: SUBTYPES[rng.usize(..SUBTYPES.len())],
            has_uuid: rng.bool(),
        };
        let name = format!("{}-request-{}", self.config.name, self.habits.requests);
        Said { name, kind, was_sent: false }
    }

    fn a_message(&mut self) -> Said {
        self.habits.requests += 1;
        let rng = &mut self.habits.rng;
        let kind = Saying::User { bytes: rng.usize(1..60), is_list: rng.bool() };
        let name = format!("{}-batch-{}", self.config.name, self.habits.requests);
        Said { name, kind, was_sent: false }
    }

    fn something_new(&mut self) -> Said {
        if self.habits.rng.bool() { self.a_request() } else { self.a_message() }
    }

    /// Says several things at once in one of the sessions, some of them once more.
    pub(super) fn say_several(&mut self) {
        let live = self.watched.iter().filter(|(_, w)| !w.is_over && !w.is_ended);
        let live: Vec<_> = live.map(|(id, _)| id.clone()).collect();
        let Some(session) = self.habits.rng.choice(live) else { return };
        let mut said: Vec<_> =
            (0..self.habits.rng.u32(1..5)).map(|_| self.something_new()).collect();
        let known = self.habits.recent.iter().filter(|(of, _)| *of == session);
        let known: Vec<_> = known.map(|(_, said)| said.clone()).collect();
        if let Some(again) = self.habits.rng.choice(known).filter(|_| self.habits.rng.bool()) {
            let at = self.habits.rng.usize(..=said.len());
            said.insert(at, again);
        }
        self.post_batch(session, said);
    }

    pub(super) fn post_batch(&mut self, session: String, mut said: Vec<Said>) {
        // After a lost answer some of it is said again, in another order, beside something new.
        if said.iter().any(|one| one.was_sent) && self.habits.rng.bool() {
            let rng = &mut self.habits.rng;
            said.retain(|_| rng.u8(..) < 170);
            rng.shuffle(&mut said);
            if !self.is_settling || said.is_empty() {
                said.push(self.something_new());
            }
        }
        let messages: Vec<_> = said.iter().map(Said::json).collect();
        let body = json!({"messages": messages}).to_string();
        let path = format!("/v1/sessions/{session}/messages");
        let purpose = Purpose::Task(Task::Habit(Habit::Batch { session, said }));
        self.send(purpose, Method::Post, &path, body, "");
    }

    pub(super) fn batch_answered(
        &mut self,
        session: &str,
        said: Vec<Said>,
        status: u16,
        body: &Value,
    ) {
        // Of what has no name, a refusal may be of the second copy of the request that was taken first.
        let has_names = said.iter().all(Said::has_uuid);
        for (at, one) in said.into_iter().enumerate() {
            let (session, name) = (session.to_owned(), one.name.clone());
            let accepted = &body["accepted"][at];
            let seq = accepted["seq"].as_u64().unwrap_or_default();
            match (one.kind, status) {
                (Saying::User { .. }, 200) => {
                    let uuid = accepted["uuid"].as_str().unwrap_or_default().to_owned();
                    self.tell(ViewerNotice::Accepted { session: session.clone(), uuid, seq });
                    self.remember(session, one);
                }
                (Saying::Request { has_uuid, .. }, 200) => {
                    let request_id = accepted["request_id"].as_str().unwrap_or_default().to_owned();
                    let is_named = has_uuid;
                    let of = session.clone();
                    self.tell(ViewerNotice::Requested { session: of, request_id, is_named, seq });
                    if has_uuid {
                        self.remember(session, one);
                    }
                }
                // Of what was sent before, this answer says nothing: that may have been stored.
                (Saying::User { .. }, _) if !one.was_sent && has_names => {
                    self.tell(ViewerNotice::Rejected { session, uuid: name });
                }
                _ => {}
            }
        }
    }

    fn remember(&mut self, session: String, said: Said) {
        self.habits.recent.push((session, Said { was_sent: true, ..said }));
        if self.habits.recent.len() > RECENT {
            self.habits.recent.remove(0);
        }
    }
}
