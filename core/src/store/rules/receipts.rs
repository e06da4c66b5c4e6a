//! How far what viewers sent has come, and how it ended (M-7).
//!
//! ```text
//!   stored ──▶ sent ──▶ with the worker ──▶ delivered ──▶ seen
//!     │          │              │               │
//!     │          └──────────────┴───────────────┴──▶ indeterminate   its agent ended
//!     └──▶ undelivered, expired                                      its session ended
//! ```
//!
//! An agent reads its lines in order, so one number is enough for each stage, whatever the number
//! of lines; only what did not end well is named. *Seen* is what an agent shows by itself: it
//! repeats a message's uuid, answers a request, or starts a turn although it had nothing to do. A
//! line is settled once it was seen or is said not to have ended well.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;

use super::conversation::Conversation;
use super::cx::{Answered, Cx};
use super::working;
use crate::base::limits::{LINK_WINDOW_LINES, MAX_FAILED_RECEIPTS, MAX_REASON_BYTES};
use crate::base::text::Text;
use crate::store::committed::{Answer, ReceiptPage, StoreError};
use crate::store::record::Origin;
use crate::store::rows::{FailedRun, InboundKind, InboundRow, SessionRow, Turn};
use crate::store::tables::{TableError, Tables};
use crate::wire::log_message::{LogMessage, Unsettled};
use crate::wire::message::{Head, Kind};
use crate::wire::viewer::{FailedReceipts, Receipt, Stage};

/// Why what an agent had been given is indeterminate.
const UNSEEN: &str = "the agent ended before it showed whether it had read this";
/// Why a delivered line is no longer followed.
const OVERTAKEN: &str = "the agent has not shown whether it read this, and has been given too many newer messages to keep track";

/// The worker has the lines up to this one.
pub(super) fn arrived<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    number: u64,
) -> Result<(), TableError> {
    if number > conversation.row.inbound.with_worker
        && let Some(seq) = conversation.inbound_seq(cx, number)?
    {
        conversation.row.inbound.with_worker = number;
        let receipts = &mut conversation.row.session.receipts;
        receipts.with_worker = seq;
        receipts.sent = receipts.sent.max(seq);
    }
    Ok(())
}

/// The lines up to this one are in the agent's stdin.
pub(super) fn delivered<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    number: u64,
) -> Result<(), TableError> {
    arrived(cx, conversation, number)?;
    if number > conversation.row.inbound.delivered
        && let Some(seq) = conversation.inbound_seq(cx, number)?
    {
        conversation.row.inbound.delivered = number;
        conversation.row.session.receipts.delivered = seq;
    }
    Ok(())
}

/// Settles all lines up to this one.
fn settle<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    number: u64,
) -> Result<(), TableError> {
    delivered(cx, conversation, number)?;
    if number > conversation.row.inbound.settled
        && let Some(seq) = conversation.inbound_seq(cx, number)?
    {
        conversation.row.inbound.settled_end = conversation.inbound_end(cx, number)?;
        conversation.row.inbound.settled = number;
        conversation.row.session.receipts.seen = seq;
    }
    Ok(())
}

/// The agent has shown that it read this line, and so everything before it. It cannot have read
/// what was never sent, nor anything once it has ended.
pub(super) fn saw<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    number: u64,
) -> Result<(), TableError> {
    let counts = conversation.row.inbound;
    if number <= counts.run_ended_at.unwrap_or(counts.handed_out) {
        settle(cx, conversation, number)?;
    }
    Ok(())
}

