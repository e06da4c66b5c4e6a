//! The receipts of one session: every line for its agent ends in exactly one way, and none is called
//! seen unless its agent has printed something since.

use alloc::format;
use alloc::vec::Vec;

use super::{Check, ensure};
use crate::store::{Entry, Origin, Receipts};
use crate::wire::log_message::LogMessage;
use crate::wire::viewer::Stage;

#[derive(Default)]
pub(super) struct ReceiptsModel {
    lines: Vec<Line>,
    /// What the store last said.
    receipts: Receipts,
    /// The event up to which everything was settled before the operation.
    settled_before: u64,
}

struct Line {
    seq: u64,
    /// Nobody waits for a receipt of the relay's own refusals.
    is_refusal: bool,
    failed: Option<Stage>,
    /// The worker said that it did not give it to the agent.
    is_skipped: bool,
}

impl ReceiptsModel {
    /// How many lines are settled.
    pub(super) fn settled(&self) -> u64 {
        self.lines.iter().take_while(|line| line.seq <= self.receipts.seen).count() as u64
    }

    /// Takes in what the store says, before the events of the same operation.
    pub(super) fn announce(&mut self, receipts: Receipts) {
        self.settled_before = self.receipts.seen;
        self.receipts = receipts;
    }

    /// Records an event; lines up to `acked` need no more sending.
    pub(super) fn record(&mut self, entry: &Entry, acked: u64) -> Check {
        if entry.origin == Origin::Viewer {
            let is_refusal = entry.line.as_str().contains(r#""refused":true"#);
            self.lines.push(Line { seq: entry.seq, is_refusal, failed: None, is_skipped: false });
        }
        if entry.origin == Origin::Worker {
            self.skip(entry);
        }
        if entry.origin != Origin::Relay {
            return Ok(());
        }
        let (stage, unsettled) = match LogMessage::parse(entry.line.as_str()) {
            Ok(Some(LogMessage::MessagesIndeterminate(lines))) => (Stage::Indeterminate, lines),
            Ok(Some(LogMessage::MessagesUndelivered(lines))) => (Stage::Undelivered, lines),
            Ok(Some(LogMessage::MessagesExpired(lines))) => (Stage::Expired, lines),
            _ => return Ok(()),
        };
        let names = unsettled.uuids.len() + unsettled.request_ids.len() + unsettled.answers.len();
        let (seqs, reason) = (unsettled.seqs, unsettled.reason);
        let is_whole = !seqs.is_empty() && names <= seqs.len() && !reason.is_empty();
        ensure(is_whole, || format!("receipts: event {} says too little", entry.seq))?;
        for seq in seqs.iter().copied() {
            let number = self.lines.iter().position(|line| line.seq == seq);
            let line = number.and_then(|at| self.lines.get_mut(at));
            let line = line.filter(|line| !line.is_refusal && line.failed.is_none());
            let line = line.ok_or_else(|| format!("receipts: event {seq} cannot end {stage:?}"))?;
            line.failed = Some(stage);
            ensure(seq > self.settled_before, || {
                format!("receipts: event {seq} was seen, and then ended {stage:?}")
            })?;
            let was_given = number.is_some_and(|at| (at as u64) < acked);
            ensure(!was_given || stage == Stage::Indeterminate, || {
                format!("receipts: event {seq} was delivered, and ended {stage:?}")
            })?;
        }
        Ok(())
    }

    /// The worker may say that it did not give lines to the agent.
    fn skip(&mut self, entry: &Entry) {
        let Ok(Some(LogMessage::MessagesUndelivered(said))) =
            LogMessage::parse(entry.line.as_str())
        else {
            return;
        };
        for number in said.lines.iter() {
            let at = usize::try_from(number.wrapping_sub(1)).unwrap_or(usize::MAX);
            if let Some(line) = self.lines.get_mut(at).filter(|line| line.seq > self.settled_before)
            {
                line.is_skipped = true;
            }
        }
    }

    /// The lines up to this one that are open.
    pub(super) fn open_until(&self, number: u64) -> Vec<u64> {
        let open = self.lines.iter().take(usize::try_from(number).unwrap_or(usize::MAX));
        let open = open.filter(|line| line.seq > self.settled_before && !line.is_refusal);
        let open = open.filter(|line| line.failed.is_none() && !line.is_skipped);
        open.map(|line| line.seq).collect()
    }

    /// After an operation: the numbers make sense, and what they now call seen was seen.
    pub(super) fn check(&mut self, has_agent_lines: bool) -> Check {
        let Receipts { stored, sent, with_worker, delivered, seen } = self.receipts;
        let is_ordered = [stored, sent, with_worker, delivered, seen].is_sorted_by(|a, b| a >= b);
        ensure(is_ordered, || format!("receipts: {:?} make no sense", self.receipts))?;
        let last = self.lines.last().map_or(0, |line| line.seq);
        ensure(stored == last, || format!("receipts: {last} is stored, but they say {stored}"))?;
        let new = self
            .lines
            .iter()
            .filter(|line| line.seq > self.settled_before && line.seq <= seen && !line.is_refusal);
        let unsaid = new.filter(|line| line.failed.is_none() && !line.is_skipped);
        let unsaid = unsaid.map(|line| line.seq).next();
        ensure(unsaid.is_none() || has_agent_lines, || {
            format!("receipts: {unsaid:?} counts as seen, although the agent printed nothing")
        })?;
        self.settled_before = seen;
        Ok(())
    }

    /// After the session's end: nothing is open.
    pub(super) fn check_end(&self) -> Check {
        let open = self.lines.iter().find(|line| line.seq > self.receipts.seen);
        ensure(open.is_none(), || {
            format!("receipts: {:?} is open in an ended session", open.map(|line| line.seq))
        })
    }

    /// What a record says about what is settled.
    pub(super) fn check_record(&self, receipts: &Receipts) -> Check {
        ensure(receipts.seen == self.receipts.seen, || {
            format!("receipts: got {receipts:?}, expected {:?}", self.receipts)
        })
    }
}
