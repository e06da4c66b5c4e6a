//! Commands that run until they exit.

use std::time::{Duration, Instant};

use footbridge_core::contract::action::{Action, ProcessSpec};
use footbridge_core::contract::event::{Event, ExitStatus, IoErrorKind};

use crate::Runtime;
use crate::harness::process::wait_gone;
use crate::harness::{Driven, shell};

const LONG: Duration = Duration::from_secs(60);

fn run<R: Runtime>(command: ProcessSpec, timeout: Duration, limit: usize) -> Event {
    let mut driven = Driven::start::<R>();
    driven.begin(|op| Action::Run { op, command, timeout, limit });
    let event = driven.next();
    assert_eq!(driven.end(), [], "one answer");
    event
}

pub fn a_command_answers_with_its_status_and_both_outputs<R: Runtime>() {
    let event = run::<R>(shell("cat; echo out; echo err >&2; exit 4"), LONG, 100);
    let Event::Ran { status, stdout, stderr, .. } = event else { panic!("{event:?}") };
    assert_eq!(
        (status, &stdout[..], &stderr[..]),
        (ExitStatus::Code(4), &b"out\n"[..], &b"err\n"[..])
    );
}

pub fn more_output_than_is_kept_does_not_block_it<R: Runtime>() {
    let event = run::<R>(shell("seq 1 100000; seq 1 100000 >&2"), LONG, 10);
    let Event::Ran { status, stdout, stderr, .. } = event else { panic!("{event:?}") };
    assert!(status.is_success());
    assert_eq!((&stdout[..], &stderr[..]), (&b"1\n2\n3\n4\n5\n"[..], &b"1\n2\n3\n4\n5\n"[..]));
}

pub fn a_cancelled_one_is_killed_and_reports_nothing<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let command = shell("sleep 1000");
    let op = driven.begin(|op| Action::Run { op, command, timeout: LONG, limit: 10 });
    driven.act(Action::Cancel { op });
    let begun = Instant::now();
    assert_eq!(driven.end(), []);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

pub fn a_command_that_takes_too_long_is_killed_with_its_children<R: Runtime>() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pid");
    let mut driven = Driven::start::<R>();
    let command = shell(&format!("sleep 1000 & echo $! > {}; wait", path.display()));
    let timeout = Duration::from_millis(300);
    let op = driven.begin(|op| Action::Run { op, command, timeout, limit: 100 });
    driven.fails_with(op, IoErrorKind::TimedOut);
    wait_gone(std::fs::read_to_string(&path).expect("written").trim().parse().expect("a pid"));
    driven.end();
}

pub fn a_child_left_behind_does_not_delay_a_command<R: Runtime>() {
    let mut driven = Driven::start::<R>();
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