/// What a line of the agent shows about the lines that it was given.
pub(super) fn react<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    head: &Head,
    line: &Text,
) -> Result<(), TableError> {
    let counts = conversation.row.inbound;
    let has_unseen = counts.settled < counts.handed_out;
    let is_result = head.kind == "result";
    let is_start = head.kind == "system" && head.subtype.as_deref() == Some("init");
    let is_of_turn = is_result || matches!(&*head.kind, "assistant" | "stream_event");
    let is_at_rest = matches!(conversation.row.turn, Turn::Idle | Turn::Announced);
    let is_asking = head.kind == "control_request"
        && head.subtype.as_deref() == Some("can_use_tool")
        && conversation.row.turn == Turn::Announced;
    if is_start {
        // Some say who they are when they start or connect, too, with nothing to do.
        let has_message =
            has_unseen && first_message(cx, conversation, counts.handed_out)?.is_some();
        let turn = if is_at_rest && !has_message { Turn::Announced } else { Turn::Unexplained };
        conversation.row.turn = turn;
    } else if is_asking || (is_at_rest && (is_of_turn || working::is_asked(head, line))) {
        conversation.row.turn = Turn::Unexplained;
    }
    if has_unseen {
        let echoed = match &*head.kind {
            "user" => head.uuid.as_deref(),
            // What only waits in the agent's own queue is lost with the agent.
            "command_lifecycle" if !is_queued(line) => head.command_uuid.as_deref(),
            _ => None,
        };
        let named = if is_result { named_by_result(line) } else { Vec::new() };
        for uuid in echoed.into_iter().chain(named.iter().map(|uuid| &**uuid)) {
            if let Some(number) = conversation.inbound_of(cx, uuid)? {
                saw(cx, conversation, number)?;
                conversation.row.turn = Turn::Explained;
            }
        }
        // The tool that waited for the answer has run, or has not been allowed to.
        let goes_on = is_result || head.kind() == Kind::User || head.kind == "assistant";
        if goes_on && counts.last_answer <= counts.acked {
            saw_answers(cx, conversation, counts.last_answer)?;
        }
        if (is_start || is_of_turn) && conversation.row.turn == Turn::Unexplained {
            explain_turn(cx, conversation)?;
        }
    }
    if is_result {
        conversation.row.turn = Turn::Idle;
    }
    Ok(())
}

/// The agent has gone on after its answers up to this line. Messages before them say for themselves when
/// they are read: an agent takes answers at once, and lets messages wait.
fn saw_answers<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    last: u64,
) -> Result<(), TableError> {
    let settled = conversation.row.inbound.settled;
    if last <= settled {
        return Ok(());
    }
    let until_message = |row: &InboundRow| row.number <= last && row.kind != InboundKind::Message;
    let answered =
        conversation.inbound_rows(cx, settled, until_message)?.last().map(|row| row.number);
    answered.map_or(Ok(()), |number| saw(cx, conversation, number))
}

/// An agent that had nothing to do has started a turn: because of the first message that is in its
/// hands and that it has not shown to have read, if there is one.
fn explain_turn<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
) -> Result<(), TableError> {
    if let Some(first) = first_message(cx, conversation, conversation.row.inbound.acked)? {
        saw(cx, conversation, first)?;
        conversation.row.turn = Turn::Explained;
    }
    Ok(())
}

/// The first message, of the lines up to this one, that the agent has not shown to have read.
fn first_message<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &Conversation,
    until: u64,
) -> Result<Option<u64>, TableError> {
    let settled = conversation.row.inbound.settled;
    let before = conversation
        .inbound_rows(cx, settled, |row| row.number <= until && row.kind != InboundKind::Message)?;
    let first = before.last().map_or(settled, |row| row.number) + 1;
    Ok((first <= until).then_some(first))
}

/// Whether a `command_lifecycle` says no more than that its message waits.
fn is_queued(line: &Text) -> bool {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, default)]
        state: Cow<'a, str>,
    }
    serde_json::from_str::<Line<'_>>(line.as_str()).is_ok_and(|line| line.state == "queued")
}

/// The messages that a `result` says it is about.
fn named_by_result(line: &Text) -> Vec<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, default)]
        user_message_uuids: Vec<Cow<'a, str>>,
    }
    let line = serde_json::from_str::<Line<'_>>(line.as_str());
    let mut named = line.map(|line| line.user_message_uuids).unwrap_or_default();
    named.truncate(LINK_WINDOW_LINES);
    named
}

/// The run of the agent has ended. What it had in its hands, and has not shown to have read, is
/// indeterminate; what it was never given waits for the next run.
pub(super) fn run_ended<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    report: &Text,
) -> Result<(), TableError> {
    let (in_stdin, attempted) = match LogMessage::parse(report.as_str()) {
        Ok(Some(LogMessage::AgentExited { delivered, attempted, .. })) => (delivered, attempted),
        _ => (None, None),
    };
    let handed_out = conversation.row.inbound.handed_out;
    if let Some(number) = in_stdin {
        conversation.confirm_inbound(cx, number.min(handed_out))?;
        delivered(cx, conversation, number.min(handed_out))?;
    }
    let acked = conversation.row.inbound.acked;
    let given = attempted.map_or(handed_out, |number| number.min(handed_out)).max(acked);
    conversation.row.inbound.run_ended_at.get_or_insert(given);
    conversation.row.turn = Turn::Idle;
    working::set(cx, conversation, false);
    let given = conversation.given();
    fail(cx, conversation, given, Stage::Indeterminate, UNSEEN)
}

