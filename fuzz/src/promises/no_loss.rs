//! Promise 1: No acknowledged loss: what the relay accepted is in the log under the number it
//! returned and reaches the agent while the session lives, and what the agent printed is in the log
//! once, in order, without gaps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::unread::Unread;
use super::{Promise, indeterminate, line_id};
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

/// In the calm, what an agent prints has reached the viewers by then.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct NoLoss {
    sessions: BTreeMap<String, Story>,
    /// A sleeping viewer may learn late of sessions that were lost with it.
    was_store_lost: bool,
    /// Ended sessions may be forgotten soon.
    keeps_little: bool,
}

#[derive(Default)]
struct Story {
    /// What was accepted, and under which number.
    accepted: BTreeMap<String, u64>,
    /// The viewers' messages in the log, by number.
    logged: BTreeMap<u64, String>,
    handed: BTreeSet<String>,
    /// What the relay rejected.
    rejected: BTreeSet<String>,
    /// What its agents have printed: one agent after the other, each in order.
    printed: BTreeMap<ProcessId, Vec<String>>,
    /// When each of these lines was printed.
    printed_at: Vec<Time>,
    /// The part of that which is in the log, in order, by number.
    told: BTreeMap<u64, String>,
    /// What an agent was given and had not confirmed when it died: logged as such, and not sent
    /// again.
    indeterminate: BTreeSet<String>,
    unread: Unread,
    /// Somebody was told that it exists.
    is_made: bool,
    is_ended: bool,
    /// Its agent may not be reading; or there no longer is one.
    is_deaf: bool,
    is_gone: bool,
    is_printing: bool,
    agents: u32,
    /// Leases handed out for it.
    leases: u32,
    running: BTreeSet<usize>,
}

impl Promise for NoLoss {
    fn name(&self) -> &'static str {
        "no acknowledged loss"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::AgentStarted { process, session } => {
                let story = self.sessions.entry(session.clone()).or_default();
                story.agents += 1;
                story.running.insert(*process);
            }
            Fact::AgentEnded { process } | Fact::AgentOrphaned { process } => {
                for story in self.sessions.values_mut() {
                    story.running.remove(process);
                }
            }
            Fact::HandedOff { session, line, .. } => {
                let story = self.sessions.entry(session.clone()).or_default();
                if let Some(uuid) = line_id(line, "uuid") {
                    story.handed.insert(uuid);
                }
            }
            Fact::Printed { process, session, line, is_message } if *is_message => {
                let story = self.sessions.entry(session.clone()).or_default();
                story.printed.entry(*process).or_default().push(line.clone());
                story.printed_at.push(at);
            }
            Fact::IsDeaf { session } => {
                self.sessions.entry(session.clone()).or_default().is_deaf = true;
            }
            Fact::Leased { session, .. } => {
                self.sessions.entry(session.clone()).or_default().leases += 1;
            }
            Fact::Made { session } => {
                self.sessions.entry(session.clone()).or_default().is_made = true;
            }
            Fact::KeepsLittle => self.keeps_little = true,
            Fact::StoreLost => {
                self.was_store_lost = true;
                for story in self.sessions.values_mut() {
                    story.is_gone = true;
                }
            }
            Fact::Viewed { notice, .. } => return self.viewed(notice),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: Time) -> Result<(), String> {
        for (session, story) in &self.sessions {
            story.end(session, at)?;
        }
        Ok(())
    }
}

