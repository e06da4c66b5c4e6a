//! What people do with sessions as entries of a list: name them, put them away, delete them (U-5).

use alloc::boxed::Box;
use alloc::string::String;

use super::conversation::own;
use super::cx::{Answered, Cx};
use super::retention;
use crate::base::id::SessionId;
use crate::store::committed::{Answer, StoreError};
use crate::store::record::AccountId;
use crate::store::tables::Tables;
use crate::wire::audit::AuditAction;
use crate::wire::session::SessionState;

/// A title that a person gives wins over any other; an empty one gives the next message its turn.
pub(super) fn change<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    id: &SessionId,
    title: Option<&str>,
    archived: Option<bool>,
) -> Answered {
    let mut row = own(cx, owner, id)?;
    let before = row.session.clone();
    if let Some(title) = title {
        row.session.title = (!title.is_empty()).then(|| String::from(title));
        row.is_renamed = true;
    }
    if let Some(archived) = archived {
        row.session.is_archived = archived;
    }
    let answer = Answer::Session(Box::new(row.session.clone()));
    if row.session.title != before.title {
        cx.done.push(AuditAction::SessionRenamed);
    }
    match (before.is_archived, row.session.is_archived) {
        (false, true) => cx.done.push(AuditAction::SessionArchived),
        (true, false) => cx.done.push(AuditAction::SessionUnarchived),
        _ => {}
    }
    if row.session != before {
        cx.changes.session(&row.session);
    }
    cx.tables.put_session(row)?;
    Ok(answer)
}

/// Only of a session that has ended; and not while it says where a worktree is with work in it that
/// nobody has decided about.
pub(super) fn delete<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId, id: &SessionId) -> Answered {
    let session = own(cx, owner, id)?.session;
    if session.state != SessionState::Ended {
        return Err(StoreError::SessionRuns.into());
    }
    match session.worktree {
        Some(kept) if kept.request.is_some() => return Err(StoreError::WorktreeBusy.into()),
        Some(kept) if !kept.dismissed => return Err(StoreError::WorktreeKept.into()),
        _ => {}
    }
    retention::forget(cx, id)?;
    cx.done.push(AuditAction::SessionDeleted);
    Ok(Answer::Done)
}
