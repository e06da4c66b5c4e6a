//! The loop that every machine shares, so that a role contains only its own decisions.
//!
//! ```text
//!   command, handle ──▶ ended? ──▶ time ──▶ slept? ──▶ role ──▶ due timers ──▶ settle
//!                        │ yes
//!                        ▼
//!                     nothing
//! ```
//!
//! Four rules live here and nowhere else: a machine that has ended does nothing more; monotonic
//! time never goes backwards; every due timer is handled in the call that finds it due; and the
//! next deadline is always later than now, so no driver can spin.

use core::fmt::Debug;
use core::time::Duration;

use super::effects::Effects;
use super::timer::Timers;
use crate::base::limits::SLEEP_GAP;
use crate::base::time::{Instant, Now};
use crate::contract::event::Event;
use crate::contract::machine::{Machine, Step};

/// What a role acts on: its operations and steps, and its timers.
#[derive(Debug)]
pub(crate) struct Cx<P, T, N> {
    pub(crate) fx: Effects<P, N>,
    pub(crate) timers: Timers<T>,
}

impl<P: Clone, T: Ord + Clone, N> Cx<P, T, N> {
    pub(crate) const fn new() -> Self {
        Self { fx: Effects::new(), timers: Timers::new() }
    }

    /// Sets `timer` to go off after `delay`, replacing any earlier setting.
    pub(crate) fn set_timer(&mut self, timer: T, delay: Duration) {
        let at = self.fx.now().mono + delay;
        self.timers.set(timer, at);
    }
}

/// The context of a role.
pub(crate) type CxOf<R> = Cx<<R as Role>::Purpose, <R as Role>::Timer, <R as Role>::Notice>;

/// How long the computer or the process slept: nothing was called, although something was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slept {
    /// By the clock that shows more of it.
    pub(crate) time: Duration,
    /// How much of it the monotonic clock has counted.
    pub(crate) counted: Duration,
}

/// A protocol role: the decisions of one machine, without the loop around them.
pub(crate) trait Role {
    /// See [`Machine::Command`].
    type Command;
    /// See [`Machine::Notice`].
    type Notice: Debug;
    /// What an operation was started for.
    type Purpose: Clone + Debug;
    /// The timers it uses.
    type Timer: Ord + Clone + Debug;

    /// A command from the program.
    fn on_command(&mut self, cx: &mut CxOf<Self>, command: Self::Command);

    /// Something happened. The role checks whether the operation is still open.
    fn on_event(&mut self, cx: &mut CxOf<Self>, event: Event);

    /// A timer went off; it is no longer set.
    fn on_timer(&mut self, cx: &mut CxOf<Self>, timer: Self::Timer);

    /// The computer slept since the last call. Called before anything else.
    fn on_wake(&mut self, _cx: &mut CxOf<Self>, _slept: Slept) {}

    /// Called at the end of every call.
    fn settle(&mut self, _cx: &mut CxOf<Self>) {}
}

/// A role with its context and the loop around it: a [`Machine`].
#[derive(Debug)]
pub(crate) struct Runner<R: Role> {
    role: R,
    cx: CxOf<R>,
    last_call: Option<Now>,
}

impl<R: Role> Runner<R> {
    /// `cx` holds anything the role has already started.
    pub(crate) const fn new(role: R, cx: CxOf<R>) -> Self {
        Self { role, cx, last_call: None }
    }

    pub(crate) const fn role(&self) -> &R {
        &self.role
    }

    fn call(&mut self, now: Now, then: impl FnOnce(&mut R, &mut CxOf<R>)) {
        let Self { role, cx, last_call } = self;
        if cx.fx.is_ended() {
            return;
        }
        cx.fx.advance(now);
        let now = cx.fx.now();
        if let Some(before) = last_call.replace(now)
            && let Some(slept) = sleep_between(before, now, cx.timers.next())
        {
            role.on_wake(cx, slept);
        }
        then(role, cx);
        while !cx.fx.is_ended()
            && let Some((timer, _)) = cx.timers.pop_due(now.mono)
        {
            role.on_timer(cx, timer);
        }
        role.settle(cx);
        debug_assert!(
            cx.fx.is_ended() || cx.timers.next().is_none_or(|next| next > now.mono),
            "the next deadline must be later than now"
        );
    }
}

impl<R: Role> Machine for Runner<R> {
    type Command = R::Command;
    type Notice = R::Notice;

    fn command(&mut self, now: Now, command: R::Command) {
        self.call(now, |role, cx| role.on_command(cx, command));
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.call(now, |role, cx| role.on_event(cx, event));
    }

    fn step(&mut self) -> Step<R::Notice> {
        self.cx.fx.step(self.cx.timers.next())
    }
}

