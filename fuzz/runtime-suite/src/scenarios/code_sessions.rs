//! Sessions that travel by plain requests and streams of events (C): the same scenarios as over
//! WebSockets, and a client that knows nothing but what is written about the interface.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use footbridge_core::worker::WorkerNotice;
use serde_json::{Value, json};

use super::stage::worker::{config, over_version_2, script};
use super::stage::{PATIENCE, Relay, Worker};
use super::{agents, callbacks, clocks, links, restarts, sessions, stops, worker_storm};
use crate::Runtime;

pub fn a_command_needs_permission_runs_and_shows_its_output<R: Runtime>() {
    over_version_2(sessions::a_command_needs_permission_runs_and_shows_its_output::<R>);
}

pub fn an_interrupt_withdraws_an_open_question<R: Runtime>() {
    over_version_2(sessions::an_interrupt_withdraws_an_open_question::<R>);
}

pub fn two_thousand_messages_go_to_the_agent_and_back_in_order<R: Runtime>() {
    over_version_2(links::two_thousand_messages_go_to_the_agent_and_back_in_order::<R>);
}

pub fn a_channel_that_keeps_breaking_loses_and_duplicates_nothing<R: Runtime>() {
    over_version_2(links::a_link_that_keeps_breaking_loses_and_duplicates_nothing::<R>);
}

pub fn output_while_the_relay_is_away_arrives_later<R: Runtime>() {
    over_version_2(links::output_while_the_relay_is_away_arrives_later::<R>);
}

pub fn a_relay_that_restarts_while_a_session_runs<R: Runtime>() {
    over_version_2(restarts::a_relay_that_restarts_while_a_session_runs::<R>);
}

pub fn a_worker_that_was_stopped_keeps_the_agents_of_its_sessions<R: Runtime>() {
    over_version_2(stops::a_worker_that_was_stopped_keeps_the_agents_of_its_sessions::<R>);
}

pub fn setting_the_clock_ends_no_session_and_stops_no_work<R: Runtime>() {
    over_version_2(clocks::setting_the_clock_ends_no_session_and_stops_no_work::<R>);
}

pub fn an_agent_that_dies_while_it_floods<R: Runtime>() {
    over_version_2(agents::one_that_dies_while_it_floods::<R>);
}

pub fn the_next_run_of_an_agent_is_told_of_the_hooks_before_it_works<R: Runtime>() {
    over_version_2(callbacks::the_next_run_of_an_agent_is_told_of_the_hooks_before_it_works::<R>);
}

pub fn killed_again_and_again_a_worker_loses_doubles_and_leaves_nothing<R: Runtime>() {
    worker_storm::storm::<R>(&["--transport", "v2"], 2);
}

