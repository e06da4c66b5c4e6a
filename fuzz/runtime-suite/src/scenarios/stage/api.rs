//! A viewer: the relay's HTTP interface.

use std::cell::RefCell;

use serde_json::{Value, json};
use ureq::Agent;

use super::{PATIENCE, until};

/// The access token of the tests' relays.
pub(crate) const TOKEN: &str = "marked-access-token-5b1f";

/// The interface of one relay.
pub(crate) struct Api {
    agent: Agent,
    base: String,
}

impl Api {
    pub(crate) fn new(base: String) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            // A restarted relay must not be sent requests over an old connection.
            .max_idle_connections(0)
            .timeout_global(Some(PATIENCE));
        Self { agent: config.build().into(), base }
    }

    /// Status and body of a GET.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let request = self.agent.get(format!("{}{path}", self.base));
        read(request.header("authorization", format!("Bearer {TOKEN}")).call(), path)
    }

    /// Status and body of a POST.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let request = request.header("content-type", "application/json");
        read(request.send(body.to_string()), path)
    }

    /// The environments that are online.
    #[track_caller]
    pub(crate) fn environments(&self) -> Vec<Value> {
        let (_, body) = self.get("/v1/environments");
        let all = body["environments"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|environment| environment["online"] == true).collect()
    }

    /// Waits for the only environment, and creates a session there.
    #[track_caller]
    pub(crate) fn session(&self) -> Session<'_> {
        let id = until("one environment", || match &self.environments()[..] {
            [one] => one["id"].as_str().map(str::to_owned),
            _ => None,
        });
        self.session_at(&id)
    }

    /// A session that is there.
    pub(crate) fn session_of(&self, id: &str) -> Session<'_> {
        Session { api: self, id: id.to_owned(), read: RefCell::default() }
    }

    /// Creates a session at an environment.
    #[track_caller]
    pub(crate) fn session_at(&self, environment: &str) -> Session<'_> {
        let asked = json!({ "environment_id": environment });
        let (status, session) = self.post("/v1/sessions", &asked);
        assert_eq!(status, 201, "{session}");
        let id = session["id"].as_str().expect("an id").to_owned();
        Session { api: self, id, read: RefCell::default() }
    }
}

