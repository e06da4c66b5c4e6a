//! Links that answer one question of an agent, once, without a sign-in (Y-9).
//!
//! ```text
//!   POST …/permission/link ──▶ link ──▶ page /answer ── GET  /v1/answer ──▶ what is asked
//!   (whoever may answer)                             └─ POST /v1/answer ──▶ the answer
//! ```
//!
//! What a link shows is signed, so that a guess costs no look into the store, and kept there as a digest.
//! Reading it uses nothing up: previews of links read. It stands in the part of a URL that no server is
//! sent, and only the page behind it answers, with a request of its own.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::answer_tokens::AnswerClaims;
use super::cx::Cx;
use super::http::error::ApiError;
use super::http::request::{body, bounded};
use super::http::response;
use super::http::route::Route;
use super::pending::{Pending, ViewerCall};
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{ANSWER_LINK_LIFE, MAX_ANSWER_LINK_LIFE, MAX_ID_BYTES, MAX_NAME_BYTES};
use crate::base::secret::Secret;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::store::{AccountId, AnswerLinkRow, LinkedQuestion, PermissionReply, StoreOp};
use crate::wire::viewer::{self, AnswerLink, AnswerLinkPost, Behavior, LinkedAnswer};

/// `POST /v1/sessions/{id}/permission/link`.
pub(super) fn make(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
    session: SessionId,
) -> Result<(), ApiError> {
    let AnswerLinkPost { request_id, seq, expires_in } = body(request)?;
    bounded("request_id", &request_id, MAX_ID_BYTES)?;
    let life = expires_in.map_or(ANSWER_LINK_LIFE, Duration::from_secs);
    if life.is_zero() || life > MAX_ANSWER_LINK_LIFE {
        let most = MAX_ANSWER_LINK_LIFE.as_secs();
        return Err(ApiError::invalid(&format!("expires_in must be 1 to {most} seconds")));
    }
    let expires_at = cx.wall() + life;
    let id = cx.shared.authority.issuer.uuid();
    let claims = AnswerClaims::new(session.clone(), id, expires_at);
    let token = cx.shared.authority.issuer.answer_link(&claims);
    let url = cx.base_url(request);
    let url = url.map(|base| {
        let base = base.trim_end_matches('/');
        Secret::new(format!("{base}/answer#{}", token.reveal()))
    });
    let digest = claims.digest();
    let link = AnswerLink { token, url, id: claims.name(), expires_at };
    let device = cx.shared.devices.of(op).map(|acting| acting.device.clone());
    let row = Box::new(AnswerLinkRow { digest, expires_at, device });
    let call = ViewerCall::AnswerLink(Box::new(link));
    let make = StoreOp::MakeAnswerLink { owner, session, request_id, seq, link: row };
    cx.store(Pending::ViewerCall { op, call }, make);
    Ok(())
}

/// A request of whoever has a link.
pub(super) fn serve(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    route: &Route,
    claims: AnswerClaims,
) -> Result<(), ApiError> {
    let digest = claims.digest();
    let session = claims.session;
    match route {
        Route::ShowLinked => {
            let read = StoreOp::ReadAnswerLink { session, digest };
            cx.store(Pending::ViewerCall { op, call: ViewerCall::Linked }, read);
        }
        Route::AnswerLinked => {
            let LinkedAnswer { behavior, message } = body(request)?;
            let further = alloc::collections::BTreeMap::new();
            let reply = match behavior {
                Behavior::Allow => PermissionReply::Allow { updated_input: None, further },
                Behavior::Deny => {
                    let message = message.unwrap_or_else(|| String::from("the person said no"));
                    bounded("message", &message, MAX_NAME_BYTES)?;
                    PermissionReply::Deny { message, interrupt: false, further }
                }
                Behavior::Unknown => {
                    return Err(ApiError::invalid("behavior must be \"allow\" or \"deny\""));
                }
            };
            let answer = StoreOp::AnswerByLink { session, digest, reply };
            cx.store(Pending::ViewerCall { op, call: ViewerCall::Answer }, answer);
        }
        _ => return Err(ApiError::forbidden()),
    }
    Ok(())
}

/// What whoever has a link is shown.
pub(super) fn linked(linked: &LinkedQuestion) -> Response {
    let LinkedQuestion { session, title, tool_name, input, expires_at } = linked;
    let shown = viewer::LinkedQuestion {
        session_id: session.clone(),
        title: title.as_deref().map(Cow::Borrowed),
        tool_name: Cow::Borrowed(tool_name),
        input: Some(input.as_str()),
        expires_at: *expires_at,
    };
    response::json(200, &shown)
}
