//! What parties do with their disks, and what can be observed of it from outside.

use std::time::Duration;

use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};

use crate::fact::Fact;
use crate::faults::FaultKind;
use crate::ids::{Address, HostId, Op, PartyId, Role};
use crate::mutants::Mutant;
use crate::names::TOKEN_FILE;
use crate::sim::cx::Cx;
use crate::sim::event::SimEvent;

/// At how many of a hundred writes a worker dies, or soon after, with that fault.
const CRASHES_AT_WRITE: u32 = 30;
/// When a disk really writes what it has reported as written.
const FALSELY_WRITTEN: Duration = Duration::from_secs(5);

pub(crate) fn touch(cx: &mut Cx, from: Address, action: Action) {
    let party = &mut cx.parties[from.party];
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
        cx.fact(Fact::TokenAsked { party: from.party });
    }
    let wait = cx.about(Duration::from_millis(3));
    let is_lying = cx.mutant == Some(Mutant::EarlySaved);
    let is_lie = is_lying && is_write && matches!(action, Action::Save { .. });
    let takes = if is_lie { FALSELY_WRITTEN } else { wait };
    let at = cx.at;
    let (number, happens) = cx.hosts[host].disk.ask(at, from, action, takes);
    cx.queue.note(happens, SimEvent::File { host, number });
    if is_lie {
        cx.later(wait, SimEvent::Deliver(from, Event::Saved { op: from.op }));
    }
    if is_write && cx.plan.has(FaultKind::WriteCrash) {
        let rng = &mut cx.hosts[host].disk.rng;
        if rng.u32(..100) < CRASHES_AT_WRITE {
            let wait = wait.mul_f64(rng.f64() * 3.0);
            let (party, life) = (from.party, from.life);
            cx.later(wait, SimEvent::CrashAtWrite { party, life });
        }
    }
}

/// A lock is free once its holder has released it or is gone. Whoever finds it held looks again when
/// it is out of patience.
pub(crate) fn lock(cx: &mut Cx, from: Address, path: String, patience: Duration) {
    cx.parties[from.party].ops.insert(from.op, Op::Single);
    let host = cx.parties[from.party].host;
    let holder = cx.hosts[host].disk.locks.get(&path).copied();
    let is_held = holder.is_some_and(|holder| {
        cx.is_alive(holder) && cx.parties[holder.party].ops.contains_key(&holder.op)
    });
    if is_held {
        let failure = IoError { kind: IoErrorKind::TimedOut, detail: path };
        return cx.later(patience, SimEvent::Deliver(from, Event::Failed { op: from.op, failure }));
    }
    cx.hosts[host].disk.locks.insert(path, from);
    let wait = cx.about(Duration::from_millis(3));
    cx.later(wait, SimEvent::Deliver(from, Event::Locked { op: from.op }));
}

pub(crate) fn change(cx: &mut Cx, host: HostId, number: u64) {
    if let Some((pending, event)) = cx.hosts[host].disk.happen(number) {
        cx.queue.note(pending.answered, SimEvent::Deliver(pending.from, event));
    }
}

/// What a dead party has left in progress on its disk.
pub(crate) fn abandon(cx: &mut Cx, id: PartyId) {
    let host = cx.parties[id].host;
    let is_bad = cx.plan.has(FaultKind::DiskError);
    if cx.hosts[host].disk.abandon(id, is_bad) {
        note_failure(cx, host);
    }
    if cx.mutant == Some(Mutant::TornFile) && cx.parties[id].role == Role::Worker {
        cx.hosts[host].disk.tear(|path| path.contains("/results/"));
    }
}

pub(crate) fn note_failure(cx: &mut Cx, host: HostId) {
    for party in 0..cx.parties.len() {
        if cx.parties[party].host == host {
            cx.fact(Fact::DiskFailed { party });
        }
    }
}

/// A worker learns about a file: from now on it relies on that.
pub(crate) fn note(cx: &mut Cx, to: Address, event: &Event) {
    let Some((path, data)) = cx.parties[to.party].writes.remove(&to.op) else { return };
    let party = to.party;
    match (event, data) {
        (Event::Saved { .. }, Some(data)) => cx.fact(Fact::FileKept { party, path, data }),
        (Event::Loaded { data, .. }, None) => {
            let token = data.as_deref().and_then(|data| std::str::from_utf8(data).ok());
            let token = token.map(|token| token.trim().to_owned());
            cx.fact(Fact::TokenRead { party, token });
        }
        (Event::Failed { .. }, None) if path == TOKEN_FILE => {
            cx.fact(Fact::TokenRead { party, token: None });
        }
        (Event::Removed { .. }, None) => cx.fact(Fact::FileGone { party, path }),
        _ => {}
    }
}
