//! Environments: registered, seen, lapsed, removed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::cx::{Answered, Cx, Halt};
use super::draining;
use super::presence::{lapses_at, next_due, owned, schedule_check, touch};
use super::removal;
use super::result::ended;
use super::sessions::end_session_as;
use super::takeover::{self, Run};
use crate::base::id::{DeviceId, EnvironmentId, SessionId};
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::record::{AccountId, Environment};
use crate::store::rows::{Due, DueRow, EnvironmentRow, QueueEnds, SessionFilter};
use crate::store::tables::{TableError, Tables};
use crate::wire::session::ResultStatus;
use crate::wire::viewer::Stage;
use crate::wire::worker_api::environment::Registration;

/// Who registers an environment.
pub(super) struct Registering<'a> {
    pub(super) owner: &'a AccountId,
    pub(super) device: Option<&'a DeviceId>,
}

pub(super) fn register<T: Tables>(
    cx: &mut Cx<'_, T>,
    registering: &Registering<'_>,
    id: &EnvironmentId,
    registration: &Registration,
) -> Answered {
    let Registering { owner, device } = registering;
    if let Some(mut known) = takeover::known(cx, owner, registration)? {
        known.device = device.cloned();
        return register_again(cx, known, registration);
    }
    let known = add(cx, registering, id, registration)?;
    let environment = Box::new(known.environment.clone());
    cx.changes.environment(&known.environment);
    cx.tables.put_environment(known)?;
    Ok(Answer::Registered { environment, sessions: Vec::new() })
}

/// A new environment. The caller writes its row.
pub(super) fn add<T: Tables>(
    cx: &mut Cx<'_, T>,
    registering: &Registering<'_>,
    id: &EnvironmentId,
    registration: &Registration,
) -> Result<EnvironmentRow, Halt> {
    let Registering { owner, device } = registering;
    if cx.tables.count_environments(None)? >= cx.policy.max_environments {
        return Err(StoreError::Limit(Limit::Environments).into());
    }
    if cx.tables.count_environments(Some(owner))? >= cx.policy.environments_per_person {
        return Err(StoreError::Limit(Limit::EnvironmentsOfPerson).into());
    }
    let environment = Environment {
        id: id.clone(),
        owner: (*owner).clone(),
        registration: registration.clone(),
        active_sessions: 0,
        is_online: true,
        is_draining: false,
        created_at: cx.wall,
        last_seen_at: cx.wall,
        last_healthcheck: None,
    };
    let mut known = EnvironmentRow {
        environment,
        last_seen: cx.now,
        watched_at: cx.now,
        queue: QueueEnds::default(),
        claims_made: 0,
        healthcheck: None,
        healthcheck_keys: Vec::new(),
        device: device.cloned(),
        made_for: None,
    };
    known.watched_at = next_due(cx, &known);
    cx.tables.put_due(DueRow { at: known.watched_at, what: Due::Environment(id.clone()) })?;
    Ok(known)
}

fn register_again<T: Tables>(
    cx: &mut Cx<'_, T>,
    mut known: EnvironmentRow,
    registration: &Registration,
) -> Answered {
    let id = known.environment.id.clone();
    let before = &known.environment.registration;
    let run = Run::of(before, registration);
    if run == Run::Earlier {
        return Err(StoreError::WorkerReplaced.into());
    }
    let mut registration = registration.clone();
    if registration.worker_run.is_none() {
        registration.worker_id.clone_from(&before.worker_id);
        registration.worker_run = before.worker_run;
    }
    known.environment.registration = registration;
    touch(cx, &mut known);
    let was_draining = core::mem::take(&mut known.environment.is_draining);
    schedule_check(cx, &mut known)?;
    cx.changes.environment(&known.environment);
    cx.tables.put_environment(known)?;
    if was_draining {
        draining::mark_sessions(cx, &id, false)?;
    }
    if run == Run::Later {
        takeover::take_over(cx, &id)?;
    }
    let known = cx.tables.environment(&id)?.ok_or(StoreError::EnvironmentUnknown)?;
    let environment = Box::new(known.environment);
    Ok(Answer::Registered { environment, sessions: cx.tables.live_sessions(&id)? })
}

