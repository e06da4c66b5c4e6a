//! Messages on their way to push services (RFC 8030): a few at a time, retried while that may help.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::endpoint::Endpoint;
use super::seal::{Browser, Once, seal};
use super::vapid::VapidKey;
use crate::base::id::{OpId, PushId};
use crate::base::limits::{
    MAX_PUSH_ATTEMPTS, MAX_PUSH_REQUESTS, MAX_QUEUED_PUSHES, PUSH_ALLOWED_EVERY, PUSH_RETRY_PAUSE,
    PUSHES_ALLOWED, REQUEST_TIMEOUT,
};
use crate::base::secret::Secret;
use crate::base::time::Instant;
use crate::client::RetryAfter;
use crate::contract::action::{Action, Answer, Method, Request, Response};
use crate::contract::event::IoError;
use crate::relay::cx::Cx;
use crate::relay::notice::RelayNotice;
use crate::relay::pending::Pending;
use crate::relay::purpose::{Purpose, Timer};
use crate::relay::rate::Allowance;
use crate::relay::subject::Need;
use crate::store::{PushSubscription, StoreOp};
use crate::wire::push::PushTested;

/// Largest answer of a push service that is read, in bytes. Nothing in it counts.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// A message to one browser.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) to: Arc<PushSubscription>,
    pub(super) about: About,
    pub(super) message: Bytes,
    pub(super) kept_for: Duration,
    pub(super) topic: Option<String>,
    /// How often it was sent.
    pub(super) attempts: u32,
}

/// What a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// To tell of this.
    Need(Need),
    /// To take something back.
    Over,
    /// To tell of what waited while it was quiet, or to take that back.
    Summary,
    /// To try whether it arrives, for the page that waits for this answer.
    Test(OpId),
}

/// What became of a message.
pub(super) enum Outcome {
    /// Nothing more is to be done.
    Done,
    /// A test is over.
    Tested(OpId, PushTested<'static>),
}

/// Everything on its way.
pub(super) struct Deliveries {
    key: VapidKey,
    /// Each with the time before which it is not sent.
    queue: VecDeque<(Instant, Delivery)>,
    under_way: BTreeMap<OpId, Delivery>,
    allowed: BTreeMap<PushId, Allowance>,
}

impl Deliveries {
    pub(super) const fn new(key: VapidKey) -> Self {
        Self { key, queue: VecDeque::new(), under_way: BTreeMap::new(), allowed: BTreeMap::new() }
    }

    pub(super) const fn key(&self) -> &VapidKey {
        &self.key
    }

    /// Whether a browser may be sent one more notification now.
    pub(super) fn allows(&mut self, now: Instant, to: &PushId) -> bool {
        if self.allowed.len() > MAX_QUEUED_PUSHES {
            self.allowed.clear();
        }
        let allowance = self.allowed.entry(to.clone()).or_default();
        allowance.take(now, PUSHES_ALLOWED, PUSH_ALLOWED_EVERY)
    }

    /// Sends a message when there is room.
    pub(super) fn add(&mut self, cx: &mut Cx, delivery: Delivery) {
        if self.queue.len() >= MAX_QUEUED_PUSHES {
            self.queue.pop_front();
        }
        let now = cx.now();
        self.queue.push_back((now, delivery));
        self.send_on(cx);
    }

    /// Forgets messages about a need that have not been sent. Returns to whom.
    pub(super) fn withdraw(&mut self, need: &Need) -> Vec<PushId> {
        let mut unsent = Vec::new();
        self.queue.retain(|(_, delivery)| {
            let is_about = delivery.about == About::Need(need.clone());
            if is_about && delivery.attempts == 0 {
                unsent.push(delivery.to.id.clone());
            }
            !is_about
        });
        unsent
    }

    /// Sends what is due, as far as there is room.
    pub(super) fn send_on(&mut self, cx: &mut Cx) {
        let now = cx.now();
        while self.under_way.len() < MAX_PUSH_REQUESTS && !cx.is_stopping() {
            let due = self.queue.iter().position(|(at, _)| *at <= now);
            let Some((_, delivery)) = due.and_then(|at| self.queue.remove(at)) else { break };
            self.send(cx, delivery);
        }
        match self.queue.iter().map(|(at, _)| *at).min() {
            Some(at) if at > now => {
                cx.engine.set_timer(Timer::PushRetry, at.saturating_since(now));
            }
            _ => cx.engine.timers.clear(&Timer::PushRetry),
        }
    }

