//! What each operation promises.

use alloc::format;
use alloc::vec::Vec;

use super::model::Model;
use super::questions::{Expected, Reply};
use super::session::SessionModel;
use super::subject::Subject;
use super::{Check, ensure};
use crate::base::id::{EnvironmentId, SessionId};
use crate::store::{AccountId, Answer, Committed, Entry, Session, StoreError, StoreOp};
use crate::wire::session::SessionState;

impl Model {
    /// Checks what depends on the state before the operation.
    pub(super) fn check_before(&mut self, op: &StoreOp, outcome: &Committed) -> Check {
        let Committed { answer, changes } = outcome;
        match op {
            StoreOp::RegisterEnvironment { owner, id, registration, .. } => {
                self.registered(owner, id, registration, answer)
            }
            StoreOp::LeaseWork { environment, key } => {
                self.leased(environment, key.as_ref(), answer)
            }
            StoreOp::AckWork { environment, work, fence }
            | StoreOp::RenewLease { environment, work, fence } => {
                self.renewed(environment, work, *fence, answer)
            }
            StoreOp::StopWork { environment, work, fence, worktree, .. } => {
                self.stopped(environment, work, *fence, worktree.as_deref(), answer)
            }
            StoreOp::NoteWorktree { environment, note } => {
                self.worktree_noted(environment, note, answer)
            }
            StoreOp::AskWorktree { .. } => self.worktree_asked(op, answer),
            StoreOp::ReturnWork { work, fence } => {
                self.returned(work, *fence);
                Ok(())
            }
            StoreOp::AskHealthcheck { .. } => self.healthcheck_asked(op, answer),
            StoreOp::CreateSession { .. } => self.created(op, answer),
            StoreOp::Lapse => {
                let late = self.environments.keys().filter(|id| self.may_lapse_at(id) <= self.now);
                self.lapsing = late.cloned().collect();
                self.lapsed();
                ensure(*answer == Ok(Answer::Done), || format!("lapse: {answer:?}"))
            }
            StoreOp::Post { owner, session, messages, sender } => {
                let known = self.own(owner, session);
                let Ok(Answer::Posted(accepted)) = answer else {
                    let is_new = |known: &SessionModel| {
                        messages.iter().any(|message| !known.has_uuid(message.uuid.as_ref()))
                    };
                    if let Some(known) = &known
                        && let Err(StoreError::CallbacksTaken | StoreError::CallbacksUnanswerable) =
                            answer
                    {
                        let denied = known.callbacks.denied(messages, sender.as_ref());
                        ensure(answer.as_ref().err() == denied.as_ref(), || {
                            format!("answers: {answer:?} for a declaration, expected {denied:?}")
                        })?;
                    }
                    return ensure(known.is_none_or(|known| is_new(known)), || {
                        format!("once: a message accepted before now returns {answer:?}")
                    });
                };
                let known =
                    known.ok_or("owners: a message was posted to another account's session")?;
                let seqs: Vec<_> = accepted.iter().map(|accepted| accepted.seq).collect();
                known.check_posted((messages, sender.as_ref()), &seqs, &added(session, outcome))
            }
            StoreOp::CreateCodeSession { .. } => self.code_created(op, answer),
            StoreOp::OpenStream { session, link, received, from, .. } => {
                self.stream_opened(session, *link, (*received, *from), outcome)
            }
            StoreOp::NoteWorker { session, link, result, .. } => {
                self.worker_noted(session, *link, result.is_some(), answer)
            }
            StoreOp::Append { session, link, first, lines } => {
                let Some(known) = self.linked(session, *link, answer)? else { return Ok(()) };
                let brings = first.max(&1).saturating_add(lines.len() as u64) - 1;
                let is_late = known.state == SessionState::Ended && *first <= known.received + 1;
                if is_late && brings > known.received {
                    return ensure(*answer == Err(StoreError::SessionEnded), || {
                        format!("link: lines after the end returned {answer:?}")
                    });
                }
                known.check_appended(*first, lines, &added(session, outcome))?;
                let received = known.received;
                ensure(*answer == Ok(Answer::Appended { received }), || {
                    format!("link: got {answer:?}, but {received} lines are stored")
                })
            }
            StoreOp::ResumeLink { session, link, received, from, .. } => {
                self.resumed(session, *link, (*received, *from), outcome)
            }
            StoreOp::AckInbound { session, link, received, delivered, with_worker, .. } => {
                let Some(known) = self.linked(session, *link, answer)? else { return Ok(()) };
                let most = *received.max(delivered).max(with_worker);
                let was_sent = most <= known.inbound.len() as u64;
                ensure(answer.is_ok() == was_sent, || format!("link: an ack returned {answer:?}"))?;
                known.acked = known.acked.max(if was_sent { *received } else { 0 });
                Ok(())
            }
            StoreOp::ChangeSession { owner, id, title, archived } => {
                let Some(known) = self.own(owner, id) else {
                    return ensure(*answer == Err(StoreError::SessionUnknown), || {
                        format!("owners: a title from another account returned {answer:?}")
                    });
                };
                known.renamed = title.clone().or_else(|| known.renamed.take());
                known.is_archived = archived.unwrap_or(known.is_archived);
                Ok(())
            }
            StoreOp::DeleteSession { owner, id } => {
                let expected = match self.own(owner, id) {
                    None => Err(StoreError::SessionUnknown),
                    Some(known) if known.state != SessionState::Ended => {
                        Err(StoreError::SessionRuns)
                    }
                    Some(known) if known.worktree.kept.is_some() => return Ok(()),
                    Some(_) => Ok(Answer::Done),
                };
                ensure(*answer == expected, || {
                    format!("owners: {id} was deleted: {answer:?}, expected {expected:?}")
                })
            }
            StoreOp::AnswerPermission { owner, session, .. }
            | StoreOp::AnswerCallback { owner, session, .. } => {
                let Some(known) = self.own(owner, session) else {
                    return ensure(*answer == Err(StoreError::SessionUnknown), || {
                        format!("owners: an answer from another account returned {answer:?}")
                    });
                };
                let (expected, request_id, reply) = match op {
                    StoreOp::AnswerPermission { request_id, seq, reply, .. } => {
                        let expected = known.questions.expected(request_id, *seq, reply);
                        (expected, request_id, Reply::Person(reply.clone()))
                    }
                    StoreOp::AnswerCallback { client, request_id, seq, reply, .. } => {
                        let asked = (request_id.as_str(), *seq);
                        let is_own = known.callbacks.answerer() == Some(client);
                        let expected = known.questions.expected_of_client(asked, is_own, reply);
                        (expected, request_id, Reply::Client(reply.clone()))
                    }
                    _ => return Ok(()),
                };
                let seq = known.last_seq() + 1;
                let is_kept = match (expected, answer) {
                    (Expected::First, Ok(Answer::Answered { seq: given })) => *given == seq,
                    (Expected::First, Err(StoreError::Limit(_))) => return Ok(()),
                    (Expected::Same(seq), Ok(Answer::Answered { seq: given })) => {
                        *given == seq && changes.entries.is_empty()
                    }
                    (Expected::Ambiguous(seq), Err(StoreError::PermissionAmbiguous { open })) => {
                        *open == seq
                    }
                    (expected, Err(error)) => expected.is_said_by(error, &reply),
                    _ => false,
                };
                if expected == Expected::First {
                    known.questions.answered(request_id, seq, reply);
                }
                ensure(is_kept, || format!("answers: got {answer:?}, expected {expected:?}"))
            }
            _ => Ok(()),
        }
    }

