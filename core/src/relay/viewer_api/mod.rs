//! The viewers' side: environments, sessions, messages, answers to questions (M, M-6). Each call becomes
//! one store operation, whose answer comes back to [`response`].

pub(in crate::relay) mod callback;
pub(in crate::relay) mod messages;
mod permission;
mod sessions;
mod worktree;

use super::cx::Cx;
use super::http::error::ApiError;
use super::http::request::idempotency_key;
use super::http::response;
use super::http::route::Route;
use super::http::views;
use super::pending::{Pending, ViewerCall};
use super::{answer_links, push, trust};
use crate::base::id::{EnvironmentId, OpId};
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::store::{AccountId, Answer, StoreOp};
use crate::wire::viewer::{EnvironmentView, PermissionReceipt, SessionList};

/// A call that a person's access token authorises.
pub(in crate::relay) fn serve(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    query: &str,
    route: Route,
    owner: AccountId,
) -> Result<(), ApiError> {
    match route {
        Route::Environments => ask(cx, op, ViewerCall::Environments, StoreOp::List { owner }),
        Route::Environment(id) => {
            let call = ViewerCall::Environment { status: 200 };
            ask(cx, op, call, StoreOp::GetEnvironment { owner, id });
        }
        Route::Healthcheck(id) => healthcheck(cx, op, request, owner, id)?,
        Route::Sessions => sessions::list(cx, op, query, owner)?,
        Route::CreateSession => sessions::create(cx, op, request, owner)?,
        Route::Session(id) => {
            let call = ViewerCall::Session { status: 200 };
            ask(cx, op, call, StoreOp::GetSession { owner, id });
        }
        Route::ChangeSession(id) => sessions::change(cx, op, request, owner, id)?,
        Route::DeleteSession(id) => {
            ask(cx, op, ViewerCall::SessionDeleted, StoreOp::DeleteSession { owner, id });
        }
        Route::StopSession(id) => {
            let call = ViewerCall::Stop { owner: owner.clone(), session: id.clone() };
            ask(cx, op, call, StoreOp::RequestStop { owner, id });
        }
        Route::Worktree(session) => worktree::ask(cx, op, request, owner, session)?,
        Route::Permission(session) => permission::answer(cx, op, request, owner, session)?,
        Route::Callback(session) => callback::answer(cx, op, request, owner, session)?,
        Route::Interrupt(session) => messages::interrupt(cx, op, request, owner, session)?,
        Route::Receipts(session) => {
            ask(cx, op, ViewerCall::Receipts, StoreOp::ReadReceipts { owner, session });
        }
        Route::Receipt(session, seq) => {
            ask(cx, op, ViewerCall::Receipt, StoreOp::ReadReceipt { owner, session, seq });
        }
        Route::Events(session) => sessions::read_events(cx, op, query, owner, session)?,
        _ => return Err(ApiError::forbidden()),
    }
    Ok(())
}

fn ask(cx: &mut Cx, op: OpId, call: ViewerCall, store_op: StoreOp) {
    cx.store(Pending::ViewerCall { op, call }, store_op);
}

fn healthcheck(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
    id: EnvironmentId,
) -> Result<(), ApiError> {
    let key = idempotency_key(request)?;
    let work = cx.shared.authority.issuer.work_id()?;
    let call = ViewerCall::Environment { status: 202 };
    ask(cx, op, call, StoreOp::AskHealthcheck { owner, id, work, key });
    Ok(())
}

/// The answer to a viewer whose call the store has carried out.
pub(in crate::relay) fn response(cx: &Cx, call: &ViewerCall, answer: &Answer) -> Response {
    match (call, answer) {
        (ViewerCall::Environments, Answer::Overview { environments, .. }) => {
            views::environments(environments)
        }
        (ViewerCall::Environment { status }, Answer::Environment(environment)) => {
            response::json(*status, &EnvironmentView::from(&**environment))
        }
        (ViewerCall::Sessions, Answer::Sessions(sessions)) => {
            let sessions = sessions.iter().map(|session| cx.view(session)).collect();
            response::json(200, &SessionList { sessions })
        }
        (ViewerCall::Session { status }, Answer::Session(session)) => {
            response::json(*status, &cx.view(session))
        }
        (ViewerCall::Stop { .. }, Answer::Session(session)) => {
            response::json(200, &cx.view(session))
        }
        (ViewerCall::Post(names), Answer::Posted(accepted)) => messages::posted(names, accepted),
        (ViewerCall::Interrupt { request_id }, Answer::Posted(accepted)) => {
            messages::interrupted(request_id, accepted)
        }
        (ViewerCall::Answer, Answer::Answered { seq }) => {
            response::json(200, &PermissionReceipt { seq: *seq })
        }
        (ViewerCall::AnswerLink(link), Answer::Done) => response::json(201, &**link),
        (ViewerCall::Linked, Answer::LinkedQuestion(linked)) => answer_links::linked(linked),
        (ViewerCall::Receipts, Answer::Receipts(page)) => views::receipts(page),
        (ViewerCall::Receipt, Answer::Receipt(receipt)) => response::json(200, receipt),
        (ViewerCall::Events, Answer::Page(page)) => views::page(page),
        (ViewerCall::Devices, Answer::Devices(devices)) => views::devices(devices),
        (ViewerCall::Audit, Answer::Audit(page)) => response::json(200, page),
        (ViewerCall::Trusted, Answer::Granted(grant)) => trust::enrolled(cx, grant),
        (ViewerCall::Revoked, Answer::Done) => response::state("revoked"),
        (ViewerCall::SessionDeleted, Answer::Done) => response::state("deleted"),
        (ViewerCall::Pushes, Answer::Pushes(all)) => push::response(all, true),
        (ViewerCall::Push, Answer::Push(one)) => push::response(core::slice::from_ref(one), false),
        (ViewerCall::PushRemoved, Answer::Done) => response::state("removed"),
        // A store that answers a different question from the one it was asked is broken.
        _ => ApiError::unavailable().response(),
    }
}
