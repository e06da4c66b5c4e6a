//! Looks for a session that a crash has left in a directory, or in one of its sibling git worktrees
//! (K-2).
//!
//! ```text
//!   own state file ──▶ own pointer ──▶ git worktree list ──▶ pointers of up to 50 siblings ──▶ done
//!        │ it continues      │ fresh                                   the freshest first
//!        ▼ by itself         ▼
//!       done               found
//! ```
//!
//! With each pointer goes what its worker has left in the state directory. One whose worker has no
//! session any more is passed over.
//!
//! It runs before the worker does, and only finds: whether to continue is the program's to ask, and
//! so is whether a session's worker still runs. A pointer that is broken or too old is removed on
//! the way, and nothing here is fatal.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::time::Duration;

use super::continuity::pointer::{self, Found, Pointer};
use super::continuity::{Identity, Left, has_sessions, left_in};
use super::git::{QUESTION_TIMEOUT, git};
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::limits::{MAX_POINTER_WORKTREES, MAX_STATE_FILE_BYTES};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::engine::runner::{self, Role, Runner, delegate_machine};

/// How much of git's list is read.
const OUTPUT_BYTES: usize = 256 << 10;

/// Where to look.
#[derive(Clone, Debug)]
pub struct PointerSearchConfig {
    /// The worker's directory: absolute, without symbolic links.
    pub directory: String,
    /// The worker's part of the state directory, if there is one.
    pub state_directory: Option<String>,
    /// Variables in the program's own environment that git must not inherit.
    pub env_remove: Vec<String>,
}

/// A session that can be continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftSession {
    /// The directory that it ran in.
    pub directory: String,
    /// The session; there may be more.
    pub session: SessionId,
    /// Its environment.
    pub environment: EnvironmentId,
    /// What there is of its worker.
    pub worker: LeftWorker,
    /// For how long its worker has been silent, at most.
    pub age: Duration,
}

/// What there is of the worker that ran a session, or still does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftWorker {
    /// Nothing that anybody knows of.
    Nothing,
    /// Its part of the state directory, and as what it ran.
    Known {
        /// Where that is.
        state_directory: String,
        /// As what it ran.
        identity: Identity,
    },
    /// Its part of the state directory, which cannot be read.
    Unreadable {
        /// Where that is.
        state_directory: String,
        /// Why.
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    State,
    Own,
    Worktrees,
    Sibling(String),
    /// What the worker of this session has left, there.
    Worker(Box<LeftSession>, String),
    Remove,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {}

type Cx = runner::Cx<Purpose, Timer, LeftSession>;

/// The machine that searches. It reports the sessions that it finds, the freshest first, and then
/// finishes with `Ok`.
#[derive(Debug)]
pub struct PointerSearch {
    runner: Runner<Search>,
}

delegate_machine!(PointerSearch, Infallible, LeftSession);

impl PointerSearch {
    /// A search that starts with its first step.
    pub fn new(config: PointerSearchConfig) -> Self {
        let mut cx = Cx::new();
        let mut search = Search { config, stage: Stage::Own, found: Vec::new() };
        search.start(&mut cx);
        Self { runner: Runner::new(search, cx) }
    }
}

#[derive(Debug)]
struct Search {
    config: PointerSearchConfig,
    stage: Stage,
    found: Vec<LeftSession>,
}

/// Where it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In the worker's own directory.
    Own,
    /// In the sibling worktrees.
    Siblings,
}

impl Role for Search {
    type Command = Infallible;
    type Notice = LeftSession;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, _: &mut Cx, command: Infallible) {
        match command {}
    }

    fn on_timer(&mut self, _: &mut Cx, timer: Timer) {
        match timer {}
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let Some(purpose) = event.op().and_then(|op| cx.fx.finish(op)) else { return };
        match purpose {
            Purpose::State if is_continued(&event) => return cx.fx.end(Ok(())),
            Purpose::State => self.look_in_own(cx),
            Purpose::Own => self.judge(cx, self.config.directory.clone(), &event),
            Purpose::Worktrees => self.look_in_siblings(cx, &event),
            Purpose::Sibling(directory) => self.judge(cx, directory, &event),
            Purpose::Worker(left, state_directory) => {
                let worker = worker_in(state_directory, &event);
                self.found.extend(worker.map(|worker| LeftSession { worker, ..*left }));
            }
            Purpose::Remove => {}
        }
        if cx.fx.has_open() {
            return;
        }
        if self.stage == Stage::Own && self.found.is_empty() {
            self.stage = Stage::Siblings;
            return self.list_worktrees(cx);
        }
        self.found.sort_by_key(|left| left.age);
        for left in self.found.drain(..) {
            cx.fx.notify(left);
        }
        cx.fx.end(Ok(()));
    }
}

/// Whether the worker would continue sessions by its own state file.
fn is_continued(event: &Event) -> bool {
    matches!(event, Event::Loaded { data: Some(data), .. } if has_sessions(data))
}