    /// Checks what depends on the state after the operation.
    pub(super) fn check_after(&mut self, op: &StoreOp, outcome: &Committed) -> Check {
        let answer = &outcome.answer;
        match op {
            StoreOp::Lapse => {
                let late = self.environments.iter().find(|(id, _)| self.lapses_at(id) <= self.now);
                ensure(late.is_none(), || {
                    format!("lapse: {:?} was not removed", late.map(|(id, _)| id))
                })
            }
            StoreOp::Append { session, .. } => {
                self.sessions.get_mut(session).map_or(Ok(()), SessionModel::check_exit)
            }
            StoreOp::RemoveEnvironment { id } => {
                ensure(!self.environments.contains_key(id), || {
                    format!("lapse: {id} still exists after its removal")
                })
            }
            StoreOp::DrainEnvironment { id } => {
                let known = self.environments.get_mut(id);
                ensure(answer.is_ok() == known.is_some(), || format!("draining: {answer:?}"))?;
                if let Some(known) = known {
                    known.is_draining = true;
                }
                Ok(())
            }
            StoreOp::Find { environment, session } => {
                let is_there = environment.iter().all(|id| self.environments.contains_key(id))
                    && session.iter().all(|id| self.sessions.contains_key(id));
                ensure(answer.is_ok() == is_there, || {
                    format!("owners: a lookup returned {answer:?}")
                })
            }
            StoreOp::GetEnvironment { owner, id } => {
                let own = self.environments.get(id).filter(|known| known.owner == *owner);
                ensure(answer.is_ok() == own.is_some(), || format!("owners: {answer:?}"))
            }
            StoreOp::List { owner } => self.listed(owner, answer),
            StoreOp::ListSessions { .. } => self.sessions_listed(op, answer),
            StoreOp::Redispatch { environment, session, work } => {
                let known = self.sessions.get(session);
                let known = known.filter(|known| known.environment == *environment);
                let is_live = known.is_some_and(|known| known.state != SessionState::Ended);
                let is_live = is_live && known.is_some_and(|known| !known.is_code);
                let is_live = is_live && self.environments.contains_key(environment);
                ensure(answer.is_ok() == is_live, || format!("leases: {answer:?}"))?;
                if answer.is_ok() {
                    self.redispatched(session.as_str(), work);
                }
                Ok(())
            }
            StoreOp::CreateSession { owner, .. }
            | StoreOp::CreateCodeSession { owner, .. }
            | StoreOp::GetSession { owner, .. }
            | StoreOp::AskWorktree { owner, .. } => self.shown(owner, answer),
            StoreOp::ChangeSession { owner, .. } => self.shown(owner, answer),
            StoreOp::RequestStop { owner, id } => {
                if let Some(known) = self.own(owner, id)
                    && matches!(known.state, SessionState::Starting | SessionState::Running)
                {
                    known.is_stopping = true;
                    if let Some(subject) = self.subjects.get_mut(id.as_str()) {
                        subject.is_stopping = true;
                    }
                }
                self.shown(owner, answer)
            }
            StoreOp::ReadLog { owner, session, after, max_events, max_bytes } => {
                let Some(known) = self.own(owner, session) else {
                    return self.check_unknown(answer);
                };
                let Ok(Answer::Page(page)) = answer else { return Err(format!("log: {answer:?}")) };
                known.check_page(page, *after, (*max_events, *max_bytes))
            }
            StoreOp::AttachLink { session, fence, agent_run } => {
                self.attached(session, *fence, agent_run.as_deref(), outcome)
            }
            StoreOp::Bridge { .. } => self.bridged(op, outcome),
            StoreOp::ReadInbound { session, after, max_lines, .. } => {
                let Some(known) = self.sessions.get_mut(session) else {
                    return self.check_unknown(answer);
                };
                let Ok(Answer::Inbound(lines)) = answer else {
                    return Err(format!("link: {answer:?}"));
                };
                known.check_inbound(lines, *after, *max_lines)?;
                known.handed_out = known.handed_out.max(lines.last().map_or(0, |(last, _)| *last));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn own(&mut self, owner: &AccountId, session: &SessionId) -> Option<&mut SessionModel> {
        self.sessions.get_mut(session).filter(|known| known.owner == *owner)
    }

    pub(super) fn check_unknown(&self, answer: &Result<Answer, StoreError>) -> Check {
        ensure(*answer == Err(StoreError::SessionUnknown), || format!("owners: {answer:?}"))
    }

    fn shown(&mut self, owner: &AccountId, answer: &Result<Answer, StoreError>) -> Check {
        let Ok(Answer::Session(session)) = answer else { return Ok(()) };
        ensure(session.owner == *owner, || {
            format!("owners: {} was shown to another account", session.id)
        })?;
        let known = self.sessions.get(&session.id);
        let is_stopping = known.is_some_and(|known| known.is_stopping);
        ensure(session.is_stopping == is_stopping, || {
            format!("leases: {} should be stopping: {is_stopping}", session.id)
        })?;
        self.check_session(session)?;
        let Some(known) = self.sessions.get(&session.id) else { return Ok(()) };
        known.check_whole_record(session)?;
        self.check_with_worker(session)
    }

    fn healthcheck_asked(&mut self, op: &StoreOp, answer: &Result<Answer, StoreError>) -> Check {
        let StoreOp::AskHealthcheck { owner, id, work, .. } = op else { return Ok(()) };
        let known = self.environments.get_mut(id).filter(|known| known.owner == *owner);
        let Some(known) = known else {
            return ensure(*answer == Err(StoreError::EnvironmentUnknown), || {
                format!("owners: a healthcheck of {id} returned {answer:?}")
            });
        };
        if known.made_for.is_some() {
            return ensure(*answer == Err(StoreError::EnvironmentUnknown), || {
                format!("epochs: {id} takes no work, but a healthcheck returned {answer:?}")
            });
        }
        let Ok(Answer::Environment(environment)) = answer else {
            return Err(format!("leases: a healthcheck returned {answer:?}"));
        };
        let last = environment.last_healthcheck;
        let is_open = last.is_some_and(|last| last.answered_at.is_none());
        if is_open && !known.is_healthcheck_open {
            if let Some(before) = known.healthcheck.replace(work.clone()) {
                self.subjects.remove(before.as_str());
            }
            known.is_healthcheck_open = true;
            self.subjects.insert(work.as_str().into(), Subject::queued(id.clone(), work.clone()));
            self.works.insert(work.clone(), work.as_str().into());
            return Ok(());
        }
        ensure(last.is_some() && is_open == known.is_healthcheck_open, || {
            format!("leases: the healthcheck of {id} is {last:?}")
        })
    }

    fn created(&mut self, op: &StoreOp, answer: &Result<Answer, StoreError>) -> Check {
        let StoreOp::CreateSession { owner, environment, id, title, key, .. } = op else {
            return Ok(());
        };
        let key = key.as_ref().map(|key| (owner.clone(), key.clone()));
        let made = key.as_ref().and_then(|key| self.made_by.get(key));
        let made = made.and_then(|made| Some((made, self.sessions.get(made)?)));
        let given = match answer {
            Ok(Answer::Session(session)) => Some(&session.id),
            _ => None,
        };
        if let Some((made, known)) = made {
            if known.is_code || !known.is_asked_for(environment, title.as_deref()) {
                return ensure(*answer == Err(StoreError::KeyReused), || {
                    format!("once: {key:?} of another request returned {answer:?}")
                });
            }
            return ensure(given == Some(made), || {
                format!("once: {key:?} created {made:?}, but got {given:?}")
            });
        }
        let known = self.environments.get(environment);
        let is_own = known.is_some_and(|known| known.owner == *owner && known.made_for.is_none());
        let has_room = self.active(environment) < self.policy.max_sessions
            && self.queued_in(environment) < self.policy.max_queued;
        ensure(given == (is_own && has_room).then_some(id), || {
            format!("limits: room for a session: {has_room}, but got {answer:?}")
        })?;
        if let (Some(key), Some(_)) = (key, given) {
            self.made_by.insert(key, id.clone());
        }
        Ok(())
    }

    /// The session of a link, if that is its current link.
    pub(super) fn linked(
        &mut self,
        session: &SessionId,
        link: u64,
        answer: &Result<Answer, StoreError>,
    ) -> Result<Option<&mut SessionModel>, alloc::string::String> {
        let error = match self.sessions.get(session) {
            None => StoreError::SessionUnknown,
            Some(known) if known.link != link => {
                let is_denied = matches!(answer, Err(StoreError::LinkReplaced { .. }));
                ensure(is_denied, || format!("link: a closed link returned {answer:?}"))?;
                return Ok(None);
            }
            Some(_) => return Ok(self.sessions.get_mut(session)),
        };
        ensure(*answer == Err(error), || format!("link: a closed link returned {answer:?}"))?;
        Ok(None)
    }

    fn resumed(
        &mut self,
        session: &SessionId,
        link: u64,
        (received, from): (u64, u64),
        outcome: &Committed,
    ) -> Check {
        let answer = &outcome.answer;
        let Some(known) = self.linked(session, link, answer)? else { return Ok(()) };
        if known.state == SessionState::Ended {
            return ensure(*answer == Err(StoreError::SessionEnded), || {
                format!("link: {answer:?}")
            });
        }
        let until = known.inbound.len() as u64;
        if received > until {
            return ensure(*answer == Err(StoreError::NeverSent), || format!("link: {answer:?}"));
        }
        let is_lost = from > known.received;
        known.acked = known.acked.max(received);
        known.received = known.received.max(from);
        let (received, from, is_stopping) = (known.received, known.acked, known.is_stopping);
        let expected = Answer::Resumed { received, from, until, is_stopping };
        ensure(answer.as_ref() == Ok(&expected), || {
            format!("link: got {answer:?}, expected {expected:?}")
        })?;
        let added = added(session, outcome);
        let says_so = added.iter().any(|entry| entry.line.as_str().contains("lines_lost"));
        ensure(says_so == is_lost, || {
            format!("link: lines were lost: {is_lost}, but the log says otherwise")
        })
    }

    pub(super) fn attached(
        &mut self,
        session: &SessionId,
        fence: u64,
        agent_run: Option<&str>,
        outcome: &Committed,
    ) -> Check {
        let answer = &outcome.answer;
        let Some(known) = self.sessions.get_mut(session) else { return self.check_unknown(answer) };
        let counts = self.subjects.get(session.as_str()).map_or(0, |subject| subject.fence);
        if known.state == SessionState::Ended {
            return ensure(*answer == Err(StoreError::SessionEnded), || {
                format!("link: {answer:?}")
            });
        }
        if fence != counts {
            return ensure(*answer == Err(StoreError::LeaseLost), || format!("link: {answer:?}"));
        }
        let Ok(Answer::Attached { link, received, from, owner, declared }) = answer else {
            return Err(format!("link: the lease holder got {answer:?}"));
        };
        known.check_told(agent_run, *from, declared.as_ref())?;
        known.check_run(agent_run, &added(session, outcome))?;
        let is_newer = *link > known.link;
        known.link = *link;
        let is_so = (*received, *from, owner) == (known.received, known.acked, &known.owner);
        ensure(is_newer && is_so, || format!("link: got {answer:?} after link {}", known.link))
    }

    fn listed(&mut self, owner: &AccountId, answer: &Result<Answer, StoreError>) -> Check {
        let Ok(Answer::Overview { environments, sessions }) = answer else {
            return Err(format!("owners: a list returned {answer:?}"));
        };
        let own = self.environments.iter().filter(|(_, known)| known.owner == *owner);
        let is_own = environments.iter().map(|found| &found.id).eq(own.map(|(id, _)| id));
        ensure(is_own, || format!("owners: the list is not the environments of {owner:?}"))?;
        for environment in environments {
            let known = self.environments.get(&environment.id);
            let is_draining = known.is_some_and(|known| known.is_draining);
            ensure(environment.is_draining == is_draining, || {
                format!("draining: {} is said to drain: {}", environment.id, !is_draining)
            })?;
        }
        for session in sessions {
            let known = self.environments.get(&session.environment);
            let is_draining = known.is_some_and(|known| known.is_draining);
            ensure(
                session.state == SessionState::Ended || session.is_worker_draining == is_draining,
                || format!("draining: {} does not know what its worker does", session.id),
            )?;
        }
        self.check_list(owner, sessions, self.policy.listed_sessions, |_, _| true)
    }

    fn sessions_listed(&mut self, op: &StoreOp, answer: &Result<Answer, StoreError>) -> Check {
        let StoreOp::ListSessions { owner, environment, before, limit } = op else {
            return Ok(());
        };
        let before = before.as_ref().map(|id| self.own(owner, id).map(|known| known.ordinal));
        if before == Some(None) {
            return self.check_unknown(answer);
        }
        let Ok(Answer::Sessions(sessions)) = answer else {
            return Err(format!("owners: a list returned {answer:?}"));
        };
        let before = before.flatten().unwrap_or(u64::MAX);
        let limit = self.policy.listed_sessions.min(*limit);
        self.check_list(owner, sessions, limit, |ordinal, found| {
            ordinal < before && environment.as_ref().is_none_or(|id| found == id)
        })
    }

    fn check_list(
        &mut self,
        owner: &AccountId,
        sessions: &[Session],
        limit: usize,
        is_listed: impl Fn(u64, &EnvironmentId) -> bool,
    ) -> Check {
        let kept = self.kept_of(owner).into_iter();
        let kept = kept.filter(|(_, known)| is_listed(known.ordinal, &known.environment));
        let expected: Vec<_> = kept.map(|(id, _)| id).take(limit).collect();
        let listed: Vec<_> = sessions.iter().map(|session| &session.id).collect();
        ensure(listed == expected, || format!("owners: got {listed:?}, expected {expected:?}"))?;
        sessions.iter().try_for_each(|session| self.check_session(session))
    }
}

/// What an operation added to the log of a session.
pub(super) fn added<'o>(session: &SessionId, outcome: &'o Committed) -> Vec<&'o Entry> {
    let entries = outcome.changes.entries.iter().filter(|(id, _)| id == session);
    entries.map(|(_, entry)| entry).collect()
}
