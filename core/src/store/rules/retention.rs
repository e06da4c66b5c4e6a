//! What is kept of sessions that have ended, and for how long.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

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

/// Removes ended sessions, except for this one, while the store takes up more of its disk than it
/// may: of the person whose sessions take up the most, those that ended first. Whoever has less than
/// an equal share loses nothing to anybody else. Returns whether it still takes up too much although
/// nothing is left that may be removed.
pub(super) fn make_room<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    except: &SessionId,
) -> Result<bool, TableError> {
    if cx.tables.bytes()? <= cx.policy.store_bytes {
        return Ok(false);
    }
    let mut held = cx.tables.held()?;
    for _ in 0..MAX_SESSIONS_REMOVED_FOR_ROOM {
        let Some((person, bytes)) = remove_one(cx, &held, owner, except)? else {
            return Ok(true);
        };
        let own = held.entry(person).or_default();
        *own = own.saturating_sub(bytes);
        if cx.tables.bytes()? <= cx.policy.store_bytes {
            break;
        }
    }
    Ok(false)
}

/// Removes one ended session of those whose turn it is, and says whose it was and what it held.
fn remove_one<T: Tables>(
    cx: &mut Cx<'_, T>,
    held: &BTreeMap<AccountId, u64>,
    owner: &AccountId,
    except: &SessionId,
) -> Result<Option<(AccountId, u64)>, TableError> {
    let total: u64 = held.values().sum();
    let people = held.values().filter(|bytes| **bytes > 0).count().max(1) as u64;
    let has_a_share = |bytes: u64| bytes >= total / people;
    let mut turn: Vec<_> = held.iter().filter(|(_, bytes)| has_a_share(**bytes)).collect();
    // Among equals, whose turn it is to make room for themselves comes first.
    turn.sort_by_key(|(person, bytes)| (Reverse(**bytes), *person != owner));
    for person in turn.into_iter().map(|(person, _)| person).chain([owner]) {
        for id in cx.tables.first_ended(person, MAX_SESSIONS_REMOVED_FOR_ROOM)? {
            if id == *except {
                continue;
            }
            let row = match cx.tables.session(&id) {
                Ok(row) => row,
                // It keeps its room, and nobody else's session from being removed.
                Err(TableError::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            let bytes = row.map_or(0, |row| row.held());
            forget(cx, &id)?;
            cx.changes.removed_for_room.push(id);
            return Ok(Some((person.clone(), bytes)));
        }
    }
    Ok(None)
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
