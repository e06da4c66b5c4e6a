//! One session: its log, the lines for its agent, its questions.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::callbacks::CallbacksModel;
use super::kept_worktree::WorktreeModel;
use super::questions::QuestionsModel;
use super::receipts::ReceiptsModel;
use super::requests::RequestsModel;
use super::{Check, ensure};
use crate::base::id::EnvironmentId;
use crate::base::limits::{EVENT_OVERHEAD_BYTES, LOG_TRIM_DIVISOR};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::store::{AccountId, Callbacks, Entry, Line, NewMessage, Origin, Page, Sender, Session};
use crate::wire::log_message::LogMessage;
use crate::wire::session::SessionState;

pub(super) struct SessionModel {
    pub(super) owner: AccountId,
    pub(super) environment: EnvironmentId,
    /// Whether it was made without a worker that takes items.
    pub(super) is_code: bool,
    pub(super) ordinal: u64,
    pub(super) title: Option<String>,
    /// What a person has called it since, and whether it is put away.
    pub(super) renamed: Option<String>,
    pub(super) is_archived: bool,
    pub(super) state: SessionState,
    pub(super) is_stopping: bool,
    /// Everything that was ever logged.
    pub(super) log: Vec<Entry>,
    pub(super) first_seq: u64,
    kept_bytes: usize,
    /// The event of each uuid, retained or not.
    pub(super) uuids: BTreeMap<String, u64>,
    updated_at: UnixTime,
    /// Every line for the agent, from the first.
    pub(super) inbound: Vec<Text>,
    /// How many of them no longer need to be sent.
    pub(super) acked: u64,
    /// Lines from the worker that are stored or lost.
    pub(super) received: u64,
    pub(super) link: u64,
    /// The agent run that the link is for.
    agent_run: Option<String>,
    /// The last line that was read for it.
    pub(super) handed_out: u64,
    pub(super) questions: QuestionsModel,
    pub(super) callbacks: CallbacksModel,
    pub(super) worktree: WorktreeModel,
    requests: RequestsModel,
    pub(super) receipts: ReceiptsModel,
    /// The last line that the agent was given, once that run has ended.
    run_ended_at: Option<u64>,
    /// Before a link is opened: the last line that the agent was given, and the open ones of those.
    before_run: (u64, Vec<u64>),
    /// Whether the lines just stored include the agent's exit.
    has_exited: bool,
}

impl SessionModel {
    /// Whether a request for such a session, under the same key, is a repeat.
    pub(super) fn is_asked_for(&self, environment: &EnvironmentId, title: Option<&str>) -> bool {
        let is_same = self.renamed.is_some() || self.title.as_deref() == title;
        self.environment == *environment && is_same
    }

    pub(super) fn new(
        owner: AccountId,
        environment: EnvironmentId,
        title: Option<String>,
        ordinal: u64,
    ) -> Self {
        Self {
            owner,
            environment,
            is_code: false,
            ordinal,
            title,
            renamed: None,
            is_archived: false,
            state: SessionState::Queued,
            is_stopping: false,
            log: Vec::new(),
            first_seq: 1,
            kept_bytes: 0,
            uuids: BTreeMap::new(),
            updated_at: UnixTime::default(),
            inbound: Vec::new(),
            acked: 0,
            received: 0,
            link: 0,
            agent_run: None,
            handed_out: 0,
            questions: QuestionsModel::default(),
            callbacks: CallbacksModel::default(),
            worktree: WorktreeModel::default(),
            requests: RequestsModel::default(),
            receipts: ReceiptsModel::default(),
            run_ended_at: None,
            before_run: (0, Vec::new()),
            has_exited: false,
        }
    }

    /// Whether it goes on, and this is its link.
    pub(super) fn has_link(&self, link: u64) -> bool {
        self.link == link && self.state != SessionState::Ended
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.log.len() as u64
    }

    fn cost(&self, entry: &Entry) -> usize {
        let uuid = self.uuids.iter().find(|(_, seq)| **seq == entry.seq);
        entry.line.len() + uuid.map_or(0, |(uuid, _)| uuid.len()) + EVENT_OVERHEAD_BYTES
    }

