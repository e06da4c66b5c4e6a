//! Registering and asking for work.

use super::*;

#[test]
fn what_each_answer_to_a_poll_leads_to() {
    #[derive(Debug, PartialEq)]
    enum Then {
        AsksAgain,
        Retries,
        RegistersAnew,
        Ends(MachineErrorKind),
    }
    use Then::{AsksAgain, Ends, RegistersAnew, Retries};
    let cases = [
        (204, "", AsksAgain),
        (200, "null", AsksAgain),
        (400, "invalid_request", Ends(MachineErrorKind::Protocol)),
        (401, "authentication_failed", RegistersAnew),
        (403, "permission_denied", Ends(MachineErrorKind::Forbidden)),
        (404, "not_found", Ends(MachineErrorKind::NotFound)),
        (404, "environment_unknown", RegistersAnew),
        (405, "method_not_allowed", Ends(MachineErrorKind::Protocol)),
        (410, "environment_gone", RegistersAnew),
        (429, "limit_reached", Retries),
        (500, "internal", Retries),
        (503, "unavailable", Retries),
    ];
    for (status, kind, then) in cases {
        let (mut bench, poll) = Bench::serving(|_| {});
        bench.pass(Duration::from_secs(50));
        let body = match kind {
            "" | "null" => kind.to_owned(),
            _ => format!(r#"{{"error":{{"type":"{kind}"}}}}"#),
        };
        bench.respond(poll, status, &body);
        let found = if bench.has_request("/work/poll") {
            AsksAgain
        } else if bench.has_request("/bridge") {
            RegistersAnew
        } else if bench.has_request("/environments/env_1/stop") {
            let (stop, _) = bench.request("/environments/env_1/stop");
            bench.respond(stop, 200, "{}");
            Ends(bench.outcome.clone().expect("an end").expect_err("a fault").kind)
        } else {
            bench.wait();
            assert!(bench.has_request("/work/poll"), "{status} {kind}");
            Retries
        };
        assert_eq!(found, then, "{status} {kind}");
    }
}

#[test]
fn a_secret_that_keeps_being_refused_is_replaced_with_pauses_and_not_forever() {
    let (mut bench, mut poll) = Bench::serving(|_| {});
    let began = bench.now.mono;
    let mut asked = 0;
    loop {
        bench.refuse(poll, 401, "authentication_failed");
        if bench.has_request("/environments/env_1/stop") {
            break;
        }
        if asked > 0 {
            assert!(!bench.has_request("/bridge"), "not immediately");
            bench.wait();
        }
        let (register, _) = bench.request("/bridge");
        bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s2"}"#);
        (poll, _) = bench.request("/work/poll");
        asked += 1;
    }
    let took = bench.now.mono.saturating_since(began);
    assert!(took >= Duration::from_secs(570) && asked < 100, "{took:?}, {asked} registrations");
    let (stop, _) = bench.request("/environments/env_1/stop");
    bench.fail(stop, IoErrorKind::Refused);
    let fault = bench.hand.outcome.expect("an end").expect_err("a fault");
    assert_eq!(fault.kind, MachineErrorKind::Unauthorized);
    assert!(fault.message.contains("access token"), "{}", fault.message);
}

#[test]
fn a_lost_answer_is_requested_again_under_the_same_key_and_a_new_item_under_a_new_one() {
    let key = |request: &crate::contract::action::Request| {
        let header = request.headers.iter().find(|(name, _)| *name == "idempotency-key");
        header.expect("a key").1.reveal().to_owned()
    };
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.fail(poll, IoErrorKind::Disconnected);
    bench.wait();
    let (poll, request) = bench.request("/work/poll");
    let first = key(&request);
    bench.fail(poll, IoErrorKind::Disconnected);
    bench.wait();
    let (poll, request) = bench.request("/work/poll");
    assert_eq!(key(&request), first);
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (_, request) = bench.request("/work/poll");
    assert_ne!(key(&request), first);
}

#[test]
fn at_capacity_it_does_not_poll_until_a_session_ends() {
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    let Running { agent, .. } = bench.start_session(poll, 1);
    assert!(!bench.has_request("/work/poll"));
    bench.exit(agent, ExitStatus::Code(0));
    assert!(bench.has_request("/work/poll"));
}

#[test]
fn a_relay_that_does_not_hold_polls_is_not_polled_in_a_busy_loop() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 204, "");
    assert!(!bench.has_request("/work/poll"));
    assert_eq!(bench.wait(), Duration::from_secs(1));
    assert!(bench.has_request("/work/poll"));
}

