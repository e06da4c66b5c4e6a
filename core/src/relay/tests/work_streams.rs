//! Work that comes to a worker by a stream.

use super::*;
use crate::base::limits::STREAM_ALIVE_EVERY;

impl World {
    fn work_stream(&mut self, worker: &Worker, query: &str, headers: &[(&str, &str)]) -> OpId {
        let target = format!("/v1/environments/{}/work/stream{query}", worker.environment);
        self.ask_with(Method::Get, &target, &worker.secret, &Value::Null, headers)
    }

    /// What was said on a stream of work since the last call: names, and an item's number and session.
    fn brought(&mut self, op: OpId) -> Vec<String> {
        let stream = self.streams.get_mut(&op).expect("a stream");
        let new = stream.sent[stream.seen..].to_vec();
        stream.seen = stream.sent.len();
        let said = new.iter().map(|message| {
            let Message::Text(text) = message else { panic!("text") };
            let text = text.as_str();
            if text.starts_with(':') {
                return "comment".to_owned();
            }
            let field =
                |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let name = field("event:").expect("a name");
            if name != "work" {
                return name.to_owned();
            }
            let item: Value = serde_json::from_str(field("data:").expect("data")).expect("JSON");
            assert!(!item["secret"].as_str().expect("a secret").is_empty());
            format!(
                "{} {}",
                field("id:").expect("a number"),
                item["data"]["id"].as_str().expect("an id")
            )
        });
        said.collect()
    }
}

#[test]
fn a_stream_brings_what_is_queued_and_what_comes_one_after_another() {
    let mut world = World::new();
    let worker = world.register();
    let first = world.create(&worker);
    let second = world.create(&worker);
    let stream = world.work_stream(&worker, "?room=9", &[("idempotency-key", "k")]);
    let expected = ["comment", "open", &*format!("1 {first}"), &*format!("2 {second}")];
    assert_eq!(world.brought(stream), expected);
    let third = world.create(&worker);
    assert_eq!(world.brought(stream), [format!("3 {third}")]);
    world.pass(STREAM_ALIVE_EVERY);
    assert_eq!(world.brought(stream), ["comment"], "it is still there");
}

#[test]
fn what_was_on_a_stream_that_was_cut_is_given_again_by_a_stream_or_a_poll() {
    for by_poll in [false, true] {
        let mut world = World::new();
        let worker = world.register();
        let first = world.create(&worker);
        let stream = world.work_stream(&worker, "?room=9", &[("idempotency-key", "k")]);
        let second = world.create(&worker);
        assert_eq!(world.brought(stream).len(), 4);
        // The second never arrives.
        world.deliver(Event::Closed { op: stream, code: None, failure: None });
        if by_poll {
            let op = world.poll_waiting(&worker, "wait=0", "k-2");
            assert_eq!(world.answer(op).1["data"]["id"], second);
        } else {
            let headers = [("idempotency-key", "k"), ("last-event-id", "1")];
            let again = world.work_stream(&worker, "?room=9", &headers);
            assert_eq!(world.brought(again), ["comment", "open", &*format!("2 {second}")]);
        }
        assert_ne!(first, second);
    }
}

#[test]
fn an_item_that_was_leased_for_a_stream_that_is_gone_goes_back_to_the_queue() {
    let mut world = World::new();
    let worker = world.register();
    let stream = world.work_stream(&worker, "?room=9", &[("idempotency-key", "k")]);
    world.holds_store = true;
    let body = json!({"environment_id": worker.environment});
    world.ask(Method::Post, "/v1/sessions", TOKEN, &body);
    world.release_store();
    assert_eq!(world.brought(stream).len(), 3);
    let late = world.work_stream(&worker, "?room=9", &[("idempotency-key", "other")]);
    world.brought(late);
    world.holds_store = true;
    world.ask(Method::Post, "/v1/sessions", TOKEN, &body);
    let (op, transaction) = world.held.pop_front().expect("a session is made");
    let committed = world.apply(transaction);
    world.deliver(Event::Stored { op, committed });
    // Both streams have asked for it by now, and neither is there to take it.
    for op in [stream, late] {
        world.deliver(Event::Closed { op, code: None, failure: None });
    }
    world.release_store();
    let (status, item) = world.poll(&worker);
    assert_eq!(status, 200, "{item}");
}

#[test]
fn a_stream_ends_once_it_has_brought_as_much_as_there_is_room_for() {
    let mut world = World::new();
    let worker = world.register();
    for _ in 0..3 {
        world.create(&worker);
    }
    for (query, after, room) in [("", "0", 1), ("?room=1", "1", 1)] {
        let headers = [("idempotency-key", "k"), ("last-event-id", after)];
        let stream = world.work_stream(&worker, query, &headers);
        let said = world.brought(stream);
        assert_eq!(said.last().map(String::as_str), Some("end"), "{said:?}");
        assert_eq!(said.len(), room + 3, "{said:?}");
        assert_eq!(world.streams[&stream].closed, Some(1000));
    }
    assert_eq!(world.poll(&worker).0, 200, "the third is still there for whoever has room");
}

