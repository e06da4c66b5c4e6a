//! Version 2 (C): sessions by plain requests and a stream of events.

use super::*;
use crate::base::limits::{
    LINK_DEAD_AFTER, LINK_WINDOW_LINES, SESSIONS_LOST_AFTER, WORKER_TOKEN_LIFE,
};
use crate::wire::code_session::StreamEvent;

/// A session without an environment, as whoever runs it knows it.
struct Code {
    session: String,
    jwt: String,
    epoch: u64,
}

impl World {
    fn create_code(&mut self) -> String {
        let (status, made) = self.post("/v1/code/sessions", TOKEN, &json!({"title": "mine"}));
        assert_eq!(status, 201, "{made}");
        made["session"]["id"].as_str().expect("an id").to_owned()
    }

    fn bridge_as(&mut self, session: &str, token: &str, body: &Value) -> Code {
        let target = format!("/v1/code/sessions/{session}/bridge");
        let (status, bridge) = self.post(&target, token, body);
        assert_eq!(status, 200, "{bridge}");
        Code {
            session: session.to_owned(),
            jwt: bridge["worker_jwt"].as_str().expect("a token").to_owned(),
            epoch: bridge["worker_epoch"].as_u64().expect("an epoch"),
        }
    }

    fn code(&mut self) -> Code {
        let session = self.create_code();
        self.bridge_as(&session, TOKEN, &Value::Null)
    }

    fn stream(&mut self, code: &Code, last: Option<u64>) -> OpId {
        let target = format!("/v1/code/sessions/{}/worker/events/stream", code.session);
        let last = last.map(|last| last.to_string());
        let headers: Vec<_> = last.iter().map(|last| ("last-event-id", last.as_str())).collect();
        self.ask_with(Method::Get, &target, &code.jwt, &Value::Null, &headers)
    }

    fn worker_call(&mut self, code: &Code, call: &str, body: &Value) -> (u16, Value) {
        let target = format!("/v1/code/sessions/{}/worker{call}", code.session);
        let method = if call.is_empty() { Method::Put } else { Method::Post };
        let op = self.ask(method, &target, &code.jwt, body);
        self.answer(op)
    }

    fn batch(&mut self, code: &Code, first: u64, numbers: &[u64]) -> (u16, Value) {
        let events: Vec<_> =
            numbers.iter().map(|n| json!({"payload": {"type": "x", "n": n}})).collect();
        let body =
            json!({"worker_epoch": code.epoch, "first_sequence_num": first, "events": events});
        self.worker_call(code, "/events", &body)
    }

    /// What came on a stream since the last call.
    fn said(&mut self, op: OpId) -> Vec<StreamEvent> {
        let stream = self.streams.get_mut(&op).expect("a stream");
        let new = stream.sent.get(stream.seen..).unwrap_or_default();
        stream.seen = stream.sent.len();
        let text: String = new
            .iter()
            .map(|message| match message {
                Message::Text(text) => text.as_str(),
                Message::Binary(_) => panic!("a stream is text"),
            })
            .collect();
        let event = |block: &str| {
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)).map(ToOwned::to_owned)
            };
            let data = field("data: ")?;
            let name = field("event: ").unwrap_or_else(|| "message".to_owned());
            StreamEvent::parse(&name, field("id: ").as_deref(), data)
        };
        text.split("\n\n").filter_map(event).collect()
    }

    fn lines_for_agent(&mut self, op: OpId) -> Vec<(u64, String)> {
        let said = self.said(op).into_iter();
        let line = |event| match event {
            StreamEvent::Line { number, line } => {
                let line: Value = serde_json::from_str(line.as_str()).expect("JSON");
                Some((number, line["message"]["content"].as_str().unwrap_or("?").to_owned()))
            }
            _ => None,
        };
        said.filter_map(line).collect()
    }
}

fn numbers(world: &mut World, id: &str) -> Vec<u64> {
    let events = world.events(id);
    let lines = events.iter().filter(|event| event["from"] == "agent");
    lines.map(|event| event["message"]["n"].as_u64().expect("a number")).collect()
}

fn kind(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["type"].as_str().unwrap_or_default())
}

fn line(number: u64, text: &str) -> (u64, String) {
    (number, text.to_owned())
}

