//! Promise 6: Nothing is silently stuck: some time after the last fault, every live session has
//! moved, shows what blocks it, or has ended; and an unanswered question can still be answered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::unread::Unread;
use super::{Promise, indeterminate, line_id, parsed};
use crate::fact::Fact;
use crate::ids::{PartyId, ProcessId};
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

/// By then everything is at rest: an environment lapses after 10 min, a link's pause is at most 2
/// min, a lease lasts 1 min.
pub(crate) const BOUND: Duration = Duration::from_secs(20 * 60);

#[derive(Default)]
pub(crate) struct Progress {
    calm_since: Option<Time>,
    sessions: BTreeMap<String, Session>,
    agents: BTreeMap<ProcessId, Agent>,
    workers_up: BTreeSet<PartyId>,
    /// What viewers have requested since the calm began, when, and under which number.
    waiting: BTreeMap<(String, String), (Time, u64)>,
    /// What an agent was given, or may have been given.
    handed: BTreeSet<(String, String)>,
    /// Ended sessions may be forgotten before anyone has seen their end.
    keeps_little: bool,
    /// How many may watch a session at once.
    places: Option<usize>,
}

/// Every viewer requests the list more often than this.
pub(super) const ASKED_WITHIN: Duration = Duration::from_secs(120);
/// Each of a session's viewers asks for the rest of its log more often than this.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// At a calm end, whatever is in the list was shown to somebody this recently. One that ended since
/// and was forgotten at once is not taken for stuck.
const SHOWN_WITHIN: Duration = Duration::from_secs(15);

/// Within this time, a free place is known to be free and is taken by the next viewer that asks.
const SEATED_WITHIN: Duration = Duration::from_secs(120);

/// A link is replaced whenever a session gets a new lease.
const RELINKED_WITHIN: Duration = Duration::from_secs(120);

#[derive(Default)]
struct Session {
    state: String,
    /// Since when it has been shown without a link.
    unlinked_since: Option<Time>,
    pending: Vec<String>,
    is_gone: bool,
    is_deaf: bool,
    /// A link of it has not named the run of its agent, as those of an earlier version do not. The
    /// next one that does may be another agent's: what was on its way to this one, answers too, is
    /// said to be indeterminate.
    is_unnamed: bool,
    /// When it last lost an agent; that may not have been shown yet.
    agent_left_at: Option<Time>,
    last_seq: BTreeMap<PartyId, u64>,
    unread: Unread,
    /// Where its log ended, and since when that has been shown: the last one from before
    /// [`READ_WITHIN`], and all since.
    ends: Vec<(Time, u64)>,
    seen_at: Time,
    watchers: Watchers,
}

/// Who watches a session, and who would like to.
#[derive(Default)]
struct Watchers {
    seated: BTreeSet<PartyId>,
    /// Who was told that there is no place, and nothing else since.
    turned_away: BTreeSet<PartyId>,
    /// When all places were last taken; not relevant while they are.
    full_at: Option<Time>,
}

struct Agent {
    session: String,
    /// What it asks, and since when.
    open: BTreeMap<String, Time>,
}

impl Session {
    fn ends_at(&mut self, at: Time, end: u64) {
        if self.ends.last().is_some_and(|(_, last)| *last >= end) {
            return;
        }
        self.ends.push((at, end));
        let old = self.ends.partition_point(|(since, _)| *since + READ_WITHIN < at);
        self.ends.drain(..old.saturating_sub(1));
    }

    /// Where it ended some time before `at`.
    fn end_before(&self, at: Time) -> u64 {
        let old = self.ends.partition_point(|(since, _)| *since + READ_WITHIN < at);
        old.checked_sub(1).map_or(0, |last| self.ends[last].1)
    }
}

