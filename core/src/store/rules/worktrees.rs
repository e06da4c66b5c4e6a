//! Worktrees of sessions that have ended, which were kept because work in them is nowhere else: what
//! viewers see of them, and what a person wants done with one (W-5).
//!
//! A request is an item of the environment's queue, ahead of everything else, with a lease like any
//! other: it waits for as long as its worker is away, and is handed out again if the worker took it
//! and died. At most one is open per session. It ends with the worker's answer, or with the
//! environment; both are logged.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};

use super::conversation::Conversation;
use super::conversation::own;
use super::cx::{Answered, Cx};
use super::presence::{mark_seen, owned};
use super::queue::{End, dequeue_from, enqueue_in, forget_work, new_item};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::record::{AccountId, Origin};
use crate::store::rows::{WorkRow, WorkState};
use crate::store::tables::{TableError, Tables};
use crate::wire::log_message::LogMessage;
use crate::wire::worker_api::work::WorkData;
use crate::wire::worktree::{
    KeptWorktree, OpenRequest, WorktreeAction, WorktreeNote, WorktreePost, WorktreeRequest,
    WorktreeState,
};

/// A worker says what has become of a worktree. Those of other accounts' sessions are unknown to it,
/// and one of a session that has not ended is not news.
pub(super) fn note<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    note: &WorktreeNote,
) -> Answered {
    let known = mark_seen(cx, environment)?;
    let conversation = Conversation::load(cx, &note.session_id)?;
    let is_own = |it: &Conversation| it.row.session.owner == known.environment.owner;
    let mut conversation = conversation.filter(is_own).ok_or(StoreError::SessionUnknown)?;
    if conversation.row.session.result.is_some() {
        apply(cx, &mut conversation, environment, note, None)?;
        conversation.save(cx)?;
    }
    Ok(Answer::Done)
}

pub(super) fn ask<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    session: &SessionId,
    id: &WorkId,
    post: &WorktreePost,
) -> Answered {
    let mut conversation = Conversation::of(own(cx, owner, session)?);
    let kept = conversation.row.session.worktree.clone();
    let mut kept = kept.ok_or(StoreError::WorktreeUnknown)?;
    if let Some(open) = &kept.request {
        if open.post == *post {
            return Ok(Answer::Session(conversation.row.session.into()));
        }
        return Err(StoreError::WorktreeBusy.into());
    }
    let deletes = post.action == WorktreeAction::Delete || post.ignored;
    if deletes && (kept.seen.is_empty() || post.seen != kept.seen) {
        return Err(StoreError::WorktreeChanged.into());
    }
    if post.action == WorktreeAction::Keep {
        kept.dismissed = true;
    } else {
        let environment = &kept.environment_id;
        let mut known = owned(cx, owner, environment)?.ok_or(StoreError::WorktreeUnreachable)?;
        if known.queue.len >= cx.policy.max_queued {
            return Err(StoreError::Limit(Limit::QueuedSessions).into());
        }
        let data = WorkData::Healthcheck(id.to_string());
        let mut item = new_item(cx, id.clone(), environment.clone(), data);
        item.worktree = Some(WorktreeRequest { session_id: session.clone(), post: post.clone() });
        enqueue_in(cx, &mut known, &mut item, End::Front)?;
        cx.tables.put_work(item)?;
        cx.tables.put_environment(known)?;
        conversation.row.worktree_request = Some(id.clone());
        let (post, asked_at) = (post.clone(), cx.wall);
        kept.request = Some(OpenRequest { post, asked_at, with_worker: false });
    }
    conversation.row.session.worktree = Some(kept);
    let line = LogMessage::WorktreeRequested(post.clone()).to_line();
    conversation.record(cx, Origin::Relay, line)?;
    conversation.announce(cx);
    let answer = Answer::Session(conversation.row.session.clone().into());
    conversation.save(cx)?;
    Ok(answer)
}

/// The item of a request has been handed to its worker, or waits for it again.
pub(super) fn is_with_worker<T: Tables>(
    cx: &mut Cx<'_, T>,
    work: &WorkRow,
    with_worker: bool,
) -> Result<(), TableError> {
    let Some(mut conversation) = asked(cx, work)? else { return Ok(()) };
    let kept = conversation.row.session.worktree.as_mut();
    let Some(open) = kept.and_then(|kept| kept.request.as_mut()) else { return Ok(()) };
    open.with_worker = with_worker;
    conversation.announce(cx);
    conversation.save(cx)
}

