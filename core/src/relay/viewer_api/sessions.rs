//! Sessions as people use them: created, listed, read.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use super::ask;
use crate::base::id::{EnvironmentId, OpId, SessionId};
use crate::base::limits::{
    MAX_AGENT_OPTIONS_BYTES, MAX_NAME_BYTES, MAX_PAGE_BYTES, MAX_PAGE_EVENTS,
};
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{
    bounded, idempotency_key, query_id, query_limit, query_number, utf8_body,
};
use crate::relay::pending::ViewerCall;
use crate::store::{AccountId, StoreOp};
use crate::wire::viewer::{ChangeSession, CreateSession};

pub(super) fn create(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
) -> Result<(), ApiError> {
    let create: CreateSession = utf8_body(request)?;
    let options = create.options();
    if options.bytes() > MAX_AGENT_OPTIONS_BYTES {
        let message = format!(
            "claude_code_args, mcp_config and environment_variables must have at most \
             {MAX_AGENT_OPTIONS_BYTES} bytes"
        );
        return Err(ApiError::invalid(&message));
    }
    let options = (!options.is_empty()).then(|| Box::new(options));
    let CreateSession { environment_id: environment, title, .. } = create;
    bounded("title", title.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    let key = idempotency_key(request)?;
    let id = cx.shared.authority.issuer.session_id()?;
    let work = cx.shared.authority.issuer.work_id()?;
    let call = ViewerCall::Session { status: 201 };
    let create = StoreOp::CreateSession { owner, environment, id, work, title, key, options };
    ask(cx, op, call, create);
    Ok(())
}

pub(super) fn change(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
    id: SessionId,
) -> Result<(), ApiError> {
    let ChangeSession { title, archived } = utf8_body(request)?;
    let title = title.map(|title| String::from(title.trim()));
    bounded("title", title.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    let change = StoreOp::ChangeSession { owner, id, title, archived };
    ask(cx, op, ViewerCall::Session { status: 200 }, change);
    Ok(())
}

pub(super) fn list(cx: &mut Cx, op: OpId, query: &str, owner: AccountId) -> Result<(), ApiError> {
    let environment = query_id(query, "environment_id", EnvironmentId::new)?;
    let before = query_id(query, "before", SessionId::new)?;
    let limit = query_limit(query, cx.shared.config.policy.listed_sessions)?;
    let list = StoreOp::ListSessions { owner, environment, before, limit };
    ask(cx, op, ViewerCall::Sessions, list);
    Ok(())
}

pub(super) fn read_events(
    cx: &mut Cx,
    op: OpId,
    query: &str,
    owner: AccountId,
    session: SessionId,
) -> Result<(), ApiError> {
    let after = query_number(query, "after")?.unwrap_or(0);
    let max_events = query_limit(query, MAX_PAGE_EVENTS)?;
    let max_bytes = MAX_PAGE_BYTES;
    let read = StoreOp::ReadLog { owner, session, after, max_events, max_bytes };
    ask(cx, op, ViewerCall::Events, read);
    Ok(())
}
