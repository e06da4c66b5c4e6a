//! Promise 18: no message to another session leaves in the name of a session that its sender no longer is
//! or in nobody's, however long it takes until somebody has permitted it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Promise;
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::sim::clock::Time;

/// How long its host may need to hear that an agent has ended.
const UNHEARD: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(crate) struct TrueSender {
    sessions: BTreeMap<ProcessId, String>,
    /// When a session's last agent ended; none while one runs.
    ended: BTreeMap<String, Option<Time>>,
}

impl Promise for TrueSender {
    fn name(&self) -> &'static str {
        "true sender"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::AgentStarted { process, session } => {
                self.sessions.insert(*process, session.clone());
                self.ended.insert(session.clone(), None);
            }
            Fact::AgentEnded { process } | Fact::AgentOrphaned { process } => {
                if let Some(session) = self.sessions.remove(process) {
                    self.ended.insert(session, Some(at));
                }
            }
            Fact::Signed { from } => {
                let session = from.strip_prefix("bridge:").unwrap_or_default();
                return match self.ended.get(session) {
                    Some(None) => Ok(()),
                    Some(Some(ended)) if at <= *ended + UNHEARD => Ok(()),
                    Some(Some(_)) => Err(format!("a message leaves from {from}, which is over")),
                    None => Err(format!("a message leaves from {from:?}, which nobody is")),
                };
            }
            _ => {}
        }
        Ok(())
    }
}
