//! Processes: input and output.

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Signal};
use footbridge_core::contract::event::{Event, ExitStatus};

use crate::Runtime;
use crate::harness::process::{Life, program, wait_until};
use crate::harness::{Driven, shell};

fn write(driven: &Driven, op: OpId, text: &'static str) {
    driven.act(Action::Write { op, data: Bytes::from_static(text.as_bytes()) });
}

pub fn a_process_answers_its_stdin_and_ends_when_that_does<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.spawn("cat; echo done >&2; exit 7");
    for text in ["one\n", "two\n", "three\n"] {
        write(&driven, op, text);
    }
    driven.act(Action::CloseInput { op });
    let life = Life::default().whole(&driven, op);
    assert_eq!(life.stdout, b"one\ntwo\nthree\n");
    assert_eq!(life.stderr, b"done\n");
    assert_eq!((life.status, life.written), (Some(ExitStatus::Code(7)), 3));
    driven.is_quiet();
    driven.end();
}

pub fn a_write_that_nobody_can_read_reports_that_the_input_is_closed<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.spawn("exec 0</dev/null; echo closed; sleep 0.1");
    let life = Life::default().until(&driven, op, |life| !life.stdout.is_empty());
    write(&driven, op, "into the void");
    write(&driven, op, "and again");
    let life = life.whole(&driven, op);
    assert!(life.is_input_closed);
    assert_eq!(life.written, 0);
    driven.end();
}

pub fn a_process_that_does_not_read_stops_only_its_own_input<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.spawn("echo here; exec sleep 1000");
    let life = Life::default().until(&driven, op, |life| !life.stdout.is_empty());
    driven.act(Action::Write { op, data: Bytes::from(vec![b'x'; 1 << 20]) });
    driven.is_quiet();
    let other = driven.begin(|op| Action::List { op, path: "/no/such/directory".into() });
    assert_eq!(driven.next(), Event::Listed { op: other, names: Vec::new() });
    driven.act(Action::Signal { op, signal: Signal::Kill });
    let life = life.until(&driven, op, |life| life.status.is_some());
    assert_eq!(life.written, 0);
    driven.end();
}

pub fn a_paused_process_is_held_back_by_its_pipe<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let script = "echo first; read go; head -c 3000000 /dev/zero; echo written >&2";
    let op = driven.spawn(script);
    let mut life = Life::default().until(&driven, op, |life| !life.stdout.is_empty());
    driven.act(Action::Pause { op });
    // Only now, so that the pause comes before the flood however busy the computer is.
    driven.act(Action::Write { op, data: Bytes::from_static(b"go\n") });
    driven.settled().into_iter().for_each(|event| life.see(op, event));
    let before = life.stdout.len();
    assert!(before < 3_000_000, "{before} bytes came");
    assert!(life.stderr.is_empty(), "the process waits");
    driven.act(Action::Resume { op });
    let life = life.whole(&driven, op);
    assert_eq!(life.stdout.len(), 6 + 3_000_000);
    assert_eq!(life.stderr, b"written\n");
    driven.end();
}

pub fn large_output_arrives_complete_and_in_order<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.spawn("seq 1 200000");
    let life = Life::default().whole(&driven, op);
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(life.stdout == expected.as_bytes(), "{} bytes", life.stdout.len());
    driven.end();
}

pub fn what_is_written_comes_back_in_order<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (op, _) = driven.spawned(program("cat", &[]));
    let mut sent = Vec::new();
    for line in 0..2000 {
        let line = format!("{line}: {}\n", "x".repeat(100));
        sent.extend_from_slice(line.as_bytes());
        driven.act(Action::Write { op, data: Bytes::from(line) });
    }
    driven.act(Action::CloseInput { op });
    let rest = Life::default().whole(&driven, op);
    assert_eq!((rest.written, rest.status), (2000, Some(ExitStatus::Code(0))));
    assert!(rest.stdout == sent, "{} of {} bytes", rest.stdout.len(), sent.len());
    assert_eq!(driven.end(), []);
}

pub fn writes_to_a_process_that_has_stopped_reading_are_reported_as_lost<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (op, _) = driven.spawned(shell("exec <&-; echo closed; sleep 1000"));
    assert!(matches!(driven.next(), Event::Stdout { .. }));
    for _ in 0..3 {
        driven.act(Action::Write { op, data: Bytes::from_static(b"x\n") });
    }
    assert_eq!(driven.next(), Event::InputClosed { op });
    driven.act(Action::Write { op, data: Bytes::from_static(b"x\n") });
    driven.act(Action::Signal { op, signal: Signal::Kill });
    let rest = Life::default().whole(&driven, op);
    assert!(!rest.is_input_closed && rest.written == 0, "said once: {rest:?}");
    driven.end();
}

pub fn a_write_that_nobody_will_read_is_reported_at_the_exit<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (op, _) = driven.spawned(shell("read line; exit 0"));
    let data = Bytes::from(vec![b'\n'; 1 << 20]);
    driven.act(Action::Write { op, data });
    let rest = Life::default().whole(&driven, op);
    assert!(rest.is_input_closed && rest.written == 0, "{rest:?}");
    driven.end();
}

pub fn a_paused_process_waits_and_loses_nothing<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (op, pid) = driven.spawned(shell("read go; seq 1 200000; echo done >&2"));
    driven.act(Action::Pause { op });
    driven.act(Action::Write { op, data: Bytes::from_static(b"go\n") });
    assert_eq!(driven.next(), Event::Written { op, writes: 1 });
    // It fills the pipe, then blocks in the write.
    wait_until("the writer is blocked", || {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let writer = children.split_whitespace().next().unwrap_or("none").to_owned();
        let wchan = std::fs::read_to_string(format!("/proc/{writer}/stat")).unwrap_or_default();
        wchan.contains(") S ")
    });
    driven.act(Action::Resume { op });
    let rest = Life::default().whole(&driven, op);
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(rest.stdout == expected.as_bytes(), "{} bytes", rest.stdout.len());
    driven.end();
}
