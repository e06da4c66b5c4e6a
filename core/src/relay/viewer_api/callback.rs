//! Answers of the client that has declared hooks or MCP servers to what the agent asks it (M-6). The
//! store decides whether they count.

use super::ask;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{
    MAX_CALLBACK_ERROR_BYTES, MAX_CALLBACK_RESPONSE_BYTES, MAX_CLIENT_ID_BYTES, MIN_CLIENT_ID_BYTES,
};
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{bounded, one_line, utf8_body};
use crate::relay::pending::ViewerCall;
use crate::store::{AccountId, CallbackReply, StoreOp};
use crate::wire::viewer::CallbackPost;

pub(super) fn answer(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
    session: SessionId,
) -> Result<(), ApiError> {
    let CallbackPost { client, request_id, seq, response, error } = utf8_body(request)?;
    check_client(&client)?;
    let reply = match (response, error) {
        (Some(response), None) => {
            let line = one_line(response);
            if line.len() > MAX_CALLBACK_RESPONSE_BYTES {
                return Err(ApiError::invalid("response is too long for an agent"));
            }
            CallbackReply::Response(line)
        }
        (None, Some(error)) => {
            bounded("error", &error, MAX_CALLBACK_ERROR_BYTES)?;
            CallbackReply::Error(error)
        }
        _ => return Err(ApiError::invalid("give response or error, and not both")),
    };
    let answer = StoreOp::AnswerCallback { owner, session, client, request_id, seq, reply };
    ask(cx, op, ViewerCall::Answer, answer);
    Ok(())
}

/// Rejects an id of a client that could be guessed, or does not fit into a query.
pub(in crate::relay) fn check_client(client: &str) -> Result<(), ApiError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let has_length = (MIN_CLIENT_ID_BYTES..=MAX_CLIENT_ID_BYTES).contains(&client.len());
    if has_length && client.bytes().all(is_plain) {
        return Ok(());
    }
    Err(ApiError::invalid(&alloc::format!(
        "client must have {MIN_CLIENT_ID_BYTES} to {MAX_CLIENT_ID_BYTES} letters, digits, - or _"
    )))
}
