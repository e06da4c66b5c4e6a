//! A host that reads late, or never.

use super::*;

#[test]
fn a_flood_waits_for_the_reader_and_an_interrupt_still_gets_through() {
    let mut host = Host::with_mode(PermissionMode::BypassPermissions);
    host.prompt("yes");
    host.reads = false;
    let read = host.said.len();
    let (op, _) = host.process();
    let mut chunks = 0;
    while !host.did(|action| *action == Action::Pause { op }) {
        host.handle(Event::Stdout { op, data: Bytes::from(alloc::vec![b'y'; 8192]) });
        chunks += 1;
        assert!(chunks * 8192 <= AGENT_COMMAND_HIGH_WATER_BYTES, "the command is paused in time");
    }
    let stdio = host.stdio();
    assert!(!host.did(|action| *action == Action::Pause { op: stdio }));
    host.request("r", &json!({"subtype": "interrupt"}));
    assert_eq!(host.signals(), [Signal::Terminate]);
    let unread = host.said.len() - read;
    host.handle(Event::Sent { op: stdio, messages: unread });
    assert!(host.did(|action| *action == Action::Resume { op }));
}

#[test]
fn a_host_that_sends_requests_but_never_reads_is_not_read_either() {
    let mut host = Host::new();
    host.reads = false;
    let stdio = host.stdio();
    let mut asked = 0;
    while !host.did(|action| *action == Action::Pause { op: stdio }) {
        host.request(&"r".repeat(1000), &json!({"subtype": "initialize"}));
        asked += 1;
        assert!(asked * 1000 <= AGENT_INPUT_HIGH_WATER_BYTES);
    }
    let said = host.said.len();
    host.handle(Event::Sent { op: stdio, messages: said });
    assert!(host.did(|action| *action == Action::Resume { op: stdio }));
}
