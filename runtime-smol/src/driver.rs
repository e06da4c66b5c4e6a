//! The loop that drives a machine.

use std::future::{Future, pending};
use std::rc::Rc;
use std::time::{Instant as StdInstant, SystemTime};

use async_channel::Receiver;
use async_io::Timer;
use footbridge_core::base::time::{Instant, Now, UnixTime};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Outcome, Step};
use smol::LocalExecutor;
use smol::future::FutureExt;

use crate::host::Host;
use crate::mailbox::{MAILBOX_EVENTS, Mail};
use crate::operations::Operations;

/// Commands passed in before the machine is asked for its next step.
const COMMAND_BATCH: usize = 16;

/// Runs a future on this thread. A second one waits for sockets and timers.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    async_io::block_on(future)
}

/// Drives a machine until it finishes.
///
/// Commands arrive through `commands`, whose sender may be dropped; notices go out through
/// `on_notice`, which is called between steps and must not block. Whatever is still open when the
/// machine finishes is dropped, but replies being sent get a moment more. Dropping the future
/// drops everything.
pub async fn drive<M: Machine>(
    mut machine: M,
    host: Host,
    commands: Receiver<M::Command>,
    mut on_notice: impl FnMut(M::Notice),
) -> Outcome {
    let clock = Clock::start();
    let executor = Rc::new(LocalExecutor::new());
    let (sender, mailbox) = async_channel::bounded(MAILBOX_EVENTS);
    let mut operations = Operations::new(host, &executor, sender);
    let mut inbox = Inbox { mailbox, commands, timer: None };
    let work = async {
        loop {
            let deadline = match machine.step() {
                Step::Do(action) => {
                    operations.perform(action);
                    continue;
                }
                Step::Tell(notice) => {
                    on_notice(notice);
                    continue;
                }
                Step::Wait(deadline) => deadline,
                Step::Finished(outcome) => {
                    operations.finish().await;
                    return outcome;
                }
            };
            if operations.flush(|event| machine.handle(clock.now(), event)) {
                continue;
            }
            let (mail, command) = inbox.wait(deadline.and_then(|at| clock.std(at))).await;
            // A whole batch before the next step lets the machine answer it at once; bounding it
            // gives commands and the deadline their turn.
            let more = std::iter::from_fn(|| inbox.mailbox.try_recv().ok());
            for mail in mail.into_iter().chain(more.take(MAILBOX_EVENTS)) {
                operations.receive(mail, |event| machine.handle(clock.now(), event));
            }
            let more = std::iter::from_fn(|| inbox.commands.try_recv().ok());
            for command in command.into_iter().chain(more.take(COMMAND_BATCH)) {
                machine.command(clock.now(), command);
            }
            let now = clock.now();
            if deadline.is_some_and(|deadline| deadline <= now.mono) {
                machine.handle(now, Event::Tick);
            }
        }
    };
    executor.run(work).await
}

/// What the loop waits for.
struct Inbox<C> {
    mailbox: Receiver<Mail>,
    commands: Receiver<C>,
    /// The timer of the last wait: most waits end before it fires, and the next has the same
    /// deadline.
    timer: Option<(StdInstant, Timer)>,
}

impl<C> Inbox<C> {
    /// Waits for mail, a command, or the deadline, which yields neither.
    async fn wait(&mut self, deadline: Option<StdInstant>) -> (Option<Mail>, Option<C>) {
        match (&mut self.timer, deadline) {
            (Some((set, _)), Some(at)) if *set == at => {}
            (Some((set, timer)), Some(at)) => {
                timer.set_at(at);
                *set = at;
            }
            (timer, at) => *timer = at.map(|at| (at, Timer::at(at))),
        }
        let mail = async {
            match self.mailbox.recv().await {
                Ok(mail) => (Some(mail), None),
                Err(_) => pending().await,
            }
        };
        let command = async {
            match self.commands.recv().await {
                Ok(command) => (None, Some(command)),
                Err(_) => pending().await,
            }
        };
        let due = async {
            match &mut self.timer {
                // A timer that has fired would never fire again.
                Some((at, _)) if *at <= StdInstant::now() => (None, None),
                Some((_, timer)) => {
                    timer.await;
                    (None, None)
                }
                None => pending().await,
            }
        };
        mail.or(command).or(due).await
    }
}

/// Both clocks. The monotonic one is [`std::time::Instant`], counted from the start of the loop:
/// it may stop while the computer is suspended (on Linux it does), so a deadline can be late by
/// the length of the sleep. Whatever must hold across a sleep compares wall-clock time.
struct Clock {
    origin: StdInstant,
}

impl Clock {
    fn start() -> Self {
        Self { origin: StdInstant::now() }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        let mono = Instant::from_origin(self.origin.elapsed());
        Now { mono, wall: UnixTime::from_millis(millis) }
    }

    /// The same moment on the system's clock; `None` if it is too far away to represent.
    fn std(&self, at: Instant) -> Option<StdInstant> {
        self.origin.checked_add(at.since_origin())
    }
}
