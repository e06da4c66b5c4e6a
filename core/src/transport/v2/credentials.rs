//! What a channel shows: the credentials of one epoch, and their renewal before they run out (C-1, C-3,
//! T-3).

use alloc::string::ToString;

use super::{Channel, State};
use crate::auth::refresh::{Generation, NewToken, RefreshOutcome, RefreshPolicy, RefreshScheduler};
use crate::base::id::OpId;
use crate::base::secret::Secret;
use crate::base::time::{Instant, Now};
use crate::client::{RequestError, answer, code_session};
use crate::contract::action::{Action, Request};
use crate::contract::event::Event;
use crate::engine::effects::Effects;
use crate::transport::event::LinkEvent;
use crate::wire::code_session::{Bridge, BridgeRequest};

use core::time::Duration;
use fastrand::Rng;

#[derive(Debug)]
pub(super) struct Credentials {
    /// The session's token, which gives the others.
    token: Secret,
    grant: Option<Grant>,
    scheduler: RefreshScheduler<()>,
    /// A refresh that is under way.
    refresh: Option<Refresh>,
    /// When to look at the schedule again.
    look_at: Option<Instant>,
    /// How many there were since the relay has last accepted one.
    untried: u32,
}

#[derive(Debug)]
struct Grant {
    jwt: Secret,
    epoch: u64,
}

#[derive(Debug)]
struct Refresh {
    /// `None` once the state has taken it over.
    op: Option<OpId>,
    generation: Generation,
}

impl Credentials {
    pub(super) fn new(token: Secret) -> Self {
        Self {
            token,
            grant: None,
            scheduler: RefreshScheduler::new(RefreshPolicy::default()),
            refresh: None,
            look_at: None,
            untried: 0,
        }
    }

    /// The relay has accepted those that it has.
    pub(super) fn accepted(&mut self) {
        self.untried = 0;
    }

    /// Whether new ones are worth a request at once: not where the last ones were refused as well.
    pub(super) const fn can_be_replaced_at_once(&self) -> bool {
        self.untried < 2
    }

    pub(super) const fn token(&self) -> &Secret {
        &self.token
    }

    pub(super) fn jwt(&self) -> Option<&Secret> {
        self.grant.as_ref().map(|grant| &grant.jwt)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.grant.as_ref().map_or(0, |grant| grant.epoch)
    }

    /// A request for them.
    pub(super) fn ask(&self, url: &str, agent_run: &str) -> Request {
        let body = BridgeRequest { agent_run: Some(agent_run.to_string()), acknowledges: true };
        code_session::bridge(url, &self.token, &body)
    }

    /// They were refused, or have to be others.
    pub(super) fn forget(&mut self) {
        self.grant = None;
        self.scheduler.cancel(&());
        self.look_at = None;
    }

    /// There is another session token. Returns a refresh to cancel.
    pub(super) fn renew(&mut self, token: Secret) -> Option<OpId> {
        self.token = token;
        self.forget();
        self.close()
    }

    /// Returns a refresh to cancel.
    pub(super) fn close(&mut self) -> Option<OpId> {
        let refresh = self.refresh.take()?;
        // What the relay makes of it is of no interest any more.
        self.scheduler = RefreshScheduler::new(RefreshPolicy::default());
        refresh.op
    }

    /// Those that are about to run out are not worth a stream.
    pub(super) fn drop_outdated(&mut self, now: Now) {
        if self.refresh.is_none() && self.scheduler.deadline(now).is_some_and(|at| at <= now.mono) {
            self.forget();
        }
    }

    pub(super) fn is_refresh(&self, op: OpId) -> bool {
        self.refresh.as_ref().is_some_and(|refresh| refresh.op == Some(op))
    }

    pub(super) fn restarted(&mut self, old: OpId, new: OpId) {
        if let Some(refresh) = &mut self.refresh
            && refresh.op == Some(old)
        {
            refresh.op = Some(new);
        }
    }

    /// The refresh that is under way, to be waited for.
    pub(super) fn take_refresh(&mut self) -> Option<OpId> {
        self.refresh.as_mut()?.op.take()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.look_at.filter(|_| self.refresh.is_none())
    }

    fn settle(&mut self, now: Now, outcome: Result<&Bridge, &RequestError>) {
        let life = |bridge: &Bridge| Duration::from_secs(bridge.expires_in);
        let new = |bridge: &Bridge| match bridge.expires_in {
            0 => NewToken::Readable(bridge.worker_jwt.clone()),
            _ => NewToken::ExpiresIn(life(bridge)),
        };
        let refresh = self.refresh.take();
        match (refresh, outcome) {
            (Some(Refresh { generation, .. }), outcome) => {
                let outcome = match outcome {
                    Ok(bridge) => RefreshOutcome::Refreshed(new(bridge)),
                    Err(RequestError::Refused(refusal)) if !refusal.is_retryable() => {
                        RefreshOutcome::Refused
                    }
                    Err(error) => {
                        RefreshOutcome::Unreachable { retry_after: error.retry_after(now.wall) }
                    }
                };
                self.scheduler.settle(now, &(), generation, outcome);
            }
            (None, Ok(bridge)) if bridge.expires_in == 0 => {
                self.scheduler.schedule(now, (), &bridge.worker_jwt);
            }
            (None, Ok(bridge)) => {
                self.scheduler.schedule_expires_in(now, (), life(bridge));
            }
            (None, Err(_)) => {}
        }
        self.look_at = self.scheduler.deadline(now);
        if let Ok(bridge) = outcome {
            let Bridge { worker_jwt, worker_epoch, .. } = bridge;
            self.untried = self.untried.saturating_add(1);
            self.grant = Some(Grant { jwt: worker_jwt.clone(), epoch: *worker_epoch });
        }
    }
}

impl Channel {
    /// Asks for new credentials if it is time, while everything goes on with those that it has.
    pub(super) fn refresh<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        let now = fx.now();
        let own = &mut self.credentials;
        if own.deadline().is_none_or(|at| at > now.mono) {
            return;
        }
        if let Some(due) = own.scheduler.next_due(now) {
            let request = own.ask(&self.url, &self.agent_run);
            let op = fx.start(purpose, |op| Action::Request { op, request });
            self.credentials.refresh = Some(Refresh { op: Some(op), generation: due.generation });
        }
        let own = &mut self.credentials;
        own.look_at = own.scheduler.deadline(now);
    }

    /// A refresh was answered. New credentials are of a new epoch, so everything begins again under
    /// them.
    pub(super) fn refreshed<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        event: Event,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        let answer = answer::<Bridge>(event);
        self.credentials.settle(fx.now(), answer.as_ref());
        if self.is_over() {
            return;
        }
        match answer {
            Ok(_) => self.rebuild(fx, purpose),
            // Those that it has still count.
            Err(RequestError::Refused(refusal)) if refusal.is_unauthorized() => {
                each(LinkEvent::Refused(refusal));
            }
            Err(_) => {}
        }
    }

    /// The credentials that it waits for have come, or not.
    pub(super) fn bridged<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
        event: Event,
        each: &mut dyn FnMut(LinkEvent),
    ) {
        let answer = answer::<Bridge>(event);
        self.credentials.settle(fx.now(), answer.as_ref());
        self.state = State::Idle;
        match answer {
            Ok(_) => {
                self.is_served();
                self.begin(fx, purpose);
            }
            Err(error) => {
                self.credentials.forget();
                self.is_it_served(fx.now().mono, &error);
                if self.falls_back() {
                    return;
                }
                self.refused(fx, rng, &error, each);
            }
        }
    }
}
