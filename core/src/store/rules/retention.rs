//! What is kept of sessions that have ended, and for how long.

use super::cx::Cx;
use super::queue::forget_work;
use crate::base::id::SessionId;
use crate::base::limits::MAX_SESSIONS_REMOVED_FOR_ROOM;
use crate::store::record::AccountId;
use crate::store::rows::{Due, DueRow, SessionRow};
use crate::store::tables::{TableError, Tables};

/// Schedules the end of what is kept of a session that has just ended. The caller writes its row.
pub(super) fn schedule<T: Tables>(
    cx: &mut Cx<'_, T>,
    row: &mut SessionRow,
) -> Result<(), TableError> {
    let at = cx.now + cx.policy.ended_for;
    row.kept_until = Some(at);
    cx.tables.put_due(DueRow { at, what: Due::Session(row.session.id.clone()) })
}

/// An ended session was kept for long enough. The caller has removed it from the due index.
pub(super) fn lapse<T: Tables>(cx: &mut Cx<'_, T>, id: &SessionId) -> Result<(), TableError> {
    let row = cx.tables.session(id)?;
    let is_over = row.is_some_and(|row| row.kept_until.is_some_and(|until| until <= cx.now));
    if is_over { forget(cx, id) } else { Ok(()) }
}

/// Removes an owner's ended sessions beyond those that are kept.
pub(super) fn remove_surplus<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
) -> Result<(), TableError> {
    for oldest in cx.tables.surplus_ended(owner, cx.policy.ended_sessions)? {
        forget(cx, &oldest)?;
    }
    Ok(())
}

/// Removes the sessions that ended first, except for this one, while the store takes up more of its
/// disk than it may. Returns whether it still does although nothing is left to remove.
pub(super) fn make_room<T: Tables>(
    cx: &mut Cx<'_, T>,
    except: &SessionId,
) -> Result<bool, TableError> {
    for _ in 0..MAX_SESSIONS_REMOVED_FOR_ROOM {
        if cx.tables.bytes()? <= cx.policy.store_bytes {
            return Ok(false);
        }
        let first = cx.tables.first_ended()?.filter(|first| first != except);
        let Some(first) = first else { return Ok(true) };
        forget(cx, &first)?;
    }
    Ok(false)
}

/// Removes a session with everything that belongs to it.
pub(super) fn forget<T: Tables>(cx: &mut Cx<'_, T>, id: &SessionId) -> Result<(), TableError> {
    let Some(gone) = cx.tables.session(id)? else { return Ok(()) };
    for work in &gone.works {
        forget_work(cx, work)?;
    }
    if let Some(at) = gone.kept_until {
        cx.tables.delete_due(&DueRow { at, what: Due::Session(id.clone()) })?;
    }
    cx.tables.delete_session(id)?;
    cx.changes.sessions.retain(|session| session.id != *id);
    cx.changes.sessions_gone.push((gone.session.owner, id.clone()));
    Ok(())
}
