//! The permission questions of one session (M-2): each is answered at most once.
//!
//! ```text
//!            control_request
//!   unknown ─────────────────▶ open ──── first answer ─────▶ answered
//!                               │
//!                               └─ cancel, agent's death, ─▶ withdrawn
//!                                  end of session
//! ```
//!
//! The ids are the agent's, who may use one again: some count from the start after a restart. Under the
//! id of a closed question a new one opens. While a question is open, the same one again is a repeat,
//! which is logged and changes nothing; a different one under its id makes both unanswerable, since
//! nobody can know which of them an answer would be taken for. An answer may name the event of its
//! question, and on its way to the agent it names the line that asked. A closed question is forgotten
//! when retention drops the event that closed it, or when its id is used again.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::conversation::Conversation;
use super::cx::{Answered, Cx};
use crate::base::limits::{MAX_ID_BYTES, MAX_OPEN_PERMISSION_BYTES, MAX_OPEN_PERMISSIONS};
use crate::base::text::Text;
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::record::{Origin, Question};
use crate::store::rows::{InboundKind, QuestionRow, Standing};
use crate::store::tables::{TableError, Tables};
use crate::store::transaction::PermissionReply;
use crate::wire::control::{self, ControlResponse, Fields, FieldsOf, PermissionAnswer};
use crate::wire::log_message::LogMessage;

/// The agent has asked a question, on a line that is already logged.
pub(super) fn ask<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    question: Question,
    line: &Text,
) -> Result<(), TableError> {
    let request_id = question.request_id.clone();
    if conversation.row.session.result.is_some() {
        return withdraw(cx, conversation, &request_id, "the session has ended");
    }
    if request_id.len() > MAX_ID_BYTES {
        return refuse(cx, conversation, &request_id, "its request_id is too long");
    }
    let (input, is_of_subagent) = asked_in(line);
    let before = known(cx, conversation, &request_id)?;
    if let Some(QuestionRow { question: before, standing: Standing::Open { input: other, .. } }) =
        before
    {
        if before.tool_name == question.tool_name && other == input {
            return Ok(());
        }
        refuse(cx, conversation, &request_id, control::AMBIGUOUS)?;
        return refuse_once(cx, conversation, &request_id, control::AMBIGUOUS);
    }
    let bytes = conversation.row.question_bytes + input.len();
    let open = conversation.row.session.pending.len();
    if open >= MAX_OPEN_PERMISSIONS || bytes > MAX_OPEN_PERMISSION_BYTES {
        return refuse(cx, conversation, &request_id, "too many questions are open");
    }
    conversation.row.question_bytes = bytes;
    conversation.row.session.pending.push(question.clone());
    let standing = Standing::Open { input, line: conversation.row.received, is_of_subagent };
    let row = QuestionRow { question, standing };
    cx.tables.put_question(conversation.id(), row)?;
    conversation.announce(cx);
    Ok(())
}

/// A question, unless the event that closed it has been dropped.
fn known<T: Tables>(
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
    reason: &str,
) -> Result<(), TableError> {
    withdraw(cx, conversation, request_id, reason)?;
    refuse_once(cx, conversation, request_id, reason)
}

/// Tells the agent.
fn refuse_once<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    reason: &str,
) -> Result<(), TableError> {
    let answer = control::answer_on(&control::error(request_id, reason), conversation.row.received);
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
        withdraw(cx, conversation, &question.request_id, reason)?;
    }
    Ok(())
}

fn withdraw<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    reason: &str,
) -> Result<(), TableError> {
    let message = LogMessage::PermissionWithdrawn {
        request_id: Cow::Borrowed(request_id),
        reason: Cow::Borrowed(reason),
    };
    let seq = conversation.record(cx, Origin::Relay, message.to_line())?;
    close(cx, conversation, request_id, seq, None)
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

/// The agent cancels a question, or its worker says that it cannot be answered, by this event.
pub(super) fn cancel<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    seq: u64,
) -> Result<(), TableError> {
    close(cx, conversation, request_id, seq, None)
}

/// Closes a question, if it is open, and announces that.
fn close<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    seq: u64,
    answer: Option<(Text, &PermissionReply)>,
) -> Result<(), TableError> {
    let pending = &conversation.row.session.pending;
    let Some(at) = pending.iter().position(|open| open.request_id == request_id) else {
        return Ok(());
    };
    let row = cx.tables.question(conversation.id(), request_id)?;
    let Some(QuestionRow { standing: Standing::Open { input, .. }, .. }) = row else {
        let detail = alloc::format!("an open question of {} is missing", conversation.id());
        return Err(TableError::Damaged { detail });
    };
    let question = conversation.row.session.pending.remove(at);
    debug_assert!(conversation.row.question_bytes >= input.len(), "a question was not counted");
    conversation.row.question_bytes = conversation.row.question_bytes.saturating_sub(input.len());
    let standing = match answer {
        Some((line, reply)) => {
            let is_as_asked = line == line_for(request_id, Some(&input), &as_asked(reply));
            Standing::Answered { seq, line, is_as_asked }
        }
        None => Standing::Withdrawn { seq },
    };
    cx.tables.put_question(conversation.id(), QuestionRow { question, standing })?;
    conversation.announce(cx);
    Ok(())
}

