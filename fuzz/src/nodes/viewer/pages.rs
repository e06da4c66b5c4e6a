//! Reading by pages: a session's log without a subscription, and the list of all sessions.

use footbridge_core::contract::action::{Method, Response};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::habits::Habit;
use super::{Purpose, Task, Viewer, ViewerNotice};

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<Entry<'a>>,
    first_seq: u64,
    last_seq: u64,
}

#[derive(Deserialize)]
struct Entry<'a> {
    seq: u64,
    from: &'a str,
    #[serde(borrow)]
    message: &'a RawValue,
}

impl Viewer {
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
}