#[track_caller]
fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>, path: &str) -> (u16, Value) {
    let mut answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().expect("a body");
    (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// One session, as a viewer sees it.
pub(crate) struct Session<'a> {
    api: &'a Api,
    pub(crate) id: String,
    /// Its log as far as it has been read.
    read: RefCell<Vec<(String, Value)>>,
}

impl Session<'_> {
    fn path(&self, what: &str) -> String {
        format!("/v1/sessions/{}{what}", self.id)
    }

    /// The session as it is now.
    #[track_caller]
    pub(crate) fn now(&self) -> Value {
        self.api.get(&self.path("")).1
    }

    /// Waits until the session is in the wanted state.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.now()).filter(&is))
    }

    /// Waits until its worker's link is up and its agent runs; the agent's process id.
    #[track_caller]
    pub(crate) fn running(&self) -> u32 {
        self.until("it runs", |now| now["state"] == "running" && now["connected"] == true);
        let started = self.event("its agent runs", |event| event["subtype"] == "agent_started");
        started["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a process id")
    }

    /// Waits until it ends; its result.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        self.until("its end", |now| now["state"] == "ended")["result"].clone()
    }

    #[track_caller]
    pub(crate) fn get(&self, what: &str) -> Value {
        self.api.get(&self.path(what)).1
    }

    #[track_caller]
    pub(crate) fn post(&self, what: &str, body: &Value) -> (u16, Value) {
        self.api.post(&self.path(what), body)
    }

    /// Posts messages from a person to it, retrying while it is full.
    #[track_caller]
    pub(crate) fn say_all(&self, texts: &[String]) {
        let user = |text| json!({"type": "user", "message": {"role": "user", "content": text}});
        let body = json!({ "messages": texts.iter().map(user).collect::<Vec<_>>() });
        until("they are accepted", || {
            let (status, answer) = self.post("/messages", &body);
            assert!(status == 200 || status == 429, "{answer}");
            (status == 200).then_some(())
        });
    }

    #[track_caller]
    pub(crate) fn say(&self, text: &str) {
        self.say_all(&[text.to_owned()]);
    }

    /// Waits for the agent's permission request; its `request_id`.
    #[track_caller]
    pub(crate) fn question(&self) -> String {
        let now = self.until("a question", |now| now["pending_permissions"][0].is_object());
        now["pending_permissions"][0]["request_id"].as_str().expect("an id").to_owned()
    }

    /// Answers the agent's permission request.
    #[track_caller]
    pub(crate) fn answer(&self, mut answer: Value) {
        answer["request_id"] = self.question().into();
        answer["seq"] = self.now()["pending_permissions"][0]["seq"].clone();
        let (status, body) = self.post("/permission", &answer);
        assert_eq!(status, 200, "{body}");
    }

    #[track_caller]
    pub(crate) fn stop(&self) {
        let (status, answer) = self.post("/stop", &json!({}));
        assert_eq!(status, 200, "{answer}");
    }

    /// Its whole log: where each message is from, and the message.
    #[track_caller]
    pub(crate) fn log(&self) -> Vec<(String, Value)> {
        while self.reads_on() {}
        self.read.borrow().clone()
    }

    /// Reads a page more of its log, if there is more.
    #[track_caller]
    fn reads_on(&self) -> bool {
        let mut log = self.read.borrow_mut();
        let page = self.path(&format!("/events?after={}&limit=1000", log.len()));
        let (status, page) = self.api.get(&page);
        assert_eq!(status, 200, "{page}");
        let events = page["events"].as_array().cloned().unwrap_or_default();
        let Some(first) = events.first() else { return false };
        assert_eq!(first["seq"].as_u64(), u64::try_from(log.len() + 1).ok(), "no gap");
        let one = |event: &Value| {
            (event["from"].as_str().expect("text").to_owned(), event["message"].clone())
        };
        log.extend(events.iter().map(one));
        true
    }

    /// What its log has from one side.
    #[track_caller]
    pub(crate) fn from(&self, side: &str) -> Vec<Value> {
        let log = self.log().into_iter().filter(|(from, _)| from == side);
        log.map(|(_, message)| message).collect()
    }

    /// Waits for a message in its log. Reads no further than to there: an agent that says much
    /// may be ahead of whoever wants to read all of it.
    #[track_caller]
    pub(crate) fn event(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut looked_at = 0;
        until(what, || {
            loop {
                let new = self.read.borrow()[looked_at..].to_vec();
                looked_at += new.len();
                if let Some((_, message)) = new.into_iter().find(|(_, message)| is(message)) {
                    return Some(message);
                }
                if !self.reads_on() {
                    return None;
                }
            }
        })
    }

    /// Waits until the agent echoes a message.
    #[track_caller]
    pub(crate) fn echo(&self, text: &str) {
        until(&format!("an echo of {text:?}"), || {
            self.from("agent").iter().any(|m| m["message"]["content"] == text).then_some(())
        });
    }

    /// Waits for the end of the `n`th turn of its agent; how it ended.
    #[track_caller]
    pub(crate) fn turn(&self, n: usize) -> Value {
        until("the end of a turn", || {
            let of_turns = self.from("agent").into_iter().filter(|m| m["type"] == "result");
            of_turns.into_iter().nth(n - 1)
        })
    }

    /// The tool results reported by the agent.
    #[track_caller]
    pub(crate) fn tool_results(&self) -> Vec<String> {
        let said = self.from("agent").into_iter().filter(|m| m["type"] == "user");
        let text = |m: Value| m["message"]["content"][0]["content"].as_str().map(str::to_owned);
        said.filter_map(text).collect()
    }
}
