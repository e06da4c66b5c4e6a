//! A connection that no runtime opens, and how its client behaves.

use std::net::IpAddr;
use std::time::Duration;

use footbridge_core::contract::action::Method;

/// How the client of a connection behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    /// As its runtime does.
    Good,
    /// A stranger's: it sends a whole request, and reads the answer.
    Bold,
    /// It does not send all of its request's head.
    HalfHead,
    /// It does not send the body that it has announced.
    HalfBody,
    /// It does not read the answer.
    Mute,
}

/// A connection that a stranger opens, and what it sends on it.
#[derive(Clone, Debug)]
pub(crate) struct Knock {
    pub(crate) peer: IpAddr,
    pub(crate) manners: Manners,
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) token: Option<String>,
    /// How long a body it announces.
    pub(crate) body: Option<u64>,
    /// When it hangs up.
    pub(crate) stays: Duration,
}
