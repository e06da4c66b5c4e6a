//! What some viewers do beyond the usual: everything else that the relay's interface offers. Habits
//! have their own random stream, so that a viewer without them is unchanged.

use std::collections::BTreeMap;

use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::Instant;

use super::shapes::Said;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Habit {
    /// Do something, and pick the next thing.
    Wander,
    /// Post several messages in one request.
    Batch { session: String, said: Vec<Said> },
    /// Read the next page of a session's log.
    Page { session: String },
    /// List all sessions, a few at a time.
    Walk { environment: Option<String>, before: Option<String>, found: Vec<String> },
    /// Request a healthcheck.
    Check { environment: String, key: String },
    /// Watch all environments and sessions.
    Overview,
    /// Check whether that has fallen silent.
    ListenToOverview,
    /// Declare a hook.
    Declare { session: String },
    /// Answer one.
    Hook { session: String, request_id: String, body: String, is_allow: bool },
}

/// Whether a viewer has habits, and which.
pub(super) struct Habits {
    pub(super) rng: Rng,
    pub(super) is_on: bool,
    /// How many of 256 sessions are read in pages.
    pages: u8,
    pub(super) overview: Overview,
    pub(super) requests: u64,
    /// What was accepted recently, to be sent again.
    pub(super) recent: Vec<(String, Said)>,
    pub(super) checks: u64,
    /// The source of what it does about hooks, if it declares any.
    pub(super) hooks: Option<Rng>,
}

/// How many of 256 viewers with habits declare hooks.
const DECLARING: u8 = 110;

impl Habits {
    pub(super) fn new(seed: Option<u64>) -> Self {
        let mut rng = Rng::with_seed(seed.unwrap_or_default());
        Self {
            is_on: seed.is_some(),
            pages: rng.u8(..),
            rng,
            overview: Overview::default(),
            requests: 0,
            recent: Vec::new(),
            checks: 0,
            hooks: seed.and_then(hooks),
        }
    }

    pub(super) const fn are_on(&self) -> bool {
        self.is_on
    }

    /// Whether a session is read in pages rather than through a subscription.
    pub(super) fn reads_pages(&mut self) -> bool {
        self.is_on && self.rng.u8(..) < self.pages
    }

    /// A key for creating a session: sometimes another viewer's, which creates no second session.
    pub(super) fn session_key(&mut self, own: String) -> String {
        let is_shared = self.is_on && self.rng.u8(..) < 60;
        if is_shared { format!("shared-session-{}", self.rng.u8(..2)) } else { own }
    }

    /// The title for a session created under a key; always the same one.
    pub(super) fn title_for(&self, key: &str) -> Option<String> {
        let is_titled = self.is_on && key.len() % 2 == 1 && !key.starts_with("shared");
        is_titled.then(|| format!("the title of {key}"))
    }
}

fn hooks(seed: u64) -> Option<Rng> {
    let mut rng = Rng::with_seed(seed ^ 0x0b00_c5ed);
    (rng.u8(..) < DECLARING).then_some(rng)
}

/// What the subscription has reported.
#[derive(Debug, Default)]
pub(super) struct Overview {
    pub(super) stream: Option<OpId>,
    pub(super) heard_at: Instant,
    /// The environments, and the sessions, by id; none before the first message.
    pub(super) told: Option<[BTreeMap<String, String>; 2]>,
}
