//! Version 2 (C-1, C-2): sessions and their workers' credentials, and what comes from a worker, all by
//! plain requests. What goes to a worker is a stream of events, which is one of the [links](super::links).
//!
//! ```text
//!   POST …/bridge ──▶ AttachLink, Bridge: the number of the link is the epoch
//!   GET  …/worker/events/stream ──▶ OpenStream ──▶ links
//!   POST …/worker/events ──▶ AckInbound, Append        PUT …/worker, heartbeat ──▶ NoteWorker
//! ```
//!
//! Each call names its epoch to the store, which knows the newest: whatever an older one asks for is
//! refused there, whether or not it has reached this relay before.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::Cx;
use super::http::error::ApiError;
use super::http::request::{
    body, bounded, idempotency_key, one_line, optional_body, query_number, utf8_body,
};
use super::http::response;
use super::http::route::Route;
use super::links::{Links, checked, last_line};
use super::pending::{Acks, Bridging, CodeCall, Opening, Pending};
use super::tokens::Claims;
use super::worker_tokens::WorkerClaims;
use crate::base::id::{OpId, SessionId};
use crate::base::limits::{
    LINK_WINDOW_LINES_TO_RELAY, MAX_ID_BYTES, MAX_NAME_BYTES, MAX_PATH_BYTES,
};
use crate::contract::event::IncomingRequest;
use crate::store::{AccountId, Answer, Line, Origin, StoreOp};
use crate::wire::code_session::{
    Batch, BatchItem, BatchStored, Bridge, BridgeRequest, CodeSessionCreated, CreateCodeSession,
    NewSession, WorkerPulse, WorkerState, WorkerUpdate,
};
use crate::wire::last_line::LastLine;
use crate::wire::worker_api::environment::Registration;

