//! What the agent of one session asks (M-2, M-6): each question is answered at most once.
//!
//! ```text
//!            control_request
//!   unknown ─────────────────▶ open ──── first answer ─────▶ answered
//!                               │
//!                               └─ cancel, time limit, ────▶ withdrawn
//!                                  agent's death,
//!                                  end of session
//! ```
//!
//! A question is for people ([`permissions`](super::permissions)), or for the client that has declared
//! hooks or MCP servers ([`callbacks`](super::callbacks)). The ids are the agent's, who may use one
//! again: some count from the start after a restart. Under the
//! id of a closed question a new one opens. While a question is open, the same one again is a repeat,
//! which is logged and changes nothing; a different one under its id makes both unanswerable, since
//! nobody can know which of them an answer would be taken for. An answer may name the event of its
//! question, and on its way to the agent it names the line that asked. A closed question is forgotten
//! when retention drops the event that closed it, or when its id is used again.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use serde::Deserialize;

use super::conversation::Conversation;
use super::cx::Cx;
use crate::base::limits::{
    MAX_ID_BYTES, MAX_OPEN_CALLBACKS, MAX_OPEN_PERMISSION_BYTES, MAX_OPEN_PERMISSIONS,
};
use crate::base::text::Text;
use crate::store::record::{OpenCallback, Origin, Question, Session};
use crate::store::rows::{InboundKind, QuestionRow, Standing};
use crate::store::tables::{TableError, Tables};
use crate::wire::callback::{self, Callback};
use crate::wire::control::{self, FieldsOf};
use crate::wire::log_message::LogMessage;

/// Why the agent is told that nobody answers.
const NO_ANSWERER: &str = "no client answers hooks and MCP servers here";

/// The agent has asked a question, on a line that is already logged: a person, or a client.
pub(super) fn ask<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    question: Question,
    callback: Option<Callback>,
    line: &Text,
) -> Result<(), TableError> {
    let request_id = question.request_id.clone();
    if conversation.row.session.result.is_some() {
        return withdraw(cx, conversation, &request_id, callback, "the session has ended");
    }
    if request_id.len() > MAX_ID_BYTES {
        return refuse(cx, conversation, &request_id, callback, "its request_id is too long");
    }
    let (input, is_of_subagent) = match callback {
        None => asked_in(line),
        Some(_) => {
            let digest = callback::digest(line.as_str());
            let hex: Vec<_> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            (Text::from(hex.concat()), false)
        }
    };
    let before = known(cx, conversation, &request_id)?;
    let is_reused = before.is_some();
    if let Some(QuestionRow { standing: Standing::Open { input: other, .. }, .. }) = &before {
        let before = before.as_ref().map(|row| (&row.question.tool_name, row.callback));
        if before == Some((&question.tool_name, callback)) && *other == input {
            return Ok(());
        }
        let callback = Callback::of_pair([before.and_then(|(_, callback)| callback), callback]);
        refuse(cx, conversation, &request_id, callback, control::AMBIGUOUS)?;
        return refuse_once(cx, conversation, &request_id, callback, control::AMBIGUOUS);
    }
    let answerer = conversation.row.session.callbacks.answerer.clone();
    if callback.is_some() && answerer.is_none() {
        return refuse(cx, conversation, &request_id, callback, NO_ANSWERER);
    }
    let bytes = conversation.row.question_bytes + input.len();
    let session = &mut conversation.row.session;
    let has_room = match callback {
        None => session.pending.len() < MAX_OPEN_PERMISSIONS && bytes <= MAX_OPEN_PERMISSION_BYTES,
        Some(_) => session.callbacks.open.len() < MAX_OPEN_CALLBACKS,
    };
    if !has_room {
        return refuse(cx, conversation, &request_id, callback, "too many questions are open");
    }
    let seq = question.seq;
    match callback {
        None => session.pending.push(question.clone()),
        Some(_) => {
            let open = OpenCallback { request_id, seq };
            session.callbacks.open.push(open.clone());
            let answerer = answerer.unwrap_or_default();
            cx.changes.callbacks.push((session.id.clone(), answerer, open));
        }
    }
    conversation.row.question_bytes = bytes;
    let standing = Standing::Open { input, line: conversation.row.received, is_of_subagent };
    let links = Vec::new();
    let row = QuestionRow { question, callback, is_reused, links, standing };
    cx.tables.put_question(conversation.id(), row)?;
    if callback.is_none() {
        conversation.announce(cx);
    }
    Ok(())
}

/// A question, unless the event that closed it has been dropped.
pub(super) fn known<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &Conversation,
    request_id: &str,
) -> Result<Option<QuestionRow>, TableError> {
    let row = cx.tables.question(conversation.id(), request_id)?;
    let first = conversation.row.session.first_seq;
    Ok(row.filter(|row| row.standing.closed_at().is_none_or(|seq| seq >= first)))
}

/// Tells the agent and the log that nobody can be asked this question.
fn refuse<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    callback: Option<Callback>,
    reason: &str,
) -> Result<(), TableError> {
    withdraw(cx, conversation, request_id, callback, reason)?;
    refuse_once(cx, conversation, request_id, callback, reason)
}

/// Tells the agent.
fn refuse_once<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    callback: Option<Callback>,
    reason: &str,
) -> Result<(), TableError> {
    let line = conversation.row.received;
    refuse_on(cx, conversation, request_id, callback, reason, line)
}

/// Tells the agent, about the question that this line asked.
fn refuse_on<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    callback: Option<Callback>,
    reason: &str,
    line: u64,
) -> Result<(), TableError> {
    let answer = match callback {
        None => control::error(request_id, reason),
        Some(callback) => callback.refusal(request_id, reason),
    };
    let answer = control::refusal_on(&answer, line);
    if conversation.has_room(cx, 1, answer.len()) {
        conversation.record_for_agent(cx, InboundKind::Refusal, answer, None)?;
    }
    Ok(())
}

