//! Work: polled for, held, taken, kept, ended (E-2 to E-6, W-8).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::base::id::{EnvironmentId, OpId, WorkId};
use crate::base::limits::{MAX_HELD_POLLS, MAX_NAME_BYTES, STDERR_TAIL_BYTES};
use crate::base::time::Instant;
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::exchange::{Pending, body, idempotency_key};
use crate::relay::http::response::{self, ApiError};
use crate::relay::http::route::Route;
use crate::relay::tokens::Claims;
use crate::relay::{Phase, Relay, Timer};
use crate::store::{Answer, Lease, StoreError, StoreOp};
use crate::wire::session::{ResultStatus, SessionResult};
use crate::wire::url::BaseUrl;
use crate::wire::work::{Fence, Heartbeat, LeaseState, StopWork, WorkData, WorkItem};
use crate::wire::work_secret::WorkSecret;

/// Polls that are held, because there was no work for them.
#[derive(Default)]
pub(in crate::relay) struct Polls {
    held: BTreeMap<OpId, Claim>,
    /// The oldest first.
    by_environment: BTreeMap<EnvironmentId, Vec<OpId>>,
}

/// What a poll asks for.
#[derive(Clone, Debug)]
pub(in crate::relay) struct Claim {
    environment: EnvironmentId,
    key: Option<String>,
    /// When it is to be answered even so.
    until: Instant,
    /// Where the worker is to find this relay.
    base_url: Option<String>,
}

impl Relay {
    pub(in crate::relay) fn serve_worker(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        route: Route,
    ) -> Result<(), ApiError> {
        match route {
            Route::Poll(environment) => {
                let wait = wait_of(asked).min(self.config.poll_cap);
                let until = self.fx.now().mono + wait;
                let key = idempotency_key(asked)?;
                let base_url = self.base_url(asked);
                self.claim(op, Claim { environment, key, until, base_url });
            }
            Route::StopWork(environment, work) => {
                let StopWork { fence, force, result } = body(asked)?;
                let result = Box::new(bounded_result(result, force)?);
                let call = StoreOp::StopWork { environment, work, fence, result };
                self.store(Pending::StopWork { op }, call);
            }
            Route::Redispatch(environment, session) => {
                let work = self.draw_work_id()?;
                let call = StoreOp::Redispatch { environment, session, work };
                self.store(Pending::Redispatch { op }, call);
            }
            Route::Deregister(id) => {
                self.store(Pending::Deregister { op }, StoreOp::RemoveEnvironment { id });
            }
            _ => return Err(ApiError::forbidden()),
        }
        Ok(())
    }

    /// Calls that are authorised by a session token.
    pub(in crate::relay) fn serve_lease(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        route: Route,
        claims: &Claims,
    ) -> Result<(), ApiError> {
        let Fence { fence } = body(asked)?;
        if fence != claims.fence {
            return Err(StoreError::LeaseLost.into());
        }
        match route {
            Route::Ack(environment, work) => {
                self.store(Pending::Ack { op }, StoreOp::AckWork { environment, work, fence });
            }
            Route::Heartbeat(environment, work) => {
                self.store(
                    Pending::Heartbeat { op },
                    StoreOp::RenewLease { environment, work, fence },
                );
            }
            _ => return Err(ApiError::forbidden()),
        }
        Ok(())
    }

    pub(in crate::relay) fn draw_work_id(&mut self) -> Result<WorkId, ApiError> {
        let id = WorkId::new(&format!("work_{}", self.authority.mint.draw()));
        id.map_err(|bad| ApiError::invalid(&format!("{bad}")))
    }

    fn claim(&mut self, op: OpId, claim: Claim) {
        let call =
            StoreOp::LeaseWork { environment: claim.environment.clone(), key: claim.key.clone() };
        self.store(Pending::Poll { op, claim }, call);
    }

    pub(in crate::relay) fn poll_answered(
        &mut self,
        op: OpId,
        claim: Claim,
        answer: Result<Answer, StoreError>,
    ) {
        let is_there = self.exchanges.contains_key(&op);
        match answer {
            Err(denied) => self.refuse(op, &denied.into()),
            Ok(Answer::Leased(Some(lease))) if is_there => {
                let response = self.work_item(&claim, &lease);
                self.reply(op, response);
            }
            Ok(Answer::Leased(Some(Lease { work, fence, .. }))) => {
                // The client left while the store was at work: the next poll is to have it at once.
                self.store(Pending::Forgotten, StoreOp::ReturnWork { work, fence });
            }
            Ok(_) if !is_there => {}
            Ok(_) if self.phase == Phase::Stopping => self.refuse(op, &ApiError::unavailable()),
            Ok(_) if claim.until <= self.fx.now().mono => self.reply(op, response::empty(204)),
            Ok(_) => self.hold_poll(op, claim),
        }
    }

    fn hold_poll(&mut self, op: OpId, claim: Claim) {
        let held = self.polls.by_environment.entry(claim.environment.clone()).or_default();
        held.push(op);
        let surplus = if held.len() > MAX_HELD_POLLS { held.first().copied() } else { None };
        self.timers.set(Timer::Poll(op), claim.until);
        self.polls.held.insert(op, claim);
        if let Some(oldest) = surplus {
            self.end_poll(oldest);
        }
    }

