//! What is sent and received over a session's link.

use alloc::borrow::ToOwned;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::ControlFlow;

use super::conversation::Conversation;
use super::cx::{Answered, Cx, Halt};
use super::presence::mark_seen;
use super::{activities, callbacks, questions, receipts, requests, working};
use crate::base::id::SessionId;
use crate::base::limits::MAX_NAME_BYTES;
use crate::base::text::Text;
use crate::store::committed::{Answer, StoreError};
use crate::store::record::{Origin, Question};
use crate::store::tables::{TableError, Tables};
use crate::store::transaction::Line;
use crate::wire::callback::Callback;
use crate::wire::last_line::LastLine;
use crate::wire::log_message::LogMessage;
use crate::wire::message::{Head, Kind};
use crate::wire::session::SessionState;

/// Why requests stay unanswered that an earlier run of the agent had.
const ANOTHER_RUN: &str = "the agent that had them has ended";

pub(super) fn attach<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    fence: u64,
    agent_run: Option<&str>,
) -> Answered {
    let conversation = Conversation::load(cx, session)?;
    let mut conversation = conversation.ok_or(StoreError::SessionUnknown)?;
    if conversation.row.session.result.is_some() {
        return Err(StoreError::SessionEnded.into());
    }
    if conversation.row.fence != fence {
        return Err(StoreError::LeaseLost.into());
    }
    mark_seen(cx, &conversation.row.session.environment)?;
    conversation.row.link += 1;
    let before = conversation.row.agent_run.clone();
    begin_run(cx, &mut conversation, agent_run)?;
    if agent_run.is_none() || before.as_deref() != agent_run {
        callbacks::run_began(cx, &mut conversation, agent_run)?;
    }
    let declared = callbacks::declared(&conversation);
    let (link, received) = (conversation.row.link, conversation.row.received);
    let from = conversation.row.inbound.acked;
    let owner = conversation.row.session.owner.clone();
    announce_waiting(cx, &conversation);
    conversation.save(cx)?;
    Ok(Answer::Attached { link, received, from, owner, declared })
}

/// A relay that has restarted learns here that somebody is waited for, and tells them (Y-7).
pub(super) fn announce_waiting<T>(cx: &mut Cx<'_, T>, conversation: &Conversation) {
    if !conversation.row.session.pending.is_empty() {
        conversation.announce(cx);
    }
}

/// The link is for this run of the agent. What an earlier run was given and had not confirmed when
/// it ended may have been acted on: it is logged as indeterminate and not sent again.
fn begin_run<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    agent_run: Option<&str>,
) -> Result<(), TableError> {
    let row = &mut conversation.row;
    let is_new_lease = row.ran_under != row.fence;
    if agent_run.is_none() {
        // It may be another run.
        row.inbound.run_ended_at = None;
    }
    let Some((run, before)) = agent_run.zip(row.agent_run.as_deref()) else {
        // Whether it is the agent that had the lines so far shows only once one starts. A worker
        // starts one per lease, and may report that again when its link breaks.
        if agent_run.is_some() || is_new_lease {
            row.taken_unnamed = row.inbound.acked;
        }
        row.agent_run = agent_run.map(Into::into).or(row.agent_run.take());
        return Ok(());
    };
    if before == run {
        return Ok(());
    }
    row.agent_run = Some(run.into());
    receipts::next_run(cx, conversation)?;
    let acked = conversation.row.inbound.acked;
    requests::give_up(cx, conversation, acked, ANOTHER_RUN)
}

/// The session of a link, if that is its current link.
pub(super) fn linked<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    link: u64,
) -> Result<Conversation, Halt> {
    let conversation = Conversation::load(cx, session)?.ok_or(StoreError::SessionUnknown)?;
    match link.cmp(&conversation.row.link) {
        Ordering::Equal => Ok(conversation),
        Ordering::Less => Err(StoreError::LinkReplaced { run: conversation.row.agent_run }.into()),
        // This store was set back to an earlier state, and has given that number to nobody.
        Ordering::Greater => Err(StoreError::NeverSent.into()),
    }
}

/// The session of a link, if that is its current link and the session goes on.
pub(super) fn live<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    link: u64,
) -> Result<Conversation, Halt> {
    let conversation = linked(cx, session, link)?;
    match conversation.row.session.result {
        Some(_) => Err(StoreError::SessionEnded.into()),
        None => Ok(conversation),
    }
}

