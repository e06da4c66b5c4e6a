//! Posting messages to an agent, and reading a session's log.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::conversation::Conversation;
use super::cx::{Answered, Cx};
use super::title::title_of;
use super::{callbacks, requests};
use crate::base::text::Text;
use crate::store::committed::{Accepted, Answer, Limit, Page, StoreError};
use crate::store::rows::{InboundKind, SessionRow};
use crate::store::tables::{TableError, Tables};
use crate::store::transaction::{NewMessage, Sender};
use crate::wire::callback::Declaration;
use crate::wire::message::{Head, Kind};

/// Stores all messages that are new, or none of them.
pub(super) fn post<T: Tables>(
    cx: &mut Cx<'_, T>,
    mut conversation: Conversation,
    messages: &[NewMessage],
    sender: Option<&Sender>,
) -> Answered {
    // Looked up before anything is logged, because logging may push out known uuids.
    let mut known = Vec::with_capacity(messages.len());
    let (mut new, mut bytes) = (0, 0);
    for message in messages {
        let seq = conversation.seq_of(cx, message.uuid.as_deref())?;
        if seq.is_none() {
            new += 1;
            bytes += message.line.len();
        }
        known.push(seq);
    }
    if new > 0 {
        if conversation.row.session.result.is_some() {
            return Err(StoreError::SessionEnded.into());
        }
        if !conversation.has_room(cx, new, bytes) {
            return Err(StoreError::Limit(Limit::InboundLines).into());
        }
        for declaration in messages.iter().filter_map(declaration_of) {
            callbacks::check(&conversation, &declaration, sender)?;
        }
    }
    let mut accepted = Vec::with_capacity(messages.len());
    for (message, known) in messages.iter().zip(known) {
        let NewMessage { uuid, request_id, line } = message;
        // It may also occur twice in this request.
        let known = match known {
            None => conversation.seq_of(cx, uuid.as_deref())?,
            known => known,
        };
        if let Some(seq) = known {
            accepted.push(Accepted { seq });
            continue;
        }
        set_title_from(cx, &mut conversation, line);
        // Only a user message can be what a turn begins with.
        let is_prompt =
            request_id.is_none() && Head::parse(line).is_ok_and(|head| head.kind() == Kind::User);
        let kind = if is_prompt { InboundKind::Message } else { InboundKind::Request };
        let seq = conversation.record_for_agent(cx, kind, line.clone(), uuid.as_deref())?;
        if let Some(request_id) = request_id {
            requests::ask(cx, &mut conversation, request_id)?;
        }
        if let Some(declaration) = declaration_of(message) {
            callbacks::declare(cx, &mut conversation, declaration, sender, seq)?;
        }
        accepted.push(Accepted { seq });
    }
    if new > 0 {
        conversation.save(cx)?;
    }
    Ok(Answer::Posted(accepted))
}

/// What a control request declares.
fn declaration_of(message: &NewMessage) -> Option<Declaration> {
    message.request_id.as_ref()?;
    Declaration::of(message.line.as_str())
}

/// Gives an untitled session a title taken from a user message.
fn set_title_from<T>(cx: &mut Cx<'_, T>, conversation: &mut Conversation, line: &Text) {
    if conversation.row.session.title.is_none()
        && let Some(title) = title_of(line)
    {
        conversation.row.session.title = Some(title);
        conversation.announce(cx);
    }
}

/// A page of the log after an event. One event always fits.
pub(super) fn page<T: Tables>(
    cx: &mut Cx<'_, T>,
    row: SessionRow,
    after: u64,
    max_events: usize,
    max_bytes: usize,
) -> Result<Answer, TableError> {
    let session = row.session;
    let from = after.saturating_add(1).max(session.first_seq);
    let (mut entries, mut bytes) = (Vec::new(), 0);
    if from <= session.last_seq {
        cx.tables.read_log(&session.id, from, &mut |row| {
            bytes += row.size;
            if !entries.is_empty() && bytes > max_bytes {
                return ControlFlow::Break(());
            }
            entries.push(row.entry.clone());
            let is_full = entries.len() >= max_events;
            if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    Ok(Answer::Page(Box::new(Page { session, entries })))
}
