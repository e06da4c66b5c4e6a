//! Tables as unlike the memory store's as possible: one map from bytes to bytes, whose order is the
//! only index, with serialized rows. They fail on demand.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::base::id::{DeviceId, EnvironmentId, PushId, SessionId, WorkId};
use crate::base::io_error::{IoError, IoErrorKind};
use crate::store::{
    AccountId, ClaimRow, Device, DeviceRow, DueRow, Environment, EnvironmentRow, InboundRow,
    LogRow, MessageRow, MetaRow, PushSubscription, QuestionRow, RequestRow, Session, SessionFilter,
    SessionRow, TableError, Tables, WorkRow,
};
use crate::wire::audit::AuditEntry;

type Done = Result<(), TableError>;

/// A table's name and a row's key within it, encoded so that bytes sort in the right order.
struct Key(Vec<u8>);

impl Key {
    fn of(table: &str) -> Self {
        Self(table.as_bytes().to_vec()).text("")
    }

    /// Adds a text, terminated by a zero: zeros inside it are dropped.
    fn text(mut self, text: &str) -> Self {
        self.0.extend(text.bytes().filter(|byte| *byte != 0));
        self.0.push(0);
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    fn signed(self, number: i64) -> Self {
        self.number(number.cast_unsigned() ^ (1 << 63))
    }
}

/// Which call fails, counted from now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fault {
    /// Calls until one fails.
    pub(super) after: Option<u32>,
}

/// One map from bytes to bytes.
#[derive(Debug, Default)]
pub(super) struct BytesTables {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the open transaction has replaced, oldest first.
    undo: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    is_open: bool,
    pub(super) fault: Fault,
}

impl BytesTables {
    /// Everything stored, for comparison.
    pub(super) const fn contents(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.rows
    }

    /// Damages the rows whose key begins so.
    pub(super) fn damage(&mut self, table: &str, id: &str) {
        let prefix = Key::of(table).text(id).0;
        let rows = self.rows.iter_mut().filter(|(key, _)| key.starts_with(&prefix));
        rows.for_each(|(_, row)| row.truncate(row.len() / 2));
    }

    /// Closes and reopens it: only what was committed remains.
    pub(super) fn reopened(mut self) -> Self {
        self.rollback();
        Self { rows: self.rows, ..Self::default() }
    }

    fn may_fail(&mut self) -> Done {
        let Some(left) = &mut self.fault.after else { return Ok(()) };
        if *left > 0 {
            *left -= 1;
            return Ok(());
        }
        self.fault.after = None;
        Err(IoError { kind: IoErrorKind::Full, detail: "no space left".to_string() }.into())
    }

    fn read<R: DeserializeOwned>(&mut self, key: &Key) -> Result<Option<R>, TableError> {
        assert!(self.is_open, "read outside a transaction");
        self.may_fail()?;
        self.rows.get(&key.0).map(|bytes| parse(bytes)).transpose()
    }

    fn write<R: Serialize>(&mut self, key: Key, row: &R) -> Done {
        assert!(self.is_open, "write outside a transaction");
        self.may_fail()?;
        let bytes = serde_json::to_vec(row);
        let bytes = bytes.map_err(|error| TableError::Damaged { detail: format!("{error}") })?;
        let before = self.rows.insert(key.0.clone(), bytes);
        self.undo.push((key.0, before));
        Ok(())
    }

    fn delete(&mut self, key: &Key) -> Done {
        assert!(self.is_open, "write outside a transaction");
        self.may_fail()?;
        if let Some(before) = self.rows.remove(&key.0) {
            self.undo.push((key.0.clone(), Some(before)));
        }
        Ok(())
    }

    /// All rows whose key starts with `prefix`, in order, from `from` on.
    fn scan<R: DeserializeOwned>(
        &mut self,
        prefix: &Key,
        from: &Key,
    ) -> Result<Vec<(Key, R)>, TableError> {
        self.may_fail()?;
        let found = self.rows.range(from.0.clone()..);
        let found = found.take_while(|(key, _)| key.starts_with(&prefix.0));
        found.map(|(key, bytes)| Ok((Key(key.clone()), parse(bytes)?))).collect()
    }

