//! Promise 5, for hooks: a tool that a client guards runs only if that client has said so, whoever is
//! gone or restarts in the meantime; and its agent is never left waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::{Promise, parsed};
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

/// How long an agent may wait for an answer, with all that may delay a worker.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

#[derive(Default)]
pub(crate) struct Guarded {
    /// What clients have allowed, by session and id.
    allowed: BTreeSet<(String, String)>,
    /// Sessions in which an agent was told of a hook.
    declared: BTreeSet<String>,
    /// Agents that were told of one.
    told: BTreeSet<ProcessId>,
    /// What agents have asked and wait for.
    waiting: BTreeMap<(ProcessId, String), Time>,
    /// Sessions of which nothing is known for sure: with a party of an earlier version, or a relay that
    /// has lost what it kept.
    unclear: BTreeSet<String>,
}

impl Promise for Guarded {
    fn name(&self) -> &'static str {
        "guarded"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::NoAgentRun { session } => {
                self.unclear.insert(session.clone());
            }
            Fact::StoreLost => self.unclear.extend(self.declared.iter().cloned()),
            Fact::Viewed {
                notice: ViewerNotice::HookAnswering { session, request_id, is_allow: true },
                ..
            } => {
                self.allowed.insert((session.clone(), request_id.clone()));
            }
            Fact::HandedOff { process, session, line } => {
                return self.handed(*process, session, line);
            }
            Fact::Printed { process, line, .. } if line.contains("\"hook_callback\"") => {
                if let Some(id) = parsed(line)["request_id"].as_str() {
                    self.waiting.insert((*process, id.to_owned()), at);
                }
            }
            Fact::AgentEnded { process } | Fact::AgentOrphaned { process } => {
                self.waiting.retain(|(asker, _), _| asker != process);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: Time) -> Result<(), String> {
        let late = self.waiting.iter().find(|(_, since)| at.saturating_sub(**since) > PATIENCE);
        match late {
            Some(((_, id), _)) => Err(format!("{id} was never answered")),
            None => Ok(()),
        }
    }
}

impl Guarded {
    fn handed(&mut self, process: ProcessId, session: &str, line: &str) -> Result<(), String> {
        if line.contains("\"control_response\"") && line.contains("\"hook-") {
            let response = parsed(line)["response"].take();
            let id = response["request_id"].as_str().unwrap_or_default().to_owned();
            self.waiting.remove(&(process, id.clone()));
            let runs = response["subtype"] != "success" || !denies(&response["response"]);
            if runs && !self.allowed.contains(&(session.to_owned(), id.clone())) {
                return Err(format!("the tool that {id} of {session} guards runs: {response}"));
            }
        } else if line.contains("\"initialize\"") {
            let hooks = parsed(line)["request"]["hooks"].take();
            if hooks.as_object().is_some_and(|hooks| !hooks.is_empty()) {
                self.told.insert(process);
                self.declared.insert(session.to_owned());
            }
        } else if line.contains("\"user\"") {
            let is_clear = self.declared.contains(session) && !self.unclear.contains(session);
            if is_clear && !self.told.contains(&process) {
                return Err(format!("an agent of {session} works and was not told of its hooks"));
            }
        }
        Ok(())
    }
}

/// Whether a hook's answer keeps the tool from running, as agents read it.
fn denies(answer: &Value) -> bool {
    let own = &answer["hookSpecificOutput"];
    answer["decision"] == "block"
        || (own["hookEventName"] == "PreToolUse" && own["permissionDecision"] == "deny")
}
