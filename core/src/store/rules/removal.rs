//! What goes once nothing needs it any more.

use super::cx::Cx;
use super::queue::forget_work;
use super::worktrees;
use crate::store::record::Environment;
use crate::store::rows::{Due, DueRow, EnvironmentRow};
use crate::store::tables::{TableError, Tables};

/// Removes an environment that has no live sessions, and with it what waits for its worker.
pub(super) fn forget<T: Tables>(
    cx: &mut Cx<'_, T>,
    known: &EnvironmentRow,
    why: &str,
) -> Result<(), TableError> {
    let Environment { id, owner, .. } = &known.environment;
    for item in cx.tables.works_of(id)? {
        worktrees::worker_gone(cx, &item, why)?;
        forget_work(cx, &item)?;
    }
    cx.tables.delete_due(&DueRow { at: known.watched_at, what: Due::Environment(id.clone()) })?;
    cx.tables.delete_environment(id)?;
    cx.changes.environments.retain(|environment| environment.id != *id);
    cx.changes.environments_gone.push((owner.clone(), id.clone()));
    Ok(())
}
