//! The table of the [contract](super) as code: which action may be asked for, which event may
//! follow, and which one is the last.
//!
//! ```text
//!   Once      ──▶ its answer ──▶ over
//!   Stream    opening ──Opened, Head──▶ open ──Close──▶ closing ──Closed──▶ over
//!   Process   starting ──Spawned──▶ running ──three ends──▶ ended ──Cancel──▶ over
//!   Listener  binding ──Listening──▶ listening ──Cancel──▶ over
//!   Lock      waiting ──Locked──▶ held ──Cancel──▶ over
//!   Accept    ──Requested──▶ Exchange ◀──ReadBody, BodyRead──▶ Reading
//!                                 ├──Reply, Closed──▶ over
//!                                 └──Upgrade, ReplyStream──▶ Stream
//! ```
//!
//! A runtime does not need it. Tests of a runtime do, and so does the simulator, which holds every
//! machine to it.

use alloc::collections::{BTreeMap, BTreeSet};

use super::action::{self, Action};
use super::event::{Event, Output};
use crate::base::id::OpId;

/// How the contract was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ContractError(&'static str);

const WRONG_KIND: ContractError = ContractError("the operation is of another kind");
const NO_ANSWER: ContractError = ContractError("it does not answer this operation");
const AFTER_THE_END: ContractError = ContractError("the operation is over");
const ENDING: ContractError = ContractError("its end was already requested");
const TOO_EARLY: ContractError = ContractError("the operation has not begun");
const TWICE: ContractError = ContractError("it was already reported");
const TOO_MANY: ContractError = ContractError("it confirms more than was outstanding");

/// One operation: what it is, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Has one answer, which ends it.
    Once(Answer),
    /// A WebSocket, a byte stream, or an answer that is one.
    Stream(Stream),
    /// A process.
    Process(Process),
    /// A listening socket, and whether it is open.
    Listener {
        /// Whether `Listening` was reported.
        is_open: bool,
    },
    /// A lock among processes, and whether it is held.
    Lock {
        /// Whether `Locked` was reported.
        is_held: bool,
    },
    /// Waits for a request.
    Accept,
    /// A request not answered yet.
    Exchange,
    /// The same, while its body is read.
    Reading,
    /// Nothing follows.
    Over,
}

/// The event that answers an [`Operation::Once`], unless it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Answer {
    Response,
    TreeEnded,
    Ran,
    Saved,
    Loaded,
    Appended,
    EndLoaded,
    Removed,
    Listed,
    Stored,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its directions, and how it begins.
    pub kind: StreamKind,
    /// Whether it is open.
    pub is_open: bool,
    /// Whether `Close` was requested.
    pub is_closing: bool,
    /// Whether reading is paused.
    pub is_paused: bool,
    /// Messages not yet confirmed by `Sent`.
    pub unconfirmed: usize,
}

/// A stream's directions, and how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Read and written, from `Opened` on.
    Duplex,
    /// An exchange turned into one: the same, but its client may have left before it opened.
    Upgrade,
    /// An incoming HTTP answer: read, from `Head` on.
    Incoming,
    /// An outgoing HTTP answer: written, from its start on.
    Outgoing,
}

impl Stream {
    const fn new(kind: StreamKind) -> Self {
        let is_open = matches!(kind, StreamKind::Outgoing);
        Self { kind, is_open, is_closing: false, is_paused: false, unconfirmed: 0 }
    }
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Whether it is running, or ran.
    pub is_spawned: bool,
    /// Whether `CloseInput` was requested.
    pub is_input_ending: bool,
    /// Whether it has stopped reading, according to `InputClosed`.
    pub is_input_closed: bool,
    /// Whether reading its stdout is paused.
    pub is_paused: bool,
    /// Whether its stdout has ended.
    pub is_stdout_ended: bool,
    /// Whether its stderr has ended.
    pub is_stderr_ended: bool,
    /// Whether it has exited.
    pub has_exited: bool,
    /// Writes not yet settled by `Written` or `InputClosed`.
    pub unconfirmed: usize,
}

impl Process {
    const STARTING: Self = Self {
        is_spawned: false,
        is_input_ending: false,
        is_input_closed: false,
        is_paused: false,
        is_stdout_ended: false,
        is_stderr_ended: false,
        has_exited: false,
        unconfirmed: 0,
    };

