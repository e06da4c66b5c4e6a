//! The loop: carries out a machine's actions and feeds the results back to it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use footbridge_core::base::time::{self, Now, UnixTime};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Outcome, Step};

use crate::host::Host;
use crate::mailbox::{Handle, MAILBOX_LEN, Mail, Outbox, mailbox};
use crate::operations::Operations;

/// Runs one machine.
pub struct Driver<C> {
    host: Host,
    mailbox: Receiver<Mail<C>>,
    outbox: Outbox,
    pulse: Option<Pulse>,
}

/// What the loop does now and then.
struct Pulse {
    every: Duration,
    next: time::Instant,
    beat: Box<dyn FnMut() + Send>,
}

impl<C> fmt::Debug for Driver<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("host", &self.host).finish_non_exhaustive()
    }
}

impl<C: Send + 'static> Driver<C> {
    /// A driver, and a handle for sending commands to the machine it will run.
    pub fn new(host: Host) -> (Self, Handle<C>) {
        let (handle, outbox, mailbox) = mailbox();
        (Self { host, mailbox, outbox, pulse: None }, handle)
    }

    /// The loop also calls `beat`, at least this often for as long as it runs, so that whoever watches
    /// can tell that it does.
    pub fn with_pulse(self, every: Duration, beat: impl FnMut() + Send + 'static) -> Self {
        let pulse = Pulse { every, next: time::Instant::ORIGIN, beat: Box::new(beat) };
        Self { pulse: Some(pulse), ..self }
    }

    /// Runs a machine on this thread until it finishes, and passes its notices to `on_notice`,
    /// which should not take long. When this returns, every thread it started is gone; one stuck in
    /// a name lookup or on a slow disk is given two seconds and then abandoned.
    pub fn run<M>(self, mut machine: M, mut on_notice: impl FnMut(M::Notice)) -> Outcome
    where
        M: Machine<Command = C>,
    {
        let Self { host, mailbox, outbox, mut pulse } = self;
        let mut operations = Operations::new(outbox, host);
        // Failures of operations that could not even begin: not sent to the loop's own mailbox.
        let mut answers = VecDeque::new();
        let clock = Clock::start();
        let outcome = 'life: loop {
            let deadline = loop {
                match machine.step() {
                    Step::Do(action) => answers.extend(operations.perform(action)),
                    Step::Tell(notice) => on_notice(notice),
                    Step::Wait(deadline) => break deadline,
                    Step::Finished(outcome) => break 'life outcome,
                }
            };
            let first = match answers.pop_front() {
                Some(answer) => Some(Mail::Event(Box::new(answer))),
                None => {
                    let next = pulse.as_ref().map(|pulse| pulse.next);
                    clock.receive(&mailbox, deadline.into_iter().chain(next).min())
                }
            };
            let answers = answers.drain(..).map(|answer| Mail::Event(Box::new(answer)));
            // A whole batch before the next step lets the machine answer it at once; bounding it
            // gives the deadline its turn.
            for mail in first.into_iter().chain(answers).chain(mailbox.try_iter().take(MAILBOX_LEN))
            {
                match mail {
                    Mail::Command(command) => machine.command(clock.now(), command),
                    Mail::Event(event) if operations.admit(&event) => {
                        machine.handle(clock.now(), *event);
                    }
                    Mail::Event(_) => {}
                }
            }
            let now = clock.now();
            if let Some(pulse) = &mut pulse {
                pulse.beat_if_due(now.mono);
            }
            if deadline.is_some_and(|deadline| deadline <= now.mono) {
                machine.handle(now, Event::Tick);
            }
        };
        // Threads waiting for room in the mailbox wake up and find nobody listening.
        drop(mailbox);
        operations.end();
        outcome
    }
}

impl Pulse {
    fn beat_if_due(&mut self, now: time::Instant) {
        if self.next <= now {
            (self.beat)();
            self.next = now + self.every;
        }
    }
}

/// Both clocks, and waiting by one of them.
struct Clock {
    origin: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { origin: Instant::now() }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: time::Instant::from_origin(self.origin.elapsed()),
            wall: UnixTime::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Whichever comes first: mail, or the deadline as `None`.
    fn receive<C>(
        &self,
        mailbox: &Receiver<Mail<C>>,
        deadline: Option<time::Instant>,
    ) -> Option<Mail<C>> {
        // The mailbox cannot be disconnected: the operations hold a sender.
        let Some(deadline) = deadline else { return mailbox.recv().ok() };
        let left = deadline.since_origin().saturating_sub(self.origin.elapsed());
        mailbox.recv_timeout(left).ok()
    }
}
