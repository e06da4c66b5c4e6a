//! Work items: given, taken, kept, ended (E-3 to E-6, W-8).

use alloc::boxed::Box;
use alloc::format;

use crate::base::id::{EnvironmentId, OpId, SessionId, WorkId};
use crate::base::limits::STDERR_TAIL_BYTES;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{body, optional_body};
use crate::relay::http::response;
use crate::relay::pending::{Claim, Pending, WorkerCall};
use crate::relay::tokens::{Audience, Claims};
use crate::store::{Lease, StoreError, StoreOp};
use crate::wire::session::{ResultStatus, SessionResult};
use crate::wire::work_secret::WorkSecret;
use crate::wire::worker_api::work::{Fence, Heartbeat, LeaseState, StopWork, WorkData, WorkItem};
use crate::wire::worktree::WorktreeNote;

/// A call of the worker that holds a lease; `then` makes its operation from the lease's fence.
pub(super) fn with_lease(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    claims: &Claims,
    call: WorkerCall,
    then: impl FnOnce(u64) -> StoreOp,
) -> Result<(), ApiError> {
    let fence = fence_of(request, claims)?;
    cx.store(Pending::WorkerCall { op, call }, then(fence));
    Ok(())
}

/// The lease that a call is about: the one its token was issued for. A worker that repeats its
/// fence has it checked; one that knows no fences says 0, or nothing at all (E-4).
fn fence_of(request: &IncomingRequest, claims: &Claims) -> Result<u64, ApiError> {
    let Fence { fence } = optional_body(request)?.unwrap_or(Fence { fence: 0 });
    if fence == 0 || fence == claims.fence {
        Ok(claims.fence)
    } else {
        Err(StoreError::LeaseLost.into())
    }
}

pub(super) fn renewed(cx: &Cx, is_stopping: bool) -> Response {
    let state = if is_stopping { LeaseState::Stopping } else { LeaseState::Running };
    let lease_seconds = Some(cx.shared.config.policy.lease_time.as_secs());
    response::json(200, &Heartbeat { lease_extended: true, state, lease_seconds })
}

pub(super) fn stop(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    environment: EnvironmentId,
    work: WorkId,
) -> Result<(), ApiError> {
    let nothing_said = StopWork { fence: 0, force: false, result: None, worktree: None };
    let StopWork { fence, force, result, worktree } =
        optional_body(request)?.unwrap_or(nothing_said);
    let worktree = worktree.map(|note| Box::new(note.bounded()));
    let result = Box::new(bounded_result(result, force)?);
    let call = WorkerCall::StopWork;
    let stop = StoreOp::StopWork { environment, work, fence, result, worktree };
    cx.store(Pending::WorkerCall { op, call }, stop);
    Ok(())
}

pub(super) fn redispatch(
    cx: &mut Cx,
    op: OpId,
    environment: EnvironmentId,
    session: SessionId,
) -> Result<(), ApiError> {
    let work = cx.shared.authority.issuer.work_id()?;
    let call = WorkerCall::Redispatch;
    let redispatch = StoreOp::Redispatch { environment, session, work };
    cx.store(Pending::WorkerCall { op, call }, redispatch);
    Ok(())
}

/// A worker says what has become of a worktree (W-5).
pub(super) fn note_worktree(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    environment: EnvironmentId,
) -> Result<(), ApiError> {
    let note = Box::new(body::<WorktreeNote>(request)?.bounded());
    let call = WorkerCall::NoteWorktree;
    cx.store(Pending::WorkerCall { op, call }, StoreOp::NoteWorktree { environment, note });
    Ok(())
}

/// A leased item as its worker receives it (E-3).
pub(super) fn item(cx: &Cx, claim: &Claim, lease: &Lease) -> WorkItem {
    let now = cx.wall();
    let config = &cx.shared.config;
    let claims = Claims {
        audience: Some(Audience::Session),
        session: match &lease.data {
            WorkData::Session(id) => Some(id.clone()),
            WorkData::Healthcheck(_) => None,
        },
        environment: claim.environment.clone(),
        work: lease.work.clone(),
        fence: lease.fence,
        iat: now.as_secs(),
        exp: (now + config.session_token_life).as_secs(),
    };
    let token = cx.shared.authority.issuer.session_token(&claims);
    let options = lease.options.as_deref().cloned().unwrap_or_default();
    let mut secret = WorkSecret::new(token, claim.base_url.clone()).with_options(options);
    secret.use_code_sessions = config.use_code_sessions;
    WorkItem {
        id: lease.work.clone(),
        kind: "work".into(),
        environment_id: claim.environment.clone(),
        state: "leased".into(),
        data: lease.data.clone(),
        secret: secret.encode(),
        created_at: format!("{}", lease.created_at),
        fence: lease.fence,
        lease_seconds: Some(config.policy.lease_time.as_secs()),
        worktree: lease.worktree.clone(),
        interrupted: lease.interrupted,
    }
}

/// A worker's result with its texts cut to a bounded length. Without one, nothing is known but what
/// `force` says.
pub(in crate::relay) fn bounded_result(
    result: Option<SessionResult>,
    force: bool,
) -> Result<SessionResult, ApiError> {
    let Some(mut result) = result else {
        let status = if force { ResultStatus::Interrupted } else { ResultStatus::Lost };
        return Ok(crate::store::ended(status, "its worker reported its end without a result"));
    };
    if result.status == ResultStatus::Lost {
        return Err(ApiError::invalid("result.status: only the relay says that a session is lost"));
    }
    result.message = result.message.chars().take(STDERR_TAIL_BYTES).collect();
    let surplus = result.stderr.len().saturating_sub(STDERR_TAIL_BYTES);
    let start = (surplus..=result.stderr.len()).find(|at| result.stderr.is_char_boundary(*at));
    result.stderr.drain(..start.unwrap_or(0));
    Ok(result)
}
