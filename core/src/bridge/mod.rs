//! A program exposes its own running session to viewers, through the relay (B-1 to B-6).
//!
//! ```text
//!                   ┌──────────────── Bridge ────────────────┐
//!   BridgeCommand   │ gate ──▶ process ┐                     │
//!  ───────────────▶ │  (M-5)           ▼                     │   relay
//!                   │               worker: registration, ◀──┼──────────▶ viewers
//!  ◀─────────────── │               lease, link, questions   │
//!   BridgeNotice    │ state, handle    │                     │
//!                   └────────────────────────────────────────┘
//! ```
//!
//! | file | part |
//! | --- | --- |
//! | `config`, `notice` | what a program says and is told |
//! | `state` | what is true of the bridge: its state, *session active*, *can send*, the snapshot |
//! | `handle` | who the program is to other sessions, looked at again when something is sent |
//! | `gate` | what waits, in order: before there is a session, behind the history, while the relay is behind |
//! | `process` | the program in the place of an agent's process |
//!
//! What registers, keeps the lease and carries lines is the [worker](crate::worker) itself, with this one
//! session: what holds for its sessions, holds here. Nothing published is lost or doubled by a break, a
//! viewer's message comes once, a question is answered once, and whatever was accepted and cannot come in
//! ends in a named state.
//!
//! This drives a bridge by hand, up to its first request, as a runtime would:
//!
//! ```
//! use bytes::Bytes;
//! use footbridge_core::auth::Credential;
//! use footbridge_core::base::secret::Secret;
//! use footbridge_core::base::text::Text;
//! use footbridge_core::base::time::Now;
//! use footbridge_core::bridge::{Bridge, BridgeCommand, BridgeConfig};
//! use footbridge_core::contract::action::Action;
//! use footbridge_core::contract::event::{Event, ExitStatus};
//! use footbridge_core::contract::machine::{Machine, Step};
//! use footbridge_core::wire::url::BaseUrl;
//!
//! let relay = BaseUrl::parse("https://relay.example")?;
//! let credential = Credential::fixed(Secret::from("an-access-token-7Qx"));
//! let mut bridge = Bridge::new(BridgeConfig::new(relay, credential, "/project".into(), 7));
//!
//! // Nothing has to be waited for: what is published now is the first thing that viewers see.
//! let hello = r#"{"type":"assistant","message":{"content":[{"type":"text","text":"hello"}]}}"#;
//! bridge.command(Now::default(), BridgeCommand::Publish(Text::from(hello)));
//!
//! let request = loop {
//!     match bridge.step() {
//!         Step::Do(Action::Run { op, .. }) => {
//!             let (status, nothing) = (ExitStatus::Code(1), Bytes::new());
//!             let ran = Event::Ran { op, status, stdout: nothing.clone(), stderr: nothing };
//!             bridge.handle(Now::default(), ran);
//!         }
//!         Step::Do(Action::Request { request, .. }) => break request,
//!         Step::Tell(notice) => println!("{notice:?}"),
//!         other => panic!("unexpected: {other:?}"),
//!     }
//! };
//! assert_eq!(request.url, "https://relay.example/v1/environments/bridge");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod gate;
mod handle;
mod notice;
mod process;
mod state;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

pub use self::config::{Answers, BridgeConfig, Direction, Init, Teardown};
use self::gate::{Admission, FlushGate};
use self::handle::Binding;
pub use self::handle::{Handle, NotSigned};
pub use self::notice::{BridgeCommand, BridgeNotice, Incoming, What};
use self::process::{Process, Wanted};
pub use self::state::{BridgeState, CanSend, SessionActive, Snapshot};
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::limits::MAX_RECENT_UUIDS;
use crate::base::text::Text;
use crate::base::time::Now;
use crate::contract::action::Action;
use crate::contract::event::{Event, ExitStatus};
use crate::contract::machine::{Machine, Step};
use crate::transport::dedupe::Recent;
use crate::wire::control;
use crate::wire::message::{Head, Kind};
use crate::worker::{
    AgentProgram, AgentResume, OwnSessionConfig, SpawnMode, Worker, WorkerCommand, WorkerConfig,
    WorkerNotice,
};

