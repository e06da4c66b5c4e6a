//! Processes: how they start and end, and what reaches their groups.

use std::time::Duration;

use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind, Output};

use crate::Runtime;
use crate::harness::process::{Life, is_alive, program, wait_gone, wait_until};
use crate::harness::{Driven, shell};

pub fn a_signal_reaches_the_whole_group<R: Runtime>() {
    for (signal, number) in [(Signal::Terminate, 15), (Signal::Kill, 9), (Signal::Interrupt, 2)] {
        let mut driven = Driven::start::<R>();
        // Its child holds stdout: the output ends only when that is gone too.
        let op = driven.spawn("sleep 1000 & echo $!; wait; exec sleep 1000");
        let life = Life::default().until(&driven, op, |life| life.stdout.ends_with(b"\n"));
        driven.act(Action::Signal { op, signal });
        if signal == Signal::Interrupt {
            // A shell starts its background children with SIGINT ignored.
            driven.act(Action::Signal { op, signal: Signal::Terminate });
        }
        let life = life.whole(&driven, op);
        assert!(matches!(life.status, Some(ExitStatus::Signal(n)) if n == number || n == 15));
        wait_gone(String::from_utf8_lossy(&life.stdout).trim().parse().expect("a pid"));
        driven.end();
    }
}

pub fn a_child_that_holds_stdout_is_read_and_signalled_after_its_parents_exit<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.spawn("(echo $$; sleep 0.2; echo late; exec sleep 1000) & exit 3");
    let life = Life::default()
        .until(&driven, op, |life| life.status.is_some() && life.stdout.ends_with(b"late\n"));
    assert_eq!(life.status, Some(ExitStatus::Code(3)));
    assert!(!life.ended.contains(&Output::Stdout));
    driven.act(Action::Signal { op, signal: Signal::Kill });
    life.whole(&driven, op);
    driven.end();
}

pub fn a_child_that_holds_nothing_is_still_signalled<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.spawn("sleep 1000 </dev/null >/dev/null 2>&1 & echo $!");
    let life = Life::default().whole(&driven, op);
    driven.act(Action::Signal { op, signal: Signal::Kill });
    wait_gone(String::from_utf8_lossy(&life.stdout).trim().parse().expect("a pid"));
    driven.end();
}

pub fn environment_and_directory_are_as_specified<R: Runtime>() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().canonicalize().expect("it exists");
    let mut driven = Driven::start::<R>();
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

pub fn what_cannot_be_started_fails_and_says_what_is_missing<R: Runtime>() {
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
    let mut driven = Driven::start::<R>();
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

pub fn the_exit_of_a_process_is_reported_correctly<R: Runtime>() {
    for (script, status) in [
        ("exit 0", ExitStatus::Code(0)),
        ("exit 3", ExitStatus::Code(3)),
        ("kill -TERM $$", ExitStatus::Signal(15)),
        ("kill -KILL $$", ExitStatus::Signal(9)),
    ] {
        let mut driven = Driven::start::<R>();
        let (op, pid) = driven.spawned(shell(&format!("echo out; echo err >&2; {script}")));
        let rest = Life::default().whole(&driven, op);
        assert_eq!(rest.status, Some(status), "{script}");
        assert_eq!((&rest.stdout[..], &rest.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
        assert!(!std::fs::exists(format!("/proc/{pid}")).expect("readable"), "it was reaped");
        driven.end();
    }
}

pub fn a_program_is_found_through_the_runtimes_own_path<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    // The shell is found through the runtime's own PATH, whichever one the shell gets.
    let mut command = shell("echo \"$A-${HOME-none}-$PATH\"; pwd");
    command.env = vec![
        ("A".to_owned(), Secret::from("hunter2")),
        ("PATH".to_owned(), Secret::from("/nonexistent")),
    ];
    command.env_remove = vec!["HOME".to_owned()];
    command.directory = Some("/".to_owned());
    let (op, _) = driven.spawned(command);
    let rest = Life::default().whole(&driven, op);
    assert_eq!(String::from_utf8_lossy(&rest.stdout), "hunter2-none-/nonexistent\n/\n");
    driven.end();
}

pub fn a_signal_sent_before_the_process_starts_waits_for_it<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let op = driven.begin(|op| Action::Spawn { op, command: program("sleep", &["1000"]) });
    driven.act(Action::Signal { op, signal: Signal::Kill });
    assert!(matches!(driven.next(), Event::Spawned { .. }));
    assert_eq!(Life::default().whole(&driven, op).status, Some(ExitStatus::Signal(9)));
    driven.end();
}

pub fn a_grandchild_that_holds_stdout_outlives_the_exit_and_can_be_signalled<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (op, _) = driven.spawned(shell("sleep 1000 2>/dev/null & exit 7"));
    let mut early = vec![driven.next(), driven.next()];
    early.sort_by_key(|event| matches!(event, Event::Exited { .. }));
    assert_eq!(
        early,
        [
            Event::OutputEnded { op, output: Output::Stderr },
            Event::Exited { op, status: ExitStatus::Code(7) },
        ]
    );
    driven.act(Action::Signal { op, signal: Signal::Kill });
    assert_eq!(driven.next(), Event::OutputEnded { op, output: Output::Stdout });
    driven.end();
}

pub fn a_cancelled_process_loses_its_pipes_keeps_running_and_is_reaped<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (op, pid) = driven.spawned(shell("cat; sleep 1000"));
    driven.act(Action::Cancel { op });
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
    assert_eq!(driven.end(), []);
}
