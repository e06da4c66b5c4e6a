//! Everything that a client can make grow has a limit (Y-5).

use super::*;
use crate::base::limits::{
    ACCEPT_POOL, MAX_ID_BYTES, MAX_LARGE_EVENTS, MAX_NAME_BYTES, MAX_REQUEST_HEAD_BYTES,
    MAX_STORE_OPERATIONS,
};
use crate::store::StoreOp;

impl World {
    fn register_as(&mut self, token: &str) -> (u16, Value) {
        let body = json!({"machine_name": "m", "directory": "/", "max_sessions": 1});
        self.post("/v1/environments/bridge", token, &body)
    }

    /// Creates a session and ends it while it is queued.
    fn ended(&mut self, environment: &str, token: &str) -> String {
        let body = json!({"environment_id": environment});
        let (_, session) = self.post("/v1/sessions", token, &body);
        let id = session["id"].as_str().expect("an id").to_owned();
        assert_eq!(self.post(&format!("/v1/sessions/{id}/stop"), token, &Value::Null).0, 200);
        id
    }
}

#[test]
fn nobody_can_use_up_all_environments_or_push_out_ended_sessions_of_others() {
    let mut config = config();
    config.policy.environments_per_person = 2;
    config.policy.max_environments = 3;
    config.policy.ended_sessions = 1;
    let mut world = World::with(config);
    let alice = world.register();
    world.register();
    let (status, error) = world.register_as(TOKEN);
    assert_eq!((status, &error["error"]["type"]), (429, &json!("limit_reached")));
    let (status, bob) = world.register_as(BOB);
    assert_eq!(status, 200);
    assert_eq!(world.register_as(BOB).0, 429, "the relay has three in total");

    let first = world.ended(&alice.environment, TOKEN);
    for _ in 0..3 {
        world.ended(bob["environment_id"].as_str().expect("an id"), BOB);
    }
    assert_eq!(world.session(&first)["state"], "ended", "someone else's do not push it out");
    let second = world.ended(&alice.environment, TOKEN);
    assert_eq!(world.get(&format!("/v1/sessions/{first}"), TOKEN).0, 404);
    assert_eq!(world.session(&second)["state"], "ended");
}

#[test]
fn clients_who_do_not_wait_cannot_pile_up_store_operations() {
    let mut world = World::new();
    let worker = world.register();
    world.holds_store = true;
    let mut asked = 0;
    while !world.accepts.is_empty() {
        let op = world.poll_waiting(&worker, "wait=50", "k");
        world.deliver(Event::Closed { op, code: None, failure: None });
        asked += 1;
    }
    assert_eq!((asked, world.held.len()), (MAX_STORE_OPERATIONS, MAX_STORE_OPERATIONS));
    world.release_store();
    assert_eq!(world.accepts.len(), ACCEPT_POOL, "the relay keeps accepting");
    assert_eq!(world.poll(&worker).0, 204);
}

#[test]
fn of_acks_that_arrive_faster_than_the_store_the_last_one_is_recorded() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    for _ in 0..10 {
        world.say(&taken.session, "x");
    }
    world.holds_store = true;
    for received in [1, 2, 2, 9, 3, 10, 10] {
        world.send_frame(link, &ControlFrame::Ack { received });
    }
    let acks = |world: &World| {
        let calls = world.held.iter().map(|(_, transaction)| &*transaction.op);
        calls.filter(|call| matches!(call, StoreOp::AckInbound { .. })).count()
    };
    assert_eq!(acks(&world), 1);
    world.release_store();
    world.holds_store = true;
    world.send_frame(link, &ControlFrame::Ack { received: 10 });
    assert_eq!(acks(&world), 0, "nothing new");
    world.release_store();
    let again = world.ingress(&taken);
    assert_eq!(world.received(again)[0]["frame"]["from"], 10, "the last one was recorded");
}

#[test]
fn a_request_with_too_large_a_head_is_refused() {
    let mut world = World::new();
    let long = "x".repeat(MAX_REQUEST_HEAD_BYTES);
    let headers = [("idempotency-key", long.as_str())];
    let op = world.ask_with(Method::Get, "/v1/sessions", TOKEN, &Value::Null, &headers);
    assert_eq!(world.answer(op).1["error"]["type"], "too_large");
    assert_eq!(world.get(&format!("/{long}"), TOKEN).0, 413);
}

