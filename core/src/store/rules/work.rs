//! Work items: queued, leased, acked, renewed, handed out again (Y-2).
//!
//! ```text
//!             lease (fence + 1)         ack
//!   Queued ───────────────────▶ Leased ─────▶ Acked ──▶ Stopped
//!     ▲                           │             │
//!     └── not acked, not renewed ─┴─────────────┘
//! ```
//!
//! The fence belongs to the session, so that of a session's two items only the one handed out last
//! counts; an item without a session has its own fence. A worker that comes back before anybody
//! else has taken the item still holds it.

use alloc::boxed::Box;
use alloc::string::ToString;

use super::conversation::Conversation;
use super::cx::{Answered, Cx, Halt};
use super::environments;
use super::healthcheck;
use super::presence::mark_seen;
use super::queue::{
    End, add_item, dequeue_from, enqueue, enqueue_in, fence_of, new_item, schedule_check,
    session_of,
};
use super::result::ended;
use super::retention;
use super::sessions::end_session;
use super::worktrees;
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::limits::{DAMAGED_RETRY_AFTER, MAX_NAMED_CLAIMS};
use crate::store::committed::{Answer, Lease, StoreError};
use crate::store::rows::{ClaimRow, Due, DueRow, SessionRow, WorkRow, WorkState};
use crate::store::tables::{TableError, Tables};
use crate::wire::session::{ResultStatus, SessionResult};
use crate::wire::work_secret::AgentOptions;
use crate::wire::worker_api::work::{Interrupted, WorkData};
use crate::wire::worktree::WorktreeNote;

pub(super) fn lease<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    key: Option<&str>,
) -> Answered {
    let mut known = mark_seen(cx, environment)?;
    if let Some(key) = key
        && let Some(lease) = leased_by(cx, environment, known.claims_made, key)?
    {
        return Ok(Answer::Leased(Some(lease)));
    }
    let Some((_, id)) = cx.tables.first_queued(environment)? else {
        return Ok(Answer::Leased(None));
    };
    let Some(mut work) = cx.tables.work(&id)? else { return Ok(Answer::Leased(None)) };
    dequeue_from(cx, &mut known, &work)?;
    work.fence += 1;
    let (mut options, mut interrupted) = (None, Interrupted::Nothing);
    if let Some(id) = session_of(&work) {
        let Some(mut session) = cx.tables.session(id)? else { return Ok(Answer::Leased(None)) };
        session.fence += 1;
        work.fence = session.fence;
        options.clone_from(&session.options);
        interrupted = interrupted_in(&session);
        cx.tables.put_session(session)?;
    }
    let until = cx.now + cx.policy.ack_time;
    work.state = WorkState::Leased { until };
    schedule_check(cx, &mut work, until)?;
    if let Some(key) = key {
        known.claims_made += 1;
        let number = known.claims_made;
        let (environment, key) = (environment.clone(), key.to_string());
        let claim = ClaimRow { environment, key, number, work: id, fence: work.fence };
        cx.tables.put_claim(claim)?;
        let forgotten = number.saturating_sub(MAX_NAMED_CLAIMS as u64);
        cx.tables.delete_claims(&work.environment, forgotten)?;
    }
    cx.tables.put_environment(known)?;
    let lease = lease_of(&work, options, interrupted);
    worktrees::is_with_worker(cx, &work, true)?;
    cx.tables.put_work(work)?;
    Ok(Answer::Leased(Some(lease)))
}

/// The item handed out under this key, while that lease is in force.
fn leased_by<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    claims_made: u64,
    key: &str,
) -> Result<Option<Lease>, TableError> {
    let Some(claim) = cx.tables.claim(environment, key)? else { return Ok(None) };
    debug_assert!(
        claim.number + MAX_NAMED_CLAIMS as u64 > claims_made,
        "a claim that should have been forgotten"
    );
    let Some(work) = cx.tables.work(&claim.work)? else { return Ok(None) };
    let is_leased = matches!(work.state, WorkState::Leased { .. } | WorkState::Acked { .. });
    let counts = work.fence == claim.fence && fence_of(cx, &work)? == Some(work.fence);
    if !is_leased || !counts {
        return Ok(None);
    }
    let session = match session_of(&work) {
        Some(id) => cx.tables.session(id)?,
        None => None,
    };
    let interrupted = session.as_ref().map(interrupted_in).unwrap_or_default();
    Ok(Some(lease_of(&work, session.and_then(|session| session.options), interrupted)))
}

