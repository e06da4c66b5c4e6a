//! The workers' side: register, poll, lease, end (E). Each call becomes one store operation, whose
//! answer comes back to [`response`].

pub(in crate::relay) mod environments;
pub(in crate::relay) mod polls;
pub(in crate::relay) mod work;
pub(in crate::relay) mod work_streams;

pub(in crate::relay) use self::work::bounded_result;
use super::cx::Cx;
use super::http::error::ApiError;
use super::http::response;
use super::http::route::Route;
use super::pending::WorkerCall;
use super::tokens::Claims;
use crate::base::id::OpId;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::store::{Answer, StoreOp};

/// A call that an environment's secret authorises.
pub(in crate::relay) fn serve(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    route: Route,
) -> Result<(), ApiError> {
    match route {
        Route::Poll(environment) => polls::poll(cx, op, request, environment),
        Route::StopWork(environment, id) => work::stop(cx, op, request, environment, id),
        Route::NoteWorktree(environment) => work::note_worktree(cx, op, request, environment),
        Route::Redispatch(environment, session) => work::redispatch(cx, op, environment, session),
        Route::Drain(id) => {
            environments::drain(cx, op, id);
            Ok(())
        }
        Route::Deregister(id) => {
            environments::deregister(cx, op, id);
            Ok(())
        }
        _ => Err(ApiError::forbidden()),
    }
}

/// A call that a session's token authorises.
pub(in crate::relay) fn serve_lease(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    route: Route,
    claims: &Claims,
) -> Result<(), ApiError> {
    match route {
        Route::Ack(environment, work) => {
            let ack = |fence| StoreOp::AckWork { environment, work, fence };
            work::with_lease(cx, op, request, claims, WorkerCall::Ack, ack)
        }
        Route::Heartbeat(..)
            if claims.session.as_ref().is_some_and(|id| cx.shared.stops.has(id)) =>
        {
            let response = work::renewed(cx, true);
            cx.reply(op, response);
            Ok(())
        }
        Route::Heartbeat(environment, work) => {
            let renew = |fence| StoreOp::RenewLease { environment, work, fence };
            work::with_lease(cx, op, request, claims, WorkerCall::Heartbeat, renew)
        }
        _ => Err(ApiError::forbidden()),
    }
}

/// The answer to a worker whose call the store has carried out.
pub(in crate::relay) fn response(cx: &mut Cx, call: WorkerCall, answer: &Answer) -> Response {
    match (call, answer) {
        (WorkerCall::Register, Answer::Registered { environment, sessions }) => {
            environments::registered(cx, environment, sessions)
        }
        (WorkerCall::Deregister | WorkerCall::StopWork, Answer::Done) => response::state("stopped"),
        (WorkerCall::NoteWorktree, Answer::Done) => response::state("noted"),
        (WorkerCall::Drain, Answer::Done) => response::state("draining"),
        (WorkerCall::Redispatch, Answer::Done) => response::state("queued"),
        (WorkerCall::Ack, Answer::Renewed { .. }) => response::state("acked"),
        (WorkerCall::Heartbeat, Answer::Renewed { is_stopping }) => work::renewed(cx, *is_stopping),
        // A store that answers a different question from the one it was asked is broken.
        _ => ApiError::unavailable().response(),
    }
}
