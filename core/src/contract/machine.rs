//! The one interface of all machines: events in, actions out.

use alloc::string::String;

use crate::base::time::{Instant, Now};
use crate::contract::action::Action;
use crate::contract::event::Event;

/// A protocol role as a pure state machine.
///
/// A driver is one loop, the same in every runtime:
///
/// 1. call [`step`](Machine::step) and carry out what it says until it says [`Step::Wait`];
/// 2. wait for whichever comes first: an answer, a command of the program, or the instant that
///    `Wait` names;
/// 3. hand that in by [`handle`](Machine::handle) (the instant as [`Event::Tick`]) or
///    [`command`](Machine::command), and begin again.
///
/// What is there at once is handed in before the next step, in one bounded batch: a machine answers
/// many lines with one acknowledgement. Within a batch the events and commands that wait go first,
/// and `Tick` comes last, if the instant of the last `Wait` has passed by then: what arrived in time
/// is not taken for late, and because a batch is bounded, a flood of events cannot hold up a
/// deadline. (The simulator's batches are of one event, in the order of its virtual time.)
///
/// Neither `handle` nor `command` fails. A bad configuration is refused when the machine is
/// built; a bad peer leads to a typed outcome; a late answer is dropped.
pub trait Machine {
    /// What the program can ask of it.
    type Command;
    /// What it tells the program.
    type Notice;

    /// Takes a command of the program.
    fn command(&mut self, now: Now, command: Self::Command);

    /// Takes note of something that happened.
    fn handle(&mut self, now: Now, event: Event);

    /// The next thing to do. To be called until it says [`Step::Wait`] or [`Step::Finished`],
    /// after construction and after each batch of `handle` and `command`, before any waiting.
    fn step(&mut self) -> Step<Self::Notice>;
}

/// What a machine wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<N> {
    /// Carry this out without waiting for it; its answers come by [`Machine::handle`].
    Do(Action),
    /// Hand this to the program.
    Tell(N),
    /// Nothing until an event, or this instant; `None`: only an event. It can be seen only once
    /// everything else has been taken, so a driver cannot sleep on pending work.
    Wait(Option<Instant>),
    /// Nothing more, ever. Operations that are still open were cancelled before.
    Finished(Outcome),
}

/// How a machine's life ended.
pub type Outcome = Result<(), MachineError>;

/// Why a machine could not go on, for a person: what happened, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MachineError {
    /// The kind, which decides the program's exit code.
    pub kind: MachineErrorKind,
    /// What happened, where, and what to try. Never a secret.
    pub message: String,
}

/// The kinds of end that a program tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineErrorKind {
    /// The credential was refused: log in again (401, E-9).
    Unauthorized,
    /// The relay does not permit it (403, E-9).
    Forbidden,
    /// The relay does not have it, or no longer (404, 410, E-9).
    NotFound,
    /// Retried for as long as is allowed, in vain (W-2).
    GaveUp,
    /// The other side broke the protocol.
    Protocol,
    /// Something on this machine: an address in use, a program that is not there.
    Local,
}
