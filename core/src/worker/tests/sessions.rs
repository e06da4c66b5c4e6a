//! Sessions, from their work item to their end.

use super::*;
use crate::base::limits::SUPERSEDED_LEASE_GRACE;

#[test]
fn a_session_runs_from_the_poll_to_its_reported_result() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    assert!(bench.has_request("/work/poll"), "it polls while a session runs");

    bench.handle(stdout(agent, "{\"type\":\"assistant\",\"n\":1}\n{\"type\":\"as"));
    bench.handle(stdout(agent, "sistant\",\"n\":2}\n"));
    let sent = bench.sent(link);
    assert_eq!(sent, [r#"{"type":"assistant","n":1}"#, r#"{"type":"assistant","n":2}"#]);

    let user = r#"{"type":"user","uuid":"U","message":{}}"#;
    bench.handle(line(link, user));
    assert_eq!(bench.written(agent), [format!("{user}\n")]);
    assert_eq!(bench.sent(link), [""; 0], "not acknowledged before the pipe has it");
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);

    bench.exit(agent, ExitStatus::Code(0));
    assert!(!bench.has_request("/work/work_1/stop"), "not before its last lines are acknowledged");
    bench.handle(frame(link, &ControlFrame::Ack { received: 4 }));
    let (stop, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"completed""#) && body.contains(r#""fence":1"#), "{body}");
    bench.respond(stop, 200, r#"{"state":"stopped"}"#);
    assert_eq!(bench.machine.sessions(), 0);
    assert!(bench.reports().is_empty());
}

#[test]
fn at_its_time_limit_a_session_gets_term_then_kill_and_is_reported_as_timed_out() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let deaf = |bench: &mut Bench| {
        // Nobody answers anything in the meantime; what the link receives keeps it alive.
        bench.handle(frame(link, &ControlFrame::Pong));
        bench.wait();
    };
    let start = bench.now.mono;
    let mut signals = Vec::new();
    while signals.len() < 2 {
        deaf(&mut bench);
        for signal in bench.signals() {
            signals.push((signal, bench.now.mono.saturating_since(start)));
        }
    }
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(signals, [(Signal::Terminate, day), (Signal::Kill, day + Duration::from_secs(30))]);
    bench.exit(agent, ExitStatus::Signal(9));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"timed_out""#), "{body}");
}

#[test]
fn a_grandchild_that_holds_stdout_does_not_hold_the_session() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(Event::Exited { op: agent, status: ExitStatus::Code(3) });
    assert_eq!(bench.wait(), crate::base::limits::AGENT_DRAIN);
    assert_eq!(bench.trees_ended, Some(1), "it does not survive");
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"failed""#) && body.contains(r#""exit_code":3"#), "{body}");
}

#[test]
fn an_agent_that_closes_its_stdout_and_keeps_running_is_ended() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(Event::OutputEnded { op: agent, output: Output::Stdout });
    bench.take("close of stdin", |a| matches!(a, Action::CloseInput { .. }).then_some(()));
    assert_eq!(bench.wait(), crate::base::limits::AGENT_OUTPUT_CLOSED_GRACE);
    assert_eq!(bench.signals(), [Signal::Terminate], "it may end in order");
    bench.handle(Event::Exited { op: agent, status: ExitStatus::Signal(15) });
    bench.handle(Event::OutputEnded { op: agent, output: Output::Stderr });
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains("failed") && body.contains("closed its output"), "{body}");
}

#[test]
fn an_agent_that_cannot_be_started_is_a_failed_session_with_the_reason() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let agent = bench.take("spawn", |action| match action {
        Action::Spawn { op, .. } => Some(*op),
        _ => None,
    });
    let link = bench.open();
    bench.fail(agent, IoErrorKind::NotFound);
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
    bench.handle(frame(link, &ControlFrame::Ack { received: 1 }));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains("could not be started: not found: d"), "{body}");
}