    /// Whether all three ends were reported, so that nothing follows.
    pub const fn has_ended(&self) -> bool {
        self.has_exited && self.is_stdout_ended && self.is_stderr_ended
    }
}

impl Operation {
    /// The operation an action starts, if it starts one.
    pub const fn started_by(action: &Action) -> Option<Self> {
        Some(match action {
            Action::Request { request, .. } => match request.answer {
                action::Answer::Whole { .. } => Self::Once(Answer::Response),
                action::Answer::Stream { .. } => Self::Stream(Stream::new(StreamKind::Incoming)),
            },
            Action::EndTree { .. } => Self::Once(Answer::TreeEnded),
            Action::Run { .. } => Self::Once(Answer::Ran),
            Action::Save { .. } => Self::Once(Answer::Saved),
            Action::Load { .. } => Self::Once(Answer::Loaded),
            Action::Append { .. } => Self::Once(Answer::Appended),
            Action::LoadEnd { .. } => Self::Once(Answer::EndLoaded),
            Action::Remove { .. } => Self::Once(Answer::Removed),
            Action::List { .. } => Self::Once(Answer::Listed),
            Action::Store { .. } => Self::Once(Answer::Stored),
            Action::Open { .. } => Self::Stream(Stream::new(StreamKind::Duplex)),
            Action::Spawn { .. } => Self::Process(Process::STARTING),
            Action::Lock { .. } => Self::Lock { is_held: false },
            Action::Listen { .. } => Self::Listener { is_open: false },
            Action::Accept { .. } => Self::Accept,
            _ => return None,
        })
    }

    /// Whether nothing follows. Such a process may still be signalled.
    pub const fn is_over(&self) -> bool {
        match self {
            Self::Over => true,
            Self::Process(process) => process.has_ended(),
            _ => false,
        }
    }

    /// Whether its machine is done with it: it is over, or ending.
    pub const fn is_ending(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_closing,
            _ => self.is_over(),
        }
    }

    /// Applies an action that addresses it.
    pub fn act(&mut self, action: &Action) -> Result<(), ContractError> {
        match (&mut *self, action) {
            (_, Action::Cancel { .. }) => *self = Self::Over,
            (Self::Stream(stream), action) => stream.act(action)?,
            (Self::Process(process), action) => process.act(action)?,
            (Self::Exchange | Self::Reading, Action::Vouch { .. }) => {}
            (Self::Exchange, Action::ReadBody { .. }) => *self = Self::Reading,
            (Self::Exchange | Self::Reading, Action::Reply { .. }) => *self = Self::Over,
            (Self::Exchange | Self::Reading, Action::ReplyStream { .. }) => {
                *self = Self::Stream(Stream::new(StreamKind::Outgoing));
            }
            (Self::Exchange | Self::Reading, Action::Upgrade { .. }) => {
                *self = Self::Stream(Stream::new(StreamKind::Upgrade));
            }
            // The machine may not know that it ended.
            (Self::Over, _) => {}
            _ => return Err(WRONG_KIND),
        }
        Ok(())
    }

    /// Applies one of its events.
    pub fn observe(&mut self, event: &Event) -> Result<(), ContractError> {
        match (&mut *self, event) {
            (Self::Over, _) => return Err(AFTER_THE_END),
            (Self::Stream(stream), event) => stream.observe(event)?,
            (Self::Process(process), event) => process.observe(event)?,
            (Self::Once(answer), event) => {
                let is_right = match event {
                    Event::Response { .. } => *answer == Answer::Response,
                    Event::TreeEnded { .. } => *answer == Answer::TreeEnded,
                    Event::Ran { .. } => *answer == Answer::Ran,
                    Event::Saved { .. } => *answer == Answer::Saved,
                    Event::Loaded { .. } => *answer == Answer::Loaded,
                    Event::Appended { .. } => *answer == Answer::Appended,
                    Event::EndLoaded { .. } => *answer == Answer::EndLoaded,
                    Event::Removed { .. } => *answer == Answer::Removed,
                    Event::Listed { .. } => *answer == Answer::Listed,
                    // A store reports its own failures inside the answer.
                    Event::Stored { .. } => *answer == Answer::Stored,
                    Event::Failed { .. } => true,
                    _ => false,
                };
                if !is_right {
                    return Err(NO_ANSWER);
                }
            }
            (Self::Listener { is_open }, Event::Listening { .. }) if !*is_open => *is_open = true,
            (Self::Lock { is_held }, Event::Locked { .. }) if !*is_held => *is_held = true,
            (
                Self::Listener { is_open: false } | Self::Lock { is_held: false } | Self::Accept,
                Event::Failed { .. },
            ) => {}
            (Self::Accept, Event::Requested { .. }) => *self = Self::Exchange,
            (Self::Reading, Event::BodyRead { .. }) => *self = Self::Exchange,
            (Self::Exchange | Self::Reading, Event::Closed { .. }) => {}
            _ => return Err(NO_ANSWER),
        }
        if event.is_last() {
            *self = Self::Over;
        }
        Ok(())
    }
}

