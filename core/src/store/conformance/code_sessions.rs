//! Sessions of version 2: made with an environment of their own, bridged, and what their worker says
//! (C-1, C-2).

use alloc::format;

use super::calls::added;
use super::model::{EnvironmentModel, Model};
use super::{Check, ensure};
use crate::base::id::SessionId;
use crate::store::{Answer, Committed, StoreError, StoreOp};
use crate::wire::session::SessionState;

impl Model {
    pub(super) fn code_created(
        &mut self,
        op: &StoreOp,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let StoreOp::CreateCodeSession { owner, environment, id, title, key, device, .. } = op
        else {
            return Ok(());
        };
        let given = match answer {
            Ok(Answer::Session(session)) => Some(&session.id),
            _ => None,
        };
        let key = key.as_ref().map(|key| (owner.clone(), key.clone()));
        let made = key.as_ref().and_then(|key| self.made_by.get(key));
        let made = made.and_then(|made| Some((made, self.sessions.get(made)?)));
        if let Some((made, known)) = made {
            let is_same = known.is_code && known.is_asked_for(&known.environment, title.as_deref());
            if !is_same {
                return ensure(*answer == Err(StoreError::KeyReused), || {
                    format!("once: {key:?} of another request returned {answer:?}")
                });
            }
            return ensure(given == Some(made), || {
                format!("once: {key:?} created {made:?}, but got {given:?}")
            });
        }
        let own = self.environments.values().filter(|known| known.owner == *owner).count();
        let has_room = self.environments.len() < self.policy.max_environments
            && own < self.policy.environments_per_person;
        ensure(given == has_room.then_some(id), || {
            format!("limits: room for an environment: {has_room}, but got {answer:?}")
        })?;
        if given.is_none() {
            return Ok(());
        }
        let model = EnvironmentModel {
            is_draining: false,
            owner: owner.clone(),
            worker_id: None,
            worker_run: None,
            heard: self.now,
            created_at: self.at.wall,
            named_claims: 0,
            healthcheck: None,
            is_healthcheck_open: false,
            made_for: Some((id.clone(), device.clone())),
        };
        self.environments.insert(environment.clone(), model);
        if let Some(key) = key {
            self.made_by.insert(key, id.clone());
        }
        Ok(())
    }

    pub(super) fn bridged(&mut self, op: &StoreOp, outcome: &Committed) -> Check {
        let StoreOp::Bridge { owner, device, session, agent_run } = op else { return Ok(()) };
        let answer = &outcome.answer;
        let known = self.sessions.get(session).filter(|known| known.owner == *owner);
        let Some(known) = known else { return self.check_unknown(answer) };
        let denied = if known.state == SessionState::Ended {
            Some(StoreError::SessionEnded)
        } else if !known.is_code {
            Some(StoreError::LeaseLost)
        } else {
            let made_for = self.environments.get(&known.environment);
            let made_for = made_for.and_then(|known| known.made_for.as_ref());
            let is_others = device.is_some()
                && made_for.is_none_or(|(_, made_by)| made_by.as_ref() != device.as_ref());
            is_others.then_some(StoreError::SessionUnknown)
        };
        if let Some(denied) = denied {
            return ensure(*answer == Err(denied.clone()), || {
                format!("epochs: expected {denied:?}, got {answer:?}")
            });
        }
        self.attached(session, 0, agent_run.as_deref(), outcome)
    }

    pub(super) fn stream_opened(
        &mut self,
        session: &SessionId,
        link: u64,
        (received, holds_after): (Option<u64>, u64),
        outcome: &Committed,
    ) -> Check {
        let answer = &outcome.answer;
        let Some(known) = self.linked(session, link, answer)? else { return Ok(()) };
        if known.state == SessionState::Ended {
            return ensure(*answer == Err(StoreError::SessionEnded), || {
                format!("epochs: {answer:?}")
            });
        }
        let count = known.inbound.len() as u64;
        let taken = received.unwrap_or(known.acked);
        if taken > count {
            return ensure(*answer == Err(StoreError::NeverSent), || format!("epochs: {answer:?}"));
        }
        let is_lost = holds_after > known.received;
        known.acked = known.acked.max(taken);
        known.received = known.received.max(holds_after);
        let Ok(Answer::StreamOpened {
            received,
            from,
            until,
            is_stopping,
            owner,
            environment,
            declared,
            ..
        }) = answer
        else {
            return Err(format!("epochs: the newest link got {answer:?}"));
        };
        let told = (*received, *from, *until, *is_stopping);
        let expected = (known.received, known.acked, count, known.is_stopping);
        ensure(told == expected, || format!("epochs: got {told:?}, expected {expected:?}"))?;
        let is_own = *owner == known.owner && *environment == known.environment;
        ensure(is_own, || format!("owners: got {owner:?} and {environment} for {session}"))?;
        known.callbacks.check_declared(declared.as_ref())?;
        let added = added(session, outcome);
        let says_so = added.iter().any(|entry| entry.line.as_str().contains("lines_lost"));
        ensure(says_so == is_lost, || {
            format!("link: lines were lost: {is_lost}, but the log says otherwise")
        })
    }

    pub(super) fn worker_noted(
        &mut self,
        session: &SessionId,
        link: u64,
        ends: bool,
        answer: &Result<Answer, StoreError>,
    ) -> Check {
        let Some(known) = self.linked(session, link, answer)? else { return Ok(()) };
        let expected = match known.state {
            SessionState::Ended => Err(StoreError::SessionEnded),
            _ if ends => Ok(Answer::Done),
            _ => Ok(Answer::Renewed { is_stopping: known.is_stopping }),
        };
        ensure(*answer == expected, || format!("epochs: got {answer:?}, expected {expected:?}"))
    }
}
