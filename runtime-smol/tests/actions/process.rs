//! Real processes.

use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind, Output};
use rustix::process::{Pid, test_kill_process};

use crate::support::{Driven, PATIENCE, alone, shell};

/// What a process did, until it had ended and both its outputs too.
#[derive(Debug, Default)]
struct Life {
    pid: u32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    status: Option<ExitStatus>,
    ended: Vec<Output>,
    written: usize,
    is_input_closed: bool,
}

impl Life {
    fn see(&mut self, op: OpId, event: Event) {
        match event {
            Event::Spawned { op: of, pid } if of == op => self.pid = pid,
            Event::Stdout { op: of, data } if of == op => self.stdout.extend(data),
            Event::Stderr { op: of, data } if of == op => self.stderr.extend(data),
            Event::OutputEnded { op: of, output } if of == op => self.ended.push(output),
            Event::Exited { op: of, status } if of == op => self.status = Some(status),
            Event::Written { op: of, writes } if of == op => self.written += writes,
            Event::InputClosed { op: of } if of == op => self.is_input_closed = true,
            other => panic!("unexpected: {other:?}"),
        }
    }

    #[track_caller]
    fn until(mut self, driven: &Driven, op: OpId, is_enough: impl Fn(&Self) -> bool) -> Self {
        while !is_enough(&self) {
            self.see(op, driven.next());
        }
        self
    }

    #[track_caller]
    fn whole(self, driven: &Driven, op: OpId) -> Self {
        self.until(driven, op, |life| life.status.is_some() && life.ended.len() == 2)
    }
}

fn write(driven: &Driven, op: OpId, text: &'static str) {
    driven.act(Action::Write { op, data: Bytes::from_static(text.as_bytes()) });
}