    fn all<R: DeserializeOwned>(&mut self, prefix: &Key) -> Result<Vec<(Key, R)>, TableError> {
        self.scan(prefix, &Key(prefix.0.clone()))
    }

    fn delete_where<R: DeserializeOwned>(
        &mut self,
        prefix: &Key,
        is_gone: impl Fn(&R) -> bool,
    ) -> Done {
        for (key, row) in self.all::<R>(prefix)? {
            if is_gone(&row) {
                self.delete(&key)?;
            }
        }
        Ok(())
    }

    fn visit<R: DeserializeOwned>(
        &mut self,
        prefix: &Key,
        from: u64,
        visit: &mut dyn FnMut(&R) -> ControlFlow<()>,
    ) -> Done {
        let from = Key(prefix.0.clone()).number(from);
        let rows = self.scan::<R>(prefix, &from)?;
        let _ = rows.iter().try_for_each(|(_, row)| visit(row));
        Ok(())
    }
}

fn parse<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, TableError> {
    serde_json::from_slice(bytes)
        .map_err(|error| TableError::Damaged { detail: format!("{error}") })
}

fn of_session(table: &str, id: &SessionId) -> Key {
    Key::of(table).text(id.as_str())
}

fn of_environment(table: &str, id: &EnvironmentId) -> Key {
    Key::of(table).text(id.as_str())
}

fn due(row: &DueRow) -> Key {
    let what = match &row.what {
        crate::store::Due::Environment(id) => format!("e{id}"),
        crate::store::Due::Work(id) => format!("w{id}"),
        crate::store::Due::Session(id) => format!("x{id}"),
    };
    Key::of("due").number(row.at.as_millis()).text(&what)
}

/// The tables whose rows are deleted with an environment.
const OF_ENVIRONMENT: [&str; 2] = ["queue", "claim"];
/// The tables whose rows are deleted with a session.
const OF_SESSION: [&str; 5] = ["log", "inbound", "message", "question", "request"];

impl Tables for BytesTables {
    fn begin(&mut self) -> Done {
        assert!(!self.is_open, "two transactions at once");
        self.may_fail()?;
        self.is_open = true;
        Ok(())
    }

    fn commit(&mut self) -> Done {
        if let Err(error) = self.may_fail() {
            self.rollback();
            return Err(error);
        }
        self.undo.clear();
        self.is_open = false;
        Ok(())
    }

    fn rollback(&mut self) {
        for (key, before) in core::mem::take(&mut self.undo).into_iter().rev() {
            match before {
                Some(bytes) => self.rows.insert(key, bytes),
                None => self.rows.remove(&key),
            };
        }
        self.is_open = false;
    }

    fn bytes(&mut self) -> Result<u64, TableError> {
        self.may_fail()?;
        Ok(self.rows.values().map(|row| row.len() as u64).sum())
    }

    fn meta(&mut self) -> Result<MetaRow, TableError> {
        Ok(self.read(&Key::of("meta"))?.unwrap_or_default())
    }

    fn put_meta(&mut self, row: MetaRow) -> Done {
        self.write(Key::of("meta"), &row)
    }

    fn environment(&mut self, id: &EnvironmentId) -> Result<Option<EnvironmentRow>, TableError> {
        self.read(&of_environment("environment", id))
    }

    fn put_environment(&mut self, row: EnvironmentRow) -> Done {
        self.write(of_environment("environment", &row.environment.id), &row)
    }

    fn delete_environment(&mut self, id: &EnvironmentId) -> Done {
        for table in OF_ENVIRONMENT {
            self.delete_where::<IgnoredAny>(&of_environment(table, id), |_| true)?;
        }
        self.delete(&of_environment("environment", id))
    }

    fn count_environments(&mut self, owner: Option<&AccountId>) -> Result<usize, TableError> {
        let rows = self.all::<EnvironmentRow>(&Key::of("environment"))?;
        let is_counted =
            |row: &EnvironmentRow| owner.is_none_or(|owner| row.environment.owner == *owner);
        Ok(rows.iter().filter(|(_, row)| is_counted(row)).count())
    }

