//! Sessions whose lease was replaced by a newer one.

use super::*;
use crate::base::limits::SUPERSEDED_LEASE_GRACE;

#[test]
fn a_second_item_for_a_running_session_renews_its_lease_and_starts_nothing() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { link, .. } = bench.start_session(poll, 1);
    let (poll, _) = bench.request("/work/poll");
    let again = item(2, r#"{"version":1,"session_ingress_token":"fresh"}"#);
    bench.respond(poll, 200, &again.replace("session_2", "session_1"));
    let (ack, _) = bench.request("/work/work_2/ack");
    bench.respond(ack, 200, "{}");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
    bench.take("the old link's close", |action| {
        matches!(action, Action::Close { op, .. } if *op == link).then_some(())
    });
    let headers = bench.take("open", |action| match action {
        Action::Open { target: Target::WebSocket { headers, .. }, .. } => Some(headers.clone()),
        _ => None,
    });
    assert_eq!(headers[0].1.reveal(), "Bearer fresh");
}

/// A session's lease has lapsed while its worker was stopped, and was handed out to it again.
fn superseded(find_out: impl Fn(&mut Bench, &Running)) -> (Bench, Running, OpId) {
    // There is no room for another session.
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    let running = bench.start_session(poll, 1);
    find_out(&mut bench, &running);
    assert!(bench.signals().is_empty(), "the newer lease may be its own");
    let (poll, _) = bench.request("/work/poll");
    (bench, running, poll)
}

/// The newer lease comes, and the session's link is up under it.
fn renew(bench: &mut Bench, poll: OpId) -> OpId {
    bench.respond(poll, 200, &item(2, NEWER).replace("session_2", "session_1"));
    let (ack, _) = bench.request("/work/work_2/ack");
    bench.respond(ack, 200, "{}");
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 1, from: 0, window: None }));
    link
}

fn by_heartbeat(bench: &mut Bench, _: &Running) {
    while !bench.has_request("/heartbeat") {
        bench.wait();
    }
    let (heartbeat, _) = bench.request("/heartbeat");
    bench.refuse(heartbeat, 409, "lease_lost");
}

fn by_close_code(bench: &mut Bench, running: &Running) {
    let code = Some(crate::wire::link_v1::CLOSE_LEASE_LOST);
    bench.handle(Event::Closed { op: running.link, code, failure: None });
}

fn by_handshake(bench: &mut Bench, running: &Running) {
    bench.handle(Event::Closed { op: running.link, code: None, failure: None });
    bench.wait();
    let op = bench.open();
    let body = Bytes::from_static(br#"{"error":{"type":"lease_lost","message":"m"}}"#);
    let response = Response { status: 409, headers: vec![], body };
    bench.handle(Event::Refused { op, response });
}

const NEWER: &str = r#"{"version":1,"session_ingress_token":"newer"}"#;

#[test]
fn whoever_holds_the_newer_lease_of_a_session_keeps_its_agent() {
    for find_out in [by_heartbeat, by_close_code, by_handshake] {
        let (mut bench, running, poll) = superseded(find_out);
        bench.handle(stdout(running.agent, "{\"type\":\"assistant\"}\n"));
        let link = renew(&mut bench, poll);
        assert!(bench.sent(link).iter().any(|sent| sent.contains("assistant")));
        let beats = bench.now.mono + 4 * SUPERSEDED_LEASE_GRACE;
        while bench.now.mono < beats {
            bench.handle(frame(link, &ControlFrame::Pong));
            bench.wait();
        }
        assert!(bench.signals().is_empty() && bench.machine.sessions() == 1);
        assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
    }
}

/// The relay was stopped for so long that the lease lapsed and polls failed; it continues, and the
/// link hears of the newer lease before any poll could bring it.
#[test]
fn a_newer_lease_is_asked_for_at_once_however_long_the_pause_after_failed_polls() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let running = bench.start_session(poll, 1);
    let (mut poll, _) = bench.request("/work/poll");
    let stopped_at = bench.now.mono;
    while bench.now.mono < stopped_at + Duration::from_secs(300) {
        bench.handle(frame(running.link, &ControlFrame::Pong));
        bench.fail(poll, IoErrorKind::TimedOut);
        while !bench.has_request("/work/poll") {
            bench.handle(frame(running.link, &ControlFrame::Pong));
            bench.wait();
        }
        (poll, _) = bench.request("/work/poll");
    }
    bench.fail(poll, IoErrorKind::TimedOut);
    by_close_code(&mut bench, &running);
    let (poll, _) = bench.request("/work/poll");
    renew(&mut bench, poll);
    assert!(bench.signals().is_empty() && bench.machine.sessions() == 1);
}

#[test]
fn an_agent_is_kept_as_long_as_no_poll_could_have_brought_its_newer_lease() {
    let (mut bench, _, mut poll) = superseded(by_close_code);
    let lost_at = bench.now.mono;
    while bench.now.mono < lost_at + 5 * SUPERSEDED_LEASE_GRACE {
        bench.respond(poll, 503, "<html>maintenance</html>");
        while !bench.has_request("/work/poll") {
            bench.wait();
        }
        (poll, _) = bench.request("/work/poll");
    }
    assert!(bench.signals().is_empty(), "it may be its own");
    renew(&mut bench, poll);
    assert!(bench.signals().is_empty() && bench.machine.sessions() == 1);
}

#[test]
fn a_session_whose_newer_lease_does_not_arrive_was_given_to_another_worker() {
    for find_out in [by_heartbeat, by_close_code, by_handshake] {
        let (mut bench, running, _) = superseded(find_out);
        let mut signals = Vec::new();
        let found_out_at = bench.now.mono;
        while signals.is_empty() {
            bench.wait();
            signals = bench.signals();
        }
        assert_eq!(signals, [Signal::Kill]);
        let waited = bench.now.mono.saturating_since(found_out_at);
        assert_eq!(waited, SUPERSEDED_LEASE_GRACE);
        bench.exit(running.agent, ExitStatus::Signal(9));
        assert_eq!(bench.machine.sessions(), 0);
        assert!(!bench.has_request("/stop"), "there is nothing to report");
    }
}

#[test]
fn what_an_agent_said_last_goes_out_under_the_newer_lease() {
    let (mut bench, running, poll) = superseded(by_close_code);
    bench.handle(stdout(running.agent, "{\"type\":\"result\"}\n"));
    bench.exit(running.agent, ExitStatus::Code(0));
    assert!(!bench.has_request("/stop"), "its last line is not there yet");
    let link = renew(&mut bench, poll);
    assert!(bench.sent(link).iter().any(|sent| sent.contains("result")));
    bench.handle(frame(link, &ControlFrame::Ack { received: 3 }));
    let (_, request) = bench.request("/work/work_2/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"completed""#) && body.contains(r#""fence":2"#), "{body}");
}