/// The worker has answered; one from before there were such requests says nothing about it.
pub(super) fn answered<T: Tables>(
    cx: &mut Cx<'_, T>,
    environment: &EnvironmentId,
    work: &WorkRow,
    note: Option<&WorktreeNote>,
) -> Result<(), TableError> {
    if work.state == WorkState::Stopped {
        return Ok(());
    }
    if let Some(mut known) = cx.tables.environment(environment)? {
        dequeue_from(cx, &mut known, work)?;
        cx.tables.put_environment(known)?;
    }
    forget_work(cx, &work.id)?;
    let about = work.worktree.as_ref().map(|request| &request.session_id);
    match note.filter(|note| Some(&note.session_id) == about) {
        None => give_up(cx, work, "its worker does not know how to do that: update it"),
        Some(note) => {
            let Some(mut conversation) = asked(cx, work)? else { return Ok(()) };
            let action = close(&mut conversation);
            apply(cx, &mut conversation, environment, note, action)?;
            conversation.save(cx)
        }
    }
}

/// An item goes with its environment.
pub(super) fn worker_gone<T: Tables>(
    cx: &mut Cx<'_, T>,
    id: &WorkId,
    why: &str,
) -> Result<(), TableError> {
    match cx.tables.work(id)? {
        Some(work) if work.worktree.is_some() => give_up(cx, &work, why),
        _ => Ok(()),
    }
}

/// What a person has asked for will not be done.
fn give_up<T: Tables>(cx: &mut Cx<'_, T>, work: &WorkRow, why: &str) -> Result<(), TableError> {
    let Some(mut conversation) = asked(cx, work)? else { return Ok(()) };
    if let Some(action) = close(&mut conversation) {
        let reason = Cow::Borrowed(why);
        let line = LogMessage::WorktreeUnanswered { action, reason }.to_line();
        conversation.record(cx, Origin::Relay, line)?;
        conversation.announce(cx);
    }
    conversation.save(cx)
}

/// The session whose open request an item is.
fn asked<T: Tables>(
    cx: &mut Cx<'_, T>,
    work: &WorkRow,
) -> Result<Option<Conversation>, TableError> {
    let Some(request) = &work.worktree else { return Ok(None) };
    let conversation = Conversation::load(cx, &request.session_id)?;
    Ok(conversation.filter(|it| it.row.worktree_request.as_ref() == Some(&work.id)))
}

/// Ends the open request. The caller logs how.
fn close(conversation: &mut Conversation) -> Option<WorktreeAction> {
    conversation.row.worktree_request = None;
    let kept = conversation.row.session.worktree.as_mut()?;
    kept.request.take().map(|open| open.post.action)
}

/// Takes in what a worker says, and logs it unless it is known already.
fn apply<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    environment: &EnvironmentId,
    note: &WorktreeNote,
    action: Option<WorktreeAction>,
) -> Result<(), TableError> {
    let before = conversation.row.session.worktree.take();
    // One that could not be looked into is as it was.
    let is_unseen = note.contents.seen.is_empty();
    let is_known = action.is_none()
        && match (&before, note.state) {
            (None, WorktreeState::Kept) => false,
            (None, WorktreeState::Removed | WorktreeState::Gone) => true,
            (Some(_), WorktreeState::Removed | WorktreeState::Gone) => false,
            (Some(before), WorktreeState::Kept) => {
                let has_same_reason = note.reason.is_empty() || note.reason == before.reason;
                has_same_reason
                    && note.path == before.path
                    && (is_unseen || note.contents.seen == before.seen)
            }
        };
    let mut seq = before.as_ref().map_or(0, |before| before.seq);
    if !is_known {
        let message = Cow::Owned(note.in_words());
        let worktree = Cow::Borrowed(note);
        let line = LogMessage::Worktree { message, action, worktree }.to_line();
        seq = conversation.record(cx, Origin::Worker, line)?;
    }
    if note.state == WorktreeState::Kept {
        let before = before.unwrap_or_else(|| KeptWorktree {
            environment_id: environment.clone(),
            path: String::new(),
            reason: String::new(),
            seen: String::new(),
            seq,
            dismissed: false,
            request: None,
        });
        let pick = |new: &String, old: String| if new.is_empty() { old } else { new.clone() };
        let is_same = is_unseen || note.contents.seen == before.seen;
        conversation.row.session.worktree = Some(KeptWorktree {
            environment_id: environment.clone(),
            path: pick(&note.path, before.path),
            reason: pick(&note.reason, before.reason),
            seen: pick(&note.contents.seen, before.seen),
            // The last list of what is in it.
            seq: if is_unseen { before.seq } else { seq },
            dismissed: before.dismissed && is_same,
            request: before.request,
        });
    }
    conversation.announce(cx);
    Ok(())
}
