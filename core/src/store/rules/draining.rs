//! Workers that take no more sessions: what is queued for them says so (W-9).

use super::cx::{Answered, Cx};
use super::presence::mark_seen;
use crate::base::id::EnvironmentId;
use crate::store::committed::Answer;
use crate::store::tables::{TableError, Tables};
use crate::wire::session::SessionState;

/// A worker takes no more sessions, until it registers again.
pub(super) fn begin<T: Tables>(cx: &mut Cx<'_, T>, id: &EnvironmentId) -> Answered {
    let mut known = mark_seen(cx, id)?;
    if !known.environment.is_draining {
        known.environment.is_draining = true;
        cx.changes.environment(&known.environment);
        cx.tables.put_environment(known)?;
        mark_sessions(cx, id, true)?;
    }
    Ok(Answer::Done)
}

/// Its sessions are marked, those that run as well: they may be queued again.
pub(super) fn mark_sessions<T: Tables>(
    cx: &mut Cx<'_, T>,
    id: &EnvironmentId,
    is_draining: bool,
) -> Result<(), TableError> {
    for session in cx.tables.live_sessions(id)? {
        let Some(mut row) = cx.tables.session(&session)? else { continue };
        row.session.is_worker_draining = is_draining;
        if row.session.state == SessionState::Queued {
            cx.changes.session(&row.session);
        }
        cx.tables.put_session(row)?;
    }
    Ok(())
}
