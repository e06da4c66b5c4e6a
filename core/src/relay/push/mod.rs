//! Notifications (Y-7): a session that has waited for its person for some seconds, and that none of their
//! pages shows, is told to their other browsers; once, and taken back when it is over.
//!
//! ```text
//!   a session changes ─▶ needs ──(PUSH_AFTER)──▶ is it looked at? ─▶ Store: whom to tell
//!                          │                                            │
//!                          └─ over: taken back ─▶ delivery ◀── words ◀──┘
//!                                                    └─▶ seal, vapid ─▶ Action::Request
//! ```
//!
//! A browser whose quiet hours are on is told when they are over, in one message, of what still waits
//! ([`quiet`]).
//!
//! What waits is in memory: a relay that restarts learns of it when the session's link is up again. The
//! browsers are in the store. A push service learns which browser is sent something, when, and about how
//! much; what it says is encrypted for the browser.

mod api;
mod delivery;
mod endpoint;
mod needs;
mod quiet;
pub(super) mod seal;
mod vapid;
mod words;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub(super) use self::api::{is_route, response, serve};
use self::delivery::{About, Deliveries, Delivery, Outcome};
pub(super) use self::needs::Change;
use self::needs::{Needs, Stage, Watched};
use self::quiet::Quiet;
use self::vapid::VapidKey;
use super::config::RelayKeys;
use super::cx::Cx;
use super::http::response as http_response;
use super::pending::Pending;
use super::purpose::Timer;
use super::subject::Need;
use crate::base::id::{OpId, PushId, SessionId};
use crate::base::limits::{PUSH_AFTER, PUSH_KEPT_FOR, PUSH_TEST_KEPT_FOR};
use crate::contract::action::Response;
use crate::contract::event::IoError;
use crate::store::{
    AccountId, Answer, Changes, PushSubscription, PushTargets, Session, StoreError, StoreOp,
};
use crate::wire::push::{PushMessage, PushTested};
use crate::wire::session::SessionState;
use crate::wire::to_json;
use bytes::Bytes;

/// The notifications of everybody.
pub(super) struct Push {
    needs: Needs<Arc<PushSubscription>>,
    quiet: Quiet,
    deliveries: Deliveries,
}

impl Push {
    pub(super) fn new(keys: &RelayKeys) -> Self {
        let deliveries = Deliveries::new(VapidKey::new(&keys.push));
        Self { needs: Needs::default(), quiet: Quiet::default(), deliveries }
    }

    /// The relay's public key, as browsers want it.
    fn public_key(&self) -> &str {
        self.deliveries.key().public()
    }

    /// Something has changed in the store.
    pub(super) fn on_changes(&mut self, cx: &mut Cx, changes: &Changes, change: Change) {
        for session in &changes.sessions {
            let ended = |(id, state): &(SessionId, SessionState)| {
                *id == session.id && *state == SessionState::Ended
            };
            self.learn(cx, session, changes.states.iter().any(ended), change);
        }
        for (_, session) in &changes.sessions_gone {
            let over = self.needs.gone(session);
            self.take_back(cx, over);
        }
        self.schedule(cx);
    }

    fn learn(&mut self, cx: &mut Cx, session: &Session, has_just_ended: bool, change: Change) {
        let now = cx.now();
        let over = self.needs.learn(session, has_just_ended, change, now);
        self.take_back(cx, over);
    }

    /// A page that shows a session is being looked at.
    pub(super) fn seen(&mut self, cx: &mut Cx, session: &SessionId) {
        let over = self.needs.seen(session);
        self.take_back(cx, over);
    }

    fn schedule(&self, cx: &mut Cx) {
        match self.needs.next_due().into_iter().chain(self.quiet.next_due()).min() {
            Some(due) => {
                let delay = due.saturating_since(cx.now());
                cx.engine.set_timer(Timer::Push, delay);
            }
            None => cx.engine.timers.clear(&Timer::Push),
        }
    }

