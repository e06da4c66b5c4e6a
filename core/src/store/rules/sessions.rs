//! Sessions: created, asked to stop, ended, forgotten.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;

use super::conversation::{Conversation, own};
use super::cx::{Answered, Cx, Halt};
use super::presence::{owned, schedule_check};
use super::queue::{End, enqueue_in, new_item, stop_items};
use super::result::ended;
use super::{questions, receipts, removal, requests, retention};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::record::{AccountId, Callbacks, Receipts, Session};
use crate::store::rows::{Declared, InboundCounts, SessionFilter, SessionRow, Turn};
use crate::store::tables::{TableError, Tables};
use crate::wire::session::{ResultStatus, SessionResult, SessionState};
use crate::wire::viewer::Stage;
use crate::wire::work_secret::AgentOptions;
use crate::wire::worker_api::environment::OWN_SESSION_KEY;
use crate::wire::worker_api::work::WorkData;

/// What a session is created from.
pub(super) struct NewSession<'a> {
    pub(super) owner: &'a AccountId,
    pub(super) environment: &'a EnvironmentId,
    pub(super) id: &'a SessionId,
    pub(super) work: &'a WorkId,
    pub(super) title: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    pub(super) options: Option<&'a AgentOptions>,
}

pub(super) fn create<T: Tables>(cx: &mut Cx<'_, T>, new: &NewSession<'_>) -> Answered {
    let NewSession { owner, environment, id, work, title, key, options } = *new;
    if let Some(made) = made_before(cx, owner, title, key)? {
        if made.is_code() || made.session.environment != *environment {
            return Err(StoreError::KeyReused.into());
        }
        return Ok(Answer::Session(Box::new(made.session)));
    }
    let mut known = owned(cx, owner, environment)?.ok_or(StoreError::EnvironmentUnknown)?;
    let is_one = !known.environment.registration.metadata.takes_sessions();
    if is_one && !key.is_some_and(|key| key.starts_with(OWN_SESSION_KEY)) {
        return Err(StoreError::OneSession.into());
    }
    if known.made_for.is_some() || known.environment.active_sessions >= cx.policy.max_sessions {
        return Err(StoreError::Limit(Limit::LiveSessions).into());
    }
    if known.queue.len >= cx.policy.max_queued {
        return Err(StoreError::Limit(Limit::QueuedSessions).into());
    }
    let mut item = new_item(cx, work.clone(), environment.clone(), WorkData::Session(id.clone()));
    enqueue_in(cx, &mut known, &mut item, End::Back)?;
    cx.tables.put_work(item)?;
    let mut conversation =
        new_conversation(cx, (owner, environment, id), title, key, alloc::vec![work.clone()]);
    conversation.row.options = options.cloned();
    conversation.row.session.is_worker_draining = known.environment.is_draining;
    conversation.log_state(cx)?;
    let answer = Answer::Session(Box::new(conversation.row.session.clone()));
    conversation.save(cx)?;
    known.environment.active_sessions += 1;
    cx.changes.environment(&known.environment);
    cx.tables.put_environment(known)?;
    Ok(answer)
}

/// The session that was created under this key.
pub(super) fn made_before<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    title: Option<&str>,
    key: Option<&str>,
) -> Result<Option<SessionRow>, Halt> {
    let Some(key) = key else { return Ok(None) };
    let Some(made) = cx.tables.session_by_key(owner, key)? else { return Ok(None) };
    let Some(made) = cx.tables.session(&made)? else { return Ok(None) };
    // Without a title it may have taken one since.
    let has_title = if made.is_renamed {
        true
    } else if made.is_titled || title.is_some() {
        made.session.title.as_deref() == title
    } else {
        true
    };
    if has_title { Ok(Some(made)) } else { Err(StoreError::KeyReused.into()) }
}

/// A session that waits for a worker.
pub(super) fn new_conversation<T>(
    cx: &mut Cx<'_, T>,
    (owner, environment, id): (&AccountId, &EnvironmentId, &SessionId),
    title: Option<&str>,
    key: Option<&str>,
    works: alloc::vec::Vec<WorkId>,
) -> Conversation {
    cx.meta.sessions_made += 1;
    let session = Session {
        id: id.clone(),
        owner: owner.clone(),
        environment: environment.clone(),
        title: title.map(ToString::to_string),
        state: SessionState::Queued,
        is_stopping: false,
        is_worker_draining: false,
        is_archived: false,
        pending: alloc::vec::Vec::new(),
        activities: alloc::vec::Vec::new(),
        is_working: false,
        callbacks: Callbacks::default(),
        receipts: Receipts::default(),
        created_at: cx.wall,
        updated_at: cx.wall,
        first_seq: 1,
        last_seq: 0,
        result: None,
        worktree: None,
        ordinal: cx.meta.sessions_made,
    };
    Conversation::of(SessionRow {
        session,
        key: key.map(ToString::to_string),
        is_titled: title.is_some(),
        options: None,
        is_renamed: false,
        works,
        ended: None,
        kept_until: None,
        log_bytes: 0,
        messages: 0,
        declared: Declared::default(),
        question_bytes: 0,
        open_requests: 0,
        inbound: InboundCounts::default(),
        failed: alloc::vec::Vec::new(),
        turn: Turn::default(),
        received: 0,
        agent_run: None,
        taken_unnamed: 0,
        fence: 0,
        ran_under: 0,
        link: 0,
        worktree_request: None,
    })
}

