//! Environments come and go (E-1, E-7).

use alloc::boxed::Box;

use crate::base::id::{EnvironmentId, OpId, SessionId};
use crate::base::limits::{MAX_ID_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES};
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{body, bounded};
use crate::relay::http::response;
use crate::relay::notice::RelayNotice;
use crate::relay::pending::{Pending, WorkerCall};
use crate::store::{AccountId, Environment, StoreOp};
use crate::wire::worker_api::environment::{Registered, Registration};

pub(in crate::relay) fn register(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
) -> Result<(), ApiError> {
    let registration: Box<Registration> = Box::new(body(request)?);
    check(&registration)?;
    let id = cx.shared.authority.issuer.environment_id()?;
    let call = WorkerCall::Register;
    let device = cx.shared.devices.of(op).map(|acting| acting.device.clone());
    let register = StoreOp::RegisterEnvironment { owner, id, registration, device };
    cx.store(Pending::WorkerCall { op, call }, register);
    Ok(())
}

pub(super) fn registered(
    cx: &mut Cx,
    environment: &Environment,
    sessions: &[SessionId],
) -> Response {
    let id = &environment.id;
    let environment_secret = cx.shared.authority.issuer.environment_secret(id);
    cx.notify(RelayNotice::EnvironmentRegistered {
        environment: id.clone(),
        machine_name: environment.registration.machine_name.clone(),
    });
    let sessions = sessions.to_vec();
    let environment_id = id.clone();
    let registered = Registered {
        environment_id,
        environment_secret,
        sessions,
        proves: true,
        work_stream: true,
    };
    response::json(200, &registered)
}

pub(super) fn deregister(cx: &mut Cx, op: OpId, id: EnvironmentId) {
    let call = WorkerCall::Deregister;
    cx.store(Pending::WorkerCall { op, call }, StoreOp::RemoveEnvironment { id });
}

/// Its worker takes no more sessions.
pub(super) fn drain(cx: &mut Cx, op: OpId, id: EnvironmentId) {
    let call = WorkerCall::Drain;
    cx.store(Pending::WorkerCall { op, call }, StoreOp::DrainEnvironment { id });
}

fn check(registration: &Registration) -> Result<(), ApiError> {
    let Registration { machine_name, directory, branch, git_repo_url, max_sessions, .. } =
        registration;
    bounded("machine_name", machine_name, MAX_NAME_BYTES)?;
    bounded("directory", directory, MAX_PATH_BYTES)?;
    bounded("branch", branch.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    bounded("git_repo_url", git_repo_url.as_deref().unwrap_or_default(), MAX_PATH_BYTES)?;
    bounded("metadata.worker_type", &registration.metadata.worker_type, MAX_NAME_BYTES)?;
    let worker_id = registration.worker_id.as_deref().unwrap_or_default();
    bounded("worker_id", worker_id, MAX_ID_BYTES)?;
    if *max_sessions == 0 {
        return Err(ApiError::invalid("max_sessions must be at least 1"));
    }
    Ok(())
}
