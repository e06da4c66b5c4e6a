//! Healthchecks: a person asks whether a worker is there (W-11).
//!
//! At most one is open per environment, so asking often costs nothing. It goes to the front of the
//! queue: behind a long queue its answer would say nothing.

use alloc::boxed::Box;
use alloc::string::ToString;

use super::cx::{Answered, Cx};
use super::presence::owned;
use super::queue::{End, dequeue_from, enqueue, enqueue_in, forget_work, new_item};
use super::worktrees;
use crate::base::id::{EnvironmentId, WorkId};
use crate::base::limits::MAX_HEALTHCHECK_KEYS;
use crate::store::committed::{Answer, StoreError};
use crate::store::record::{AccountId, Healthcheck};
use crate::store::rows::{WorkRow, WorkState};
use crate::store::tables::{TableError, Tables};
use crate::wire::audit::AuditAction;
use crate::wire::worker_api::work::WorkData;

pub(super) fn ask<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    id: &EnvironmentId,
    work: &WorkId,
    key: Option<&str>,
) -> Answered {
    let known = owned(cx, owner, id)?;
    // Nobody asks for the work of one that was made for a session.
    let known = known.filter(|known| known.made_for.is_none());
    let mut known = known.ok_or(StoreError::EnvironmentUnknown)?;
    let keys = &mut known.healthcheck_keys;
    let is_repeated = key.is_some_and(|key| keys.iter().any(|known| known == key));
    if let Some(key) = key.filter(|_| !is_repeated) {
        keys.push(key.to_string());
        let surplus = keys.len().saturating_sub(MAX_HEALTHCHECK_KEYS);
        keys.drain(..surplus);
    }
    let last = known.environment.last_healthcheck;
    let is_open = last.is_some_and(|last| last.answered_at.is_none());
    if !is_repeated && !is_open {
        let asked = Healthcheck { asked_at: cx.wall, answered_at: None };
        known.environment.last_healthcheck = Some(asked);
        if let Some(before) = known.healthcheck.replace(work.clone()) {
            forget_work(cx, &before)?;
        }
        let data = WorkData::Healthcheck(work.to_string());
        let mut item = new_item(cx, work.clone(), id.clone(), data);
        enqueue_in(cx, &mut known, &mut item, End::Front)?;
        cx.tables.put_work(item)?;
        cx.changes.environment(&known.environment);
        cx.done.push(AuditAction::HealthcheckAsked);
    }
    let answer = Answer::Environment(Box::new(known.environment.clone()));
    cx.tables.put_environment(known)?;
    Ok(answer)
}

/// The worker has answered; a second answer changes nothing.
pub(super) fn answered<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    mut work: WorkRow,
) -> Result<(), TableError> {
    if work.state == WorkState::Stopped {
        return Ok(());
    }
    let Some(mut known) = cx.tables.environment(environment)? else { return Ok(()) };
    dequeue_from(cx, &mut known, &work)?;
    work.state = WorkState::Stopped;
    cx.tables.put_work(work)?;
    if let Some(last) = &mut known.environment.last_healthcheck {
        last.answered_at = Some(cx.wall);
        cx.changes.environment(&known.environment);
    }
    cx.tables.put_environment(known)
}

/// The worker took it, or a request about a worktree, and did not answer in time, so it is asked
/// again.
pub(super) fn requeue<T: Tables>(cx: &mut Cx<'_, T>, mut work: WorkRow) -> Result<(), TableError> {
    enqueue(cx, &mut work, End::Front)?;
    worktrees::is_with_worker(cx, &work, false)?;
    cx.tables.put_work(work)
}
