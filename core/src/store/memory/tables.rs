//! The maps as tables.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::mem::replace;
use core::ops::ControlFlow;

use super::MemoryTables;
use super::rows::{SessionRows, Undo};
use crate::base::id::{DeviceId, EnvironmentId, PushId, SessionId, WorkId};
use crate::store::record::{AccountId, Device, Environment, PushSubscription, Session};
use crate::store::rows::{
    ClaimRow, DeviceRow, DueRow, EnvironmentRow, InboundRow, LogRow, MessageRow, MetaRow,
    QuestionRow, RequestRow, SessionFilter, SessionRow, WorkRow,
};
use crate::store::tables::{TableError, Tables};
use crate::wire::audit::AuditEntry;

type Done = Result<(), TableError>;

impl MemoryTables {
    /// The rows of a session, whose own row is always written first.
    fn of(&mut self, id: &SessionId) -> Option<&mut SessionRows> {
        let rows = self.rows.sessions.get_mut(id);
        debug_assert!(rows.is_some(), "a write to a session without a row");
        rows
    }
}

impl Tables for MemoryTables {
    const IS_IMMEDIATE: bool = true;

    fn begin(&mut self) -> Done {
        debug_assert!(!self.is_open, "two transactions at once");
        self.is_open = true;
        Ok(())
    }

    fn commit(&mut self) -> Done {
        self.undo.clear();
        self.is_open = false;
        Ok(())
    }

    fn rollback(&mut self) {
        self.roll_back();
        self.is_open = false;
    }

    fn bytes(&mut self) -> Result<u64, TableError> {
        Ok(self.rows.log_bytes)
    }

    fn meta(&mut self) -> Result<MetaRow, TableError> {
        Ok(self.rows.meta.clone())
    }

    fn put_meta(&mut self, row: MetaRow) -> Done {
        let before = replace(&mut self.rows.meta, row);
        self.note(Undo::Meta(before));
        Ok(())
    }

    fn environment(&mut self, id: &EnvironmentId) -> Result<Option<EnvironmentRow>, TableError> {
        Ok(self.rows.environments.get(id).map(|known| known.row.clone()))
    }

    fn put_environment(&mut self, row: EnvironmentRow) -> Done {
        let id = row.environment.id.clone();
        let undo = match self.rows.set_environment(row) {
            Some(before) => Undo::EnvironmentWritten(Box::new(before)),
            None => Undo::EnvironmentMade(id),
        };
        self.note(undo);
        Ok(())
    }

    fn delete_environment(&mut self, id: &EnvironmentId) -> Done {
        if let Some(gone) = self.rows.environments.remove(id) {
            self.note(Undo::EnvironmentDeleted(Box::new(gone)));
        }
        Ok(())
    }

    fn count_environments(&mut self, owner: Option<&AccountId>) -> Result<usize, TableError> {
        let Some(owner) = owner else { return Ok(self.rows.environments.len()) };
        let owners = self.rows.environments.values().map(|known| &known.row.environment.owner);
        Ok(owners.filter(|known| *known == owner).count())
    }

    fn environments(&mut self, owner: &AccountId) -> Result<Vec<Environment>, TableError> {
        let environments = self.rows.environments.values().map(|known| &known.row.environment);
        Ok(environments.filter(|known| known.owner == *owner).cloned().collect())
    }

    fn first_queued(&mut self, id: &EnvironmentId) -> Result<Option<(i64, WorkId)>, TableError> {
        let first = self.rows.environments.get(id).and_then(|known| known.queue.first_key_value());
        Ok(first.map(|(position, work)| (*position, work.clone())))
    }

    fn put_queued(&mut self, id: &EnvironmentId, position: i64, work: WorkId) -> Done {
        if let Some(known) = self.rows.environments.get_mut(id) {
            let before = known.queue.insert(position, work);
            self.note(Undo::Queued(id.clone(), position, before));
        }
        Ok(())
    }

    fn delete_queued(&mut self, id: &EnvironmentId, position: i64) -> Done {
        if let Some(known) = self.rows.environments.get_mut(id) {
            let before = known.queue.remove(&position);
            self.note(Undo::Queued(id.clone(), position, before));
        }
        Ok(())
    }

    fn claim(&mut self, id: &EnvironmentId, key: &str) -> Result<Option<ClaimRow>, TableError> {
        Ok(self.rows.environments.get(id).and_then(|known| known.claims.get(key)).cloned())
    }