    fn environments(&mut self, owner: &AccountId) -> Result<Vec<Environment>, TableError> {
        let rows = self.all::<EnvironmentRow>(&Key::of("environment"))?.into_iter();
        let rows = rows.map(|(_, row)| row.environment);
        Ok(rows.filter(|environment| environment.owner == *owner).collect())
    }

    fn first_queued(&mut self, id: &EnvironmentId) -> Result<Option<(i64, WorkId)>, TableError> {
        let rows = self.all::<(i64, WorkId)>(&of_environment("queue", id))?;
        Ok(rows.into_iter().next().map(|(_, row)| row))
    }

    fn put_queued(&mut self, id: &EnvironmentId, position: i64, work: WorkId) -> Done {
        self.write(of_environment("queue", id).signed(position), &(position, work))
    }

    fn delete_queued(&mut self, id: &EnvironmentId, position: i64) -> Done {
        self.delete(&of_environment("queue", id).signed(position))
    }

    fn claim(&mut self, id: &EnvironmentId, key: &str) -> Result<Option<ClaimRow>, TableError> {
        self.read(&of_environment("claim", id).text(key))
    }

    fn put_claim(&mut self, row: ClaimRow) -> Done {
        self.write(of_environment("claim", &row.environment).text(&row.key), &row)
    }

    fn delete_claims(&mut self, id: &EnvironmentId, until: u64) -> Done {
        self.delete_where::<ClaimRow>(&of_environment("claim", id), |row| row.number <= until)
    }

    fn work(&mut self, id: &WorkId) -> Result<Option<WorkRow>, TableError> {
        self.read(&Key::of("work").text(id.as_str()))
    }

    fn put_work(&mut self, row: WorkRow) -> Done {
        self.write(Key::of("work").text(row.id.as_str()), &row)
    }

    fn delete_work(&mut self, id: &WorkId) -> Done {
        self.delete(&Key::of("work").text(id.as_str()))
    }

    fn works_of(&mut self, id: &EnvironmentId) -> Result<Vec<WorkId>, TableError> {
        let rows = self.all::<WorkRow>(&Key::of("work"))?.into_iter().map(|(_, row)| row);
        Ok(rows.filter(|row| row.environment == *id).map(|row| row.id).collect())
    }

    fn session(&mut self, id: &SessionId) -> Result<Option<SessionRow>, TableError> {
        self.read(&of_session("session", id))
    }

    fn put_session(&mut self, row: SessionRow) -> Done {
        self.write(of_session("session", &row.session.id), &row)
    }

    fn delete_session(&mut self, id: &SessionId) -> Done {
        for table in OF_SESSION {
            self.delete_where::<IgnoredAny>(&of_session(table, id), |_| true)?;
        }
        self.delete(&of_session("session", id))
    }

    fn session_by_key(
        &mut self,
        owner: &AccountId,
        key: &str,
    ) -> Result<Option<SessionId>, TableError> {
        let rows = self.all::<SessionRow>(&Key::of("session"))?.into_iter();
        let mut rows = rows.map(|(_, row)| row);
        let found = rows.find(|row| row.session.owner == *owner && row.key.as_deref() == Some(key));
        Ok(found.map(|row| row.session.id))
    }

    fn live_sessions(&mut self, id: &EnvironmentId) -> Result<Vec<SessionId>, TableError> {
        let rows = self.all::<SessionRow>(&Key::of("session"))?.into_iter().map(|(_, row)| row);
        let live = rows.filter(|row| row.ended.is_none() && row.session.environment == *id);
        Ok(live.map(|row| row.session.id).collect())
    }

