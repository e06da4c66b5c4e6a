//! What is asked of the provider, and what its answer is for.

use alloc::string::String;
use core::net::IpAddr;

use super::ticket::Ticket;
use crate::base::id::OpId;
use crate::base::secret::Secret;

/// A question to the provider, and what the answer is for.
#[derive(Clone, Debug)]
pub(in crate::relay) struct Call {
    /// The browser's request.
    pub(super) op: OpId,
    /// Its address, as far as it counts.
    pub(super) client: IpAddr,
    pub(super) step: Step,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// What it says about itself.
    Discover(Then),
    /// Who it is that has signed in there.
    Redeem(Back),
    /// Its keys, for a token that was signed by another one than is known.
    Keys(Back, Secret),
}

#[derive(Clone, Debug)]
pub(super) enum Then {
    Begin(Back),
    Redeem(Back, Secret),
}

/// A sign-in, and under what address the browser knows this relay.
#[derive(Clone, Debug)]
pub(super) struct Back {
    pub(super) ticket: Ticket,
    pub(super) base: String,
}

/// A sign-in that has succeeded, and is being written down.
#[derive(Clone, Debug)]
pub(in crate::relay) struct SigningIn(pub(super) Back);