#[test]
fn a_session_without_an_environment_waits_for_whoever_bridges_it() {
    let mut world = World::new();
    let id = world.create_code();
    assert_eq!(world.session(&id)["state"], "queued");
    world.say(&id, "early");
    let code = world.bridge_as(&id, TOKEN, &Value::Null);
    let op = world.stream(&code, None);
    assert!(matches!(&world.said(op)[..], [StreamEvent::Resume(resume), StreamEvent::Line { .. }]
        if resume.received == 0 && resume.from == 0));
    let session = world.session(&id);
    assert_eq!((&session["state"], &session["connected"]), (&json!("running"), &json!(true)));
    assert_eq!(world.batch(&code, 1, &[1, 2]), (200, json!({"received": 2})));
    assert_eq!(numbers(&mut world, &id), [1, 2]);
    let result = json!({"status": "completed", "message": "done"});
    let end = json!({"worker_epoch": code.epoch, "state": "ended", "result": result});
    assert_eq!(world.worker_call(&code, "", &end), (200, json!({"state": "ended"})));
    assert_eq!(world.session(&id)["result"]["status"], "completed");
    let (_, environments) = world.get("/v1/environments", TOKEN);
    assert_eq!(environments["environments"], json!([]), "its environment goes with it");
    assert_eq!(kind(&world.batch(&code, 3, &[3])), (410, "session_ended"));
}

#[test]
fn its_first_kilobytes_and_its_head_are_for_proxies_that_buffer() {
    let mut world = World::new();
    let code = world.code();
    let op = world.stream(&code, None);
    let Some(Message::Text(first)) = world.streams[&op].sent.first() else { panic!("nothing") };
    assert!(first.len() > 2048 && first.as_str().starts_with(':'));
    assert!(first.as_str().ends_with("\n\n"));
    let before = world.streams[&op].sent.len();
    world.pass(Duration::from_secs(15));
    assert!(world.streams[&op].sent.len() > before, "a comment shows that it is alive");
}

#[test]
fn each_bridge_raises_the_epoch_and_everything_under_the_one_before_is_refused() {
    let mut world = World::new();
    let first = world.code();
    let stream = world.stream(&first, None);
    world.said(stream);
    let second = world.bridge_as(&first.session, TOKEN, &Value::Null);
    assert_eq!(second.epoch, first.epoch + 1);
    assert!(matches!(&world.said(stream)[..], [StreamEvent::Close(close)] if close.code == 4408));
    assert!(world.streams[&stream].closed.is_some());

    assert_eq!(kind(&world.batch(&first, 1, &[1])), (409, "epoch_superseded"));
    let epoch = json!({"worker_epoch": first.epoch});
    for call in ["", "/heartbeat"] {
        assert_eq!(kind(&world.worker_call(&first, call, &epoch)), (409, "epoch_superseded"));
    }
    let again = world.stream(&first, None);
    assert_eq!(kind(&world.answer(again)), (409, "epoch_superseded"));
    assert!(numbers(&mut world, &first.session).is_empty(), "its late batch is not in the log");
    assert_eq!(world.batch(&second, 1, &[7]).0, 200);
    assert_eq!(numbers(&mut world, &second.session), [7]);
}

#[test]
fn a_bridge_or_a_stream_that_arrives_twice_makes_nobody_yield() {
    let mut world = World::new();
    let id = world.create_code();
    let run = json!({"acknowledges": true, "agent_run": "one"});
    let first = world.bridge_as(&id, TOKEN, &run);
    let stream = world.stream(&first, None);
    world.said(stream);
    let again = world.stream(&first, None);
    assert!(matches!(&world.said(stream)[..], [StreamEvent::Close(close)] if close.code == 1000));
    world.said(again);
    let second = world.bridge_as(&id, TOKEN, &run);
    assert!(matches!(&world.said(again)[..], [StreamEvent::Close(close)] if close.code == 1000));
    assert_eq!(kind(&world.batch(&first, 1, &[1])), (409, "epoch_repeated"));
    let other = json!({"acknowledges": true, "agent_run": "two"});
    let stream = world.stream(&second, None);
    world.said(stream);
    world.bridge_as(&id, TOKEN, &other);
    assert!(matches!(&world.said(stream)[..], [StreamEvent::Close(close)] if close.code == 4408));
    assert_eq!(kind(&world.batch(&second, 1, &[1])), (409, "epoch_superseded"));
}

