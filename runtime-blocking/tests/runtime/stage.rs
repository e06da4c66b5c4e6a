//! A machine without a will of its own, and the scripts' way to it. Nothing but the construction of
//! a [`Stage`] knows which runtime it is on.

use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use footbridge_blocking::{Driver, Host, HostOptions};
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Outcome, Step};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a script asks of the machine.
pub(crate) enum Ask {
    Do(Box<Action>),
    /// To be woken after this long.
    Wake(Duration),
    End,
}

/// What it tells: each event, and when it came.
pub(crate) type Told = (Now, Event);

/// Carries out what it is asked, and tells all that happens.
#[derive(Default)]
pub(crate) struct Puppet {
    steps: std::collections::VecDeque<Step<Told>>,
    deadline: Option<Instant>,
}

impl Machine for Puppet {
    type Command = Ask;
    type Notice = Told;

    fn command(&mut self, now: Now, command: Ask) {
        match command {
            Ask::Do(action) => self.steps.push_back(Step::Do(*action)),
            Ask::Wake(after) => self.deadline = Some(now.mono + after),
            Ask::End => self.steps.push_back(Step::Finished(Ok(()))),
        }
    }

    fn handle(&mut self, now: Now, event: Event) {
        if event == Event::Tick {
            self.deadline = self.deadline.filter(|at| *at > now.mono);
        }
        self.steps.push_back(Step::Tell((now, event)));
    }

    fn step(&mut self) -> Step<Told> {
        self.steps.pop_front().unwrap_or(Step::Wait(self.deadline))
    }
}

/// A running puppet.
pub(crate) struct Stage {
    ask: Box<dyn Fn(Ask)>,
    told: Receiver<Told>,
    running: JoinHandle<Outcome>,
    ops: u64,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::on(HostOptions::default())
    }

    pub(crate) fn on(options: HostOptions) -> Self {
        let host = Host::new(options).expect("a host");
        let (driver, handle) = Driver::new(host);
        let (tell, told) = channel();
        let running = std::thread::spawn(move || {
            driver.run(Puppet::default(), |notice| {
                // A script that has seen enough is not listening.
                let _ = tell.send(notice);
            })
        });
        Self { ask: Box::new(move |ask| handle.command(ask)), told, running, ops: 0 }
    }

    /// Starts an operation.
    pub(crate) fn start(&mut self, action: impl FnOnce(OpId) -> Action) -> OpId {
        self.ops += 1;
        let op = OpId::new(NonZeroU64::new(self.ops).expect("counted from 1"));
        self.act(action(op));
        op
    }

    /// Has the machine carry something out.
    pub(crate) fn act(&self, action: Action) {
        self.ask(Ask::Do(Box::new(action)));
    }

    pub(crate) fn ask(&self, ask: Ask) {
        (self.ask)(ask);
    }

    /// The next thing that happens.
    pub(crate) fn next(&self) -> Event {
        self.told().1
    }

    /// The next thing that happens, and when.
    pub(crate) fn told(&self) -> Told {
        self.told.recv_timeout(PATIENCE).expect("something happens in time")
    }

    /// Ends the machine; what was told and not yet read.
    pub(crate) fn end(self) -> Vec<Event> {
        (self.ask)(Ask::End);
        self.running.join().expect("no panic").expect("a good end");
        self.told.try_iter().map(|(_, event)| event).collect()
    }
}
