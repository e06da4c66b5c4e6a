//! Commands run to their end.

use std::time::{Duration, Instant};

use footbridge_core::contract::action::{Action, ProcessSpec};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind};

use crate::process::{command, shell};
use crate::stage::Stage;

fn run(command: ProcessSpec, timeout: Duration, limit: usize) -> Event {
    let mut stage = Stage::new();
    stage.start(|op| Action::Run { op, command, timeout, limit });
    let event = stage.next();
    assert_eq!(stage.end(), [], "one answer");
    event
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_command_answers_with_its_status_and_both_outputs() {
    let event = run(shell("cat; echo out; echo err >&2; exit 4"), LONG, 100);
    let Event::Ran { status, stdout, stderr, .. } = event else { panic!("{event:?}") };
    assert_eq!(
        (status, &stdout[..], &stderr[..]),
        (ExitStatus::Code(4), &b"out\n"[..], &b"err\n"[..])
    );
}

#[test]
fn more_output_than_is_kept_does_not_hold_it_up() {
    let event = run(shell("seq 1 100000; seq 1 100000 >&2"), LONG, 10);
    let Event::Ran { status, stdout, stderr, .. } = event else { panic!("{event:?}") };
    assert!(status.is_success());
    assert_eq!((&stdout[..], &stderr[..]), (&b"1\n2\n3\n4\n5\n"[..], &b"1\n2\n3\n4\n5\n"[..]));
}

#[test]
fn one_that_takes_too_long_is_killed_with_its_group() {
    let begun = Instant::now();
    let mark = format!("{}.5", 100_000 + std::process::id());
    let event = run(shell(&format!("sleep {mark} & sleep {mark}")), Duration::from_millis(200), 10);
    let Event::Failed { failure, .. } = event else { panic!("{event:?}") };
    assert_eq!(failure.kind, IoErrorKind::TimedOut);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let is_left = || {
        !std::process::Command::new("pgrep")
            .args(["-f", &mark])
            .output()
            .expect("pgrep")
            .stdout
            .is_empty()
    };
    while is_left() {
        assert!(begun.elapsed() < Duration::from_secs(20), "somebody survived");
    }
}

#[test]
fn a_daemon_that_it_leaves_behind_does_not_hold_up_the_answer() {
    let event = run(shell("sleep 30 & echo started"), LONG, 100);
    let Event::Ran { status, stdout, .. } = event else { panic!("{event:?}") };
    assert_eq!((status, &stdout[..]), (ExitStatus::Code(0), &b"started\n"[..]));
}

#[test]
fn one_that_is_not_there_is_not_found() {
    let event = run(command("no-such-program-x", &[]), LONG, 10);
    let Event::Failed { failure, .. } = event else { panic!("{event:?}") };
    assert_eq!(failure.kind, IoErrorKind::NotFound);
}

#[test]
fn a_cancelled_one_is_killed_and_says_nothing() {
    let mut stage = Stage::new();
    let command = shell("sleep 1000");
    let op = stage.start(|op| Action::Run { op, command, timeout: LONG, limit: 10 });
    stage.act(Action::Cancel { op });
    let begun = Instant::now();
    assert_eq!(stage.end(), []);
    assert!(begun.elapsed() < Duration::from_secs(10));
}
