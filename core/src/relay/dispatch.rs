//! Routes each request to the part that serves it, and each store answer to the part that asked.

use super::cx::Cx;
use super::fanout;
use super::http::authority::Identity;
use super::http::error::ApiError;
use super::http::route::{self, Route, RouteError};
use super::http::{assets, response};
use super::parts::Parts;
use super::pending::Pending;
use super::{link_v1, sign_in, viewer_api, worker_api};
use crate::base::id::OpId;
use crate::base::limits::MAX_REQUEST_HEAD_BYTES;
use crate::contract::event::{Body, IncomingRequest};
use crate::relay::streams::viewers;
use crate::store::{Answer, StoreError, StoreOp};
use crate::wire::error::ErrorType;
use crate::wire::health::{Health, Version};
use crate::wire::housekeeping::Housekeeping;

/// A request, its target split in two.
struct Call<'a> {
    op: OpId,
    request: &'a IncomingRequest,
    path: &'a str,
    query: &'a str,
}

pub(super) fn on_request(parts: &mut Parts, cx: &mut Cx, op: OpId, request: &IncomingRequest) {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let call = Call { op, request, path, query };
    cx.shared.exchanges.arrived(op, request, path);
    if cx.is_stopping() {
        cx.refuse(op, &ApiError::unavailable());
    } else if let Err(error) = authorize_and_serve(parts, cx, &call) {
        cx.refuse(op, &error);
    }
}

fn authorize_and_serve(parts: &mut Parts, cx: &mut Cx, call: &Call<'_>) -> Result<(), ApiError> {
    let Call { op, request, path, .. } = *call;
    let headers = request.headers.iter().map(|(name, value)| name.len() + value.len());
    if request.target.len() + headers.sum::<usize>() > MAX_REQUEST_HEAD_BYTES {
        let message = "the request's path and headers are longer than this relay takes";
        return Err(ApiError::new(413, ErrorType::TooLarge, message));
    }
    let route = route::find(request.method, path).map_err(|error| match error {
        RouteError::Path => ApiError::new(404, ErrorType::NotFound, "there is no such path here"),
        RouteError::Method => {
            let message = "the path exists, but not with this method";
            ApiError::new(405, ErrorType::MethodNotAllowed, message)
        }
        RouteError::Id(error) => error.into(),
    })?;
    match cx.shared.authority.admit(request, &route, cx.wall()) {
        Ok(identity) => serve(parts, cx, call, route, identity),
        Err(error) => refuse_unless_unknown(cx, op, &route, error),
    }
}

/// A worker has to learn that the relay no longer knows its environment before it learns that its
/// credential is invalid: only then does it register again. Ids cannot be guessed, so this gives
/// nothing away.
fn refuse_unless_unknown(
    cx: &mut Cx,
    op: OpId,
    route: &Route,
    refusal: ApiError,
) -> Result<(), ApiError> {
    let (environment, session) = route.worker_subjects();
    if environment.is_none() && session.is_none() {
        return Err(refusal);
    }
    let find = StoreOp::Find { environment: environment.cloned(), session: session.cloned() };
    cx.store(Pending::Refuse { op, refusal }, find);
    Ok(())
}

fn serve(
    parts: &mut Parts,
    cx: &mut Cx,
    call: &Call<'_>,
    route: Route,
    identity: Identity,
) -> Result<(), ApiError> {
    let Call { op, request, path, query } = *call;
    if request.body == Body::TooLarge {
        let message = "the request's body is larger than this relay takes";
        return Err(ApiError::new(413, ErrorType::TooLarge, message));
    }
    match (identity, route) {
        (Identity::Anybody, Route::Health) => {
            cx.reply(op, response::json(200, &Health::OK));
            Ok(())
        }
        (Identity::Anybody, Route::Ready) => {
            cx.store(Pending::Ready { op }, StoreOp::Find { environment: None, session: None });
            Ok(())
        }
        (Identity::Anybody, Route::Version) => {
            cx.reply(op, response::json(200, &Version::CURRENT));
            Ok(())
        }
        (Identity::Anybody, Route::Housekeeping) => {
            cx.reply(op, response::json(200, &Housekeeping::CURRENT));
            Ok(())
        }
        (Identity::Anybody, _) => {
            let response = assets::serve(cx.shared.config.assets, request, path)?;
            cx.reply(op, response);
            Ok(())
        }
        (Identity::Code(code), _) => sign_in::redeem(cx, op, &code),
        (Identity::Worker, route) => worker_api::serve(cx, op, request, route),
        (Identity::Session(claims), Route::Ingress(session)) => {
            link_v1::attach(cx, op, request, session, &claims)
        }
        (Identity::Session(claims), route) => {
            worker_api::serve_lease(cx, op, request, route, &claims)
        }
        (Identity::Account(account), Route::SignIn) => sign_in::sign_in(cx, op, &account),
        (Identity::Account(account), Route::SignInCodes) => {
            sign_in::issue(cx, op, account);
            Ok(())
        }
        (Identity::Account(owner), Route::Register) => {
            worker_api::environments::register(cx, op, request, owner)
        }
        (Identity::Account(owner), Route::Subscribe(session)) => {
            viewers::subscribe(cx, op, request, query, owner, session)
        }
        (Identity::Account(owner), Route::Overview) => {
            parts.overviews.watch(cx, op, request, owner)
        }
        (Identity::Account(owner), route) => {
            viewer_api::serve(cx, op, request, query, route, owner)
        }
    }
}

/// The store has carried out an operation, or refused it.
pub(super) fn on_answer(
    parts: &mut Parts,
    cx: &mut Cx,
    pending: Pending,
    answer: Result<Answer, StoreError>,
) {
    match pending {
        Pending::Sweep | Pending::ReturnWork => {}
        Pending::Refresh { .. } => {
            if let Ok(Answer::Session(session)) = answer {
                fanout::session_changed(parts, cx, &session);
            }
        }
        Pending::Ready { op } => cx.reply(op, response::json(200, &Health::OK)),
        Pending::Refuse { op, refusal } => {
            cx.refuse(op, &answer.err().map_or(refusal, ApiError::from));
        }
        Pending::WorkerCall { op, call } => match answer {
            Ok(answer) => {
                let response = worker_api::response(cx, call, &answer);
                cx.reply(op, response);
            }
            Err(error) => cx.refuse(op, &error.into()),
        },
        Pending::ViewerCall { op, call } => match answer {
            Ok(answer) => cx.reply(op, viewer_api::response(cx, &call, &answer)),
            Err(error) => cx.refuse(op, &error.into()),
        },
        Pending::Poll { op, claim } => parts.polls.on_answer(cx, op, claim, answer),
        Pending::Attach { op, attaching } => parts.links.on_attached(cx, op, attaching, answer),
        Pending::Link { op, step } => parts.links.on_answer(cx, op, step, answer),
        Pending::Subscribe { op, subscribing } => {
            parts.viewers.on_subscribed(cx, op, subscribing, &answer);
        }
        Pending::Page { op } => parts.viewers.on_page(cx, op, answer),
        Pending::Overview { op } => parts.overviews.on_read(cx, op, answer),
    }
}

/// A store operation failed.
pub(super) fn on_store_failed(parts: &mut Parts, cx: &mut Cx, pending: Pending) {
    if let Pending::Refresh { owner, session } = pending {
        return parts.refreshes.retry_refresh(cx, owner, session);
    }
    if let Some(op) = pending.waiting() {
        cx.refuse(op, &ApiError::unavailable());
        parts.close(cx, op, super::close::FAILED);
    }
}