    /// Adds an event, which has to be the next one.
    pub(super) fn add_event(&mut self, entry: &Entry, wall: UnixTime, limit: usize) -> Check {
        let (seq, expected) = (entry.seq, self.last_seq() + 1);
        ensure(seq == expected, || format!("log: got event {seq}, expected {expected}"))?;
        ensure(entry.at == wall, || format!("log: event {seq} is dated {}", entry.at))?;
        self.kept_bytes += self.cost(entry);
        self.updated_at = wall;
        self.log.push(entry.clone());
        let kept = if self.kept_bytes > limit { limit - limit / LOG_TRIM_DIVISOR } else { limit };
        while self.kept_bytes > kept && self.first_seq < self.last_seq() {
            let oldest = usize::try_from(self.first_seq - 1).unwrap_or(usize::MAX);
            self.kept_bytes -= self.log.get(oldest).map_or(0, |entry| self.cost(entry));
            self.first_seq += 1;
        }
        let first_seq = self.first_seq;
        self.questions.forget(first_seq);
        if entry.origin == Origin::Viewer {
            self.inbound.push(entry.line.clone());
        }
        if entry.origin == Origin::Worker {
            self.end_run(entry);
        }
        self.receipts.record(entry, self.acked)?;
        let is_over = self.state == SessionState::Ended;
        self.questions.record(entry, is_over, &mut self.callbacks);
        self.requests.record(entry, (self.inbound.len() as u64, self.given()))
    }

    /// Takes in the exit of the agent, if this is it; a run ends once.
    fn end_run(&mut self, entry: &Entry) {
        if let Ok(Some(LogMessage::AgentExited { delivered, attempted, .. })) =
            LogMessage::parse(entry.line.as_str())
        {
            self.acked = self.acked.max(delivered.unwrap_or(0).min(self.handed_out));
            let given = attempted.unwrap_or(self.handed_out).min(self.handed_out).max(self.acked);
            self.run_ended_at.get_or_insert(given);
        }
    }

    /// The last line that the agent was given.
    fn given(&self) -> u64 {
        self.run_ended_at.unwrap_or(self.handed_out).max(self.acked).max(self.receipts.settled())
    }

    /// A link is about to be opened.
    pub(super) fn before_link(&mut self) {
        let given = self.given();
        self.before_run = (given, self.receipts.open_until(given));
    }

    /// If the lines just stored include the agent's exit, checks its requests.
    pub(super) fn check_exit(&mut self) -> Check {
        let has_exited = core::mem::take(&mut self.has_exited);
        if has_exited { self.requests.check_exit(self.given()) } else { Ok(()) }
    }

    pub(super) fn enter(&mut self, state: SessionState) -> Check {
        self.state = state;
        if state == SessionState::Ended {
            self.is_stopping = false;
            self.acked = self.inbound.len() as u64;
            self.requests.check_end()?;
        }
        Ok(())
    }

    /// Checks a current record against what is known.
    pub(super) fn check_record(&self, session: &Session) -> Check {
        self.receipts.check_record(&session.receipts)?;
        let pending = session.pending.iter().map(|asked| (asked.seq, asked.request_id.as_str()));
        let pending: Vec<_> = pending.collect();
        ensure(pending == self.questions.open(false), || {
            format!("answers: {pending:?} are pending, expected {:?}", self.questions.open(false))
        })?;
        let has_result = session.result.is_some();
        let told = (session.state, has_result, session.last_seq, session.first_seq);
        let has_ended = self.state == SessionState::Ended;
        let known = (self.state, has_ended, self.last_seq(), self.first_seq);
        ensure(told == known, || format!("log: got {told:?}, expected {known:?}"))?;
        let title = self.renamed.as_ref().or(self.title.as_ref());
        ensure(title.is_none() || title == session.title.as_ref(), || {
            format!("log: the title {title:?} became {:?}", session.title)
        })?;
        ensure(self.is_archived == session.is_archived, || "log: archived is wrong".to_string())?;
        ensure(session.updated_at == self.updated_at, || "log: updated_at is wrong".to_string())
    }

