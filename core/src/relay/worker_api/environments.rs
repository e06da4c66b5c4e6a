//! Environments: registered, asked whether they are there (E-1, W-11).

use alloc::boxed::Box;
use alloc::format;

use crate::base::id::{EnvironmentId, OpId};
use crate::base::limits::{MAX_NAME_BYTES, MAX_PATH_BYTES};
use crate::contract::action::Response;
use crate::contract::event::IncomingRequest;
use crate::relay::exchange::{Pending, body, bounded, idempotency_key};
use crate::relay::http::response::{self, ApiError};
use crate::relay::{Relay, RelayNotice};
use crate::store::{AccountId, Environment, StoreOp};
use crate::wire::environment::{Registered, Registration};

impl Relay {
    pub(in crate::relay) fn register(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        owner: AccountId,
    ) -> Result<(), ApiError> {
        let registration: Box<Registration> = Box::new(body(asked)?);
        check(&registration)?;
        let id = EnvironmentId::new(&format!("env_{}", self.authority.mint.draw()));
        let id = id.map_err(|bad| ApiError::invalid(&format!("{bad}")))?;
        self.store(
            Pending::Register { op },
            StoreOp::RegisterEnvironment { owner, id, registration },
        );
        Ok(())
    }

    pub(in crate::relay) fn ask_healthcheck(
        &mut self,
        op: OpId,
        asked: &IncomingRequest,
        owner: AccountId,
        id: EnvironmentId,
    ) -> Result<(), ApiError> {
        let key = idempotency_key(asked)?;
        let work = self.draw_work_id()?;
        let call = StoreOp::AskHealthcheck { owner, id, work, key };
        self.store(Pending::Environment { op, status: 202 }, call);
        Ok(())
    }

    pub(in crate::relay) fn registered(&mut self, environment: &Environment) -> Response {
        let id = &environment.id;
        let environment_secret = self.authority.mint.environment_secret(id);
        self.fx.notify(RelayNotice::EnvironmentRegistered {
            environment: id.clone(),
            machine_name: environment.registration.machine_name.clone(),
        });
        response::json(200, &Registered { environment_id: id.clone(), environment_secret })
    }
}

fn check(registration: &Registration) -> Result<(), ApiError> {
    let Registration { machine_name, directory, branch, git_repo_url, max_sessions, .. } =
        registration;
    bounded("machine_name", machine_name, MAX_NAME_BYTES)?;
    bounded("directory", directory, MAX_PATH_BYTES)?;
    bounded("branch", branch.as_deref().unwrap_or_default(), MAX_NAME_BYTES)?;
    bounded("git_repo_url", git_repo_url.as_deref().unwrap_or_default(), MAX_PATH_BYTES)?;
    bounded("metadata.worker_type", &registration.metadata.worker_type, MAX_NAME_BYTES)?;
    if *max_sessions == 0 {
        return Err(ApiError::invalid("max_sessions must be at least 1"));
    }
    Ok(())
}
