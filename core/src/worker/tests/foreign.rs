//! Answers that are not the relay's, limits of proxies, and pauses that somebody asks for.

use super::*;
use crate::base::limits::{LINK_PING_AFTER, MAX_RETRY_AFTER, NO_UPGRADE_GIVE_UP, POLL_WAIT};

const PAGE: &str = "<html><title>Sign in to Airport Wi-Fi</title></html>";

/// Answers that no relay gives: pages, redirects, nothing at all, half of something.
const ANSWERS: &[(u16, &str)] = &[
    (200, PAGE),
    (200, ""),
    (200, r#"{"state":"#),
    (302, ""),
    (307, PAGE),
    (400, PAGE),
    (401, PAGE),
    (401, ""),
    (403, PAGE),
    (403, r#"{"message":"Forbidden"}"#),
    (404, PAGE),
    (404, r#"{"error":{"code":404,"message":"Not Found"}}"#),
    (407, PAGE),
    (409, PAGE),
    (410, PAGE),
    (410, r#"{"error":{"type":"session_en"#),
    (421, ""),
    (426, ""),
    (451, PAGE),
    (502, PAGE),
    (504, PAGE),
];

/// What a worker of which one session runs has requested, and no test has answered.
fn requests(bench: &mut Bench) -> Vec<(OpId, bool)> {
    let mut found = Vec::new();
    bench.actions.retain(|action| match action {
        Action::Request { op, .. } => {
            found.push((*op, false));
            false
        }
        Action::Open { op, .. } => {
            found.push((*op, true));
            false
        }
        _ => true,
    });
    found
}

#[test]
fn a_page_in_the_relays_place_ends_neither_a_worker_nor_its_session_whatever_its_status() {
    for (status, body) in ANSWERS {
        let (mut bench, poll) = Bench::serving(|_| {});
        let Running { link, .. } = bench.start_session(poll, 1);
        bench.handle(Event::Closed { op: link, code: None, failure: None });
        let until = bench.now.mono + Duration::from_secs(300);
        let mut answered = 0;
        while bench.now.mono < until {
            for (op, is_link) in requests(&mut bench) {
                let response = Response {
                    status: *status,
                    headers: vec![],
                    body: Bytes::copy_from_slice(body.as_bytes()),
                };
                bench.handle(match is_link {
                    true => Event::Refused { op, response },
                    false => Event::Response { op, response },
                });
                answered += 1;
            }
            bench.wait();
        }
        assert!(answered > 20, "{status} {body}: {answered}");
        assert!(bench.signals().is_empty() && bench.machine.sessions() == 1, "{status} {body}");
        assert_eq!(bench.outcome, None, "{status} {body}");
        assert!(!bench.has_request("/bridge"), "{status} {body}: its registration holds");
    }
}

#[test]
fn a_page_in_the_relays_place_delays_a_registration_an_ack_and_a_report() {
    for (status, body) in ANSWERS {
        let mut bench = Bench::new(|_| {});
        bench.answer_git();
        let (register, _) = bench.request("/bridge");
        bench.respond(register, *status, body);
        bench.wait();
        let poll = bench.respond_to_registration("");
        bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
        let (ack, _) = bench.request("/work_1/ack");
        bench.respond(ack, *status, body);
        assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
        while !bench.has_request("/work_1/ack") {
            bench.wait();
        }
        let (ack, _) = bench.request("/work_1/ack");
        bench.respond(ack, 200, "{}");
        let agent = bench.take("spawn", |action| match action {
            Action::Spawn { op, .. } => Some(*op),
            _ => None,
        });
        let failure = IoError { kind: IoErrorKind::NotFound, detail: "d".to_owned() };
        bench.handle(Event::Failed { op: agent, failure });
        let link = bench.open();
        bench.handle(Event::Opened { op: link });
        bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
        bench.handle(frame(link, &ControlFrame::Ack { received: 1 }));
        let (report, _) = bench.request("/work_1/stop");
        bench.respond(report, *status, body);
        while !bench.has_request("/work_1/stop") {
            bench.wait();
        }
        assert!(bench.notices.iter().all(|n| !matches!(n, WorkerNotice::ReportLost { .. })));
    }
}

#[test]
fn a_person_is_told_who_answers_in_the_relays_place() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let headers = vec![
        ("via".to_owned(), "1.1 gate".to_owned()),
        ("retry-after".to_owned(), "3600".to_owned()),
    ];
    let body = Bytes::from_static(PAGE.as_bytes());
    bench.handle(Event::Response { op: poll, response: Response { status: 503, headers, body } });
    let told = bench.notices.iter().find_map(|notice| match notice {
        WorkerNotice::Retrying { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let told = told.expect("it is said");
    for words in ["503", "Airport Wi-Fi", "1.1 gate", "3600 s", "120 s"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn a_pause_of_an_hour_is_kept_for_two_minutes_and_ends_when_the_computer_wakes() {
    let (mut bench, mut poll) = Bench::serving(|_| {});
    for wakes in [false, true] {
        let headers = vec![("retry-after".to_owned(), "3600".to_owned())];
        let response = Response { status: 503, headers, body: Bytes::new() };
        bench.handle(Event::Response { op: poll, response });
        let began = bench.now.mono;
        if wakes {
            bench.pass(Duration::from_secs(10));
            bench.now.wall = bench.now.wall + Duration::from_secs(3600);
            bench.handle(Event::Tick);
        } else {
            bench.wait();
        }
        (poll, _) = bench.request("/work/poll");
        let paused = bench.now.mono.saturating_since(began);
        let expected = if wakes { Duration::from_secs(10) } else { MAX_RETRY_AFTER };
        assert!(paused >= expected && paused <= expected * 9 / 8, "{paused:?}");
    }
}

#[test]
fn when_the_computer_wakes_an_ack_and_a_report_wait_for_no_pause_either() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    // An item that cannot be run is reported at once.
    let (poll, _) = bench.request("/work/poll");
    bench.respond(poll, 200, &item(2, "no secret"));
    for call in ["/work_1/ack", "/work_2/stop"] {
        let (op, _) = bench.request(call);
        let headers = vec![("retry-after".to_owned(), "3600".to_owned())];
        let response = Response { status: 503, headers, body: Bytes::new() };
        bench.handle(Event::Response { op, response });
    }
    bench.pass(Duration::from_secs(5));
    bench.handle(Event::Tick);
    assert!(!bench.has_request("/work_1/ack") && !bench.has_request("/work_2/stop"));
    bench.now.wall = bench.now.wall + Duration::from_secs(3600);
    bench.handle(Event::Tick);
    assert!(bench.has_request("/work_1/ack") && bench.has_request("/work_2/stop"));
}

/// How long the relay is asked to hold a poll.
fn wait_of(request: &crate::contract::action::Request) -> Duration {
    let header = request.headers.iter().find(|(name, _)| *name == "prefer");
    let wait = header.expect("a wait").1.reveal().strip_prefix("wait=").expect("a number");
    Duration::from_secs(wait.parse().expect("a number"))
}

#[test]
fn where_polls_are_cut_at_five_seconds_work_comes_within_two_and_the_worker_stays() {
    type Cut = fn(&mut Bench, OpId);
    let cuts: [(&str, Cut); 3] = [
        ("a proxy's 504", |bench, poll| bench.respond(poll, 504, PAGE)),
        ("its 502", |bench, poll| bench.respond(poll, 502, PAGE)),
        ("the end of the connection", |bench, poll| bench.fail(poll, IoErrorKind::Disconnected)),
    ];
    for (what, cut) in cuts {
        let (mut bench, poll) = Bench::serving(|_| {});
        let (mut poll, mut wait) = (poll, POLL_WAIT);
        let until = bench.now.mono + Duration::from_secs(4 * 3600);
        let (mut polled, mut lost, limit) = (0, 0, Duration::from_secs(5));
        while bench.now.mono < until {
            bench.pass(wait.min(limit));
            polled += 1;
            if wait >= limit {
                lost += 1;
                cut(&mut bench, poll);
                let pause = bench.deadline.expect("it retries").saturating_since(bench.now.mono);
                assert!(pause <= Duration::from_secs(2), "{what}: {pause:?}");
                bench.wait();
            } else {
                bench.respond(poll, 204, "");
            }
            let request;
            (poll, request) = bench.request("/work/poll");
            wait = wait_of(&request);
        }
        assert_eq!(bench.outcome, None, "{what}");
        // Two to learn it, and one every ten minutes to see whether it is still so.
        assert!(lost <= 2 + 4 * 6 && polled > 1000, "{what}: {lost} of {polled}");
    }
}

#[test]
fn a_link_that_is_cut_after_a_steady_silence_pings_sooner() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { mut link, .. } = bench.start_session(poll, 1);
    let limit = Duration::from_secs(5);
    let (mut cuts, mut silent_since) = (0, bench.now.mono);
    let until = bench.now.mono + Duration::from_secs(600);
    while bench.now.mono < until {
        let next = bench.deadline.expect("a deadline");
        if next.saturating_since(silent_since) >= limit {
            bench.now.mono = silent_since + limit;
            cuts += 1;
            bench.handle(Event::Closed { op: link, code: None, failure: None });
            let mut opened = None;
            while opened.is_none() {
                bench.wait();
                opened = requests(&mut bench).into_iter().find(|(_, is_link)| *is_link);
            }
            (link, _) = opened.expect("a link");
            bench.handle(Event::Opened { op: link });
            bench.handle(frame(link, &ControlFrame::Resume { received: 1, from: 0, window: None }));
            silent_since = bench.now.mono;
            continue;
        }
        bench.wait();
        for (op, is_link) in requests(&mut bench) {
            if !is_link {
                let body = r#"{"lease_extended":true,"state":"running"}"#;
                bench.respond(op, 200, body);
            }
        }
        if bench.sent(link).iter().any(|sent| sent.contains("ping")) {
            silent_since = bench.now.mono;
            bench.handle(frame(link, &ControlFrame::Pong));
        }
    }
    assert!(limit < LINK_PING_AFTER);
    assert_eq!(cuts, 2, "two to learn it");
    assert!(bench.signals().is_empty());
}

#[test]
fn where_no_websocket_gets_through_the_session_fails_soon_and_says_so() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, "{}");
    let agent = bench.take("spawn", |action| match action {
        Action::Spawn { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    let began = bench.now.mono;
    while bench.signals().is_empty() {
        for (op, is_link) in requests(&mut bench) {
            if is_link {
                let body = br#"{"error":{"type":"upgrade_required","message":"m"}}"#;
                let body = Bytes::from_static(body);
                let response = Response { status: 426, headers: vec![], body };
                bench.handle(Event::Refused { op, response });
            }
        }
        if bench.signals().is_empty() {
            bench.wait();
        } else {
            break;
        }
    }
    let took = bench.now.mono.saturating_since(began);
    assert!(took >= NO_UPGRADE_GIVE_UP && took < 2 * NO_UPGRADE_GIVE_UP, "{took:?}");
    bench.exit(agent, ExitStatus::Signal(15));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"failed""#) && body.contains("Upgrade"), "{body}");
    let is_named = |notice: &WorkerNotice| matches!(notice, WorkerNotice::SessionDisconnected { reason, .. } if reason.contains("WebSocket"));
    assert!(bench.notices.iter().any(is_named));
}
