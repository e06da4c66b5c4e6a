//! Viewers' requests to the agent of one session that it has not answered yet (M-3).
//!
//! Either the agent answers a request, or the log says that it never will: because the agent that
//! had it is gone, its session has ended, or too many newer requests are open.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::conversation::Conversation;
use super::cx::Cx;
use super::receipts;
use crate::base::limits::MAX_OPEN_REQUESTS;
use crate::store::record::Origin;
use crate::store::rows::RequestRow;
use crate::store::tables::{TableError, Tables};
use crate::wire::log_message::LogMessage;

/// Opens a request: it is the last line for the agent. If that is one too many, the oldest is given
/// up.
pub(super) fn ask<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
) -> Result<(), TableError> {
    let number = conversation.row.inbound.until;
    let row = RequestRow { number, request_id: request_id.into() };
    cx.tables.put_request(conversation.id(), row)?;
    conversation.row.open_requests += 1;
    if conversation.row.open_requests <= MAX_OPEN_REQUESTS {
        return Ok(());
    }
    let oldest = cx.tables.requests(conversation.id())?.into_iter().take(1);
    let oldest = close(cx, conversation, oldest)?;
    log_unanswered(cx, conversation, &oldest, "too many others are open")
}

/// The agent has answered a request, whose line it has therefore read. If several share its id, it
/// is the oldest.
pub(super) fn answered<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_id: &str,
) -> Result<(), TableError> {
    if conversation.row.open_requests == 0 {
        return Ok(());
    }
    let open = cx.tables.requests(conversation.id())?.into_iter();
    let mut open = open.filter(|row| row.request_id == request_id);
    let Some(answered) = open.next() else { return Ok(()) };
    let number = answered.number;
    close(cx, conversation, core::iter::once(answered))?;
    receipts::saw(cx, conversation, number)
}

/// Gives up the requests up to this line for the agent.
pub(super) fn give_up<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    until: u64,
    reason: &str,
) -> Result<(), TableError> {
    if conversation.row.open_requests == 0 {
        return Ok(());
    }
    let open = cx.tables.requests(conversation.id())?.into_iter();
    let gone = close(cx, conversation, open.take_while(|row| row.number <= until))?;
    log_unanswered(cx, conversation, &gone, reason)
}

/// Closes requests and returns their ids.
fn close<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    rows: impl Iterator<Item = RequestRow>,
) -> Result<Vec<String>, TableError> {
    let mut ids = Vec::new();
    for RequestRow { number, request_id } in rows {
        cx.tables.delete_request(conversation.id(), number)?;
        debug_assert!(conversation.row.open_requests > 0, "an open request that was not counted");
        conversation.row.open_requests = conversation.row.open_requests.saturating_sub(1);
        ids.push(request_id);
    }
    Ok(ids)
}

/// Logs that requests will not be answered.
fn log_unanswered<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    request_ids: &[String],
    reason: &str,
) -> Result<(), TableError> {
    if !request_ids.is_empty() {
        let (request_ids, reason) = (Cow::Borrowed(request_ids), Cow::Borrowed(reason));
        let line = LogMessage::RequestsUnanswered { request_ids, reason }.to_line();
        conversation.record(cx, Origin::Relay, line)?;
    }
    Ok(())
}