#[test]
fn an_epoch_of_another_credential_is_noticed() {
    let mut world = World::new();
    let first = world.code();
    let second = world.bridge_as(&first.session, TOKEN, &Value::Null);
    let mixed = Code { epoch: first.epoch, ..second };
    assert_eq!(kind(&world.batch(&mixed, 1, &[1])), (409, "epoch_superseded"));
    let ahead = Code { epoch: mixed.epoch + 5, ..mixed };
    assert_eq!(kind(&world.batch(&ahead, 1, &[1])), (400, "invalid_request"));
}

#[test]
fn a_batch_that_is_repeated_is_recognised_and_one_after_a_gap_is_not_stored() {
    let mut world = World::new();
    let code = world.code();
    assert_eq!(world.batch(&code, 1, &[1, 2]), (200, json!({"received": 2})));
    assert_eq!(world.batch(&code, 1, &[1, 2]), (200, json!({"received": 2})), "answer lost");
    assert_eq!(world.batch(&code, 2, &[2, 3]), (200, json!({"received": 3})), "a part of it");
    assert_eq!(world.batch(&code, 6, &[6]), (200, json!({"received": 3})), "4 and 5 are missing");
    assert_eq!(numbers(&mut world, &code.session), [1, 2, 3]);
}

#[test]
fn a_stream_is_resumed_after_the_line_that_it_names() {
    let mut world = World::new();
    let code = world.code();
    let first = world.stream(&code, None);
    for text in ["a", "b", "c"] {
        world.say(&code.session, text);
    }
    assert_eq!(world.lines_for_agent(first), [line(1, "a"), line(2, "b"), line(3, "c")]);
    world.deliver(Event::Closed { op: first, code: None, failure: None });
    assert_eq!(world.session(&code.session)["connected"], false);
    let second = world.stream(&code, Some(1));
    assert_eq!(world.lines_for_agent(second), [line(2, "b"), line(3, "c")]);
    world.deliver(Event::Closed { op: second, code: None, failure: None });
    let target =
        format!("/v1/code/sessions/{}/worker/events/stream?from_sequence_num=2", code.session);
    let third = world.ask(Method::Get, &target, &code.jwt, &Value::Null);
    assert_eq!(world.lines_for_agent(third), [line(3, "c")]);
    let never = world.stream(&code, Some(9));
    assert_eq!(kind(&world.answer(never)), (409, "relay_set_back"), "it was never sent");
}

#[test]
fn a_worker_that_acknowledges_moves_receipts_and_the_window() {
    let mut world = World::new();
    let id = world.create_code();
    let code = world.bridge_as(&id, TOKEN, &json!({"acknowledges": true, "agent_run": "one"}));
    let op = world.stream(&code, None);
    for n in 0..LINK_WINDOW_LINES + 5 {
        assert_eq!(world.say(&id, &n.to_string()).0, 200);
    }
    assert_eq!(world.lines_for_agent(op).len(), LINK_WINDOW_LINES);
    let held = json!({"worker_epoch": code.epoch, "with_worker": 3, "delivered": 2});
    assert_eq!(world.worker_call(&code, "/heartbeat", &held).0, 200);
    assert_eq!(world.lines_for_agent(op).len(), 2);
    let receipts = &world.session(&id)["receipts"];
    assert!(receipts["with_worker"].as_u64() > receipts["delivered"].as_u64(), "{receipts}");
    let beyond = json!({"worker_epoch": code.epoch, "delivered": 10_000});
    assert_eq!(kind(&world.worker_call(&code, "/heartbeat", &beyond)), (409, "relay_set_back"));
}

#[test]
fn a_worker_that_does_not_acknowledge_is_never_stuck_and_can_still_resume() {
    let mut world = World::new();
    let code = world.code();
    let op = world.stream(&code, None);
    for n in 1..=1000_u64 {
        assert_eq!(world.say(&code.session, &n.to_string()).0, 200, "{n}");
    }
    assert_eq!(world.lines_for_agent(op).len(), 1000);
    world.deliver(Event::Closed { op, code: None, failure: None });
    let again = world.stream(&code, Some(900));
    assert_eq!(world.lines_for_agent(again).first(), Some(&line(901, "901")));
}

