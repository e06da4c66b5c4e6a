//! What a person does about log-ins: approves and refuses them, looks at devices, and ends them.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};

use crate::base::id::{DeviceId, OpId};
use crate::base::limits::MAX_AUDIT_PAGE;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::{body, query_limit, query_number, query_value};
use crate::relay::http::response;
use crate::relay::pending::{self, Pending, ViewerCall};
use crate::store::{AccountId, Noted, StoreOp};
use crate::wire::device::{AnswerLogIn, LogInAnswer, LogInView, Scopes, WhoAmI, plain_user_code};
use crate::wire::error::ErrorType;

fn unknown() -> ApiError {
    let message = "no log-in waits under this code: it was mistyped, was answered already, or is more than ten minutes old";
    ApiError::new(404, ErrorType::LogInUnknown, message)
}

/// `GET /v1/oauth/device?user_code=…`.
pub(in crate::relay) fn show(cx: &mut Cx, op: OpId, query: &str) -> Result<(), ApiError> {
    let code = query_value(query, "user_code");
    let code = code.ok_or_else(|| ApiError::invalid("it takes user_code"))?;
    let code = plain_user_code(code).ok_or_else(unknown)?;
    let asked = cx.shared.log_ins.asked(&code, cx.now()).ok_or_else(unknown)?;
    let address = Cow::Owned(asked.address.to_string());
    let view = LogInView { name: Cow::Borrowed(&asked.name), scope: asked.scopes, address };
    let response = response::json(200, &view);
    cx.reply(op, response);
    Ok(())
}

/// `POST /v1/oauth/device`.
pub(in crate::relay) fn answer(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
) -> Result<(), ApiError> {
    let AnswerLogIn { user_code, answer } = body(request)?;
    let code = plain_user_code(&user_code).ok_or_else(unknown)?;
    let device = cx.shared.authority.issuer.device_id()?;
    let is_approved = answer == LogInAnswer::Approve;
    let approver = is_approved.then(|| (owner.clone(), device));
    cx.shared.log_ins.asked(&code, cx.now()).ok_or_else(unknown)?;
    let noted = match &approver {
        Some((_, device)) => Noted::LogInApproved(device.clone()),
        None => Noted::LogInDenied,
    };
    let then = pending::Noted::Decide { user_code: code, approver };
    cx.store(Pending::Noted { op, then }, StoreOp::Note { owner, noted });
    Ok(())
}

/// It has been written down how a person has decided.
pub(in crate::relay) fn decided(
    cx: &mut Cx,
    op: OpId,
    code: &str,
    approver: Option<(AccountId, DeviceId)>,
) -> Result<(), ApiError> {
    let now = cx.now();
    let state = if approver.is_some() { "approved" } else { "denied" };
    if !cx.shared.log_ins.decide(code, now, approver) {
        return Err(unknown());
    }
    cx.reply(op, response::state(state));
    Ok(())
}

/// `GET /v1/audit`.
pub(in crate::relay) fn audit(
    cx: &mut Cx,
    op: OpId,
    query: &str,
    owner: AccountId,
) -> Result<(), ApiError> {
    let after = query_number(query, "after")?.unwrap_or(0);
    let limit = query_limit(query, MAX_AUDIT_PAGE)?;
    let call = ViewerCall::Audit;
    cx.store(Pending::ViewerCall { op, call }, StoreOp::ReadAudit { owner, after, limit });
    Ok(())
}

/// `GET /v1/devices`.
pub(in crate::relay) fn devices(cx: &mut Cx, op: OpId, owner: AccountId) {
    cx.store(Pending::ViewerCall { op, call: ViewerCall::Devices }, StoreOp::ListDevices { owner });
}

/// `POST /v1/devices/{id}/revoke`.
pub(in crate::relay) fn revoke(cx: &mut Cx, op: OpId, owner: AccountId, id: DeviceId) {
    let call = ViewerCall::Revoked;
    cx.store(Pending::ViewerCall { op, call }, StoreOp::RevokeDevice { owner, id });
}

/// `GET /v1/whoami`.
pub(in crate::relay) fn who_am_i(cx: &mut Cx, op: OpId, owner: &AccountId) {
    let acting = cx.shared.devices.of(op);
    let scope = acting.map_or(Scopes::ALL, |acting| acting.scopes);
    let device_id = acting.map(|acting| acting.device.clone());
    let account = String::from(owner.name());
    let shared = cx.shared.authority.is_shared();
    cx.reply(op, response::json(200, &WhoAmI { account, shared, scope, device_id }));
}
