//! What a relay knows of its provider.

use alloc::vec::Vec;

use super::keys::Key;
use super::provider::Provider;
use crate::base::time::Instant;

/// What is known of the provider, and how many sign-ins ask it something.
#[derive(Default)]
pub(in crate::relay) struct Oidc {
    pub(super) provider: Option<(Instant, Provider)>,
    pub(super) keys: Option<(Instant, Vec<Key>)>,
    pub(super) under_way: usize,
}