#[test]
fn it_gives_up_after_600_s_of_continuous_failure_and_says_where_and_why() {
    let mut bench = Bench::new(|_| {});
    bench.answer_git();
    let mut waited = Duration::ZERO;
    while bench.outcome.is_none() {
        let (register, _) = bench.request("/bridge");
        bench.fail(register, IoErrorKind::Refused);
        if bench.outcome.is_none() {
            waited += bench.wait();
        }
    }
    assert!(waited >= Duration::from_secs(600) && waited < Duration::from_secs(730), "{waited:?}");
    let fault = bench.hand.outcome.expect("an end").expect_err("a fault");
    assert_eq!(fault.kind, MachineErrorKind::GaveUp);
    assert!(fault.message.contains("http://127.0.0.1:1"), "{}", fault.message);
}

#[test]
fn registering_again_ends_what_was_failing_until_then() {
    let (mut bench, mut poll) = Bench::serving(|_| {});
    let began = bench.now.mono;
    while bench.now.mono.saturating_since(began) < Duration::from_secs(590) {
        bench.fail(poll, IoErrorKind::TimedOut);
        bench.wait();
        (poll, _) = bench.request("/work/poll");
    }
    bench.refuse(poll, 401, "authentication_failed");
    poll = bench.respond_to_registration("");
    bench.now.mono = bench.now.mono + Duration::from_secs(60);
    bench.fail(poll, IoErrorKind::Disconnected);
    assert_eq!(bench.outcome, None, "it was in touch with its relay a minute ago");
    assert!(bench.wait() <= Duration::from_secs(2));
}

#[test]
fn after_a_sleep_everything_is_retried_immediately_and_the_pauses_start_over() {
    let mut bench = Bench::new(|_| {});
    bench.answer_git();
    for _ in 0..8 {
        let (register, _) = bench.request("/bridge");
        bench.fail(register, IoErrorKind::Unreachable);
        bench.wait();
    }
    let (register, _) = bench.request("/bridge");
    bench.fail(register, IoErrorKind::Unreachable);
    // The wall clock advanced by eight hours, the monotonic one did not.
    bench.now.wall = bench.now.wall + Duration::from_secs(8 * 3600);
    bench.handle(Event::Tick);
    let (register, _) = bench.request("/bridge");
    bench.fail(register, IoErrorKind::Unreachable);
    assert!(bench.wait() <= Duration::from_secs(2));
}

