//! Promise 19: Whoever a person has ended does nothing more, from the moment at which they are told so; and
//! a machine becomes a trusted one only within ten minutes of its log-in (Y-9, D-3).

use std::collections::BTreeSet;
use std::time::Duration;

use super::Promise;
use crate::fact::Fact;
use crate::nodes::machine_notice::MachineNotice;
use crate::sim::clock::Time;

/// How long after its log-in a machine may be enrolled.
const WINDOW: Duration = Duration::from_secs(10 * 60);

#[derive(Default)]
pub(crate) struct EndedMachines {
    ended: BTreeSet<String>,
    /// The relay's wall clock may have been set back, which the window is measured by.
    has_clock_moved: bool,
}

impl Promise for EndedMachines {
    fn name(&self) -> &'static str {
        "ended machines"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Slept { .. } => self.has_clock_moved = true,
            Fact::Machine(MachineNotice::Ended { device }) => {
                self.ended.insert(device.clone());
            }
            Fact::Machine(MachineNotice::Served { device, what, was_ended: true })
                if self.ended.contains(device) =>
            {
                return Err(format!("{device} was ended, and is served afterwards: {what}"));
            }
            Fact::Machine(MachineNotice::Trusted { device, after })
                if *after >= WINDOW && !self.has_clock_moved =>
            {
                let after = after.as_secs();
                return Err(format!("{device} became a trusted one {after} s after its log-in"));
            }
            _ => {}
        }
        Ok(())
    }
}
