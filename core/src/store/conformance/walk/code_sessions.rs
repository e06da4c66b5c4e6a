//! Sessions of version 2 (C-1, C-2): made by programs, or taken up by the worker of an item.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;

use super::{Walk, id};
use crate::base::id::{DeviceId, EnvironmentId, SessionId};
use crate::store::conformance::model::Model;
use crate::store::{StoreOp, ended};
use crate::wire::session::{ResultStatus, SessionState};
use crate::wire::worker_api::environment::{Metadata, Registration};

impl Walk {
    pub(super) fn create_code_session(&mut self) -> StoreOp {
        let registration = Registration {
            machine_name: "a program".to_owned(),
            directory: "/".to_owned(),
            branch: None,
            git_repo_url: None,
            max_sessions: 1,
            metadata: Metadata::default(),
            environment_id: None,
            worker_id: None,
            worker_run: None,
        };
        StoreOp::CreateCodeSession {
            owner: self.account(),
            environment: id(EnvironmentId::new(&self.fresh("env"))),
            id: id(SessionId::new(&self.fresh("cse"))),
            title: self.one_in(2).then(|| "a title".to_owned()),
            key: self.key(),
            registration: Box::new(registration),
            device: self.device(),
        }
    }

    /// What is asked about a session of version 2, usually one that goes on, under its newest link.
    pub(super) fn code_session(&mut self, model: &Model) -> StoreOp {
        let code = model.sessions.iter().filter(|(_, known)| known.is_code);
        let code = code.filter(|(_, known)| known.state != SessionState::Ended);
        let code = self.pick(code.map(|(id, known)| (known.owner.clone(), id.clone())));
        let rare = self.one_in(5);
        let (owner, session) = code.filter(|_| !rare).unwrap_or_else(|| self.live(model));
        let known = model.sessions.get(&session);
        let (newest, until, acked, stored) = known.map_or((0, 0, 0, 0), |known| {
            (known.link, known.inbound.len() as u64, known.acked, known.received)
        });
        let link = if self.one_in(12) { newest.saturating_sub(1) } else { newest };
        match self.rng.u32(..9) {
            0..3 => {
                let agent_run = (!self.one_in(6)).then(|| format!("run_{}", self.rng.u32(..3)));
                StoreOp::Bridge { owner, device: self.device(), session, agent_run }
            }
            3..6 => {
                let received = if self.one_in(30) {
                    until + 1
                } else {
                    self.rng.u64(acked.min(until)..=until)
                };
                let received = (!self.one_in(3)).then_some(received);
                let lost = if self.one_in(8) { self.rng.u64(1..4) } else { 0 };
                StoreOp::OpenStream { session, link, received, from: stored + lost, last: None }
            }
            _ => {
                let is_working = self.one_in(2).then(|| self.rng.bool());
                let is_over = self.one_in(6) && known.is_none_or(|known| known.is_code);
                let result =
                    is_over.then(|| Box::new(ended(ResultStatus::Completed, "it is done")));
                StoreOp::NoteWorker { session, link, is_working, result }
            }
        }
    }

    /// A device, if it is one that asks.
    fn device(&mut self) -> Option<DeviceId> {
        self.one_in(3).then(|| id(DeviceId::new(&self.one_of("device", 2))))
    }
}