/// The work secret asks for a version, and the worker was told which ones it speaks (C-4).
#[test]
fn a_session_speaks_the_version_that_it_is_to_speak() {
    let (v1, v2) = ("/v2/session_ingress/ws/session_1", "/v1/code/sessions/session_1/bridge");
    for (asks, choice, url) in [
        (false, TransportChoice::Auto, v1),
        (true, TransportChoice::Auto, v2),
        (true, TransportChoice::V1, v1),
        (false, TransportChoice::V2, v2),
    ] {
        let (mut bench, poll) = Bench::serving(|config| config.transport = choice);
        let secret =
            format!(r#"{{"version":1,"session_ingress_token":"t","use_code_sessions":{asks}}}"#);
        bench.respond(poll, 200, &item(1, &secret));
        let (ack, _) = bench.request("/work/work_1/ack");
        bench.respond(ack, 200, r#"{"state":"acked"}"#);
        let asked = bench.actions.iter().any(|action| match action {
            Action::Request { request, .. } => request.url.ends_with(url),
            Action::Open { target: Target::WebSocket { url: of, .. }, .. } => of.ends_with(url),
            _ => false,
        });
        assert!(asked, "{asks} {choice:?}: {:?}", bench.actions);
    }
}

#[test]
fn where_version_2_is_not_served_sessions_travel_as_version_1_and_that_is_said_once() {
    let unknown = r#"{"error":{"type":"not_found","message":"no such path"}}"#;
    {
        let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 2);
        let secret = r#"{"version":1,"session_ingress_token":"t","use_code_sessions":true}"#;
        bench.respond(poll, 200, &item(1, secret));
        let (ack, _) = bench.request("/work/work_1/ack");
        bench.respond(ack, 200, r#"{"state":"acked"}"#);
        let (bridge, _) = bench.request("/v1/code/sessions/session_1/bridge");
        bench.respond(bridge, 404, unknown);
        let opens = |bench: &Bench, end: &str| {
            bench.actions.iter().any(|action| match action {
                Action::Open { target: Target::WebSocket { url, .. }, .. } => url.ends_with(end),
                _ => false,
            })
        };
        assert!(opens(&bench, "/session_ingress/ws/session_1"), "{:?}", bench.actions);
        let (poll, _) = bench.request("/work/poll");
        bench.respond(poll, 200, &item(2, secret));
        let (ack, _) = bench.request("/work/work_2/ack");
        bench.respond(ack, 200, r#"{"state":"acked"}"#);
        assert!(opens(&bench, "/session_ingress/ws/session_2"), "{:?}", bench.actions);
        let said = bench.notices.iter();
        let said = said.filter(|notice| matches!(notice, WorkerNotice::FellBack { .. }));
        assert_eq!(said.count(), 1);
    }
}

#[test]
fn work_that_cannot_be_run_is_reported_to_the_relay_and_nothing_is_started() {
    let cases = [
        (r#"{"version":2,"session_ingress_token":"t"}"#, "version 2"),
        (r#"{"version":1}"#, "no session_ingress_token"),
    ];
    for (secret, reason) in cases {
        let (mut bench, poll) = Bench::serving(|_| {});
        bench.respond(poll, 200, &item(1, secret));
        let (_, request) = bench.request("/work/work_1/stop");
        let body = String::from_utf8(request.body.to_vec()).expect("JSON");
        assert!(body.contains(reason) && body.contains(r#""status":"failed""#), "{body}");
        assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
    }
}

#[test]
fn what_each_answer_to_a_heartbeat_leads_to() {
    #[derive(Debug, PartialEq)]
    enum Then {
        GoesOn,
        Redispatch,
        Ends(Signal),
        /// Unless a newer lease arrives.
        EndsLater,
    }
    use Then::{Ends, EndsLater, GoesOn, Redispatch};
    const ERROR: &str = r#"{"error":{"type":"later"}}"#;
    let good = r#"{"lease_extended":true,"state":"running"}"#;
    let cases = [
        (200, good, GoesOn),
        (200, r#"{"lease_extended":true,"state":"stopping"}"#, Ends(Signal::Terminate)),
        (200, r#"{"lease_extended":false,"state":"running"}"#, EndsLater),
        (401, ERROR, Redispatch),
        (403, ERROR, Ends(Signal::Kill)),
        (404, ERROR, Ends(Signal::Kill)),
        (409, ERROR, EndsLater),
        (410, ERROR, Ends(Signal::Kill)),
        (429, ERROR, GoesOn),
        (500, ERROR, GoesOn),
    ];
    for (status, body, then) in cases {
        let (mut bench, poll) = Bench::serving(|_| {});
        bench.start_session(poll, 1);
        while !bench.has_request("/heartbeat") {
            bench.wait();
        }
        let (heartbeat, _) = bench.request("/heartbeat");
        bench.respond(heartbeat, status, body);
        let answered_at = bench.now.mono;
        let found = match bench.signals().first() {
            Some(signal) => Ends(*signal),
            None if bench.has_request("/sessions/session_1/redispatch") => Redispatch,
            None => {
                let mut signals = Vec::new();
                while signals.is_empty() && bench.now.mono < answered_at + SUPERSEDED_LEASE_GRACE {
                    bench.wait();
                    signals = bench.signals();
                }
                if signals == [Signal::Kill] { EndsLater } else { GoesOn }
            }
        };
        assert_eq!(found, then, "{status} {body}");
    }
}

#[test]
fn at_capacity_a_session_whose_token_ran_out_gets_its_new_lease_and_nothing_else_is_taken() {
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    let Running { link, .. } = bench.start_session(poll, 1);
    assert!(!bench.has_request("/work/poll"), "there is no room");
    bench.break_and_refuse(link);
    let (redispatch, _) = bench.request("/redispatch");
    assert!(!bench.has_request("/work/poll"));
    bench.respond(redispatch, 200, r#"{"state":"queued"}"#);

    // Another session's item arrives first: it is not acked, so the relay will hand it out again.
    let (poll, _) = bench.request("/work/poll");
    bench.pass(Duration::from_secs(2));
    bench.respond(poll, 200, &item(2, r#"{"version":1,"session_ingress_token":"t"}"#));
    assert!(!bench.has_request("/ack"));

    let (poll, _) = bench.request("/work/poll");
    let again = item(3, r#"{"version":1,"session_ingress_token":"fresh"}"#);
    bench.respond(poll, 200, &again.replace("session_3", "session_1"));
    let (ack, _) = bench.request("/work/work_3/ack");
    bench.respond(ack, 200, "{}");
    bench.open();
    assert!(!bench.has_request("/work/poll"), "there is no room again");
}

#[test]
fn a_link_whose_token_was_refused_is_retried_once_a_heartbeat_is_accepted() {
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    let Running { link, .. } = bench.start_session(poll, 1);
    bench.break_and_refuse(link);
    let (redispatch, _) = bench.request("/redispatch");
    bench.refuse(redispatch, 429, "limit_reached");

    // The relay's wall clock was set back, so the token is valid again.
    while !bench.has_request("/heartbeat") {
        bench.wait();
    }
    let (heartbeat, _) = bench.request("/heartbeat");
    bench.respond(heartbeat, 200, r#"{"lease_extended":true,"state":"running"}"#);
    bench.open();
}

#[test]
fn a_link_that_waits_to_be_tried_again_is_tried_as_soon_as_a_poll_finds_the_relay() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { link, .. } = bench.start_session(poll, 1);
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    let is_open =
        |bench: &Bench| bench.actions.iter().any(|action| matches!(action, Action::Open { .. }));
    // The last attempt of the link has just failed for the sixth time, and the next one is far away.
    for _ in 0..6 {
        while !is_open(&bench) {
            if bench.has_request("/work/poll") {
                let (poll, _) = bench.request("/work/poll");
                bench.fail(poll, IoErrorKind::Refused);
            }
            bench.wait();
        }
        let link = bench.open();
        bench.fail(link, IoErrorKind::Refused);
    }
    while !bench.has_request("/work/poll") {
        bench.wait();
        assert!(!is_open(&bench), "the polls come first");
    }
    let (poll, _) = bench.request("/work/poll");
    bench.respond(poll, 200, "null");
    bench.open();
}

#[test]
fn a_finished_item_is_acked_and_not_run_again() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.respond(stop, 200, "{}");
    let (poll, _) = bench.request("/work/poll");
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, "{}");
    assert!(bench.has_request("/work/work_1/stop"));
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
}

#[test]
fn a_healthcheck_is_acked_and_answered_without_a_session() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let item = item(1, r#"{"version":1,"session_ingress_token":"t"}"#);
    bench.respond(poll, 200, &item.replace(r#""session","id""#, r#""healthcheck","id""#));
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, "{}");
    assert!(bench.has_request("/work/work_1/stop"));
    assert_eq!(bench.machine.sessions(), 0);
}

#[test]
fn an_mcp_configuration_is_in_a_file_for_the_agent_as_long_as_it_runs() {
    let secret = r#"{"version":1,"session_ingress_token":"t","mcp_config":{"key":"hunter2"}}"#;
    let allow = |config: &mut WorkerConfig| {
        config.state_directory = Some("/state".to_owned());
        config.allowance.flags.push("mcp-config".to_owned());
    };
    let (mut bench, poll) = Bench::serving(allow);
    bench.respond(poll, 200, &item(1, secret));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let (save, data) = bench.take("save", |action| match action {
        Action::Save { op, path, data } if path == "/state/mcp/session_1.json" => {
            Some((*op, data.clone()))
        }
        _ => None,
    });
    assert_eq!(data, r#"{"key":"hunter2"}"#);
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
    bench.handle(Event::Saved { op: save });
    let (agent, args) = bench.take("spawn", |action| match action {
        Action::Spawn { op, command } => Some((*op, command.args.clone())),
        _ => None,
    });
    assert_eq!(args, ["--mcp-config", "/state/mcp/session_1.json"]);
    let link = bench.open();
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    bench.take("remove", |action| match action {
        Action::Remove { path, .. } if path == "/state/mcp/session_1.json" => Some(()),
        _ => None,
    });

    let (mut bench, poll) = Bench::serving(|_| {});
    bench.respond(poll, 200, &item(1, secret));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
}

/// Refuses the next heartbeat, and returns the request for another lease that follows.
fn refused_heartbeat(bench: &mut Bench) -> (OpId, crate::contract::action::Request) {
    while !bench.has_request("/heartbeat") {
        bench.wait();
    }
    let (heartbeat, _) = bench.request("/heartbeat");
    bench.refuse(heartbeat, 401, "authentication_failed");
    bench.request("/sessions/session_1/redispatch")
}

#[test]
fn a_relay_with_other_keys_revokes_every_token_and_the_session_continues_with_fresh_ones() {
    // At capacity, where no poll would reveal it.
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    bench.start_session(poll, 1);
    let (redispatch, request) = refused_heartbeat(&mut bench);
    assert_eq!(request.headers[0].1.reveal(), "Bearer s");
    bench.refuse(redispatch, 401, "authentication_failed");
    let (register, request) = bench.request("/bridge");
    assert!(core::str::from_utf8(&request.body).expect("text").contains("env_1"));
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s2"}"#);
    let (redispatch, request) = bench.request("/sessions/session_1/redispatch");
    assert_eq!(request.headers[0].1.reveal(), "Bearer s2");
    bench.respond(redispatch, 200, "{}");
    let (poll, request) = bench.request("/work/poll");
    assert_eq!(request.headers[0].1.reveal(), "Bearer s2");
    let again =
        item(1, r#"{"version":1,"session_ingress_token":"t2"}"#).replace("work_1", "work_2");
    bench.respond(poll, 200, &again);
    let (ack, request) = bench.request("/work/work_2/ack");
    assert_eq!(request.headers[0].1.reveal(), "Bearer t2");
    bench.respond(ack, 200, "{}");
    assert!(bench.signals().is_empty() && bench.machine.sessions() == 1);
}

#[test]
fn a_session_whose_fresh_secret_is_refused_as_well_waits_for_the_next_one() {
    let (mut bench, poll) = Bench::serving(|config| config.max_sessions = 1);
    bench.start_session(poll, 1);
    let (redispatch, _) = refused_heartbeat(&mut bench);
    bench.refuse(redispatch, 401, "authentication_failed");
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s2"}"#);
    let (redispatch, _) = bench.request("/sessions/session_1/redispatch");
    bench.refuse(redispatch, 401, "authentication_failed");
    assert!(bench.signals().is_empty() && !bench.has_request("/bridge"));
    bench.wait();
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s3"}"#);
    let (_, request) = bench.request("/sessions/session_1/redispatch");
    assert_eq!(request.headers[0].1.reveal(), "Bearer s3");
}
