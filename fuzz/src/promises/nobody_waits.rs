//! Promise 6, for those who ask: every request to an agent is answered, or the log says that it
//! never will be, or the session ends (M-3); and a worker with room answers a healthcheck (W-11).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Promise, parsed};
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

/// In the calm, a running agent takes no longer to answer.
const ANSWER: Duration = Duration::from_secs(5 * 60);
/// Nor does a worker with room: one that has accepted a healthcheck and forgotten it is asked again
/// when its lease expires.
const CHECK: Duration = Duration::from_secs(5 * 60);

#[derive(Default)]
pub(crate) struct NobodyWaits {
    sessions: BTreeMap<String, Asked>,
    /// Since when each environment has had room, and an open healthcheck.
    checks: BTreeMap<String, Time>,
    is_calm: bool,
}

#[derive(Default)]
struct Asked {
    /// What was requested, under which number, and when the agent or the viewer last appeared.
    open: BTreeMap<String, (u64, Time)>,
    named: BTreeMap<String, u64>,
    answered: BTreeSet<String>,
    running: BTreeMap<ProcessId, Time>,
    is_over: bool,
    is_deaf: bool,
}

impl Promise for NobodyWaits {
    fn name(&self) -> &'static str {
        "nobody waits"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Calm => {
                self.is_calm = true;
                self.checks.clear();
            }
            Fact::StoreLost => {
                self.sessions.values_mut().for_each(|asked| asked.is_over = true);
                self.checks.clear();
            }
            Fact::IsDeaf { session } => self.session(session).is_deaf = true,
            Fact::AgentStarted { process, session } => {
                self.session(session).running.insert(*process, at);
            }
            Fact::AgentEnded { process } | Fact::AgentOrphaned { process } => {
                for asked in self.sessions.values_mut() {
                    asked.running.remove(process);
                }
            }
            Fact::Viewed { notice, .. } => return self.viewed(at, notice),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: Time) -> Result<(), String> {
        let live = self.sessions.iter().filter(|(_, asked)| !asked.is_over && !asked.is_deaf);
        for (session, asked) in live {
            let is_old = |since: &Time| *since + ANSWER < at;
            if !asked.running.values().any(is_old) {
                continue;
            }
            if let Some((id, (seq, _))) = asked.open.iter().find(|(_, (_, since))| is_old(since)) {
                return Err(format!("{id} ({seq}) of {session} was never answered"));
            }
        }
        Ok(())
    }
}

impl NobodyWaits {
    fn session(&mut self, id: &str) -> &mut Asked {
        self.sessions.entry(id.to_owned()).or_default()
    }

    fn viewed(&mut self, at: Time, notice: &ViewerNotice) -> Result<(), String> {
        match notice {
            ViewerNotice::Requested { session, request_id, is_named, seq } => {
                let asked = self.session(session);
                if *is_named
                    && asked.named.insert(request_id.clone(), *seq).is_some_and(|had| had != *seq)
                {
                    return Err(format!("{request_id} of {session} was accepted twice"));
                }
                if !asked.answered.contains(request_id) {
                    asked.open.insert(request_id.clone(), (*seq, at));
                }
            }
            ViewerNotice::Event { session, message, from, .. } => {
                self.told(session, from, message);
            }
            // The answer may have been in what was dropped.
            ViewerNotice::Gone { session } | ViewerNotice::Gap { session, .. } => {
                self.session(session).is_over = true;
            }
            ViewerNotice::View(view) if view.state == "ended" => {
                self.session(&view.session).is_over = true;
            }
            ViewerNotice::Environment { id, is_online, has_room, is_waiting } => {
                if !(*is_online && *has_room && *is_waiting && self.is_calm) {
                    self.checks.remove(id);
                } else if *self.checks.entry(id.clone()).or_insert(at) + CHECK < at {
                    return Err(format!("{id} is online but does not answer its healthcheck"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn told(&mut self, session: &str, from: &str, message: &str) {
        let asked = self.session(session);
        if from == "agent" && message.contains("control_response") {
            let message = parsed(message);
            let id = message["response"]["request_id"].as_str().unwrap_or_default().to_owned();
            asked.open.remove(&id);
            asked.answered.insert(id);
        }
        if from == "relay" && message.contains("requests_unanswered") {
            let message = parsed(message);
            for id in message["request_ids"].as_array().into_iter().flatten() {
                let id = id.as_str().unwrap_or_default().to_owned();
                asked.open.remove(&id);
                asked.answered.insert(id);
            }
        }
    }
}