    fn send(&mut self, cx: &mut Cx, mut delivery: Delivery) {
        let reach = cx.shared.config.push_reach;
        // Both were checked when it was posted, and the owner may have changed their mind since.
        let Ok(endpoint) = Endpoint::parse(&delivery.to.endpoint, reach) else { return };
        let Some(browser) = Browser::of(&delivery.to.keys) else { return };
        let issuer = &mut cx.shared.authority.issuer;
        let mut drawn = core::iter::repeat_with(|| Once::of(&issuer.random(), &issuer.random()));
        let Some(once) = drawn.find_map(|once| once) else { return };
        let Some(body) = seal(&browser, &once, &delivery.message) else { return };
        delivery.attempts += 1;
        let contact = contact(cx.shared.config.public_url.as_deref());
        let mut headers = alloc::vec![
            ("authorization", self.key.authorization(&endpoint.origin, contact, cx.wall())),
            ("ttl", Secret::new(format!("{}", delivery.kept_for.as_secs()))),
            ("urgency", Secret::from("high")),
            ("content-encoding", Secret::from("aes128gcm")),
            ("content-type", Secret::from("application/octet-stream")),
        ];
        headers.extend(delivery.topic.as_deref().map(|topic| ("topic", Secret::from(topic))));
        let request = Request {
            method: Method::Post,
            url: delivery.to.endpoint.clone(),
            headers,
            body,
            timeout: REQUEST_TIMEOUT,
            answer: Answer::Whole { max_body: MAX_ANSWER_BYTES },
            reach,
        };
        let op = cx.engine.fx.start(Purpose::Push, |op| Action::Request { op, request });
        self.under_way.insert(op, delivery);
    }

    /// A push service has answered.
    pub(super) fn on_response(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        response: &Response,
    ) -> Option<Outcome> {
        cx.engine.fx.finish(op)?;
        let delivery = self.under_way.remove(&op)?;
        let status = response.status;
        let outcome = match status {
            200..=299 => self.done(&delivery, status, String::new()),
            404 | 410 => {
                let (owner, id) = (delivery.to.owner.clone(), delivery.to.id.clone());
                self.queue.retain(|(_, other)| other.to.id != id);
                cx.store(Pending::Forgotten, StoreOp::RemovePush { owner, id });
                let words =
                    "the browser has given this subscription up: turn notifications on again there";
                self.done(&delivery, status, words.into())
            }
            429 | 500..=599 => {
                let pause = RetryAfter::of(response).map(|after| after.pause(cx.wall()));
                let words =
                    format!("the push service asks to be tried again later (HTTP {status})");
                self.retry(cx, delivery, pause, status, words)
            }
            _ => {
                let words = format!("the push service refuses it (HTTP {status})");
                self.refused(cx, &delivery, status, words)
            }
        };
        self.send_on(cx);
        Some(outcome)
    }

    /// A push service could not be reached.
    pub(super) fn on_failed(
        &mut self,
        cx: &mut Cx,
        op: OpId,
        failure: &IoError,
    ) -> Option<Outcome> {
        let delivery = self.under_way.remove(&op)?;
        let words = format!("the push service cannot be reached: {failure}");
        let outcome = self.retry(cx, delivery, None, 0, words);
        self.send_on(cx);
        Some(outcome)
    }

    fn retry(
        &mut self,
        cx: &mut Cx,
        delivery: Delivery,
        pause: Option<Duration>,
        status: u16,
        words: String,
    ) -> Outcome {
        let is_test = matches!(delivery.about, About::Test(_));
        if is_test || delivery.attempts >= MAX_PUSH_ATTEMPTS {
            return self.refused(cx, &delivery, status, words);
        }
        let doubled = PUSH_RETRY_PAUSE * 2u32.saturating_pow(delivery.attempts.saturating_sub(1));
        let at = cx.now() + pause.unwrap_or(doubled);
        self.queue.push_back((at, delivery));
        Outcome::Done
    }

    fn refused(&self, cx: &mut Cx, delivery: &Delivery, status: u16, words: String) -> Outcome {
        let service = service_of(&delivery.to.endpoint);
        cx.notify(RelayNotice::PushFailed { service, status, detail: words.clone() });
        self.done(delivery, status, words)
    }

    #[allow(clippy::unused_self, reason = "it reads as what becomes of one of these")]
    fn done(&self, delivery: &Delivery, status: u16, detail: String) -> Outcome {
        let About::Test(op) = delivery.about else { return Outcome::Done };
        let accepted = (200..300).contains(&status);
        Outcome::Tested(op, PushTested { accepted, status, detail: detail.into() })
    }
}

/// The host of a push service, for people.
pub(super) fn service_of(endpoint: &str) -> String {
    let parsed = Endpoint::parse(endpoint, crate::contract::http::Reach::Anywhere);
    parsed.map(|endpoint| endpoint.host).unwrap_or_default()
}

/// Whom the owner of a push service may ask about what this relay sends: some refuse requests without.
fn contact(public_url: Option<&str>) -> &str {
    public_url.filter(|url| url.starts_with("https://")).unwrap_or("mailto:footbridge@example.com")
}
