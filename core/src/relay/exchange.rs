//! A request from its arrival to its answer.

use alloc::string::String;

use bytes::Bytes;
use serde::Deserialize;

use super::http::assets;
use super::http::authority::Identity;
use super::http::response::{self, ApiError};
use super::http::route::{self, Route, RouteError};
use super::link_v1::Attaching;
use super::viewer_api::sessions::Posting;
use super::worker_api::work::Claim;
use super::{Phase, Purpose, Relay, RelayNotice, close};
use crate::base::id::{IdError, OpId, SessionId};
use crate::base::limits::MAX_REQUEST_HEAD_BYTES;
use crate::contract::action::{Action, Method, Response};
use crate::contract::event::{Body, IncomingRequest};
use crate::store::{AccountId, Answer, StoreError, StoreOp};
use crate::wire::error::ErrorType;
use crate::wire::health::Health;
use crate::wire::viewer::EnvironmentView;

/// A request that was not answered yet, for the access log.
pub(super) struct Exchange {
    method: Method,
    path: String,
}

/// Longest path that goes into an access log, in characters.
const MAX_LOGGED_PATH: usize = 200;

/// What the answer of the store is for. `op` is the exchange, or the stream, that waits for it.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    Sweep,
    Forgotten,
    Refuse { op: OpId, refusal: ApiError },
    Register { op: OpId },
    Deregister { op: OpId },
    Poll { op: OpId, claim: Claim },
    Ack { op: OpId },
    Heartbeat { op: OpId },
    StopWork { op: OpId },
    Redispatch { op: OpId },
    Environments { op: OpId },
    Environment { op: OpId, status: u16 },
    Sessions { op: OpId },
    Session { op: OpId, status: u16 },
    Posted { op: OpId, posting: Posting },
    Answered { op: OpId },
    Events { op: OpId },
    Attach { op: OpId, attaching: Attaching },
    Resume { op: OpId },
    Append { op: OpId, bytes: usize },
    AckInbound { op: OpId },
    Inbound { op: OpId },
    Refresh { owner: AccountId, session: SessionId },
    Subscribe { op: OpId, subscribing: super::streams::viewers::Subscribing },
    Page { op: OpId },
    Overview { op: OpId },
}

impl Pending {
    /// The exchange or stream that waits for the answer.
    pub(super) const fn waiting(&self) -> Option<OpId> {
        match self {
            Self::Sweep | Self::Forgotten | Self::Refresh { .. } => None,
            Self::Refuse { op, .. }
            | Self::Register { op }
            | Self::Deregister { op }
            | Self::Poll { op, .. }
            | Self::Ack { op }
            | Self::Heartbeat { op }
            | Self::StopWork { op }
            | Self::Redispatch { op }
            | Self::Environments { op }
            | Self::Environment { op, .. }
            | Self::Sessions { op }
            | Self::Session { op, .. }
            | Self::Posted { op, .. }
            | Self::Answered { op }
            | Self::Events { op }
            | Self::Attach { op, .. }
            | Self::Resume { op }
            | Self::Append { op, .. }
            | Self::AckInbound { op }
            | Self::Inbound { op }
            | Self::Subscribe { op, .. }
            | Self::Page { op }
            | Self::Overview { op } => Some(*op),
        }
    }
}

impl Relay {
    pub(super) fn on_asked(&mut self, op: OpId, asked: &IncomingRequest) {
        if !matches!(self.fx.purpose(op), Some(Purpose::Accept)) {
            return;
        }
        self.accepting = self.accepting.saturating_sub(1);
        self.serving += 1;
        self.fx.repurpose(op, Purpose::Exchange);
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let logged = path.chars().filter(|c| !c.is_control()).take(MAX_LOGGED_PATH).collect();
        self.exchanges.insert(op, Exchange { method: asked.method, path: logged });
        if self.phase == Phase::Stopping {
            self.refuse(op, &ApiError::unavailable());
        } else if let Err(refusal) = self.ask(op, asked, path, query) {
            self.refuse(op, &refusal);
        }
    }

    fn ask(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        path: &str,
        query: &str,
    ) -> Result<(), ApiError> {
        let headers = asked.headers.iter().map(|(name, value)| name.len() + value.len());
        if asked.target.len() + headers.sum::<usize>() > MAX_REQUEST_HEAD_BYTES {
            let message = "the request's path and headers are longer than this relay takes";
            return Err(ApiError::new(413, ErrorType::TooLarge, message));
        }
        let route = route::find(asked.method, path).map_err(|no| match no {
            RouteError::Path => {
                ApiError::new(404, ErrorType::NotFound, "there is no such path here")
            }
            RouteError::Method => {
                let message = "the path exists, but not with this method";
                ApiError::new(405, ErrorType::MethodNotAllowed, message)
            }
            RouteError::Id(bad) => ApiError::invalid(&alloc::format!("{bad}")),
        })?;
        match self.authority.admit(asked, &route, self.fx.now().wall) {
            Ok(caller) => self.serve(op, asked, path, query, route, caller),
            Err(refusal) => self.refuse_unless_unknown(op, &route, refusal),
        }
    }

