//! The seam between decisions and storage.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::record::{AccountId, Device, Environment, PushSubscription, Session};
use super::rows::{
    ClaimRow, DeviceRow, DueRow, EnvironmentRow, InboundRow, LogRow, MessageRow, MetaRow,
    QuestionRow, RequestRow, SessionFilter, SessionRow, WorkRow,
};
use crate::base::id::{DeviceId, EnvironmentId, PushId, SessionId, WorkId};
use crate::base::io_error::{IoError, IoErrorKind};
use crate::wire::audit::AuditEntry;

/// Rows in transactions: all that a database has to offer to become a store.
///
/// It decides nothing. [`RuleStore`](super::RuleStore) turns it into a [`Store`](super::Store) with
/// the rules that all stores share.
///
/// # Transactions
///
/// One is open at a time, from [`begin`](Self::begin) to [`commit`](Self::commit) or
/// [`rollback`](Self::rollback). Reads see what the same transaction has written, and
/// nothing that others write in the meantime. If any other method fails, the caller rolls the
/// transaction back, and nothing that it wrote remains. A failed `commit` ends it too: the failure
/// means that nothing of it was stored, or ever will be.
///
/// # Rows
///
/// `put_…` replaces the row with the same key. Nothing is ever written or deleted for a session
/// that has no row. Deleting something that does not exist is not an error.
#[allow(clippy::missing_errors_doc, reason = "they all fail where the database does")]
pub trait Tables {
    /// Whether no method ever waits, because all rows are in memory.
    const IS_IMMEDIATE: bool = false;

    /// Opens a transaction.
    fn begin(&mut self) -> Result<(), TableError>;
    /// Makes everything written since `begin` durable.
    fn commit(&mut self) -> Result<(), TableError>;
    /// Discards everything written since `begin`. It cannot fail: what was not committed was never
    /// stored.
    fn rollback(&mut self);

    /// The bytes that everything takes up on its disk; 0 where there is none. What is deleted does
    /// not count, even if its file keeps its size.
    fn bytes(&mut self) -> Result<u64, TableError>;

    /// Shows that this many bytes can still be written, and leaves none of them behind.
    fn prove(&mut self, bytes: usize) -> Result<(), TableError> {
        let _ = bytes;
        Ok(())
    }

    /// Fails if there is no room but for operations that make some. No transaction is open.
    fn check_room(&mut self) -> Result<(), TableError> {
        Ok(())
    }

    /// Reads the one meta row; a new store has its default.
    fn meta(&mut self) -> Result<MetaRow, TableError>;
    /// Writes it.
    fn put_meta(&mut self, row: MetaRow) -> Result<(), TableError>;
    /// Takes note of it after nothing but reads: it need not outlive a crash until something else
    /// is written.
    fn note_meta(&mut self, row: MetaRow) -> Result<(), TableError> {
        self.put_meta(row)
    }

    /// Reads an environment.
    fn environment(&mut self, id: &EnvironmentId) -> Result<Option<EnvironmentRow>, TableError>;
    /// Writes an environment.
    fn put_environment(&mut self, row: EnvironmentRow) -> Result<(), TableError>;
    /// Deletes an environment, with its queue and its claims.
    fn delete_environment(&mut self, id: &EnvironmentId) -> Result<(), TableError>;
    /// Counts environments: all, or one owner's.
    fn count_environments(&mut self, owner: Option<&AccountId>) -> Result<usize, TableError>;
    /// Reads the environments of one owner, by id.
    fn environments(&mut self, owner: &AccountId) -> Result<Vec<Environment>, TableError>;

    /// Reads the first item of an environment's queue.
    fn first_queued(&mut self, id: &EnvironmentId) -> Result<Option<(i64, WorkId)>, TableError>;
    /// Adds an item to a queue, at a free position.
    fn put_queued(
        &mut self,
        id: &EnvironmentId,
        position: i64,
        work: WorkId,
    ) -> Result<(), TableError>;
    /// Removes an item from a queue.
    fn delete_queued(&mut self, id: &EnvironmentId, position: i64) -> Result<(), TableError>;