/// A session without an environment (C-1).
pub(in crate::relay) fn create(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    owner: AccountId,
) -> Result<(), ApiError> {
    let CreateCodeSession { title, machine_name, directory, branch, git_repo_url, metadata } =
        optional_body(request)?.unwrap_or_default();
    bounded("title", title.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    bounded("machine_name", machine_name.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    bounded("directory", directory.as_deref().unwrap_or_default(), MAX_PATH_BYTES)?;
    bounded("branch", branch.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    bounded("git_repo_url", git_repo_url.as_deref().unwrap_or_default(), MAX_PATH_BYTES)?;
    bounded("metadata.worker_type", &metadata.worker_type, MAX_NAME_BYTES)?;
    let registration = Box::new(Registration {
        machine_name: machine_name.unwrap_or_else(|| String::from("a program")),
        directory: directory.unwrap_or_default(),
        branch,
        git_repo_url,
        max_sessions: 1,
        metadata,
        environment_id: None,
        worker_id: None,
        worker_run: None,
    });
    let key = idempotency_key(request)?;
    let environment = cx.shared.authority.issuer.environment_id()?;
    let id = cx.shared.authority.issuer.session_id()?;
    let device = cx.shared.devices.of(op).map(|acting| acting.device.clone());
    let create =
        StoreOp::CreateCodeSession { owner, environment, id, title, key, registration, device };
    ask(cx, op, CodeCall::Create, None, create);
    Ok(())
}

/// A person's program, or a device, takes up a session without an environment.
pub(in crate::relay) fn bridge(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    session: SessionId,
    owner: AccountId,
) -> Result<(), ApiError> {
    let (bridging, agent_run) = bridging(cx, request, session.clone(), false)?;
    let device = cx.shared.devices.of(op).map(|acting| acting.device.clone());
    let bridge = StoreOp::Bridge { owner, device, session, agent_run };
    ask(cx, op, CodeCall::Bridge(bridging), None, bridge);
    Ok(())
}

/// A worker takes up the session of an item that it has.
pub(in crate::relay) fn bridge_item(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    session: SessionId,
    claims: &Claims,
) -> Result<(), ApiError> {
    let (bridging, agent_run) = bridging(cx, request, session.clone(), true)?;
    let attach = StoreOp::AttachLink { session, fence: claims.fence, agent_run };
    ask(cx, op, CodeCall::Bridge(bridging), None, attach);
    Ok(())
}

fn bridging(
    cx: &Cx,
    request: &IncomingRequest,
    session: SessionId,
    has_item: bool,
) -> Result<(Bridging, Option<String>), ApiError> {
    let BridgeRequest { agent_run, acknowledges } = optional_body(request)?.unwrap_or_default();
    bounded("agent_run", agent_run.as_deref().unwrap_or_default(), MAX_ID_BYTES)?;
    let acks = if acknowledges { Acks::Given } else { Acks::Missing };
    let (run, base_url) = (agent_run.clone(), cx.base_url(request));
    Ok((Bridging { session, has_item, acks, run, base_url }, agent_run))
}

/// A worker wants the lines for its agent.
pub(in crate::relay) fn open_stream(
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    query: &str,
    session: SessionId,
    claims: &WorkerClaims,
) -> Result<(), ApiError> {
    let given = match request.header("last-event-id").map(str::trim) {
        None | Some("") => query_number(query, "from_sequence_num")?,
        Some(id) => {
            let bad = |_| ApiError::invalid("Last-Event-ID must be the number of a line");
            Some(id.parse().map_err(bad)?)
        }
    };
    let from = query_number(query, "holds_after")?.unwrap_or(0);
    if from == u64::MAX {
        return Err(ApiError::invalid("holds_after is beyond all lines"));
    }
    let epoch = claims.epoch;
    let opening =
        Opening { session: session.clone(), epoch, acks: claims.acks(), run: claims.run.clone() };
    let last = last_line(request)?;
    let open = StoreOp::OpenStream { session, link: epoch, received: given, from, last };
    cx.store(Pending::OpenStream { op, opening }, open);
    Ok(())
}

/// The other calls of a worker.
pub(in crate::relay) fn serve(
    links: &mut Links,
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    route: Route,
    claims: &WorkerClaims,
) -> Result<(), ApiError> {
    match route {
        Route::WorkerEvents(session) => take_batch(links, cx, op, request, session, claims),
        Route::WorkerState(session) | Route::WorkerHeartbeat(session) => {
            note_worker(links, cx, op, request, session, claims)
        }
        _ => Err(ApiError::forbidden()),
    }
}

/// How far a worker says that the lines for its agent have come.
struct Progress {
    delivered: Option<u64>,
    with_worker: Option<u64>,
    last: Option<LastLine>,
}

fn take_batch(
    links: &mut Links,
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    session: SessionId,
    claims: &WorkerClaims,
) -> Result<(), ApiError> {
    let Batch { worker_epoch, first_sequence_num, events, delivered, with_worker } =
        utf8_body(request)?;
    is_own_epoch(worker_epoch, claims)?;
    if u64::try_from(events.len()).is_ok_and(|count| count > LINK_WINDOW_LINES_TO_RELAY) {
        let most = alloc::format!("a batch has at most {LINK_WINDOW_LINES_TO_RELAY} events");
        return Err(ApiError::invalid(&most));
    }
    if first_sequence_num == Some(0) {
        return Err(ApiError::invalid("first_sequence_num must be at least 1: lines count from 1"));
    }
    let line = |raw| {
        let (origin, message) = match BatchItem::of(raw) {
            BatchItem::Line(line) => (Origin::Agent, line),
            BatchItem::Report(message) => (Origin::Worker, message),
        };
        checked(origin, one_line(message)).map_err(|_| ApiError::body_too_large())
    };
    let lines: Vec<Line> = events.into_iter().map(line).collect::<Result<_, _>>()?;
    // For the store, an agent's line must not come before the ack of what it reacts to.
    note_progress(
        links,
        cx,
        op,
        &session,
        claims,
        &Progress { delivered, with_worker, last: None },
    );
    let first = first_sequence_num.unwrap_or(0);
    let append = StoreOp::Append { session, link: claims.epoch, first, lines };
    ask(cx, op, CodeCall::Batch, claims.run.clone(), append);
    Ok(())
}

fn note_worker(
    links: &mut Links,
    cx: &mut Cx,
    op: OpId,
    request: &IncomingRequest,
    session: SessionId,
    claims: &WorkerClaims,
) -> Result<(), ApiError> {
    let WorkerUpdate { worker_epoch, state, result, delivered, with_worker } = body(request)?;
    is_own_epoch(worker_epoch, claims)?;
    let is_working = match state {
        Some(WorkerState::Idle) => Some(false),
        Some(WorkerState::Running | WorkerState::Waiting) => Some(true),
        Some(WorkerState::Ended | WorkerState::Other) | None => None,
    };
    let result = match state {
        Some(WorkerState::Ended) if claims.item => {
            let message = "this session is a work item: it ends by the item's stop";
            return Err(ApiError::invalid(message));
        }
        Some(WorkerState::Ended) => {
            Some(Box::new(super::worker_api::bounded_result(result, false)?))
        }
        _ => None,
    };
    if result.is_none() && cx.shared.stops.has(&session) {
        cx.reply(op, response::json(200, &WorkerPulse { state: "stopping".into() }));
        return Ok(());
    }
    let progress = Progress { delivered, with_worker, last: last_line(request)? };
    note_progress(links, cx, op, &session, claims, &progress);
    let note = StoreOp::NoteWorker { session, link: claims.epoch, is_working, result };
    ask(cx, op, CodeCall::Worker, claims.run.clone(), note);
    Ok(())
}

fn note_progress(
    links: &mut Links,
    cx: &mut Cx,
    op: OpId,
    session: &SessionId,
    claims: &WorkerClaims,
    progress: &Progress,
) {
    let link = claims.epoch;
    links.heard(cx, session, link);
    let delivered = progress.delivered.unwrap_or(0);
    let with_worker = progress.with_worker.unwrap_or(0).max(delivered);
    if with_worker == 0 || !links.progressed(cx, session, link, delivered, with_worker) {
        return;
    }
    let call = CodeCall::Progress(session.clone(), link);
    let session = session.clone();
    let (received, last) = (delivered, progress.last);
    let note = StoreOp::AckInbound { session, link, received, delivered, with_worker, last };
    ask(cx, op, call, claims.run.clone(), note);
}

/// A worker repeats its epoch, so that a request that was made for another is noticed.
fn is_own_epoch(given: u64, claims: &WorkerClaims) -> Result<(), ApiError> {
    match given.cmp(&claims.epoch) {
        core::cmp::Ordering::Equal => Ok(()),
        core::cmp::Ordering::Less => Err(ApiError::superseded()),
        core::cmp::Ordering::Greater => {
            Err(ApiError::invalid("worker_epoch is not that of the credential"))
        }
    }
}

fn ask(cx: &mut Cx, op: OpId, call: CodeCall, run: Option<String>, store_op: StoreOp) {
    cx.store(Pending::Code { op, call, run }, store_op);
}

/// The store has carried out a call.
pub(in crate::relay) fn answered(
    links: &mut Links,
    cx: &mut Cx,
    op: OpId,
    call: CodeCall,
    answer: Answer,
) {
    let response = match (call, answer) {
        // What follows it answers.
        (CodeCall::Progress(..), _) => return,
        (CodeCall::Create, Answer::Session(session)) => {
            let created = CodeSessionCreated { session: NewSession { id: session.id.clone() } };
            response::json(201, &created)
        }
        (CodeCall::Bridge(bridging), Answer::Attached { link, received, .. }) => {
            links.superseded(cx, &bridging.session, link, bridging.run.as_deref());
            let now = cx.wall();
            let life = cx.shared.config.worker_token_life;
            let claims = WorkerClaims::new(&bridging, link, now, now + life);
            let bridge = Bridge {
                worker_jwt: cx.shared.authority.issuer.worker_token(&claims),
                expires_in: life.as_secs(),
                api_base_url: bridging.base_url,
                worker_epoch: link,
                received,
            };
            response::json(200, &bridge)
        }
        (CodeCall::Batch, Answer::Appended { received }) => {
            response::json(200, &BatchStored { received })
        }
        (CodeCall::Worker, Answer::Renewed { is_stopping }) => {
            let state = if is_stopping { "stopping" } else { "running" };
            response::json(200, &WorkerPulse { state: state.into() })
        }
        (CodeCall::Worker, Answer::Done) => {
            response::json(200, &WorkerPulse { state: "ended".into() })
        }
        // A store that answers a different question from the one it was asked is broken.
        _ => ApiError::unavailable().response(),
    };
    cx.reply(op, response);
}
