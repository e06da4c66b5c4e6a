//! What a viewer is told when it is made.

use alloc::string::String;
use core::time::Duration;

use crate::auth::Credential;
use crate::base::id::SessionId;
use crate::engine::backoff::{BackoffConfig, Track};
use crate::wire::url::BaseUrl;

/// A viewer's configuration.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// The relay.
    pub relay: BaseUrl,
    /// The session.
    pub session: SessionId,
    /// What opens it, and where a newer one is found.
    pub credential: Credential,
    /// The organization for which it is looked at, if that has to be said.
    pub organization: Option<String>,
    /// Where in its log to begin.
    pub start: Start,
    /// Whether it was created with a first message, whose answer is waited for.
    pub has_initial_prompt: bool,
    /// Whether this is only a window: it interrupts nothing, and waits for nothing.
    pub viewer_only: bool,
    /// Whether it ends, with success, once all of a session that has ended was seen.
    pub ends_with_session: bool,
    /// Who answers for hooks and MCP servers, if this viewer may declare any (M-6): 16 to 128 letters,
    /// digits, `-` or `_`, drawn at random and told to nobody else.
    pub client: Option<String>,
    /// Pauses between attempts, and when it gives up.
    pub backoff: BackoffConfig,
    /// A number that was not used before: ids of messages are drawn from it.
    pub seed: u64,
}

/// Where in a session's log a viewer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the first event that is still kept.
    #[default]
    Beginning,
    /// After this event.
    After(u64),
    /// With what happens from now on, and with the questions that are open.
    Now,
    /// With this many of the last events, or with the oldest question that is open if that is before
    /// them.
    Recent(u64),
}

impl RemoteConfig {
    /// A viewer that sees all of the session and never gives up.
    pub const fn new(
        relay: BaseUrl,
        session: SessionId,
        credential: Credential,
        seed: u64,
    ) -> Self {
        let pause = Track {
            initial: Duration::from_millis(500),
            cap: Duration::from_secs(30),
            give_up: None,
        };
        Self {
            relay,
            session,
            credential,
            organization: None,
            start: Start::Beginning,
            has_initial_prompt: false,
            viewer_only: false,
            ends_with_session: false,
            client: None,
            backoff: BackoffConfig { connection: pause, general: pause },
            seed,
        }
    }
}