#[test]
fn the_names_of_an_agents_questions_and_tools_are_bounded() {
    let mut world = World::new();
    let (_, taken, link) = world.running();
    let ask = |id: &str, tool: &str| {
        json!({"type": "control_request", "request_id": id,
            "request": {"subtype": "can_use_tool", "tool_name": tool, "input": {}}})
        .to_string()
    };
    world.lines(link, &ask("P", &"é".repeat(MAX_NAME_BYTES)));
    world.lines(link, &ask(&"i".repeat(MAX_ID_BYTES + 1), "Bash"));
    let pending = world.session(&taken.session)["pending_permissions"].clone();
    let pending = pending.as_array().expect("a list");
    assert_eq!(pending.len(), 1, "a question that cannot be answered is not opened");
    assert_eq!(pending[0]["tool_name"].as_str().map(str::len), Some(MAX_NAME_BYTES));
    let came = world.received(link);
    let answer = came.iter().find(|line| line["type"] == "control_response").expect("an answer");
    assert_eq!(answer["response"]["subtype"], "error");
    let last = world.events(&taken.session);
    assert!(last.iter().any(|event| event["message"]["subtype"] == "permission_withdrawn"));
}

#[test]
fn environments_that_come_and_go_leave_no_trace() {
    let mut world = World::new();
    for _ in 0..20 {
        let worker = world.register();
        world.create(&worker);
        let taken = world.take(&worker);
        let target = format!(
            "/v1/environments/{}/sessions/{}/redispatch",
            worker.environment, taken.session
        );
        for _ in 0..5 {
            assert_eq!(world.post(&target, &worker.secret, &Value::Null).0, 200);
            world.take(&worker);
        }
        let target = format!("/v1/environments/{}/stop", worker.environment);
        assert_eq!(world.post(&target, &worker.secret, &Value::Null).0, 200);
    }
    // That they have ended, nobody is there to be told.
    world.pass(crate::base::limits::PUSH_AFTER);
    let kept = Some(Instant::ORIGIN + crate::base::limits::ENDED_SESSION_KEPT_FOR);
    assert_eq!(world.hand.deadline, kept, "nothing but what is kept of the sessions can lapse");
}

#[test]
fn viewers_who_read_nothing_hold_few_large_events_and_no_small_ones_of_others() {
    let mut config = config();
    config.stream_credit = 2000;
    let mut world = World::with(config);
    let (_, large, link) = world.running();
    let line = |size: usize| {
        json!({"type": "assistant", "message": {"content": "x".repeat(size)}}).to_string()
    };
    world.lines(link, &line(5000));
    world.lines(link, &line(5000));
    world.arrives = false;
    let viewers: Vec<_> = (0..10).map(|_| world.subscribe(&large.session, 0)).collect();
    let has_large = |world: &World, op: &OpId| {
        world.streams[op].sent.iter().filter(|message| message.len() > 5000).count()
    };
    let holders = |world: &World| -> usize { viewers.iter().map(|op| has_large(world, op)).sum() };
    let confirm = |world: &mut World, op: OpId| {
        let stream = world.streams.get_mut(&op).expect("a stream");
        let messages = core::mem::take(&mut stream.under_way);
        if messages > 0 {
            world.deliver(Event::Sent { op, messages });
        }
    };
    // The first frames are small; each viewer then waits for its turn.
    for op in &viewers {
        confirm(&mut world, *op);
    }
    assert_eq!(holders(&world), MAX_LARGE_EVENTS);

    // Somebody else's log is not held up.
    let (_, small, other) = world.running();
    let reader = world.subscribe(&small.session, 0);
    confirm(&mut world, reader);
    world.lines(other, &line(10));
    let is_there = |world: &World| {
        world.streams[&reader].sent.iter().any(|message| {
            matches!(message,
            Message::Text(text) if text.as_str().contains("xxxxxxxxxx"))
        })
    };
    assert!(is_there(&world));

    // Whoever reads, or goes, makes room for the next.
    let holder = *viewers.iter().find(|op| has_large(&world, op) == 1).expect("a holder");
    world.deliver(Event::Closed { op: holder, code: None, failure: None });
    assert_eq!(holders(&world), MAX_LARGE_EVENTS + 1);
    for _ in 0..100 {
        for op in &viewers {
            if *op != holder {
                confirm(&mut world, *op);
            }
        }
    }
    let all = viewers.iter().filter(|op| **op != holder);
    assert!(all.clone().all(|op| has_large(&world, op) == 2), "everyone gets everything");
}
