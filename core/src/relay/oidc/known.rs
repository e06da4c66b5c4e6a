//! What a relay knows of its provider, and who is asking it something.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::call::Call;
use super::keys::Key;
use super::provider::Provider;
use crate::base::limits::{MAX_OIDC_REQUESTS, MAX_OIDC_REQUESTS_PER_ADDRESS};
use crate::base::time::Instant;

/// What is known of the provider, and which sign-ins ask it something.
#[derive(Default)]
pub(in crate::relay) struct Oidc {
    pub(super) provider: Option<(Instant, Provider)>,
    pub(super) keys: Option<(Instant, Vec<Key>)>,
    pub(super) places: Places,
    /// While one asks what the provider says about itself: who waits for the same answer.
    pub(super) discovery: Option<Vec<Call>>,
}

/// How many sign-ins ask the provider something, by address.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_address: BTreeMap<IpAddr, usize>,
    in_all: usize,
}

impl Places {
    /// Whether there was one for this address, which then has it.
    pub(super) fn take(&mut self, client: IpAddr) -> bool {
        let taken = self.by_address.get(&client).copied().unwrap_or_default();
        let is_free = self.in_all < MAX_OIDC_REQUESTS && taken < MAX_OIDC_REQUESTS_PER_ADDRESS;
        if is_free {
            self.by_address.insert(client, taken + 1);
            self.in_all += 1;
        }
        is_free
    }

    pub(super) fn free(&mut self, client: IpAddr) {
        let Some(taken) = self.by_address.get_mut(&client) else {
            debug_assert!(false, "more ended than began");
            return;
        };
        *taken -= 1;
        self.in_all -= 1;
        if *taken == 0 {
            self.by_address.remove(&client);
        }
    }
}
