//! Whose work an item is, and under which lease: what every call about it has to name.

use core::time::Duration;

use crate::base::id::{EnvironmentId, WorkId};
use crate::base::secret::Secret;
use crate::client::worker_api::{EnvironmentKey, LeaseKey};
use crate::wire::worker_api::work::Interrupted;

/// A registered environment and its secret.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    pub(super) id: EnvironmentId,
    pub(super) secret: Secret,
}

impl Environment {
    /// The form that requests take it in.
    pub(super) const fn key(&self) -> EnvironmentKey<'_> {
        EnvironmentKey { id: &self.id, secret: &self.secret }
    }

    /// Adopts the secret of a later registration of the same environment. Returns whether it is a
    /// new one.
    pub(super) fn renew(&mut self, later: &Self) -> bool {
        let is_new = self.id == later.id && self.secret.reveal() != later.secret.reveal();
        if is_new {
            self.secret = later.secret.clone();
        }
        is_new
    }
}

/// The lease of one work item.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) work: WorkId,
    /// The environment the item was given to; a new registration does not change it.
    pub(super) environment: Environment,
    pub(super) token: Secret,
    pub(super) fence: u64,
    pub(super) length: Duration,
    /// What the session's agent was at under the one before.
    pub(super) interrupted: Interrupted,
}

impl Lease {
    /// The form that requests take it in.
    pub(super) const fn key(&self) -> LeaseKey<'_> {
        LeaseKey {
            environment: &self.environment.id,
            work: &self.work,
            token: &self.token,
            fence: self.fence,
        }
    }
}
