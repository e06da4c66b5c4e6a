//! Trees of processes: what a process has started, wherever that has gone, ends with it.

use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::Event;

use crate::Runtime;
use crate::harness::process::{Life, is_alive, wait_until};
use crate::harness::{Driven, shell};

/// Tools in sessions of their own, one below the other, one whose parent has gone, and one without
/// any environment. Prints the id of each.
const TOOLS: &str = "
    setsid sh -c 'echo $$; exec sleep 1000' &
    setsid sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 1000\" & echo $$; exec sleep 1000' &
    (setsid sh -c 'echo $$; exec sleep 1000' &)
    env -i setsid sh -c 'echo $$; exec sleep 1000' &
";

/// Runs a script that starts the tools and then does something else; its operation, and the tools.
fn tools(driven: &mut Driven, then: &str) -> (OpId, Vec<u32>) {
    let op = driven.spawn(&format!("{TOOLS}\n{then}"));
    let lines = |life: &Life| life.stdout.iter().filter(|byte| **byte == b'\n').count();
    let life = Life::default().until(driven, op, |life| lines(life) == 5);
    let pids = String::from_utf8(life.stdout).expect("numbers");
    (op, pids.lines().map(|pid| pid.parse().expect("a number")).collect())
}

/// Ends a tree, whatever else is heard meanwhile.
fn end(driven: &mut Driven, process: OpId) -> Vec<String> {
    let asked = driven.begin(|op| Action::EndTree { op, process });
    loop {
        if let Event::TreeEnded { op, survivors } = driven.next() {
            assert_eq!(op, asked);
            return survivors;
        }
    }
}

pub fn what_has_left_its_group_and_its_session_ends_with_the_tree<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (op, tools) = tools(&mut driven, "wait");
    assert_eq!(end(&mut driven, op), [""; 0]);
    assert_eq!(tools.iter().map(|pid| is_alive(*pid)).collect::<Vec<_>>(), [false; 5]);
    driven.act(Action::Cancel { op });
    driven.end();
}

pub fn a_tree_whose_root_has_gone_is_found_by_its_mark<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let then = "sleep 0.3; kill -9 $$";
    let script = format!("{}\n{then}", TOOLS.replace("env -i setsid", "setsid"));
    let op = driven.spawn(&script);
    let life = Life::default().until(&driven, op, |life| life.status.is_some());
    let tools = String::from_utf8(life.stdout).expect("numbers");
    let tools: Vec<u32> = tools.lines().map(|pid| pid.parse().expect("a number")).collect();
    assert_eq!(tools.len(), 5);
    assert!(tools.iter().all(|tool| is_alive(*tool)));
    assert_eq!(end(&mut driven, op), [""; 0]);
    assert!(!tools.into_iter().any(is_alive));
    driven.act(Action::Cancel { op });
    driven.end();
}

pub fn one_tree_ends_and_another_does_not<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let (first, theirs) = tools(&mut driven, "wait");
    let other = shell(&format!("exec >/dev/null 2>&1 </dev/null; {TOOLS}\nexec sleep 1000"));
    let (second, pid) = driven.spawned(other);
    assert_eq!(end(&mut driven, first), [""; 0]);
    driven.act(Action::Cancel { op: first });
    assert_eq!(theirs.iter().map(|pid| is_alive(*pid)).collect::<Vec<_>>(), [false; 5]);
    assert!(is_alive(pid));
    driven.act(Action::Cancel { op: second });
    // Right after the cancel of its process, as a machine does.
    let (third, pid) = driven.spawned(shell("exec sleep 1000"));
    let asked = driven.begin(|op| Action::EndTree { op, process: third });
    driven.act(Action::Cancel { op: third });
    while driven.next() != (Event::TreeEnded { op: asked, survivors: Vec::new() }) {}
    wait_until("it is dead", || !is_alive(pid));
    driven.end();
}

/// Each starts the next, in a session of its own, and goes.
pub fn one_that_runs_away_is_caught<R: Runtime>() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hop");
    let (own, last) = (path.display().to_string(), directory.path().join("last"));
    let last = last.display().to_string();
    std::fs::write(&path, format!("echo $$ > {last}\nsetsid sh {own} &\n")).expect("a file");
    let mut driven = Driven::start::<R>();
    let op = driven.spawn(&format!("sh {own}; exec sleep 1000"));
    wait_until("it runs", || std::fs::exists(&last).expect("readable"));
    // Without a cgroup this is a race, which may have to be run more than once.
    wait_until("it stands still", || {
        end(&mut driven, op);
        let written = || std::fs::metadata(&last).and_then(|file| file.modified()).expect("a time");
        let before = written();
        std::thread::sleep(Duration::from_millis(100));
        before == written()
    });
    driven.act(Action::Cancel { op });
    driven.end();
}
