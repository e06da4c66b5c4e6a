//! One session: its log, the lines for its agent, its questions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::receipts::ReceiptsModel;
use super::requests::RequestsModel;
use super::{Check, ensure};
use crate::base::id::EnvironmentId;
use crate::base::limits::{EVENT_OVERHEAD_BYTES, LOG_TRIM_DIVISOR};
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::store::{AccountId, Entry, Line, NewMessage, Origin, Page, PermissionReply, Session};
use crate::wire::log_message::LogMessage;
use crate::wire::message::{Head, Kind};
use crate::wire::session::SessionState;

pub(super) struct SessionModel {
    pub(super) owner: AccountId,
    pub(super) environment: EnvironmentId,
    pub(super) ordinal: u64,
    pub(super) title: Option<String>,
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
    questions: BTreeMap<String, Question>,
    /// The ids of those that were the id of another question before.
    reused: BTreeSet<String>,
    requests: RequestsModel,
    pub(super) receipts: ReceiptsModel,
    /// The last line that the agent was given, once that run has ended.
    run_ended_at: Option<u64>,
    /// Before a link is opened: the last line that the agent was given, and the open ones of those.
    before_run: (u64, Vec<u64>),
    /// Whether the lines just stored include the agent's exit.
    has_exited: bool,
}

enum Question {
    Open {
        seq: u64,
    },
    /// The event that asked it, and the one that closed it.
    Closed {
        asked: u64,
        seq: u64,
        reply: Option<PermissionReply>,
    },
}

/// The input of every question in a run.
const INPUT: &str = r#"{"asked":1}"#;

/// A reply with its input filled in: without one, it is the input of the question.
fn effective(reply: &PermissionReply) -> PermissionReply {
    match reply {
        PermissionReply::Allow { updated_input: None, further } => PermissionReply::Allow {
            updated_input: Some(Text::from(INPUT)),
            further: further.clone(),
        },
        other => other.clone(),
    }
}