impl NoLoss {
    fn viewed(&mut self, notice: &ViewerNotice) -> Result<(), String> {
        match notice {
            ViewerNotice::Accepted { session, uuid, seq } => {
                let story = self.sessions.entry(session.clone()).or_default();
                let before = story.accepted.insert(uuid.clone(), *seq);
                if before.is_some_and(|before| before != *seq) {
                    return Err(format!("{uuid} of {session} was accepted under two numbers"));
                }
            }
            ViewerNotice::Event { session, seq, from, message, .. } => {
                let story = self.sessions.entry(session.clone()).or_default();
                story.unread.read(*seq);
                match from.as_str() {
                    "viewer" => {
                        if let Some(uuid) = line_id(message, "uuid") {
                            story.logged.insert(*seq, uuid);
                        }
                    }
                    "agent" => {
                        story.told.insert(*seq, message.clone());
                        story.is_printing = true;
                    }
                    "relay" => story.indeterminate.extend(indeterminate(message)),
                    _ => {}
                }
            }
            ViewerNotice::Rejected { session, uuid } => {
                self.sessions.entry(session.clone()).or_default().rejected.insert(uuid.clone());
            }
            ViewerNotice::Gap { session, from, resumes_after, .. } => {
                let story = self.sessions.entry(session.clone()).or_default();
                story.unread.dropped(*from, *resumes_after);
            }
            ViewerNotice::View(view) => {
                let story = self.sessions.entry(view.session.clone()).or_default();
                story.is_ended |= view.state == "ended";
            }
            ViewerNotice::Gone { session } => {
                let story = self.sessions.entry(session.clone()).or_default();
                // It may have ended although its agent is running: on a sleeping host.
                let is_known = story.is_made || !self.was_store_lost;
                if !std::mem::replace(&mut story.is_gone, true) && is_known && !self.keeps_little {
                    return Err(format!("the relay has forgotten {session}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Story {
    fn end(&self, session: &str, at: Time) -> Result<(), String> {
        if !self.unread.has_gap() {
            self.is_told_in_order(session, at)?;
        }
        if self.is_gone {
            return Ok(());
        }
        let taken = |uuid: &&String| self.logged.values().any(|logged| logged == *uuid);
        if let Some(uuid) = self.rejected.iter().find(taken)
            && !self.unread.has_gap()
        {
            return Err(format!("{uuid} of {session} was rejected, but is in the log"));
        }
        let last = self.logged.keys().chain(self.told.keys()).max().copied().unwrap_or_default();
        for (uuid, seq) in &self.accepted {
            let found = self.logged.get(seq);
            let is_kept = !self.unread.has_gap() && *seq <= last;
            if found.is_some_and(|found| found != uuid) || (found.is_none() && is_kept) {
                return Err(format!(
                    "{uuid} of {session} was accepted as {seq}, but the log has {found:?} there"
                ));
            }
            let is_expected = !self.is_ended && !self.is_deaf && !self.running.is_empty();
            // Only the end of another run explains it: of its agent, or of a lease under which the
            // session was abandoned before it had one.
            let had_another = self.agents > 1 || self.leases > 1;
            let is_said = self.indeterminate.contains(uuid) || self.unread.is_any_after(*seq);
            if is_expected && !(had_another && is_said) && !self.handed.contains(uuid) {
                return Err(format!(
                    "{uuid} of {session} was accepted but never reached the agent"
                ));
            }
        }
        Ok(())
    }

    /// The log has the beginning of what each agent printed; all of it, if the agent is still
    /// running. The last output before an agent was killed or its worker died may be missing.
    fn is_told_in_order(&self, session: &str, end: Time) -> Result<(), String> {
        let agents: Vec<_> = self.printed.iter().collect();
        // Two agents may print the same line, and the log does not say whose it was: all that fit
        // are followed, each with how much of it has been told.
        let mut fitting = BTreeSet::from([(0, 0)]);
        for told in self.told.values().filter(|_| !agents.is_empty()) {
            for (agent, (process, _)) in agents.iter().enumerate() {
                let is_left = fitting.iter().any(|(one, _)| *one == agent);
                if is_left && !self.running.contains(*process) && agent + 1 < agents.len() {
                    fitting.insert((agent + 1, 0));
                }
            }
            let next: BTreeSet<_> = fitting
                .iter()
                .filter(|(agent, at)| agents[*agent].1.get(*at) == Some(told))
                .map(|(agent, at)| (*agent, at + 1))
                .collect();
            if next.is_empty() {
                let (agent, at) = fitting.last().copied().unwrap_or_default();
                let (process, printed) = agents[agent];
                return Err(format!(
                    "line {} of agent {process} in the log of {session} is {told}, and it \
                     printed {}",
                    at + 1,
                    printed.get(at).map_or("nothing", String::as_str)
                ));
            }
            fitting = next;
        }
        // The last ones may be in flight.
        let all = self.printed_at.partition_point(|at| *at + ON_ITS_WAY < end);
        let is_all = self.told.len() >= all;
        let is_alive = !self.running.is_empty() && !self.is_ended && !self.is_gone;
        if is_alive && self.is_printing && !self.is_deaf && !is_all && self.agents == 1 {
            return Err(format!(
                "the agent of {session} printed {} lines, but the log has {}",
                all,
                self.told.len()
            ));
        }
        Ok(())
    }
}