/// Records a sign of life from the worker of a session that no environment's worker has: nothing else
/// shows that it is there.
fn mark_heard<T: Tables>(cx: &mut Cx<'_, T>, conversation: &Conversation) -> Result<(), Halt> {
    let row = &conversation.row;
    if row.is_code() && row.session.result.is_none() {
        mark_seen(cx, &row.session.environment)?;
    }
    Ok(())
}

pub(super) fn resume<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    link: u64,
    received: (u64, Option<LastLine>),
    from: u64,
) -> Answered {
    let mut conversation = live(cx, session, link)?;
    take_up(cx, &mut conversation, received, from)?;
    let row = &conversation.row;
    let answer = Answer::Resumed {
        received: row.received,
        from: row.inbound.acked,
        until: row.inbound.until,
        is_stopping: row.session.is_stopping,
    };
    conversation.save(cx)?;
    Ok(answer)
}

/// The worker has the lines for its agent up to `received`, and its own only after `from`: the session
/// is running.
pub(super) fn take_up<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    (received, last): (u64, Option<LastLine>),
    from: u64,
) -> Result<(), Halt> {
    is_same(cx, conversation, last)?;
    confirm(cx, conversation, received)?;
    is_running(cx, conversation)?;
    let after = conversation.row.received;
    if from > after {
        let line = LogMessage::LinesLost { after, resumes_after: from }.to_line();
        conversation.record(cx, Origin::Relay, line)?;
        conversation.row.received = from;
    }
    Ok(())
}

/// A worker has the session.
pub(super) fn is_running<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
) -> Result<(), TableError> {
    conversation.row.ran_under = conversation.row.fence;
    let session = &mut conversation.row.session;
    if session.result.is_none() && session.state != SessionState::Running {
        session.state = SessionState::Running;
        conversation.log_state(cx)?;
    }
    Ok(())
}

pub(super) fn append<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    link: u64,
    first: u64,
    lines: &[Line],
) -> Answered {
    let mut conversation = linked(cx, session, link)?;
    mark_heard(cx, &conversation)?;
    // Lines after a missing one are not accepted: the log would have a gap.
    let first = if first == 0 { conversation.row.received.saturating_add(1) } else { first };
    let known = conversation.row.received.saturating_add(1).checked_sub(first);
    let known = known.and_then(|known| usize::try_from(known).ok()).unwrap_or(usize::MAX);
    let new = lines.get(known..).unwrap_or_default();
    // What was stored before is acknowledged for ever; a credential that outlives the session adds
    // nothing to its log.
    if !new.is_empty() && conversation.row.session.result.is_some() {
        return Err(StoreError::SessionEnded.into());
    }
    if !new.is_empty() && conversation.row.is_code() {
        // Whoever sends its lines has it, even without a stream.
        is_running(cx, &mut conversation)?;
    }
    for Line { origin, line } in new {
        conversation.row.received += 1;
        match origin {
            Origin::Agent => record_agent_line(cx, &mut conversation, line)?,
            Origin::Worker => record_report(cx, &mut conversation, line)?,
            Origin::Viewer | Origin::Relay => {
                conversation.record(cx, Origin::Relay, line.clone())?;
            }
        }
    }
    let received = conversation.row.received;
    if !new.is_empty() {
        conversation.save(cx)?;
    }
    Ok(Answer::Appended { received })
}

fn record_agent_line<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    line: &Text,
) -> Result<(), TableError> {
    let head = Head::parse(line).unwrap_or_default();
    let seq = conversation.record(cx, Origin::Agent, line.clone())?;
    receipts::react(cx, conversation, &head, line)?;
    working::note(cx, conversation, &head, line);
    activities::note(cx, conversation, &head, line, seq);
    if head.kind == "result" {
        questions::turn_ended(cx, conversation, line)?;
    }
    let Some(request_id) = head.request_id.as_deref().map(ToOwned::to_owned) else {
        return Ok(());
    };
    match head.kind() {
        Kind::ControlRequest => {
            let subtype = head.subtype.unwrap_or_default();
            let callback = Callback::of(&subtype, line.as_str());
            if callback.is_none() && subtype != "can_use_tool" {
                return Ok(());
            }
            let mut tool_name = head.tool_name.unwrap_or_default().into_owned();
            tool_name.truncate(tool_name.floor_char_boundary(MAX_NAME_BYTES));
            let question = Question { request_id, tool_name, seq, turn_ended: false };
            questions::ask(cx, conversation, question, callback, line)
        }
        Kind::ControlCancelRequest => questions::cancel(cx, conversation, &request_id, seq),
        Kind::ControlResponse => requests::answered(cx, conversation, &request_id),
        _ => Ok(()),
    }
}