    /// Some needs have waited for long enough. `looked_at` are the sessions that somebody looks at.
    pub(super) fn on_due(&mut self, cx: &mut Cx, looked_at: &BTreeSet<SessionId>) {
        let now = cx.now();
        for need in self.needs.due(now) {
            let Some(watched) = self.needs.get_mut(&need) else { continue };
            if looked_at.contains(&need.0) || cx.is_stopping() {
                watched.stage = Stage::Counting { due: now + PUSH_AFTER };
                continue;
            }
            watched.stage = Stage::Asking;
            let (owner, request_id) = (watched.owner.clone(), watched.request_id.clone());
            let session = need.0.clone();
            let read = StoreOp::ReadPushTargets { owner, session, request_id };
            cx.store(Pending::Telling(Box::new(need)), read);
        }
        for owner in self.quiet.due(now) {
            cx.store(Pending::QuietOver(owner.clone()), StoreOp::ListPushes { owner });
        }
        self.schedule(cx);
    }

    /// The store has said whom to tell.
    pub(super) fn on_targets(
        &mut self,
        cx: &mut Cx,
        need: &Need,
        answer: Result<Answer, StoreError>,
    ) {
        let Ok(Answer::PushTargets(targets)) = answer else { return };
        let Some(watched) = self.needs.get_mut(need) else { return };
        if !matches!(watched.stage, Stage::Asking) {
            return;
        }
        let (seq, request_id) = (watched.seq, watched.request_id.clone());
        let waiting = self.needs.questions_of(&targets.session.owner);
        let tag = words::tag(need, seq);
        let message = words::waits(need, &tag, seq, request_id.as_deref(), &targets, waiting);
        let message = to_json(&message);
        let topic = words::topic(&tag);
        let told = self.those_to_tell(cx, need, &targets);
        for to in &told {
            let (to, message, topic) = (Arc::clone(to), message.clone(), Some(topic.clone()));
            let about = About::Need(need.clone());
            let delivery =
                Delivery { to, about, message, kept_for: PUSH_KEPT_FOR, topic, attempts: 0 };
            self.deliveries.add(cx, delivery);
        }
        self.needs.told(need, told, self.quiet.holds(need));
        self.schedule(cx);
    }

    /// Those whose quiet hours are on are told later.
    fn those_to_tell(
        &mut self,
        cx: &Cx,
        need: &Need,
        targets: &PushTargets,
    ) -> Vec<Arc<PushSubscription>> {
        let (now, wall) = (cx.now(), cx.wall());
        let machine = targets.machine.as_deref().unwrap_or_default();
        let mut told = Vec::new();
        for push in &targets.subscriptions {
            let preferences = &push.preferences;
            let is_muted = preferences.muted.iter().any(|muted| muted == machine);
            let is_signed_in = cx.shared.authority.is_signed_in(&push.owner, &push.sign_in);
            if is_muted || !is_signed_in {
                continue;
            }
            if let Some(left) = preferences.quiet.and_then(|quiet| quiet.left(wall)) {
                self.quiet.hold(push, [need.clone()], now + left);
            } else if self.deliveries.allows(now, &push.id) {
                told.push(Arc::new(push.clone()));
            }
        }
        told
    }

    /// Quiet hours are over, and the store has said which browsers there are.
    pub(super) fn on_quiet_over(
        &mut self,
        cx: &mut Cx,
        owner: &AccountId,
        answer: Result<Answer, StoreError>,
    ) {
        let held = self.quiet.take(owner);
        let Ok(Answer::Pushes(pushes)) = answer else { return };
        let (now, wall) = (cx.now(), cx.wall());
        for (id, mut needs) in held {
            let Some(push) = pushes.iter().find(|push| push.id == id) else { continue };
            needs.retain(|need| self.needs.get_mut(need).is_some());
            if needs.is_empty() || !cx.shared.authority.is_signed_in(owner, &push.sign_in) {
                continue;
            }
            // They have been changed meanwhile, or the clock has.
            if let Some(left) = push.preferences.quiet.and_then(|quiet| quiet.left(wall)) {
                self.quiet.hold(push, needs, now + left);
                continue;
            }
            if self.deliveries.allows(now, &id) {
                let message = to_json(&words::waited(&needs, self.needs.questions_of(owner)));
                let to = Arc::new(push.clone());
                self.quiet.told(Arc::clone(&to), needs);
                self.send_summary(cx, to, message);
            }
        }
        self.schedule(cx);
    }

    /// The store could not say which browsers there are: it is asked again.
    pub(super) fn on_quiet_over_failed(&mut self, cx: &mut Cx, owner: &AccountId) {
        self.quiet.ask_again(owner, cx.now() + PUSH_AFTER);
        self.schedule(cx);
    }