pub(super) fn remove<T: Tables>(cx: &mut Cx<'_, T>, id: &EnvironmentId) -> Answered {
    let known = cx.tables.environment(id)?.ok_or(StoreError::EnvironmentUnknown)?;
    drop_environment(cx, &known, ResultStatus::Failed, "its worker has shut down")?;
    Ok(Answer::Done)
}

pub(super) fn find<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: Option<&EnvironmentId>,
    session: Option<&SessionId>,
) -> Answered {
    if let Some(id) = environment
        && cx.tables.environment(id)?.is_none()
    {
        return Err(StoreError::EnvironmentUnknown.into());
    }
    if let Some(id) = session
        && cx.tables.session(id)?.is_none()
    {
        return Err(StoreError::SessionUnknown.into());
    }
    Ok(Answer::Done)
}

pub(super) fn get<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    id: &EnvironmentId,
) -> Answered {
    let known = owned(cx, owner, id)?.ok_or(StoreError::EnvironmentUnknown)?;
    Ok(Answer::Environment(Box::new(known.environment)))
}

pub(super) fn list<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Answered {
    let environments = cx.tables.environments(owner)?;
    let limit = cx.policy.listed_sessions;
    let filter = SessionFilter { owner, environment: None, before: u64::MAX, limit };
    let sessions = cx.tables.newest_sessions(filter)?;
    Ok(Answer::Overview { environments, sessions })
}

/// Removes the environments that a device has registered: their secrets end with it.
pub(super) fn remove_of_device<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    device: &DeviceId,
) -> Result<(), TableError> {
    for environment in cx.tables.environments(owner)? {
        let known = cx.tables.environment(&environment.id)?;
        if let Some(known) = known.filter(|known| known.device.as_ref() == Some(device)) {
            let message = "the log-in of its worker was revoked";
            drop_environment(cx, &known, ResultStatus::Failed, message)?;
        }
    }
    Ok(())
}

/// Removes all environments of an account.
pub(super) fn remove_all<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
) -> Result<(), TableError> {
    for environment in cx.tables.environments(owner)? {
        if let Some(known) = cx.tables.environment(&environment.id)? {
            let message = "the account that it belongs to was removed";
            drop_environment(cx, &known, ResultStatus::Failed, message)?;
        }
    }
    Ok(())
}

/// Checks whether an environment has been silent for too long. The caller has removed it from the
/// due index.
pub(super) fn lapse<T: Tables>(cx: &mut Cx<'_, T>, id: EnvironmentId) -> Result<(), TableError> {
    let Some(mut known) = cx.tables.environment(&id)? else { return Ok(()) };
    if lapses_at(cx, &known) <= cx.now {
        let message = "its worker has not been heard from for too long";
        return drop_environment(cx, &known, ResultStatus::Lost, message);
    }
    let is_online = known.last_seen + cx.policy.offline_after > cx.now;
    if known.environment.is_online != is_online {
        known.environment.is_online = is_online;
        cx.changes.environment(&known.environment);
    }
    known.watched_at = next_due(cx, &known);
    cx.tables.put_due(DueRow { at: known.watched_at, what: Due::Environment(id) })?;
    cx.tables.put_environment(known)
}

fn drop_environment<T: Tables>(
    cx: &mut Cx<'_, T>,
    known: &EnvironmentRow,
    status: ResultStatus,
    message: &str,
) -> Result<(), TableError> {
    let Environment { id, .. } = &known.environment;
    let is_lapsed = status == ResultStatus::Lost;
    let undelivered = if is_lapsed { Stage::Expired } else { Stage::Undelivered };
    for session in cx.tables.live_sessions(id)? {
        end_session_as(cx, &session, ended(status, message), undelivered)?;
    }
    let Some(known) = &cx.tables.environment(id)? else {
        // It was its session's, and went with it.
        return Ok(());
    };
    removal::forget(cx, known, message)
}
