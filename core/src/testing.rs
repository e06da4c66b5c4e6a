//! A machine driven by hand: one loop shared by the tests of all machines and by the fuzz targets.
//!
//! It takes every step immediately, keeps actions and notices until a test looks at them, and holds
//! both sides to the [contract](crate::contract): every action must be one that a runtime can carry
//! out, every event one that a runtime could report, the next deadline must be later than now, and
//! nothing may be left open at the end.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::auth::AccountKey;
use crate::base::id::OpId;
use crate::base::secret::Secret;
use crate::base::time::{Instant, Now};
use crate::contract::action::Action;
use crate::contract::check::{Checker, Operation};
use crate::contract::event::Event;
use crate::contract::machine::{Machine, Outcome, Step};

/// After this many steps a machine is taken to be stuck in a loop.
const MAX_STEPS: usize = 50_000;

/// A machine, its clock, and its output so far.
#[derive(Debug)]
pub struct Hand<M: Machine> {
    /// The machine itself.
    pub machine: M,
    /// The time of the next call.
    pub now: Now,
    /// The actions it has requested and no test has looked at yet.
    pub actions: VecDeque<Action>,
    /// The notices to its program, likewise.
    pub notices: Vec<M::Notice>,
    /// The deadline it is waiting for, besides events.
    pub deadline: Option<Instant>,
    /// If set, every request to end a process's tree is answered at once, and counted here.
    pub trees_ended: Option<usize>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    checker: Checker,
}

impl<M: Machine> Hand<M> {
    /// Takes the first steps of a machine.
    pub fn new(machine: M, now: Now) -> Self {
        let mut hand = Self {
            machine,
            now,
            actions: VecDeque::new(),
            notices: Vec::new(),
            deadline: None,
            trees_ended: None,
            outcome: None,
            checker: Checker::default(),
        };
        hand.settle();
        hand
    }

    /// Delivers an event.
    ///
    /// # Panics
    ///
    /// If no runtime could report that event, or if the machine breaks the contract.
    #[track_caller]
    pub fn handle(&mut self, event: Event) {
        if let Err(why) = self.checker.event(&event) {
            panic!("no runtime reports {event:?}: {why}");
        }
        self.deliver(event);
    }

    /// Delivers an event no runtime would report, such as a second answer: a machine must drop it.
    ///
    /// # Panics
    ///
    /// If the machine breaks the contract.
    #[track_caller]
    pub fn handle_stray(&mut self, event: Event) {
        // If it happens to be valid, it still counts.
        let _ = self.checker.event(&event);
        self.deliver(event);
    }

    /// Gives the machine a command.
    ///
    /// # Panics
    ///
    /// If the machine breaks the contract.
    #[track_caller]
    pub fn command(&mut self, command: M::Command) {
        self.machine.command(self.now, command);
        self.settle();
    }

    /// Lets time pass. The machine learns of it on the next call.
    pub fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
    }

    /// Lets time pass until the machine's own deadline, and returns how long that was.
    ///
    /// # Panics
    ///
    /// If it has no deadline.
    #[track_caller]
    pub fn wait(&mut self) -> Duration {
        let deadline = self.deadline.expect("a deadline");
        let time = deadline.saturating_since(self.now.mono);
        self.pass(time);
        self.handle(Event::Tick);
        time
    }

    /// Removes and returns the first action that `pick` accepts.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn take<T>(&mut self, what: &str, pick: impl Fn(&Action) -> Option<T>) -> T {
        let found = self.actions.iter().enumerate().find_map(|(at, a)| Some((at, pick(a)?)));
        let Some((at, picked)) = found else { panic!("no {what} in {:?}", self.actions) };
        self.actions.remove(at);
        picked
    }

    /// Lets it have the lock that it asks for, and returns what holds it.
    ///
    /// # Panics
    ///
    /// If it asks for none.
    #[track_caller]
    pub fn lock(&mut self) -> (OpId, String) {
        let asked = self.take("lock", |action| match action {
            Action::Lock { op, path, .. } => Some((*op, path.clone())),
            _ => None,
        });
        self.handle(Event::Locked { op: asked.0 });
        asked
    }

    /// Whether it lets go of something.
    pub fn cancels(&self, op: OpId) -> bool {
        self.actions.contains(&Action::Cancel { op })
    }

    /// What an open operation is, and how far it has come.
    pub fn operation(&self, op: OpId) -> Option<&Operation> {
        self.checker.get(op)
    }

    #[track_caller]
    fn deliver(&mut self, event: Event) {
        self.machine.handle(self.now, event);
        self.settle();
        while let Some(ended) = self.trees_ended
            && let Some(at) = self.actions.iter().position(|a| matches!(a, Action::EndTree { .. }))
            && let Some(Action::EndTree { op, .. }) = self.actions.remove(at)
        {
            self.trees_ended = Some(ended + 1);
            self.handle(Event::TreeEnded { op, survivors: Vec::new() });
        }
    }

    #[track_caller]
    fn settle(&mut self) {
        for _ in 0..MAX_STEPS {
            match self.machine.step() {
                Step::Do(action) => {
                    assert!(self.outcome.is_none(), "{action:?} after it ended");
                    if let Err(why) = self.checker.action(&action) {
                        panic!("no runtime can do {action:?}: {why}");
                    }
                    self.actions.push_back(action);
                }
                Step::Tell(notice) => self.notices.push(notice),
                Step::Wait(deadline) => {
                    assert!(self.outcome.is_none(), "it waits after it ended");
                    assert!(
                        deadline.is_none_or(|at| at > self.now.mono),
                        "busy loop: the deadline is not later than now"
                    );
                    self.deadline = deadline;
                    return;
                }
                Step::Finished(outcome) => {
                    let left = self.checker.operations().find(|(_, left)| !left.is_ending());
                    assert!(left.is_none(), "it ended with {left:?} open");
                    self.deadline = None;
                    self.outcome = Some(outcome);
                    return;
                }
            }
        }
        panic!("still not waiting after {MAX_STEPS} steps");
    }
}

/// What a relay that knows this access token answers to `GET /v1/proof` at this URL; `None` if the URL
/// is another one.
pub fn proof_of(access_token: &str, url: &str) -> Option<String> {
    let (_, query) = url.split_once("/v1/proof?")?;
    let part = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name));
    let key = AccountKey::new(&Secret::from(access_token));
    let proof = crate::auth::proof::answer(&key, part("nonce=")?, part("mac=")?)?;
    Some(format!(r#"{{"proof":"{proof}"}}"#))
}