/// A number that says how long something goes on, from a variable.
fn setting(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// `TOKEN_LIFE` says how many seconds a credential is valid, `TOKEN_LIFETIMES` for how many of them the
/// session goes on.
pub fn a_session_outlives_its_workers_credentials<R: Runtime>() {
    over_version_2(|| {
        let life = Duration::from_secs(setting("TOKEN_LIFE", 2).into());
        let end = Instant::now() + life * setting("TOKEN_LIFETIMES", 2);
        let relay = Relay::with_worker_tokens(life);
        let home = tempfile::tempdir().expect("a directory");
        let worker = Worker::start::<R>(config(&relay.address, home.path(), script("exec cat")));
        let session = relay.session();
        session.running();
        let (mut said, mut slowest) = (0, Duration::ZERO);
        while Instant::now() < end {
            said += 1;
            let began = Instant::now();
            session.say(&format!("n{said}"));
            session.echo(&format!("n{said}"));
            slowest = slowest.max(began.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
        let texts = session.from("agent").into_iter();
        let texts: Vec<_> = texts.map(|m| m["message"]["content"].clone()).collect();
        let expected: Vec<_> = (1..=said).map(|n| json!(format!("n{n}"))).collect();
        assert_eq!(texts, expected, "each once and in order");
        let trace = worker.trace();
        let bridges = trace.matches("/bridge").count();
        let breaks = |n: &&WorkerNotice| matches!(n, WorkerNotice::SessionDisconnected { .. });
        let breaks = worker.notices().iter().filter(breaks).count();
        println!(
            "credentials of {life:?}: {said} messages there and back, {bridges} bridges in the \
             trace, {breaks} breaks, the slowest took {slowest:?}"
        );
        assert_eq!(breaks, 0, "{:?}", worker.notices());
        worker.shut_down();
    });
}

/// A program that brings its own agent, as somebody would write it who has read `http.md` and nothing
/// else.
struct Stranger {
    relay: String,
    session: String,
    jwt: String,
    epoch: u64,
}

impl Stranger {
    /// Makes a session, if it has none yet, and takes it up.
    fn bridge(relay: &Relay, session: Option<&str>) -> Self {
        let made = || relay.api.post("/v1/code/sessions", &json!({}));
        let session = session.map_or_else(
            || made().1["session"]["id"].as_str().expect("an id").to_owned(),
            str::to_owned,
        );
        let path = format!("/v1/code/sessions/{session}/bridge");
        let (status, bridge) = relay.api.post(&path, &json!({}));
        assert_eq!(status, 200, "{bridge}");
        let jwt = bridge["worker_jwt"].as_str().expect("a token").to_owned();
        let epoch = bridge["worker_epoch"].as_u64().expect("a number");
        Self { relay: relay.address.clone(), session, jwt, epoch }
    }

    /// One request, and a reader of its answer.
    fn ask(&self, what: &str, headers: &str, body: &str) -> BufReader<TcpStream> {
        let (method, path) = what.split_once(' ').expect("a method and a path");
        let mut stream = TcpStream::connect(&self.relay).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        let Self { session, jwt, relay, .. } = self;
        let length = body.len();
        let head = format!(
            "{method} /v1/code/sessions/{session}/worker{path} HTTP/1.1\r\nhost: {relay}\r\n\
             authorization: Bearer {jwt}\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        BufReader::new(stream)
    }

    /// The status of a call, and what it was told.
    fn call(&self, what: &str, mut body: Value) -> (u16, String) {
        body["worker_epoch"] = self.epoch.into();
        let headers = "connection: close\r\ncontent-type: application/json\r\n";
        let mut answer = String::new();
        self.ask(what, headers, &body.to_string()).read_to_string(&mut answer).expect("read");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), answer)
    }

    /// The next lines for its agent after this one.
    fn lines(&self, after: u64, count: usize) -> Vec<(u64, String)> {
        let last = format!("last-event-id: {after}\r\naccept: text/event-stream\r\n");
        let reader = self.ask("GET /events/stream", &last, "");
        let (mut lines, mut id) = (Vec::new(), None);
        for line in reader.lines() {
            let line = line.expect("a line");
            if let Some(number) = line.strip_prefix("id: ") {
                id = number.parse().ok();
            } else if let (Some(data), Some(number)) = (line.strip_prefix("data: "), id.take()) {
                let message: Value = serde_json::from_str(data).expect("JSON");
                let text = message["message"]["content"].as_str().unwrap_or_default();
                lines.push((number, text.to_owned()));
            }
            if lines.len() == count {
                break;
            }
        }
        lines
    }
}

pub fn a_client_that_was_written_from_the_documentation_alone_runs_a_session<R: Runtime>() {
    let relay = Relay::start();
    let one = Stranger::bridge(&relay, None);
    let session = relay.api.session_of(&one.session);
    for text in ["a", "b", "c"] {
        session.say(text);
    }
    let line = |number, text: &str| (number, text.to_owned());
    assert_eq!(one.lines(0, 2), [line(1, "a"), line(2, "b")]);
    assert_eq!(one.lines(2, 1), [line(3, "c")], "it goes on after the last that it has seen");
    let said = json!({"events": [{"type": "assistant", "message": {"content": "hello"}}]});
    assert_eq!(one.call("POST /events", said.clone()).0, 200);
    assert_eq!(one.call("PUT ", json!({"state": "idle"})).0, 200);
    assert_eq!(one.call("POST /heartbeat", json!({})).0, 200);
    assert_eq!(session.from("agent").len(), 1);

    // Another one takes it up: the first is out with its next request, and its late batch is refused.
    let two = Stranger::bridge(&relay, Some(&one.session.replacen("session_", "cse_", 1)));
    let (status, answer) = one.call("POST /events", said.clone());
    assert_eq!(status, 409, "{answer}");
    assert!(answer.contains("epoch_superseded"), "{answer}");
    assert_eq!(session.from("agent").len(), 1);
    assert_eq!(two.call("POST /events", said).0, 200);
    let end = json!({"state": "ended", "result": {"status": "completed"}});
    assert_eq!(two.call("PUT ", end).0, 200);
    assert_eq!(session.result()["status"], "completed");
}