    /// Answers a held poll with nothing.
    pub(in crate::relay) fn end_poll(&mut self, op: OpId) {
        self.reply(op, response::empty(204));
    }

    /// Holds a poll no longer, whatever became of it.
    pub(in crate::relay) fn forget_poll(&mut self, op: OpId) -> Option<Claim> {
        let claim = self.polls.held.remove(&op)?;
        self.timers.clear(&Timer::Poll(op));
        if let Some(held) = self.polls.by_environment.get_mut(&claim.environment) {
            held.retain(|held| *held != op);
            if held.is_empty() {
                self.polls.by_environment.remove(&claim.environment);
            }
        }
        Some(claim)
    }

    /// There is work: the polls that wait for it ask again, the oldest first.
    pub(in crate::relay) fn wake_polls(&mut self, environment: &EnvironmentId) {
        for op in self.polls.by_environment.get(environment).cloned().unwrap_or_default() {
            if let Some(claim) = self.forget_poll(op) {
                self.claim(op, claim);
            }
        }
    }

    /// The environment is gone: its polls learn it.
    pub(in crate::relay) fn refuse_polls_of(&mut self, environment: &EnvironmentId) {
        for op in self.polls.by_environment.get(environment).cloned().unwrap_or_default() {
            self.refuse(op, &StoreError::EnvironmentUnknown.into());
        }
    }

    pub(in crate::relay) fn refuse_polls(&mut self) {
        let held: Vec<_> = self.polls.held.keys().copied().collect();
        for op in held {
            self.refuse(op, &ApiError::unavailable());
        }
    }

    fn base_url(&self, asked: &IncomingRequest) -> Option<String> {
        if let Some(url) = &self.config.public_url {
            return Some(url.clone());
        }
        let scheme = if asked.is_tls { "https" } else { "http" };
        let host = asked.header("host").filter(|host| host.len() <= MAX_NAME_BYTES)?;
        let url = BaseUrl::parse(&format!("{scheme}://{host}"));
        // Where the host makes no URL that a worker would take, it goes where it came from.
        url.ok().map(|url| format!("{url}"))
    }

    fn work_item(&mut self, claim: &Claim, lease: &Lease) -> Response {
        let now = self.fx.now().wall;
        let claims = Claims {
            session: match &lease.data {
                WorkData::Session(id) => Some(id.clone()),
                WorkData::Healthcheck(_) => None,
            },
            environment: claim.environment.clone(),
            work: lease.work.clone(),
            fence: lease.fence,
            iat: now.as_secs(),
            exp: (now + self.config.session_token_life).as_secs(),
        };
        let token = self.authority.mint.session_token(&claims);
        let item = WorkItem {
            id: lease.work.clone(),
            kind: "work".into(),
            environment_id: claim.environment.clone(),
            state: "leased".into(),
            data: lease.data.clone(),
            secret: WorkSecret::new(token, claim.base_url.clone()).encode(),
            created_at: format!("{}", lease.created_at),
            fence: lease.fence,
            lease_seconds: Some(self.config.policy.lease_time.as_secs()),
        };
        response::json(200, &item)
    }

    pub(in crate::relay) fn heartbeat(&self, is_stopping: bool) -> Response {
        let state = if is_stopping { LeaseState::Stopping } else { LeaseState::Running };
        let lease_seconds = Some(self.config.policy.lease_time.as_secs());
        response::json(200, &Heartbeat { lease_extended: true, state, lease_seconds })
    }
}

/// How long a poll may be held: `Prefer: wait=N` (RFC 7240). A preference that is not understood
/// is none.
fn wait_of(asked: &IncomingRequest) -> Duration {
    let preferences = asked.headers.iter().filter(|(name, _)| name == "prefer");
    let mut preferences = preferences.flat_map(|(_, value)| value.split([',', ';']));
    let wait = preferences.find_map(|preference| preference.trim().strip_prefix("wait="));
    let seconds = wait.and_then(|wait| wait.trim().trim_matches('"').parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

/// A worker's result with texts of a bounded length; without one, what `force` says.
fn bounded_result(result: Option<SessionResult>, force: bool) -> Result<SessionResult, ApiError> {
    let status = if force { ResultStatus::Interrupted } else { ResultStatus::Completed };
    let mut result =
        result.unwrap_or_else(|| crate::store::ended(status, "the worker gave no further result"));
    if result.status == ResultStatus::Lost {
        return Err(ApiError::invalid("result.status: only the relay says that a session is lost"));
    }
    result.message = result.message.chars().take(STDERR_TAIL_BYTES).collect();
    let surplus = result.stderr.len().saturating_sub(STDERR_TAIL_BYTES);
    let start = (surplus..=result.stderr.len()).find(|at| result.stderr.is_char_boundary(*at));
    result.stderr.drain(..start.unwrap_or(0));
    Ok(result)
}
