//! The client that answers what a session's agent asks because of hooks or MCP servers (M-6).
//!
//! There is one for each session: the client that has declared any, as long as no other one that is
//! connected does so in its absence. What it has declared is kept, because a later run of the agent
//! knows nothing of it, and would use a tool without asking.

use alloc::format;
use alloc::string::String;

use serde_json::value::RawValue;

use super::conversation::Conversation;
use super::cx::{Answered as Answers, Cx};
use super::questions;
use crate::base::text::Text;
use crate::store::committed::{Answer, Limit, StoreError};
use crate::store::rows::{InboundKind, Standing};
use crate::store::tables::{TableError, Tables};
use crate::store::transaction::{CallbackReply, Sender};
use crate::wire::callback::{Callback, Declaration, declared_again, holds_something};
use crate::wire::control;

/// Why questions are refused whose client has been replaced.
const REPLACED: &str = "another client answers hooks and MCP servers now";
/// The same, if there is no other.
const TAKEN_BACK: &str = "the client that answered has taken its hooks and MCP servers back";
/// Why questions are withdrawn that an earlier run of the agent has asked.
const ASKER_ENDED: &str = "the agent that asked has ended";

/// Whether somebody may declare this. Nothing has been written yet.
pub(super) fn check(
    conversation: &Conversation,
    declaration: &Declaration,
    sender: Option<&Sender>,
) -> Result<(), StoreError> {
    let answerer = conversation.row.session.callbacks.answerer.as_ref();
    if answerer.is_none() && !declaration.asks() {
        return Ok(());
    }
    let is_connected = |client: &String, sender: &Sender| sender.connected.contains(client);
    let sender = sender.filter(|sender| is_connected(&sender.client, sender));
    let sender = sender.ok_or(StoreError::CallbacksUnanswerable)?;
    let other = answerer.filter(|answerer| **answerer != sender.client);
    if other.is_some_and(|other| is_connected(other, sender)) {
        return Err(StoreError::CallbacksTaken);
    }
    Ok(())
}

/// A client has declared something, by this event, which is the last line for the agent.
pub(super) fn declare<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    declaration: Declaration,
    sender: Option<&Sender>,
    seq: u64,
) -> Result<(), TableError> {
    let callbacks = &mut conversation.row.session.callbacks;
    let Some(Sender { client, .. }) = sender else { return Ok(()) };
    if callbacks.answerer.is_none() && !declaration.asks() {
        return Ok(());
    }
    let is_other = callbacks.answerer.replace(client.clone()).as_ref() != Some(client);
    let number = conversation.row.inbound.until;
    let declared = &mut conversation.row.declared;
    declared.seq = seq;
    // A part of what is declared may be older than this line, so the first one counts.
    if declared.number == 0 {
        declared.number = number;
    }
    let Declaration { hooks, servers, sets_servers } = declaration;
    if let Some(hooks) = hooks {
        declared.hooks = Some(hooks).filter(|hooks| holds_something(hooks.as_str()));
    }
    declared.servers = servers.or(declared.servers.take());
    if !declared.has_any() && !sets_servers {
        conversation.row.session.callbacks.answerer = None;
        return questions::refuse_callbacks(cx, conversation, TAKEN_BACK);
    }
    if is_other { questions::refuse_callbacks(cx, conversation, REPLACED) } else { Ok(()) }
}

/// Another run of the agent begins, or one that is not named and may be another. What an earlier one
/// was told, this one was not.
pub(super) fn run_began<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    agent_run: Option<&str>,
) -> Result<(), TableError> {
    let acked = conversation.row.inbound.acked;
    let declared = &mut conversation.row.declared;
    let is_given = agent_run.is_none() || declared.number <= acked;
    declared.is_for_earlier_run = declared.has_any() && is_given;
    if agent_run.is_some() {
        questions::withdraw_callbacks(cx, conversation, ASKER_ENDED)?;
    }
    Ok(())
}

/// What the agent has to be told before anything else.
pub(super) fn declared(conversation: &Conversation) -> Option<Text> {
    let declared = &conversation.row.declared;
    if !declared.has_any() || !declared.is_for_earlier_run {
        return None;
    }
    let request_id = format!("declared-{}", declared.seq);
    Some(declared_again(&request_id, declared.hooks.as_ref(), declared.servers.as_ref()))
}

/// An answer of a client.
pub(super) struct Answered<'a> {
    pub(super) client: &'a str,
    pub(super) request_id: &'a str,
    /// The event that asked.
    pub(super) seq: u64,
    pub(super) reply: &'a CallbackReply,
}

/// A client answers. The first answer counts.
pub(super) fn answer<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    answered: &Answered<'_>,
) -> Answers {
    let Answered { client, request_id, seq: asked_at, reply } = answered;
    let row = questions::known(cx, conversation, request_id)?;
    let row = row.and_then(|row| Some((row.callback?, row)));
    let (callback, row) = row.ok_or(StoreError::CallbackUnknown)?;
    if row.question.seq != *asked_at {
        // Its id is that of another question now, or was never that of this one.
        return Err(StoreError::CallbackWithdrawn.into());
    }
    if conversation.row.session.callbacks.answerer.as_deref() != Some(*client) {
        return Err(StoreError::CallbackNotYours.into());
    }
    let line = line_for(request_id, callback, reply)?;
    let asked_on = match row.standing {
        Standing::Open { line, .. } => line,
        Standing::Withdrawn { .. } => return Err(StoreError::CallbackWithdrawn.into()),
        Standing::Answered { seq, line: counts, .. } if counts == line => {
            return Ok(Answer::Answered { seq });
        }
        Standing::Answered { line, .. } => return Err(StoreError::CallbackConflict { line }.into()),
    };
    let named = control::answer_on(&line, asked_on);
    if !conversation.has_room(cx, 1, named.len()) {
        return Err(StoreError::Limit(Limit::InboundLines).into());
    }
    let seq = conversation.record_for_agent(cx, InboundKind::Answer, named, None)?;
    questions::close(cx, conversation, request_id, |_| Standing::Answered {
        seq,
        line,
        is_as_asked: false,
    })?;
    Ok(Answer::Answered { seq })
}

/// The line for the agent. An error lets a guarded tool run, so it becomes a refusal.
fn line_for(
    request_id: &str,
    callback: Callback,
    reply: &CallbackReply,
) -> Result<Text, StoreError> {
    match reply {
        CallbackReply::Error(reason) => Ok(callback.refusal(request_id, reason)),
        CallbackReply::Response(json) => {
            if let Some(why) = callback.unclear(json.as_str()) {
                return Err(StoreError::CallbackUnclear { why });
            }
            let raw = serde_json::from_str::<&RawValue>(json.as_str());
            let why = || StoreError::CallbackUnclear { why: "it is not JSON".into() };
            Ok(control::success(request_id, &raw.map_err(|_| why())?))
        }
    }
}