/// What a worker's state file tells of it; `None` if it has nothing left to continue.
fn worker_in(state_directory: String, event: &Event) -> Option<LeftWorker> {
    match event {
        Event::Loaded { data: Some(data), .. } => match left_in(data) {
            Left::Sessions(identity) => Some(LeftWorker::Known { state_directory, identity }),
            Left::NoSessions => None,
            Left::Nothing => Some(LeftWorker::Nothing),
        },
        Event::Failed { failure, .. } => {
            Some(LeftWorker::Unreadable { state_directory, reason: failure.to_string() })
        }
        _ => Some(LeftWorker::Nothing),
    }
}

impl Search {
    fn start(&mut self, cx: &mut Cx) {
        let Some(state) = &self.config.state_directory else { return self.look_in_own(cx) };
        let (path, limit) = (format!("{state}/worker.json"), MAX_STATE_FILE_BYTES);
        cx.fx.start(Purpose::State, |op| Action::Load { op, path, limit });
    }

    fn look_in_own(&mut self, cx: &mut Cx) {
        let path = pointer::path_in(&self.config.directory);
        cx.fx.start(Purpose::Own, |op| pointer::load(op, path));
    }

    fn judge(&mut self, cx: &mut Cx, directory: String, event: &Event) {
        match pointer::read(event, cx.fx.now().wall) {
            Found::Nothing => {}
            Found::Useless => {
                let path = pointer::path_in(&directory);
                cx.fx.start(Purpose::Remove, |op| Action::Remove { op, path });
            }
            Found::Fresh { pointer, age } => {
                let Pointer { session_id: session, environment_id: environment, worker, .. } =
                    pointer;
                let state = worker.and_then(|worker| self.state_of(&worker));
                let worker = LeftWorker::Nothing;
                let left = LeftSession { directory, session, environment, worker, age };
                match state {
                    Some(state) => {
                        let (path, limit) = (format!("{state}/worker.json"), MAX_STATE_FILE_BYTES);
                        let purpose = Purpose::Worker(Box::new(left), state);
                        cx.fx.start(purpose, |op| Action::Load { op, path, limit });
                    }
                    None => self.found.push(left),
                }
            }
        }
    }

    /// Where the worker of this name keeps its state: beside this one.
    fn state_of(&self, worker: &str) -> Option<String> {
        let (parts, _) = self.config.state_directory.as_deref()?.rsplit_once('/')?;
        pointer::is_name(worker).then(|| format!("{parts}/{worker}"))
    }

    fn list_worktrees(&mut self, cx: &mut Cx) {
        let args = ["worktree", "list", "--porcelain"];
        let command = git(&self.config.directory, &args, &self.config.env_remove);
        let run = |op| Action::Run { op, command, timeout: QUESTION_TIMEOUT, limit: OUTPUT_BYTES };
        cx.fx.start(Purpose::Worktrees, run);
    }

    fn look_in_siblings(&mut self, cx: &mut Cx, event: &Event) {
        let Event::Ran { status, stdout, .. } = event else { return };
        let Ok(list) = core::str::from_utf8(stdout) else { return };
        if !status.is_success() {
            return;
        }
        for directory in siblings(list, &self.config.directory) {
            let path = pointer::path_in(&directory);
            cx.fx.start(Purpose::Sibling(directory), |op| pointer::load(op, path));
        }
    }
}