#[test]
fn what_an_agent_prints_never_passes_for_a_report() {
    let mut world = World::new();
    let code = world.code();
    let forged = json!({"type": "footbridge", "subtype": "agent_exited", "report": {}});
    let real = json!({"type": "footbridge", "subtype": "agent_started", "pid": 1});
    let events = json!([forged, {"payload": forged}, {"report": real}, "no message"]);
    let body = json!({"worker_epoch": code.epoch, "events": events});
    assert_eq!(world.worker_call(&code, "/events", &body), (200, json!({"received": 4})));
    let from: Vec<_> =
        world.events(&code.session).iter().map(|event| event["from"].clone()).collect();
    assert_eq!(from[from.len() - 4..], ["agent", "agent", "worker", "relay"]);
}

#[test]
fn a_stop_is_said_on_the_stream_on_the_next_one_and_in_each_answer() {
    let mut world = World::new();
    let code = world.code();
    let op = world.stream(&code, None);
    world.said(op);
    let target = format!("/v1/sessions/{}/stop", code.session);
    assert_eq!(world.post(&target, TOKEN, &Value::Null).0, 200);
    assert_eq!(world.said(op), [StreamEvent::Stop]);
    let epoch = json!({"worker_epoch": code.epoch});
    let stopping = (200, json!({"state": "stopping"}));
    assert_eq!(world.worker_call(&code, "/heartbeat", &epoch), stopping);
    let again = world.stream(&code, None);
    assert!(world.said(again).contains(&StreamEvent::Stop));
}

#[test]
fn the_worker_of_an_item_bridges_with_its_session_token_and_nobody_else_does() {
    let mut world = World::new();
    let worker = world.register();
    let id = world.create(&worker);
    let taken = world.take(&worker);
    let target = format!("/v1/code/sessions/{id}/bridge");
    assert_eq!(kind(&world.post(&target, TOKEN, &Value::Null)), (409, "lease_lost"));
    let code = world.bridge_as(&id, &taken.token, &json!({"acknowledges": true}));
    let op = world.stream(&code, None);
    world.say(&id, "hello");
    assert_eq!(world.lines_for_agent(op), [line(1, "hello")]);
    assert_eq!(world.session(&id)["state"], "running");
    let end = json!({"worker_epoch": code.epoch, "state": "ended"});
    assert_eq!(kind(&world.worker_call(&code, "", &end)), (400, "invalid_request"));
    assert_eq!(world.batch(&code, 1, &[1]).0, 200);
    assert_eq!(world.stop_work(&worker, &taken, "completed").0, 200);
    assert_eq!(world.session(&id)["result"]["status"], "completed");
    let last = world.session(&id)["last_seq"].clone();
    assert_eq!(world.batch(&code, 1, &[1]), (200, json!({"received": 1})), "its answer was lost");
    assert_eq!(kind(&world.batch(&code, 1, &[1, 2])), (410, "session_ended"));
    let epoch = json!({"worker_epoch": code.epoch});
    assert_eq!(kind(&world.worker_call(&code, "/heartbeat", &epoch)), (410, "session_ended"));
    let again = world.stream(&code, None);
    assert_eq!(kind(&world.answer(again)), (410, "session_ended"));
    assert_eq!(world.session(&id)["last_seq"], last, "nothing was added after the end");
}

#[test]
fn a_link_adds_nothing_to_a_session_that_has_ended() {
    let mut world = World::new();
    let (worker, taken, link) = world.running();
    world.lines(link, "{\"type\":\"x\",\"n\":1}\n");
    assert_eq!(world.stop_work(&worker, &taken, "completed").0, 200);
    let last = world.session(&taken.session)["last_seq"].clone();
    world.lines(link, "{\"type\":\"x\",\"n\":2}\n");
    assert_eq!(world.session(&taken.session)["last_seq"], last);
    assert_eq!(world.streams[&link].closed, Some(4404));
}

#[test]
fn batches_alone_keep_a_session_alive() {
    let mut world = World::new();
    let code = world.code();
    for n in 1..=50 {
        world.pass(Duration::from_secs(20));
        assert_eq!(world.batch(&code, n, &[n]).0, 200, "{n}");
    }
    assert_eq!(world.session(&code.session)["state"], "running");
}