/// What a mirror says once it has started (B-3).
pub const MIRROR_INITIALIZED: &str = "Mirror initialized";

/// A program's session lasts as long as the program.
const NO_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The machine. See the [module](self).
#[derive(Debug)]
pub struct Bridge {
    worker: Worker,
    now: Now,
    process: Process,
    gate: FlushGate,
    binding: Binding,
    state: BridgeState,
    init: Option<Init>,
    direction: Direction,
    teardown: Teardown,
    answers: Answers,
    page: String,
    title: Option<String>,
    session: Option<SessionId>,
    environment: Option<EnvironmentId>,
    is_new: bool,
    replays: bool,
    is_reachable: bool,
    is_tearing_down: bool,
    /// The messages that the program has published itself (M-4).
    own: Recent,
    /// The program's questions, by id.
    questions: BTreeMap<String, Text>,
    /// The positions of the results that the relay does not have yet.
    unstored: VecDeque<u64>,
    turns: u64,
    turns_stored: u64,
    shown: Snapshot,
    /// What the worker wants of the runtime.
    actions: VecDeque<Action>,
    notices: VecDeque<BridgeNotice>,
}

impl Bridge {
    /// Connects with its first step.
    pub fn new(config: BridgeConfig) -> Self {
        let name = String::from("the program itself");
        let agent = AgentProgram { program: name.clone(), args: Vec::new(), env: Vec::new() };
        // Whatever the program does about its conversation, it is still the same program.
        let (args, env, env_in_turn) = (Vec::new(), Vec::new(), Vec::new());
        let resume = AgentResume { program: name, args, env, env_in_turn };
        let mut worker = WorkerConfig::new(
            config.relay,
            config.credential,
            config.directory,
            agent,
            config.seed,
        );
        let page = format!("{}", worker.relay);
        worker.machine_name = config.machine_name;
        worker.worker_type = String::from(config.teardown.worker_type());
        worker.agent_resume = Some(resume);
        worker.spawn_mode = SpawnMode::SingleSession;
        worker.session_limit = NO_LIMIT;
        worker.transport = config.transport;
        worker.work_by = config.work_by;
        worker.backoff = config.backoff;
        worker.state_directory = config.state_directory;
        worker.keeps_pointer = config.keeps_pointer;
        worker.trusts_relay = config.trusts_relay;
        worker.own_session = Some(OwnSessionConfig { title: config.title.clone() });
        Self {
            worker: Worker::new(worker),
            now: Now::default(),
            process: Process::new(config.pid),
            gate: FlushGate::new(config.awaits_history),
            binding: Binding::default(),
            state: BridgeState::Ready,
            init: config.init,
            direction: config.direction,
            teardown: config.teardown,
            answers: config.answers,
            page,
            title: config.title,
            session: None,
            environment: None,
            is_new: true,
            replays: config.replays,
            is_reachable: true,
            is_tearing_down: false,
            own: Recent::new(MAX_RECENT_UUIDS),
            questions: BTreeMap::new(),
            unstored: VecDeque::new(),
            turns: 0,
            turns_stored: 0,
            shown: Snapshot::default(),
            actions: VecDeque::new(),
            notices: VecDeque::new(),
        }
    }

    fn tell(&mut self, notice: BridgeNotice) {
        self.notices.push_back(notice);
    }

    fn publish(&mut self, line: Text) {
        if self.gate.push(line.clone()) == Admission::TooMuch {
            self.tell(BridgeNotice::NotPublished(line));
        }
    }

    /// Passes on what may pass. Returns whether anything did.
    fn pump(&mut self) -> bool {
        let mut has_passed = false;
        while self.process.is_running()
            && let Some(line) = self.gate.next()
        {
            self.print(&line);
            has_passed = true;
        }
        if let Some(is_behind) = self.gate.behind() {
            self.tell(BridgeNotice::Behind(is_behind));
        }
        has_passed
    }

