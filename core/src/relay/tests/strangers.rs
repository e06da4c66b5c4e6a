//! Those who have no credential, and those whose request is not what it seems (Y-5).

use super::*;
use crate::base::limits::{
    GUESSES_ALLOWED, MAX_BODY_BYTES_OF_PEOPLE, MAX_REQUEST_BYTES, MAX_SMALL_BODY_BYTES,
};

impl World {
    /// A POST whose body is still to come.
    pub(super) fn ask_unread(&mut self, target: &str, token: &str, length: Option<u64>) -> OpId {
        let mut headers = alloc::vec![("host".to_owned(), "localhost".to_owned())];
        if !token.is_empty() {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        self.ask_raw(IncomingRequest {
            method: Method::Post,
            target: target.to_owned(),
            headers,
            body: Body::Unread { length },
            is_tls: false,
            peer: IpAddr::from([192, 0, 2, 1]),
        })
    }

    /// A request from an address.
    fn ask_from(&mut self, address: [u8; 4], token: &str, headers: &[(&str, &str)]) -> OpId {
        let mut all = alloc::vec![
            ("host".to_owned(), "localhost".to_owned()),
            ("authorization".to_owned(), format!("Bearer {token}")),
        ];
        all.extend(headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        self.ask_raw(IncomingRequest {
            method: Method::Get,
            target: "/v1/sessions".to_owned(),
            headers: all,
            body: Body::Whole(Bytes::new()),
            is_tls: false,
            peer: IpAddr::from(address),
        })
    }

    fn guess_from(&mut self, address: [u8; 4]) -> u16 {
        let op = self.ask_from(address, "a token that nobody issued", &[]);
        self.answer(op).0
    }

    fn refusals(&self) -> Vec<(IpAddr, u64)> {
        let notices = self.hand.notices.iter();
        let refusals = notices.filter_map(|notice| match notice {
            RelayNotice::CredentialsRefused { client, count } => Some((*client, *count)),
            _ => None,
        });
        refusals.collect()
    }
}

#[test]
fn no_body_is_read_before_its_sender_is_known() {
    let mut world = World::new();
    let (worker, taken, _) = world.running();
    let messages = format!("/v1/sessions/{}/messages", taken.session);
    for (target, token, status) in [
        ("/health", "", 405),
        ("/v1/nothing", TOKEN, 404),
        (messages.as_str(), "", 401),
        (messages.as_str(), "a token that nobody issued", 401),
        (messages.as_str(), taken.token.as_str(), 403),
        (messages.as_str(), worker.secret.as_str(), 403),
    ] {
        let op = world.ask_unread(target, token, Some(1000));
        assert_eq!(world.answer(op).0, status, "{target}");
        assert!(world.bodies_asked.is_empty(), "{target}");
    }
    let op = world.ask_unread(&messages, TOKEN, Some(1000));
    assert_eq!(world.bodies_asked.get(&op), Some(&MAX_REQUEST_BYTES));
    assert!(!world.replies.contains_key(&op));
    let body = json!({"messages": [{"type": "user", "message": {"content": "hello"}}]});
    let body = Body::Whole(Bytes::from(body.to_string()));
    world.deliver(Event::BodyRead { op, body });
    assert_eq!(world.answer(op).0, 200);
}

#[test]
fn a_runtime_learns_who_its_clients_are() {
    let mut world = World::new();
    let (worker, taken, link) = world.running();
    assert_eq!(world.standings.get(&link), Some(&Standing::Worker));
    let viewer = world.subscribe(&taken.session, 0);
    assert_eq!(world.standings.get(&viewer), Some(&Standing::Person));
    let poll = world.poll_waiting(&worker, "wait=50", "k");
    assert_eq!(world.standings.get(&poll), Some(&Standing::Worker));
    for (target, token) in [("/health", ""), ("/v1/sessions", "nobody's"), ("/v1/x", TOKEN)] {
        let op = world.ask(Method::Get, target, token, &Value::Null);
        assert_eq!(world.standings.get(&op), None, "{target}");
    }
}

#[test]
fn a_body_that_announces_too_much_is_refused_at_once() {
    let mut world = World::new();
    for (target, length) in [
        ("/v1/sessions", MAX_SMALL_BODY_BYTES as u64 + 1),
        ("/v1/sessions/s/messages", MAX_REQUEST_BYTES as u64 + 1),
        ("/v1/sessions/s/messages", u64::MAX),
        ("/v1/sessions/s/callback", MAX_REQUEST_BYTES as u64 + 1),
    ] {
        let op = world.ask_unread(target, TOKEN, Some(length));
        assert_eq!(world.answer(op).1["error"]["type"], "too_large");
    }
    assert!(world.bodies_asked.is_empty());
}

#[test]
fn a_body_may_be_as_long_as_what_it_holds_for_an_agent() {
    let mut world = World::new();
    for (path, limit) in [
        ("messages", MAX_REQUEST_BYTES),
        ("permission", MAX_REQUEST_BYTES),
        ("callback", MAX_REQUEST_BYTES),
        ("worktree", MAX_SMALL_BODY_BYTES),
    ] {
        let op = world.ask_unread(&format!("/v1/sessions/s/{path}"), TOKEN, None);
        assert_eq!(world.bodies_asked.get(&op), Some(&limit), "{path}");
        world.deliver(Event::Closed { op, code: None, failure: None });
    }
}

#[test]
fn bodies_have_a_limit_in_all_and_give_back_what_they_took() {
    let mut world = World::new();
    let ask = |world: &mut World| {
        world.ask_unread("/v1/sessions/s/messages", TOKEN, Some(MAX_REQUEST_BYTES as u64))
    };
    for round in 0..3 {
        let mut open = Vec::new();
        let refused = loop {
            let op = ask(&mut world);
            if let Some(response) = world.replies.remove(&op) {
                break response;
            }
            open.push(op);
        };
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
        assert_eq!(open.len(), MAX_BODY_BYTES_OF_PEOPLE / MAX_REQUEST_BYTES, "round {round}");
        // A worker has its own share.
        let worker = world.register();
        let target = format!("/v1/environments/{}/sessions/s/redispatch", worker.environment);
        let small = world.ask_unread(&target, &worker.secret, Some(2));
        world.deliver(Event::BodyRead { op: small, body: Body::Whole(Bytes::from("{}")) });
        assert_eq!(world.answer(small).0, 404);
        for (at, op) in open.into_iter().enumerate() {
            let event = match at % 2 {
                0 => Event::Closed { op, code: None, failure: None },
                _ => Event::BodyRead { op, body: Body::Whole(Bytes::from("{}")) },
            };
            world.deliver(event);
        }
        world.replies.clear();
    }
}

#[test]
fn a_relay_that_stops_waits_for_no_body() {
    let mut world = World::new();
    let op = world.ask_unread("/v1/sessions", TOKEN, Some(10));
    world.command(RelayCommand::Shutdown);
    assert_eq!(world.answer(op).0, 503);
    assert_eq!(world.hand.outcome, Some(Ok(())));
}

#[test]
fn guesses_are_slowed_by_address_and_never_the_true_credential() {
    let mut world = World::new();
    let (guesser, other) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let statuses: Vec<_> = (0..GUESSES_ALLOWED + 5).map(|_| world.guess_from(guesser)).collect();
    let (first, rest) = statuses.split_at(GUESSES_ALLOWED as usize);
    assert!(first.iter().all(|status| *status == 401) && rest.iter().all(|status| *status == 429));
    let op = world.ask_from(guesser, "a token that nobody issued", &[]);
    let response = world.replies.remove(&op).expect("an answer");
    assert_eq!(response.header("connection"), Some("close"));
    assert_eq!(response.header("retry-after"), Some("2"));

    let op = world.ask_from(guesser, TOKEN, &[]);
    assert_eq!(world.answer(op).0, 200, "somebody else behind the same address");
    assert_eq!(world.guess_from(other), 401, "another address");
    world.pass(Duration::from_secs(4));
    let statuses = [(); 3].map(|()| world.guess_from(guesser));
    assert_eq!(statuses, [401, 401, 429], "two more in four seconds");
}

#[test]
fn guesses_are_reported_now_and_then_with_their_address_and_number() {
    let mut world = World::new();
    let address = [192, 0, 2, 1];
    for _ in 0..100 {
        world.guess_from(address);
    }
    assert_eq!(world.refusals(), [(IpAddr::from(address), 1)]);
    world.pass(Duration::from_secs(61));
    world.guess_from(address);
    assert_eq!(world.refusals()[1..], [(IpAddr::from(address), 100)]);
    for last in 0..100 {
        world.guess_from([198, 51, 100, last]);
    }
    assert!(world.refusals().len() < 15, "not one for each address");
}

#[test]
fn behind_a_proxy_the_address_is_the_one_that_the_proxy_has_added() {
    let mut config = config();
    config.is_behind_proxy = true;
    let mut world = World::with(config);
    let ask = |world: &mut World, forwarded: &str| {
        let headers = [("x-forwarded-for", forwarded)];
        let op = world.ask_from([127, 0, 0, 1], "a token that nobody issued", &headers);
        world.answer(op).0
    };
    // What the client itself has written stands before it.
    let statuses: Vec<_> = (0..GUESSES_ALLOWED + 1)
        .map(|at| ask(&mut world, &format!("203.0.113.{at}, 192.0.2.1")))
        .collect();
    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(ask(&mut world, "192.0.2.1, 192.0.2.2"), 401);
    assert_eq!(ask(&mut world, "nonsense"), 401, "the proxy's own");
    assert_eq!(world.refusals()[0].0, IpAddr::from([192, 0, 2, 1]));
}

#[test]
fn without_a_proxy_nobody_can_choose_their_address() {
    let mut world = World::new();
    let statuses: Vec<_> = (0..GUESSES_ALLOWED + 1)
        .map(|at| {
            let forwarded = format!("203.0.113.{at}");
            let headers = [("x-forwarded-for", forwarded.as_str())];
            let op = world.ask_from([192, 0, 2, 1], "a token that nobody issued", &headers);
            world.answer(op).0
        })
        .collect();
    assert_eq!(statuses.last(), Some(&429));
}

#[test]
fn a_foreign_page_opens_no_websocket_even_with_a_credential() {
    let mut world = World::new();
    let (_, taken, _) = world.running();
    let target = format!("/v1/sessions/{}/events/ws", taken.session);
    for (origin, status) in [("https://evil.example", 403), ("null", 403)] {
        let headers = [("upgrade", "websocket"), ("origin", origin)];
        let op = world.ask_with(Method::Get, &target, TOKEN, &Value::Null, &headers);
        assert_eq!(world.answer(op).0, status, "{origin}");
    }
    let headers = [("upgrade", "websocket"), ("origin", "http://127.0.0.1:8787")];
    let op = world.ask_with(Method::Get, &target, TOKEN, &Value::Null, &headers);
    assert!(world.streams.contains_key(&op), "its own page");
}
