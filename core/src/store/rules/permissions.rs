//! People's answers to an agent's permission questions (M-2). The first one counts.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use serde_json::value::RawValue;

use super::conversation::Conversation;
use super::cx::{Answered, Cx};
use super::questions::{close, known};
use crate::base::text::Text;
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::rows::{InboundKind, Standing};
use crate::store::tables::Tables;
use crate::store::transaction::PermissionReply;
use crate::wire::control::{self, ControlResponse, Fields, PermissionAnswer};

/// Somebody answers.
pub(super) fn answer<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
    asked_at: Option<u64>,
    reply: &PermissionReply,
) -> Answered {
    let row = known(cx, conversation, request_id)?.filter(|row| row.callback.is_none());
    let row = row.ok_or(StoreError::PermissionUnknown)?;
    if asked_at.is_none() && row.is_reused {
        // It may have been on its way since the question before.
        let is_open = matches!(row.standing, Standing::Open { .. });
        let open = is_open.then_some(row.question.seq);
        return Err(StoreError::PermissionAmbiguous { open }.into());
    }
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
    close(cx, conversation, request_id, |input| {
        let is_as_asked = line == line_for(request_id, Some(input), &as_asked(reply));
        Standing::Answered { seq, line, is_as_asked }
    })?;
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
