//! Promise 11, as far as it is implemented: a crash at any write leaves a valid old or new state. A
//! worker that restarts with whatever is on its disk registers and works; a durable result stays
//! there until the relay has responded to it, is reported by the next life, and is what the session
//! shows. (That the worker does not end because of its own files is judged by *patience*.)

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::progress::BOUND;
use super::{Promise, parsed};
use crate::fact::Fact;
use crate::ids::{PartyId, Role};
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct SafeRestart {
    calm_since: Option<Time>,
    workers: BTreeMap<PartyId, Life>,
    /// Those whose disks have failed: what was on them may be gone.
    failed: BTreeSet<PartyId>,
    /// Durable results, by worker and item.
    kept: BTreeMap<(PartyId, String), Kept>,
    sessions: BTreeMap<String, String>,
    /// What the relay shows for ended sessions.
    shown: BTreeMap<String, String>,
    is_store_lost: bool,
}

/// A worker's current life.
#[derive(Default)]
struct Life {
    is_up: bool,
    since: Time,
    /// The id under which it is registered.
    environment: Option<String>,
    reported: BTreeSet<String>,
}

struct Kept {
    since: Time,
    environment: String,
    status: Option<String>,
    /// Whether the relay has it, or has said that it never will.
    is_answered: bool,
}

impl Promise for SafeRestart {
    fn name(&self) -> &'static str {
        "safe restart"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Calm => self.calm_since = Some(at),
            Fact::StoreLost => self.is_store_lost = true,
            Fact::DiskFailed { party } => {
                self.failed.insert(*party);
            }
            Fact::Started { party, role: Role::Worker } => {
                let life = Life { is_up: true, since: at, ..Life::default() };
                self.workers.insert(*party, life);
            }
            Fact::Crashed { party } | Fact::Finished { party, .. } => {
                if let Some(life) = self.workers.get_mut(party) {
                    life.is_up = false;
                }
            }
            Fact::Registered { party, environment } => {
                self.life(*party).environment = Some(environment.clone());
            }
            Fact::Leased { work, session } => {
                self.sessions.insert(work.clone(), session.clone());
            }
            Fact::FileKept { party, path, data } => {
                let (Some(work), Ok(data)) = (work_of(path), std::str::from_utf8(data)) else {
                    return Ok(());
                };
                let mut kept = Kept::new(at, &parsed(data));
                let known = self.kept.remove(&(*party, work.to_owned()));
                // A write that was under way when the relay answered changes nothing about that.
                kept.is_answered = known.as_ref().is_some_and(|known| known.is_answered);
                kept.status = kept.status.or(known.and_then(|known| known.status));
                self.kept.insert((*party, work.to_owned()), kept);
            }
            Fact::FileGone { party, path } => return self.gone(*party, path),
            Fact::Reporting { party, work } => {
                self.life(*party).reported.insert(work.clone());
            }
            Fact::Reported { party, work, status } => self.answered(*party, work, *status),
            Fact::Viewed { notice: ViewerNotice::View(view), .. } => {
                if let Some(result) = &view.result {
                    self.shown.insert(view.session.clone(), result.clone());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, at: Time) -> Result<(), String> {
        for ((party, work), kept) in &self.kept {
            if !self.failed.contains(party) {
                self.is_told(*party, work, kept)?;
            }
        }
        let Some(calm) = self.calm_since.filter(|calm| at >= *calm + BOUND) else { return Ok(()) };
        let of_old = |life: &&Life| life.is_up && life.since <= calm;
        if self.workers.values().filter(of_old).any(|life| life.environment.is_none()) {
            return Err(String::from("a restarted worker has not registered"));
        }
        Ok(())
    }
}

impl SafeRestart {
    fn life(&mut self, party: PartyId) -> &mut Life {
        self.workers.entry(party).or_default()
    }

    fn gone(&self, party: PartyId, path: &str) -> Result<(), String> {
        let Some(work) = work_of(path) else { return Ok(()) };
        let kept = self.kept.get(&(party, work.to_owned()));
        if kept.is_none_or(|kept| kept.is_answered) || self.failed.contains(&party) {
            return Ok(());
        }
        Err(format!("the result of {work} was durable, but is gone before the relay has it"))
    }

    fn answered(&mut self, party: PartyId, work: &str, status: u16) {
        let environment = self.workers.get(&party).and_then(|life| life.environment.clone());
        let Some(kept) = self.kept.get_mut(&(party, work.to_owned())) else { return };
        let is_own = environment.as_ref() == Some(&kept.environment);
        kept.is_answered |= match status {
            // A new registration would give it a valid secret.
            401 => !is_own,
            429 => false,
            status => status < 500,
        };
    }

    fn is_told(&self, party: PartyId, work: &str, kept: &Kept) -> Result<(), String> {
        let life = self.workers.get(&party).filter(|life| life.is_up);
        let is_next = life.filter(|life| life.since > kept.since && life.environment.is_some());
        if !kept.is_answered && is_next.is_some_and(|life| !life.reported.contains(work)) {
            return Err(format!(
                "the result of {work} was durable, but the next life of its worker has not reported it"
            ));
        }
        let shown = self.sessions.get(work).and_then(|session| self.shown.get(session));
        // Only a worker reports these two; the relay has others of its own.
        let is_told = shown.filter(|shown| ["completed", "timed_out"].contains(&shown.as_str()));
        let is_known = kept.status.is_some() && is_told.is_some() && !self.is_store_lost;
        if !is_known || is_told == kept.status.as_ref() {
            return Ok(());
        }
        let is_of_another = self.kept.iter().any(|((_, other), other_kept)| {
            other != work
                && self.sessions.get(other) == self.sessions.get(work)
                && other_kept.status.as_ref() == is_told
        });
        if is_of_another {
            return Ok(());
        }
        Err(format!("the result of {work} was {:?}, but its session shows {shown:?}", kept.status))
    }
}

impl Kept {
    fn new(since: Time, spooled: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            since,
            environment: text(&spooled["environment_id"]).unwrap_or_default(),
            status: text(&spooled["stop"]["result"]["status"]),
            is_answered: false,
        }
    }
}

/// The item whose result a file contains.
fn work_of(path: &str) -> Option<&str> {
    path.split_once("/results/")?.1.strip_suffix(".json")
}
