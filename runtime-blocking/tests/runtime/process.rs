//! Processes: real shells.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind, Output};

use crate::stage::Stage;

pub(crate) fn command(program: &str, args: &[&str]) -> ProcessSpec {
    ProcessSpec {
        program: program.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: Vec::new(),
        env_remove: Vec::new(),
        directory: None,
    }
}

pub(crate) fn shell(script: &str) -> ProcessSpec {
    command("sh", &["-c", script])
}

fn spawn(stage: &mut Stage, command: ProcessSpec) -> (OpId, u32) {
    let op = stage.start(|op| Action::Spawn { op, command });
    match stage.next() {
        Event::Spawned { op: of, pid } if of == op => (op, pid),
        other => panic!("not spawned: {other:?}"),
    }
}

/// All that a process still does.
#[derive(Debug, Default)]
struct Rest {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    writes: usize,
    is_input_closed: bool,
    status: Option<ExitStatus>,
}

impl Rest {
    fn of(stage: &Stage) -> Self {
        let mut rest = Self::default();
        let mut ends = 0;
        while ends < 3 {
            match stage.next() {
                Event::Stdout { data, .. } => rest.stdout.extend_from_slice(&data),
                Event::Stderr { data, .. } => rest.stderr.extend_from_slice(&data),
                Event::Written { writes, .. } => rest.writes += writes,
                Event::InputClosed { .. } => rest.is_input_closed = true,
                Event::OutputEnded { .. } => ends += 1,
                Event::Exited { status, .. } => {
                    rest.status = Some(status);
                    ends += 1;
                }
                other => panic!("{other:?} is not of a process"),
            }
        }
        rest
    }
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state stands behind the name, which is in parentheses.
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.starts_with(" Z"))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came that {what}");
}

#[test]
fn what_is_written_comes_back_in_order() {
    let mut stage = Stage::new();
    let (op, _) = spawn(&mut stage, command("cat", &[]));
    let mut sent = Vec::new();
    for line in 0..2000 {
        let line = format!("{line}: {}\n", "x".repeat(100));
        sent.extend_from_slice(line.as_bytes());
        stage.act(Action::Write { op, data: Bytes::from(line) });
    }
    stage.act(Action::CloseInput { op });
    let rest = Rest::of(&stage);
    assert_eq!((rest.writes, rest.status), (2000, Some(ExitStatus::Code(0))));
    assert!(rest.stdout == sent, "{} of {} bytes", rest.stdout.len(), sent.len());
    assert_eq!(stage.end(), []);
}