    /// A worker has to learn that the relay forgot it before it learns that its credential is
    /// nothing worth: only then does it register anew. Ids cannot be guessed, so that this tells
    /// nobody anything.
    fn refuse_unless_unknown(
        &mut self,
        op: OpId,
        route: &Route,
        refusal: ApiError,
    ) -> Result<(), ApiError> {
        let (environment, session) = route.worker_subjects();
        if environment.is_none() && session.is_none() {
            return Err(refusal);
        }
        let call = StoreOp::Find { environment: environment.cloned(), session: session.cloned() };
        self.store(Pending::Refuse { op, refusal }, call);
        Ok(())
    }

    fn serve(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        path: &str,
        query: &str,
        route: Route,
        caller: Identity,
    ) -> Result<(), ApiError> {
        if asked.body == Body::TooLarge {
            let message = "the request's body is larger than this relay takes";
            return Err(ApiError::new(413, ErrorType::TooLarge, message));
        }
        match (caller, route) {
            (Identity::Anybody, Route::Health) => {
                self.reply(op, response::json(200, &Health::OK));
                Ok(())
            }
            (Identity::Anybody, _) => {
                let response = assets::serve(self.config.assets, asked, path)?;
                self.reply(op, response);
                Ok(())
            }
            (Identity::Worker, route) => self.serve_worker(op, asked, route),
            (Identity::Session(claims), Route::Ingress(session)) => {
                self.attach(op, asked, session, &claims)
            }
            (Identity::Session(claims), route) => self.serve_lease(op, asked, route, &claims),
            (Identity::Account(person), Route::Register) => self.register(op, asked, person),
            (Identity::Account(person), route) => {
                self.serve_person(op, asked, query, route, person)
            }
        }
    }

    /// Goes on with what the store answered.
    pub(super) fn settle_pending(&mut self, pending: Pending, answer: Result<Answer, StoreError>) {
        match pending {
            Pending::Sweep | Pending::Forgotten => {}
            Pending::Refresh { .. } => self.refresh(answer),
            Pending::Refuse { op, refusal } => {
                self.refuse(op, &answer.err().map_or(refusal, ApiError::from));
            }
            Pending::Poll { op, claim } => self.poll_answered(op, claim, answer),
            Pending::Attach { op, attaching } => self.attached(op, attaching, answer),
            Pending::Resume { op } => self.link_resumed(op, answer),
            Pending::Append { op, bytes } => self.appended(op, bytes, answer),
            Pending::AckInbound { op } => self.inbound_acked(op, answer),
            Pending::Inbound { op } => self.inbound_read(op, answer),
            Pending::Subscribe { op, subscribing } => self.subscribed(op, subscribing, &answer),
            Pending::Page { op } => self.page_read(op, answer),
            Pending::Overview { op } => self.overview_read(op, answer),
            pending => {
                let Some(op) = pending.waiting() else { return };
                match answer {
                    Ok(answer) => self.reply_to(op, pending, answer),
                    Err(denied) => self.refuse(op, &denied.into()),
                }
            }
        }
    }

    fn reply_to(&mut self, op: OpId, pending: Pending, answer: Answer) {
        let response = match (pending, answer) {
            (Pending::Register { .. }, Answer::Environment(environment)) => {
                self.registered(&environment)
            }
            (Pending::Deregister { .. } | Pending::StopWork { .. }, Answer::Done) => {
                response::state("stopped")
            }
            (Pending::Redispatch { .. }, Answer::Done) => response::state("queued"),
            (Pending::Ack { .. }, Answer::Renewed { .. }) => response::state("acked"),
            (Pending::Heartbeat { .. }, Answer::Renewed { is_stopping }) => {
                self.heartbeat(is_stopping)
            }
            (Pending::Environment { status, .. }, Answer::Environment(environment)) => {
                response::json(status, &EnvironmentView::from(&*environment))
            }
            (Pending::Environments { .. }, Answer::Overview { environments, .. }) => {
                super::http::views::environments(&environments)
            }
            (Pending::Sessions { .. }, Answer::Sessions(sessions)) => self.session_list(&sessions),
            (Pending::Session { status, .. }, Answer::Session(session)) => {
                response::json(status, &self.session_view(&session))
            }
            (Pending::Posted { posting, .. }, Answer::Posted(accepted)) => {
                posting.response(&accepted)
            }
            (Pending::Answered { .. }, Answer::Answered { seq }) => {
                super::viewer_api::permission::answered(seq)
            }
            (Pending::Events { .. }, Answer::Page(page)) => super::http::views::page(&page),
            // A store that answers another question than it was asked is broken.
            _ => ApiError::unavailable().response(),
        };
        self.reply(op, response);
    }

