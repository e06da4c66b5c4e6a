//! What some viewers do beyond the usual: everything else that the relay's interface offers. It is
//! drawn from a random stream of its own, so that a viewer without habits is as it was.

use std::collections::BTreeMap;

use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::Instant;

use super::shapes::Said;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Habit {
    /// Do something, and think of the next thing.
    Wander,
    /// Post several messages in one request.
    Batch { session: String, said: Vec<Said> },
    /// Read a session's log on by a page.
    Page { session: String },
    /// Name all sessions, a few at a time.
    Walk { environment: Option<String>, before: Option<String>, found: Vec<String> },
    /// Ask whether a worker is there.
    Check { environment: String, key: String },
    /// Watch all environments and sessions.
    Overview,
    /// Look whether that has fallen silent.
    ListenToOverview,
}

/// Whether and how a viewer is more than usual.
pub(super) struct Habits {
    pub(super) rng: Rng,
    pub(super) is_on: bool,
    /// Of 256 sessions so many are read by pages.
    pages: u8,
    pub(super) overview: Overview,
    pub(super) requests: u64,
    /// What was accepted lately, to be said again.
    pub(super) recent: Vec<(String, Said)>,
    pub(super) checks: u64,
}

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
        }
    }

    pub(super) const fn are_on(&self) -> bool {
        self.is_on
    }

    /// Whether a session is read by pages rather than by a subscription.
    pub(super) fn reads_pages(&mut self) -> bool {
        self.is_on && self.rng.u8(..) < self.pages
    }

    /// A key for making a session: that of another viewer at times, which makes no other session.
    pub(super) fn session_key(&mut self, own: String) -> String {
        let is_shared = self.is_on && self.rng.u8(..) < 60;
        if is_shared { format!("shared-session-{}", self.rng.u8(..2)) } else { own }
    }

    /// A title for a session that is made under a key; always the same one.
    pub(super) fn title_for(&self, key: &str) -> Option<String> {
        let is_titled = self.is_on && key.len() % 2 == 1 && !key.starts_with("shared");
        is_titled.then(|| format!("the title of {key}"))
    }
}

/// What the subscription has told.
#[derive(Debug, Default)]
pub(super) struct Overview {
    pub(super) stream: Option<OpId>,
    pub(super) heard_at: Instant,
    /// The environments, and the sessions, by their ids; none before the first word.
    pub(super) told: Option<[BTreeMap<String, String>; 2]>,
}
