//! A viewer: a client of the relay's HTTP interface (`core/src/relay/http.md`) that does what
//! people do, retries what got no response, resumes what broke, and reports what it has seen. It
//! knows nothing of how the relay works, and it checks nothing itself.

mod habits;
pub(crate) mod hooks;
pub(crate) mod notice;
mod sessions;
mod shapes;
mod wander;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

use habits::{Habit, Habits};
use notice::ViewerNotice;

use super::node::Order;
use super::steps::Steps;

/// How a viewer behaves.
#[derive(Clone, Debug)]
pub(crate) struct ViewerConfig {
    pub(crate) name: String,
    /// The person's current token.
    pub(crate) token: Rc<RefCell<String>>,
    pub(crate) seed: u64,
    /// Sessions that it creates.
    pub(crate) sessions: u32,
    /// Messages that it sends to each.
    pub(crate) messages: u32,
    /// Whether it watches sessions that others have created.
    pub(crate) follows: bool,
    /// Whether it ends sessions, in the end.
    pub(crate) stops: bool,
    /// The seed of its habits, if it has any.
    pub(crate) habits: Option<u64>,
}

/// Something to do at some time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Task {
    Discover,
    Create {
        key: String,
    },
    Subscribe {
        session: String,
    },
    /// Check whether a subscription has fallen silent.
    Listen {
        session: String,
    },
    Speak {
        session: String,
        left: u32,
    },
    Post {
        session: String,
        uuid: String,
        text: String,
    },
    Answer {
        session: String,
        request_id: String,
        body: String,
        is_allow: bool,
    },
    Interrupt {
        session: String,
    },
    Stop {
        session: String,
    },
    /// Read slowly for a while.
    Doze {
        session: String,
    },
    GoOn {
        session: String,
    },
    Habit(Habit),
}

/// A session it is watching.
#[derive(Debug, Default)]
struct Watched {
    stream: Option<OpId>,
    /// Something has arrived on it.
    is_served: bool,
    /// The last event applied.
    after: u64,
    heard_at: Instant,
    /// When it last sent a keepalive.
    spoke_at: Instant,
    /// Questions that this viewer intends to answer, or has answered.
    planned: BTreeSet<String>,
    pending: Vec<String>,
    is_over: bool,
    is_ended: bool,
}

#[derive(Clone, Debug)]
enum Purpose {
    Environments,
    Sessions,
    Task(Task),
    Stream(String),
    Overview,
}

/// The machine.
pub(crate) struct Viewer {
    config: ViewerConfig,
    rng: Rng,
    now: Now,
    steps: Steps<ViewerNotice>,
    open: BTreeMap<OpId, Purpose>,
    tasks: BTreeMap<(Instant, u64), Task>,
    noted: u64,
    watched: BTreeMap<String, Watched>,
    /// Streams that it is not reading at the moment.
    dozing: BTreeSet<OpId>,
    environments: Vec<String>,
    uuids: u64,
    is_settling: bool,
    habits: Habits,
}

/// Delay before retrying what got no response, in milliseconds.
const RETRY_MILLIS: std::ops::Range<u64> = 300..5_000;
/// How often a viewer sends a keepalive.
const ALIVE: Duration = Duration::from_secs(15);
/// A subscription that is silent for this long is dead.
const SILENCE: Duration = Duration::from_secs(45);

impl Viewer {
    pub(crate) fn new(config: ViewerConfig) -> Self {
        let mut viewer = Self {
            rng: Rng::with_seed(config.seed),
            now: Now::default(),
            steps: Steps::new(),
            open: BTreeMap::new(),
            tasks: BTreeMap::new(),
            noted: 0,
            watched: BTreeMap::new(),
            dozing: BTreeSet::new(),
            environments: Vec::new(),
            uuids: 0,
            is_settling: false,
            habits: Habits::new(config.habits),
            config,
        };
        viewer.note(Duration::ZERO, Task::Discover);
        viewer.take_up_habits();
        viewer
    }

    fn note(&mut self, wait: Duration, task: Task) {
        self.noted += 1;
        self.tasks.insert((self.now.mono + wait, self.noted), task);
    }

    fn note_within(&mut self, millis: std::ops::Range<u64>, task: Task) {
        let wait = Duration::from_millis(self.rng.u64(millis));
        self.note(wait, task);
    }

    fn start(&mut self, purpose: Purpose, action: impl FnOnce(OpId) -> Action) -> OpId {
        let op = self.steps.op();
        self.open.insert(op, purpose);
        self.steps.act(action(op));
        op
    }