#[test]
fn an_environment_that_was_made_for_a_session_is_no_workers() {
    let mut world = World::new();
    let code = world.code();
    let environment = world.session(&code.session)["environment_id"].clone();
    let id = environment.as_str().expect("an id").to_owned();
    let mut registration = json!({"machine_name": "m", "directory": "/", "max_sessions": 1,
        "metadata": {"worker_type": "w"}});
    registration["environment_id"] = environment.clone();
    let (status, registered) = world.post("/v1/environments/bridge", TOKEN, &registration);
    assert_eq!(status, 200, "{registered}");
    assert_ne!(registered["environment_id"], environment, "it gets one of its own");
    let target = format!("/v1/environments/{id}/healthcheck");
    assert_eq!(kind(&world.post(&target, TOKEN, &Value::Null)), (404, "environment_unknown"));
    assert_eq!(world.batch(&code, 1, &[1]).0, 200, "and the session goes on");
}

#[test]
fn what_a_full_disk_did_not_keep_of_a_workers_progress_is_kept_later() {
    let mut world = World::new();
    let id = world.create_code();
    let code = world.bridge_as(&id, TOKEN, &json!({"acknowledges": true, "agent_run": "one"}));
    let first = world.stream(&code, None);
    world.say(&id, "a");
    assert_eq!(world.lines_for_agent(first), [line(1, "a")]);
    let body = json!({"worker_epoch": code.epoch, "events": [], "delivered": 1});
    world.holds_store = true;
    let target = format!("/v1/code/sessions/{id}/worker/events");
    let op = world.ask(Method::Post, &target, &code.jwt, &body);
    while let Some((store, _)) = world.held.pop_front() {
        let kind = crate::contract::event::IoErrorKind::Full;
        let failure = crate::contract::event::IoError { kind, detail: "full".to_owned() };
        world.deliver(Event::Failed { op: store, failure });
    }
    world.holds_store = false;
    assert_eq!(world.answer(op).0, 503);
    assert!(world.streams[&first].closed.is_some(), "both say again where they are");
    let again = world.stream(&code, Some(0));
    world.said(again);
    assert_eq!(world.worker_call(&code, "/events", &body).0, 200);
    let receipts = world.session(&id)["receipts"].clone();
    assert!(receipts["delivered"].as_u64() > Some(0), "{receipts}");
}

#[test]
fn a_link_and_a_stream_of_one_session_replace_each_other_and_go_on_where_the_other_was() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    world.lines(link, "{\"type\":\"x\",\"n\":1}\n");
    world.say(&taken.session, "a");
    world.send_frame(link, &ControlFrame::Ack { received: 1 });
    let code = world.bridge_as(&taken.session, &taken.token, &json!({"acknowledges": true}));
    assert_eq!(world.streams[&link].closed, Some(4408));
    let stream = world.stream(&code, None);
    world.say(&taken.session, "b");
    assert_eq!(world.lines_for_agent(stream), [line(2, "b")]);
    assert_eq!(world.batch(&code, 2, &[2]), (200, json!({"received": 2})));
    let link = world.link(&taken, 2, 0);
    assert!(world.streams[&stream].closed.is_some());
    assert_eq!(kind(&world.batch(&code, 3, &[3])), (409, "epoch_superseded"));
    world.lines(link, "{\"type\":\"x\",\"n\":3}\n");
    assert_eq!(numbers(&mut world, &taken.session), [1, 2, 3]);
}

#[test]
fn both_names_of_a_session_open_it() {
    let mut world = World::new();
    let id = world.create_code();
    let other = id.replacen("session_", "cse_", 1);
    let code = world.bridge_as(&other, TOKEN, &Value::Null);
    assert_eq!(world.batch(&code, 1, &[1]).0, 200);
    assert_eq!(world.batch(&Code { session: id.clone(), ..code }, 2, &[2]).0, 200);
    assert_eq!(world.get(&format!("/v1/sessions/{other}"), TOKEN).1["id"], json!(id));
}

#[test]
fn credentials_run_out_and_outlive_a_restart() {
    let mut world = World::new();
    let code = world.code();
    let mut next = World::on_store(config(), &keys(), Rc::clone(&world.store), world.hand.now);
    assert_eq!(next.batch(&code, 1, &[1]).0, 200);
    next.pass(WORKER_TOKEN_LIFE);
    let late = next.batch(&code, 2, &[2]);
    // Nobody was heard from in all that time.
    assert!(matches!(kind(&late), (401, "token_expired")), "{late:?}");
}

#[test]
fn a_session_whose_worker_is_silent_for_too_long_is_lost() {
    let mut world = World::new();
    let code = world.code();
    let op = world.stream(&code, None);
    world.pass(SESSIONS_LOST_AFTER);
    assert_eq!(world.session(&code.session)["result"]["status"], "lost");
    assert!(world.streams[&op].closed.is_some() || world.streams[&op].is_cut);
}

