//! A viewer without a browser: the relay's HTTP interface.

use serde_json::{Value, json};
use ureq::Agent;

use super::{DEADLINE, poll};

/// The interface of one relay, with one token.
pub(crate) struct Api {
    agent: Agent,
    pub(super) base: String,
    pub(super) token: String,
}

impl Api {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(DEADLINE));
        Self { agent: config.build().into(), base: base.to_owned(), token: token.to_owned() }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Status and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let request = self.agent.get(format!("{}{path}", self.base));
        let answer = request.header("authorization", format!("Bearer {}", self.token)).call();
        Self::read(answer.unwrap_or_else(|error| panic!("GET {path}: {error}")))
    }

    /// Status and body of a POST.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request = request.header("content-type", "application/json");
        let answer = request.send(body.to_string());
        Self::read(answer.unwrap_or_else(|error| panic!("POST {path}: {error}")))
    }

    fn read(mut answer: ureq::http::Response<ureq::Body>) -> (u16, Value) {
        let text = answer.body_mut().read_to_string().expect("a body");
        (answer.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    #[track_caller]
    fn expect(answer: (u16, Value)) -> Value {
        assert!(answer.0 < 300, "{} {}", answer.0, answer.1);
        answer.1
    }

    /// Creates a session on the only online environment; returns its id.
    #[track_caller]
    pub(crate) fn new_session(&self) -> String {
        let environments = Self::expect(self.get("/v1/environments"));
        let environments = environments["environments"].as_array().expect("a list");
        let online: Vec<_> = environments.iter().filter(|one| one["online"] == true).collect();
        let [environment] = online[..] else { panic!("not one environment: {environments:?}") };
        let session = self.post("/v1/sessions", &json!({ "environment_id": environment["id"] }));
        Self::expect(session)["id"].as_str().expect("an id").to_owned()
    }

    #[track_caller]
    pub(crate) fn say(&self, session: &str, text: &str) {
        let message = json!({"type": "user", "message": {"role": "user", "content": text}});
        let path = format!("/v1/sessions/{session}/messages");
        Self::expect(self.post(&path, &json!({ "messages": [message] })));
    }

    #[track_caller]
    pub(crate) fn session(&self, session: &str) -> Value {
        Self::expect(self.get(&format!("/v1/sessions/{session}")))
    }

    /// Waits until the session is in the wanted state.
    #[track_caller]
    pub(crate) fn wait_for(&self, session: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let found = poll(|| Some(self.session(session)).filter(&is));
        found.unwrap_or_else(|| {
            panic!(
                "timed out waiting for {what}: {} {:?}",
                self.session(session),
                self.log(session)
            )
        })
    }

    /// Waits until the session ends; returns its result.
    #[track_caller]
    pub(crate) fn result(&self, session: &str) -> Value {
        self.wait_for(session, "the end", |one| one["state"] == "ended")["result"].clone()
    }

    /// Waits for the agent's question, and allows it.
    #[track_caller]
    pub(crate) fn allow(&self, session: &str) {
        let asking = |one: &Value| one["pending_permissions"][0].is_object();
        let session_now = self.wait_for(session, "a question", asking);
        let asked = &session_now["pending_permissions"][0];
        let (id, seq) = (&asked["request_id"], &asked["seq"]);
        let answer = json!({"request_id": id, "seq": seq, "behavior": "allow"});
        Self::expect(self.post(&format!("/v1/sessions/{session}/permission"), &answer));
    }

    /// The first page of the session's log.
    #[track_caller]
    pub(crate) fn log(&self, session: &str) -> Vec<Value> {
        let page = Self::expect(self.get(&format!("/v1/sessions/{session}/events?after=0")));
        page["events"].as_array().expect("a list").clone()
    }

    /// Waits for an event in the log.
    #[track_caller]
    pub(crate) fn wait_for_event(
        &self,
        session: &str,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = poll(|| self.log(session).into_iter().find(&is));
        found.unwrap_or_else(|| panic!("timed out waiting for {what} in {:#?}", self.log(session)))
    }
}
