//! A program that exposes its own session (B-1 to B-6): the host is the test.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use footbridge_core::auth::Credential;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::bridge::{
    Bridge, BridgeCommand, BridgeConfig, BridgeNotice, BridgeState, Snapshot, Teardown, What,
};
use footbridge_core::engine::backoff::Track;
use footbridge_core::wire::url::BaseUrl;
use serde_json::{Value, json};

use super::stage::api::TOKEN;
use super::stage::{Proxy, Relay, Session, until};
use crate::{HostSpec, Running, Runtime};

const MESSAGES: usize = 100;

/// A bridge that runs.
struct Bridged {
    running: Running<Bridge>,
    notices: Arc<Mutex<Vec<BridgeNotice>>>,
}

impl Bridged {
    fn start<R: Runtime>(
        address: &str,
        home: &Path,
        change: impl FnOnce(&mut BridgeConfig),
    ) -> Self {
        let relay = BaseUrl::parse(&format!("http://{address}")).expect("a URL");
        let credential = Credential::fixed(Secret::from(TOKEN));
        let directory = home.to_str().expect("text").to_owned();
        let mut config = BridgeConfig::new(relay, credential, directory, 7);
        let pause = Track {
            initial: Duration::from_millis(20),
            cap: Duration::from_millis(100),
            give_up: None,
        };
        (config.backoff.connection, config.backoff.general) = (pause, pause);
        change(&mut config);
        let notices: Arc<Mutex<Vec<BridgeNotice>>> = Arc::default();
        let told = Arc::clone(&notices);
        let running = R::start(Bridge::new(config), HostSpec::default(), move |notice| {
            told.lock().expect("no panic").push(notice);
        });
        Self { running, notices }
    }

    fn command(&self, command: BridgeCommand) {
        (self.running.command)(command);
    }

    fn publish(&self, message: &Value) {
        self.command(BridgeCommand::Publish(Text::from(message.to_string())));
    }

    fn says(&self, text: &str) {
        let content = json!([{"type": "text", "text": text}]);
        self.publish(&json!({"type": "assistant", "message": {"content": content}}));
    }

    fn notices(&self) -> Vec<BridgeNotice> {
        self.notices.lock().expect("no panic").clone()
    }

    fn snapshot(&self) -> Snapshot {
        let last = self.notices().into_iter().rev().find_map(|notice| match notice {
            BridgeNotice::Snapshot(snapshot) => Some(*snapshot),
            _ => None,
        });
        last.unwrap_or_default()
    }

    #[track_caller]
    fn until(&self, what: &str, is: impl Fn(&Snapshot) -> bool) -> Snapshot {
        until(what, || Some(self.snapshot()).filter(&is))
    }

    #[track_caller]
    fn session<'a>(&self, relay: &'a Relay) -> Session<'a> {
        let snapshot = self.until("it is connected", |it| it.state == BridgeState::Connected);
        relay.api.session_of(snapshot.session.expect("a session").as_str())
    }

    /// What viewers have said, in the order in which it came.
    fn heard(&self) -> Vec<String> {
        let text = |notice: BridgeNotice| match notice {
            BridgeNotice::Incoming(incoming) if incoming.what == What::Message => {
                let message: Value = serde_json::from_str(incoming.line.as_str()).expect("JSON");
                message["message"]["content"].as_str().map(str::to_owned)
            }
            _ => None,
        };
        self.notices().into_iter().filter_map(text).collect()
    }

    #[track_caller]
    fn ends(self, command: BridgeCommand) {
        self.command(command);
        until("it ends", || self.running.thread.is_finished().then_some(()));
        assert_eq!(self.running.thread.join().expect("no panic"), Ok(()));
    }
}

/// What the program has said, as its viewers see it.
fn seen(session: &Session<'_>) -> Vec<String> {
    let said = session.from("agent").into_iter().filter(|message| message["type"] == "assistant");
    let text =
        |message: Value| message["message"]["content"][0]["text"].as_str().map(str::to_owned);
    said.filter_map(text).collect()
}

pub fn over_breaks_a_program_and_its_viewers_lose_and_double_nothing<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    let bridge = Bridged::start::<R>(&proxy.address, home.path(), |_| {});
    // What is said before there is a session comes first.
    bridge.says("0");
    let session = bridge.session(&relay);
    for n in 1..MESSAGES {
        bridge.says(&n.to_string());
        session.say(&n.to_string());
        bridge.command(BridgeCommand::Taken { lines: 1 });
        if n % 25 == 10 {
            proxy.cut();
            let before = bridge.notices().len();
            let is_cut = |notice: &BridgeNotice| matches!(notice, BridgeNotice::Snapshot(it) if matches!(it.state, BridgeState::Reconnecting { .. }));
            until("it notices", || {
                let notices = bridge.notices();
                notices[before.saturating_sub(1)..].iter().any(is_cut).then_some(())
            });
            session.until("it is back", |now| now["connected"] == true);
        }
    }
    let expected: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    until("all is seen", || (seen(&session).len() >= MESSAGES).then_some(()));
    assert_eq!(seen(&session), expected);
    until("all is heard", || (bridge.heard().len() + 1 >= MESSAGES).then_some(()));
    bridge.command(BridgeCommand::Taken { lines: MESSAGES });
    assert_eq!(bridge.heard(), expected[1..]);
    bridge.publish(&json!({"type": "result", "subtype": "success"}));
    bridge.until("the turn is stored", |it| (it.turns, it.turns_stored) == (1, 1));
    bridge.ends(BridgeCommand::Teardown);
    let result = session.result();
    assert_eq!(result["status"], "completed");
    assert_eq!(relay.api.environments(), Vec::<Value>::new(), "it has deregistered");
}

