//! One session while an operation works on it: its row, and what the operation adds to its log and
//! to the lines for its agent.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::cx::{Cx, Halt};
use super::retention::make_room;
use crate::base::id::SessionId;
use crate::base::limits::{EVENT_OVERHEAD_BYTES, LOG_TRIM_DIVISOR, MAX_RECENT_UUIDS};
use crate::base::text::Text;
use crate::store::committed::StoreError;
use crate::store::record::{AccountId, Entry, Origin, Receipts};
use crate::store::rows::{InboundKind, InboundRow, LogRow, MessageRow, SessionRow};
use crate::store::tables::{TableError, Tables};
use crate::wire::log_message::LogMessage;
use crate::wire::session::SessionState;

/// How many sizes of the oldest events are read at once.
const SIZES_PAGE: usize = 512;
/// After how many messages the forgotten ones are deleted.
const FORGET_EVERY: u64 = 256;

/// A session, if it belongs to this account.
pub(super) fn own<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    id: &SessionId,
) -> Result<SessionRow, Halt> {
    let found = cx.tables.session(id)?.filter(|found| found.session.owner == *owner);
    Ok(found.ok_or(StoreError::SessionUnknown)?)
}

/// A session whose row is loaded. [`Self::save`] writes all changes at once.
pub(super) struct Conversation {
    pub(super) row: SessionRow,
    /// Events not written yet.
    log: Vec<LogRow>,
    /// Lines for the agent not written yet.
    inbound: Vec<InboundRow>,
    /// The sizes of the oldest events, as far as they have been read.
    oldest: VecDeque<usize>,
    /// The first event still in the tables.
    first_seq: u64,
    /// The last line for the agent that the tables no longer hold.
    dropped: u64,
    /// The receipts as they were.
    receipts: Receipts,
    /// The bytes that its log may take up, once that was looked up.
    log_limit: Option<u64>,
}

impl Conversation {
    pub(super) fn of(row: SessionRow) -> Self {
        let (first_seq, dropped) = (row.session.first_seq, row.inbound.droppable());
        let receipts = row.session.receipts;
        let (log, inbound, oldest) = (Vec::new(), Vec::new(), VecDeque::new());
        Self { row, log, inbound, oldest, first_seq, dropped, receipts, log_limit: None }
    }

    pub(super) fn load<T: Tables>(
        cx: &mut Cx<'_, T>,
        id: &SessionId,
    ) -> Result<Option<Self>, TableError> {
        Ok(cx.tables.session(id)?.map(Self::of))
    }

    /// Writes what has changed.
    pub(super) fn save<T: Tables>(self, cx: &mut Cx<'_, T>) -> Result<(), TableError> {
        let Self { mut row, log, inbound, first_seq, dropped, receipts, .. } = self;
        // Until it is settled, a line must not be said to have ended in another way as well.
        let first = row.session.first_seq;
        let needed = first.min(row.session.receipts.seen + 1);
        row.failed.retain(|failed| failed.receipts.last_seq >= needed);
        let session = &row.session;
        let noted = cx.changes.sessions.iter_mut().find(|noted| noted.id == session.id);
        if let Some(noted) = noted {
            // More may have been logged since.
            noted.clone_from(session);
        } else if session.receipts.has_moved_since(&receipts) {
            cx.changes.receipts.push((session.id.clone(), session.receipts));
        }
        let (id, droppable) = (session.id.clone(), row.inbound.droppable());
        cx.tables.put_session(row)?;
        if !log.is_empty() {
            cx.tables.append_log(&id, log)?;
        }
        if first != first_seq {
            cx.tables.trim_log(&id, first)?;
            cx.tables.delete_closed_questions(&id, first)?;
        }
        if !inbound.is_empty() {
            cx.tables.append_inbound(&id, inbound)?;
        }
        if droppable != dropped {
            cx.tables.trim_inbound(&id, droppable)?;
        }
        Ok(())
    }

    pub(super) const fn id(&self) -> &SessionId {
        &self.row.session.id
    }