    fn tell(&mut self, notice: ViewerNotice) {
        self.steps.tell(notice);
    }

    fn begin(&mut self, task: Task) {
        match &task {
            Task::Discover => {
                self.list(Purpose::Environments, "/v1/environments");
                self.list(Purpose::Sessions, "/v1/sessions");
                self.note_within(4_000..20_000, Task::Discover);
            }
            Task::Subscribe { session } => self.subscribe(&session.clone()),
            Task::Listen { session } => self.listen(&session.clone()),
            Task::Speak { session, left } => self.speak(&session.clone(), *left),
            Task::Habit(habit) => self.begin_habit(habit.clone()),
            Task::Doze { session } | Task::GoOn { session } => {
                let op = self.watched.get(session).and_then(|watched| watched.stream);
                let Some(op) = op else { return };
                if matches!(task, Task::Doze { .. }) {
                    if self.dozing.insert(op) {
                        self.steps.act(Action::Pause { op });
                    }
                    let session = session.clone();
                    self.note_within(500..40_000, Task::GoOn { session });
                } else if self.dozing.remove(&op) {
                    self.steps.act(Action::Resume { op });
                }
            }
            _ => self.ask(task),
        }
    }

    fn is_over(&self, session: &str) -> bool {
        self.watched.get(session).is_none_or(|watched| watched.is_over || watched.is_ended)
    }

    /// Sends a message, or does something else that a person might do.
    fn speak(&mut self, session: &str, left: u32) {
        if self.is_over(session) || self.is_settling {
            return;
        }
        let session = session.to_owned();
        match self.rng.u8(..20) {
            0 => self.begin(Task::Interrupt { session: session.clone() }),
            1 => self.begin(Task::Doze { session: session.clone() }),
            _ => self.post_new(&session),
        }
        if left > 1 {
            self.note_within(10..40_000, Task::Speak { session, left: left - 1 });
        } else if self.config.stops {
            self.note_within(1_000..60_000, Task::Stop { session });
        }
    }

    fn post_new(&mut self, session: &str) {
        self.uuids += 1;
        let uuid = format!("{}-{}", self.config.name, self.uuids);
        let text = format!("echo {}", "w".repeat(self.rng.usize(1..60)));
        self.begin(Task::Post { session: session.to_owned(), uuid, text });
    }

    /// The world is calm: no more random actions, but every live session is sent a message, and
    /// half of the open questions are answered.
    fn settle(&mut self) {
        self.is_settling = true;
        let live: Vec<_> = self
            .watched
            .iter()
            .filter(|(_, w)| !w.is_over && !w.is_ended)
            .map(|(id, _)| id.clone())
            .collect();
        for session in live {
            self.post_new(&session);
            self.note_within(1_000..2_000, Task::GoOn { session });
        }
        self.settle_habits();
    }

    /// Sees an agent's question, and plans to answer it at some point.
    fn consider(&mut self, session: &str, request_id: &str) {
        let Some(watched) = self.watched.get_mut(session) else { return };
        if !watched.planned.insert(request_id.to_owned()) || self.rng.u8(..) < 20 {
            return;
        }
        let is_allow = self.rng.bool();
        let body = match (is_allow, self.rng.u8(..3)) {
            (true, 0) => format!(
                r#"{{"request_id":"{request_id}","behavior":"allow","updatedInput":{{"command":"by {}"}}}}"#,
                self.config.name
            ),
            (true, _) => format!(r#"{{"request_id":"{request_id}","behavior":"allow"}}"#),
            (false, _) => format!(
                r#"{{"request_id":"{request_id}","behavior":"deny","message":"{} says no"}}"#,
                self.config.name
            ),
        };
        let (session, request_id) = (session.to_owned(), request_id.to_owned());
        let task = Task::Answer { session, request_id, body, is_allow };
        self.note_within(20..20_000, task);
    }
}

impl Machine for Viewer {
    type Command = Order;
    type Notice = ViewerNotice;

    fn command(&mut self, now: Now, order: Order) {
        self.now = now;
        if order == Order::Settle {
            self.settle();
        }
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        self.take(event);
        while let Some(entry) = self.tasks.first_entry() {
            if entry.key().0 > now.mono {
                break;
            }
            let task = entry.remove();
            self.begin(task);
        }
    }

    fn step(&mut self) -> Step<ViewerNotice> {
        let next = self.tasks.first_key_value().map(|((at, _), _)| *at);
        self.steps.next(self.now, next)
    }
}
