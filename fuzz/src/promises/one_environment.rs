//! Promise 11, of a worker itself: one that restarts with its state on its disk is the environment
//! that it was, as long as the relay still has that.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Promise, parsed};
use crate::fact::Fact;
use crate::ids::{PartyId, Role};
use crate::sim::clock::Time;

/// Within this time of its registration, an environment cannot have lapsed.
const LASTS: Duration = Duration::from_secs(9 * 60);
/// The same at a relay with small limits.
const LASTS_LITTLE: Duration = Duration::from_secs(100);

/// How long an answer may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(2 * 60);

#[derive(Default)]
pub(crate) struct OneEnvironment {
    workers: BTreeMap<PartyId, Known>,
    /// When the relay's store was lost last: answers from before may still be on their way.
    lost_at: Option<Time>,
    keeps_little: bool,
}

/// What is known about a worker over all its lives.
#[derive(Default)]
struct Known {
    /// The environment that is in its state file.
    kept: Option<String>,
    /// The one that was there when this life began.
    found: Option<String>,
    /// The environment that it registered last, and when.
    registered: Option<(String, Time)>,
    /// Whether this life has registered yet.
    has_registered: bool,
    has_bad_disk: bool,
}

impl Promise for OneEnvironment {
    fn name(&self) -> &'static str {
        "one environment"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Started { party, role: Role::Worker } => {
                let known = self.workers.entry(*party).or_default();
                known.has_registered = false;
                known.found.clone_from(&known.kept);
            }
            // Even if it is killed then, the request may arrive.
            Fact::Deregistering { party } => {
                if let Some(known) = self.workers.get_mut(party) {
                    known.registered = None;
                }
            }
            Fact::KeepsLittle => self.keeps_little = true,
            Fact::StoreLost => {
                self.lost_at = Some(at);
                self.workers.values_mut().for_each(|known| known.registered = None);
            }
            Fact::DiskFailed { party } => {
                self.workers.entry(*party).or_default().has_bad_disk = true;
            }
            Fact::FileKept { party, path, data } if path.ends_with("/worker.json") => {
                let state = std::str::from_utf8(data).map(parsed).unwrap_or_default();
                let environment = state["environment_id"].as_str().map(str::to_owned);
                self.workers.entry(*party).or_default().kept = environment;
            }
            Fact::Registered { party, environment } => {
                let lasts = if self.keeps_little { LASTS_LITTLE } else { LASTS };
                let is_old = self.lost_at.is_some_and(|lost| at < lost + ON_ITS_WAY);
                if let Some(known) = self.workers.get_mut(party) {
                    let judged = known.registers(at, *party, environment, lasts);
                    if is_old {
                        known.registered = None;
                        return Ok(());
                    }
                    return judged;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Known {
    fn registers(
        &mut self,
        at: Time,
        party: PartyId,
        environment: &str,
        lasts: Duration,
    ) -> Result<(), String> {
        let before = self.registered.replace((environment.to_owned(), at));
        let is_first = !std::mem::replace(&mut self.has_registered, true);
        let Some((before, since)) = before.filter(|_| is_first && !self.has_bad_disk) else {
            return Ok(());
        };
        let is_kept = self.found.as_ref() == Some(&before) && at < since + lasts;
        if !is_kept || before == environment {
            return Ok(());
        }
        Err(format!("worker {party} was {before} until it restarted, and is {environment} now"))
    }
}