    /// Reads the last claim of an environment under a key.
    fn claim(&mut self, id: &EnvironmentId, key: &str) -> Result<Option<ClaimRow>, TableError>;
    /// Writes a claim.
    fn put_claim(&mut self, row: ClaimRow) -> Result<(), TableError>;
    /// Deletes the claims of an environment whose number is at most `until`.
    fn delete_claims(&mut self, id: &EnvironmentId, until: u64) -> Result<(), TableError>;

    /// Reads a work item.
    fn work(&mut self, id: &WorkId) -> Result<Option<WorkRow>, TableError>;
    /// Writes a work item.
    fn put_work(&mut self, row: WorkRow) -> Result<(), TableError>;
    /// Deletes a work item.
    fn delete_work(&mut self, id: &WorkId) -> Result<(), TableError>;
    /// Lists the work items of an environment, by id.
    fn works_of(&mut self, id: &EnvironmentId) -> Result<Vec<WorkId>, TableError>;

    /// Reads a session.
    fn session(&mut self, id: &SessionId) -> Result<Option<SessionRow>, TableError>;
    /// Writes a session.
    fn put_session(&mut self, row: SessionRow) -> Result<(), TableError>;
    /// Deletes a session and everything that belongs to it: log, lines, messages, questions,
    /// requests.
    fn delete_session(&mut self, id: &SessionId) -> Result<(), TableError>;
    /// Finds the session that an owner's request created under a key.
    fn session_by_key(
        &mut self,
        owner: &AccountId,
        key: &str,
    ) -> Result<Option<SessionId>, TableError>;
    /// Lists the sessions of an environment that have not ended, by id.
    fn live_sessions(&mut self, id: &EnvironmentId) -> Result<Vec<SessionId>, TableError>;
    /// Reads sessions, newest first.
    fn newest_sessions(&mut self, filter: SessionFilter<'_>) -> Result<Vec<Session>, TableError>;
    /// The bytes that each owner's sessions [hold](SessionRow::held). A row that is damaged does not
    /// count.
    fn held(&mut self) -> Result<BTreeMap<AccountId, u64>, TableError>;
    /// Lists an owner's ended sessions in the order they ended, at most `limit`.
    fn first_ended(
        &mut self,
        owner: &AccountId,
        limit: usize,
    ) -> Result<Vec<SessionId>, TableError>;
    /// Lists an owner's ended sessions in the order they ended, except for the last `keep`.
    fn surplus_ended(
        &mut self,
        owner: &AccountId,
        keep: usize,
    ) -> Result<Vec<SessionId>, TableError>;

    /// Appends events to a session's log; their numbers are consecutive.
    fn append_log(&mut self, id: &SessionId, rows: Vec<LogRow>) -> Result<(), TableError>;
    /// Reads events from number `from` on, in order, until `visit` breaks.
    fn read_log(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&LogRow) -> ControlFlow<()>,
    ) -> Result<(), TableError>;
    /// Reads the sizes of up to `limit` events from number `from` on.
    fn log_sizes(
        &mut self,
        id: &SessionId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<usize>, TableError>;
    /// Deletes the events before number `first`.
    fn trim_log(&mut self, id: &SessionId, first: u64) -> Result<(), TableError>;

    /// Appends lines for a session's agent; their numbers are consecutive.
    fn append_inbound(&mut self, id: &SessionId, rows: Vec<InboundRow>) -> Result<(), TableError>;
    /// Reads lines from number `from` on, in order, until `visit` breaks.
    fn read_inbound(
        &mut self,
        id: &SessionId,
        from: u64,
        visit: &mut dyn FnMut(&InboundRow) -> ControlFlow<()>,
    ) -> Result<(), TableError>;
    /// Deletes the lines up to number `until`.
    fn trim_inbound(&mut self, id: &SessionId, until: u64) -> Result<(), TableError>;

    /// Reads a message.
    fn message(&mut self, id: &SessionId, uuid: &str) -> Result<Option<MessageRow>, TableError>;
    /// Writes a message.
    fn put_message(&mut self, id: &SessionId, row: MessageRow) -> Result<(), TableError>;
    /// Deletes the messages whose number is at most `until`.
    fn delete_messages(&mut self, id: &SessionId, until: u64) -> Result<(), TableError>;

    /// Reads a question.
    fn question(
        &mut self,
        id: &SessionId,
        request_id: &str,
    ) -> Result<Option<QuestionRow>, TableError>;
    /// Writes a question.
    fn put_question(&mut self, id: &SessionId, row: QuestionRow) -> Result<(), TableError>;
    /// Deletes the questions closed by an event before number `first`.
    fn delete_closed_questions(&mut self, id: &SessionId, first: u64) -> Result<(), TableError>;

    /// Reads the open requests, by number.
    fn requests(&mut self, id: &SessionId) -> Result<Vec<RequestRow>, TableError>;
    /// Writes an open request.
    fn put_request(&mut self, id: &SessionId, row: RequestRow) -> Result<(), TableError>;
    /// Deletes a request.
    fn delete_request(&mut self, id: &SessionId, number: u64) -> Result<(), TableError>;

    /// Reads a device.
    fn device(&mut self, id: &DeviceId) -> Result<Option<DeviceRow>, TableError>;
    /// Writes a device.
    fn put_device(&mut self, row: DeviceRow) -> Result<(), TableError>;
    /// Deletes a device.
    fn delete_device(&mut self, id: &DeviceId) -> Result<(), TableError>;
    /// Reads the devices of one owner, by id.
    fn devices(&mut self, owner: &AccountId) -> Result<Vec<Device>, TableError>;

    /// Reads a browser that is sent notifications.
    fn push(&mut self, id: &PushId) -> Result<Option<PushSubscription>, TableError>;
    /// Writes one.
    fn put_push(&mut self, row: PushSubscription) -> Result<(), TableError>;
    /// Deletes one.
    fn delete_push(&mut self, id: &PushId) -> Result<(), TableError>;
    /// Reads those of one owner, by id.
    fn pushes(&mut self, owner: &AccountId) -> Result<Vec<PushSubscription>, TableError>;

    /// The number of the last entry of an account's audit log; 0 if there is none.
    fn last_audit(&mut self, owner: &AccountId) -> Result<u64, TableError>;
    /// Reads entries after number `after`, in order, at most `limit`.
    fn audit(
        &mut self,
        owner: &AccountId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, TableError>;
    /// Adds an entry, with the number after the last.
    fn put_audit(&mut self, owner: &AccountId, entry: AuditEntry) -> Result<(), TableError>;
    /// Deletes the entries up to number `until`; the last one stays.
    fn trim_audit(&mut self, owner: &AccountId, until: u64) -> Result<(), TableError>;

    /// Reads the row that is due first.
    fn first_due(&mut self) -> Result<Option<DueRow>, TableError>;
    /// Adds a row to the due index.
    fn put_due(&mut self, row: DueRow) -> Result<(), TableError>;
    /// Deletes a row from the due index.
    fn delete_due(&mut self, row: &DueRow) -> Result<(), TableError>;
}

/// Why rows could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The disk, or the database, failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The contents are not what was written.
    #[error("what the store keeps is damaged ({detail})")]
    Damaged {
        /// What was found, for people. Never anyone's messages, and never a secret.
        detail: String,
    },
}

impl From<TableError> for IoError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Io(error) => error,
            TableError::Damaged { .. } => {
                Self { kind: IoErrorKind::Damaged, detail: alloc::format!("{error}") }
            }
        }
    }
}
