//! When environments were last heard from.

use super::cx::{Cx, Halt};
use crate::base::id::EnvironmentId;
use crate::store::clock::StoreTime;
use crate::store::committed::StoreError;
use crate::store::record::AccountId;
use crate::store::rows::{Due, DueRow, EnvironmentRow};
use crate::store::tables::{TableError, Tables};

/// An environment, if it belongs to this account.
pub(super) fn owned<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    id: &EnvironmentId,
) -> Result<Option<EnvironmentRow>, TableError> {
    Ok(cx.tables.environment(id)?.filter(|known| known.environment.owner == *owner))
}

/// Records a sign of life, which counts even if the rest is denied.
pub(super) fn mark_seen<T: Tables>(
    cx: &mut Cx<'_, T>,
    id: &EnvironmentId,
) -> Result<EnvironmentRow, Halt> {
    let mut known = cx.tables.environment(id)?.ok_or(StoreError::EnvironmentUnknown)?;
    let was_online = known.environment.is_online;
    touch(cx, &mut known);
    if !was_online {
        schedule_check(cx, &mut known)?;
        cx.changes.environment(&known.environment);
    }
    cx.tables.put_environment(known.clone())?;
    Ok(known)
}

/// It was heard from just now. The caller writes its row.
pub(super) fn touch<T>(cx: &Cx<'_, T>, known: &mut EnvironmentRow) {
    known.last_seen = cx.now;
    known.environment.last_seen_at = cx.wall;
    known.environment.is_online = true;
}

/// Schedules its next check. One that is back online is checked when it would go offline, not only
/// when it would lapse.
pub(super) fn schedule_check<T: Tables>(
    cx: &mut Cx<'_, T>,
    known: &mut EnvironmentRow,
) -> Result<(), TableError> {
    let what = Due::Environment(known.environment.id.clone());
    let before = DueRow { at: known.watched_at, what };
    cx.tables.delete_due(&before)?;
    known.watched_at = next_due(cx, known);
    cx.tables.put_due(DueRow { at: known.watched_at, ..before })
}

/// When it lapses unless it is heard from.
pub(super) fn lapses_at<T>(cx: &Cx<'_, T>, known: &EnvironmentRow) -> StoreTime {
    known.last_seen + cx.policy.silence(known.environment.active_sessions)
}

/// When to check it next: when it would go offline, then when it would lapse.
pub(super) fn next_due<T>(cx: &Cx<'_, T>, known: &EnvironmentRow) -> StoreTime {
    let offline = known.last_seen + cx.policy.offline_after;
    if offline > cx.now { offline } else { lapses_at(cx, known) }
}
