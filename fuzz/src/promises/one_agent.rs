//! Promise 10: A claim is idempotent: one request creates one session, one agent runs for one
//! session at a time, and no other worker acts on it in the meantime.

use std::collections::{BTreeMap, BTreeSet};

use super::Promise;
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct OneAgent {
    made: BTreeMap<String, String>,
    /// What the store has created since it was last lost: news of earlier sessions may arrive late.
    current: BTreeSet<String>,
    /// A forgotten session takes its request's key with it.
    keeps_little: bool,
    running: BTreeMap<String, ProcessId>,
}

impl Promise for OneAgent {
    fn name(&self) -> &'static str {
        "one agent"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::StoreLost => {
                self.made.clear();
                self.current.clear();
            }
            Fact::Made { session } => {
                self.current.insert(session.clone());
            }
            Fact::KeepsLittle => self.keeps_little = true,
            Fact::Viewed { notice: ViewerNotice::Created { key, session, .. }, .. }
                if self.current.contains(session) =>
            {
                let known = self.made.insert(key.clone(), session.clone());
                if known.as_ref().is_some_and(|known| known != session) && !self.keeps_little {
                    return Err(format!("{key} has created {session} and {known:?}"));
                }
            }
            Fact::AgentStarted { process, session } => {
                if let Some(other) = self.running.insert(session.clone(), *process) {
                    return Err(format!(
                        "{session} has the agents {other} and {process} at the same time"
                    ));
                }
            }
            Fact::AgentEnded { process } | Fact::AgentOrphaned { process } => {
                self.running.retain(|_, running| running != process);
            }
            _ => {}
        }
        Ok(())
    }
}