#[test]
fn a_worker_that_acknowledges_and_falls_silent_has_its_stream_cut() {
    let mut world = World::new();
    let id = world.create_code();
    let code = world.bridge_as(&id, TOKEN, &json!({"acknowledges": true}));
    let op = world.stream(&code, None);
    let epoch = json!({"worker_epoch": code.epoch});
    for _ in 0..4 {
        world.pass(Duration::from_secs(30));
        assert_eq!(world.worker_call(&code, "/heartbeat", &epoch).0, 200);
    }
    assert_eq!(world.session(&id)["connected"], true);
    world.pass(LINK_DEAD_AFTER + Duration::from_secs(10));
    assert_eq!(world.session(&id)["connected"], false);
    assert!(world.streams[&op].is_cut);
}

#[test]
fn nothing_is_queued_for_a_session_of_its_own_and_no_other_runs_there() {
    let mut world = World::new();
    let code = world.code();
    let environment = world.session(&code.session)["environment_id"].clone();
    let body = json!({"environment_id": environment});
    assert_eq!(kind(&world.post("/v1/sessions", TOKEN, &body)), (429, "limit_reached"));
}

#[test]
fn the_same_key_makes_one_session() {
    let mut world = World::new();
    let mut make = |title: &str| {
        let headers = [("idempotency-key", "k")];
        let body = json!({"title": title});
        let op = world.ask_with(Method::Post, "/v1/code/sessions", TOKEN, &body, &headers);
        world.answer(op)
    };
    assert_eq!(make("a"), make("a"));
    assert_eq!(kind(&make("b")), (409, "key_reused"));
}

#[test]
fn a_device_takes_up_what_it_has_made_and_ends_with_it() {
    let mut world = World::new();
    let device = super::log_in::everything(&mut world);
    let (_, made) = world.post("/v1/code/sessions", &device, &Value::Null);
    let id = made["session"]["id"].as_str().expect("an id").to_owned();
    let code = world.bridge_as(&id, &device, &Value::Null);
    let persons = world.create_code();
    let target = format!("/v1/code/sessions/{persons}/bridge");
    assert_eq!(kind(&world.post(&target, &device, &Value::Null)), (404, "session_unknown"));
    super::log_in::log_out(&mut world, &device);
    assert_eq!(world.session(&id)["result"]["status"], "failed");
    assert_eq!(kind(&world.batch(&code, 1, &[1])), (410, "session_ended"));
}

#[test]
fn a_relay_that_stops_closes_streams_and_says_so() {
    let mut world = World::new();
    let code = world.code();
    let op = world.stream(&code, None);
    world.said(op);
    world.command(RelayCommand::Shutdown);
    assert!(matches!(&world.said(op)[..], [StreamEvent::Close(close)] if close.code == 1001));
}

/// An older worker is told that it was replaced, whatever became of the session since (C-1).
#[test]
fn after_the_end_an_older_epoch_is_409_and_the_newest_is_410() {
    let mut world = World::new();
    let older = world.code();
    let newest = world.bridge_as(&older.session, TOKEN, &Value::Null);
    assert_eq!(world.batch(&newest, 1, &[1]).0, 200);
    let ended = json!({"worker_epoch": newest.epoch, "state": "ended"});
    assert_eq!(world.worker_call(&newest, "", &ended).0, 200);
    let of = |(status, body): (u16, Value)| (status, body["error"]["type"].clone());
    for (worker, expected) in
        [(&older, (409, json!("epoch_superseded"))), (&newest, (410, json!("session_ended")))]
    {
        let pulse = json!({"worker_epoch": worker.epoch});
        assert_eq!(of(world.worker_call(worker, "/heartbeat", &pulse)), expected);
        assert_eq!(of(world.worker_call(worker, "", &pulse)), expected);
        assert_eq!(of(world.batch(worker, 2, &[2])), expected);
        let stream = world.stream(worker, None);
        assert_eq!(of(world.answer(stream)), expected);
    }
    // What was stored before its answer was lost is acknowledged once more.
    assert_eq!(world.batch(&newest, 1, &[1]).0, 200);
    let target = format!("/v1/code/sessions/{}/bridge", older.session);
    let bridge = world.post(&target, TOKEN, &Value::Null);
    assert_eq!(of(bridge), (410, json!("session_ended")));
}
