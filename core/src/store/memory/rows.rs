//! The maps that hold the rows, their indexes, and how a write is undone.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::mem::replace;

use crate::base::id::{DeviceId, EnvironmentId, PushId, SessionId, WorkId};
use crate::store::clock::StoreClock;
use crate::store::record::{AccountId, PushSubscription};
use crate::store::rows::{
    ClaimRow, DeviceRow, DueRow, EnvironmentRow, InboundRow, LogRow, MessageRow, MetaRow,
    QuestionRow, RequestRow, SessionRow, WorkRow,
};
use crate::wire::audit::AuditEntry;

/// All rows.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) meta: MetaRow,
    pub(super) environments: BTreeMap<EnvironmentId, EnvironmentRows>,
    pub(super) works: BTreeMap<WorkId, WorkRow>,
    pub(super) sessions: BTreeMap<SessionId, SessionRows>,
    pub(super) by_key: BTreeMap<(AccountId, String), SessionId>,
    pub(super) by_ordinal: BTreeMap<u64, SessionId>,
    /// Each owner's ended sessions, in the order they ended.
    pub(super) ended: BTreeMap<AccountId, BTreeMap<u64, SessionId>>,
    pub(super) due: BTreeSet<DueRow>,
    pub(super) devices: BTreeMap<DeviceId, DeviceRow>,
    pub(super) audit: BTreeMap<(AccountId, u64), AuditEntry>,
    pub(super) pushes: BTreeMap<PushId, PushSubscription>,
    /// Of all logs together.
    pub(super) log_bytes: u64,
    /// What each owner's sessions hold.
    pub(super) held: BTreeMap<AccountId, u64>,
}

impl Default for Rows {
    fn default() -> Self {
        Self::new()
    }
}

/// An environment and what is deleted with it.
#[derive(Debug)]
pub(super) struct EnvironmentRows {
    pub(super) row: EnvironmentRow,
    pub(super) queue: BTreeMap<i64, WorkId>,
    pub(super) claims: BTreeMap<String, ClaimRow>,
}

/// A session and what is deleted with it.
#[derive(Debug)]
pub(super) struct SessionRows {
    pub(super) row: SessionRow,
    pub(super) log: VecDeque<LogRow>,
    pub(super) inbound: VecDeque<InboundRow>,
    pub(super) messages: BTreeMap<String, MessageRow>,
    pub(super) questions: BTreeMap<String, QuestionRow>,
    pub(super) requests: BTreeMap<u64, RequestRow>,
}

/// What a write has replaced.
#[derive(Debug)]
pub(super) enum Undo {
    Meta(MetaRow),
    EnvironmentMade(EnvironmentId),
    EnvironmentWritten(Box<EnvironmentRow>),
    EnvironmentDeleted(Box<EnvironmentRows>),
    Queued(EnvironmentId, i64, Option<WorkId>),
    Claim(EnvironmentId, String, Option<ClaimRow>),
    Work(WorkId, Option<WorkRow>),
    SessionMade(SessionId),
    SessionWritten(Box<SessionRow>),
    SessionDeleted(Box<SessionRows>),
    /// This many events were added.
    LogGrown(SessionId, usize),
    LogTrimmed(SessionId, Vec<LogRow>),
    /// This many lines were added.
    InboundGrown(SessionId, usize),
    InboundTrimmed(SessionId, Vec<InboundRow>),
    Message(SessionId, String, Option<MessageRow>),
    Question(SessionId, String, Option<QuestionRow>),
    Request(SessionId, u64, Option<RequestRow>),
    DueAdded(DueRow),
    DueRemoved(DueRow),
    Device(DeviceId, Option<Box<DeviceRow>>),
    Audit((AccountId, u64), Option<Box<AuditEntry>>),
    Push(PushId, Option<Box<PushSubscription>>),
}

impl Rows {
    pub(super) const fn new() -> Self {
        let clock = StoreClock::new();
        let meta = MetaRow { clock, sessions_made: 0, sessions_ended: 0, people: None };
        Self {
            meta,
            environments: BTreeMap::new(),
            works: BTreeMap::new(),
            sessions: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_ordinal: BTreeMap::new(),
            ended: BTreeMap::new(),
            due: BTreeSet::new(),
            devices: BTreeMap::new(),
            audit: BTreeMap::new(),
            pushes: BTreeMap::new(),
            log_bytes: 0,
            held: BTreeMap::new(),
        }
    }

    /// Writes a row, and returns the one it replaces.
    pub(super) fn set_session(&mut self, row: SessionRow) -> Option<SessionRow> {
        let session = &row.session;
        if let Some(number) = row.ended {
            let ended = self.ended.entry(session.owner.clone()).or_default();
            ended.insert(number, session.id.clone());
        }
        if let Some(known) = self.sessions.get_mut(&session.id) {
            let before = replace(&mut known.row, row);
            self.log_bytes = self.log_bytes + known.row.log_bytes - before.log_bytes;
            let held = self.held.entry(before.session.owner.clone()).or_default();
            *held = *held + known.row.held() - before.held();
            if let Some(number) = before.ended.filter(|_| known.row.ended.is_none()) {
                unlist(&mut self.ended, &before.session.owner, number);
            }
            return Some(before);
        }
        self.list_session(SessionRows {
            row,
            log: VecDeque::new(),
            inbound: VecDeque::new(),
            messages: BTreeMap::new(),
            questions: BTreeMap::new(),
            requests: BTreeMap::new(),
        });
        None
    }