impl Promise for Progress {
    fn name(&self) -> &'static str {
        "nothing stuck"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Calm => self.calm_since = Some(at),
            Fact::KeepsLittle => self.keeps_little = true,
            Fact::Places { of_session } => self.places = Some(*of_session),
            Fact::StoreLost => self.sessions.values_mut().for_each(|found| found.is_gone = true),
            Fact::Started { party, role } if role.runs_agents() => {
                self.workers_up.insert(*party);
            }
            Fact::Crashed { party, .. } | Fact::Finished { party, .. } => {
                self.workers_up.remove(party);
            }
            Fact::NoAgentRun { session } => self.session(session).is_unnamed = true,
            Fact::IsDeaf { session } => self.session(session).is_deaf = true,
            Fact::AgentStarted { process, session } => {
                let agent = Agent { session: session.clone(), open: BTreeMap::new() };
                self.agents.insert(*process, agent);
            }
            Fact::AgentEnded { process } | Fact::AgentOrphaned { process } => {
                if let Some(agent) = self.agents.remove(process) {
                    self.session(&agent.session).agent_left_at = Some(at);
                }
            }
            Fact::Printed { session, line, .. } => self.printed(at, session, line),
            Fact::HandedOff { process, line, .. } => self.handed(*process, line),
            Fact::Viewed { viewer, notice } => self.viewed(at, *viewer, notice),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: Time) -> Result<(), String> {
        let Some(calm) = self.calm_since else { return Ok(()) };
        if at < calm + BOUND {
            return Ok(());
        }
        for (session, found) in &self.sessions {
            if let Some(viewer) = found.watchers.kept_out(at, self.places)
                && !found.is_gone
            {
                return Err(format!("viewer {viewer} is kept out of {session}, which has room"));
            }
            if found.is_gone || found.state == "ended" || found.state.is_empty() {
                continue;
            }
            if self.keeps_little && found.seen_at + SHOWN_WITHIN < at {
                continue;
            }
            self.is_moving(session, found, at)?;
        }
        Ok(())
    }
}

impl Progress {
    fn session(&mut self, id: &str) -> &mut Session {
        self.sessions.entry(id.to_owned()).or_default()
    }

    fn agents_of<'a>(&'a mut self, session: &'a str) -> impl Iterator<Item = &'a mut Agent> {
        self.agents.values_mut().filter(move |agent| agent.session == session)
    }

    fn printed(&mut self, at: Time, session: &str, line: &str) {
        if line.contains("can_use_tool")
            && let Some(id) = parsed(line)["request_id"].as_str()
        {
            for agent in self.agents_of(session) {
                agent.open.entry(id.to_owned()).or_insert(at);
            }
        } else if line.contains("control_cancel_request")
            && let Some(id) = parsed(line)["request_id"].as_str()
        {
            for agent in self.agents_of(session) {
                agent.open.remove(id);
            }
        }
    }

    fn handed(&mut self, process: ProcessId, line: &str) {
        if let Some(agent) = self.agents.get_mut(&process) {
            if line.contains("control_response") {
                let message = parsed(line);
                let id = message["response"]["request_id"].as_str().unwrap_or_default();
                agent.open.remove(id);
            } else if let Some(uuid) = line_id(line, "uuid") {
                let key = (agent.session.clone(), uuid);
                self.waiting.remove(&key);
                self.handed.insert(key);
            }
        }
    }

    fn viewed(&mut self, at: Time, viewer: PartyId, notice: &ViewerNotice) {
        match notice {
            ViewerNotice::Accepted { session, uuid, seq } => {
                let key = (session.clone(), uuid.clone());
                if !self.handed.contains(&key) {
                    self.waiting.entry(key).or_insert((at, *seq));
                }
            }
            ViewerNotice::Gone { session } => self.session(session).is_gone = true,
            ViewerNotice::Event { session, seq, from, message, .. } => {
                let found = self.session(session);
                found.last_seq.insert(viewer, *seq);
                found.unread.read(*seq);
                if from == "relay" {
                    for uuid in indeterminate(message) {
                        // The news that it was accepted may arrive later than that.
                        let key = (session.clone(), uuid);
                        self.waiting.remove(&key);
                        self.handed.insert(key);
                    }
                }
            }
            ViewerNotice::Gap { session, from, resumes_after: seq, .. } => {
                let found = self.session(session);
                found.last_seq.insert(viewer, *seq);
                found.unread.dropped(*from, *seq);
            }
            ViewerNotice::Subscribed { session } => {
                self.session(session).watchers.seat(viewer);
            }
            ViewerNotice::Unsubscribed { session, is_full } => {
                let places = self.places;
                self.session(session).watchers.unseat(at, viewer, *is_full, places);
            }
            ViewerNotice::View(view) => {
                let found = self.session(&view.session);
                found.state.clone_from(&view.state);
                found.seen_at = at;
                found.unlinked_since =
                    (!view.is_connected).then(|| found.unlinked_since.unwrap_or(at));
                found.pending.clone_from(&view.pending);
                found.ends_at(at, view.last_seq);
            }
            _ => {}
        }
    }