    /// Adds an event to the log.
    pub(super) fn record<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
        origin: Origin,
        line: Text,
    ) -> Result<u64, TableError> {
        let size = line.len() + EVENT_OVERHEAD_BYTES;
        self.record_sized(cx, origin, line, size)
    }

    fn record_sized<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
        origin: Origin,
        line: Text,
        size: usize,
    ) -> Result<u64, TableError> {
        let limit = self.log_limit(cx)?;
        let session = &mut self.row.session;
        let seq = session.last_seq + 1;
        let entry = Entry { seq, at: cx.wall, origin, line };
        cx.changes.entries.push((session.id.clone(), entry.clone()));
        self.log.push(LogRow { entry, size });
        self.row.log_bytes += size as u64;
        session.last_seq = seq;
        session.updated_at = cx.wall;
        if self.row.log_bytes > limit {
            let kept = log_bytes_after_trim(limit);
            // The newest event always stays.
            while self.row.log_bytes > kept && self.row.session.first_seq < seq {
                self.drop_oldest(cx)?;
            }
        }
        Ok(seq)
    }

    /// A log may not grow where the store's disk is used up.
    fn log_limit<T: Tables>(&mut self, cx: &mut Cx<'_, T>) -> Result<u64, TableError> {
        if let Some(limit) = self.log_limit {
            return Ok(limit);
        }
        let mut limit = cx.policy.log_bytes as u64;
        if make_room(cx, &self.row.session.owner, self.id())? {
            limit = limit.min(self.row.log_bytes);
        }
        self.log_limit = Some(limit);
        Ok(limit)
    }

    fn drop_oldest<T: Tables>(&mut self, cx: &mut Cx<'_, T>) -> Result<(), TableError> {
        let first = self.row.session.first_seq;
        if self.oldest.is_empty() {
            let id = &self.row.session.id;
            let first_new = self.log.first().map_or(first, |row| row.entry.seq);
            self.oldest = if first < first_new {
                cx.tables.log_sizes(id, first, SIZES_PAGE)?.into()
            } else {
                let new = self.log.iter().filter(|row| row.entry.seq >= first);
                new.map(|row| row.size).collect()
            };
        }
        let Some(size) = self.oldest.pop_front() else {
            let detail = alloc::format!("event {first} of {} is missing", self.id());
            return Err(TableError::Damaged { detail });
        };
        self.row.log_bytes = self.row.log_bytes.saturating_sub(size as u64);
        self.row.session.first_seq += 1;
        Ok(())
    }

    /// Adds an event that is also a line for the agent.
    pub(super) fn record_for_agent<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
        kind: InboundKind,
        line: Text,
        uuid: Option<&str>,
    ) -> Result<u64, TableError> {
        let id = &self.row.session.id;
        let counts = &mut self.row.inbound;
        counts.until += 1;
        counts.end += line.len() as u64;
        if kind == InboundKind::Answer {
            counts.last_answer = counts.until;
        }
        let (number, end, seq) = (counts.until, counts.end, self.row.session.last_seq + 1);
        self.row.session.receipts.stored = seq;
        self.inbound.push(InboundRow { number, end, seq, kind, line: line.clone() });
        cx.changes.inbound.retain(|(known, _)| known != id);
        cx.changes.inbound.push((id.clone(), counts.until));
        let size = line.len() + uuid.map_or(0, str::len) + EVENT_OVERHEAD_BYTES;
        let seq = self.record_sized(cx, Origin::Viewer, line, size)?;
        if let Some(uuid) = uuid {
            self.remember(cx, uuid, seq)?;
        }
        Ok(seq)
    }

    /// Remembers a message's uuid, because a repeat may come late.
    fn remember<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
        uuid: &str,
        seq: u64,
    ) -> Result<(), TableError> {
        self.row.messages += 1;
        let (number, inbound) = (self.row.messages, self.row.inbound.until);
        let row = MessageRow { uuid: uuid.into(), seq, number, inbound };
        cx.tables.put_message(self.id(), row)?;
        if number.is_multiple_of(FORGET_EVERY) {
            let forgotten = number.saturating_sub(MAX_RECENT_UUIDS as u64);
            cx.tables.delete_messages(self.id(), forgotten)?;
        }
        Ok(())
    }

    /// The event of a message, if its uuid is among the last [`MAX_RECENT_UUIDS`].
    pub(super) fn seq_of<T: Tables>(
        &self,
        cx: &mut Cx<'_, T>,
        uuid: Option<&str>,
    ) -> Result<Option<u64>, TableError> {
        let Some(uuid) = uuid else { return Ok(None) };
        Ok(self.message(cx, uuid)?.map(|message| message.seq))
    }

    fn message<T: Tables>(
        &self,
        cx: &mut Cx<'_, T>,
        uuid: &str,
    ) -> Result<Option<MessageRow>, TableError> {
        let known = cx.tables.message(self.id(), uuid)?;
        let is_recent =
            |message: &MessageRow| message.number + MAX_RECENT_UUIDS as u64 > self.row.messages;
        Ok(known.filter(is_recent))
    }

    /// The number of a message's line for the agent.
    pub(super) fn inbound_of<T: Tables>(
        &self,
        cx: &mut Cx<'_, T>,
        uuid: &str,
    ) -> Result<Option<u64>, TableError> {
        Ok(self.message(cx, uuid)?.map(|message| message.inbound))
    }

    /// The lines for the agent after this one, for as long as `is_wanted`.
    pub(super) fn inbound_rows<T: Tables>(
        &self,
        cx: &mut Cx<'_, T>,
        after: u64,
        is_wanted: impl Fn(&InboundRow) -> bool,
    ) -> Result<Vec<InboundRow>, TableError> {
        let mut rows = Vec::new();
        cx.tables.read_inbound(self.id(), after + 1, &mut |row| {
            if !is_wanted(row) {
                return ControlFlow::Break(());
            }
            rows.push(row.clone());
            ControlFlow::Continue(())
        })?;
        let new = self.inbound.iter().filter(|row| row.number > after);
        let last = rows.last().map_or(after, |row| row.number);
        rows.extend(
            new.skip_while(|row| row.number <= last).take_while(|row| is_wanted(row)).cloned(),
        );
        Ok(rows)
    }

    /// A line for the agent, while it is kept.
    pub(super) fn inbound_row<T: Tables>(
        &self,
        cx: &mut Cx<'_, T>,
        number: u64,
    ) -> Result<Option<InboundRow>, TableError> {
        let rows = self.inbound_rows(cx, number.saturating_sub(1), |row| row.number == number)?;
        Ok(rows.into_iter().next())
    }

    /// The event of a line for the agent, while the line is kept.
    pub(super) fn inbound_seq<T: Tables>(
        &self,
        cx: &mut Cx<'_, T>,
        number: u64,
    ) -> Result<Option<u64>, TableError> {
        if number == self.row.inbound.until {
            return Ok(Some(self.row.session.receipts.stored));
        }
        Ok(self.inbound_row(cx, number)?.map(|row| row.seq))
    }

    /// The bytes of all lines for the agent up to this one, which is kept.
    pub(super) fn inbound_end<T: Tables>(
        &self,
        cx: &mut Cx<'_, T>,
        number: u64,
    ) -> Result<u64, TableError> {
        let counts = self.row.inbound;
        if number == counts.until {
            return Ok(counts.end);
        }
        let row = self.inbound_row(cx, number)?;
        Ok(row.map_or(counts.acked_end, |row| row.end))
    }

    /// The last line that the agent has been given, or may have been.
    pub(super) fn given(&self) -> u64 {
        let counts = &self.row.inbound;
        counts.run_ended_at.unwrap_or(counts.handed_out).max(counts.acked).max(counts.settled)
    }

    /// Whether this many more lines for the agent may wait.
    pub(super) fn has_room<T>(&self, cx: &Cx<'_, T>, lines: usize, bytes: usize) -> bool {
        let counts = &self.row.inbound;
        let waiting = counts.until - counts.acked;
        let waiting_bytes = counts.end - counts.acked_end;
        waiting + lines as u64 <= cx.policy.inbound_lines as u64
            && (waiting == 0 || waiting_bytes + bytes as u64 <= cx.policy.inbound_bytes as u64)
    }

    /// Lines for the agent up to this one no longer need to be sent.
    pub(super) fn confirm_inbound<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
        received: u64,
    ) -> Result<(), TableError> {
        let counts = self.row.inbound;
        debug_assert!(received <= counts.until, "a line that was never sent");
        if received <= counts.acked {
            return Ok(());
        }
        let end = self.inbound_end(cx, received)?;
        (self.row.inbound.acked, self.row.inbound.acked_end) = (received, end);
        Ok(())
    }

    /// Announces the session, as it is now, to everybody who watches it.
    pub(super) fn announce<T>(&self, cx: &mut Cx<'_, T>) {
        cx.changes.session(&self.row.session);
    }

    /// Logs the session's state.
    pub(super) fn log_state<T: Tables>(&mut self, cx: &mut Cx<'_, T>) -> Result<(), TableError> {
        let session = &self.row.session;
        let state = session.state;
        let result = session.result.as_ref().map(Cow::Borrowed);
        let line = LogMessage::SessionState { state, result }.to_line();
        self.record(cx, Origin::Relay, line)?;
        cx.changes.states.push((self.id().clone(), state));
        self.announce(cx);
        Ok(())
    }

    /// Moves to another state, if the session is in the first one.
    fn enter<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
        from: SessionState,
        to: SessionState,
    ) -> Result<(), TableError> {
        if self.row.session.state == from {
            self.row.session.state = to;
            self.log_state(cx)?;
        }
        Ok(())
    }

    /// Its lease has expired: it waits for its worker.
    pub(super) fn wait_for_worker<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
    ) -> Result<(), TableError> {
        self.enter(cx, SessionState::Starting, SessionState::Queued)?;
        self.enter(cx, SessionState::Running, SessionState::Queued)
    }

    /// The worker that had it is back, with the same lease.
    pub(super) fn resume_after_lapse<T: Tables>(
        &mut self,
        cx: &mut Cx<'_, T>,
    ) -> Result<(), TableError> {
        let is_running = self.row.ran_under == self.row.fence;
        let state = if is_running { SessionState::Running } else { SessionState::Starting };
        self.enter(cx, SessionState::Queued, state)
    }
}

/// What is left of a full log. Trimming costs several lookups, so it drops many events at once.
const fn log_bytes_after_trim(limit: u64) -> u64 {
    limit - limit / LOG_TRIM_DIVISOR as u64
}