impl Stream {
    fn act(&mut self, action: &Action) -> Result<(), ContractError> {
        let (is_read, is_written) =
            (self.kind != StreamKind::Outgoing, self.kind != StreamKind::Incoming);
        match action {
            Action::Send { .. } | Action::Close { .. } if self.is_closing => return Err(ENDING),
            Action::Send { .. } if is_written => self.unconfirmed += 1,
            Action::Close { .. } if is_written => self.is_closing = true,
            Action::Pause { .. } if is_read => pause(&mut self.is_paused)?,
            Action::Resume { .. } if is_read => resume(&mut self.is_paused)?,
            _ => return Err(WRONG_KIND),
        }
        Ok(())
    }

    fn observe(&mut self, event: &Event) -> Result<(), ContractError> {
        match (event, self.kind) {
            (Event::Opened { .. }, StreamKind::Duplex | StreamKind::Upgrade)
            | (Event::Head { .. }, StreamKind::Incoming)
                if self.is_open =>
            {
                return Err(TWICE);
            }
            (Event::Opened { .. }, StreamKind::Duplex | StreamKind::Upgrade)
            | (Event::Head { .. }, StreamKind::Incoming) => self.is_open = true,
            (Event::Closed { .. }, StreamKind::Upgrade) => {}
            (Event::Refused { .. }, StreamKind::Duplex) if !self.is_open => {}
            (Event::Failed { .. }, _) if !self.is_open => {}
            (Event::Received { .. } | Event::Sent { .. } | Event::Closed { .. }, _)
                if !self.is_open =>
            {
                return Err(TOO_EARLY);
            }
            (Event::Closed { .. }, _) => {}
            (Event::Received { .. }, kind) if kind != StreamKind::Outgoing => {}
            (Event::Sent { messages, .. }, kind) if kind != StreamKind::Incoming => {
                confirm(&mut self.unconfirmed, *messages)?;
            }
            _ => return Err(NO_ANSWER),
        }
        Ok(())
    }
}

impl Process {
    fn act(&mut self, action: &Action) -> Result<(), ContractError> {
        match action {
            Action::Write { .. } | Action::CloseInput { .. } if self.is_input_ending => {
                return Err(ENDING);
            }
            // Writes to a process that has stopped reading are lost without a report.
            Action::Write { .. } if self.is_input_closed || self.has_ended() => {}
            Action::Write { .. } => self.unconfirmed += 1,
            Action::CloseInput { .. } => self.is_input_ending = true,
            Action::Signal { .. } => {}
            Action::Pause { .. } => pause(&mut self.is_paused)?,
            Action::Resume { .. } => resume(&mut self.is_paused)?,
            _ => return Err(WRONG_KIND),
        }
        Ok(())
    }