pub fn a_viewer_answers_a_programs_question_and_sets_its_model<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let bridge = Bridged::start::<R>(&relay.address, home.path(), |_| {});
    let session = bridge.session(&relay);
    let request =
        json!({"subtype": "can_use_tool", "tool_name": "Paint", "input": {"colour": "red"}});
    bridge.publish(&json!({"type": "control_request", "request_id": "q1", "request": request}));
    session.answer(json!({"behavior": "allow"}));
    let answer = until("the answer", || {
        bridge.notices().into_iter().find_map(|notice| match notice {
            BridgeNotice::Incoming(it)
                if it.what == What::Answer { request_id: "q1".to_owned() } =>
            {
                Some(it.line)
            }
            _ => None,
        })
    });
    assert!(answer.as_str().contains(r#""updatedInput":{"colour":"red"}"#), "{answer:?}");
    bridge.command(BridgeCommand::Taken { lines: 1 });

    // One that the program takes back can no longer be answered.
    let request = json!({"subtype": "can_use_tool", "tool_name": "Paint", "input": {}});
    bridge.publish(&json!({"type": "control_request", "request_id": "q2", "request": request}));
    session.question();
    bridge.publish(&json!({"type": "control_cancel_request", "request_id": "q2"}));
    session.until("no question", |now| now["pending_permissions"] == json!([]));
    let late = json!({"request_id": "q2", "behavior": "allow"});
    assert_eq!(session.post("/permission", &late).0, 410);

    let request = json!({"subtype": "set_model", "model": "m2"});
    let request = json!({"type": "control_request", "request_id": "r1", "request": request});
    assert_eq!(session.post("/messages", &json!({"messages": [request]})).0, 200);
    let wanted = What::Request { request_id: "r1".to_owned(), subtype: "set_model".to_owned() };
    until("the request", || {
        let is = |notice: &BridgeNotice| matches!(notice, BridgeNotice::Incoming(it) if it.what == wanted);
        bridge.notices().iter().any(is).then_some(())
    });
    let body = json!({"subtype": "success", "request_id": "r1"});
    bridge.publish(&json!({"type": "control_response", "response": body}));
    session.event("the answer", |message| message["response"]["request_id"] == "r1");
    bridge.ends(BridgeCommand::Teardown);
}

pub fn after_a_perpetual_teardown_the_next_run_takes_its_session_up<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let state = home.path().join("state").to_str().expect("text").to_owned();
    let perpetual = |config: &mut BridgeConfig| {
        config.teardown = Teardown::Perpetual;
        config.state_directory = Some(state.clone());
        config.keeps_pointer = true;
    };
    let first = Bridged::start::<R>(&relay.address, home.path(), perpetual);
    first.says("before");
    let session = first.session(&relay);
    first.ends(BridgeCommand::Teardown);
    assert!(home.path().join("bridge-pointer.json").exists());
    let (now, all) = (session.now(), relay.api.environments());
    assert_eq!((&now["state"], &now["result"]), (&json!("running"), &Value::Null));
    assert_eq!(all.len(), 1, "it is still registered: {all:?}");
    session.say("meanwhile");
    let second = Bridged::start::<R>(&relay.address, home.path(), perpetual);
    assert_eq!(second.session(&relay).id, session.id);
    second.says("after");
    until("what was said meanwhile", || {
        second.heard().contains(&"meanwhile".to_owned()).then_some(())
    });
    until("it goes on", || (seen(&session) == ["before", "after"]).then_some(()));
    second.ends(BridgeCommand::TeardownNow);
}

pub fn a_relay_that_has_forgotten_everything_gets_the_session_again<R: Runtime>() {
    let (mut relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let bridge = Bridged::start::<R>(&relay.address, home.path(), |_| {});
    bridge.says("kept");
    let before = {
        let session = bridge.session(&relay);
        until("it is there", || (seen(&session) == ["kept"]).then_some(()));
        session.id
    };
    relay.restart();
    bridge.says("new");
    let now = until("another session", || {
        bridge.notices().into_iter().find_map(|notice| match notice {
            BridgeNotice::SessionChanged { before: old, now, .. } if old.as_str() == before => {
                Some(now)
            }
            _ => None,
        })
    });
    let session = relay.api.session_of(now.as_str());
    until("both are there", || (seen(&session) == ["kept", "new"]).then_some(()));
    bridge.until("it is connected", |it| it.state == BridgeState::Connected);
    bridge.ends(BridgeCommand::Teardown);
}