/// Another run of the agent begins. What the last one was given is not given again.
pub(super) fn next_run<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
) -> Result<(), TableError> {
    let given = conversation.given();
    fail(cx, conversation, given, Stage::Indeterminate, UNSEEN)?;
    conversation.confirm_inbound(cx, given)?;
    let counts = &mut conversation.row.inbound;
    (counts.handed_out, counts.with_worker, counts.run_ended_at) = (given, given, None);
    let receipts = &mut conversation.row.session.receipts;
    (receipts.sent, receipts.with_worker) = (receipts.seen, receipts.seen);
    conversation.row.turn = Turn::Idle;
    working::set(cx, conversation, false);
    Ok(())
}

/// The session has ended, or is about to: nothing more reaches its agent.
pub(super) fn session_ended<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    stage: Stage,
    why: &str,
) -> Result<(), TableError> {
    let given = conversation.given();
    fail(cx, conversation, given, Stage::Indeterminate, UNSEEN)?;
    let mut reason = String::from("the session ended before it could be delivered");
    if !why.is_empty() {
        reason.push_str(": ");
        reason.push_str(why.get(..why.floor_char_boundary(MAX_REASON_BYTES)).unwrap_or(why));
    }
    let until = conversation.row.inbound.until;
    fail(cx, conversation, until, stage, &reason)?;
    conversation.confirm_inbound(cx, until)
}

/// Stops following the oldest delivered lines, if an agent never shows what it has read.
pub(super) fn limit_unseen<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
) -> Result<(), TableError> {
    let counts = conversation.row.inbound;
    let lines = counts.acked.saturating_sub(counts.settled);
    let bytes = counts.acked_end.saturating_sub(counts.settled_end);
    if lines > cx.policy.inbound_lines as u64 || bytes > cx.policy.inbound_bytes as u64 {
        // By halves, so that this is said rarely.
        let until = counts.settled + lines.div_ceil(2);
        fail(cx, conversation, until, Stage::Indeterminate, OVERTAKEN)?;
    }
    Ok(())
}

/// The lines up to this one that are not settled have not ended well: the log names them, once.
fn fail<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    until: u64,
    stage: Stage,
    reason: &str,
) -> Result<(), TableError> {
    let settled = conversation.row.inbound.settled;
    if until <= settled {
        return Ok(());
    }
    let mut rows = conversation.inbound_rows(cx, settled, |row| row.number <= until)?;
    rows.retain(|row| row.kind != InboundKind::Refusal && !conversation.row.has_failed(row.seq));
    if !rows.is_empty() {
        let named = Named::of(&rows);
        let unsettled = Unsettled {
            uuids: Cow::Borrowed(&named.uuids),
            request_ids: Cow::Borrowed(&named.request_ids),
            answers: Cow::Borrowed(&named.answers),
            seqs: Cow::Borrowed(&named.seqs),
            lines: Cow::Borrowed(&[]),
            reason: Cow::Borrowed(reason),
        };
        let message = match stage {
            Stage::Expired => LogMessage::MessagesExpired(unsettled),
            Stage::Undelivered => LogMessage::MessagesUndelivered(unsettled),
            _ => LogMessage::MessagesIndeterminate(unsettled),
        };
        conversation.record(cx, Origin::Relay, message.to_line())?;
        keep_failed(conversation, &rows, stage, reason);
    }
    settle(cx, conversation, until)
}

/// The names of lines for an agent.
#[derive(Default)]
struct Named {
    uuids: Vec<String>,
    request_ids: Vec<String>,
    answers: Vec<String>,
    seqs: Vec<u64>,
}

impl Named {
    fn of(rows: &[InboundRow]) -> Self {
        let mut named = Self::default();
        for row in rows {
            let head = Head::parse(&row.line).unwrap_or_default();
            let uuid = head.uuid.as_deref().map(String::from);
            let request_id = head.request_id.as_deref().map(String::from);
            match row.kind {
                InboundKind::Message => named.uuids.extend(uuid),
                InboundKind::Request => {
                    let is_request = head.kind() == Kind::ControlRequest;
                    named.request_ids.extend(request_id);
                    named.uuids.extend(uuid.filter(|_| !is_request));
                }
                InboundKind::Answer => named.answers.extend(request_id),
                InboundKind::Refusal => {}
            }
            named.seqs.push(row.seq);
        }
        named
    }
}

