//! The worker's calls to its relay.

use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::secret::Secret;
use crate::client::worker_api::{self, EnvironmentKey, LeaseKey};
use crate::contract::action::Request;
use crate::wire::url::BaseUrl;
use crate::wire::worker_api::work::StopWork;

use super::dispatch::Lease;

pub(super) use crate::client::worker_api::{environments, health, register};
pub(super) use crate::client::{RequestError, answer};

/// A registered environment: where it is and what opens it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) id: EnvironmentId,
    pub(super) secret: Secret,
}

impl Environment {
    const fn key(&self) -> EnvironmentKey<'_> {
        EnvironmentKey { id: &self.id, secret: &self.secret }
    }
}

impl Lease {
    const fn key(&self) -> LeaseKey<'_> {
        LeaseKey {
            environment: &self.environment.id,
            work: &self.work,
            token: &self.token,
            fence: self.fence,
        }
    }
}

pub(super) fn poll(relay: &BaseUrl, environment: &Environment, key: &str) -> Request {
    worker_api::poll(relay, environment.key(), key)
}

pub(super) fn ack(relay: &BaseUrl, lease: &Lease) -> Request {
    worker_api::ack(relay, lease.key())
}

pub(super) fn heartbeat(relay: &BaseUrl, lease: &Lease) -> Request {
    worker_api::heartbeat(relay, lease.key())
}

pub(super) fn stop_work(
    relay: &BaseUrl,
    environment: &Environment,
    work: &WorkId,
    body: &StopWork,
) -> Request {
    worker_api::stop_work(relay, environment.key(), work, body)
}

pub(super) fn redispatch(
    relay: &BaseUrl,
    environment: &Environment,
    session: &SessionId,
) -> Request {
    worker_api::redispatch(relay, environment.key(), session)
}

pub(super) fn deregister(relay: &BaseUrl, environment: &Environment) -> Request {
    worker_api::deregister(relay, environment.key())
}