/// Implements [`Machine`] for a public type by delegating to its field `runner`. The command and
/// notice types are spelled out because a public type cannot name them through a private role.
macro_rules! delegate_machine {
    ($machine:ty, $command:ty, $notice:ty) => {
        impl $crate::contract::machine::Machine for $machine {
            type Command = $command;
            type Notice = $notice;

            fn command(&mut self, now: $crate::base::time::Now, command: Self::Command) {
                self.runner.command(now, command);
            }

            fn handle(
                &mut self,
                now: $crate::base::time::Now,
                event: $crate::contract::event::Event,
            ) {
                self.runner.handle(now, event);
            }

            fn step(&mut self) -> $crate::contract::machine::Step<Self::Notice> {
                self.runner.step()
            }
        }
    };
}
pub(crate) use delegate_machine;

/// How long the computer slept between two calls, if it did: the wall clock moved on without the
/// monotonic one, or a deadline was missed by a wide margin.
fn sleep_between(before: Now, now: Now, deadline: Option<Instant>) -> Option<Slept> {
    let by_wall = now
        .wall
        .saturating_since(before.wall)
        .saturating_sub(now.mono.saturating_since(before.mono));
    let by_deadline = deadline.map_or(Duration::ZERO, |at| now.mono.saturating_since(at));
    let slept = Slept { time: by_wall.max(by_deadline), counted: by_deadline };
    (slept.time >= SLEEP_GAP).then_some(slept)
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use alloc::{format, vec};

    use super::*;
    use crate::base::time::UnixTime;

    /// Records every call.
    #[derive(Default)]
    struct Recorder {
        calls: Vec<String>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    enum Tick {
        First,
        Second,
    }

    enum Order {
        SetTimers,
        SetTimerForNow,
        End,
    }

    impl Role for Recorder {
        type Command = Order;
        type Notice = ();
        type Purpose = ();
        type Timer = Tick;

        fn on_command(&mut self, cx: &mut CxOf<Self>, command: Order) {
            match command {
                Order::SetTimers => {
                    cx.set_timer(Tick::Second, Duration::from_secs(2));
                    cx.set_timer(Tick::First, Duration::from_secs(1));
                }
                Order::SetTimerForNow => cx.set_timer(Tick::First, Duration::ZERO),
                Order::End => cx.fx.end(Ok(())),
            }
        }

        fn on_event(&mut self, cx: &mut CxOf<Self>, event: Event) {
            self.calls.push(format!(
                "{event:?} at {}",
                cx.fx.now().mono.saturating_since(Instant::ORIGIN).as_secs()
            ));
        }

        fn on_timer(&mut self, _: &mut CxOf<Self>, timer: Tick) {
            self.calls.push(format!("{timer:?}"));
        }

        fn on_wake(&mut self, _: &mut CxOf<Self>, Slept { time, counted }: Slept) {
            self.calls.push(format!("slept {} s, {} counted", time.as_secs(), counted.as_secs()));
        }

        fn settle(&mut self, _: &mut CxOf<Self>) {
            self.calls.push("settled".to_string());
        }
    }

    fn recorder() -> Runner<Recorder> {
        Runner::new(Recorder::default(), Cx::new())
    }

    fn at(secs: u64) -> Now {
        let millis = 1_000_000 + secs * 1000;
        Now {
            mono: Instant::from_origin(Duration::from_secs(secs)),
            wall: UnixTime::from_millis(millis),
        }
    }

    #[test]
    fn due_timers_are_handled_in_order_after_the_event_and_before_settling() {
        let mut runner = recorder();
        runner.command(at(0), Order::SetTimers);
        assert_eq!(runner.step(), Step::Wait(Some(at(1).mono)));
        runner.handle(at(2), Event::Tick);
        assert_eq!(runner.role().calls, ["settled", "Tick at 2", "First", "Second", "settled"]);
        assert_eq!(runner.step(), Step::Wait(None));
    }

    #[test]
    fn a_timer_for_now_is_handled_in_the_same_call() {
        let mut runner = recorder();
        runner.command(at(0), Order::SetTimerForNow);
        assert_eq!(runner.role().calls, ["First", "settled"]);
    }

    #[test]
    fn a_machine_that_has_ended_does_nothing_more() {
        let mut runner = recorder();
        runner.command(at(0), Order::End);
        runner.handle(at(1), Event::Tick);
        assert_eq!(runner.role().calls, ["settled"]);
        assert_eq!(runner.step(), Step::Finished(Ok(())));
    }

    #[test]
    fn a_sleep_seen_on_either_clock_is_handled_before_anything_else() {
        let mut runner = recorder();
        runner.handle(at(0), Event::Tick);
        let wall_only = Now { mono: at(1).mono, wall: at(3601).wall };
        runner.handle(wall_only, Event::Tick);
        assert_eq!(runner.role().calls[2..4], ["slept 3600 s, 0 counted", "Tick at 1"]);

        let mut runner = recorder();
        runner.command(at(0), Order::SetTimers);
        runner.handle(at(3601), Event::Tick);
        assert_eq!(runner.role().calls[1..3], ["slept 3600 s, 3600 counted", "Tick at 3601"]);
    }

    #[test]
    fn monotonic_time_never_goes_backwards() {
        let mut runner = recorder();
        runner.handle(at(5), Event::Tick);
        runner.handle(at(3), Event::Tick);
        let expected = vec!["Tick at 5", "settled", "Tick at 5", "settled"];
        assert_eq!(runner.role().calls, expected);
    }
}