    fn observe(&mut self, event: &Event) -> Result<(), ContractError> {
        if self.has_ended() {
            return Err(AFTER_THE_END);
        }
        match event {
            Event::Spawned { .. } if self.is_spawned => return Err(TWICE),
            Event::Spawned { .. } => self.is_spawned = true,
            Event::Failed { .. } if !self.is_spawned => {}
            Event::Failed { .. } => return Err(NO_ANSWER),
            _ if !self.is_spawned => return Err(TOO_EARLY),
            Event::Stdout { .. } if self.is_stdout_ended => return Err(AFTER_THE_END),
            Event::Stderr { .. } if self.is_stderr_ended => return Err(AFTER_THE_END),
            Event::Stdout { .. } | Event::Stderr { .. } => {}
            Event::OutputEnded { output: Output::Stdout, .. } => report(&mut self.is_stdout_ended)?,
            Event::OutputEnded { output: Output::Stderr, .. } => report(&mut self.is_stderr_ended)?,
            Event::Exited { .. } => report(&mut self.has_exited)?,
            Event::Written { writes, .. } => confirm(&mut self.unconfirmed, *writes)?,
            Event::InputClosed { .. } => {
                report(&mut self.is_input_closed)?;
                self.unconfirmed = 0;
            }
            _ => return Err(NO_ANSWER),
        }
        Ok(())
    }
}

const fn pause(is_paused: &mut bool) -> Result<(), ContractError> {
    if core::mem::replace(is_paused, true) {
        return Err(ContractError("it was already paused"));
    }
    Ok(())
}

const fn resume(is_paused: &mut bool) -> Result<(), ContractError> {
    if !core::mem::replace(is_paused, false) {
        return Err(ContractError("it was not paused"));
    }
    Ok(())
}

const fn report(was_reported: &mut bool) -> Result<(), ContractError> {
    if core::mem::replace(was_reported, true) { Err(TWICE) } else { Ok(()) }
}

const fn confirm(unconfirmed: &mut usize, number: usize) -> Result<(), ContractError> {
    match unconfirmed.checked_sub(number) {
        Some(left) => *unconfirmed = left,
        None => return Err(TOO_MANY),
    }
    Ok(())
}

/// Every operation of one machine, from its first action onwards.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    newest: Option<OpId>,
    open: BTreeMap<OpId, Operation>,
    /// Cancelled operations: a late answer may still come.
    cancelled: BTreeSet<OpId>,
}

impl Checker {
    /// An open operation, or a process that may still be signalled.
    pub fn get(&self, op: OpId) -> Option<&Operation> {
        self.open.get(&op)
    }

    /// Everything [`get`](Self::get) can find, in order of id.
    pub fn operations(&self) -> impl Iterator<Item = (OpId, &Operation)> {
        self.open.iter().map(|(op, operation)| (*op, operation))
    }

    /// Checks an action that the machine requests.
    pub fn action(&mut self, action: &Action) -> Result<(), ContractError> {
        let op = action.op();
        if let Some(started) = Operation::started_by(action) {
            if self.newest.is_some_and(|newest| op <= newest) {
                return Err(ContractError("the operation's id was used before"));
            }
            if let Action::Accept { listener, .. } = action
                && !matches!(self.open.get(listener), Some(Operation::Listener { .. }))
            {
                return Err(ContractError("there is no such listener"));
            }
            if let Action::EndTree { process, .. } = action
                && !matches!(self.open.get(process), Some(Operation::Process(_)))
            {
                return Err(ContractError("there is no such process"));
            }
            self.newest = Some(op);
            self.open.insert(op, started);
            return Ok(());
        }
        if self.newest.is_none_or(|newest| op > newest) {
            return Err(ContractError("no such operation ever existed"));
        }
        if self.cancelled.contains(&op) {
            return Err(ContractError("the operation was cancelled"));
        }
        if let Action::Cancel { .. } = action {
            self.open.remove(&op);
            self.cancelled.insert(op);
            return Ok(());
        }
        // A missing one has ended, and the machine may not know that yet.
        if let Some(operation) = self.open.get_mut(&op) {
            operation.act(action)?;
            if *operation == Operation::Over {
                self.open.remove(&op);
            }
        }
        Ok(())
    }

    /// Checks an event that the runtime delivers.
    pub fn event(&mut self, event: &Event) -> Result<(), ContractError> {
        let Some(op) = event.op() else { return Ok(()) };
        let Some(operation) = self.open.get_mut(&op) else {
            return if self.cancelled.contains(&op) { Ok(()) } else { Err(AFTER_THE_END) };
        };
        operation.observe(event)?;
        if *operation == Operation::Over {
            self.open.remove(&op);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