#[test]
fn the_end_of_a_process_is_told_as_it_was() {
    for (script, status) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 3", ExitStatus::Code(3)),
        ("kill -TERM $$", ExitStatus::Signal(15)),
        ("kill -KILL $$", ExitStatus::Signal(9)),
    ] {
        let mut stage = Stage::new();
        let (_, pid) = spawn(&mut stage, shell(&format!("echo out; echo err >&2; {script}")));
        let rest = Rest::of(&stage);
        assert_eq!(rest.status, Some(status), "{script}");
        assert_eq!((&rest.stdout[..], &rest.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
        assert!(!std::fs::exists(format!("/proc/{pid}")).expect("readable"), "it was reaped");
        stage.end();
    }
}

#[test]
fn the_environment_and_directory_are_those_that_were_asked_for() {
    let mut stage = Stage::new();
    // The shell is found by the runtime's own PATH, whichever it is to get.
    let mut command = shell("echo \"$A-${HOME-none}-$PATH\"; pwd");
    command.env = vec![
        ("A".to_owned(), Secret::from("hunter2")),
        ("PATH".to_owned(), Secret::from("/nonexistent")),
    ];
    command.env_remove = vec!["HOME".to_owned()];
    command.directory = Some("/".to_owned());
    spawn(&mut stage, command);
    let rest = Rest::of(&stage);
    assert_eq!(String::from_utf8_lossy(&rest.stdout), "hunter2-none-/nonexistent\n/\n");
    stage.end();
}

#[test]
fn a_signal_reaches_the_whole_group() {
    let mut stage = Stage::new();
    let (op, _) = spawn(&mut stage, shell("sleep 1000 & echo $!; sleep 1000"));
    let Event::Stdout { data, .. } = stage.next() else { panic!("no pid") };
    let grandchild: u32 = String::from_utf8_lossy(&data).trim().parse().expect("a pid");
    assert!(is_alive(grandchild));
    stage.act(Action::Signal { op, signal: Signal::Terminate });
    assert_eq!(Rest::of(&stage).status, Some(ExitStatus::Signal(15)));
    wait_until("the grandchild is dead", || !is_alive(grandchild));
    stage.end();
}

#[test]
fn a_signal_that_comes_before_the_process_waits_for_it() {
    let mut stage = Stage::new();
    let op = stage.start(|op| Action::Spawn { op, command: command("sleep", &["1000"]) });
    stage.act(Action::Signal { op, signal: Signal::Kill });
    assert!(matches!(stage.next(), Event::Spawned { .. }));
    assert_eq!(Rest::of(&stage).status, Some(ExitStatus::Signal(9)));
    stage.end();
}

#[test]
fn a_grandchild_that_holds_stdout_outlives_the_exit_and_can_be_signalled() {
    let mut stage = Stage::new();
    let (op, _) = spawn(&mut stage, shell("sleep 1000 2>/dev/null & exit 7"));
    let mut early = vec![stage.next(), stage.next()];
    early.sort_by_key(|event| matches!(event, Event::Exited { .. }));
    assert_eq!(
        early,
        [
            Event::OutputEnded { op, output: Output::Stderr },
            Event::Exited { op, status: ExitStatus::Code(7) },
        ]
    );
    stage.act(Action::Signal { op, signal: Signal::Kill });
    assert_eq!(stage.next(), Event::OutputEnded { op, output: Output::Stdout });
    stage.end();
}

#[test]
fn a_group_can_be_signalled_when_all_of_its_outputs_have_ended() {
    let mut stage = Stage::new();
    let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
    let (op, _) = spawn(&mut stage, shell(script));
    let rest = Rest::of(&stage);
    let left: u32 = String::from_utf8_lossy(&rest.stdout).trim().parse().expect("a pid");
    assert!(is_alive(left));
    stage.act(Action::Signal { op, signal: Signal::Kill });
    wait_until("what was left behind is dead", || !is_alive(left));
    stage.end();
}

#[test]
fn writes_to_one_that_reads_no_more_are_told_as_lost() {
    let mut stage = Stage::new();
    let (op, _) = spawn(&mut stage, shell("exec <&-; echo closed; sleep 1000"));
    assert!(matches!(stage.next(), Event::Stdout { .. }));
    for _ in 0..3 {
        stage.act(Action::Write { op, data: Bytes::from_static(b"x\n") });
    }
    assert_eq!(stage.next(), Event::InputClosed { op });
    stage.act(Action::Write { op, data: Bytes::from_static(b"x\n") });
    stage.act(Action::Signal { op, signal: Signal::Kill });
    let rest = Rest::of(&stage);
    assert!(!rest.is_input_closed && rest.writes == 0, "said once: {rest:?}");
    stage.end();
}

#[test]
fn a_write_that_nobody_will_read_is_told_at_the_exit() {
    let mut stage = Stage::new();
    let (op, _) = spawn(&mut stage, shell("read line; exit 0"));
    let data = Bytes::from(vec![b'\n'; 1 << 20]);
    stage.act(Action::Write { op, data });
    let rest = Rest::of(&stage);
    assert!(rest.is_input_closed && rest.writes == 0, "{rest:?}");
    stage.end();
}

#[test]
fn a_paused_process_waits_and_loses_nothing() {
    let mut stage = Stage::new();
    let (op, pid) = spawn(&mut stage, shell("read go; seq 1 200000; echo done >&2"));
    stage.act(Action::Pause { op });
    stage.act(Action::Write { op, data: Bytes::from_static(b"go\n") });
    assert_eq!(stage.next(), Event::Written { op, writes: 1 });
    // It fills the pipe, and then sleeps in the write.
    wait_until("the writer is blocked", || {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let writer = children.split_whitespace().next().unwrap_or("none").to_owned();
        let wchan = std::fs::read_to_string(format!("/proc/{writer}/stat")).unwrap_or_default();
        wchan.contains(") S ")
    });
    stage.act(Action::Resume { op });
    let rest = Rest::of(&stage);
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(rest.stdout == expected.as_bytes(), "{} bytes", rest.stdout.len());
    stage.end();
}

#[test]
fn what_cannot_be_started_says_what_is_missing() {
    let root = tempfile::tempdir().expect("a directory");
    let plain = root.path().join("plain").to_str().expect("text").to_owned();
    std::fs::write(&plain, "not a program").expect("written");
    let in_directory =
        |directory: &str| ProcessSpec { directory: Some(directory.to_owned()), ..shell("") };
    for (command, kind, named) in [
        (command("no-such-program-x", &[]), IoErrorKind::NotFound, "no-such-program-x"),
        (command("/no/such/program", &[]), IoErrorKind::NotFound, "/no/such/program"),
        (command(&plain, &[]), IoErrorKind::Denied, &plain[..]),
        (in_directory("/no/such/directory"), IoErrorKind::NotFound, "/no/such/directory"),
        (in_directory(&plain), IoErrorKind::NotFound, &plain[..]),
    ] {
        let mut stage = Stage::new();
        stage.start(|op| Action::Spawn { op, command });
        let Event::Failed { failure, .. } = stage.next() else { panic!("started: {named}") };
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.detail.contains(named), "{failure}");
        stage.end();
    }
}

#[test]
fn a_cancelled_process_loses_its_pipes_lives_on_and_is_reaped() {
    let mut stage = Stage::new();
    let (op, pid) = spawn(&mut stage, shell("cat; sleep 1000"));
    stage.act(Action::Cancel { op });
    wait_until("cat has seen the end of its input", || {
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().any(|child| {
            std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default() == "sleep\n"
        })
    });
    assert!(is_alive(pid));
    let group = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).expect("alive");
    wait_until("it was reaped", || !std::fs::exists(format!("/proc/{pid}")).expect("readable"));
    assert_eq!(stage.end(), []);
}