pub(super) fn get<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId, id: &SessionId) -> Answered {
    Ok(Answer::Session(Box::new(own(cx, owner, id)?.session)))
}

pub(super) fn list<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    environment: Option<&EnvironmentId>,
    before: Option<&SessionId>,
    limit: usize,
) -> Answered {
    let before = match before {
        Some(id) => own(cx, owner, id)?.session.ordinal,
        None => u64::MAX,
    };
    let limit = limit.min(cx.policy.listed_sessions);
    let filter = SessionFilter { owner, environment, before, limit };
    Ok(Answer::Sessions(cx.tables.newest_sessions(filter)?))
}

pub(super) fn request_stop<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    id: &SessionId,
) -> Answered {
    let mut row = own(cx, owner, id)?;
    match row.session.state {
        SessionState::Queued => {
            let result = if row.ran_under == 0 {
                ended(ResultStatus::Interrupted, "it was stopped before a worker took it")
            } else {
                ended(ResultStatus::Lost, "it was stopped while its worker was gone")
            };
            end_session(cx, id, result)?;
            return get(cx, owner, id);
        }
        SessionState::Starting | SessionState::Running if !row.session.is_stopping => {
            row.session.is_stopping = true;
            cx.changes.session(&row.session);
            cx.tables.put_session(row.clone())?;
        }
        SessionState::Starting | SessionState::Running | SessionState::Ended => {}
    }
    Ok(Answer::Session(Box::new(row.session)))
}

/// Ends a session, once: a later result changes nothing.
pub(super) fn end_session<T: Tables>(
    cx: &mut Cx<'_, T>,
    id: &SessionId,
    result: SessionResult,
) -> Result<(), TableError> {
    end_session_as(cx, id, result, Stage::Undelivered)
}

/// The same, with what to call the end of what never reached its agent.
pub(super) fn end_session_as<T: Tables>(
    cx: &mut Cx<'_, T>,
    id: &SessionId,
    result: SessionResult,
    undelivered: Stage,
) -> Result<(), TableError> {
    let Some(mut conversation) = Conversation::load(cx, id)? else { return Ok(()) };
    if conversation.row.session.result.is_some() {
        return Ok(());
    }
    cx.meta.sessions_ended += 1;
    conversation.row.ended = Some(cx.meta.sessions_ended);
    end_conversation(cx, &mut conversation, result, undelivered)?;
    let Session { owner, environment, .. } = &conversation.row.session;
    let (owner, environment) = (owner.clone(), environment.clone());
    if let Some(mut known) = cx.tables.environment(&environment)? {
        stop_items(cx, &mut known, &conversation.row.works)?;
        let active = &mut known.environment.active_sessions;
        debug_assert!(*active > 0, "a session ended where none was live");
        *active = active.saturating_sub(1);
        if known.made_for.as_ref() == Some(id) {
            removal::forget(cx, &known, "the session that its worker was there for has ended")?;
        } else {
            if !known.environment.is_online {
                // With its last session there is less to wait for.
                schedule_check(cx, &mut known)?;
            }
            cx.changes.environment(&known.environment);
            cx.tables.put_environment(known)?;
        }
    }
    retention::schedule(cx, &mut conversation.row)?;
    conversation.save(cx)?;
    retention::remove_surplus(cx, &owner)
}

fn end_conversation<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    result: SessionResult,
    undelivered: Stage,
) -> Result<(), TableError> {
    questions::withdraw_all(cx, conversation, "the session has ended")?;
    // Whoever asked hears why, which may be what its worker does not allow.
    let why = match result.message.as_str() {
        "" => "the session has ended".to_string(),
        message => format!("the session has ended: {message}"),
    };
    requests::give_up(cx, conversation, u64::MAX, &why)?;
    receipts::session_ended(cx, conversation, undelivered, &result.message)?;
    // No agent is started any more, and there may be secrets in it.
    conversation.row.options = None;
    let session = &mut conversation.row.session;
    session.is_stopping = false;
    session.state = SessionState::Ended;
    session.result = Some(result);
    conversation.log_state(cx)
}
