//! A worker that restarts takes its environment up again (W-13).
//!
//! Nothing of its previous run is left: its leases and links end immediately instead of lapsing,
//! and its sessions are queued again, ahead of those that no worker has had yet.

use alloc::vec::Vec;

use super::conversation::Conversation;
use super::cx::Cx;
use super::queue::{End, cancel_check, enqueue, session_of};
use super::result::ended;
use super::sessions::end_session;
use super::{healthcheck, presence};
use super::{questions, requests};
use crate::base::id::{EnvironmentId, WorkId};
use crate::store::record::AccountId;
use crate::store::rows::{EnvironmentRow, WorkRow, WorkState};
use crate::store::tables::{TableError, Tables};
use crate::wire::session::ResultStatus;
use crate::wire::worker_api::environment::Registration;

/// Why questions are withdrawn that an agent of the previous run has asked.
const ASKER_ENDED: &str = "the agent that asked ended when its worker restarted";
/// Why requests stay unanswered that an agent of the previous run has had.
const ASKED_ENDED: &str = "the agent that had them ended when its worker restarted";

/// The environment that a registration continues: the one that it names, or else the one that the
/// same worker has, if the answer to its registration was lost.
pub(super) fn known<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    registration: &Registration,
) -> Result<Option<EnvironmentRow>, TableError> {
    if let Some(id) = &registration.environment_id
        && let Some(known) = presence::owned(cx, owner, id)?.filter(takes_work)
    {
        return Ok(Some(known));
    }
    let Some(worker) = &registration.worker_id else { return Ok(None) };
    let own = cx.tables.environments(owner)?;
    let same = own.iter().find(|own| own.registration.worker_id.as_ref() == Some(worker));
    match same {
        Some(same) => Ok(cx.tables.environment(&same.id)?.filter(takes_work)),
        None => Ok(None),
    }
}

/// An environment that was made for a session is nobody else's (C-1).
fn takes_work(known: &EnvironmentRow) -> bool {
    known.made_for.is_none()
}

/// Which run of an environment's worker a registration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// The one that registered last; or it does not say.
    Same,
    Later,
    /// One that is over: its request was delayed, or it has not noticed.
    Earlier,
}

impl Run {
    pub(super) fn of(before: &Registration, now: &Registration) -> Self {
        match (before.worker_run, now.worker_run) {
            (_, None) => Self::Same,
            (Some(_), Some(_)) if before.worker_id != now.worker_id => Self::Later,
            (before, Some(now)) if before.is_none_or(|before| before < now) => Self::Later,
            (before, now) if before == now => Self::Same,
            _ => Self::Earlier,
        }
    }
}

/// Ends what the previous run of an environment's worker held. The environment's row must have
/// been written.
pub(super) fn take_over<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
) -> Result<(), TableError> {
    for id in cx.tables.works_of(environment)? {
        let Some(mut work) = cx.tables.work(&id)? else { continue };
        let is_held = matches!(work.state, WorkState::Leased { .. } | WorkState::Acked { .. });
        if is_held && session_of(&work).is_none() {
            cancel_check(cx, &mut work)?;
            healthcheck::requeue(cx, work)?;
        }
    }
    let mut sessions = Vec::new();
    for id in cx.tables.live_sessions(environment)? {
        sessions.extend(Conversation::load(cx, &id)?);
    }
    // Each goes to the front, so the oldest ends up first.
    sessions.sort_by_key(|session| core::cmp::Reverse(session.row.session.ordinal));
    for session in sessions {
        take_over_session(cx, session)?;
    }
    Ok(())
}

fn take_over_session<T: Tables>(
    cx: &mut Cx<'_, T>,
    mut session: Conversation,
) -> Result<(), TableError> {
    if session.row.fence == 0 {
        // No worker has had it.
        return Ok(());
    }
    // Whatever is left of the previous run holds neither a lease nor a link from now on.
    session.row.fence += 1;
    session.row.link += 1;
    if session.row.session.is_stopping {
        let id = session.id().clone();
        session.save(cx)?;
        let message = "its worker restarted before it confirmed the stop";
        return end_session(cx, &id, ended(ResultStatus::Lost, message));
    }
    questions::withdraw_all(cx, &mut session, ASKER_ENDED)?;
    let had = session.row.inbound.acked;
    requests::give_up(cx, &mut session, had, ASKED_ENDED)?;
    session.wait_for_worker(cx)?;
    let works = session.row.works.clone();
    session.save(cx)?;
    requeue(cx, &works)
}

/// Queues the newest of a session's items, unless it is queued already, and stops the others.
fn requeue<T: Tables>(cx: &mut Cx<'_, T>, works: &[WorkId]) -> Result<(), TableError> {
    for (at, id) in works.iter().enumerate() {
        let Some(mut work) = cx.tables.work(id)? else { continue };
        let WorkRow { state: WorkState::Leased { .. } | WorkState::Acked { .. }, .. } = work else {
            continue;
        };
        cancel_check(cx, &mut work)?;
        if at + 1 == works.len() {
            enqueue(cx, &mut work, End::Front)?;
        } else {
            work.state = WorkState::Stopped;
        }
        cx.tables.put_work(work)?;
    }
    Ok(())
}