    fn newest_sessions(&mut self, filter: SessionFilter<'_>) -> Result<Vec<Session>, TableError> {
        let rows = self.all::<SessionRow>(&Key::of("session"))?.into_iter();
        let rows = rows.map(|(_, row)| row.session).filter(|session| {
            session.owner == *filter.owner
                && session.ordinal < filter.before
                && filter.environment.is_none_or(|id| session.environment == *id)
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|session| core::cmp::Reverse(session.ordinal));
        rows.truncate(filter.limit);
        Ok(rows)
    }

    fn held(&mut self) -> Result<BTreeMap<AccountId, u64>, TableError> {
        self.may_fail()?;
        let prefix = Key::of("session");
        let rows = self.rows.iter().filter(|(key, _)| key.starts_with(&prefix.0));
        let mut held = BTreeMap::new();
        for row in rows.filter_map(|(_, bytes)| parse::<SessionRow>(bytes).ok()) {
            *held.entry(row.session.owner.clone()).or_default() += row.held();
        }
        Ok(held)
    }

    fn first_ended(
        &mut self,
        owner: &AccountId,
        limit: usize,
    ) -> Result<Vec<SessionId>, TableError> {
        self.may_fail()?;
        let prefix = Key::of("session");
        let rows = self.rows.iter().filter(|(key, _)| key.starts_with(&prefix.0));
        let rows = rows.filter_map(|(_, bytes)| parse::<SessionRow>(bytes).ok());
        let own = rows.filter(|row| row.session.owner == *owner);
        let mut ended: Vec<_> = own.filter_map(|row| Some((row.ended?, row.session.id))).collect();
        ended.sort();
        Ok(ended.into_iter().take(limit).map(|(_, id)| id).collect())
    }

    fn surplus_ended(
        &mut self,
        owner: &AccountId,
        keep: usize,
    ) -> Result<Vec<SessionId>, TableError> {
        let rows = self.all::<SessionRow>(&Key::of("session"))?.into_iter().map(|(_, row)| row);
        let ended = rows.filter(|row| row.session.owner == *owner);
        let mut ended: Vec<_> =
            ended.filter_map(|row| Some((row.ended?, row.session.id))).collect();
        ended.sort();
        ended.truncate(ended.len().saturating_sub(keep));
        Ok(ended.into_iter().map(|(_, id)| id).collect())
    }

    fn append_log(&mut self, id: &SessionId, rows: Vec<LogRow>) -> Done {
        rows.iter().try_for_each(|row| self.write(of_session("log", id).number(row.entry.seq), row))
    }

    fn read_log(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&LogRow) -> ControlFlow<()>,
    ) -> Done {
        self.visit(&of_session("log", id), from, visit)
    }

    fn log_sizes(
        &mut self,
        id: &SessionId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<usize>, TableError> {
        let prefix = of_session("log", id);
        let rows = self.scan::<LogRow>(&prefix, &Key(prefix.0.clone()).number(from))?;
        Ok(rows.into_iter().take(limit).map(|(_, row)| row.size).collect())
    }

    fn trim_log(&mut self, id: &SessionId, first: u64) -> Done {
        self.delete_where::<LogRow>(&of_session("log", id), |row| row.entry.seq < first)
    }

    fn append_inbound(&mut self, id: &SessionId, rows: Vec<InboundRow>) -> Done {
        rows.iter()
            .try_for_each(|row| self.write(of_session("inbound", id).number(row.number), row))
    }

    fn read_inbound(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&InboundRow) -> ControlFlow<()>,
    ) -> Done {
        self.visit(&of_session("inbound", id), from, visit)
    }

    fn trim_inbound(&mut self, id: &SessionId, until: u64) -> Done {
        self.delete_where::<InboundRow>(&of_session("inbound", id), |row| row.number <= until)
    }

    fn message(&mut self, id: &SessionId, uuid: &str) -> Result<Option<MessageRow>, TableError> {
        self.read(&of_session("message", id).text(uuid))
    }

    fn put_message(&mut self, id: &SessionId, row: MessageRow) -> Done {
        self.write(of_session("message", id).text(&row.uuid), &row)
    }

    fn delete_messages(&mut self, id: &SessionId, until: u64) -> Done {
        self.delete_where::<MessageRow>(&of_session("message", id), |row| row.number <= until)
    }

    fn question(
        &mut self,
        id: &SessionId,
        request_id: &str,
    ) -> Result<Option<QuestionRow>, TableError> {
        self.read(&of_session("question", id).text(request_id))
    }

    fn put_question(&mut self, id: &SessionId, row: QuestionRow) -> Done {
        self.write(of_session("question", id).text(&row.question.request_id), &row)
    }