impl SessionModel {
    /// Whether a request for such a session, under the same key, is a repeat.
    pub(super) fn is_asked_for(&self, environment: &EnvironmentId, title: Option<&str>) -> bool {
        self.environment == *environment && self.title.as_deref() == title
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
            ordinal,
            title,
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
            questions: BTreeMap::new(),
            reused: BTreeSet::new(),
            requests: RequestsModel::default(),
            receipts: ReceiptsModel::default(),
            run_ended_at: None,
            before_run: (0, Vec::new()),
            has_exited: false,
        }
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
        self.questions.retain(|_, question| match question {
            Question::Open { .. } => true,
            Question::Closed { seq, .. } => *seq >= first_seq,
        });
        if entry.origin == Origin::Viewer {
            self.inbound.push(entry.line.clone());
        }
        if entry.origin == Origin::Worker {
            self.end_run(entry);
        }
        self.receipts.record(entry, self.acked)?;
        self.update_questions(entry);
        self.requests.record(entry, (self.inbound.len() as u64, self.given()))
    }

    fn update_questions(&mut self, entry: &Entry) {
        let head = Head::parse(&entry.line).unwrap_or_default();
        let kind = head.kind();
        let subtype = head.subtype.unwrap_or_default();
        let Some(id) = head.request_id else { return };
        let is_withdrawn = match entry.origin {
            Origin::Agent => kind == Kind::ControlCancelRequest,
            Origin::Relay | Origin::Worker => subtype == "permission_withdrawn",
            Origin::Viewer => false,
        };
        let open = match self.questions.get(&id) {
            Some(Question::Open { seq }) => Some(*seq),
            _ => None,
        };
        if is_withdrawn {
            if let Some(asked) = open {
                let seq = entry.seq;
                self.questions.insert(id, Question::Closed { asked, seq, reply: None });
            }
        } else if entry.origin == Origin::Agent && subtype == "can_use_tool" {
            // A question asked after the session's end is never open.
            let has_ended = self.state == SessionState::Ended;
            if !has_ended && open.is_none() {
                let before = self.questions.insert(id.clone(), Question::Open { seq: entry.seq });
                if before.is_some() {
                    self.reused.insert(id);
                } else {
                    self.reused.remove(&id);
                }
            }
        }
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

    /// The open questions, in the order they were asked.
    fn open(&self) -> Vec<(u64, &str)> {
        let open = self.questions.iter().filter_map(|(id, question)| match question {
            Question::Open { seq } => Some((*seq, id.as_str())),
            Question::Closed { .. } => None,
        });
        let mut open: Vec<_> = open.collect();
        open.sort_unstable();
        open
    }

    /// Checks a current record against what is known.
    pub(super) fn check_record(&self, session: &Session) -> Check {
        self.receipts.check_record(&session.receipts)?;
        let pending = session.pending.iter().map(|asked| (asked.seq, asked.request_id.as_str()));
        let pending: Vec<_> = pending.collect();
        ensure(pending == self.open(), || {
            format!("answers: {pending:?} are pending, expected {:?}", self.open())
        })?;
        let has_result = session.result.is_some();
        let told = (session.state, has_result, session.last_seq, session.first_seq);
        let has_ended = self.state == SessionState::Ended;
        let known = (self.state, has_ended, self.last_seq(), self.first_seq);
        ensure(told == known, || format!("log: got {told:?}, expected {known:?}"))?;
        ensure(self.title.is_none() || self.title == session.title, || {
            format!("log: the title {:?} became {:?}", self.title, session.title)
        })?;
        ensure(session.updated_at == self.updated_at, || "log: updated_at is wrong".to_string())
    }

    pub(super) fn check_page(&self, page: &Page, after: u64, most: (usize, usize)) -> Check {
        self.check_record(&page.session)?;
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

    /// What a new link logs: once, and only for another run of the agent, what the last run was
    /// given and did not confirm.
    pub(super) fn check_run(&mut self, agent_run: Option<&str>, added: &[&Entry]) -> Check {
        let before = self.agent_run.as_deref();
        let is_other = before.is_some() && agent_run.is_some() && agent_run != before;
        self.agent_run = agent_run.or(before).map(String::from);
        let (given, open) = core::mem::take(&mut self.before_run);
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
        let said = added.iter().filter(|entry| entry.origin != Origin::Relay);
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
        messages: &[NewMessage],
        seqs: &[u64],
        added: &[&Entry],
    ) -> Check {
        ensure(messages.len() == seqs.len(), || {
            format!("once: got {seqs:?} for {} messages", messages.len())
        })?;
        let mut new = added.iter().filter(|entry| entry.origin == Origin::Viewer);
        for (NewMessage { uuid, line, .. }, seq) in messages.iter().zip(seqs) {
            if let Some(known) = uuid.as_ref().and_then(|uuid| self.uuids.get(uuid)) {
                ensure(known == seq, || format!("once: {uuid:?} is event {known}, but got {seq}"))?;
                continue;
            }
            let entry = new.next();
            let is_next = entry.is_some_and(|entry| {
                (entry.seq, entry.origin, &entry.line) == (*seq, Origin::Viewer, line)
            });
            ensure(is_next, || {
                format!("log: {entry:?} was logged, but message {seq} was accepted")
            })?;
            if let Some(uuid) = uuid {
                self.uuids.insert(uuid.clone(), *seq);
            }
        }
        ensure(new.next().is_none(), || "once: more was logged than was posted".into())
    }

    pub(super) fn has_uuid(&self, uuid: Option<&String>) -> bool {
        uuid.is_some_and(|uuid| self.uuids.contains_key(uuid))
    }

    /// What an answer to a question has to lead to.
    pub(super) fn expected(
        &self,
        id: &str,
        asked_at: Option<u64>,
        reply: &PermissionReply,
    ) -> Expected {
        let known = self.asked_at(id);
        if known.is_some() && asked_at.is_some() && known != asked_at {
            return Expected::Withdrawn;
        }
        if known.is_some() && asked_at.is_none() && self.reused.contains(id) {
            let is_open = matches!(self.questions.get(id), Some(Question::Open { .. }));
            return Expected::Ambiguous(known.filter(|_| is_open));
        }
        match self.questions.get(id) {
            Some(Question::Open { .. }) => Expected::First,
            Some(Question::Closed { reply: None, .. }) => Expected::Withdrawn,
            Some(Question::Closed { seq, reply: Some(given), .. })
                if *given == effective(reply) =>
            {
                Expected::Same(*seq)
            }
            Some(Question::Closed { .. }) => Expected::Conflict,
            None => Expected::Unknown,
        }
    }

    pub(super) fn answered(&mut self, id: &str, seq: u64, reply: &PermissionReply) {
        let reply = Some(effective(reply));
        let asked = self.asked_at(id).unwrap_or(0);
        self.questions.insert(id.into(), Question::Closed { asked, seq, reply });
    }

    /// The event that asked the last question under an id.
    pub(super) fn asked_at(&self, id: &str) -> Option<u64> {
        self.questions.get(id).map(|question| match question {
            Question::Open { seq: asked } | Question::Closed { asked, .. } => *asked,
        })
    }
}

/// What an answer to a question has to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    First,
    Same(u64),
    Conflict,
    Withdrawn,
    /// The event of the one that is open.
    Ambiguous(Option<u64>),
    Unknown,
}