    /// Checks a record that was read, with what is not announced.
    pub(super) fn check_whole_record(&self, session: &Session) -> Check {
        self.check_record(session)?;
        self.worktree.check_record(session.worktree.as_ref())?;
        let Callbacks { answerer, open } = &session.callbacks;
        let open: Vec<_> = open.iter().map(|open| (open.seq, open.request_id.as_str())).collect();
        let told = (answerer.as_ref(), open);
        let known = (self.callbacks.answerer(), self.questions.open(true));
        ensure(known.0.is_some() || known.1.is_empty(), || {
            format!("answers: nobody is asked {:?}", known.1)
        })?;
        ensure(told == known, || format!("answers: got {told:?}, expected {known:?}"))
    }

    pub(super) fn check_page(&self, page: &Page, after: u64, most: (usize, usize)) -> Check {
        self.check_whole_record(&page.session)?;
        let (max_events, max_bytes) = most;
        let first = after.saturating_add(1).max(self.first_seq);
        let skip = usize::try_from(first - 1).unwrap_or(usize::MAX).min(self.log.len());
        let rest = self.log.get(skip..).unwrap_or_default();
        let entries = &page.entries;
        ensure(rest.starts_with(entries), || {
            format!("log: the page after {after} is not what was logged: {entries:?}")
        })?;
        ensure(rest.is_empty() || !entries.is_empty(), || "log: one event always fits".into())?;
        let bytes: usize = entries.iter().map(|entry| entry.line.len()).sum();
        let fits = entries.len() <= max_events && (entries.len() == 1 || bytes <= max_bytes);
        ensure(entries.is_empty() || fits, || {
            format!("limits: {} events of {bytes} bytes in one page", entries.len())
        })
    }

    pub(super) fn check_inbound(&self, lines: &[(u64, Text)], after: u64, most: usize) -> Check {
        let first = after.max(self.acked);
        let skip = usize::try_from(first).unwrap_or(usize::MAX).min(self.inbound.len());
        let rest = self.inbound.get(skip..).unwrap_or_default();
        let expected = (first + 1..).zip(rest.iter().cloned());
        let is_beginning = expected.take(lines.len()).eq(lines.iter().cloned());
        ensure(is_beginning && lines.len() <= most, || {
            format!("link: {lines:?} for the agent after {after}")
        })?;
        ensure(rest.is_empty() || !lines.is_empty(), || "link: one line always fits".into())
    }

    /// A new link serves this run of the agent, if it is named. What an earlier run has asked clients
    /// is withdrawn, and another run is told what that one was told.
    pub(super) fn check_told(
        &mut self,
        agent_run: Option<&str>,
        acked: u64,
        told: Option<&Text>,
    ) -> Check {
        let is_other = agent_run.is_some() && agent_run != self.agent_run.as_deref();
        ensure(!is_other || self.questions.open(true).is_empty(), || {
            format!("answers: {:?} wait for an agent that is gone", self.questions.open(true))
        })?;
        if is_other || agent_run.is_none() {
            self.callbacks.run_began(is_other, acked);
        }
        self.callbacks.check_declared(told)
    }

    /// What a new link logs: once, and only for another run of the agent, what the last run was
    /// given and did not confirm.
    pub(super) fn check_run(&mut self, agent_run: Option<&str>, added: &[&Entry]) -> Check {
        let before = self.agent_run.as_deref();
        let is_other = before.is_some() && agent_run.is_some() && agent_run != before;
        self.agent_run = agent_run.or(before).map(String::from);
        let (given, open) = core::mem::take(&mut self.before_run);
        let is_withdrawn = |entry: &&&Entry| entry.line.as_str().contains("callback_withdrawn");
        let added: Vec<_> = added.iter().filter(|entry| !is_withdrawn(entry)).collect();
        if agent_run.is_none() {
            self.run_ended_at = None;
        }
        let said = added.iter().map(|entry| (entry.origin, entry.line.as_str()));
        let of_messages = |(_, line): &(Origin, &str)| !line.contains("requests_unanswered");
        let said: Vec<_> = said.filter(of_messages).collect();
        if !is_other {
            return ensure(added.is_empty(), || {
                format!("link: {said:?} was logged, but nothing is unconfirmed")
            });
        }
        self.requests.check_exit(given)?;
        (self.acked, self.handed_out, self.run_ended_at) = (given, given, None);
        if open.is_empty() {
            return ensure(said.is_empty(), || {
                format!("link: {said:?} was logged, but nothing is unconfirmed")
            });
        }
        let seqs = open.iter().map(|seq| format!("{seq}")).collect::<Vec<_>>().join(",");
        let is_so = matches!(said.as_slice(), [(Origin::Relay, line)]
            if line.contains("messages_indeterminate") && line.contains(&format!("\"seqs\":[{seqs}]")));
        ensure(is_so, || format!("link: {said:?} was logged, expected {seqs} as indeterminate"))
    }

