//! Shutting down a worker.

use super::*;

#[test]
fn a_shutdown_ends_sessions_reports_them_deregisters_and_finishes() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.command(WorkerCommand::Shutdown);
    assert_eq!(bench.signals(), [Signal::Terminate]);
    bench.exit(agent, ExitStatus::Signal(15));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (stop, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"interrupted""#), "{body}");
    bench.respond(stop, 200, "{}");
    let (deregister, _) = bench.request("/environments/env_1/stop");
    bench.respond(deregister, 200, "{}");
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn a_second_signal_kills_and_waits_for_nobody() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, .. } = bench.start_session(poll, 1);
    bench.command(WorkerCommand::Shutdown);
    bench.command(WorkerCommand::ShutdownNow);
    assert_eq!(bench.signals(), [Signal::Terminate, Signal::Kill]);
    bench.exit(agent, ExitStatus::Signal(9));
    assert!(bench.has_request("/work/work_1/stop"), "its last lines are not waited for");
}

#[test]
fn a_shutdown_takes_bounded_time_when_nobody_answers() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.start_session(poll, 1);
    let start = bench.now.mono;
    bench.command(WorkerCommand::Shutdown);
    while bench.outcome.is_none() {
        bench.wait();
    }
    let took = bench.now.mono.saturating_since(start);
    assert!(took <= Duration::from_secs(60), "{took:?}");
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn a_command_at_the_instant_of_a_deadline_leaves_no_deadline_in_the_past() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.start_session(poll, 1);
    bench.command(WorkerCommand::Shutdown);
    // The bench refuses to wait for a deadline that has passed.
    for _ in 0..20 {
        let Some(deadline) = bench.deadline.filter(|_| bench.outcome.is_none()) else { break };
        let left = deadline.saturating_since(bench.now.mono);
        bench.pass(left);
        bench.command(WorkerCommand::ShutdownNow);
    }
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn an_ending_agent_keeps_its_grace_period_when_the_relay_revokes_the_token() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.start_session(poll, 1);
    bench.command(WorkerCommand::Shutdown);
    assert_eq!(bench.signals(), [Signal::Terminate]);
    while !bench.has_request("/work/work_1/heartbeat") {
        bench.wait();
    }
    let (heartbeat, _) = bench.request("/work/work_1/heartbeat");
    bench.refuse(heartbeat, 401, "authentication_failed");
    let (redispatch, _) = bench.request("/sessions/session_1/redispatch");
    bench.refuse(redispatch, 401, "authentication_failed");
    assert_eq!(bench.signals(), [], "its grace period is not over");
}

/// A worker that is told to shut down while registering again, because a new lease for its session
/// was refused; returns the registration.
fn shut_down_while_registering() -> (Bench, OpId) {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { link, .. } = bench.start_session(poll, 1);
    bench.actions.retain(|action| !matches!(action, Action::Request { .. }));
    bench.break_and_refuse(link);
    let (redispatch, _) = bench.request("/redispatch");
    bench.refuse(redispatch, 401, "authentication_failed");
    let (register, _) = bench.request("/bridge");
    bench.command(WorkerCommand::Shutdown);
    (bench, register)
}

#[test]
fn a_worker_that_shuts_down_while_registering_again_does_not_poll() {
    let (mut bench, register) = shut_down_while_registering();
    let answer = r#"{"environment_id":"env_1","environment_secret":"new"}"#;
    bench.respond(register, 200, answer);
    assert!(!bench.has_request("/work/poll"));
    assert!(!bench.has_request("/redispatch"));
}

#[test]
fn a_worker_that_shuts_down_does_not_register_again() {
    for status in [401, 503] {
        let (mut bench, register) = shut_down_while_registering();
        bench.refuse(register, status, "no");
        for _ in 0..4 {
            bench.wait();
            assert!(!bench.has_request("/bridge"), "{status}");
        }
    }
}

#[test]
fn a_worker_that_drains_takes_no_session_and_ends_with_its_last_one() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.command(WorkerCommand::Drain { hand_over: false });
    assert_eq!(bench.signals(), [], "its session continues");
    let (drain, _) = bench.request("/environments/env_1/drain");
    bench.respond(drain, 200, "{}");
    while bench.has_request("/work/poll") {
        let (poll, _) = bench.request("/work/poll");
        bench.respond(poll, 204, "");
    }
    for _ in 0..3 {
        bench.wait();
    }
    assert!(!bench.has_request("/work/poll"), "it asks for work");
    assert!(!bench.has_request("/drain"), "the relay knows");
    assert_eq!(bench.outcome, None);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    let (stop, _) = bench.request("/work/work_1/stop");
    bench.respond(stop, 200, "{}");
    let (deregister, _) = bench.request("/environments/env_1/stop");
    bench.respond(deregister, 200, "{}");
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn a_worker_without_a_session_drains_at_once() {
    let (mut bench, _) = Bench::serving(|_| {});
    bench.command(WorkerCommand::Drain { hand_over: false });
    assert!(!bench.has_request("/drain"), "nobody has to wait for it");
    let (deregister, _) = bench.request("/environments/env_1/stop");
    bench.respond(deregister, 200, "{}");
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn a_worker_that_drains_for_its_next_run_keeps_the_environment() {
    let (mut bench, _) = Bench::serving(|_| {});
    bench.command(WorkerCommand::Drain { hand_over: true });
    assert!(!bench.has_request("/environments/env_1/stop"));
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn a_worker_that_drains_can_still_be_shut_down() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.start_session(poll, 1);
    bench.command(WorkerCommand::Drain { hand_over: false });
    bench.command(WorkerCommand::Shutdown);
    assert_eq!(bench.signals(), [Signal::Terminate]);
}

#[test]
fn the_relay_is_told_of_a_drain_until_it_knows() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.start_session(poll, 1);
    bench.command(WorkerCommand::Drain { hand_over: false });
    for _ in 0..3 {
        let (drain, _) = bench.request("/environments/env_1/drain");
        bench.refuse(drain, 503, "unavailable");
        assert!(!bench.has_request("/drain"), "not without a pause");
        while !bench.has_request("/drain") {
            bench.wait();
        }
    }
    let (drain, _) = bench.request("/environments/env_1/drain");
    bench.refuse(drain, 404, "not_found");
    for _ in 0..10 {
        bench.wait();
    }
    assert!(!bench.has_request("/drain"), "a relay of before cannot be told");
}

#[test]
fn a_relay_with_which_a_draining_worker_registers_again_is_told_again() {
    let (mut bench, poll) = Bench::serving(|_| {});
    bench.start_session(poll, 1);
    bench.command(WorkerCommand::Drain { hand_over: false });
    let (drain, _) = bench.request("/environments/env_1/drain");
    bench.respond(drain, 200, "{}");
    while !bench.has_request("/work/work_1/heartbeat") {
        bench.wait();
    }
    let (heartbeat, _) = bench.request("/work/work_1/heartbeat");
    bench.refuse(heartbeat, 401, "authentication_failed");
    let (redispatch, _) = bench.request("/sessions/session_1/redispatch");
    bench.refuse(redispatch, 401, "authentication_failed");
    bench.respond_to_registration(r#""session_1""#);
    let (drain, _) = bench.request("/environments/env_1/drain");
    bench.respond(drain, 200, "{}");
    assert!(!bench.has_request("/drain"));
}