    fn print(&mut self, line: &Text) {
        let is_result = match Head::parse(line) {
            Ok(head) => {
                self.note(&head, line);
                head.kind == "result"
            }
            Err(_) => false,
        };
        self.process.print(line);
        self.run_process();
        if is_result {
            self.turns += 1;
            let sent = self.lines().map(|(sent, _)| sent);
            self.unstored.extend(sent);
        }
    }

    /// What a line of the program means for its viewers' answers.
    fn note(&mut self, head: &Head, line: &Text) {
        match (head.kind(), &head.request_id) {
            (Kind::ControlRequest, Some(id)) => {
                self.questions.insert(id.clone().into_owned(), line.clone());
            }
            (Kind::ControlCancelRequest, Some(id)) => {
                self.questions.remove(&**id);
            }
            _ => {}
        }
        if let Some(uuid) = &head.uuid {
            self.own.insert(uuid);
        }
    }

    /// The worker takes in that its process is over, before it is told anything else. What it wants of the
    /// runtime meanwhile waits for the next step.
    fn run_out(&mut self) {
        self.run_process();
        loop {
            match self.worker.step() {
                Step::Do(action) if self.process.concerns(&action) => {
                    if let Some(wanted) = self.process.take(&action) {
                        self.wanted(wanted);
                    }
                }
                Step::Do(action) => self.actions.push_back(action),
                Step::Tell(notice) => self.noticed(notice),
                Step::Wait(_) if self.process.has_events() => {}
                Step::Wait(_) | Step::Finished(_) => return,
            }
            self.run_process();
        }
    }

    /// The worker hears what has become of its process.
    fn run_process(&mut self) {
        while let Some(event) = self.process.next_event() {
            self.worker.handle(self.now, event);
        }
    }

    fn wanted(&mut self, wanted: Wanted) {
        match wanted {
            Wanted::Start => self.started(),
            Wanted::Line(line) => self.heard(line),
            Wanted::Pause(is_paused) => self.gate.pause(is_paused),
            Wanted::End => self.over(),
        }
    }

    /// The session begins, or goes on.
    fn started(&mut self) {
        self.run_process();
        if self.direction == Direction::Outbound {
            self.process.close_input();
            self.tell(BridgeNotice::MirrorInitialized);
        }
        if let Some(line) = self.init_line() {
            self.print(&line);
        }
        self.gate.open(self.is_new);
        let questions: Vec<Text> = match self.is_new && self.replays {
            true => core::mem::take(&mut self.questions).into_values().collect(),
            false => Vec::new(),
        };
        for question in questions {
            self.publish(question);
        }
    }

    fn init_line(&self) -> Option<Text> {
        let mut init = self.init.clone()?;
        if let Some(session) = self.session.as_ref().filter(|_| init.session_id.is_empty()) {
            init.session_id = session.to_string();
        }
        Some(init.to_line())
    }

    /// A viewer says something.
    fn heard(&mut self, line: Text) {
        let Ok(head) = Head::parse(&line) else { return self.process.taken_last() };
        if head.uuid.as_deref().is_some_and(|uuid| self.own.contains(uuid)) {
            return self.process.taken_last();
        }
        let what = What::of(&head);
        match &what {
            What::Request { request_id, subtype } if !self.answers.include(subtype) => {
                let answer = match subtype.as_str() {
                    "initialize" if self.init.is_some() => {
                        let init = self.init.clone().unwrap_or_default();
                        control::success(request_id, &init.answer())
                    }
                    other => {
                        let reason = format!("this program does not support {other:?}");
                        control::error(request_id, &reason)
                    }
                };
                self.process.taken_last();
                return self.publish(answer);
            }
            What::Answer { request_id } => {
                self.questions.remove(request_id);
            }
            _ => {}
        }
        self.tell(BridgeNotice::Incoming(Incoming { what, line }));
    }

