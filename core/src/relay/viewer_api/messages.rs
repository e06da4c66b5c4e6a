//! Viewers' messages and interrupts, as lines for the agent (M-1, M-3).

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::ask;
use super::callback::check_client;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{MAX_DECLARATION_BYTES, MAX_ID_BYTES, MAX_LINE_BYTES};
use crate::base::text::Text;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::answering::Answering;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{idempotency_key, one_line, utf8_body};
use crate::relay::http::response;
use crate::relay::pending::{MessageName, ViewerCall};
use crate::relay::tokens::TokenIssuer;
use crate::store::{Accepted, AccountId, NewMessage, Sender, StoreOp};
use crate::wire::callback::Declaration;
use crate::wire::control;
use crate::wire::latitude::Latitude;
use crate::wire::log_message::OWN_TYPE;
use crate::wire::message::{Head, Kind};
use crate::wire::viewer::{InterruptReceipt, MessageReceipt, PostMessages, PostReceipt};

/// Who posts messages.
pub(in crate::relay) struct Poster {
    pub(in crate::relay) owner: AccountId,
    /// Clients that are connected to the session.
    pub(in crate::relay) connected: Vec<String>,
    pub(in crate::relay) answering: Answering,
}

/// Somebody posts messages to a session.
pub(in crate::relay) fn post(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    by: Poster,
    session: SessionId,
) -> Result<(), ApiError> {
    let Poster { owner, connected, answering } = by;
    let PostMessages { client, messages } = utf8_body(request)?;
    client.as_deref().map_or(Ok(()), check_client)?;
    let sender = client.map(|client| Sender { client, connected });
    let max = cx.shared.config.max_posted;
    if messages.is_empty() || messages.len() > max {
        return Err(ApiError::invalid(&format!("messages must have 1 to {max} of them")));
    }
    let (mut names, mut new) = (Vec::new(), Vec::new());
    for (at, raw) in messages.into_iter().enumerate() {
        if answering != Answering::Allowed {
            let line = one_line(raw);
            if Head::parse(&line).is_ok_and(|head| Latitude::of(&head, &line).is_some()) {
                answering.check()?;
            }
        }
        let (name, message) = read_message(&mut cx.shared.authority.issuer, raw)
            .map_err(|why| ApiError::invalid(&format!("messages[{at}] {why}")))?;
        names.push(name);
        new.push(message);
    }
    ask(cx, op, ViewerCall::Post(names), StoreOp::Post { owner, session, messages: new, sender });
    Ok(())
}

/// A viewer's message as a line for the agent.
fn read_message(
    issuer: &mut TokenIssuer,
    raw: &RawValue,
) -> Result<(MessageName, NewMessage), String> {
    let line = one_line(raw);
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("is longer than {MAX_LINE_BYTES} bytes"));
    }
    let head = Head::parse(&line).map_err(|_| "is not an object with a \"type\"")?;
    if head.is_ambiguous {
        return Err("has a key more than once that says what it is".into());
    }
    let owned = |name: &Option<Cow<'_, str>>| name.as_deref().map(String::from);
    let (uuid, request_id) = (&owned(&head.uuid), &owned(&head.request_id));
    for name in [uuid, request_id].into_iter().flatten() {
        if name.is_empty() || name.len() > MAX_ID_BYTES {
            return Err(format!("must have 1 to {MAX_ID_BYTES} bytes as uuid or request_id"));
        }
    }
    match (head.kind(), head.subtype.as_deref()) {
        (Kind::User, _) => {
            let (uuid, line) = with_name(issuer, line, "uuid", uuid.clone());
            let name = MessageName { uuid: Some(uuid.clone()), request_id: None };
            Ok((name, NewMessage { uuid: Some(uuid), request_id: None, line }))
        }
        (Kind::ControlRequest, Some(_)) => {
            let declared = Declaration::of(line.as_str());
            if declared.is_some_and(|declared| declared.bytes() > MAX_DECLARATION_BYTES) {
                return Err(format!(
                    "declares more than {MAX_DECLARATION_BYTES} bytes of hooks and MCP servers"
                ));
            }
            let (id, line) = with_name(issuer, line, "request_id", request_id.clone());
            let name = MessageName { uuid: uuid.clone(), request_id: Some(id.clone()) };
            Ok((name, NewMessage { uuid: uuid.clone(), request_id: Some(id), line }))
        }
        (Kind::ControlRequest, None) => Err("must name a subtype in its request".into()),
        (Kind::ControlResponse, _) => {
            Err("answers the agent: a permission question is answered at .../permission, and what a client is asked at .../callback".into())
        }
        (Kind::Other, _) if head.kind == OWN_TYPE => {
            Err(format!("is of the type {OWN_TYPE:?}, which is for the relay and the worker"))
        }
        // Whatever else an agent may know passes through (M-1).
        (Kind::ControlCancelRequest | Kind::Other, _) => {
            let name = MessageName { uuid: uuid.clone(), request_id: None };
            Ok((name, NewMessage { uuid: uuid.clone(), request_id: None, line }))
        }
    }
}

/// A message's id, drawn and added to its line if it is missing, or if it is there and is not text.
fn with_name(
    issuer: &mut TokenIssuer,
    line: Text,
    key: &str,
    value: Option<String>,
) -> (String, Text) {
    if let Some(value) = value {
        return (value, line);
    }
    let value = issuer.uuid();
    let line = control::with_name(&line, key, &value);
    (value, line)
}

/// With a key, the same interrupt again is not a second one.
pub(super) fn interrupt(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
    session: SessionId,
) -> Result<(), ApiError> {
    let key = idempotency_key(request)?;
    let request_id = key.clone().unwrap_or_else(|| cx.shared.authority.issuer.uuid());
    let line = control::request(&request_id, "interrupt");
    let message = NewMessage { uuid: key, request_id: Some(request_id.clone()), line };
    let messages = alloc::vec![message];
    let call = ViewerCall::Interrupt { request_id };
    ask(cx, op, call, StoreOp::Post { owner, session, messages, sender: None });
    Ok(())
}

pub(super) fn posted(names: &[MessageName], accepted: &[Accepted]) -> Response {
    let receipts = names.iter().zip(accepted).map(|(name, accepted)| MessageReceipt {
        uuid: name.uuid.as_deref().map(Cow::Borrowed),
        request_id: name.request_id.as_deref().map(Cow::Borrowed),
        seq: accepted.seq,
    });
    response::json(200, &PostReceipt { accepted: receipts.collect() })
}

pub(super) fn interrupted(request_id: &str, accepted: &[Accepted]) -> Response {
    let seq = accepted.first().map_or(0, |accepted| accepted.seq);
    response::json(200, &InterruptReceipt { request_id: Cow::Borrowed(request_id), seq })
}