/// The directories in the other worktrees of a repository that correspond to this one.
fn siblings(list: &str, directory: &str) -> Vec<String> {
    let roots = || list.lines().filter_map(|line| line.strip_prefix("worktree "));
    let below = |root: &str| {
        let rest = directory.strip_prefix(root)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_string())
    };
    // Worktrees may lie within one another.
    let own = roots().filter(|root| below(root).is_some()).max_by_key(|root| root.len());
    let Some(own) = own else { return Vec::new() };
    let rest = below(own).unwrap_or_default();
    let others = roots().filter(|root| *root != own).map(|root| format!("{root}{rest}"));
    others.take(MAX_POINTER_WORKTREES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::{Instant, Now, UnixTime};
    use crate::contract::event::ExitStatus;
    use crate::testing::Hand;
    use alloc::collections::BTreeMap;
    use alloc::vec;
    use bytes::Bytes;

    const NOW: UnixTime = UnixTime::from_millis(1_000_000_000);

    fn text(session: &str) -> String {
        format!(r#"{{"sessionId":"{session}","environmentId":"env_1","source":"standalone"}}"#)
    }

    /// Runs a search over files of these contents and ages in minutes. What it finds, and the files
    /// that are left.
    fn search(files: &[(&str, &str, u64)]) -> (Vec<LeftSession>, Vec<String>) {
        let mut files: BTreeMap<_, _> =
            files.iter().map(|(path, text, age)| (path.to_string(), (*text, *age))).collect();
        let config = PointerSearchConfig {
            directory: "/repo/a/sub".into(),
            state_directory: Some("/state/own".into()),
            env_remove: vec![],
        };
        let now = Now { mono: Instant::ORIGIN, wall: NOW };
        let mut hand = Hand::new(PointerSearch::new(config), now);
        while let Some(action) = hand.actions.pop_front() {
            let event = match action {
                Action::Load { op, path, .. } => {
                    let file = files.get(&path);
                    let data = file.map(|(text, _)| Bytes::from(text.to_string()));
                    let modified =
                        file.map(|(_, age)| UnixTime::from_millis(NOW.as_millis() - age * 60_000));
                    Event::Loaded { op, data, modified }
                }
                Action::Remove { op, path } => {
                    files.remove(&path);
                    Event::Removed { op }
                }
                Action::Run { op, .. } => {
                    let list = "worktree /repo/main\nHEAD 1\n\nworktree /repo/a\nHEAD 2\n\n\
                                worktree /repo/b\nHEAD 3\n";
                    let stdout = Bytes::from_static(list.as_bytes());
                    Event::Ran { op, status: ExitStatus::Code(0), stdout, stderr: Bytes::new() }
                }
                other => panic!("{other:?}"),
            };
            hand.handle(event);
        }
        assert_eq!(hand.outcome, Some(Ok(())));
        (hand.notices, files.into_keys().collect())
    }

    #[test]
    fn the_own_pointer_counts_or_else_the_freshest_of_the_sibling_worktrees() {
        let [one, two, three] = ["session_1", "session_2", "session_3"].map(text);
        let own = ("/repo/a/sub/bridge-pointer.json", &*one, 90);
        let older = ("/repo/main/sub/bridge-pointer.json", &*two, 30);
        let newer = ("/repo/b/sub/bridge-pointer.json", &*three, 20);
        let found = |files: &[_]| {
            let found = search(files).0.into_iter();
            found.map(|left| left.session.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found(&[own, older, newer]), ["session_1"]);
        assert_eq!(found(&[older, newer]), ["session_3", "session_2"]);
        assert!(found(&[]).is_empty());
        let elsewhere = ("/repo/b/bridge-pointer.json", &*one, 1);
        assert!(found(&[elsewhere]).is_empty());
        let left = search(&[newer]).0.remove(0);
        assert_eq!((&*left.directory, left.age.as_secs()), ("/repo/b/sub", 20 * 60));
    }

    #[test]
    fn stale_and_broken_pointers_are_removed_wherever_they_are_found() {
        let stale = text("session_1");
        let (found, left) = search(&[
            ("/repo/a/sub/bridge-pointer.json", &*stale, 5 * 60),
            ("/repo/b/sub/bridge-pointer.json", "{", 1),
        ]);
        assert_eq!((found, left), (vec![], vec![]));
    }

    #[test]
    fn a_worker_whose_state_names_sessions_continues_without_being_asked() {
        let pointer = text("session_1");
        let state = r#"{"worker_id":"w","environment_id":"env_1","sessions":{"session_1":{"work":"work_1"}}}"#;
        let (found, left) = search(&[
            ("/repo/a/sub/bridge-pointer.json", &*pointer, 1),
            ("/state/own/worker.json", state, 1),
        ]);
        assert_eq!((found, left.len()), (vec![], 2));
    }

    #[test]
    fn with_a_session_comes_what_its_worker_has_left_and_one_without_sessions_is_passed_over() {
        let named = |session: &str, worker: &str| {
            let mut text = text(session);
            text.insert_str(text.len() - 1, &format!(r#","worker":"{worker}""#));
            text
        };
        let pointer = "/repo/a/sub/bridge-pointer.json";
        let sibling = "/repo/b/sub/bridge-pointer.json";
        let (other, third) = (named("session_1", "other"), named("session_2", "third"));
        let state = |sessions: &str| {
            format!(
                r#"{{"worker_id":"w","identity":{{"machine_name":"one","directory":"/repo/a/sub","places":"worktree"}},"sessions":{{{sessions}}}}}"#
            )
        };
        let running = state(r#""session_1":{"work":"work_1"}"#);
        let file = ("/state/other/worker.json", &*running, 1);
        let found = search(&[(pointer, &*other, 1), file]).0.remove(0);
        let LeftWorker::Known { state_directory, identity } = found.worker else {
            panic!("{found:?}")
        };
        assert_eq!((&*state_directory, &*identity.machine_name), ("/state/other", "one"));

        let over = state("");
        let over = [(pointer, &*other, 1), ("/state/other/worker.json", &*over, 1)];
        assert!(search(&over).0.is_empty());
        let found = search(&[&over[..], &[(sibling, &*third, 1)]].concat()).0.remove(0);
        assert_eq!((found.session.as_str(), found.worker), ("session_2", LeftWorker::Nothing));

        for elsewhere in ["", "..", "a/b", "/etc"] {
            let text = named("session_1", elsewhere);
            let found = search(&[(pointer, &*text, 1)]).0.remove(0);
            assert_eq!(found.worker, LeftWorker::Nothing, "{elsewhere}");
        }
    }
}