    fn list_session(&mut self, rows: SessionRows) {
        let session = &rows.row.session;
        self.by_ordinal.insert(session.ordinal, session.id.clone());
        if let Some(key) = &rows.row.key {
            self.by_key.insert((session.owner.clone(), key.clone()), session.id.clone());
        }
        if let Some(number) = rows.row.ended {
            let ended = self.ended.entry(session.owner.clone()).or_default();
            ended.insert(number, session.id.clone());
        }
        self.log_bytes += rows.row.log_bytes;
        *self.held.entry(session.owner.clone()).or_default() += rows.row.held();
        self.sessions.insert(session.id.clone(), rows);
    }

    pub(super) fn remove_session(&mut self, id: &SessionId) -> Option<SessionRows> {
        let rows = self.sessions.remove(id)?;
        self.log_bytes -= rows.row.log_bytes;
        if let Some(held) = self.held.get_mut(&rows.row.session.owner) {
            *held -= rows.row.held();
        }
        let SessionRow { session, key, ended, .. } = &rows.row;
        self.by_ordinal.remove(&session.ordinal);
        if let Some(key) = key {
            self.by_key.remove(&(session.owner.clone(), key.clone()));
        }
        if let Some(number) = ended {
            unlist(&mut self.ended, &session.owner, *number);
        }
        Some(rows)
    }

    pub(super) fn set_environment(&mut self, row: EnvironmentRow) -> Option<EnvironmentRow> {
        if let Some(known) = self.environments.get_mut(&row.environment.id) {
            return Some(replace(&mut known.row, row));
        }
        let id = row.environment.id.clone();
        let rows = EnvironmentRows { row, queue: BTreeMap::new(), claims: BTreeMap::new() };
        self.environments.insert(id, rows);
        None
    }

    /// Restores what a write has replaced.
    pub(super) fn restore(&mut self, undo: Undo) {
        match undo {
            Undo::Meta(row) => self.meta = row,
            Undo::EnvironmentMade(id) => drop(self.environments.remove(&id)),
            Undo::EnvironmentWritten(row) => drop(self.set_environment(*row)),
            Undo::EnvironmentDeleted(rows) => {
                self.environments.insert(rows.row.environment.id.clone(), *rows);
            }
            Undo::Queued(id, position, before) => {
                if let Some(known) = self.environments.get_mut(&id) {
                    put_back(&mut known.queue, position, before);
                }
            }
            Undo::Claim(id, key, before) => {
                if let Some(known) = self.environments.get_mut(&id) {
                    put_back(&mut known.claims, key, before);
                }
            }
            Undo::Work(id, before) => put_back(&mut self.works, id, before),
            Undo::SessionMade(id) => drop(self.remove_session(&id)),
            Undo::SessionWritten(row) => drop(self.set_session(*row)),
            Undo::SessionDeleted(rows) => self.list_session(*rows),
            Undo::DueAdded(row) => {
                self.due.remove(&row);
            }
            Undo::DueRemoved(row) => {
                self.due.insert(row);
            }
            Undo::Push(id, before) => {
                match before {
                    Some(row) => self.pushes.insert(id, *row),
                    None => self.pushes.remove(&id),
                };
            }
            Undo::Device(id, before) => {
                match before {
                    Some(row) => self.devices.insert(id, *row),
                    None => self.devices.remove(&id),
                };
            }
            Undo::Audit(key, before) => {
                match before {
                    Some(entry) => self.audit.insert(key, *entry),
                    None => self.audit.remove(&key),
                };
            }
            Undo::LogGrown(id, count) => {
                self.of_session(&id, |rows| rows.log.truncate(rows.log.len() - count));
            }
            Undo::LogTrimmed(id, gone) => {
                self.of_session(&id, |rows| {
                    gone.into_iter().rev().for_each(|row| rows.log.push_front(row));
                });
            }
            Undo::InboundGrown(id, count) => {
                self.of_session(&id, |rows| rows.inbound.truncate(rows.inbound.len() - count));
            }
            Undo::InboundTrimmed(id, gone) => {
                self.of_session(&id, |rows| {
                    gone.into_iter().rev().for_each(|row| rows.inbound.push_front(row));
                });
            }
            Undo::Message(id, uuid, before) => {
                self.of_session(&id, |rows| put_back(&mut rows.messages, uuid, before));
            }
            Undo::Question(id, name, before) => {
                self.of_session(&id, |rows| put_back(&mut rows.questions, name, before));
            }
            Undo::Request(id, number, before) => {
                self.of_session(&id, |rows| put_back(&mut rows.requests, number, before));
            }
        }
    }

    fn of_session(&mut self, id: &SessionId, then: impl FnOnce(&mut SessionRows)) {
        if let Some(rows) = self.sessions.get_mut(id) {
            then(rows);
        }
    }
}

fn put_back<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, before: Option<V>) {
    match before {
        Some(value) => drop(map.insert(key, value)),
        None => drop(map.remove(&key)),
    }
}

fn unlist(
    ended: &mut BTreeMap<AccountId, BTreeMap<u64, SessionId>>,
    owner: &AccountId,
    number: u64,
) {
    if let Some(own) = ended.get_mut(owner) {
        own.remove(&number);
        if own.is_empty() {
            ended.remove(owner);
        }
    }
}