fn lease_of(work: &WorkRow, options: Option<AgentOptions>, interrupted: Interrupted) -> Lease {
    let options = options.map(Box::new);
    let WorkRow { id, data, worktree, fence, created_at, .. } = work.clone();
    Lease { work: id, data, worktree, options, interrupted, fence, created_at }
}

/// What a session's agent is at, as far as its log says.
fn interrupted_in(row: &SessionRow) -> Interrupted {
    match &row.session {
        session if !session.pending.is_empty() => Interrupted::Question,
        session if session.is_working => Interrupted::Turn,
        _ => Interrupted::Nothing,
    }
}

pub(super) fn give_back<T: Tables>(cx: &mut Cx<'_, T>, id: &WorkId, fence: u64) -> Answered {
    let leased = cx.tables.work(id)?;
    let is_leased =
        |work: &WorkRow| matches!(work.state, WorkState::Leased { .. }) && work.fence == fence;
    let Some(mut work) = leased.filter(is_leased) else { return Ok(Answer::Done) };
    let session = match session_of(&work) {
        Some(session) => cx.tables.session(session)?,
        None => None,
    };
    if session.is_some_and(|session| session.works.last() != Some(id)) {
        // A newer item is queued already, and only one of the two may be handed out.
        work.state = WorkState::Stopped;
    } else {
        enqueue(cx, &mut work, End::Front)?;
        worktrees::is_with_worker(cx, &work, false)?;
    }
    cx.tables.put_work(work)?;
    Ok(Answer::Done)
}

/// An item, if it belongs to this environment.
fn own<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    id: &WorkId,
) -> Result<WorkRow, Halt> {
    let work = cx.tables.work(id)?.filter(|work| work.environment == *environment);
    Ok(work.ok_or(StoreError::WorkUnknown)?)
}

pub(super) fn renew<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    id: &WorkId,
    fence: u64,
) -> Answered {
    let mut known = mark_seen(cx, environment)?;
    let mut work = own(cx, environment, id)?;
    let mut conversation = match session_of(&work) {
        Some(id) => Some(Conversation::load(cx, id)?.ok_or(StoreError::WorkUnknown)?),
        None => None,
    };
    if work.state == WorkState::Stopped {
        let denied = match conversation {
            Some(conversation) if conversation.row.session.result.is_some() => {
                StoreError::SessionEnded
            }
            // It expired when a newer item was queued already.
            Some(_) => StoreError::LeaseLost,
            None => StoreError::WorkUnknown,
        };
        return Err(denied.into());
    }
    let counts = conversation.as_ref().map_or(work.fence, |conversation| conversation.row.fence);
    if fence == 0 || work.fence != fence || counts != fence {
        return Err(StoreError::LeaseLost.into());
    }
    if matches!(work.state, WorkState::Queued { .. }) {
        dequeue_from(cx, &mut known, &work)?;
        cx.tables.put_environment(known)?;
        worktrees::is_with_worker(cx, &work, true)?;
    }
    let until = cx.now + cx.policy.lease_time;
    work.state = WorkState::Acked { until };
    schedule_check(cx, &mut work, until)?;
    cx.tables.put_work(work)?;
    let is_stopping =
        conversation.as_ref().is_some_and(|conversation| conversation.row.session.is_stopping);
    if let Some(conversation) = &mut conversation {
        conversation.resume_after_lapse(cx)?;
    }
    if let Some(conversation) = conversation {
        conversation.save(cx)?;
    }
    Ok(Answer::Renewed { is_stopping })
}

