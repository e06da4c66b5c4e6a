//! What viewers with habits do: several messages in one request, reading in pages, listing all
//! sessions, watching everything, healthchecks. Part of what got no response is sent again, along
//! with something new.

use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, Message, Method, Response, Target};
use footbridge_core::contract::event::Event;
use serde_json::{Value, json};

use super::habits::{Habit, Overview};
use super::notice::Listed;
use super::notice::ViewerNotice;
use super::shapes::{Entry, Page, Said, Saying, by_id, essence};
use super::{Purpose, SILENCE, Task, Viewer};
use crate::names::RELAY_WS_URL;

/// A viewer's requests to an agent, besides `interrupt`.
const SUBTYPES: [&str; 4] =
    ["initialize", "set_model", "set_permission_mode", "set_max_thinking_tokens"];
/// Accepted messages that may be sent again.
const RECENT: usize = 8;

impl Viewer {
    pub(super) fn note_habit(&mut self, millis: std::ops::Range<u64>, habit: Habit) {
        let wait = std::time::Duration::from_millis(self.habits.rng.u64(millis));
        self.note(wait, Task::Habit(habit));
    }

    /// A viewer's first habits.
    pub(super) fn take_up_habits(&mut self) {
        if self.habits.is_on {
            self.note_habit(100..10_000, Habit::Overview);
            self.note_habit(1_000..20_000, Habit::Wander);
        }
    }

    pub(super) fn begin_habit(&mut self, habit: Habit) {
        match habit {
            Habit::Wander => self.wander(),
            Habit::Batch { session, said } => self.post_batch(session, said),
            Habit::Page { session } => self.read_page(session),
            Habit::Walk { environment, before, found } => self.walk(environment, before, found),
            Habit::Check { environment, key } => self.check(environment, key),
            Habit::Overview => self.watch_overview(),
            Habit::ListenToOverview => self.listen_to_overview(),
            Habit::Declare { session } => self.declare_hook(session),
            Habit::Hook { .. } => self.answer_hook(habit),
        }
    }

    pub(super) fn habit_answered(&mut self, habit: Habit, status: u16, body: &Value) {
        match habit {
            Habit::Batch { session, said } => self.batch_answered(&session, said, status, body),
            Habit::Walk { environment, found, .. } if status == 200 => {
                self.walked(environment, found, body);
            }
            _ => {}
        }
    }

    fn wander(&mut self) {
        if self.is_settling {
            return;
        }
        match self.habits.rng.u8(..8) {
            0 => {
                let environment = self.an_environment().filter(|_| self.habits.rng.bool());
                self.tell(ViewerNotice::Listing);
                self.walk(environment, None, Vec::new());
            }
            1 => {
                if let Some(environment) = self.an_environment() {
                    self.habits.checks += 1;
                    let of_all = format!("check-{}", self.habits.checks % 3);
                    let own = format!("{}-check-{}", self.config.name, self.habits.checks);
                    let key = if self.habits.rng.bool() { of_all } else { own };
                    self.check(environment, key);
                }
            }
            _ => self.post_several(),
        }
        self.note_habit(500..30_000, Habit::Wander);
    }

    fn an_environment(&mut self) -> Option<String> {
        let at = self.habits.rng.usize(..self.environments.len().max(1));
        self.environments.get(at).cloned()
    }

    /// The world is calm: everyone gets one more request, and everything is listed.
    pub(super) fn settle_habits(&mut self) {
        if !self.habits.is_on {
            return;
        }
        let live = self.watched.iter().filter(|(_, w)| !w.is_over && !w.is_ended);
        for session in live.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let said = vec![self.a_request()];
            self.note_habit(10..5_000, Habit::Batch { session, said });
        }
        for environment in self.environments.clone() {
            let key = format!("{}-calm-{environment}", self.config.name);
            self.note_habit(10..300_000, Habit::Check { environment, key });
        }
        self.tell(ViewerNotice::Listing);
        self.walk(None, None, Vec::new());
    }

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

    /// Sends several messages at once to one of the sessions, some of them for a second time.
    pub(super) fn post_several(&mut self) {
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
        // After a lost response, some of it is sent again, in another order, along with something
        // new.
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
        // Without an id, a refusal may be for the second copy of a request that was accepted.
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
                // This response says nothing about what was sent before: that may have been stored.
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

    pub(super) fn read_page(&mut self, session: String) {
        let Some(watched) = self.watched.get(&session).filter(|watched| !watched.is_over) else {
            return;
        };
        let limit = self.habits.rng.u32(1..200);
        let path = format!("/v1/sessions/{session}/events?after={}&limit={limit}", watched.after);
        let purpose = Purpose::Task(Task::Habit(Habit::Page { session }));
        self.send(purpose, Method::Get, &path, String::new(), "");
    }

    pub(super) fn page_answered(&mut self, session: String, response: &Response) {
        if response.status == 404 {
            return self.gone(&session);
        }
        let page = serde_json::from_slice::<Page<'_>>(&response.body);
        let Some((page, watched)) = page.ok().zip(self.watched.get_mut(&session)) else {
            return self.note_habit(300..5_000, Habit::Page { session });
        };
        let after = watched.after;
        if page.first_seq > after + 1 {
            let resumes_after = page.first_seq - 1;
            watched.after = resumes_after;
            let (session, from) = (session.clone(), after);
            self.tell(ViewerNotice::Gap { session, after, from, resumes_after });
        }
        for Entry { seq, from, message } in &page.events {
            self.apply(&session, *seq, from, message.get());
        }
        let Some(watched) = self.watched.get(&session) else { return };
        let is_behind = watched.after < page.last_seq;
        if is_behind {
            self.read_page(session);
        } else {
            let is_done = watched.is_ended;
            let wait = if is_done { 60_000..120_000 } else { 500..20_000 };
            self.note_habit(wait, Habit::Page { session });
        }
    }

    pub(super) fn walk(
        &mut self,
        environment: Option<String>,
        before: Option<String>,
        found: Vec<String>,
    ) {
        let limit = self.habits.rng.u32(1..4);
        let mut path = format!("/v1/sessions?limit={limit}");
        for (name, value) in [("environment_id", &environment), ("before", &before)] {
            if let Some(value) = value {
                path += &format!("&{name}={value}");
            }
        }
        let habit = Habit::Walk { environment, before, found };
        self.send(Purpose::Task(Task::Habit(habit)), Method::Get, &path, String::new(), "");
    }

    pub(super) fn walked(
        &mut self,
        environment: Option<String>,
        mut found: Vec<String>,
        body: &Value,
    ) {
        let page = body["sessions"].as_array().into_iter().flatten();
        let page: Vec<_> = page.filter_map(|one| Some(one["id"].as_str()?.to_owned())).collect();
        match page.last().cloned() {
            Some(last) => {
                found.extend(page);
                self.walk(environment, Some(last), found);
            }
            None => {
                let is_all = environment.is_none();
                self.tell(ViewerNotice::Listed { sessions: found, is_all });
            }
        }
    }

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
            self.steps.act(Action::Cancel { op });
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

    /// What a list says, next to what the subscription has reported so far.
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
