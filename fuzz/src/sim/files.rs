//! What parties do with their disks, and what can be seen of it from outside.

use std::time::Duration;

use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::Event;
use serde_json::Value;

use crate::fact::Fact;
use crate::faults::FaultKind;
use crate::mutants::Mutant;
use crate::sim::host::HostId;
use crate::sim::party::{Address, Op, PartyId, Role};
use crate::sim::tokens::TOKEN_FILE;
use crate::sim::world::{SimEvent, World};

/// How many of a hundred writes a worker dies at, or soon after, where that goes wrong.
const CRASHES_AT_WRITE: u32 = 30;
/// When a disk writes that is said to have written already.
const FALSELY_WRITTEN: Duration = Duration::from_secs(5);

impl World {
    pub(crate) fn touch_disk(&mut self, from: Address, action: Action) {
        let party = &mut self.parties[from.party];
        party.ops.insert(from.op, Op::Single);
        let (host, role) = (party.host, party.role);
        let write = match &action {
            Action::Save { path, data, .. } => Some((path.clone(), Some(data.clone()))),
            Action::Remove { path, .. } => Some((path.clone(), None)),
            Action::Load { path, .. } if path == TOKEN_FILE => Some((path.clone(), None)),
            _ => None,
        };
        let is_token = matches!(&write, Some((path, _)) if path == TOKEN_FILE);
        let is_write = write.is_some() && !is_token && role == Role::Worker;
        if let Some(write) = write.filter(|_| role == Role::Worker) {
            party.writes.insert(from.op, write);
        }
        if is_token && role == Role::Worker {
            self.fact(Fact::TokenAsked { party: from.party });
        }
        let wait = self.about(Duration::from_millis(3));
        let is_lying = self.options.mutant == Some(Mutant::EarlySaved);
        let is_lie = is_lying && is_write && matches!(action, Action::Save { .. });
        let takes = if is_lie { FALSELY_WRITTEN } else { wait };
        let at = self.at;
        let (number, happens) = self.hosts[host].disk.ask(at, from, action, takes);
        self.agenda.note(happens, SimEvent::File { host, number });
        if is_lie {
            self.later(wait, SimEvent::Deliver(from, Event::Saved { op: from.op }));
        }
        if is_write && self.weather.has(FaultKind::WriteCrash) {
            let rng = &mut self.hosts[host].disk.rng;
            if rng.u32(..100) < CRASHES_AT_WRITE {
                let wait = wait.mul_f64(rng.f64() * 3.0);
                let (party, life) = (from.party, from.life);
                self.later(wait, SimEvent::CrashAtWrite { party, life });
            }
        }
    }

    pub(crate) fn file_changes(&mut self, host: HostId, number: u64) {
        if let Some((pending, event)) = self.hosts[host].disk.happen(number) {
            self.agenda.note(pending.answered, SimEvent::Deliver(pending.from, event));
        }
    }

    pub(crate) fn crash_at_write(&mut self, party: PartyId, life: u32) {
        if self.is_calm || self.parties[party].life != life || !self.parties[party].is_up() {
            return;
        }
        let is_silent = self.rng.bool();
        self.crash(party, is_silent);
        let wait = self.down_time();
        self.later(wait, SimEvent::Restart(party));
    }

    /// What a dead party has left under way on its disk.
    pub(crate) fn abandon_files(&mut self, id: PartyId) {
        let host = self.parties[id].host;
        let is_bad = self.weather.has(FaultKind::DiskError);
        if self.hosts[host].disk.abandon(id, is_bad) {
            self.disk_fails(host);
        }
        if self.options.mutant == Some(Mutant::TornFile) && self.parties[id].role == Role::Worker {
            self.hosts[host].disk.tear(|path| path.contains("/results/"));
        }
    }

    pub(crate) fn disk_fails(&mut self, host: HostId) {
        for party in 0..self.parties.len() {
            if self.parties[party].host == host {
                self.fact(Fact::DiskFailed { party });
            }
        }
    }

    /// A worker's answer about a file: from now on it counts on that.
    pub(crate) fn note_file(&mut self, to: Address, event: &Event) {
        let Some((path, data)) = self.parties[to.party].writes.remove(&to.op) else { return };
        let party = to.party;
        match (event, data) {
            (Event::Saved { .. }, Some(data)) => self.fact(Fact::FileKept { party, path, data }),
            (Event::Loaded { data, .. }, None) => {
                let token = data.as_deref().and_then(|data| std::str::from_utf8(data).ok());
                let token = token.map(|token| token.trim().to_owned());
                self.fact(Fact::TokenRead { party, token });
            }
            (Event::Failed { .. }, None) if path == TOKEN_FILE => {
                self.fact(Fact::TokenRead { party, token: None });
            }
            (Event::Removed { .. }, None) => self.fact(Fact::FileGone { party, path }),
            _ => {}
        }
    }

    /// What a worker is told about its sessions and their results.
    pub(crate) fn note_report(&mut self, party: PartyId, label: &str, event: &Event) {
        let Event::Response { response, .. } = event else { return };
        let status = response.status;
        if let Some(work) = reported_work(label) {
            let work = work.to_owned();
            return self.fact(Fact::Reported { party, work, status });
        }
        if let Some(session) = redispatched_session(label).filter(|_| status == 401) {
            let session = session.to_owned();
            return self.fact(Fact::Denied { party, session });
        }
        if status != 200 {
            return;
        }
        let is_poll = label.ends_with("/work/poll");
        if !is_poll && !label.ends_with("/environments/bridge") {
            return;
        }
        let Ok(body) = serde_json::from_slice::<Value>(&response.body) else { return };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if is_poll
            && let (Some(work), Some(session)) = (text(&body["id"]), text(&body["data"]["id"]))
        {
            self.fact(Fact::Leased { work, session });
        } else if let Some(environment) = text(&body["environment_id"]) {
            self.fact(Fact::Registered { party, environment });
        }
    }
}

/// The item whose result a request brings.
pub(crate) fn reported_work(label: &str) -> Option<&str> {
    let (_, work) = label.strip_suffix("/stop")?.split_once("/work/")?;
    Some(work)
}

/// The session that a request asks another lease for.
fn redispatched_session(label: &str) -> Option<&str> {
    let (_, session) = label.strip_suffix("/redispatch")?.split_once("/sessions/")?;
    Some(session)
}

/// The access token that comes with a request.
pub(crate) fn bearer(headers: &[(String, String)]) -> Option<&str> {
    let (_, value) = headers.iter().find(|(name, _)| name == "authorization")?;
    value.strip_prefix("Bearer ")
}
