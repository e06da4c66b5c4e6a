//! The codes that sign a browser in.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::tokens::{CODE_PREFIX, TokenIssuer};
use crate::base::limits::{MAX_SIGN_IN_CODES, SIGN_IN_CODE_LIFE};
use crate::base::time::UnixTime;
use crate::store::AccountId;
use crate::wire::viewer::SignInCode;

/// The codes that have not been used.
#[derive(Debug, Default)]
pub(super) struct SignInCodes {
    /// Oldest first.
    open: VecDeque<Code>,
}

#[derive(Debug)]
struct Code {
    /// Of the code itself.
    digest: Vec<u8>,
    account: AccountId,
    expires_at: UnixTime,
}

impl SignInCodes {
    /// A new code. Of too many, the oldest no longer works.
    pub(super) fn issue(
        &mut self,
        issuer: &mut TokenIssuer,
        account: AccountId,
        now: UnixTime,
    ) -> SignInCode {
        self.open.retain(|code| code.expires_at > now);
        while self.open.len() >= MAX_SIGN_IN_CODES {
            self.open.pop_front();
        }
        let code = issuer.sign_in_code();
        let expires_at = now + SIGN_IN_CODE_LIFE;
        self.open.push_back(Code {
            digest: issuer.code_digest(code.reveal()),
            account,
            expires_at,
        });
        SignInCode { code, expires_at }
    }

    /// Whether a code would sign somebody in.
    pub(super) fn is_open(&self, issuer: &TokenIssuer, code: &str, now: UnixTime) -> bool {
        self.find(issuer, code, now).is_some()
    }

    /// Uses a code up.
    pub(super) fn redeem(
        &mut self,
        issuer: &TokenIssuer,
        code: &str,
        now: UnixTime,
    ) -> Option<AccountId> {
        let at = self.find(issuer, code, now)?;
        self.open.remove(at).map(|code| code.account)
    }

    /// All are compared, so that the time taken says nothing.
    fn find(&self, issuer: &TokenIssuer, code: &str, now: UnixTime) -> Option<usize> {
        if !code.starts_with(CODE_PREFIX) {
            return None;
        }
        let matches = |open: &Code| issuer.is_code(code, &open.digest) && open.expires_at > now;
        self.open.iter().enumerate().fold(
            None,
            |found, (at, open)| {
                if matches(open) { Some(at) } else { found }
            },
        )
    }
}
