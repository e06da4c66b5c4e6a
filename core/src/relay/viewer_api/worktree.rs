//! What a person wants done with a worktree that was kept (W-5).

use super::ask as ask_store;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::MAX_ID_BYTES;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{body, bounded};
use crate::relay::pending::ViewerCall;
use crate::store::{AccountId, StoreOp};
use crate::wire::worktree::{WorktreeAction, WorktreePost};

pub(super) fn ask(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
    session: SessionId,
) -> Result<(), ApiError> {
    let post: WorktreePost = body(request)?;
    bounded("seen", &post.seen, MAX_ID_BYTES)?;
    let WorktreePost { action, ignored, seen } = &post;
    let may_lose = *action == WorktreeAction::Delete || *ignored;
    match action {
        WorktreeAction::Unknown => {
            return Err(ApiError::invalid("action must be look, keep, branch or delete"));
        }
        WorktreeAction::Look | WorktreeAction::Keep | WorktreeAction::Delete if *ignored => {
            return Err(ApiError::invalid("ignored goes with action branch only"));
        }
        _ if may_lose && seen.is_empty() => {
            return Err(ApiError::invalid(
                "what would be lost has to be named by its seen: look first",
            ));
        }
        _ => {}
    }
    let work = cx.shared.authority.issuer.work_id()?;
    let call = ViewerCall::Session { status: 202 };
    ask_store(cx, op, call, StoreOp::AskWorktree { owner, session, work, post });
    Ok(())
}
