//! Watching all environments and sessions, and asking workers whether they are there.

use crate::names::{FUTURE, RELAY_WS_URL};
use std::collections::BTreeMap;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::time::Instant;
use footbridge_core::contract::action::{Action, Message, Method, Target};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::Step;
use serde_json::Value;

use super::habits::Habit;
use super::notice::Listed;
use super::{Purpose, SILENCE, Task, Viewer, ViewerNotice};

/// What the subscription has told.
#[derive(Debug, Default)]
pub(super) struct Overview {
    stream: Option<OpId>,
    heard_at: Instant,
    /// The environments, and the sessions, by their ids; none before the first word.
    told: Option<[BTreeMap<String, String>; 2]>,
}

/// What is told of a thing whenever it changes, as one text; without what this version knows nothing
/// of.
fn essence(value: &Value) -> String {
    let mut value = value.clone();
    forget(&mut value);
    value.to_string()
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // These change without a word, but for the last.
            for name in ["updated_at", "first_seq", "last_seq", "last_seen_at", FUTURE] {
                fields.remove(name);
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(all) => all.iter_mut().for_each(forget),
        _ => {}
    }
}

fn by_id(all: &Value) -> BTreeMap<String, String> {
    let all = all.as_array().into_iter().flatten();
    all.filter_map(|one| Some((one["id"].as_str()?.to_owned(), essence(one)))).collect()
}

impl Viewer {
    pub(super) fn watch_overview(&mut self) {
        if self.habits.overview.stream.is_some() {
            return;
        }
        let bearer = format!("Bearer {}", self.config.token.borrow());
        let target = Target::WebSocket {
            url: format!("{RELAY_WS_URL}/v1/overview/ws"),
            headers: vec![("authorization", Secret::new(bearer))],
            protocol: Some("footbridge.viewer.v1"),
            timeout: Duration::from_secs(15),
            max_message: 4 << 20,
        };
        let op = self.start(Purpose::Overview, |op| Action::Open { op, target });
        self.habits.overview = Overview { stream: Some(op), heard_at: self.now.mono, told: None };
        self.note(SILENCE, Task::Habit(Habit::ListenToOverview));
    }

    pub(super) fn listen_to_overview(&mut self) {
        let Some(op) = self.habits.overview.stream else { return };
        let silent = self.now.mono.saturating_since(self.habits.overview.heard_at);
        if silent >= SILENCE {
            self.queue.push_back(Step::Do(Action::Cancel { op }));
            self.open.remove(&op);
            self.lost_overview();
        } else {
            let wait = SILENCE - silent + Duration::from_millis(1);
            self.note(wait, Task::Habit(Habit::ListenToOverview));
        }
    }

    fn lost_overview(&mut self) {
        self.habits.overview = Overview::default();
        self.tell(ViewerNotice::OverviewBegins);
        self.note_habit(300..5_000, Habit::Overview);
    }

    pub(super) fn take_from_overview(&mut self, op: OpId, event: Event) {
        self.habits.overview.heard_at = self.now.mono;
        match event {
            Event::Received { message: Message::Text(text), .. } => {
                if let Ok(value) = serde_json::from_str::<Value>(text.as_str()) {
                    self.told_by_overview(&value);
                }
            }
            Event::Refused { .. } | Event::Closed { .. } | Event::Failed { .. } => {
                self.open.remove(&op);
                self.lost_overview();
            }
            _ => {}
        }
    }

    fn told_by_overview(&mut self, value: &Value) {
        let kind = value["type"].as_str().unwrap_or_default();
        if kind == "overview" {
            let told = [by_id(&value["environments"]), by_id(&value["sessions"])];
            self.habits.overview.told = Some(told);
            for session in value["sessions"].as_array().into_iter().flatten() {
                self.viewed_in_overview(session);
            }
            return;
        }
        let (at, one) = match kind {
            "environment" => (0, &value["environment"]),
            "environment_gone" => (0, value),
            "session" => (1, &value["session"]),
            "session_gone" => (1, value),
            _ => return,
        };
        let Some(id) = one["id"].as_str() else { return };
        let Some(told) = &mut self.habits.overview.told else { return };
        if kind.ends_with("_gone") {
            told[at].remove(id);
        } else {
            told[at].insert(id.to_owned(), essence(one));
        }
        if kind == "session" {
            self.viewed_in_overview(one);
        }
    }

    fn viewed_in_overview(&mut self, session: &Value) {
        self.view(session);
        let id = session["id"].as_str().unwrap_or_default().to_owned();
        let state = session["state"].as_str().unwrap_or_default().to_owned();
        self.tell(ViewerNotice::InOverview { session: id, state });
    }

    /// What a list says, beside what the subscription has told by now.
    pub(super) fn compare(&mut self, what: Listed, body: &Value) {
        if !self.habits.are_on() {
            return;
        }
        let (at, name) = match what {
            Listed::Environments => (0, "environments"),
            Listed::Sessions => (1, "sessions"),
        };
        let told = self.habits.overview.told.as_ref().map(|told| told[at].clone());
        self.tell(ViewerNotice::Compared { what, told, listed: by_id(&body[name]) });
        if what == Listed::Environments {
            for one in body[name].as_array().into_iter().flatten() {
                self.tell(ViewerNotice::Environment {
                    id: one["id"].as_str().unwrap_or_default().to_owned(),
                    is_online: one["online"] == true,
                    has_room: one["active_sessions"].as_u64() < one["max_sessions"].as_u64(),
                    is_waiting: one["last_healthcheck"].is_object()
                        && one["last_healthcheck"]["answered_at"].is_null(),
                });
            }
        }
    }

    pub(super) fn check(&mut self, environment: String, key: String) {
        let path = format!("/v1/environments/{environment}/healthcheck");
        let named = key.clone();
        let habit = Habit::Check { environment, key };
        self.send(Purpose::Task(Task::Habit(habit)), Method::Post, &path, String::new(), &named);
    }
}