    fn put_claim(&mut self, row: ClaimRow) -> Done {
        let (id, key) = (row.environment.clone(), row.key.clone());
        if let Some(known) = self.rows.environments.get_mut(&id) {
            let before = known.claims.insert(key.clone(), row);
            self.note(Undo::Claim(id, key, before));
        }
        Ok(())
    }

    fn delete_claims(&mut self, id: &EnvironmentId, until: u64) -> Done {
        let Some(known) = self.rows.environments.get_mut(id) else { return Ok(()) };
        let gone: Vec<_> = known.claims.extract_if(.., |_, claim| claim.number <= until).collect();
        for (key, claim) in gone {
            self.note(Undo::Claim(id.clone(), key, Some(claim)));
        }
        Ok(())
    }

    fn work(&mut self, id: &WorkId) -> Result<Option<WorkRow>, TableError> {
        Ok(self.rows.works.get(id).cloned())
    }

    fn put_work(&mut self, row: WorkRow) -> Done {
        let id = row.id.clone();
        let before = self.rows.works.insert(id.clone(), row);
        self.note(Undo::Work(id, before));
        Ok(())
    }

    fn delete_work(&mut self, id: &WorkId) -> Done {
        let before = self.rows.works.remove(id);
        self.note(Undo::Work(id.clone(), before));
        Ok(())
    }

    fn works_of(&mut self, id: &EnvironmentId) -> Result<Vec<WorkId>, TableError> {
        let works = self.rows.works.values().filter(|work| work.environment == *id);
        Ok(works.map(|work| work.id.clone()).collect())
    }

    fn session(&mut self, id: &SessionId) -> Result<Option<SessionRow>, TableError> {
        Ok(self.rows.sessions.get(id).map(|rows| rows.row.clone()))
    }

    fn put_session(&mut self, row: SessionRow) -> Done {
        let made =
            (!self.rows.sessions.contains_key(&row.session.id)).then(|| row.session.id.clone());
        let undo = match (self.rows.set_session(row), made) {
            (Some(before), _) => Undo::SessionWritten(Box::new(before)),
            (None, Some(id)) => Undo::SessionMade(id),
            (None, None) => return Ok(()),
        };
        self.note(undo);
        Ok(())
    }

    fn delete_session(&mut self, id: &SessionId) -> Done {
        if let Some(gone) = self.rows.remove_session(id) {
            self.note(Undo::SessionDeleted(Box::new(gone)));
        }
        Ok(())
    }

    fn session_by_key(
        &mut self,
        owner: &AccountId,
        key: &str,
    ) -> Result<Option<SessionId>, TableError> {
        Ok(self.rows.by_key.get(&(owner.clone(), key.to_string())).cloned())
    }

    fn live_sessions(&mut self, id: &EnvironmentId) -> Result<Vec<SessionId>, TableError> {
        let live = self.rows.sessions.values().filter(|rows| rows.row.ended.is_none());
        let live = live.map(|rows| &rows.row.session).filter(|live| live.environment == *id);
        Ok(live.map(|session| session.id.clone()).collect())
    }

    fn newest_sessions(&mut self, filter: SessionFilter<'_>) -> Result<Vec<Session>, TableError> {
        let newest = self.rows.by_ordinal.range(..filter.before).rev();
        let newest = newest.filter_map(|(_, id)| self.rows.sessions.get(id));
        let newest = newest.map(|rows| &rows.row.session).filter(|session| {
            session.owner == *filter.owner
                && filter.environment.is_none_or(|id| session.environment == *id)
        });
        Ok(newest.take(filter.limit).cloned().collect())
    }

    fn held(&mut self) -> Result<BTreeMap<AccountId, u64>, TableError> {
        Ok(self.rows.held.clone())
    }

    fn first_ended(
        &mut self,
        owner: &AccountId,
        limit: usize,
    ) -> Result<Vec<SessionId>, TableError> {
        let ended = self.rows.ended.get(owner).into_iter().flat_map(BTreeMap::values);
        Ok(ended.take(limit).cloned().collect())
    }

    fn surplus_ended(
        &mut self,
        owner: &AccountId,
        keep: usize,
    ) -> Result<Vec<SessionId>, TableError> {
        let Some(ended) = self.rows.ended.get(owner) else { return Ok(Vec::new()) };
        Ok(ended.values().take(ended.len().saturating_sub(keep)).cloned().collect())
    }

    fn append_log(&mut self, id: &SessionId, new: Vec<LogRow>) -> Done {
        let count = new.len();
        if let Some(rows) = self.of(id) {
            rows.log.extend(new);
            self.note(Undo::LogGrown(id.clone(), count));
        }
        Ok(())
    }