    /// What replaces the browser's last one.
    fn send_summary(&mut self, cx: &mut Cx, to: Arc<PushSubscription>, message: Bytes) {
        let (about, topic) = (About::Summary, Some(words::topic(quiet::TAG)));
        let kept_for = PUSH_KEPT_FOR;
        self.deliveries.add(cx, Delivery { to, about, message, kept_for, topic, attempts: 0 });
    }

    /// The store could not say whom to tell: it is asked again.
    pub(super) fn on_targets_failed(&mut self, cx: &mut Cx, need: &Need) {
        let due = cx.now() + PUSH_AFTER;
        if let Some(watched) = self.needs.get_mut(need) {
            watched.stage = Stage::Counting { due };
        }
        self.schedule(cx);
    }

    /// Takes back what was told of needs that are over.
    fn take_back(&mut self, cx: &mut Cx, over: Vec<(Need, Watched<Arc<PushSubscription>>)>) {
        for (need, watched) in over {
            for to in self.quiet.over(&need) {
                let waiting = self.needs.questions_of(&watched.owner);
                let message = to_json(&PushMessage::Over { tag: quiet::TAG.into(), waiting });
                self.send_summary(cx, to, message);
            }
            let Stage::Told(told) = watched.stage else { continue };
            let unsent = self.deliveries.withdraw(&need);
            let tag = words::tag(&need, watched.seq);
            let waiting = self.needs.questions_of(&watched.owner);
            let message = to_json(&PushMessage::Over { tag: tag.as_str().into(), waiting });
            for to in told {
                if unsent.contains(&to.id) {
                    continue;
                }
                let (message, topic) = (message.clone(), Some(words::topic(&tag)));
                let kept_for = PUSH_KEPT_FOR;
                let delivery =
                    Delivery { to, about: About::Over, message, kept_for, topic, attempts: 0 };
                self.deliveries.add(cx, delivery);
            }
        }
    }

    /// A page wants to know whether messages arrive, and waits for `op`.
    pub(super) fn on_test(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        (id, nonce): (&PushId, String),
        answer: Result<Answer, StoreError>,
    ) {
        let found = match answer {
            Ok(Answer::Pushes(pushes)) => pushes.into_iter().find(|push| push.id == *id),
            _ => None,
        };
        let Some(push) = found else {
            return cx.refuse(op, &StoreError::PushUnknown.into());
        };
        let now = cx.now();
        if !self.deliveries.allows(now, id) {
            let detail = "this browser has been sent very many messages: wait a minute";
            return tested(
                cx,
                op,
                &PushTested { accepted: false, status: 0, detail: detail.into() },
            );
        }
        let message = to_json(&PushMessage::Test { nonce: nonce.into() });
        let (to, kept_for) = (Arc::new(push), PUSH_TEST_KEPT_FOR);
        let about = About::Test(op);
        self.deliveries
            .add(cx, Delivery { to, about, message, kept_for, topic: None, attempts: 0 });
    }

    /// A push service has answered.
    pub(super) fn on_response(&mut self, cx: &mut Cx, op: OpId, response: &Response) {
        let outcome = self.deliveries.on_response(cx, op, response);
        Self::after(cx, outcome);
    }

    /// A push service could not be reached.
    pub(super) fn on_failed(&mut self, cx: &mut Cx, op: OpId, failure: &IoError) {
        let outcome = self.deliveries.on_failed(cx, op, failure);
        Self::after(cx, outcome);
    }

    fn after(cx: &mut Cx, outcome: Option<Outcome>) {
        if let Some(Outcome::Tested(op, result)) = outcome {
            tested(cx, op, &result);
        }
    }

    /// Something that waits for a pause may be sent.
    pub(super) fn on_retry(&mut self, cx: &mut Cx) {
        self.deliveries.send_on(cx);
    }
}

fn tested(cx: &mut Cx, op: OpId, result: &PushTested<'_>) {
    cx.reply(op, http_response::json(200, result));
}

/// The name of a subscription: the same browser has the same one, whatever it is told.
fn id_of(owner: &str, endpoint: &str) -> Option<PushId> {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{owner}\0{endpoint}").as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    PushId::new(&format!("push_{hex}")).ok()
}
