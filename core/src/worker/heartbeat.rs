//! Stage 5: keeping the leases of running sessions (E-5, W-8).

use alloc::string::{String, ToString};
use core::time::Duration;

use super::cx::{Cx, Purpose, Timer};
use super::lease::Lease;
use crate::base::id::SessionId;
use crate::client::{ApiError, answer, worker_api};
use crate::contract::event::Event;
use crate::wire::worker_api::work::{Heartbeat, LeaseState};

/// Heartbeats per lease length: two may be lost.
const PER_LEASE: u32 = 3;

/// What a heartbeat's answer says about its lease.
pub(super) enum Pulse {
    Kept,
    /// No meaningful answer. The next heartbeat is due in time to keep the lease.
    Unknown,
    /// A person asked for the session to end.
    Stopping,
    /// The token is no longer good.
    TokenRefused,
    /// A newer lease of the session is in force; why.
    Superseded(String),
    /// The session is no longer ours; why.
    Lost(String),
}

/// The first one comes at a random point in the interval, so that sessions that started together
/// do not send their heartbeats together.
pub(super) fn start(cx: &mut Cx<'_>, session: &SessionId, lease: &Lease) {
    let interval = lease.length / PER_LEASE;
    let micros = u64::try_from(interval.as_micros()).unwrap_or(u64::MAX);
    let first = Duration::from_micros(cx.rng.u64(micros / 2..=micros));
    cx.set_timer(Timer::Heartbeat(session.clone()), first);
}

pub(super) fn beat(cx: &mut Cx<'_>, session: &SessionId, lease: &Lease) {
    let request = worker_api::heartbeat(&cx.config.relay, lease.key());
    cx.request(Purpose::Heartbeat(session.clone(), lease.fence), request);
    cx.set_timer(Timer::Heartbeat(session.clone()), lease.length / PER_LEASE);
}

pub(super) fn read(event: Event) -> Pulse {
    match answer::<Heartbeat>(event) {
        Ok(Heartbeat { lease_extended: false, .. }) => {
            Pulse::Superseded(String::from("its lease was given to another worker"))
        }
        Ok(Heartbeat { state: LeaseState::Stopping, .. }) => Pulse::Stopping,
        Ok(_) => Pulse::Kept,
        Err(error) if error.track().is_some() => Pulse::Unknown,
        Err(error) if error.is_unauthorized() => Pulse::TokenRefused,
        Err(error) if error.refusal().is_some_and(ApiError::is_conflict) => {
            Pulse::Superseded(error.to_string())
        }
        Err(error) => Pulse::Lost(error.to_string()),
    }
}