    fn read_log(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&LogRow) -> ControlFlow<()>,
    ) -> Done {
        if let Some(rows) = self.rows.sessions.get(id) {
            let skip = rows.log.front().map_or(0, |first| from.saturating_sub(first.entry.seq));
            let _ = rows.log.range(within(skip, rows.log.len())..).try_for_each(visit);
        }
        Ok(())
    }

    fn log_sizes(
        &mut self,
        id: &SessionId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<usize>, TableError> {
        let Some(rows) = self.rows.sessions.get(id) else { return Ok(Vec::new()) };
        let skip = rows.log.front().map_or(0, |first| from.saturating_sub(first.entry.seq));
        let sizes = rows.log.range(within(skip, rows.log.len())..).map(|row| row.size);
        Ok(sizes.take(limit).collect())
    }

    fn trim_log(&mut self, id: &SessionId, first: u64) -> Done {
        let Some(rows) = self.of(id) else { return Ok(()) };
        let gone = rows.log.front().map_or(0, |oldest| first.saturating_sub(oldest.entry.seq));
        let gone = rows.log.drain(..within(gone, rows.log.len())).collect();
        self.note(Undo::LogTrimmed(id.clone(), gone));
        Ok(())
    }

    fn append_inbound(&mut self, id: &SessionId, new: Vec<InboundRow>) -> Done {
        let count = new.len();
        if let Some(rows) = self.of(id) {
            rows.inbound.extend(new);
            self.note(Undo::InboundGrown(id.clone(), count));
        }
        Ok(())
    }

    fn read_inbound(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&InboundRow) -> ControlFlow<()>,
    ) -> Done {
        if let Some(rows) = self.rows.sessions.get(id) {
            let skip = rows.inbound.front().map_or(0, |first| from.saturating_sub(first.number));
            let _ = rows.inbound.range(within(skip, rows.inbound.len())..).try_for_each(visit);
        }
        Ok(())
    }

    fn trim_inbound(&mut self, id: &SessionId, until: u64) -> Done {
        let Some(rows) = self.of(id) else { return Ok(()) };
        let first = rows.inbound.front().map_or(0, |first| first.number);
        let gone = until.saturating_add(1).saturating_sub(first);
        let gone = rows.inbound.drain(..within(gone, rows.inbound.len())).collect();
        self.note(Undo::InboundTrimmed(id.clone(), gone));
        Ok(())
    }

    fn message(&mut self, id: &SessionId, uuid: &str) -> Result<Option<MessageRow>, TableError> {
        Ok(self.rows.sessions.get(id).and_then(|rows| rows.messages.get(uuid)).cloned())
    }

    fn put_message(&mut self, id: &SessionId, row: MessageRow) -> Done {
        if let Some(rows) = self.of(id) {
            let uuid = row.uuid.clone();
            let before = rows.messages.insert(uuid.clone(), row);
            self.note(Undo::Message(id.clone(), uuid, before));
        }
        Ok(())
    }

    fn delete_messages(&mut self, id: &SessionId, until: u64) -> Done {
        let Some(rows) = self.of(id) else { return Ok(()) };
        let gone = rows.messages.extract_if(.., |_, message| message.number <= until);
        for (uuid, message) in gone.collect::<Vec<_>>() {
            self.note(Undo::Message(id.clone(), uuid, Some(message)));
        }
        Ok(())
    }

    fn question(
        &mut self,
        id: &SessionId,
        request_id: &str,
    ) -> Result<Option<QuestionRow>, TableError> {
        Ok(self.rows.sessions.get(id).and_then(|rows| rows.questions.get(request_id)).cloned())
    }

    fn put_question(&mut self, id: &SessionId, row: QuestionRow) -> Done {
        if let Some(rows) = self.of(id) {
            let name = row.question.request_id.clone();
            let before = rows.questions.insert(name.clone(), row);
            self.note(Undo::Question(id.clone(), name, before));
        }
        Ok(())
    }

    fn delete_closed_questions(&mut self, id: &SessionId, first: u64) -> Done {
        let Some(rows) = self.of(id) else { return Ok(()) };
        let is_gone = |row: &QuestionRow| row.standing.closed_at().is_some_and(|seq| seq < first);
        let gone = rows.questions.extract_if(.., |_, row| is_gone(row));
        for (name, row) in gone.collect::<Vec<_>>() {
            self.note(Undo::Question(id.clone(), name, Some(row)));
        }
        Ok(())
    }

    fn requests(&mut self, id: &SessionId) -> Result<Vec<RequestRow>, TableError> {
        let rows = self.rows.sessions.get(id);
        Ok(rows.map(|rows| rows.requests.values().cloned().collect()).unwrap_or_default())
    }

    fn put_request(&mut self, id: &SessionId, row: RequestRow) -> Done {
        if let Some(rows) = self.of(id) {
            let number = row.number;
            let before = rows.requests.insert(number, row);
            self.note(Undo::Request(id.clone(), number, before));
        }
        Ok(())
    }

    fn delete_request(&mut self, id: &SessionId, number: u64) -> Done {
        if let Some(rows) = self.of(id) {
            let before = rows.requests.remove(&number);
            self.note(Undo::Request(id.clone(), number, before));
        }
        Ok(())
    }

    fn device(&mut self, id: &DeviceId) -> Result<Option<DeviceRow>, TableError> {
        Ok(self.rows.devices.get(id).cloned())
    }

    fn put_device(&mut self, row: DeviceRow) -> Done {
        let id = row.device.id.clone();
        let before = self.rows.devices.insert(id.clone(), row);
        self.note(Undo::Device(id, before.map(Box::new)));
        Ok(())
    }

    fn delete_device(&mut self, id: &DeviceId) -> Done {
        let before = self.rows.devices.remove(id);
        self.note(Undo::Device(id.clone(), before.map(Box::new)));
        Ok(())
    }

    fn last_audit(&mut self, owner: &AccountId) -> Result<u64, TableError> {
        let own = (owner.clone(), 0)..=(owner.clone(), u64::MAX);
        Ok(self.rows.audit.range(own).next_back().map_or(0, |((_, number), _)| *number))
    }

    fn audit(
        &mut self,
        owner: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, TableError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let own = (owner.clone(), first)..=(owner.clone(), u64::MAX);
        Ok(self.rows.audit.range(own).take(limit).map(|(_, entry)| entry.clone()).collect())
    }

    fn put_audit(&mut self, owner: &AccountId, entry: AuditEntry) -> Done {
        let key = (owner.clone(), entry.seq);
        let before = self.rows.audit.insert(key.clone(), entry);
        self.note(Undo::Audit(key, before.map(Box::new)));
        Ok(())
    }

    fn trim_audit(&mut self, owner: &AccountId, until: u64) -> Done {
        let until = until.min(self.last_audit(owner)?.saturating_sub(1));
        loop {
            let own = (owner.clone(), 0)..=(owner.clone(), until);
            let Some((key, _)) = self.rows.audit.range(own).next() else { return Ok(()) };
            let key = key.clone();
            let before = self.rows.audit.remove(&key);
            self.note(Undo::Audit(key, before.map(Box::new)));
        }
    }

    fn devices(&mut self, owner: &AccountId) -> Result<Vec<Device>, TableError> {
        let devices = self.rows.devices.values().map(|row| &row.device);
        Ok(devices.filter(|device| device.owner == *owner).cloned().collect())
    }

    fn push(&mut self, id: &PushId) -> Result<Option<PushSubscription>, TableError> {
        Ok(self.rows.pushes.get(id).cloned())
    }

    fn put_push(&mut self, row: PushSubscription) -> Done {
        let id = row.id.clone();
        let before = self.rows.pushes.insert(id.clone(), row);
        self.note(Undo::Push(id, before.map(Box::new)));
        Ok(())
    }

    fn delete_push(&mut self, id: &PushId) -> Done {
        let before = self.rows.pushes.remove(id);
        self.note(Undo::Push(id.clone(), before.map(Box::new)));
        Ok(())
    }

    fn pushes(&mut self, owner: &AccountId) -> Result<Vec<PushSubscription>, TableError> {
        let pushes = self.rows.pushes.values();
        Ok(pushes.filter(|push| push.owner == *owner).cloned().collect())
    }

    fn first_due(&mut self) -> Result<Option<DueRow>, TableError> {
        Ok(self.rows.due.first().cloned())
    }

    fn put_due(&mut self, row: DueRow) -> Done {
        if self.rows.due.insert(row.clone()) {
            self.note(Undo::DueAdded(row));
        }
        Ok(())
    }

    fn delete_due(&mut self, row: &DueRow) -> Done {
        if let Some(gone) = self.rows.due.take(row) {
            self.note(Undo::DueRemoved(gone));
        }
        Ok(())
    }
}

/// A count, as an index into a list of this length.
fn within(count: u64, len: usize) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX).min(len)
}
