//! Sessions that have to be read again, because their link has come up or gone down and the store
//! failed to read them.

use alloc::collections::BTreeMap;

use super::cx::{Cx, RETRY_AFTER_FAILURE};
use super::purpose::Timer;
use crate::base::id::SessionId;
use crate::store::AccountId;

/// Nothing else would bring viewers up to date on them, so the store is asked again.
#[derive(Default)]
pub(super) struct Refreshes {
    failed: BTreeMap<SessionId, AccountId>,
}

impl Refreshes {
    pub(super) fn retry_refresh(&mut self, cx: &mut Cx, owner: AccountId, session: SessionId) {
        self.failed.insert(session, owner);
        cx.engine.set_timer(Timer::Refresh, RETRY_AFTER_FAILURE);
    }

    pub(super) fn on_timer(&mut self, cx: &mut Cx) {
        for (session, owner) in core::mem::take(&mut self.failed) {
            cx.refresh_session(owner, session);
        }
    }
}