    fn delete_closed_questions(&mut self, id: &SessionId, first: u64) -> Done {
        let is_gone = |row: &QuestionRow| row.standing.closed_at().is_some_and(|seq| seq < first);
        self.delete_where(&of_session("question", id), is_gone)
    }

    fn requests(&mut self, id: &SessionId) -> Result<Vec<RequestRow>, TableError> {
        let rows = self.all(&of_session("request", id))?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    fn put_request(&mut self, id: &SessionId, row: RequestRow) -> Done {
        self.write(of_session("request", id).number(row.number), &row)
    }

    fn delete_request(&mut self, id: &SessionId, number: u64) -> Done {
        self.delete(&of_session("request", id).number(number))
    }

    fn device(&mut self, id: &DeviceId) -> Result<Option<DeviceRow>, TableError> {
        self.read(&Key::of("device").text(id.as_str()))
    }

    fn put_device(&mut self, row: DeviceRow) -> Done {
        self.write(Key::of("device").text(row.device.id.as_str()), &row)
    }

    fn delete_device(&mut self, id: &DeviceId) -> Done {
        self.delete(&Key::of("device").text(id.as_str()))
    }

    fn devices(&mut self, owner: &AccountId) -> Result<Vec<Device>, TableError> {
        let rows = self.all::<DeviceRow>(&Key::of("device"))?.into_iter();
        let devices = rows.map(|(_, row)| row.device);
        Ok(devices.filter(|device| device.owner == *owner).collect())
    }

    fn push(&mut self, id: &PushId) -> Result<Option<PushSubscription>, TableError> {
        self.read(&Key::of("push").text(id.as_str()))
    }

    fn put_push(&mut self, row: PushSubscription) -> Done {
        self.write(Key::of("push").text(row.id.as_str()), &row)
    }

    fn delete_push(&mut self, id: &PushId) -> Done {
        self.delete(&Key::of("push").text(id.as_str()))
    }

    fn pushes(&mut self, owner: &AccountId) -> Result<Vec<PushSubscription>, TableError> {
        let rows = self.all::<PushSubscription>(&Key::of("push"))?.into_iter();
        Ok(rows.map(|(_, row)| row).filter(|push| push.owner == *owner).collect())
    }

    fn last_audit(&mut self, owner: &AccountId) -> Result<u64, TableError> {
        let rows = self.all::<AuditEntry>(&Key::of("audit").text(&owner.0))?;
        Ok(rows.last().map_or(0, |(_, entry)| entry.seq))
    }

    fn audit(
        &mut self,
        owner: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, TableError> {
        let own = Key::of("audit").text(&owner.0);
        let from = Key::of("audit").text(&owner.0).number(after.saturating_add(1));
        let rows = self.scan::<AuditEntry>(&own, &from)?;
        Ok(rows.into_iter().map(|(_, entry)| entry).take(limit).collect())
    }

    fn put_audit(&mut self, owner: &AccountId, entry: AuditEntry) -> Done {
        self.write(Key::of("audit").text(&owner.0).number(entry.seq), &entry)
    }

    fn trim_audit(&mut self, owner: &AccountId, until: u64) -> Done {
        let until = until.min(self.last_audit(owner)?.saturating_sub(1));
        let own = Key::of("audit").text(&owner.0);
        self.delete_where::<AuditEntry>(&own, |entry| entry.seq <= until)
    }

    fn first_due(&mut self) -> Result<Option<DueRow>, TableError> {
        Ok(self.all::<DueRow>(&Key::of("due"))?.into_iter().next().map(|(_, row)| row))
    }

    fn put_due(&mut self, row: DueRow) -> Done {
        self.write(due(&row), &row)
    }

    fn delete_due(&mut self, row: &DueRow) -> Done {
        self.delete(&due(row))
    }
}

/// Names the first row in which two stores differ.
pub(super) fn difference(
    one: &BTreeMap<Vec<u8>, Vec<u8>>,
    other: &BTreeMap<Vec<u8>, Vec<u8>>,
) -> Option<String> {
    let keys = one.keys().chain(other.keys());
    let differs = |key: &&Vec<u8>| one.get(*key) != other.get(*key);
    keys.into_iter().find(differs).map(|key| String::from_utf8_lossy(key).into_owned())
}
