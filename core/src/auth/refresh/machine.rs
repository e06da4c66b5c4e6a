//! The schedule as a machine, for programs that have none of their own to put it in.

use core::fmt::Debug;
use core::time::Duration;

use super::policy::RefreshPolicy;
use super::scheduler::{Due, Generation, RefreshOutcome, RefreshScheduler, Settled};
use crate::base::secret::Secret;
use crate::base::time::Now;
use crate::contract::event::Event;
use crate::contract::machine::{Machine, Step};
use crate::engine::runner::{Cx as Context, CxOf, Role, Runner, Slept};

/// What a program asks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshCommand<K> {
    /// A token has come from somewhere.
    Schedule(K, Secret),
    /// A token was issued for so long.
    ScheduleExpiresIn(K, Duration),
    /// A token is no longer needed.
    Cancel(K),
    /// None is.
    CancelAll,
    /// A token was refused: it is refreshed at once, even if it needed a log-in.
    RefreshNow(K),
    /// What came of a refresh.
    Settle(K, Generation, RefreshOutcome),
    /// The program ends.
    Stop,
}

/// What it tells a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshNotice<K> {
    /// Refresh this token, and say by `Settle` what came of it.
    Refresh(Due<K>),
    /// It failed, and is tried again after this pause.
    RetryIn(K, Duration),
    /// No more is tried until there is another token, or somebody asks for it.
    NeedsLogIn(K),
}

/// Says when tokens are to be refreshed.
#[derive(Debug)]
pub struct TokenRefresh<K: Ord + Clone + Debug> {
    runner: Runner<Refreshing<K>>,
}

impl<K: Ord + Clone + Debug> TokenRefresh<K> {
    /// Without any token.
    pub const fn new(policy: RefreshPolicy) -> Self {
        let scheduler = RefreshScheduler::new(policy);
        Self { runner: Runner::new(Refreshing { scheduler }, Context::new()) }
    }

    /// Whether it takes a log-in to have this token refreshed.
    pub fn needs_log_in(&self, key: &K) -> bool {
        self.runner.role().scheduler.needs_log_in(key)
    }
}

impl<K: Ord + Clone + Debug> Machine for TokenRefresh<K> {
    type Command = RefreshCommand<K>;
    type Notice = RefreshNotice<K>;

    fn command(&mut self, now: Now, command: Self::Command) {
        self.runner.command(now, command);
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.runner.handle(now, event);
    }

    fn step(&mut self) -> Step<Self::Notice> {
        self.runner.step()
    }
}

#[derive(Debug)]
struct Refreshing<K> {
    scheduler: RefreshScheduler<K>,
}

impl<K: Ord + Clone + Debug> Role for Refreshing<K> {
    type Command = RefreshCommand<K>;
    type Notice = RefreshNotice<K>;
    type Purpose = ();
    type Timer = ();

    fn on_command(&mut self, cx: &mut CxOf<Self>, command: RefreshCommand<K>) {
        let now = cx.fx.now();
        match command {
            RefreshCommand::Schedule(key, token) => {
                self.scheduler.schedule(now, key, &token);
            }
            RefreshCommand::ScheduleExpiresIn(key, life) => {
                self.scheduler.schedule_expires_in(now, key, life);
            }
            RefreshCommand::Cancel(key) => self.scheduler.cancel(&key),
            RefreshCommand::CancelAll => self.scheduler.cancel_all(),
            RefreshCommand::RefreshNow(key) => {
                self.scheduler.refresh_now(now, &key);
            }
            RefreshCommand::Settle(key, generation, outcome) => {
                match self.scheduler.settle(now, &key, generation, outcome) {
                    Settled::Outdated | Settled::Scheduled => {}
                    Settled::RetryIn(pause) => cx.fx.notify(RefreshNotice::RetryIn(key, pause)),
                    Settled::NeedsLogIn => cx.fx.notify(RefreshNotice::NeedsLogIn(key)),
                }
            }
            RefreshCommand::Stop => cx.fx.end(Ok(())),
        }
    }

    fn on_event(&mut self, _: &mut CxOf<Self>, _: Event) {}

    fn on_timer(&mut self, _: &mut CxOf<Self>, (): ()) {}

    fn on_wake(&mut self, _: &mut CxOf<Self>, _: Slept) {}

    fn settle(&mut self, cx: &mut CxOf<Self>) {
        let now = cx.fx.now();
        while let Some(due) = self.scheduler.next_due(now) {
            cx.fx.notify(RefreshNotice::Refresh(due));
        }
        match self.scheduler.deadline(now) {
            Some(at) => cx.timers.set((), at),
            None => cx.timers.clear(&()),
        }
    }
}
