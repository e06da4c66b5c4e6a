//! An environment's queue of work items, oldest first, and the index of what may lapse.

use alloc::vec::Vec;

use super::cx::Cx;
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::store::clock::StoreTime;
use crate::store::rows::{Due, DueRow, EnvironmentRow, WorkRow, WorkState};
use crate::store::tables::{TableError, Tables};
use crate::wire::worker_api::work::WorkData;

/// Which end of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Front,
    Back,
}

/// Puts an item into its environment's queue and announces it to whoever waits for work. Without an
/// environment, nobody could work on it.
pub(super) fn enqueue<T: Tables>(
    cx: &mut Cx<'_, T>,
    work: &mut WorkRow,
    end: End,
) -> Result<(), TableError> {
    let Some(mut known) = cx.tables.environment(&work.environment)? else { return Ok(()) };
    enqueue_in(cx, &mut known, work, end)?;
    cx.tables.put_environment(known)
}

/// The same with the environment's row already loaded. The caller writes both rows.
pub(super) fn enqueue_in<T: Tables>(
    cx: &mut Cx<'_, T>,
    known: &mut EnvironmentRow,
    work: &mut WorkRow,
    end: End,
) -> Result<(), TableError> {
    let queue = &mut known.queue;
    let position = match end {
        End::Front => {
            queue.front -= 1;
            queue.front
        }
        End::Back => {
            queue.back += 1;
            queue.back
        }
    };
    queue.len += 1;
    work.state = WorkState::Queued { position };
    cx.tables.put_queued(&work.environment, position, work.id.clone())?;
    cx.changes.work_for.push(work.environment.clone());
    Ok(())
}

/// Takes an item out of its environment's queue, if it is queued. The caller sets its new state and
/// writes both rows.
pub(super) fn dequeue_from<T: Tables>(
    cx: &mut Cx<'_, T>,
    known: &mut EnvironmentRow,
    work: &WorkRow,
) -> Result<(), TableError> {
    if let WorkState::Queued { position } = work.state {
        cx.tables.delete_queued(&work.environment, position)?;
        debug_assert!(known.queue.len > 0, "an item is queued in an empty queue");
        known.queue.len = known.queue.len.saturating_sub(1);
    }
    Ok(())
}

/// Stops the items of a session that has ended. The caller writes the environment's row.
pub(super) fn stop_items<T: Tables>(
    cx: &mut Cx<'_, T>,
    known: &mut EnvironmentRow,
    works: &[WorkId],
) -> Result<(), TableError> {
    for id in works {
        let Some(mut work) = cx.tables.work(id)? else { continue };
        dequeue_from(cx, known, &work)?;
        work.state = WorkState::Stopped;
        cx.tables.put_work(work)?;
    }
    Ok(())
}

/// A new item, not queued yet.
pub(super) fn new_item<T>(
    cx: &Cx<'_, T>,
    id: WorkId,
    environment: EnvironmentId,
    data: WorkData,
) -> WorkRow {
    WorkRow {
        id,
        environment,
        data,
        worktree: None,
        state: WorkState::Stopped,
        fence: 0,
        created_at: cx.wall,
        watched_at: None,
    }
}

/// How many items of a session are kept: the current one and the one before.
const MAX_ITEMS_PER_SESSION: usize = 2;

/// Adds an item to a session's, and forgets the oldest if there are too many. The caller writes
/// `works`.
pub(super) fn add_item<T: Tables>(
    cx: &mut Cx<'_, T>,
    works: &mut Vec<WorkId>,
    work: WorkId,
) -> Result<(), TableError> {
    works.push(work);
    if works.len() > MAX_ITEMS_PER_SESSION {
        let oldest = works.remove(0);
        forget_work(cx, &oldest)?;
    }
    Ok(())
}

/// Deletes an item.
pub(super) fn forget_work<T: Tables>(cx: &mut Cx<'_, T>, id: &WorkId) -> Result<(), TableError> {
    let Some(work) = cx.tables.work(id)? else { return Ok(()) };
    if let Some(at) = work.watched_at {
        cx.tables.delete_due(&DueRow { at, what: Due::Work(id.clone()) })?;
    }
    cx.tables.delete_work(id)
}

/// Schedules a check of an item for when its lease expires, unless the index has one already: that
/// check comes earlier, and schedules the next. The caller writes its row.
pub(super) fn schedule_check<T: Tables>(
    cx: &mut Cx<'_, T>,
    work: &mut WorkRow,
    until: StoreTime,
) -> Result<(), TableError> {
    if work.watched_at.is_some() {
        return Ok(());
    }
    work.watched_at = Some(until);
    cx.tables.put_due(DueRow { at: until, what: Due::Work(work.id.clone()) })
}

/// Drops the scheduled check of an item that has lost its lease: the next lease may be shorter. The
/// caller writes its row.
pub(super) fn cancel_check<T: Tables>(
    cx: &mut Cx<'_, T>,
    work: &mut WorkRow,
) -> Result<(), TableError> {
    match work.watched_at.take() {
        Some(at) => cx.tables.delete_due(&DueRow { at, what: Due::Work(work.id.clone()) }),
        None => Ok(()),
    }
}

/// The current fence for an item: its session's, if it has one.
pub(super) fn fence_of<T: Tables>(
    cx: &mut Cx<'_, T>,
    work: &WorkRow,
) -> Result<Option<u64>, TableError> {
    Ok(match session_of(work) {
        Some(id) => cx.tables.session(id)?.map(|row| row.fence),
        None => Some(work.fence),
    })
}

/// The session that an item is for, unless it is a healthcheck.
pub(super) const fn session_of(work: &WorkRow) -> Option<&SessionId> {
    match &work.data {
        WorkData::Session(id) => Some(id),
        WorkData::Healthcheck(_) => None,
    }
}