/// Waits until a process is gone and reaped by whoever has it.
fn wait_gone(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    let began = std::time::Instant::now();
    while test_kill_process(pid).is_ok() {
        assert!(began.elapsed() < PATIENCE, "{pid:?} is still there");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_process_answers_its_stdin_and_ends_when_that_does() {
    let mut driven = Driven::start();
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

#[test]
fn a_signal_reaches_the_whole_group() {
    for (signal, number) in [(Signal::Terminate, 15), (Signal::Kill, 9), (Signal::Interrupt, 2)] {
        let mut driven = Driven::start();
        // The child of its own holds stdout: the output ends only when it is gone too.
        let op = driven.spawn("sleep 1000 & echo $!; wait; exec sleep 1000");
        let life = Life::default().until(&driven, op, |life| life.stdout.ends_with(b"\n"));
        driven.act(Action::Signal { op, signal });
        if signal == Signal::Interrupt {
            // A shell starts its background children deaf to SIGINT.
            driven.act(Action::Signal { op, signal: Signal::Terminate });
        }
        let life = life.whole(&driven, op);
        assert!(matches!(life.status, Some(ExitStatus::Signal(n)) if n == number || n == 15));
        wait_gone(String::from_utf8_lossy(&life.stdout).trim().parse().expect("a pid"));
        driven.end();
    }
}

#[test]
fn a_child_that_holds_stdout_is_heard_and_reached_after_its_parents_end() {
    let mut driven = Driven::start();
    let op = driven.spawn("(echo $$; sleep 0.2; echo late; exec sleep 1000) & exit 3");
    let life = Life::default()
        .until(&driven, op, |life| life.status.is_some() && life.stdout.ends_with(b"late\n"));
    assert_eq!(life.status, Some(ExitStatus::Code(3)));
    assert!(!life.ended.contains(&Output::Stdout));
    driven.act(Action::Signal { op, signal: Signal::Kill });
    life.whole(&driven, op);
    driven.end();
}

#[test]
fn a_child_that_holds_nothing_is_still_reached() {
    let mut driven = Driven::start();
    let op = driven.spawn("sleep 1000 </dev/null >/dev/null 2>&1 & echo $!");
    let life = Life::default().whole(&driven, op);
    driven.act(Action::Signal { op, signal: Signal::Kill });
    wait_gone(String::from_utf8_lossy(&life.stdout).trim().parse().expect("a pid"));
    driven.end();
}

#[test]
fn a_write_that_nobody_reads_says_that_the_input_is_closed() {
    let mut driven = Driven::start();
    let op = driven.spawn("exec 0</dev/null; echo closed; sleep 0.1");
    let life = Life::default().until(&driven, op, |life| !life.stdout.is_empty());
    write(&driven, op, "into the void");
    write(&driven, op, "and again");
    let life = life.whole(&driven, op);
    assert!(life.is_input_closed);
    assert_eq!(life.written, 0);
    driven.end();
}

#[test]
fn a_process_that_does_not_read_stops_only_its_own_input() {
    let mut driven = Driven::start();
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

#[test]
fn a_paused_process_is_held_back_by_its_pipe() {
    let mut driven = Driven::start();
    let script = "echo first; read go; head -c 3000000 /dev/zero; echo written >&2";
    let op = driven.spawn(script);
    let mut life = Life::default().until(&driven, op, |life| !life.stdout.is_empty());
    driven.act(Action::Pause { op });
    // Only now, so that the pause is there before the flood however busy the machine is.
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

#[test]
fn large_output_comes_whole_and_in_order() {
    let mut driven = Driven::start();
    let op = driven.spawn("seq 1 200000");
    let life = Life::default().whole(&driven, op);
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(life.stdout == expected.as_bytes(), "{} bytes", life.stdout.len());
    driven.end();
}

#[test]
fn environment_and_directory_are_as_asked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().canonicalize().expect("it is there");
    let mut driven = Driven::start();
    let command = ProcessSpec {
        env: vec![("ADDED".into(), Secret::from("yes")), ("PATH_X".into(), Secret::from("kept"))],
        env_remove: vec!["HOME".into(), "PATH_X".into()],
        directory: path.to_str().map(String::from),
        ..shell("echo $ADDED ${HOME:-none} $PATH_X; pwd")
    };
    let op = driven.begin(|op| Action::Spawn { op, command });
    let life = Life::default().whole(&driven, op);
    let expected = format!("yes none kept\n{}\n", path.display());
    assert_eq!(String::from_utf8_lossy(&life.stdout), expected);
    driven.end();
}

#[test]
fn what_cannot_be_started_fails_and_says_what_is_missing() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let unusable = file.path().to_str().expect("UTF-8").to_owned();
    let directory = |path: &str| ProcessSpec { directory: Some(path.into()), ..shell("true") };
    let program = |path: &str| ProcessSpec { program: path.into(), ..shell("true") };
    let cases = [
        (program("no-such-program-here"), IoErrorKind::NotFound, "program no-such-program-here"),
        (program("/no/such/program"), IoErrorKind::NotFound, "program /no/such/program"),
        (program(&unusable), IoErrorKind::Denied, unusable.as_str()),
        (directory("/no/such/place"), IoErrorKind::NotFound, "directory /no/such/place"),
        (directory(&unusable), IoErrorKind::NotFound, unusable.as_str()),
    ];
    let mut driven = Driven::start();
    for (command, kind, words) in cases {
        for is_run in [false, true] {
            let (command, timeout) = (command.clone(), Duration::from_secs(5));
            let op = driven.begin(|op| match is_run {
                true => Action::Run { op, command, timeout, limit: 10 },
                false => Action::Spawn { op, command },
            });
            let failure = driven.failed(op);
            assert_eq!(failure.kind, kind, "{failure}");
            assert!(failure.detail.contains(words), "{failure}");
        }
    }
    driven.end();
}

#[test]
fn a_cancelled_process_lives_on_and_is_reaped() {
    let mut driven = Driven::start();
    let op = driven.spawn("trap '' PIPE; read line; sleep 0.1");
    let life = Life::default().until(&driven, op, |life| life.pid != 0);
    driven.act(Action::Cancel { op });
    // It ends by itself, since its stdin has ended, and does not stay as a zombie.
    wait_gone(life.pid);
    driven.is_quiet();
    driven.end();
}

#[test]
fn a_command_is_run_to_its_end_and_the_beginning_of_its_output_kept() {
    let mut driven = Driven::start();
    let command = shell("cat; seq 1 100000; echo oops >&2; exit 2");
    let timeout = Duration::from_secs(10);
    let op = driven.begin(|op| Action::Run { op, command, timeout, limit: 4 });
    let status = ExitStatus::Code(2);
    let (stdout, stderr) = (Bytes::from_static(b"1\n2\n"), Bytes::from_static(b"oops"));
    assert_eq!(driven.next(), Event::Ran { op, status, stdout, stderr });
    driven.end();
}

#[test]
fn a_command_that_takes_too_long_is_killed_with_its_children() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pid");
    let mut driven = Driven::start();
    let command = shell(&format!("sleep 1000 & echo $! > {}; wait", path.display()));
    let timeout = Duration::from_millis(300);
    let op = driven.begin(|op| Action::Run { op, command, timeout, limit: 100 });
    driven.fails_with(op, IoErrorKind::TimedOut);
    wait_gone(std::fs::read_to_string(&path).expect("written").trim().parse().expect("a pid"));
    driven.end();
}

#[test]
fn a_child_left_behind_does_not_hold_a_command_up() {
    let mut driven = Driven::start();
    let (command, timeout) = (shell("sleep 5 & echo $!"), Duration::from_secs(60));
    let began = std::time::Instant::now();
    let ours = driven.begin(|op| Action::Run { op, command, timeout, limit: 100 });
    let event = driven.next();
    let Event::Ran { op, status: ExitStatus::Code(0), stdout, .. } = event else {
        panic!("{event:?}")
    };
    assert_eq!(op, ours);
    assert!(!stdout.is_empty());
    assert!(began.elapsed() < Duration::from_secs(4));
    driven.end();
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_is_waited_for_without_a_thread() {
    // Alone, since drivers that end with children of theirs leave a thread to reap them.
    let output = alone("process::threads_beside_a_process").output().expect("started");
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "the other half of the test above"]
fn threads_beside_a_process() {
    let mut driven = Driven::start();
    let op = driven.spawn("exec sleep 1000");
    let _life = Life::default().until(&driven, op, |life| life.pid != 0);
    // A thread names itself once it runs.
    driven.is_quiet();
    let names = std::fs::read_dir("/proc/self/task").expect("threads");
    let names =
        names.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let own: Vec<_> = names.filter(|name| name.starts_with("async-")).collect();
    assert_eq!(own, ["async-io\n"]);
    driven.act(Action::Signal { op, signal: Signal::Kill });
    driven.end();
}