    /// The session's time here is over.
    fn over(&mut self) {
        self.binding.release();
        self.gate.close();
        self.unstored.clear();
    }

    fn command_one(&mut self, command: BridgeCommand) {
        match command {
            BridgeCommand::Publish(line) => self.publish(line),
            BridgeCommand::History(lines) => {
                self.gate.history(lines);
            }
            BridgeCommand::Taken { lines } => self.process.taken(lines),
            BridgeCommand::Init(init) => {
                self.init = Some(*init);
                if self.process.is_running()
                    && let Some(line) = self.init_line()
                {
                    self.publish(line);
                }
            }
            BridgeCommand::Reachable(is_reachable) => self.is_reachable = is_reachable,
            BridgeCommand::Sign { handle, to, message_id, body } => {
                let can_send = self.can_send();
                let message = (to, message_id.clone(), body);
                self.tell(match self.binding.sign(&handle, can_send, message) {
                    Ok(envelope) => BridgeNotice::Signed(envelope),
                    Err(why) => BridgeNotice::NotSigned { message_id, why },
                });
            }
            BridgeCommand::Teardown => self.tear_down(ExitStatus::Code(0)),
            BridgeCommand::Over(status) => self.tear_down(status),
            BridgeCommand::Leave => {
                self.teardown = Teardown::Perpetual;
                self.tear_down(ExitStatus::Code(0));
            }
            BridgeCommand::TeardownNow => {
                self.tear_down(ExitStatus::Code(0));
                self.worker.command(self.now, WorkerCommand::ShutdownNow);
            }
        }
    }

    fn tear_down(&mut self, status: ExitStatus) {
        // What was said before now still leaves, however far behind the relay is.
        self.gate.pause(false);
        self.pump();
        if self.teardown == Teardown::Ordinary {
            // To the worker it has ended by itself, as an agent does.
            self.process.end(status);
            self.run_out();
        }
        self.begin_teardown();
        self.worker.command(
            self.now,
            match self.teardown {
                Teardown::Ordinary => WorkerCommand::Shutdown,
                Teardown::Perpetual => WorkerCommand::HandOver,
            },
        );
    }

    fn begin_teardown(&mut self) {
        self.is_tearing_down = true;
        self.gate.clear();
        self.binding.release();
    }

    fn noticed(&mut self, notice: WorkerNotice) {
        match notice {
            WorkerNotice::Registered { environment, .. } => self.environment = Some(environment),
            WorkerNotice::OwnSession { session, is_new } => self.named(&session, is_new),
            WorkerNotice::SessionConnected { .. } => self.state = BridgeState::Connected,
            WorkerNotice::SessionDisconnected { reason, .. } => self.cut(reason),
            // What another request runs into says nothing about a link that is up.
            WorkerNotice::Retrying { reason, .. } if self.state != BridgeState::Connected => {
                self.cut(reason);
            }
            WorkerNotice::SessionEnded { result, .. } => {
                let reason = match result {
                    Some(result) => {
                        let reason = result.message;
                        if !self.is_tearing_down {
                            self.state = BridgeState::Failed { reason: reason.clone() };
                            self.worker.command(self.now, WorkerCommand::Shutdown);
                        }
                        reason
                    }
                    None => {
                        let reason = String::from("the relay no longer has the session");
                        self.cut(reason.clone());
                        reason
                    }
                };
                // What is true by now comes first.
                self.look();
                self.tell(BridgeNotice::SessionEnded { reason });
            }
            _ => {}
        }
    }

    fn cut(&mut self, reason: String) {
        if !matches!(self.state, BridgeState::Failed { .. }) {
            self.state = BridgeState::Reconnecting { reason };
        }
    }

