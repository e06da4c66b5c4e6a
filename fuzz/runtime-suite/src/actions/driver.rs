//! The loop: deadlines, commands, cancelled operations.

use std::time::Duration;

use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

use crate::harness::{Driven, Order, PATIENCE};
use crate::{HostSpec, Runtime};

pub fn a_deadline_is_kept_and_brings_the_time<R: Runtime>() {
    let driven = Driven::start::<R>();
    let before = std::time::Instant::now();
    driven.order(Order::Tick(Duration::from_millis(50)));
    let (now, event) = driven.next_at();
    assert_eq!(event, Event::Tick);
    assert!(before.elapsed() >= Duration::from_millis(50), "not early");
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let apart = wall.expect("after 1970").as_millis().abs_diff(u128::from(now.wall.as_millis()));
    assert!(apart < 10_000, "wall-clock time is the system's, {apart} ms apart");
    driven.order(Order::Tick(Duration::from_millis(1)));
    let (later, event) = driven.next_at();
    assert_eq!(event, Event::Tick);
    assert!(later.mono > now.mono);
    assert_eq!(driven.end(), [], "one deadline is one tick");
}

pub fn a_command_wakes_a_machine_that_waits_for_a_distant_deadline<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    driven.order(Order::Tick(Duration::from_secs(3600)));
    driven.is_quiet();
    let op = driven.begin(|op| Action::List { op, path: "/no/such/directory".into() });
    assert_eq!(driven.next(), Event::Listed { op, names: Vec::new() });
    driven.order(Order::Tick(Duration::from_millis(1)));
    assert_eq!(driven.next(), Event::Tick, "a nearer deadline replaces the far one");
    driven.end();
}

pub fn a_deadline_and_commands_have_their_turn_while_events_pour_in<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let flood = driven.spawn("exec cat /dev/zero");
    driven.order(Order::Tick(Duration::from_millis(50)));
    let spawned = driven.next();
    assert!(matches!(spawned, Event::Spawned { .. }), "{spawned:?}");
    while driven.next() != Event::Tick {}
    driven.act(Action::Cancel { op: flood });
    driven.end();
}

pub fn a_cancelled_operation_produces_no_more_events<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    let flood = driven.spawn("while :; do echo x; done");
    while !matches!(driven.next(), Event::Stdout { .. }) {}
    driven.act(Action::Cancel { op: flood });
    // The answer to a later request arrives after the cancel; anything after that would be late.
    let after = driven.begin(|op| Action::List { op, path: "/no/such/directory".into() });
    while driven.next() != (Event::Listed { op: after, names: Vec::new() }) {}
    driven.is_quiet();
    driven.end();
}

pub fn an_unanswered_operation_does_not_keep_the_driver<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    driven.spawn("exec sleep 1000");
    let spawned = driven.next();
    let Event::Spawned { pid, .. } = spawned else { panic!("{spawned:?}") };
    driven.end();
    // Ending releases processes; killing them is the machine's decision.
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
    rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).expect("still there");
}

pub fn actions_on_an_operation_never_started_do_nothing<R: Runtime>() {
    let mut driven = Driven::start::<R>();
    driven.begin(|op| Action::Resume { op });
    driven.begin(|op| Action::CloseInput { op });
    driven.begin(|op| Action::Close { op, code: 1000 });
    driven.begin(|op| Action::Cancel { op });
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("gone").to_str().expect("text").to_owned();
    let op = driven.begin(|op| Action::List { op, path });
    assert_eq!(driven.next(), Event::Listed { op, names: Vec::new() });
    driven.end();
}

/// Records the order of its calls.
#[derive(Default)]
struct Recorder {
    calls: Vec<&'static str>,
    deadline: Option<Instant>,
    is_to_tell: bool,
}

/// Requests to the recorder.
enum Ask {
    /// Report the calls so far, then wait this long.
    Wait(Duration),
    Note,
    End,
}

impl Machine for Recorder {
    type Command = Ask;
    type Notice = Vec<&'static str>;

    fn command(&mut self, now: Now, command: Ask) {
        match command {
            Ask::Wait(time) => (self.deadline, self.is_to_tell) = (Some(now.mono + time), true),
            Ask::Note => self.calls.push("command"),
            Ask::End => self.calls.push("end"),
        }
    }

    fn handle(&mut self, _: Now, event: Event) {
        assert_eq!(event, Event::Tick, "it asks for nothing");
        self.calls.push("tick");
        (self.deadline, self.is_to_tell) = (None, true);
    }

    fn step(&mut self) -> Step<Vec<&'static str>> {
        if std::mem::take(&mut self.is_to_tell) {
            Step::Tell(std::mem::take(&mut self.calls))
        } else if self.calls.contains(&"end") {
            Step::Finished(Ok(()))
        } else {
            if !matches!(self.calls.last(), None | Some(&"step")) {
                self.calls.push("step");
            }
            Step::Wait(self.deadline)
        }
    }
}

pub fn waiting_events_are_delivered_as_one_batch_followed_by_a_due_deadline<R: Runtime>() {
    let (tell, told) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let running = R::start(Recorder::default(), HostSpec::default(), move |calls| {
        tell.send(calls).expect("the case is listening");
        // The first time, until there are commands and the deadline has passed.
        let _ = wait.recv();
    });
    let ask = running.command;
    ask(Ask::Wait(Duration::from_millis(20)));
    told.recv_timeout(PATIENCE).expect("it is asked to wait");
    (0..3).for_each(|_| ask(Ask::Note));
    std::thread::sleep(Duration::from_millis(60));
    drop(go);
    let calls = told.recv_timeout(PATIENCE).expect("the deadline");
    assert_eq!(calls, ["command", "command", "command", "tick"]);
    ask(Ask::End);
    assert_eq!(running.thread.join().expect("no panic"), Ok(()));
}
