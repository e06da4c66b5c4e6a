//! What some viewers do beyond the usual: everything else that the relay's interface offers. It is
//! drawn from a random stream of its own, so that a viewer without habits is as it was.

use fastrand::Rng;
use serde_json::Value;

use super::batch::Said;
use super::overview::Overview;
use super::{Task, Viewer, ViewerNotice};

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
    is_on: bool,
    /// Of 256 sessions so many are read by pages.
    pages: u8,
    pub(super) overview: Overview,
    pub(super) requests: u64,
    /// What was accepted lately, to be said again.
    pub(super) recent: Vec<(String, Said)>,
    checks: u64,
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

impl Viewer {
    pub(super) fn note_habit(&mut self, millis: std::ops::Range<u64>, habit: Habit) {
        let wait = std::time::Duration::from_millis(self.habits.rng.u64(millis));
        self.note(wait, Task::Habit(habit));
    }

    /// What a viewer with habits begins with.
    pub(super) fn take_up_habits(&mut self) {
        if self.habits.is_on {
            self.note_habit(100..10_000, Habit::Overview);
            self.note_habit(1_000..20_000, Habit::Wander);
        }
    }

    pub(super) fn begin_habit(&mut self, habit: Habit) {
        match habit {
            Habit::Wander => self.wander(),
            Habit::Batch { session, said } => self.post_batch(session, said),
            Habit::Page { session } => self.read_page(session),
            Habit::Walk { environment, before, found } => self.walk(environment, before, found),
            Habit::Check { environment, key } => self.check(environment, key),
            Habit::Overview => self.watch_overview(),
            Habit::ListenToOverview => self.listen_to_overview(),
        }
    }

    pub(super) fn habit_answered(&mut self, habit: Habit, status: u16, body: &Value) {
        match habit {
            Habit::Batch { session, said } => self.batch_answered(&session, said, status, body),
            Habit::Walk { environment, found, .. } if status == 200 => {
                self.walked(environment, found, body);
            }
            _ => {}
        }
    }

    fn wander(&mut self) {
        if self.is_settling {
            return;
        }
        match self.habits.rng.u8(..8) {
            0 => {
                let environment = self.an_environment().filter(|_| self.habits.rng.bool());
                self.tell(ViewerNotice::Listing);
                self.walk(environment, None, Vec::new());
            }
            1 => {
                if let Some(environment) = self.an_environment() {
                    self.habits.checks += 1;
                    let of_all = format!("check-{}", self.habits.checks % 3);
                    let own = format!("{}-check-{}", self.config.name, self.habits.checks);
                    let key = if self.habits.rng.bool() { of_all } else { own };
                    self.check(environment, key);
                }
            }
            _ => self.say_several(),
        }
        self.note_habit(500..30_000, Habit::Wander);
    }

    fn an_environment(&mut self) -> Option<String> {
        let at = self.habits.rng.usize(..self.environments.len().max(1));
        self.environments.get(at).cloned()
    }

    /// The world is calm: everybody is asked once more, and everything is listed.
    pub(super) fn settle_habits(&mut self) {
        if !self.habits.is_on {
            return;
        }
        let live = self.watched.iter().filter(|(_, w)| !w.is_over && !w.is_ended);
        for session in live.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            let said = vec![self.a_request()];
            self.note_habit(10..5_000, Habit::Batch { session, said });
        }
        for environment in self.environments.clone() {
            let key = format!("{}-calm-{environment}", self.config.name);
            self.note_habit(10..300_000, Habit::Check { environment, key });
        }
        self.tell(ViewerNotice::Listing);
        self.walk(None, None, Vec::new());
    }
}
