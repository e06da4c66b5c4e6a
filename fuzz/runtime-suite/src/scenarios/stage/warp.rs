//! Clocks that run fast or were set: a machine that wraps a machine.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use footbridge_core::base::time::{Instant, Now, UnixTime};
use footbridge_core::contract::action::{Action, Target};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

/// How a machine's clocks differ from the real ones.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// Both clocks run this many times as fast, so that time limits of a minute expire
    /// in seconds.
    pub(crate) speed: u32,
    /// How far the wall clock has been set, in milliseconds.
    pub(crate) set_by: Arc<AtomicI64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self::fast(1)
    }
}

impl Clock {
    pub(crate) fn fast(speed: u32) -> Self {
        Self { speed, set_by: Arc::default() }
    }
}

/// A machine with altered clocks, which records what goes in and out.
pub(crate) struct Warped<M> {
    machine: M,
    clock: Clock,
    first: Option<Now>,
    trace: Arc<Mutex<String>>,
}

impl<M> Warped<M> {
    pub(crate) fn new(machine: M, clock: Clock) -> Self {
        Self { machine, clock, first: None, trace: Arc::default() }
    }

    pub(crate) fn trace(&self) -> Arc<Mutex<String>> {
        Arc::clone(&self.trace)
    }

    fn warp(&mut self, now: Now) -> Now {
        let first = *self.first.get_or_insert(now);
        let elapsed = now.wall.saturating_since(first.wall) * self.clock.speed;
        let wall = (first.wall + elapsed).as_millis();
        let wall = wall.saturating_add_signed(self.clock.set_by.load(Ordering::Relaxed));
        let mono = Instant::from_origin(now.mono.since_origin() * self.clock.speed);
        Now { mono, wall: UnixTime::from_millis(wall) }
    }

    fn write(&self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.trace.lock().expect("no panic"), "{what}");
    }

    /// The runtime's own time limits are as fast as the clocks.
    fn hasten(&self, mut action: Action) -> Action {
        let hasten = |limit: &mut Duration| *limit /= self.clock.speed;
        match &mut action {
            Action::Request { request, .. } => hasten(&mut request.timeout),
            Action::Open { target: Target::WebSocket { timeout, .. }, .. } => hasten(timeout),
            _ => {}
        }
        action
    }
}

impl<M: Machine> Machine for Warped<M> {
    type Command = M::Command;
    type Notice = M::Notice;

    fn command(&mut self, now: Now, command: M::Command) {
        let now = self.warp(now);
        self.machine.command(now, command);
    }

    fn handle(&mut self, now: Now, event: Event) {
        let now = self.warp(now);
        self.write(format_args!("{event:?}"));
        self.machine.handle(now, event);
    }

    fn step(&mut self) -> Step<M::Notice> {
        match self.machine.step() {
            Step::Do(action) => {
                self.write(format_args!("{action:?}"));
                Step::Do(self.hasten(action))
            }
            // Rounded up, so that the deadline has passed when the runtime returns.
            Step::Wait(Some(at)) => {
                let at = at.since_origin() / self.clock.speed + Duration::from_nanos(1);
                Step::Wait(Some(Instant::from_origin(at)))
            }
            step => step,
        }
    }
}