/// Keeps what did not end well, as runs of lines that follow each other.
fn keep_failed(conversation: &mut Conversation, rows: &[InboundRow], stage: Stage, reason: &str) {
    let seen = conversation.row.session.receipts.seen;
    let failed = &mut conversation.row.failed;
    for row in rows {
        let last = failed.last_mut().filter(|last| {
            let follows = last.last_number + 1 == row.number;
            follows && last.receipts.stage == stage && last.receipts.reason == reason
        });
        if let Some(last) = last {
            (last.last_number, last.receipts.last_seq) = (row.number, row.seq);
            continue;
        }
        if failed.len() >= MAX_FAILED_RECEIPTS {
            // Rather one that is settled: the others are still needed.
            let is_settled = |failed: &FailedRun| failed.receipts.last_seq <= seen;
            failed.remove(failed.iter().position(is_settled).unwrap_or(0));
        }
        let (first_seq, last_seq) = (row.seq, row.seq);
        let receipts = FailedReceipts { first_seq, last_seq, stage, reason: reason.to_string() };
        failed.push(FailedRun { receipts, last_number: row.number });
    }
}

/// The worker says, on a line that is already logged, that it did not give these to the agent.
pub(super) fn not_given<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    report: &Text,
) -> Result<(), TableError> {
    let Ok(Some(LogMessage::MessagesUndelivered(unsettled))) = LogMessage::parse(report.as_str())
    else {
        return Ok(());
    };
    let Unsettled { lines, reason, .. } = unsettled;
    let reason = reason.get(..reason.floor_char_boundary(MAX_REASON_BYTES)).unwrap_or_default();
    for number in lines.iter().take(LINK_WINDOW_LINES).copied() {
        // What is settled has ended already.
        if number > conversation.row.inbound.settled
            && let Some(row) = conversation.inbound_row(cx, number)?
            && !conversation.row.has_failed(row.seq)
        {
            keep_failed(conversation, &[row], Stage::Undelivered, reason);
        }
    }
    Ok(())
}

/// All receipts of a session that are not simply *seen*.
pub(super) fn list<T: Tables>(cx: &mut Cx<'_, T>, row: SessionRow) -> Answered {
    let receipts = row.session.receipts;
    let conversation = Conversation::of(row);
    let is_open = |row: &InboundRow| {
        row.kind != InboundKind::Refusal && !conversation.row.has_failed(row.seq)
    };
    let rows = conversation.inbound_rows(cx, conversation.row.inbound.settled, |_| true)?;
    let open = rows.iter().filter(|row| is_open(row)).map(|row| Receipt {
        seq: row.seq,
        uuid: None,
        request_id: None,
        stage: receipts.stage(row.seq),
        reason: None,
    });
    let open = open.collect();
    let failed = conversation.row.failed.into_iter().map(|failed| failed.receipts).collect();
    Ok(Answer::Receipts(Box::new(ReceiptPage { receipts, open, failed })))
}

/// The receipt of one event, as long as it is kept or not settled.
pub(super) fn get<T: Tables>(cx: &mut Cx<'_, T>, row: SessionRow, seq: u64) -> Answered {
    let conversation = Conversation::of(row);
    let mut found = None;
    if (conversation.row.session.first_seq..=conversation.row.session.last_seq).contains(&seq) {
        cx.tables.read_log(conversation.id(), seq, &mut |row| {
            found = (row.entry.origin == Origin::Viewer).then(|| row.entry.line.clone());
            core::ops::ControlFlow::Break(())
        })?;
    } else {
        let rows = conversation.inbound_rows(cx, conversation.row.inbound.settled, |_| true)?;
        found = rows.into_iter().find(|row| row.seq == seq).map(|row| row.line);
    }
    let line = found.ok_or(StoreError::ReceiptUnknown)?;
    let head = Head::parse(&line).map_err(|_| StoreError::ReceiptUnknown)?;
    let owned = |name: Cow<'_, str>| Cow::Owned(name.into_owned());
    let failed = conversation.row.failed.iter().find(|failed| failed.receipts.holds(seq));
    let (stage, reason) = match failed {
        Some(FailedRun { receipts, .. }) => {
            (receipts.stage, Some(Cow::Owned(receipts.reason.clone())))
        }
        None => (conversation.row.session.receipts.stage(seq), None),
    };
    let (uuid, request_id) = (head.uuid.map(owned), head.request_id.map(owned));
    Ok(Answer::Receipt(Box::new(Receipt { seq, uuid, request_id, stage, reason })))
}
