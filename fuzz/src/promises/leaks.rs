//! Promise 13, at rest: nobody holds anything whose other side is gone: no stream without a client,
//! no request without a server, no agent of a session that is over or of a worker that is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Promise;
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

/// A worker learns of a session's end and ends its agent within this time: an environment may have
/// to be registered again, a link's pause is at most 2 min, an agent that does not exit is killed
/// after 30 s.
const AGENT_ENDS: Duration = Duration::from_secs(15 * 60);

#[derive(Default)]
pub(crate) struct Leaks {
    agents: BTreeMap<ProcessId, String>,
    over: BTreeMap<String, Time>,
    /// Agents whose worker is gone, and since when.
    orphans: BTreeMap<ProcessId, Time>,
}

impl Promise for Leaks {
    fn name(&self) -> &'static str {
        "no leaks"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Leaked { holder, what } => return Err(format!("{holder} still has {what}")),
            Fact::AgentStarted { process, session } => {
                self.agents.insert(*process, session.clone());
            }
            Fact::AgentEnded { process } => {
                self.agents.remove(process);
                self.orphans.remove(process);
            }
            Fact::AgentOrphaned { process } if self.agents.remove(process).is_some() => {
                self.orphans.insert(*process, at);
            }
            Fact::Viewed { notice: ViewerNotice::View(view), .. } if view.state == "ended" => {
                self.over.entry(view.session.clone()).or_insert(at);
            }
            Fact::Viewed { notice: ViewerNotice::Gone { session }, .. } => {
                self.over.entry(session.clone()).or_insert(at);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: Time) -> Result<(), String> {
        if let Some((process, _)) = self.orphans.iter().find(|(_, since)| **since + AGENT_ENDS < at)
        {
            return Err(format!("agent {process} is still running, but its worker is gone"));
        }
        let is_late =
            |session: &String| self.over.get(session).is_some_and(|since| *since + AGENT_ENDS < at);
        match self.agents.iter().find(|(_, session)| is_late(session)) {
            Some((process, session)) => {
                Err(format!("agent {process} is still running, but its {session} is over"))
            }
            None => Ok(()),
        }
    }
}
