//! Requests of the Environments API (E-1 to E-7).

use alloc::format;
use core::time::Duration;

use super::request::{Empty, as_stream, get, post};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::limits::POLL_SLACK;
use crate::base::secret::Secret;
use crate::contract::action::Request;
use crate::wire::url::BaseUrl;
use crate::wire::worker_api::environment::Registration;
use crate::wire::worker_api::work::{Fence, StopWork};
use crate::wire::worktree::WorktreeNote;

/// A registered environment: its relay and its credential.
#[derive(Clone, Copy, Debug)]
pub struct EnvironmentKey<'a> {
    /// Its id.
    pub id: &'a EnvironmentId,
    /// Its credential.
    pub secret: &'a Secret,
}

/// One lease of a work item: everything that a call about it has to name.
#[derive(Clone, Copy, Debug)]
pub struct LeaseKey<'a> {
    /// The environment that the item was given to.
    pub environment: &'a EnvironmentId,
    /// The item.
    pub work: &'a WorkId,
    /// The session's own token.
    pub token: &'a Secret,
    /// Which lease of the item it is.
    pub fence: u64,
}

/// What a claim is made under: the same key gives the same item again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimKey {
    /// Of one item.
    Single(u128),
    /// Of the item of this number, among those that come under one key.
    Numbered(u128, u64),
}

/// `POST /v1/environments/bridge` (E-1).
pub fn register(relay: &BaseUrl, token: &Secret, body: &Registration) -> Request {
    post(relay, "/v1/environments/bridge", Some(token), body)
}

/// `GET …/work/poll` (E-2), held for as long as `wait`, which is in whole seconds. With the key, the
/// relay repeats a lost answer instead of moving on.
pub fn poll(
    relay: &BaseUrl,
    environment: EnvironmentKey<'_>,
    key: ClaimKey,
    wait: Duration,
) -> Request {
    let path = format!("/v1/environments/{}/work/poll", environment.id);
    let mut request = get(relay, &path, Some(environment.secret));
    let preference = Secret::new(format!("wait={}", wait.as_secs()));
    let key = Secret::new(match key {
        ClaimKey::Single(key) => format!("{key:032x}"),
        ClaimKey::Numbered(key, number) => format!("{key:032x}-{number}"),
    });
    request.headers.extend([("prefer", preference), ("idempotency-key", key)]);
    request.timeout = wait + POLL_SLACK;
    request
}

/// `GET …/work/stream` (E-2), for as long as `wait` and at most `room` items: those after the number in
/// `series`, which were or will be given under its key.
pub fn work_stream(
    relay: &BaseUrl,
    environment: EnvironmentKey<'_>,
    (key, after): (u128, u64),
    room: u64,
    wait: Duration,
) -> Request {
    let path = format!("/v1/environments/{}/work/stream?room={room}", environment.id);
    let mut request = get(relay, &path, Some(environment.secret));
    as_stream(&mut request, after);
    let preference = Secret::new(format!("wait={}", wait.as_secs()));
    request
        .headers
        .extend([("prefer", preference), ("idempotency-key", Secret::new(format!("{key:032x}")))]);
    request
}

/// `POST …/work/{work}/ack` (E-4).
pub fn ack(relay: &BaseUrl, lease: LeaseKey<'_>) -> Request {
    about_lease(relay, lease, "ack")
}

/// `POST …/work/{work}/heartbeat` (E-5).
pub fn heartbeat(relay: &BaseUrl, lease: LeaseKey<'_>) -> Request {
    about_lease(relay, lease, "heartbeat")
}

fn about_lease(relay: &BaseUrl, lease: LeaseKey<'_>, verb: &str) -> Request {
    let path = format!("/v1/environments/{}/work/{}/{verb}", lease.environment, lease.work);
    post(relay, &path, Some(lease.token), &Fence { fence: lease.fence })
}

/// `POST …/work/{work}/stop` (E-6).
pub fn stop_work(
    relay: &BaseUrl,
    environment: EnvironmentKey<'_>,
    work: &WorkId,
    body: &StopWork,
) -> Request {
    let path = format!("/v1/environments/{}/work/{work}/stop", environment.id);
    post(relay, &path, Some(environment.secret), body)
}

/// `POST …/worktrees` (W-5).
pub fn note_worktree(
    relay: &BaseUrl,
    environment: EnvironmentKey<'_>,
    note: &WorktreeNote,
) -> Request {
    let path = format!("/v1/environments/{}/worktrees", environment.id);
    post(relay, &path, Some(environment.secret), note)
}

/// `POST …/drain` (W-9).
pub fn drain(relay: &BaseUrl, environment: EnvironmentKey<'_>) -> Request {
    let path = format!("/v1/environments/{}/drain", environment.id);
    post(relay, &path, Some(environment.secret), &Empty {})
}

/// `POST …/sessions/{session}/redispatch` (W-8).
pub fn redispatch(
    relay: &BaseUrl,
    environment: EnvironmentKey<'_>,
    session: &SessionId,
) -> Request {
    let path = format!("/v1/environments/{}/sessions/{session}/redispatch", environment.id);
    post(relay, &path, Some(environment.secret), &Empty {})
}

/// `POST /v1/environments/{id}/stop` (E-7).
pub fn deregister(relay: &BaseUrl, environment: EnvironmentKey<'_>) -> Request {
    let path = format!("/v1/environments/{}/stop", environment.id);
    post(relay, &path, Some(environment.secret), &Empty {})
}

/// A poll for an environment that does not exist, to see whether one reaches the relay.
pub fn try_poll(relay: &BaseUrl, environment: &EnvironmentId) -> Request {
    get(relay, &format!("/v1/environments/{environment}/work/poll"), None)
}

/// The same of a call with a body.
pub fn try_call(relay: &BaseUrl, environment: &EnvironmentId, work: &WorkId) -> Request {
    let path = format!("/v1/environments/{environment}/work/{work}/heartbeat");
    post(relay, &path, None, &Empty {})
}

/// The same of a stream of events, in version 2.
pub fn try_stream(relay: &BaseUrl, session: &SessionId) -> Request {
    get(relay, &format!("/v1/code/sessions/{session}/worker/events/stream"), None)
}

/// `GET /health`, which needs no credential.
pub fn health(relay: &BaseUrl) -> Request {
    get(relay, "/health", None)
}

/// `GET /v1/environments`, with the person's access token.
pub fn environments(relay: &BaseUrl, token: &Secret) -> Request {
    get(relay, "/v1/environments", Some(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::POLL_WAIT;
    use alloc::vec::Vec;

    #[test]
    fn a_poll_carries_its_claim_key_and_outlasts_the_wait_it_requests() {
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let id = EnvironmentId::new("env_1").expect("valid");
        let environment = EnvironmentKey { id: &id, secret: &Secret::from("s") };
        let request = poll(&relay, environment, ClaimKey::Single(0xabc), POLL_WAIT);
        assert_eq!(request.url, "https://relay.example/v1/environments/env_1/work/poll");
        let headers: Vec<_> = request.headers.iter().map(|(n, v)| (*n, v.reveal())).collect();
        assert_eq!(headers[0], ("authorization", "Bearer s"));
        assert!(headers.contains(&("prefer", "wait=50")));
        assert!(headers.contains(&("idempotency-key", "00000000000000000000000000000abc")));
        assert!(request.timeout > POLL_WAIT);
    }

    #[test]
    fn health_needs_no_credential() {
        let relay = BaseUrl::parse("https://relay.example").expect("a URL");
        let request = health(&relay);
        assert!(request.headers.iter().all(|(name, _)| *name != "authorization"));
    }
}
