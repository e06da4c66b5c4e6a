//! Promise 2: At most one hand-off to an agent's stdin per message and per request, whatever is
//! restarted in the meantime.

use std::collections::BTreeSet;

use super::{Promise, line_id};
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::sim::clock::Time;

/// What a message or a request goes by; answers are another promise's.
fn name_of(line: &str) -> Option<String> {
    if line.contains("\"user\"") {
        return line_id(line, "uuid");
    }
    line_id(line, "request_id").filter(|_| line.contains("\"control_request\""))
}

#[derive(Default)]
pub(crate) struct OneHandOff {
    handed: BTreeSet<(String, String)>,
    /// Sessions with an (older) worker or relay that does not know runs of agents: what another
    /// agent was given and did not confirm may be sent again, so each agent counts separately.
    without_runs: BTreeSet<String>,
    by_agent: BTreeSet<(ProcessId, String)>,
}

impl Promise for OneHandOff {
    fn name(&self) -> &'static str {
        "one hand-off"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        if let Fact::NoAgentRun { session } = fact {
            self.without_runs.insert(session.clone());
        }
        if let Fact::HandedOff { process, session, line } = fact
            && let Some(uuid) = name_of(line)
            && let is_first = self.handed.insert((session.clone(), uuid.clone()))
            && !(self.by_agent.insert((*process, uuid.clone()))
                && (is_first || self.without_runs.contains(session)))
        {
            return Err(format!("{uuid} of {session} was handed to an agent twice"));
        }
        Ok(())
    }
}
