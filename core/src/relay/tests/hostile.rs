//! What no well-behaved peer sends: it is refused, and nothing breaks.

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::contract::action::Method;

#[test]
fn malformed_requests_are_refused_with_a_reason() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    let messages = format!("/v1/sessions/{}/messages", taken.session);
    let permission = format!("/v1/sessions/{}/permission", taken.session);
    let ack = format!("/v1/environments/{}/work/{}/ack", worker.environment, taken.work);
    let stop = format!("/v1/environments/{}/work/{}/stop", worker.environment, taken.work);
    let deep = format!(r#"{{"messages":[{}1{}]}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let long = "x".repeat(5000);
    let register = format!(r#"{{"machine_name":"{long}","directory":"/","max_sessions":1}}"#);
    let lost = r#"{"fence":1,"result":{"status":"lost"}}"#;
    let cases: [(&str, &str, &str, &str); 20] = [
        (TOKEN, "/v1/environments/bridge", "", "JSON"),
        (TOKEN, "/v1/environments/bridge", "{\"machine_name\":1}", "JSON"),
        (TOKEN, "/v1/environments/bridge", &register, "machine_name"),
        (
            TOKEN,
            "/v1/environments/bridge",
            r#"{"machine_name":"","directory":"","max_sessions":0}"#,
            "max_sessions",
        ),
        (TOKEN, "/v1/sessions", r#"{"environment_id":"../../etc"}"#, "environment id"),
        (TOKEN, &messages, "{}", "messages"),
        (TOKEN, &messages, r#"{"messages":[]}"#, "messages"),
        (TOKEN, &messages, &deep, "messages[0]"),
        (TOKEN, &messages, r#"{"messages":[1]}"#, "messages[0]"),
        (TOKEN, &messages, r#"{"messages":[{"type":"footbridge"}]}"#, "footbridge"),
        (TOKEN, &messages, r#"{"messages":[{"type":"control_response"}]}"#, "/permission"),
        (TOKEN, &messages, r#"{"messages":[{"type":"control_request"}]}"#, "subtype"),
        (TOKEN, &messages, r#"{"messages":[{"type":"user","uuid":""}]}"#, "uuid"),
        (TOKEN, &permission, r#"{"request_id":"P","behavior":"maybe"}"#, "behavior"),
        (
            TOKEN,
            &permission,
            r#"{"request_id":"P","behavior":"allow","updatedInput":7}"#,
            "updatedInput",
        ),
        (&taken.token, &ack, "null", "JSON"),
        (&taken.token, &ack, "{\"fence\":-1}", "JSON"),
        (&worker.secret, &stop, lost, "lost"),
        (&worker.secret, &stop, r#"{"fence":1,"result":{"status":"splendid"}}"#, "JSON"),
        (TOKEN, "/v1/sessions/%2e%2e/stop", "", "session id"),
    ];
    for (token, target, body, reason) in cases {
        let headers = alloc::vec![
            ("host".to_owned(), "localhost".to_owned()),
            ("authorization".to_owned(), format!("Bearer {token}")),
        ];
        let op = world.ask_raw(IncomingRequest {
            method: Method::Post,
            target: target.to_owned(),
            headers,
            body: Body::Whole(Bytes::from(body.to_owned())),
            is_tls: false,
            peer: IpAddr::from([127, 0, 0, 1]),
        });
        let (status, error) = world.answer(op);
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert_eq!((status, &error["error"]["type"]), (400, &json!("invalid_request")), "{target}");
        assert!(message.contains(reason), "{target}: {message}");
    }
}

#[test]
fn oversized_and_malformed_bodies_wrong_methods_and_unknown_paths_have_their_own_refusals() {
    let mut world = World::new();
    let op = world.ask_unread("/v1/sessions", TOKEN, None);
    world.deliver(Event::BodyRead { op, body: Body::TooLarge });
    assert_eq!(world.answer(op).1["error"]["type"], "too_large");
    let op = world.ask_unread("/v1/sessions", TOKEN, None);
    world.deliver(Event::BodyRead { op, body: Body::Malformed });
    assert_eq!(world.answer(op).1["error"]["type"], "invalid_request");
    let op = world.ask(Method::Other, "/v1/sessions", TOKEN, &Value::Null);
    assert_eq!(world.answer(op).1["error"]["type"], "method_not_allowed");
    assert_eq!(world.get("/v1/secrets", TOKEN).1["error"]["type"], "not_found");
    for query in ["after=-1", "after=x", "limit=1e3", "limit=0", "after="] {
        assert_eq!(world.get(&format!("/v1/sessions/s/events?{query}"), TOKEN).0, 400, "{query}");
    }
}

#[test]
fn accepts_are_refilled_and_bounded_in_total() {
    let mut world = World::with(RelayConfig { max_subscribers: usize::MAX, ..config() });
    let worker = world.register();
    let id = world.create(&worker);
    let mut served = 0;
    while !world.accepts.is_empty() {
        world.subscribe(&id, 0);
        served += 1;
    }
    assert_eq!(served, crate::base::limits::MAX_EXCHANGES);
    let op = *world.streams.keys().next().expect("a stream");
    world.deliver(Event::Closed { op, code: None, failure: None });
    assert_eq!(world.accepts.len(), 1);
}

fn any_method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::Get), Just(Method::Post), Just(Method::Put), Just(Method::Other)]
}

/// Paths close to the real ones, and some that are far from them.
fn any_target() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("/v1/sessions"),
        Just("/v1/sessions/{S}"),
        Just("/v1/sessions/{S}/messages"),
        Just("/v1/sessions/{S}/permission"),
        Just("/v1/sessions/{S}/interrupt"),
        Just("/v1/sessions/{S}/stop"),
        Just("/v1/sessions/{S}/events"),
        Just("/v1/sessions/{S}/events/ws"),
        Just("/v1/overview/ws"),
        Just("/v1/environments/bridge"),
        Just("/v1/environments/{E}/work/poll"),
        Just("/v1/environments/{E}/healthcheck"),
        Just("/v1/environments/{E}/work/{W}/ack"),
        Just("/v1/environments/{E}/work/{W}/heartbeat"),
        Just("/v1/environments/{E}/work/{W}/stop"),
        Just("/v1/environments/{E}/sessions/{S}/redispatch"),
        Just("/v2/session_ingress/ws/{S}"),
    ];
    prop_oneof![
        3 => (known, "(\\?(after|limit|before|environment_id)=[0-9]{0,22})?").prop_map(|(a, b)| format!("{a}{b}")),
        1 => "/?\\PC{0,40}",
    ]
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let near = prop_oneof![
        Just(r#"{"fence":1}"#),
        Just(r#"{"fence":18446744073709551615,"force":true}"#),
        Just(r#"{"messages":[{"type":"user"}]}"#),
        Just(r#"{"messages":[{"type":"user","uuid":"u","uuid":7}]}"#),
        Just(
            r#"{"messages":[{"type":"user","message":{"content":[{"type":"text","text":"\u0000é"}]}}]}"#
        ),
        Just(r#"{"request_id":"P","behavior":"allow"}"#),
        Just(r#"{"request_id":"P","behavior":"deny","message":"\u0000"}"#),
    ];
    prop_oneof![
        near.prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let number = prop_oneof![0..5_u64, Just(u64::MAX - 1), Just(u64::MAX)];
    let frame =
        prop_oneof![Just("resume"), Just("ack"), Just("ping"), Just("stop"), Just("report")];
    let frame = (frame, number.clone(), number).prop_map(|(frame, a, b)| {
        let frame =
            json!({"type": frame, "received": a, "from": b, "message": {"type": "footbridge"}});
        Message::Binary(Bytes::from(frame.to_string()))
    });
    let line = prop_oneof![
        Just(question("P")),
        Just("{\"type\":\"control_cancel_request\",\"request_id\":\"P\"}".to_owned()),
        Just("{\"type\":\"x\"}\n\n\n{\"type\":7}\r\n".to_owned()),
        "\\PC{0,60}",
    ];
    prop_oneof![
        3 => frame,
        3 => line.prop_map(|line| Message::Text(Text::from(line))),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(|b| Message::Binary(b.into())),
    ]
}

#[derive(Clone, Debug)]
enum PeerAction {
    Ask {
        method: Method,
        target: String,
        who: usize,
        body: Vec<u8>,
        headers: Vec<(String, String)>,
    },
    Say(Message),
    Link,
    Leave(usize),
    Hold(bool),
    Pass(u64),
}

fn any_peer_action() -> impl Strategy<Value = PeerAction> {
    let name = prop_oneof![
        Just("upgrade"),
        Just("sec-websocket-protocol"),
        Just("prefer"),
        Just("idempotency-key"),
        Just("host"),
    ];
    let value = prop_oneof![
        Just("websocket".to_owned()),
        Just("footbridge.link.v1".to_owned()),
        Just("wait=99999999999999999999".to_owned()),
        Just("wait=7".to_owned()),
        "\\PC{0,20}",
    ];
    let header = (name, value).prop_map(|(name, value)| (name.to_owned(), value));
    let headers = prop::collection::vec(header, 0..4);
    prop_oneof![
        4 => (any_method(), any_target(), 0..5_usize, any_body(), headers).prop_map(
            |(method, target, who, body, headers)| PeerAction::Ask { method, target, who, body, headers }
        ),
        4 => any_message().prop_map(PeerAction::Say),
        1 => Just(PeerAction::Link),
        1 => (0..20_usize).prop_map(PeerAction::Leave),
        1 => any::<bool>().prop_map(PeerAction::Hold),
        1 => (0..200_u64).prop_map(PeerAction::Pass),
    ]
}

/// Carries out an action, with placeholders for ids and credentials filled in.
fn perform(world: &mut World, action: PeerAction, worker: &Worker, taken: &Taken, link: &mut OpId) {
    match action {
        PeerAction::Ask { method, target, who, body, mut headers } => {
            let target = target
                .replace("{E}", &worker.environment)
                .replace("{W}", &taken.work)
                .replace("{S}", &taken.session);
            let token = ["", TOKEN, BOB, &worker.secret, &taken.token][who];
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
            headers.push(("host".to_owned(), "localhost".to_owned()));
            let body = Body::Whole(Bytes::from(body));
            let peer = IpAddr::from([127, 0, 0, 1]);
            world.ask_raw(IncomingRequest { method, target, headers, body, is_tls: false, peer });
        }
        PeerAction::Say(message) => world.deliver_stray(Event::Received { op: *link, message }),
        PeerAction::Link => *link = world.ingress(taken),
        PeerAction::Leave(at) => {
            if let Some(op) = world.streams.keys().nth(at).copied() {
                world.deliver_stray(Event::Closed { op, code: None, failure: None });
            }
        }
        PeerAction::Hold(true) => world.holds_store = true,
        PeerAction::Hold(false) => world.release_store(),
        PeerAction::Pass(secs) => world.pass(Duration::from_secs(secs)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever peers do, nothing panics, the log has no gaps, and the same events give the same
    /// log again.
    #[test]
    fn no_peer_can_break_the_relay(actions in prop::collection::vec(any_peer_action(), 0..60)) {
        let logs = [(); 2].map(|()| {
            let mut world = World::new();
            let (worker, taken, mut link) = world.running();
            for action in actions.clone() {
                perform(&mut world, action, &worker, &taken, &mut link);
            }
            world.release_store();
            let (status, page) =
                world.get(&format!("/v1/sessions/{}/events", taken.session), TOKEN);
            assert_eq!(status, 200);
            let events = page["events"].as_array().expect("events").clone();
            let numbers = seqs(&events);
            assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
            (events, world.hand.notices)
        });
        prop_assert_eq!(&logs[0], &logs[1]);
    }
}