#[test]
fn a_stream_lasts_for_as_long_as_a_poll_may_and_keeps_its_environment_online() {
    let mut world = World::new();
    let worker = world.register();
    let stream = world.work_stream(&worker, "?room=9", &[("prefer", "wait=20")]);
    world.pass(Duration::from_secs(19));
    assert!(world.streams[&stream].closed.is_none());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.brought(stream), ["comment", "open", "comment", "end"]);
    let long = world.work_stream(&worker, "?room=9", &[("prefer", "wait=9999")]);
    world.pass(Duration::from_secs(50));
    assert_eq!(world.brought(long).last().map(String::as_str), Some("end"));
}

#[test]
fn another_stream_of_the_same_worker_takes_the_place_of_the_one_before_and_there_are_few() {
    let mut world = World::new();
    let worker = world.register();
    let key = |key| [("idempotency-key", key)];
    let first = world.work_stream(&worker, "?room=9", &key("a"));
    let second = world.work_stream(&worker, "?room=9", &key("a"));
    assert_eq!(world.streams[&first].closed, Some(1000));
    for other in ["b", "c", "d"] {
        world.work_stream(&worker, "?room=9", &key(other));
        assert!(world.streams[&second].closed.is_none());
    }
    world.work_stream(&worker, "?room=9", &key("e"));
    assert_eq!(world.streams[&second].closed, Some(1000), "the oldest makes room");
}

#[test]
fn an_item_that_two_streams_of_one_worker_asked_for_stays_with_the_later_one() {
    let mut world = World::new();
    let worker = world.register();
    let key = [("idempotency-key", "k")];
    let dead = world.work_stream(&worker, "?room=9", &key);
    world.brought(dead);
    world.holds_store = true;
    let body = json!({"environment_id": worker.environment});
    world.ask(Method::Post, "/v1/sessions", TOKEN, &body);
    let again = world.work_stream(&worker, "?room=9", &key);
    let (op, transaction) = world.held.pop_front().expect("a session is made");
    let committed = world.apply(transaction);
    // The one before asks for it too, before the later one has opened and takes its place.
    world.deliver(Event::Stored { op, committed });
    world.release_store();
    assert_eq!(world.brought(dead), ["end"]);
    assert_eq!(world.brought(again).len(), 3, "the greeting, and the item once");
    let headers = [("idempotency-key", "k"), ("last-event-id", "0")];
    let repeated = world.work_stream(&worker, "?room=9", &headers);
    assert_eq!(world.brought(repeated).len(), 3, "its lease is in force");
    assert_eq!(world.poll(&worker).0, 204);
}

#[test]
fn what_a_relay_cannot_read_is_refused_by_name() {
    let mut world = World::new();
    let worker = world.register();
    for (query, headers, named) in [
        ("?room=0", &[][..], "room"),
        ("?room=x", &[], "room"),
        ("", &[("last-event-id", "x")], "Last-Event-ID"),
        ("", &[("last-event-id", "18446744073709551615")], "Last-Event-ID"),
        ("", &[("idempotency-key", " ")], "Idempotency-Key"),
    ] {
        let op = world.work_stream(&worker, query, headers);
        let (status, answer) = world.answer(op);
        assert_eq!(status, 400);
        assert!(answer["error"]["message"].as_str().expect("text").contains(named), "{answer}");
    }
}

#[test]
fn streams_end_with_their_environment_and_with_the_relay() {
    let mut world = World::new();
    let worker = world.register();
    let stream = world.work_stream(&worker, "?room=9", &[]);
    let stop = format!("/v1/environments/{}/stop", worker.environment);
    assert_eq!(world.post(&stop, &worker.secret, &json!({})).0, 200);
    assert!(world.streams[&stream].closed.is_some());
    assert!(!world.brought(stream).contains(&"end".to_owned()), "it has not brought all it was to");
    let op = world.work_stream(&worker, "?room=9", &[]);
    assert_eq!(world.answer(op).0, 404);
    let other = world.register();
    let stream = world.work_stream(&other, "?room=9", &[]);
    world.command(RelayCommand::Shutdown);
    assert!(world.streams[&stream].closed.is_some());
}

#[test]
fn a_worker_that_reads_nothing_is_given_one_item_and_no_more() {
    let mut world = World::new();
    let worker = world.register();
    for _ in 0..3 {
        world.create(&worker);
    }
    world.arrives = false;
    let stream = world.work_stream(&worker, "?room=9", &[]);
    assert_eq!(world.brought(stream).len(), 3, "an item after the greeting");
    let messages = world.streams[&stream].under_way;
    world.deliver(Event::Sent { op: stream, messages });
    assert_eq!(world.brought(stream).len(), 1);
}

#[test]
fn the_relay_says_that_it_has_streams_of_work() {
    let mut world = World::new();
    let (_, version) = world.get("/v1/version", "");
    assert_eq!(version["work"], json!(["poll", "stream"]));
    let body = json!({"machine_name": "laptop", "directory": "/home/me", "max_sessions": 4});
    let (_, answer) = world.post("/v1/environments/bridge", TOKEN, &body);
    assert_eq!(answer["work_stream"], true);
}
