//! What sessions need from their person, and for how long.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::id::SessionId;
use crate::base::limits::{MAX_WATCHED_NEEDS, PUSH_AFTER};
use crate::base::time::Instant;
use crate::relay::subject::{Need, Subject};
use crate::store::{AccountId, Session};
use crate::wire::session::{ResultStatus, SessionState};

/// A need, as far as it is known. `T` are those who were told.
#[derive(Clone, Debug)]
pub(super) struct Watched<T> {
    pub(super) owner: AccountId,
    /// The event that it began with.
    pub(super) seq: u64,
    /// The agent's id for the question.
    pub(super) request_id: Option<String>,
    pub(super) stage: Stage<T>,
    /// Grows from one to the next.
    number: u64,
}

/// How far telling somebody has come.
#[derive(Clone, Debug)]
pub(super) enum Stage<T> {
    /// Nobody is, unless it still waits then.
    Counting { due: Instant },
    /// The store was asked whom to tell.
    Asking,
    /// These were.
    Told(Vec<T>),
}

/// All needs of all sessions.
pub(super) struct Needs<T> {
    watched: BTreeMap<Need, Watched<T>>,
    /// Sessions whose agent is working.
    working: BTreeSet<SessionId>,
    numbered: u64,
}

impl<T> Default for Needs<T> {
    fn default() -> Self {
        Self { watched: BTreeMap::new(), working: BTreeSet::new(), numbered: 0 }
    }
}

/// Whose change is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::relay) enum Change {
    /// One that this relay has made.
    Own,
    /// Another relay's, which tells people of it.
    Others,
}

impl<T> Needs<T> {
    /// A session is like this now. Returns what is over.
    pub(super) fn learn(
        &mut self,
        session: &Session,
        has_just_ended: bool,
        change: Change,
        now: Instant,
    ) -> Vec<(Need, Watched<T>)> {
        let needs = self.needs_of(session, has_just_ended);
        let id = &session.id;
        let known: Vec<_> = self.of(id).collect();
        let is_over = |subject: &Subject| !needs.iter().any(|(need, ..)| need == subject);
        let over = known.iter().filter(|subject| is_over(subject));
        let over: Vec<_> = over.filter_map(|subject| self.forget(id, *subject)).collect();
        for (subject, seq, request_id) in needs {
            if change == Change::Own && !known.contains(&subject) {
                let (owner, due) = (session.owner.clone(), now + PUSH_AFTER);
                self.watch((id.clone(), subject), owner, seq, request_id, due);
            }
        }
        over
    }

    fn needs_of(
        &mut self,
        session: &Session,
        has_just_ended: bool,
    ) -> Vec<(Subject, u64, Option<String>)> {
        let has_worked = if session.is_working && session.state == SessionState::Running {
            self.working.insert(session.id.clone());
            false
        } else {
            self.working.remove(&session.id)
        };
        let is_known = |subject| self.watched.contains_key(&(session.id.clone(), subject));
        if session.state == SessionState::Ended {
            let status = session.result.as_ref().map(|result| &result.status);
            let has_failed = matches!(
                status,
                Some(ResultStatus::Failed | ResultStatus::TimedOut | ResultStatus::Lost)
            );
            let counts = has_failed && (has_just_ended || is_known(Subject::Failed));
            return if counts { alloc::vec![(Subject::Failed, 0, None)] } else { Vec::new() };
        }
        if session.is_stopping {
            return Vec::new();
        }
        let open = session.pending.iter().filter(|question| !question.turn_ended);
        let mut needs: Vec<_> = open
            .map(|question| {
                let request_id = Some(question.request_id.clone());
                (Subject::Question(question.seq), question.seq, request_id)
            })
            .collect();
        let is_idle = session.state == SessionState::Running && !session.is_working;
        if needs.is_empty() && is_idle && (has_worked || is_known(Subject::Turn)) {
            needs.push((Subject::Turn, session.last_seq, None));
        }
        needs
    }

    fn watch(
        &mut self,
        need: Need,
        owner: AccountId,
        seq: u64,
        request_id: Option<String>,
        due: Instant,
    ) {
        if self.watched.len() >= MAX_WATCHED_NEEDS {
            let oldest = self.watched.iter().min_by_key(|(_, watched)| watched.number);
            if let Some(oldest) = oldest.map(|(need, _)| need.clone()) {
                self.watched.remove(&oldest);
            }
        }
        self.numbered += 1;
        let stage = Stage::Counting { due };
        let number = self.numbered;
        self.watched.insert(need, Watched { owner, seq, request_id, stage, number });
    }

    /// A session is no longer kept. Returns what is over.
    pub(super) fn gone(&mut self, session: &SessionId) -> Vec<(Need, Watched<T>)> {
        self.working.remove(session);
        let known: Vec<_> = self.of(session).collect();
        known.into_iter().filter_map(|subject| self.forget(session, subject)).collect()
    }

    /// Somebody looks at a session: nothing else has to tell them that it is their turn, or that it has
    /// failed. A question stays until it is answered. Returns what is over.
    pub(super) fn seen(&mut self, session: &SessionId) -> Vec<(Need, Watched<T>)> {
        let told = [Subject::Turn, Subject::Failed].into_iter();
        let told = told.filter(|subject| self.was_told(session, *subject)).collect::<Vec<_>>();
        told.into_iter().filter_map(|subject| self.forget(session, subject)).collect()
    }

    /// These were told. If nobody was, nor is to be later, nothing is left to take back, and a question
    /// alone is counted.
    pub(super) fn told(&mut self, need: &Need, told: Vec<T>, is_held: bool) {
        if told.is_empty() && !is_held && !matches!(need.1, Subject::Question(_)) {
            self.watched.remove(need);
        } else if let Some(watched) = self.watched.get_mut(need) {
            watched.stage = Stage::Told(told);
        }
    }

    fn was_told(&self, session: &SessionId, subject: Subject) -> bool {
        let watched = self.watched.get(&(session.clone(), subject));
        watched.is_some_and(|watched| matches!(watched.stage, Stage::Told(_)))
    }

    fn forget(&mut self, session: &SessionId, subject: Subject) -> Option<(Need, Watched<T>)> {
        self.watched.remove_entry(&(session.clone(), subject))
    }

    fn of<'s>(&'s self, session: &'s SessionId) -> impl Iterator<Item = Subject> + 's {
        let from = (session.clone(), Subject::Question(0));
        let own = self.watched.range(from..).take_while(move |((id, _), _)| id == session);
        own.map(|((_, subject), _)| *subject)
    }

    pub(super) fn get_mut(&mut self, need: &Need) -> Option<&mut Watched<T>> {
        self.watched.get_mut(need)
    }

    /// The questions of a person that wait.
    pub(super) fn questions_of(&self, owner: &AccountId) -> usize {
        let own = self.watched.iter().filter(|(_, watched)| watched.owner == *owner);
        own.filter(|((_, subject), _)| matches!(subject, Subject::Question(_))).count()
    }

    /// What is due.
    pub(super) fn due(&self, now: Instant) -> Vec<Need> {
        let is_due = |stage: &Stage<T>| matches!(stage, Stage::Counting { due } if *due <= now);
        let due = self.watched.iter().filter(|(_, watched)| is_due(&watched.stage));
        due.map(|(need, _)| need.clone()).collect()
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let due = self.watched.values().filter_map(|watched| match watched.stage {
            Stage::Counting { due } => Some(due),
            _ => None,
        });
        due.min()
    }
}