    /// Answers an exchange; one whose client has left is let be.
    pub(super) fn reply(&mut self, op: OpId, response: Response) {
        let Some(Exchange { method, path }) = self.exchanges.remove(&op) else { return };
        self.forget_poll(op);
        self.fx.notify(RelayNotice::Answered { method, path, status: response.status });
        self.fx.act(op, |op| Action::Reply { op, response });
        self.fx.finish(op);
        self.serving = self.serving.saturating_sub(1);
    }

    pub(super) fn refuse(&mut self, op: OpId, refusal: &ApiError) {
        if self.exchanges.contains_key(&op) {
            self.reply(op, refusal.response());
        }
    }

    /// Turns an exchange into a WebSocket; says whether its client is still there.
    pub(super) fn upgrade(
        &mut self,
        op: OpId,
        purpose: Purpose,
        protocol: Option<&'static str>,
        max_message: usize,
    ) -> bool {
        let Some(Exchange { method, path }) = self.exchanges.remove(&op) else { return false };
        self.fx.notify(RelayNotice::Answered { method, path, status: 101 });
        // A relay that is stopping closes the stream as soon as it is open.
        let is_stopping = self.phase == Phase::Stopping;
        let doomed = Purpose::CloseOnOpen(close::GOING_AWAY);
        self.fx.repurpose(op, if is_stopping { doomed } else { purpose });
        self.opening.insert(op);
        let protocol = protocol.map(Into::into);
        self.fx.act(op, |op| Action::Upgrade { op, protocol, max_message });
        !is_stopping
    }
}

/// The body of a request as JSON.
pub(super) fn body<'a, T: Deserialize<'a>>(asked: &'a IncomingRequest) -> Result<T, ApiError> {
    let bytes: &Bytes = whole(asked);
    serde_json::from_slice(bytes).map_err(|error| {
        ApiError::invalid(&alloc::format!(
            "the body is not the JSON that is expected here: {error}"
        ))
    })
}

pub(super) fn whole(asked: &IncomingRequest) -> &Bytes {
    static EMPTY: Bytes = Bytes::new();
    match &asked.body {
        Body::Whole(bytes) => bytes,
        Body::TooLarge => &EMPTY,
    }
}

/// A number of the query; `None` where it is not given.
pub(super) fn query_number(query: &str, name: &str) -> Result<Option<u64>, ApiError> {
    let Some(value) = query_value(query, name) else { return Ok(None) };
    let bad = || ApiError::invalid(&alloc::format!("{name} must be a whole number, from 0 on"));
    value.parse().map(Some).map_err(|_| bad())
}

/// A value of the query, as it stands there.
pub(super) fn query_value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// An id of the query; `None` where it is not given.
pub(super) fn query_id<T>(
    query: &str,
    name: &str,
    parse: impl Fn(&str) -> Result<T, IdError>,
) -> Result<Option<T>, ApiError> {
    let id = query_value(query, name).map(parse).transpose();
    id.map_err(|bad| ApiError::invalid(&alloc::format!("{bad}")))
}

/// How many a person asks for: at least one, and at most what there is room for.
pub(super) fn query_limit(query: &str, most: usize) -> Result<usize, ApiError> {
    let limit = query_number(query, "limit")?.map(usize::try_from);
    Ok(limit.map_or(most, |limit| limit.unwrap_or(most)).min(most).max(1))
}

/// A text of a person or a machine, if it is not too long.
pub(super) fn bounded(name: &str, text: &str, limit: usize) -> Result<(), ApiError> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(ApiError::invalid(&alloc::format!("{name} must have at most {limit} bytes")))
}

/// The `Idempotency-Key`, if there is one.
pub(super) fn idempotency_key(asked: &IncomingRequest) -> Result<Option<String>, ApiError> {
    let Some(key) = asked.header("idempotency-key") else { return Ok(None) };
    bounded("the Idempotency-Key", key, crate::base::limits::MAX_ID_BYTES)?;
    Ok(Some(key.into()))
}

/// Whether a request asks for a WebSocket.
pub(super) fn wants_websocket(asked: &IncomingRequest) -> Result<(), ApiError> {
    let upgrade = asked.header("upgrade").unwrap_or_default();
    if upgrade.split(',').any(|token| token.trim().eq_ignore_ascii_case("websocket")) {
        return Ok(());
    }
    Err(ApiError::new(426, ErrorType::UpgradeRequired, "this path speaks WebSocket only"))
}