    fn is_moving(&self, session: &str, found: &Session, at: Time) -> Result<(), String> {
        let agents: Vec<_> = self.agents.values().filter(|one| one.session == session).collect();
        if found.state == "queued" {
            // It is shown to be waiting for a worker; with none to accept it, it would have lapsed.
            return if self.workers_up.is_empty() {
                Err(format!("{session} is queued, but no worker is online"))
            } else {
                Ok(())
            };
        }
        let Some(agent) = agents.first() else {
            if found.agent_left_at.is_some_and(|left| at <= left + READ_WITHIN) {
                return Ok(());
            }
            return Err(format!("{session} is {}, but has no agent", found.state));
        };
        if found.unlinked_since.is_some_and(|since| since + RELINKED_WITHIN < at) {
            return Err(format!("{session} is {}, but not connected", found.state));
        }
        for (id, since) in &agent.open {
            let is_old = *since + READ_WITHIN < at;
            if is_old && !found.pending.contains(id) && !found.is_unnamed {
                return Err(format!(
                    "the agent of {session} is waiting for {id}, but nobody is asked"
                ));
            }
        }
        let end = found.end_before(at);
        for (viewer, seq) in &found.last_seq {
            // A viewer that is told that there is no place knows what blocks it.
            let is_blocked = found.watchers.turned_away.contains(viewer);
            if *seq + 50 < end && !found.is_deaf && !is_blocked {
                return Err(format!("viewer {viewer} has {seq} of {session}, which has {}", end));
            }
        }
        if !found.is_deaf {
            let of_session = self.waiting.iter().filter(|((id, _), _)| id == session);
            for ((_, uuid), (since, seq)) in of_session {
                let is_old = *since + Duration::from_secs(300) < at;
                // That it is indeterminate may have been said in what was dropped.
                if is_old && !found.unread.is_any_after(*seq) {
                    return Err(format!(
                        "{uuid} has been waiting for the agent of {session} since {since:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Watchers {
    fn seat(&mut self, viewer: PartyId) {
        self.seated.insert(viewer);
        self.turned_away.remove(&viewer);
    }

    fn unseat(&mut self, at: Time, viewer: PartyId, is_full: bool, places: Option<usize>) {
        if self.are_full(places) {
            self.full_at = Some(at);
        }
        self.seated.remove(&viewer);
        if is_full {
            self.turned_away.insert(viewer);
        } else {
            self.turned_away.remove(&viewer);
        }
    }

    fn are_full(&self, places: Option<usize>) -> bool {
        places.is_some_and(|places| self.seated.len() >= places)
    }

    /// A viewer that was told that there is no place, although there has long been one.
    fn kept_out(&self, at: Time, places: Option<usize>) -> Option<PartyId> {
        let were_full = self.full_at.is_some_and(|full_at| at < full_at + SEATED_WITHIN);
        let is_excused = places.is_none() || self.are_full(places) || were_full;
        self.turned_away.first().filter(|_| !is_excused).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Option<usize> = Some(2);

    /// Two viewers have a place, and a third was told that there is none.
    fn turned_away(places: Option<usize>) -> Watchers {
        let mut watchers = Watchers::default();
        watchers.seat(1);
        watchers.seat(2);
        watchers.unseat(Time::from_secs(10), 3, true, places);
        watchers
    }

    #[test]
    fn a_viewer_may_be_turned_away_while_others_have_all_the_places() {
        let late = Time::from_secs(10) + SEATED_WITHIN;
        assert_eq!(turned_away(PLACES).kept_out(late, PLACES), None);
    }

    #[test]
    fn a_viewer_may_not_be_turned_away_where_there_was_a_place_all_the_time() {
        let places = Some(3);
        assert_eq!(turned_away(places).kept_out(Time::from_secs(11), places), Some(3));
    }

    #[test]
    fn a_place_that_becomes_free_is_given_away_again_within_a_bound() {
        let mut watchers = turned_away(PLACES);
        watchers.unseat(Time::from_secs(20), 1, false, PLACES);
        watchers.unseat(Time::from_secs(21), 3, true, PLACES);
        assert_eq!(watchers.kept_out(Time::from_secs(22), PLACES), None);
        let late = Time::from_secs(20) + SEATED_WITHIN;
        assert_eq!(watchers.kept_out(late, PLACES), Some(3));
        watchers.seat(3);
        assert_eq!(watchers.kept_out(late, PLACES), None);
    }
}