/// Somebody answers. The first answer counts.
pub(super) fn answer<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    asked_at: Option<u64>,
    reply: &PermissionReply,
) -> Answered {
    let row = known(cx, conversation, request_id)?.ok_or(StoreError::PermissionUnknown)?;
    if asked_at.is_some_and(|seq| seq != row.question.seq) {
        // Its id is that of another question now.
        return Err(StoreError::PermissionWithdrawn.into());
    }
    let (line, asked_on) = match row.standing {
        Standing::Open { input, line, .. } => (line_for(request_id, Some(&input), reply), line),
        Standing::Withdrawn { .. } => return Err(StoreError::PermissionWithdrawn.into()),
        Standing::Answered { seq, line, is_as_asked } => {
            let is_same = match reply {
                // The question's input is no longer kept, but the answer holds it.
                PermissionReply::Allow { updated_input: None, .. } => {
                    let asked = input_of_answer(&line);
                    is_as_asked && line_for(request_id, asked.as_ref(), reply) == line
                }
                PermissionReply::Allow { .. } | PermissionReply::Deny { .. } => {
                    line_for(request_id, None, reply) == line
                }
            };
            return if is_same {
                Ok(Answer::Answered { seq })
            } else {
                Err(StoreError::PermissionConflict { line }.into())
            };
        }
    };
    let named = control::answer_on(&line, asked_on);
    if !conversation.has_room(cx, 1, named.len()) {
        return Err(StoreError::Limit(Limit::InboundLines).into());
    }
    let seq = conversation.record_for_agent(cx, InboundKind::Answer, named, None)?;
    close(cx, conversation, request_id, seq, Some((line, reply)))?;
    Ok(Answer::Answered { seq })
}

/// *Allow* with the input unchanged, and whatever else a reply says.
fn as_asked(reply: &PermissionReply) -> PermissionReply {
    let (PermissionReply::Allow { further, .. } | PermissionReply::Deny { further, .. }) = reply;
    PermissionReply::Allow { updated_input: None, further: further.clone() }
}

fn line_for(request_id: &str, asked: Option<&Text>, reply: &PermissionReply) -> Text {
    let answer = match reply {
        PermissionReply::Allow { updated_input, further } => {
            let input = updated_input.as_ref().or(asked).and_then(raw);
            PermissionAnswer::Allow {
                updated_input: input.unwrap_or_else(empty_object),
                further: raw_fields(further),
            }
        }
        PermissionReply::Deny { message, interrupt, further } => PermissionAnswer::Deny {
            message: message.clone(),
            interrupt: *interrupt,
            further: raw_fields(further),
        },
    };
    control::success(request_id, &answer)
}

fn raw(json: &Text) -> Option<Box<RawValue>> {
    RawValue::from_string(json.as_str().to_string()).ok()
}

fn raw_fields(fields: &BTreeMap<String, Text>) -> Fields {
    let raw = fields.iter().filter_map(|(name, json)| Some((name.clone(), raw(json)?)));
    raw.collect()
}

fn empty_object() -> Box<RawValue> {
    match RawValue::from_string("{}".to_string()) {
        Ok(raw) => raw,
        Err(error) => unreachable!("an empty object is JSON: {error}"),
    }
}

/// The input in an *allow*.
fn input_of_answer(line: &Text) -> Option<Text> {
    let answer = serde_json::from_str::<ControlResponse<'_, PermissionAnswer>>(line.as_str());
    match answer.ok()?.response.response? {
        PermissionAnswer::Allow { updated_input, .. } => {
            Some(Text::from(updated_input.get().to_string()))
        }
        PermissionAnswer::Deny { .. } => None,
    }
}

/// `request.input` of a `can_use_tool` question, an empty object where there is none; and whether a
/// subagent asks it.
fn asked_in(line: &Text) -> (Text, bool) {
    let request = control::request_of::<FieldsOf<'_>>(line.as_str()).unwrap_or_default();
    let input = request.get("input").map_or("{}", |input| input.get());
    let is_of_subagent = request.get("agent_id").is_some_and(|id| id.get() != "null");
    (Text::from(input.to_string()), is_of_subagent)
}
