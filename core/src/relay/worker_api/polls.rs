//! Polls for work: passed to the store, held while there is none, answered (E-2).
//!
//! ```text
//!   poll ─▶ asking ─▶ answered with an item, or refused
//!            ▲  └─▶ held ─▶ answered with nothing
//!            └──────┘ there is work
//! ```

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::work;
use crate::base::id::{EnvironmentId, OpId};
use crate::base::limits::MAX_HELD_POLLS;
use crate::contract::event::IncomingRequest;
use crate::relay::cx::Cx;
use crate::relay::http::error::ApiError;
use crate::relay::http::request::idempotency_key;
use crate::relay::http::response;
use crate::relay::pending::{Claim, Pending};
use crate::relay::purpose::Timer;
use crate::store::{Answer, Lease, StoreError, StoreOp};

/// Polls held because there is no work for them.
#[derive(Default)]
pub(in crate::relay) struct Polls {
    held: BTreeMap<OpId, Claim>,
    /// Oldest first.
    by_environment: BTreeMap<EnvironmentId, Vec<OpId>>,
}

pub(super) fn poll(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    environment: EnvironmentId,
) -> Result<(), ApiError> {
    let wait = preferred_wait(request).unwrap_or_default().min(cx.shared.config.poll_cap);
    let until = cx.now() + wait;
    let key = idempotency_key(request)?;
    let base_url = cx.base_url(request);
    ask(cx, op, Claim { environment, key, until, base_url });
    Ok(())
}

/// Asks the store for work.
fn ask(cx: &mut Cx, op: OpId, claim: Claim) {
    let lease =
        StoreOp::LeaseWork { environment: claim.environment.clone(), key: claim.key.clone() };
    cx.store(Pending::Poll { op, claim }, lease);
}

impl Polls {
    /// The store's answer to a poll.
    pub(in crate::relay) fn on_answer(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        claim: Claim,
        answer: Result<Answer, StoreError>,
    ) {
        let is_waiting = cx.shared.exchanges.is_waiting(op);
        match answer {
            Err(error) => cx.refuse(op, &error.into()),
            Ok(Answer::Leased(Some(lease))) if is_waiting => {
                let item = work::item(cx, &claim, &lease);
                cx.reply(op, response::json(200, &item));
            }
            Ok(Answer::Leased(Some(Lease { work, fence, .. }))) => {
                // The client left while the store was working: its next poll should get it
                // immediately.
                cx.store(Pending::ReturnWork, StoreOp::ReturnWork { work, fence });
            }
            Ok(_) if !is_waiting => {}
            Ok(_) if cx.is_stopping() => cx.refuse(op, &ApiError::unavailable()),
            Ok(_) if claim.until <= cx.now() => cx.reply(op, response::empty(204)),
            Ok(_) => self.hold(cx, op, claim),
        }
    }

    fn hold(&mut self, cx: &mut Cx, op: OpId, claim: Claim) {
        let held = self.by_environment.entry(claim.environment.clone()).or_default();
        held.push(op);
        let surplus = if held.len() > MAX_HELD_POLLS { held.first().copied() } else { None };
        cx.engine.timers.set(Timer::Poll(op), claim.until);
        self.held.insert(op, claim);
        if let Some(oldest) = surplus {
            self.end(cx, oldest);
        }
    }

    /// Answers a held poll with nothing.
    pub(in crate::relay) fn end(&mut self, cx: &mut Cx, op: OpId) {
        self.forget(cx, op);
        cx.reply(op, response::empty(204));
    }

    /// Stops holding a poll.
    pub(in crate::relay) fn forget(&mut self, cx: &mut Cx, op: OpId) -> Option<Claim> {
        let claim = self.held.remove(&op)?;
        cx.engine.timers.clear(&Timer::Poll(op));
        if let Some(held) = self.by_environment.get_mut(&claim.environment) {
            held.retain(|held| *held != op);
            if held.is_empty() {
                self.by_environment.remove(&claim.environment);
            }
        }
        Some(claim)
    }

    /// There is work: the polls waiting for it ask again, oldest first.
    pub(in crate::relay) fn wake(&mut self, cx: &mut Cx, environment: &EnvironmentId) {
        for op in self.of(environment) {
            if let Some(claim) = self.forget(cx, op) {
                ask(cx, op, claim);
            }
        }
    }

    /// Tells the polls of an environment that it is gone.
    pub(in crate::relay) fn refuse_environment(
        &mut self,
        cx: &mut Cx,
        environment: &EnvironmentId,
    ) {
        for op in self.of(environment) {
            self.forget(cx, op);
            cx.refuse(op, &StoreError::EnvironmentUnknown.into());
        }
    }

    /// The relay is stopping.
    pub(in crate::relay) fn refuse_all(&mut self, cx: &mut Cx) {
        let held: Vec<_> = self.held.keys().copied().collect();
        for op in held {
            self.forget(cx, op);
            cx.refuse(op, &ApiError::unavailable());
        }
    }

    fn of(&self, environment: &EnvironmentId) -> Vec<OpId> {
        self.by_environment.get(environment).cloned().unwrap_or_default()
    }
}

/// How long a poll may be held: `Prefer: wait=N` (RFC 7240). A preference that is not understood is
/// ignored.
pub(super) fn preferred_wait(request: &IncomingRequest) -> Option<Duration> {
    let preferences = request.headers.iter().filter(|(name, _)| name == "prefer");
    let mut preferences = preferences.flat_map(|(_, value)| value.split([',', ';']));
    let wait = preferences.find_map(|preference| preference.trim().strip_prefix("wait="));
    let seconds = wait.and_then(|wait| wait.trim().trim_matches('"').parse().ok());
    seconds.map(Duration::from_secs)
}
