//! Promise 2: At most one hand-off to an agent's stdin per message and per request, whatever is
//! restarted in the meantime.

use std::collections::{BTreeMap, BTreeSet};

use super::{Promise, line_id};
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct OneHandOff {
    handed: BTreeSet<(String, String)>,
    /// Sessions with a worker or relay that does not know agent runs (an older one): what another
    /// agent was given and did not confirm may be sent again, so each agent counts separately.
    without_runs: BTreeSet<String>,
    by_agent: BTreeSet<(ProcessId, String)>,
    /// Requests without a uuid, which one may send twice: each that is stored is handed over once.
    unnamed: BTreeMap<(String, String), Unnamed>,
    /// Sessions whose log is not known in full.
    unclear: BTreeSet<String>,
}

#[derive(Default)]
struct Unnamed {
    logged: BTreeSet<u64>,
    handed: usize,
}

impl Promise for OneHandOff {
    fn name(&self) -> &'static str {
        "one hand-off"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::NoAgentRun { session } => {
                self.without_runs.insert(session.clone());
            }
            Fact::StoreLost => {
                let known = self.unnamed.keys().map(|(session, _)| session.clone());
                self.unclear.extend(known);
            }
            Fact::HandedOff { process, session, line } => {
                return self.handed(*process, session, line);
            }
            Fact::Viewed {
                notice: ViewerNotice::Event { session, seq, from, message, .. },
                ..
            } if from == "viewer" => {
                if let Some(id) = request_without_uuid(message) {
                    let known = self.unnamed.entry((session.clone(), id)).or_default();
                    known.logged.insert(*seq);
                }
            }
            Fact::Viewed {
                notice: ViewerNotice::Gap { session, .. } | ViewerNotice::Gone { session },
                ..
            } => {
                self.unclear.insert(session.clone());
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _: Time) -> Result<(), String> {
        for ((session, id), Unnamed { logged, handed }) in &self.unnamed {
            let is_clear = !self.unclear.contains(session) && !self.without_runs.contains(session);
            // A session that nobody has watched has no log here.
            if is_clear && !logged.is_empty() && *handed > logged.len() {
                let stored = logged.len();
                return Err(format!(
                    "{id} of {session} is stored {stored} times and was handed over {handed} times"
                ));
            }
        }
        Ok(())
    }
}

impl OneHandOff {
    fn handed(&mut self, process: ProcessId, session: &str, line: &str) -> Result<(), String> {
        if let Some(id) = request_without_uuid(line) {
            self.unnamed.entry((session.to_owned(), id)).or_default().handed += 1;
            return Ok(());
        }
        let is_said = line.contains("\"user\"") || line.contains("\"control_request\"");
        let Some(uuid) = line_id(line, "uuid").filter(|_| is_said) else { return Ok(()) };
        let is_first = self.handed.insert((session.to_owned(), uuid.clone()));
        let is_first_here = self.by_agent.insert((process, uuid.clone()));
        if is_first_here && (is_first || self.without_runs.contains(session)) {
            return Ok(());
        }
        Err(format!("{uuid} of {session} was handed to an agent twice"))
    }
}

fn request_without_uuid(line: &str) -> Option<String> {
    let is_request = line.contains("\"control_request\"") && line_id(line, "uuid").is_none();
    line_id(line, "request_id").filter(|_| is_request)
}