    /// The session has this id from now on (I-2).
    fn named(&mut self, session: &SessionId, is_new: bool) {
        if let Some(before) = self.session.replace(session.clone()).filter(|it| it != session) {
            if !self.replays {
                self.gate.forget();
                self.questions.clear();
            }
            let (now, lines_missing) = (session.clone(), self.gate.dropped());
            self.tell(BridgeNotice::SessionChanged { before, now, lines_missing });
            (self.turns, self.turns_stored) = (0, 0);
        }
        self.unstored.clear();
        self.is_new = is_new;
        let handle = self.binding.bind(session);
        self.tell(BridgeNotice::Bound(handle));
    }

    const fn takes_input(&self) -> bool {
        matches!(self.direction, Direction::Both) && !self.is_tearing_down
    }

    fn can_send(&self) -> CanSend {
        let is_flushed = self.gate.is_flushed();
        CanSend::write(&self.state, self.takes_input(), is_flushed, self.is_reachable)
    }

    fn snapshot(&self) -> Snapshot {
        let page =
            self.session.as_ref().map(|session| format!("{}/#/session/{session}", self.page));
        Snapshot {
            state: self.state.clone(),
            session_active: SessionActive::write(&self.state, self.takes_input()),
            can_send: self.can_send(),
            session: self.session.clone(),
            environment: self.environment.clone(),
            page,
            initial_name: self.title.clone(),
            is_flushed: self.gate.is_flushed(),
            turns: self.turns,
            turns_stored: self.turns_stored,
            open_questions: self.questions.len(),
        }
    }

    /// How many lines were passed on in the session, and how many of those the relay has.
    fn lines(&self) -> Option<(u64, u64)> {
        self.worker.lines_of(self.session.as_ref()?)
    }

    /// Compares what was sent with what the relay has, and tells what has changed.
    fn look(&mut self) {
        if let Some((_, stored)) = self.lines() {
            while self.unstored.front().is_some_and(|at| *at <= stored) {
                self.unstored.pop_front();
                self.turns_stored += 1;
            }
        }
        let snapshot = self.snapshot();
        if snapshot != self.shown {
            self.shown = snapshot.clone();
            self.tell(BridgeNotice::Snapshot(alloc::boxed::Box::new(snapshot)));
        }
    }

    /// An action as the runtime gets it: a perpetual bridge closes no transport (B-4).
    fn outgoing(&self, action: Action) -> Action {
        match action {
            Action::Close { op, .. }
                if self.is_tearing_down && self.teardown == Teardown::Perpetual =>
            {
                Action::Cancel { op }
            }
            action => action,
        }
    }
}

impl Machine for Bridge {
    type Command = BridgeCommand;
    type Notice = BridgeNotice;

    fn command(&mut self, now: Now, command: BridgeCommand) {
        self.now = now;
        self.command_one(command);
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        self.worker.handle(now, event);
    }

    fn step(&mut self) -> Step<BridgeNotice> {
        loop {
            if let Some(notice) = self.notices.pop_front() {
                return Step::Tell(notice);
            }
            if let Some(action) = self.actions.pop_front() {
                return Step::Do(self.outgoing(action));
            }
            self.run_process();
            match self.worker.step() {
                Step::Do(action) if self.process.concerns(&action) => {
                    if let Some(wanted) = self.process.take(&action) {
                        self.wanted(wanted);
                    }
                }
                Step::Do(action) => return Step::Do(self.outgoing(action)),
                Step::Tell(notice) => self.noticed(notice),
                // What the program asks for is no event of the worker's, whose time goes on all the same.
                Step::Wait(Some(deadline)) if deadline <= self.now.mono => {
                    self.worker.handle(self.now, Event::Tick);
                }
                Step::Wait(deadline) => {
                    let has_passed = self.pump();
                    self.look();
                    if !has_passed && self.notices.is_empty() && !self.process.has_events() {
                        return Step::Wait(deadline);
                    }
                }
                Step::Finished(outcome) => {
                    if let Err(error) = &outcome {
                        self.state = BridgeState::Failed { reason: error.message.clone() };
                        self.look();
                        if !self.notices.is_empty() {
                            continue;
                        }
                    }
                    return Step::Finished(outcome);
                }
            }
        }
    }
}
