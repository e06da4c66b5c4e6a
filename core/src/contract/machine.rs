//! The one interface of all machines: events in, actions out.

use alloc::string::String;

use crate::base::time::{Instant, Now};
use crate::contract::action::Action;
use crate::contract::event::Event;

/// A protocol role as a pure state machine.
///
/// A driver is one loop, the same in every runtime:
///
/// 1. call [`step`](Machine::step) and do what it returns, until it returns [`Step::Wait`];
/// 2. wait for whichever comes first: an answer, a command from the program, or the instant that
///    `Wait` names;
/// 3. pass that to [`handle`](Machine::handle) (the instant as [`Event::Tick`]) or
///    [`command`](Machine::command), and start over.
///
/// Everything already available is passed in before the next step, in one bounded batch, so a
/// machine can answer many lines with one acknowledgement. Within a batch the waiting events and
/// commands go first, and `Tick` comes last, if the instant of the last `Wait` has passed by then.
/// That way anything that arrived in time is not treated as late, and because a batch is bounded, a
/// flood of events cannot hold up a deadline. (The simulator uses batches of one event, in order of
/// virtual time.)
///
/// `handle` and `command` cannot fail. A bad configuration is rejected when the machine is built; a
/// bad peer leads to a typed outcome; a late answer is dropped.
pub trait Machine {
    /// What the program can ask it to do.
    type Command;
    /// What it reports to the program.
    type Notice;

    /// Accepts a command from the program.
    fn command(&mut self, now: Now, command: Self::Command);

    /// Accepts an event: something that happened.
    fn handle(&mut self, now: Now, event: Event);

    /// The next thing to do. Call it until it returns [`Step::Wait`] or [`Step::Finished`], after
    /// construction and after each batch of `handle` and `command`, before waiting for anything.
    fn step(&mut self) -> Step<Self::Notice>;
}

/// What a machine wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<N> {
    /// Start this without waiting for it; its answers come in through [`Machine::handle`].
    Do(Action),
    /// Pass this to the program.
    Tell(N),
    /// Nothing to do until an event, or until this instant; `None`: only an event. It is returned
    /// only once everything else has been taken, so a driver cannot sleep on pending work.
    Wait(Option<Instant>),
    /// Nothing more, ever. Any operations that were still open have been cancelled.
    Finished(Outcome),
}

/// How a machine's life ended.
pub type Outcome = Result<(), MachineError>;

/// Why a machine had to stop, written for a person: what happened, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MachineError {
    /// The kind, which decides the program's exit code.
    pub kind: MachineErrorKind,
    /// What happened, where, and what to try. Never a secret.
    pub message: String,
}

/// The kinds of failure that a program distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineErrorKind {
    /// The credential was refused: another one is needed (401, E-9).
    Unauthorized,
    /// The relay does not permit it (403, E-9).
    Forbidden,
    /// The relay does not have it, or has it no longer (404, 410, E-9).
    NotFound,
    /// Every retry failed, for as long as retries are allowed (W-2).
    GaveUp,
    /// The other side broke the protocol.
    Protocol,
    /// Something on this machine: an address in use, a missing program.
    Local,
}