    /// What a batch adds: every line that was not stored yet, once and in order.
    pub(super) fn check_appended(&mut self, first: u64, lines: &[Line], added: &[&Entry]) -> Check {
        let known = (self.received + 1).checked_sub(first);
        let known = known.and_then(|known| usize::try_from(known).ok()).unwrap_or(usize::MAX);
        let new: Vec<_> = lines.iter().skip(known).map(|line| (line.origin, &line.line)).collect();
        // The relay may also refuse what the agent asks.
        let is_own = |entry: &Entry| entry.origin == Origin::Relay || is_refusal(entry);
        let said = added.iter().filter(|entry| !is_own(entry));
        let said: Vec<_> = said.map(|entry| (entry.origin, &entry.line)).collect();
        self.received += new.len() as u64;
        if new.iter().any(|(_, line)| line.as_str().contains("agent_exited")) {
            self.has_exited = true;
        }
        ensure(said == new, || format!("link: {said:?} was logged, expected {new:?}"))
    }

    /// What a post adds: new messages get the next numbers, known ones keep theirs.
    pub(super) fn check_posted(
        &mut self,
        (messages, sender): (&[NewMessage], Option<&Sender>),
        seqs: &[u64],
        added: &[&Entry],
    ) -> Check {
        ensure(messages.len() == seqs.len(), || {
            format!("once: got {seqs:?} for {} messages", messages.len())
        })?;
        let denied = self.callbacks.denied(messages, sender);
        let has_new = messages.iter().any(|message| !self.has_uuid(message.uuid.as_ref()));
        ensure(denied.is_none() || !has_new, || {
            format!("answers: a declaration was accepted, expected {denied:?}")
        })?;
        let lines = added.iter().filter(|entry| entry.origin == Origin::Viewer);
        let mut new = (self.inbound.len() as u64 + 1..).zip(lines);
        // What the agent has asked a client that was replaced is refused in between.
        let mut next = || new.find(|(_, entry)| !is_refusal(entry));
        for (message, seq) in messages.iter().zip(seqs) {
            let NewMessage { uuid, line, .. } = message;
            if let Some(known) = uuid.as_ref().and_then(|uuid| self.uuids.get(uuid)) {
                ensure(known == seq, || format!("once: {uuid:?} is event {known}, but got {seq}"))?;
                continue;
            }
            let entry = next();
            let is_next = entry.is_some_and(|(_, entry)| (entry.seq, &entry.line) == (*seq, line));
            ensure(is_next, || {
                format!("log: {entry:?} was logged, but message {seq} was accepted")
            })?;
            if let Some(uuid) = uuid {
                self.uuids.insert(uuid.clone(), *seq);
            }
            if let Some((number, _)) = entry {
                self.callbacks.posted(message, sender, number);
            }
        }
        ensure(next().is_none(), || "once: more was logged than was posted".into())
    }

    pub(super) fn has_uuid(&self, uuid: Option<&String>) -> bool {
        uuid.is_some_and(|uuid| self.uuids.contains_key(uuid))
    }
}

/// Whether the relay has refused a question by this line.
fn is_refusal(entry: &Entry) -> bool {
    entry.origin == Origin::Viewer && entry.line.as_str().contains(r#""refused":true"#)
}
