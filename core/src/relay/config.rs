//! A relay's configuration.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::oidc::config::{OidcConfig, OidcConfigError};
use crate::auth::is_worker_credential;
use crate::base::limits::{self, MIN_TOKEN_BYTES, MIN_TOKEN_PAIRS};
use crate::base::secret::Secret;
use crate::contract::http::Reach;
use crate::store::StorePolicy;
use crate::wire::device::Scopes;
use crate::wire::url::{BaseUrl, UrlError};

/// Everything a relay is started with.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: String,
    /// The URL that workers reach it at, if it is behind a proxy; without it, a worker is given the
    /// one it sent its request to.
    pub public_url: Option<String>,
    /// The names by which it is known besides its public URL's, `localhost` and any address; `*.`
    /// stands for one label. It answers under no others.
    pub hosts: Vec<String>,
    /// Whether all of its clients come through a proxy, which appends each one's address to
    /// `X-Forwarded-For`.
    pub is_behind_proxy: bool,
    /// Who may use it.
    pub access_tokens: Vec<AccessToken>,
    /// The page and its files; the path of the page itself is `/`.
    pub assets: &'static [Asset],
    /// Time limits and bounds of stored data.
    pub policy: StorePolicy,
    /// The longest time that a poll is held (E-2).
    pub poll_cap: Duration,
    /// How long a session token is valid.
    pub session_token_life: Duration,
    /// How long what a session's worker shows in version 2 is valid (C-1).
    pub worker_token_life: Duration,
    /// Whether sessions of environments speak version 2, where their worker leaves it to the relay
    /// (C-4).
    pub use_code_sessions: bool,
    /// Concurrent viewers of one session, and of one person's overview.
    pub max_subscribers: usize,
    /// Bytes on the way to one viewer.
    pub stream_credit: usize,
    /// Messages in one request.
    pub max_posted: usize,
    /// What a device or a browser has to be a trusted one for (D-3): `answer`, `drive`, or both.
    pub demand_trusted: Option<Scopes>,
    /// With which provider people may sign in, besides links and access tokens.
    pub oidc: Option<OidcConfig>,
    /// Which push services may be told of what waits (Y-7). Whoever is signed in names one.
    pub push_reach: Reach,
}

impl RelayConfig {
    /// A relay on `listen` with the usual limits, no page, and no access tokens yet.
    pub fn new(listen: String) -> Self {
        Self {
            listen,
            public_url: None,
            hosts: Vec::new(),
            is_behind_proxy: false,
            access_tokens: Vec::new(),
            assets: &[],
            policy: StorePolicy::default(),
            poll_cap: limits::POLL_WAIT,
            session_token_life: limits::SESSION_TOKEN_LIFE,
            worker_token_life: limits::WORKER_TOKEN_LIFE,
            use_code_sessions: false,
            max_subscribers: limits::MAX_SUBSCRIBERS,
            stream_credit: limits::STREAM_CREDIT_BYTES,
            max_posted: limits::MAX_POSTED_MESSAGES,
            demand_trusted: None,
            oidc: None,
            push_reach: Reach::Public,
        }
    }

    pub(super) fn check(&self) -> Result<(), RelayConfigError> {
        if self.access_tokens.is_empty() {
            return Err(RelayConfigError::NoToken);
        }
        self.access_tokens.iter().try_for_each(AccessToken::check)?;
        if let Some(url) = &self.public_url {
            BaseUrl::parse(url)?;
        }
        if let Some(oidc) = &self.oidc {
            oidc.check()?;
        }
        let times = [self.policy.ack_time, self.policy.lease_time, self.policy.offline_after];
        if times.contains(&Duration::ZERO)
            || self.policy.lapse_after <= self.policy.offline_after
            || self.policy.lost_after < self.policy.lapse_after
        {
            return Err(RelayConfigError::Times);
        }
        Ok(())
    }
}

/// Whether a token may have been drawn at random from a large enough set. That cannot be known, but
/// one that is short or repeats itself was not.
fn is_hard_to_guess(token: &str) -> bool {
    let pairs: BTreeSet<&[u8]> = token.as_bytes().windows(2).collect();
    token.len() >= MIN_TOKEN_BYTES && pairs.len() >= MIN_TOKEN_PAIRS
}

/// A person's credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The person's account: their name, or a name, a `.`, and what tells them apart from others who had
    /// that name before.
    pub person: String,
    /// The credential; the relay keeps only what is derived from it.
    pub token: Secret,
}

impl AccessToken {
    pub(super) fn check(&self) -> Result<(), RelayConfigError> {
        let Self { person, token } = self;
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~!$&'*+^`|#%".contains(&b);
        if is_worker_credential(token) {
            return Err(RelayConfigError::WorkerCredential { person: person.clone() });
        }
        let token = token.reveal();
        if !token.bytes().all(is_plain) {
            return Err(RelayConfigError::Token { person: person.clone() });
        }
        if !is_hard_to_guess(token) {
            return Err(RelayConfigError::WeakToken { person: person.clone() });
        }
        Ok(())
    }
}

/// One file of the page.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its path, including the leading slash.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    /// The same, compressed by gzip; empty if that saves nothing.
    pub gzip: &'static [u8],
}

/// Secrets that nobody else may know or guess. The runtime draws all; a relay whose store outlives
/// it keeps `signing` and `push` beside the store, and draws new `entropy` at each start.
#[derive(Clone)]
pub struct RelayKeys {
    /// Signs session tokens and environment secrets.
    pub signing: [u8; 32],
    /// Keys that it signed with before, newest first: what they have signed still counts.
    pub older: Vec<[u8; 32]>,
    /// Where new ids come from, and the keys of single messages to browsers.
    pub entropy: [u8; 32],
    /// Where the key comes from that push services know this relay by (RFC 8292). Browsers bind their
    /// subscriptions to it, so a relay keeps it as well.
    pub push: [u8; 32],
}

impl RelayKeys {
    /// Keys of a relay that has signed with no others; push services know it by the first one.
    pub const fn new(signing: [u8; 32], entropy: [u8; 32]) -> Self {
        Self { signing, older: Vec::new(), entropy, push: signing }
    }
}

impl fmt::Debug for RelayKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayKeys(hidden)")
    }
}

/// Why a relay cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayConfigError {
    /// Nobody could use the relay.
    #[error("the relay has no access token: give it at least one")]
    NoToken,
    /// A browser could not send a token.
    #[error(
        "the access token of {person:?} cannot be used: it must consist of A-Z, a-z, 0-9, - and _"
    )]
    Token {
        /// Whose token it is.
        person: String,
    },
    /// A worker holds what should be known to a person alone.
    #[error(
        "the access token of {person:?} is a worker credential, which workers know: give the relay's access token, or none, and the relay makes one"
    )]
    WorkerCredential {
        /// Whose token it is.
        person: String,
    },
    /// A token is too short, or too regular.
    #[error(
        "the access token of {person:?} is too easy to guess: it must be at least {MIN_TOKEN_BYTES} characters drawn at random, such as `openssl rand -hex 32` prints; or give none, and the relay makes one"
    )]
    WeakToken {
        /// Whose token it is.
        person: String,
    },
    /// The public URL is not a URL.
    #[error("the public URL of the relay: {0}")]
    Url(#[from] UrlError),
    /// Nobody could sign in with the provider.
    #[error("signing in with a provider: {0}")]
    Oidc(#[from] OidcConfigError),
    /// The time limits contradict each other.
    #[error(
        "the relay's time limits must be longer than zero, and an environment must count as offline before it lapses"
    )]
    Times,
}
