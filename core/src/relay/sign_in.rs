//! Signing in a browser: with a code that works once and for a short time, so that what is printed,
//! clicked and kept in a browser's history is worth nothing afterwards (Y-4).
//!
//! ```text
//!   the program starts ──┐
//!                        ├──▶ code ──▶ link ──▶ page ── POST /v1/sign-in ──▶ browser token
//!   access token ────────┘                                                        │
//!                                        the page keeps it; it opens what people ◀┘
//!                                        do, and makes no codes and no environments
//! ```
//!
//! Nothing of this is stored but that it happened. Codes end with the relay; browser tokens are signed with a key that
//! comes from the access token, and end with it.

use alloc::string::String;

use super::cx::Cx;
use super::http::error::ApiError;
use super::http::response;
use super::pending::{Noted, Pending};
use super::trust;
use crate::base::id::OpId;
use crate::base::limits::BROWSER_TOKEN_LIFE;
use crate::base::secret::Secret;
use crate::store::{self, AccountId, StoreOp};
use crate::wire::viewer::{SignInCode, SignedIn};

/// A code for the person whom the program runs this relay for.
pub(super) fn code_for_program(cx: &mut Cx) -> Option<Secret> {
    let account = cx.shared.authority.first_account()?;
    Some(new_code(cx, account).code)
}

/// A code that signs in whom it is made for.
pub(super) fn new_code(cx: &mut Cx, account: AccountId) -> SignInCode {
    let now = cx.wall();
    let authority = &mut cx.shared.authority;
    authority.codes.issue(&mut authority.issuer, account, now)
}

/// `POST /v1/sign-in/codes`.
pub(super) fn issue(cx: &mut Cx, op: OpId, account: AccountId) {
    let note = StoreOp::Note { owner: account.clone(), noted: store::Noted::SignInCodeMade };
    cx.store(Pending::Noted { op, then: Noted::MakeCode { account } }, note);
}

/// It has been written down that there is a code.
pub(super) fn issued(cx: &mut Cx, op: OpId, account: AccountId) {
    let code = new_code(cx, account);
    cx.reply(op, response::json(201, &code));
}

/// `POST /v1/sign-in` with a code.
pub(super) fn redeem(cx: &mut Cx, op: OpId, code: &str) -> Result<(), ApiError> {
    let now = cx.wall();
    let authority = &mut cx.shared.authority;
    let account = authority.codes.redeem(&authority.issuer, code, now);
    let account = account.ok_or_else(ApiError::unauthenticated)?;
    sign_in(cx, op, account);
    Ok(())
}

/// `POST /v1/sign-in` of somebody who is known.
pub(super) fn sign_in(cx: &mut Cx, op: OpId, account: AccountId) {
    let browser = cx.shared.authority.issuer.uuid();
    cx.shared.exchanges.names(op, &browser);
    let note = StoreOp::Note { owner: account.clone(), noted: store::Noted::SignedIn };
    cx.store(Pending::Noted { op, then: Noted::SignIn { account, browser } }, note);
}

/// It has been written down that a browser signs in.
pub(super) fn signed_in(
    cx: &mut Cx,
    op: OpId,
    account: &AccountId,
    browser: &str,
) -> Result<(), ApiError> {
    let expires_at = cx.wall() + BROWSER_TOKEN_LIFE;
    let token = cx.shared.authority.browser_token(account, String::from(browser), expires_at);
    let token = token.ok_or_else(ApiError::unauthenticated)?;
    let signed_in = response::json(200, &SignedIn { token, expires_at });
    let response = trust::with_browser(cx, signed_in, account, browser);
    cx.reply(op, response);
    Ok(())
}