/// Withdraws every open question: nobody may answer it any more, least of all with *allow*.
pub(super) fn withdraw_all<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    reason: &str,
) -> Result<(), TableError> {
    for question in conversation.row.session.pending.clone() {
        withdraw(cx, conversation, &question.request_id, None, reason)?;
    }
    withdraw_callbacks(cx, conversation, reason)
}

/// Withdraws what clients are asked, from an agent that is gone.
pub(super) fn withdraw_callbacks<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    reason: &str,
) -> Result<(), TableError> {
    for open in conversation.row.session.callbacks.open.clone() {
        withdraw(cx, conversation, &open.request_id, Some(Callback::Other), reason)?;
    }
    Ok(())
}

/// Refuses what clients are asked, to an agent that waits for it.
pub(super) fn refuse_callbacks<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    reason: &str,
) -> Result<(), TableError> {
    for open in conversation.row.session.callbacks.open.clone() {
        let row = cx.tables.question(conversation.id(), &open.request_id)?;
        let Some(QuestionRow { callback, standing: Standing::Open { line, .. }, .. }) = row else {
            continue;
        };
        withdraw(cx, conversation, &open.request_id, callback, reason)?;
        refuse_on(cx, conversation, &open.request_id, callback, reason, line)?;
    }
    Ok(())
}

fn withdraw<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    callback: Option<Callback>,
    reason: &str,
) -> Result<(), TableError> {
    let (request_id, reason) = (Cow::Borrowed(request_id), Cow::Borrowed(reason));
    let message = match callback {
        None => LogMessage::PermissionWithdrawn { request_id: request_id.clone(), reason },
        Some(_) => LogMessage::CallbackWithdrawn { request_id: request_id.clone(), reason },
    };
    let seq = conversation.record(cx, Origin::Relay, message.to_line())?;
    cancel(cx, conversation, &request_id, seq)
}

/// A turn has ended, by this line. Questions that it has left open can still be answered, but nobody
/// should think that the agent waits for them.
pub(super) fn turn_ended<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    line: &Text,
) -> Result<(), TableError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Line<'a> {
        is_error: bool,
        #[serde(borrow)]
        subtype: Cow<'a, str>,
    }
    let Line { is_error, subtype } = serde_json::from_str(line.as_str()).unwrap_or_default();
    let is_error = is_error || subtype.starts_with("error");
    let mut pending = core::mem::take(&mut conversation.row.session.pending);
    let mut has_changed = false;
    for question in pending.iter_mut().filter(|question| !question.turn_ended) {
        let row = cx.tables.question(conversation.id(), &question.request_id)?;
        let standing = row.map(|row| row.standing);
        // A subagent may go on in the background, unless everything has failed.
        let goes_on = matches!(standing, Some(Standing::Open { is_of_subagent: true, .. }));
        if is_error || !goes_on {
            (question.turn_ended, has_changed) = (true, true);
        }
    }
    conversation.row.session.pending = pending;
    if has_changed {
        conversation.announce(cx);
    }
    Ok(())
}

/// By this event the agent cancels a question, or it is said that it cannot be answered.
pub(super) fn cancel<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    seq: u64,
) -> Result<(), TableError> {
    close(cx, conversation, request_id, |_| Standing::Withdrawn { seq })
}

/// Closes a question, if it is open, and announces that. What comes of it may depend on what was asked.
pub(super) fn close<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    outcome: impl FnOnce(&Text) -> Standing,
) -> Result<(), TableError> {
    let Some(open) = take_open(&mut conversation.row.session, request_id) else { return Ok(()) };
    let row = cx.tables.question(conversation.id(), request_id)?;
    let Some(QuestionRow { question, callback, is_reused, standing, .. }) = row else {
        return Err(missing(conversation));
    };
    let Standing::Open { input, .. } = standing else { return Err(missing(conversation)) };
    debug_assert!(conversation.row.question_bytes >= input.len(), "a question was not counted");
    conversation.row.question_bytes = conversation.row.question_bytes.saturating_sub(input.len());
    let standing = outcome(&input);
    let question = open.unwrap_or(question);
    let links = Vec::new();
    let row = QuestionRow { question, callback, is_reused, links, standing };
    cx.tables.put_question(conversation.id(), row)?;
    if callback.is_none() {
        conversation.announce(cx);
    }
    Ok(())
}

fn missing(conversation: &Conversation) -> TableError {
    let detail = format!("an open question of {} is missing", conversation.id());
    TableError::Damaged { detail }
}

/// Takes a question off the open ones, if it is one of them. One for people is shown to them.
fn take_open(session: &mut Session, request_id: &str) -> Option<Option<Question>> {
    let Session { pending, callbacks, .. } = session;
    if let Some(at) = pending.iter().position(|open| open.request_id == request_id) {
        return Some(Some(pending.remove(at)));
    }
    let at = callbacks.open.iter().position(|open| open.request_id == request_id)?;
    callbacks.open.remove(at);
    Some(None)
}

/// `request.input` of a `can_use_tool` question, an empty object where there is none; and whether a
/// subagent asks it.
fn asked_in(line: &Text) -> (Text, bool) {
    let request = control::request_of::<FieldsOf<'_>>(line.as_str()).unwrap_or_default();
    let input = request.get("input").map_or("{}", |input| input.get());
    let is_of_subagent = request.get("agent_id").is_some_and(|id| id.get() != "null");
    (Text::from(input.to_string()), is_of_subagent)
}