#[test]
fn an_id_that_could_escape_its_place_in_a_url_is_an_error_that_names_the_field() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let bad = item(1, "{}").replace("session_1", "../../admin");
    bench.respond(poll, 200, &bad);
    let retrying = bench.notices.iter().find_map(|notice| match notice {
        WorkerNotice::Retrying { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(retrying.expect("a notice").contains("session id"));
    assert!(bench.actions.is_empty(), "nothing is requested: {:?}", bench.actions);
}

#[test]
fn the_same_events_give_the_same_actions() {
    let run = || {
        let (mut bench, poll) = Bench::serving(|_| {});
        let Running { agent, .. } = bench.start_session(poll, 1);
        bench.handle(stdout(agent, &format!("{QUESTION}\n")));
        for _ in 0..20 {
            bench.wait();
        }
        bench.actions.iter().map(|action| format!("{action:?}")).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_late_answer_is_dropped() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 204, "");
    let before = bench.actions.len();
    bench.respond_again(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    assert_eq!(bench.actions.len(), before);
    assert!(bench.notices.iter().all(|n| !matches!(n, WorkerNotice::BadWork { .. })));
}

#[test]
fn after_a_401_the_token_is_read_again_once_and_a_second_401_ends_the_worker() {
    let from_file = |config: &mut WorkerConfig| {
        config.credential = Credential::from_file(Secret::from("old"), "/token".to_owned());
    };
    for (file, second, is_end) in
        [("new\n", 200, false), ("new\n", 401, true), ("old\n", 401, true)]
    {
        let mut bench = Bench::new(from_file);
        bench.answer_git();
        let (register, _) = bench.request("/bridge");
        bench.refuse(register, 401, "authentication_failed");
        let load = bench.take("load", |action| match action {
            Action::Load { op, path, .. } if path == "/token" => Some(*op),
            _ => None,
        });
        bench.handle(Event::Loaded { op: load, data: Some(Bytes::from(file)), modified: None });
        let (register, request) = bench.request("/bridge");
        assert_eq!(request.headers[0].1.reveal(), format!("Bearer {}", file.trim()));
        let answer = r#"{"environment_id":"env_1","environment_secret":"s"}"#;
        match second {
            401 => bench.refuse(register, 401, "authentication_failed"),
            _ => bench.respond(register, second, answer),
        }
        assert_eq!(bench.outcome.is_some(), is_end, "{file} {second}");
    }
}

#[test]
fn a_relay_that_restarts_twice_with_other_keys_does_not_end_the_worker() {
    let (mut bench, mut poll) = Bench::serving(|_| {});
    for secret in ["s2", "s3", "s4"] {
        bench.refuse(poll, 401, "authentication_failed");
        let (register, _) = bench.request("/bridge");
        let answer = format!(r#"{{"environment_id":"env_1","environment_secret":"{secret}"}}"#);
        bench.respond(register, 200, &answer);
        // The poll was held until the relay went away.
        let (held, _) = bench.request("/work/poll");
        bench.fail(held, IoErrorKind::Disconnected);
        bench.wait();
        poll = bench.request("/work/poll").0;
    }
    assert_eq!(bench.outcome, None);
}

#[test]
fn a_new_registration_does_not_shorten_the_pause_the_relay_asked_for() {
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 2);
    let Running { agent, link } = bench.start_session(poll, 1);
    let (poll, _) = bench.request("/work/poll");
    let headers = vec![("retry-after".to_owned(), "40".to_owned())];
    let response = Response { status: 503, headers, body: Bytes::new() };
    bench.handle(Event::Response { op: poll, response });
    // Meanwhile, something else finds out that the relay has other keys.
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.refuse(stop, 401, "authentication_failed");
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s2"}"#);
    assert!(bench.has_request("/work/work_1/stop") && !bench.has_request("/work/poll"));
    let mut waited = Duration::ZERO;
    while !bench.has_request("/work/poll") {
        waited += bench.wait();
    }
    assert!(waited >= Duration::from_secs(40), "{waited:?}");
}

#[test]
fn a_worker_whose_token_worked_waits_for_a_relay_that_does_not_know_the_new_one_yet() {
    let (mut bench, poll) = Bench::serving(|config| {
        config.credential = Credential::from_file(Secret::from("old"), "/token".to_owned());
    });
    let began = bench.now.mono;
    bench.refuse(poll, 401, "authentication_failed");
    let mut looks = 0;
    loop {
        let (register, _) = bench.request("/bridge");
        bench.refuse(register, 401, "authentication_failed");
        let load = bench.take("the token", |action| match action {
            Action::Load { op, .. } => Some(*op),
            _ => None,
        });
        looks += 1;
        bench.handle(Event::Loaded {
            op: load,
            data: Some(Bytes::from_static(b"new")),
            modified: None,
        });
        let (register, request) = bench.request("/bridge");
        assert_eq!(request.headers[0].1.reveal(), "Bearer new");
        bench.refuse(register, 401, "authentication_failed");
        if bench.has_request("/environments/env_1/stop") {
            break;
        }
        assert!(!bench.has_request("/bridge"), "not immediately");
        bench.wait();
    }
    let took = bench.now.mono.saturating_since(began);
    assert!(took >= Duration::from_secs(570) && looks < 100, "{took:?}, {looks} looks");
    let (stop, _) = bench.request("/environments/env_1/stop");
    bench.fail(stop, IoErrorKind::Refused);
    assert_eq!(
        bench.hand.outcome.expect("an end").expect_err("a fault").kind,
        MachineErrorKind::Unauthorized
    );
}

#[test]
fn a_secret_with_a_bad_base_url_is_reported_and_polling_continues() {
    let (mut bench, poll) = Bench::serving(|config| config.spawn_mode = SpawnMode::SingleSession);
    let secret = r#"{"version":1,"session_ingress_token":"t","api_base_url":"ftp://x"}"#;
    bench.respond(poll, 200, &item(1, secret));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    assert!(bench.has_request("/work/work_1/stop"));
    assert!(bench.has_request("/work/poll"), "its room is free again");
}