pub(super) fn stop<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    id: &WorkId,
    fence: u64,
    result: &SessionResult,
    worktree: Option<&WorktreeNote>,
) -> Answered {
    mark_seen(cx, environment)?;
    let work = own(cx, environment, id)?;
    let in_force = fence_of(cx, &work)?.ok_or(StoreError::WorkUnknown)?;
    let means_in_force = fence == 0 || fence == in_force;
    if in_force == 0 || work.fence != in_force || !means_in_force {
        return Err(StoreError::LeaseLost.into());
    }
    match session_of(&work) {
        Some(session) => end_session(cx, session, result.clone())?,
        None if work.worktree.is_some() => worktrees::answered(cx, environment, &work, worktree)?,
        None => healthcheck::answered(cx, environment, work)?,
    }
    Ok(Answer::Done)
}

pub(super) fn redispatch<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    session: &SessionId,
    work: &WorkId,
) -> Answered {
    let mut known = mark_seen(cx, environment)?;
    let row = cx.tables.session(session)?;
    let row = row.filter(|row| row.session.environment == *environment);
    let mut row = row.ok_or(StoreError::SessionUnknown)?;
    if row.session.result.is_some() {
        return Err(StoreError::SessionEnded.into());
    }
    if row.is_code() {
        return Err(StoreError::LeaseLost.into());
    }
    for id in &row.works {
        let item = cx.tables.work(id)?;
        if item.is_some_and(|item| matches!(item.state, WorkState::Queued { .. })) {
            return Ok(Answer::Done);
        }
    }
    let data = WorkData::Session(session.clone());
    let mut item = new_item(cx, work.clone(), environment.clone(), data);
    // It goes first: its worker may have no room for anything else.
    enqueue_in(cx, &mut known, &mut item, End::Front)?;
    cx.tables.put_environment(known)?;
    cx.tables.put_work(item)?;
    add_item(cx, &mut row.works, work.clone())?;
    cx.tables.put_session(row)?;
    Ok(Answer::Done)
}

pub(super) fn lapse<T: Tables>(cx: &mut Cx<'_, T>) -> Answered {
    while let Some(due) = cx.tables.first_due()? {
        if due.at > cx.now {
            break;
        }
        cx.tables.delete_due(&due)?;
        let lapsed = match due.what.clone() {
            Due::Environment(id) => environments::lapse(cx, id),
            Due::Work(id) => lapse_item(cx, &id),
            Due::Session(id) => retention::lapse(cx, &id),
        };
        match lapsed {
            // It must not hold up all the others.
            Err(TableError::Damaged { .. }) => {
                let at = cx.now + DAMAGED_RETRY_AFTER;
                cx.tables.put_due(DueRow { at, what: due.what })?;
            }
            lapsed => lapsed?,
        }
    }
    Ok(Answer::Done)
}

/// Checks whether an item's lease has expired. The caller has removed it from the due index.
fn lapse_item<T: Tables>(cx: &mut Cx<'_, T>, id: &WorkId) -> Result<(), TableError> {
    let Some(mut work) = cx.tables.work(id)? else { return Ok(()) };
    work.watched_at = None;
    let (WorkState::Leased { until } | WorkState::Acked { until }) = work.state else {
        return cx.tables.put_work(work);
    };
    if until > cx.now {
        schedule_check(cx, &mut work, until)?;
        return cx.tables.put_work(work);
    }
    let Some(session) = session_of(&work) else { return healthcheck::requeue(cx, work) };
    let Some(mut conversation) = Conversation::load(cx, session)? else {
        return cx.tables.put_work(work);
    };
    if conversation.row.fence != work.fence {
        // A newer item of the session has been handed out, so this one is finished.
        work.state = WorkState::Stopped;
        return cx.tables.put_work(work);
    }
    if conversation.row.session.is_stopping {
        let session = session.clone();
        cx.tables.put_work(work)?;
        let message = "its worker did not confirm the stop before its lease ran out";
        return end_session(cx, &session, ended(ResultStatus::Lost, message));
    }
    let is_replaced = conversation.row.works.last() != Some(id);
    conversation.wait_for_worker(cx)?;
    conversation.save(cx)?;
    if is_replaced {
        work.state = WorkState::Stopped;
    } else {
        enqueue(cx, &mut work, End::Back)?;
    }
    cx.tables.put_work(work)
}
