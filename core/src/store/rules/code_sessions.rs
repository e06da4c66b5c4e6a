//! Sessions of version 2 (C-1): created without a worker that takes items, taken up by whoever bridges
//! them, and what that worker says.
//!
//! Such a session has an environment of its own: there its worker is seen, goes offline and lapses like
//! any other. Nothing is ever queued for it, and it goes when the session ends. The number of the
//! session's link is the epoch: a bridge raises it, and every call under an earlier one is refused.

use alloc::boxed::Box;

use super::conversation::own;
use super::cx::{Answered, Cx};
use super::environments::{self, Registering};
use super::links;
use super::presence::mark_seen;
use super::sessions::{end_session, made_before, new_conversation};
use super::{callbacks, working};
use crate::base::id::{DeviceId, EnvironmentId, SessionId};
use crate::store::committed::{Answer, StoreError};
use crate::store::record::AccountId;
use crate::store::tables::Tables;
use crate::wire::last_line::LastLine;
use crate::wire::session::{SessionResult, SessionState};
use crate::wire::worker_api::environment::Registration;

/// What a session is created from.
pub(super) struct New<'a> {
    pub(super) owner: &'a AccountId,
    pub(super) environment: &'a EnvironmentId,
    pub(super) id: &'a SessionId,
    pub(super) title: Option<&'a str>,
    pub(super) key: Option<&'a str>,
}

pub(super) fn create<T: Tables>(
    cx: &mut Cx<'_, T>,
    new: &New<'_>,
    registration: &Registration,
    device: Option<&DeviceId>,
) -> Answered {
    let New { owner, environment, id, title, key } = *new;
    if let Some(made) = made_before(cx, owner, title, key)? {
        if !made.is_code() {
            return Err(StoreError::KeyReused.into());
        }
        return Ok(Answer::Session(Box::new(made.session)));
    }
    let mut known =
        environments::add(cx, &Registering { owner, device }, environment, registration)?;
    known.made_for = Some(id.clone());
    known.environment.active_sessions = 1;
    cx.changes.environment(&known.environment);
    cx.tables.put_environment(known)?;
    let works = alloc::vec::Vec::new();
    let mut conversation = new_conversation(cx, (owner, environment, id), title, key, works);
    conversation.log_state(cx)?;
    let answer = Answer::Session(Box::new(conversation.row.session.clone()));
    conversation.save(cx)?;
    Ok(answer)
}

pub(super) fn bridge<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    device: Option<&DeviceId>,
    session: &SessionId,
    agent_run: Option<&str>,
) -> Answered {
    let row = own(cx, owner, session)?;
    if row.session.result.is_some() {
        return Err(StoreError::SessionEnded.into());
    }
    let known = cx.tables.environment(&row.session.environment)?;
    let known = known.filter(|known| known.made_for.as_ref() == Some(session));
    // The session of an item belongs to whoever has its lease.
    let known = known.ok_or(StoreError::LeaseLost)?;
    if device.is_some() && known.device.as_ref() != device {
        return Err(StoreError::SessionUnknown.into());
    }
    links::attach(cx, session, row.fence, agent_run)
}

pub(super) fn open_stream<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    link: u64,
    (received, last): (Option<u64>, Option<LastLine>),
    from: u64,
) -> Answered {
    let mut conversation = links::live(cx, session, link)?;
    mark_seen(cx, &conversation.row.session.environment)?;
    let received = received.unwrap_or(conversation.row.inbound.acked);
    links::take_up(cx, &mut conversation, (received, last), from)?;
    let declared = callbacks::declared(&conversation);
    let row = &conversation.row;
    let answer = Answer::StreamOpened {
        received: row.received,
        from: row.inbound.acked,
        until: row.inbound.until,
        is_stopping: row.session.is_stopping,
        fence: row.fence,
        owner: row.session.owner.clone(),
        environment: row.session.environment.clone(),
        declared,
    };
    links::announce_waiting(cx, &conversation);
    conversation.save(cx)?;
    Ok(answer)
}

pub(super) fn note_worker<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    link: u64,
    is_working: Option<bool>,
    result: Option<&SessionResult>,
) -> Answered {
    let mut conversation = links::live(cx, session, link)?;
    mark_seen(cx, &conversation.row.session.environment)?;
    if let Some(result) = result {
        end_session(cx, session, result.clone())?;
        return Ok(Answer::Done);
    }
    let was_running = conversation.row.session.state == SessionState::Running;
    links::is_running(cx, &mut conversation)?;
    let was_working = conversation.row.session.is_working;
    if let Some(is_working) = is_working {
        working::set(cx, &mut conversation, is_working);
    }
    let has_changed = conversation.row.session.is_working != was_working;
    let is_stopping = conversation.row.session.is_stopping;
    if has_changed || !was_running {
        conversation.save(cx)?;
    }
    Ok(Answer::Renewed { is_stopping })
}
