//! Answers to the agent's questions (M-2). What counts is decided in the store.

use alloc::boxed::Box;
use alloc::string::ToString;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base::id::{OpId, SessionId};
use crate::base::limits::MAX_LINE_BYTES;
use crate::base::text::Text;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::Relay;
use crate::relay::exchange::{Pending, body, bounded};
use crate::relay::http::response::{self, ApiError};
use crate::relay::viewer_api::sessions::{one_line, whole_text};
use crate::store::{AccountId, PermissionReply, StoreOp};
use crate::wire::viewer::{Behavior, PermissionPost, PermissionReceipt};

impl Relay {
    pub(in crate::relay) fn answer_permission(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        owner: AccountId,
        session: SessionId,
    ) -> Result<(), ApiError> {
        whole_text(asked)?;
        let PermissionPost { request_id, behavior, updated_input, message, interrupt } =
            body(asked)?;
        let reply = match behavior {
            Behavior::Allow => PermissionReply::Allow { updated_input: object(updated_input)? },
            Behavior::Deny => {
                let message = message.unwrap_or_else(|| "the person said no".to_string());
                bounded("message", &message, MAX_LINE_BYTES / 8)?;
                PermissionReply::Deny { message, interrupt }
            }
            Behavior::Unknown => {
                return Err(ApiError::invalid("behavior must be \"allow\" or \"deny\""));
            }
        };
        let call = StoreOp::AnswerPermission { owner, session, request_id, reply };
        self.store(Pending::Answered { op }, call);
        Ok(())
    }
}

/// An input of a tool is an object.
fn object(raw: Option<Box<RawValue>>) -> Result<Option<Text>, ApiError> {
    let line = raw.map(|raw| one_line(&raw));
    if line.as_ref().is_some_and(|line| !line.as_str().starts_with('{')) {
        return Err(ApiError::invalid("updatedInput must be an object"));
    }
    Ok(line)
}

pub(in crate::relay) fn answered(seq: u64) -> Response {
    response::json(200, &PermissionReceipt { seq })
}

/// What a `control_response` says: the answer that counts.
pub(in crate::relay) fn answer_of(line: &Text) -> Option<Text> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        response: Response<'a>,
    }
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        response: &'a RawValue,
    }
    let Line { response } = serde_json::from_str(line.as_str()).ok()?;
    Some(Text::from(response.response.get().to_string()))
}