fn record_report<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    line: &Text,
) -> Result<(), TableError> {
    let head = Head::parse(line).unwrap_or_default();
    let seq = conversation.record(cx, Origin::Worker, line.clone())?;
    if head.kind != "footbridge" {
        return Ok(());
    }
    match head.subtype.as_deref() {
        Some("agent_started") => {
            let taken = conversation.row.taken_unnamed;
            requests::give_up(cx, conversation, taken, ANOTHER_RUN)
        }
        Some("agent_exited") => {
            questions::withdraw_all(cx, conversation, "the agent has exited")?;
            receipts::run_ended(cx, conversation, line)?;
            let given = conversation.given();
            requests::give_up(cx, conversation, given, "the agent has exited")
        }
        Some("messages_undelivered") => receipts::not_given(cx, conversation, line),
        // It has refused a question that cannot be answered, or was not answered in time.
        Some("permission_withdrawn" | "callback_withdrawn") => match head.request_id {
            Some(request_id) => questions::cancel(cx, conversation, &request_id, seq),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// How far a worker says that the lines for its agent have come.
#[derive(Clone, Copy)]
pub(super) struct Progress {
    /// No more sending up to here.
    pub(super) received: u64,
    /// In the agent's stdin up to here.
    pub(super) delivered: u64,
    /// With the worker up to here.
    pub(super) with_worker: u64,
    /// And this is one of them.
    pub(super) last: Option<LastLine>,
}

pub(super) fn ack_inbound<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    link: u64,
    progress: Progress,
) -> Answered {
    let mut conversation = linked(cx, session, link)?;
    mark_heard(cx, &conversation)?;
    let before = (conversation.row.inbound, conversation.row.session.receipts);
    let Progress { received, delivered, with_worker, last } = progress;
    is_same(cx, &conversation, last)?;
    if received.max(delivered).max(with_worker) > conversation.row.inbound.until {
        return Err(StoreError::NeverSent.into());
    }
    conversation.confirm_inbound(cx, received)?;
    receipts::arrived(cx, &mut conversation, with_worker)?;
    receipts::delivered(cx, &mut conversation, delivered)?;
    receipts::limit_unseen(cx, &mut conversation)?;
    if (conversation.row.inbound, conversation.row.session.receipts) != before {
        conversation.save(cx)?;
    }
    Ok(Answer::Done)
}

/// A line that the worker has is the one that it was given, and not another one of that number, which
/// there is if this store was set back to an earlier state. What was acknowledged to it before then is
/// older than that.
fn is_same<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &Conversation,
    last: Option<LastLine>,
) -> Result<(), Halt> {
    let Some(LastLine { number, mark }) = last else { return Ok(()) };
    let counts = &conversation.row.inbound;
    if number <= counts.acked || number > counts.until {
        return Ok(());
    }
    let own = conversation.inbound_row(cx, number)?;
    match own.is_none_or(|row| LastLine::mark_of(row.line.as_bytes()) == mark) {
        true => Ok(()),
        false => Err(StoreError::NeverSent.into()),
    }
}

fn confirm<T: Tables>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    received: u64,
) -> Result<(), Halt> {
    if received > conversation.row.inbound.until {
        return Err(StoreError::NeverSent.into());
    }
    // A plain connection stands where the store does, which says nothing about its agent.
    if received > conversation.row.inbound.acked {
        conversation.confirm_inbound(cx, received)?;
        receipts::delivered(cx, conversation, received)?;
    }
    Ok(())
}

pub(super) fn read_inbound<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    after: u64,
    max_lines: usize,
    max_bytes: usize,
) -> Answered {
    let mut row = cx.tables.session(session)?.ok_or(StoreError::SessionUnknown)?;
    let from = after.max(row.inbound.acked).saturating_add(1);
    let (mut lines, mut bytes, mut last_seq) = (Vec::new(), 0, 0);
    if max_lines > 0 && from <= row.inbound.until {
        cx.tables.read_inbound(session, from, &mut |row| {
            bytes += row.line.len();
            if !lines.is_empty() && bytes > max_bytes {
                return ControlFlow::Break(());
            }
            lines.push((row.number, row.line.clone()));
            last_seq = row.seq;
            if lines.len() < max_lines { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    if let Some((last, _)) = lines.last()
        && row.inbound.handed_out < *last
    {
        row.inbound.handed_out = *last;
        let receipts = &mut row.session.receipts;
        receipts.sent = receipts.sent.max(last_seq);
        cx.tables.put_session(row)?;
    }
    Ok(Answer::Inbound(lines))
}
