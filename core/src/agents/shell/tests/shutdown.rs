//! Shutting down the agent.

use super::*;

#[test]
fn the_end_of_input_denies_open_questions_and_ends_the_agent_after_its_last_output() {
    let mut host = Host::new();
    host.prompt("one");
    host.prompt("two");
    host.heard();
    host.bytes(b"");
    let reason = "The input has ended, so nobody can be asked whether this may run.";
    let denied =
        [format!("tool(true) {reason}"), format!("text {reason}"), "result completed".to_owned()];
    let heard = host.heard();
    assert_eq!(heard[..3], denied);
    assert_eq!(heard[3..5], ["init", "use two"]);
    assert_eq!(heard[5..], denied);
    let stdio = host.stdio();
    assert_eq!(host.actions, [Action::Close { op: stdio, code: 1000 }]);
    assert_eq!(host.outcome, None);
    host.close();
    assert_eq!(host.outcome, Some(Ok(())));
}

#[test]
fn the_running_command_is_ended_with_the_agent_however_that_ends() {
    type End = fn(&mut Host);
    let endings: [(&str, End); 4] = [
        ("end of input", |host| host.bytes(b"")),
        ("a closed stdout", Host::close),
        ("shutdown", |host| host.command(Command::Shutdown)),
        ("immediate shutdown", |host| host.command(Command::ShutdownNow)),
    ];
    for (name, end) in endings {
        let mut host = Host::with_mode(PermissionMode::BypassPermissions);
        host.prompt("sleep 9");
        end(&mut host);
        let signals = host.signals();
        assert_eq!(signals[0], Signal::Terminate, "{name}");
        assert_eq!(signals.contains(&Signal::Kill), name == "immediate shutdown", "{name}");
        assert_eq!(host.outcome, None, "{name}: it sees the end of the command");
        host.exit(ExitStatus::Signal(15));
        if host.operation(host.stdio()).is_some() {
            host.close();
        }
        assert_eq!(host.outcome, Some(Ok(())), "{name}");
    }
}

#[test]
fn shutdown_drops_waiting_messages_and_does_not_wait_forever_for_a_reader() {
    let mut host = Host::new();
    host.prompt("one");
    host.prompt("two");
    host.heard();
    host.command(Command::Shutdown);
    host.drain();
    assert_eq!(
        host.heard(),
        ["withdraw", "tool(true) The turn was interrupted.", "result aborted_tools"]
    );
    host.pass(AGENT_FLUSH_TIMEOUT);
    assert_eq!(host.outcome, Some(Ok(())));
}

#[test]
fn a_command_at_the_instant_of_a_deadline_leaves_no_deadline_in_the_past() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("sleep 9");
    for _ in 0..20 {
        host.command(Command::ShutdownNow);
        host.drain();
        if let (Some(deadline), None) = (host.deadline, &host.outcome) {
            host.now.mono = deadline;
        }
    }
    assert_eq!(host.outcome, Some(Ok(())));
}
