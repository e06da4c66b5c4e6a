//! Any machine, behind the one interface that every runtime uses.

use std::fmt::Debug;

use footbridge_core::base::time::Now;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

use crate::ids::ProcessId;
use crate::nodes::knock::Knock;
use crate::nodes::machine_notice::MachineNotice;
use crate::nodes::viewer::notice::ViewerNotice;

/// What the world can tell a node from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The first signal.
    Shutdown,
    /// The second signal.
    ShutdownNow,
    /// Start nothing new, and finish what is in progress.
    Settle,
}

/// What a node reports to its program.
#[derive(Debug)]
pub(crate) enum NodeNotice {
    /// For the trace only: no promise takes a core machine's own word for anything.
    Words(String),
    /// What a viewer has seen; viewers are the simulator's own eyes.
    Seen(ViewerNotice),
    /// A program writes a message to another session, from this address.
    Signs { from: String },
    /// What its agent says begins with this, from before it started.
    SaidBefore { process: ProcessId, session: String, line: String },
    /// What a machine that was logged in has seen.
    Machine(MachineNotice),
    /// A stranger opens a connection.
    Knocks(Knock),
}

/// A machine of any kind.
pub(crate) trait Node {
    fn handle(&mut self, now: Now, event: Event);
    fn step(&mut self) -> Step<NodeNotice>;
    fn order(&mut self, now: Now, order: Order);
}

/// A machine as a [`Node`].
pub(crate) struct Driven<M: Machine> {
    pub(crate) machine: M,
    pub(crate) command: fn(Order) -> Option<M::Command>,
    pub(crate) is_traced: bool,
}

impl<M: Machine> Node for Driven<M>
where
    M::Notice: Debug,
{
    fn handle(&mut self, now: Now, event: Event) {
        self.machine.handle(now, event);
    }

    fn step(&mut self) -> Step<NodeNotice> {
        match self.machine.step() {
            Step::Do(action) => Step::Do(action),
            Step::Tell(notice) if self.is_traced => {
                Step::Tell(NodeNotice::Words(format!("{notice:?}")))
            }
            Step::Tell(_) => Step::Tell(NodeNotice::Words(String::new())),
            Step::Wait(at) => Step::Wait(at),
            Step::Finished(outcome) => Step::Finished(outcome),
        }
    }

    fn order(&mut self, now: Now, order: Order) {
        if let Some(command) = (self.command)(order) {
            self.machine.command(now, command);
        }
    }
}
