//! Answers to the agent's questions (M-2). The store decides which one counts.

use alloc::boxed::Box;
use alloc::string::ToString;

use serde_json::value::RawValue;

use super::ask;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::MAX_LINE_BYTES;
use crate::base::text::Text;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{bounded, one_line, utf8_body};
use crate::relay::pending::ViewerCall;
use crate::store::{AccountId, PermissionReply, StoreOp};
use crate::wire::viewer::{Behavior, PermissionPost};

pub(super) fn answer(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
    session: SessionId,
) -> Result<(), ApiError> {
    let PermissionPost { request_id, seq, behavior, updated_input, message, interrupt, further } =
        utf8_body(request)?;
    let further = further.iter().map(|(name, raw)| (name.clone(), one_line(raw))).collect();
    let reply = match behavior {
        Behavior::Allow => {
            PermissionReply::Allow { updated_input: object(updated_input)?, further }
        }
        Behavior::Deny => {
            let message = message.unwrap_or_else(|| "the person said no".to_string());
            bounded("message", &message, MAX_LINE_BYTES / 8)?;
            PermissionReply::Deny { message, interrupt, further }
        }
        Behavior::Unknown => {
            return Err(ApiError::invalid("behavior must be \"allow\" or \"deny\""));
        }
    };
    let answer = StoreOp::AnswerPermission { owner, session, request_id, seq, reply };
    ask(cx, op, ViewerCall::Answer, answer);
    Ok(())
}

/// A tool's input, which is an object.
fn object(raw: Option<Box<RawValue>>) -> Result<Option<Text>, ApiError> {
    let line = raw.map(|raw| one_line(&raw));
    if line.as_ref().is_some_and(|line| !line.as_str().starts_with('{')) {
        return Err(ApiError::invalid("updatedInput must be an object"));
    }
    Ok(line)
}
