//! A program that exposes its own session by an embedded bridge (B-1). Its agent is a process, so that
//! whatever holds for a worker's agent is judged here too.
//!
//! From time to time it signs a message to another session (A-2), with a handle that it has had for
//! minutes, as after a permission that was given late; its bridge may have fallen in the meantime.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::{OpId, SessionId};
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::bridge::{Bridge, BridgeCommand, BridgeConfig, BridgeNotice, Handle};
use footbridge_core::contract::action::{Action, ProcessSpec, Signal};
use footbridge_core::contract::event::{Event, Output};
use footbridge_core::contract::machine::{Machine, Step};

use crate::ids::ProcessId;
use crate::names::MAX_LINE_BYTES;
use crate::nodes::node::{Node, NodeNotice, Order};
use crate::nodes::renumbered::{action_as, event_as};

/// Between the end of a bridge and the next one.
const PAUSE: Duration = Duration::from_secs(20);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long a permission to send takes.
const PERMISSION: Duration = Duration::from_secs(150);

/// Whose an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The bridge's, under this id of its own.
    Bridge(OpId),
    /// A process.
    Agent,
    /// What kills everything that this process has started.
    Tree,
}

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    /// It was asked to end, and is killed at this instant.
    Asked(Instant),
    /// It was killed, or has ended by itself.
    Ending,
}

/// A process: the conversation of one session.
struct Agent {
    session: SessionId,
    stage: Stage,
    /// A part of a line that has no end yet.
    partial: Vec<u8>,
    has_exited: bool,
    outputs_open: u8,
}

/// What was said before there was a bridge.
enum History {
    /// It comes so long after the session's agent has started.
    Pending {
        lines: Vec<Text>,
        wait: Duration,
        at: Option<Instant>,
    },
    None,
}

/// How the program behaves.
pub(crate) struct Habits {
    /// Lines from before, and how long after the beginning they are given.
    pub(crate) history: Option<(u32, Duration)>,
    /// How long it shares its session each time; without it, as long as its agent lives.
    pub(crate) shares_for: Option<Duration>,
    /// It signs with the handle that it has, whatever the bridge says.
    pub(crate) is_stale: bool,
}

/// The program.
pub(crate) struct Embedded {
    config: BridgeConfig,
    habits: Habits,
    bridge: Option<Bridge>,
    /// How many bridges there were.
    bridges: u64,
    now: Now,
    last_op: u64,
    owners: BTreeMap<OpId, Owner>,
    of_bridge: BTreeMap<OpId, OpId>,
    agents: BTreeMap<OpId, Agent>,
    /// The one that the bridge's session is.
    current: Option<OpId>,
    history: History,
    steps: VecDeque<Step<NodeNotice>>,
    /// When this bridge is taken down.
    falls_at: Option<Instant>,
    /// When the next bridge begins.
    begins_at: Option<Instant>,
    /// For whom a permission to send was asked, and until when that takes.
    asked: Option<(Handle, Instant)>,
    signing: Option<Handle>,
    messages: u64,
    live: Option<Handle>,
    is_ordered_down: bool,
}

impl Embedded {
    pub(crate) fn new(config: BridgeConfig, habits: Habits) -> Self {
        let mut program = Self {
            bridge: None,
            config,
            habits,
            bridges: 0,
            now: Now::default(),
            last_op: 0,
            owners: BTreeMap::new(),
            of_bridge: BTreeMap::new(),
            agents: BTreeMap::new(),
            current: None,
            history: History::None,
            steps: VecDeque::new(),
            falls_at: None,
            begins_at: None,
            asked: None,
            signing: None,
            messages: 0,
            live: None,
            is_ordered_down: false,
        };
        program.begin();
        program
    }

    fn begin(&mut self) {
        self.bridges += 1;
        self.config.seed = self.config.seed.wrapping_add(self.bridges);
        self.history = match self.habits.history {
            Some((lines, wait)) => {
                let number = self.bridges;
                let line = |n| {
                    let text = format!(r#""said before {number}-{n}""#);
                    Text::from(format!(r#"{{"type":"assistant","message":{{"content":{text}}}}}"#))
                };
                History::Pending { lines: (0..lines).map(line).collect(), wait, at: None }
            }
            None => History::None,
        };
        self.falls_at = self.habits.shares_for.map(|time| self.now.mono + time);
        self.config.awaits_history = self.habits.history.is_some();
        self.bridge = Some(Bridge::new(self.config.clone()));
    }

    fn command(&mut self, command: BridgeCommand) {
        if let Some(bridge) = &mut self.bridge {
            bridge.command(self.now, command);
        }
    }

    fn own_op(&mut self, owner: Owner) -> OpId {
        self.last_op += 1;
        let op = OpId::new(NonZeroU64::new(self.last_op).unwrap_or(NonZeroU64::MIN));
        self.owners.insert(op, owner);
        op
    }

    fn act(&mut self, action: Action) {
        self.steps.push_back(Step::Do(action));
    }

    fn tell(&mut self, notice: NodeNotice) {
        self.steps.push_back(Step::Tell(notice));
    }

    /// An action of the bridge, under an id of the program's.
    fn of_bridge(&mut self, action: Action) -> Option<Action> {
        let inner = action.op();
        let op = match self.of_bridge.get(&inner) {
            Some(op) => *op,
            None if action.is_start() => {
                let op = self.own_op(Owner::Bridge(inner));
                self.of_bridge.insert(inner, op);
                op
            }
            // It has ended, and the bridge did not know yet.
            None => return None,
        };
        if matches!(action, Action::Cancel { .. }) {
            self.owners.remove(&op);
            self.of_bridge.remove(&inner);
        }
        Some(action_as(action, op))
    }

    /// What a bridge that is over still has open.
    fn release(&mut self) {
        for (_, op) in std::mem::take(&mut self.of_bridge) {
            self.owners.remove(&op);
            self.act(Action::Cancel { op });
        }
    }

    fn on_process(&mut self, op: OpId, event: Event) {
        let is_current = self.current == Some(op);
        let Some(agent) = self.agents.get_mut(&op) else { return };
        match event {
            Event::Spawned { pid, .. } if is_current => {
                self.spawned(usize::try_from(pid).unwrap_or_default());
            }
            Event::Failed { .. } => {
                self.owners.remove(&op);
                return self.gone(op);
            }
            Event::Stdout { data, .. } => {
                agent.partial.extend_from_slice(&data);
                self.publish_lines(op, is_current);
            }
            Event::Written { writes, .. } if is_current => {
                self.command(BridgeCommand::Taken { lines: writes });
            }
            Event::OutputEnded { output, .. } => {
                agent.outputs_open -= 1;
                if output == Output::Stdout && !agent.partial.is_empty() {
                    agent.partial.push(b'\n');
                    self.publish_lines(op, is_current);
                }
                self.kill(op);
            }
            Event::Exited { .. } => {
                agent.has_exited = true;
                agent.stage = Stage::Ending;
                let tree = self.own_op(Owner::Tree);
                self.act(Action::EndTree { op: tree, process: op });
            }
            _ => {}
        }
        let is_over = |agent: &Agent| agent.has_exited && agent.outputs_open == 0;
        if self.agents.get(&op).is_some_and(is_over) {
            self.owners.remove(&op);
            self.act(Action::Cancel { op });
            self.gone(op);
        }
    }

    /// What was said before is the beginning of what this agent says.
    fn spawned(&mut self, process: ProcessId) {
        let session = self.live.as_ref().map(|live| live.session().to_string());
        let History::Pending { lines, wait, at } = &mut self.history else { return };
        at.get_or_insert(self.now.mono + *wait);
        let lines = lines.clone();
        for line in lines {
            let (session, line) = (session.clone().unwrap_or_default(), line.as_str().to_owned());
            self.tell(NodeNotice::SaidBefore { process, session, line });
        }
    }

    fn gone(&mut self, op: OpId) {
        self.agents.remove(&op);
        if self.current == Some(op) {
            self.current = None;
            self.command(BridgeCommand::Teardown);
        }
        self.start_agent();
    }

    fn publish_lines(&mut self, op: OpId, is_current: bool) {
        let Some(agent) = self.agents.get_mut(&op) else { return };
        let mut lines = Vec::new();
        while let Some(end) = agent.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = agent.partial.drain(..=end).collect();
            lines.push(Bytes::from(line).slice(..end));
        }
        for line in lines.into_iter().filter(|line| is_current && line.len() <= MAX_LINE_BYTES) {
            if let Ok(line) = Text::from_utf8(line) {
                self.command(BridgeCommand::Publish(line));
            }
        }
    }

    /// The session that the bridge has gets its agent, once what ran for that one before is gone.
    fn start_agent(&mut self) {
        let Some(session) = self.live.as_ref().map(Handle::session).cloned() else { return };
        let is_running = |agent: &Agent| agent.session == session;
        if self.current.is_some() || self.is_ordered_down || self.agents.values().any(is_running) {
            return;
        }
        let command = ProcessSpec {
            program: String::from("agent"),
            args: Vec::new(),
            env: vec![(String::from("FOOTBRIDGE_SESSION_ID"), Secret::from(session.as_str()))],
            env_remove: Vec::new(),
            directory: None,
        };
        let op = self.own_op(Owner::Agent);
        let (stage, partial) = (Stage::Running, Vec::new());
        let agent = Agent { session, stage, partial, has_exited: false, outputs_open: 2 };
        self.agents.insert(op, agent);
        self.current = Some(op);
        self.act(Action::Spawn { op, command });
    }

    fn kill(&mut self, op: OpId) {
        if let Some(agent) = self.agents.get_mut(&op).filter(|it| it.stage != Stage::Ending) {
            agent.stage = Stage::Ending;
            self.act(Action::Signal { op, signal: Signal::Kill });
        }
    }

    fn end_agent(&mut self) {
        let Some(op) = self.current.take() else { return };
        if let Some(agent) = self.agents.get_mut(&op).filter(|it| it.stage == Stage::Running) {
            agent.stage = Stage::Asked(self.now.mono + GRACE);
            self.act(Action::Signal { op, signal: Signal::Terminate });
        }
    }

    fn noticed(&mut self, notice: BridgeNotice) {
        match notice {
            BridgeNotice::Bound(handle) => {
                let is_other = |live: &Handle| live.session() != handle.session();
                if self.live.as_ref().is_some_and(is_other) {
                    self.end_agent();
                }
                self.ask(&handle);
                self.live = Some(handle);
                self.start_agent();
            }
            BridgeNotice::Incoming(incoming) => {
                let Some(op) = self.current else { return };
                let mut data = incoming.line.as_bytes().to_vec();
                data.push(b'\n');
                self.act(Action::Write { op, data: Bytes::from(data) });
            }
            BridgeNotice::Behind(is_behind) => {
                if let Some(op) = self.current {
                    self.act(match is_behind {
                        true => Action::Pause { op },
                        false => Action::Resume { op },
                    });
                }
            }
            BridgeNotice::SessionEnded { .. } => {
                self.live = None;
                self.end_agent();
            }
            BridgeNotice::Signed(envelope) => self.tell(NodeNotice::Signs { from: envelope.from }),
            BridgeNotice::NotSigned { .. } if self.habits.is_stale => {
                if let Some(handle) = self.signing.take() {
                    self.tell(NodeNotice::Signs { from: handle.address() });
                }
            }
            _ => {}
        }
    }

    /// A permission is asked for who the program is now.
    fn ask(&mut self, handle: &Handle) {
        if self.asked.is_none() {
            self.asked = Some((handle.clone(), self.now.mono + PERMISSION));
        }
    }

    /// What is due by now.
    fn on_time(&mut self) {
        let now = self.now.mono;
        if self.begins_at.is_some_and(|at| at <= now) {
            self.begins_at = None;
            self.begin();
        }
        if self.falls_at.take_if(|at| *at <= now).is_some() {
            self.end_agent();
            self.command(BridgeCommand::Teardown);
        }
        let is_late = |agent: &Agent| matches!(agent.stage, Stage::Asked(at) if at <= now);
        let late = self.agents.iter().filter(|(_, agent)| is_late(agent)).map(|(op, _)| *op);
        for op in late.collect::<Vec<_>>() {
            self.kill(op);
        }
        if let History::Pending { at: Some(at), .. } = &self.history
            && *at <= now
            && let History::Pending { lines, .. } =
                std::mem::replace(&mut self.history, History::None)
        {
            self.command(BridgeCommand::History(lines));
        }
        // It waits for the next bridge.
        if self.bridge.is_some()
            && let Some((handle, _)) = self.asked.take_if(|(_, until)| *until <= now)
        {
            self.messages += 1;
            let (to, body) = (String::from("session_other"), String::from("hello"));
            let message_id = format!("message-{}", self.messages);
            self.signing = Some(handle.clone());
            self.command(BridgeCommand::Sign { handle, to, message_id, body });
            if let Some(live) = self.live.clone() {
                self.ask(&live);
            }
        }
    }

    fn deadline(&self, of_bridge: Option<Instant>) -> Option<Instant> {
        let asked = self.asked.as_ref().map(|(_, until)| *until);
        let asked = asked.filter(|_| self.bridge.is_some());
        let history = match &self.history {
            History::Pending { at, .. } => *at,
            History::None => None,
        };
        let kills = self.agents.values().filter_map(|agent| match agent.stage {
            Stage::Asked(at) => Some(at),
            Stage::Running | Stage::Ending => None,
        });
        of_bridge
            .into_iter()
            .chain(self.begins_at)
            .chain(self.falls_at)
            .chain(asked)
            .chain(history)
            .chain(kills)
            .min()
    }

    fn set_time(&mut self, now: Now) {
        self.now = Now { mono: self.now.mono.max(now.mono), wall: now.wall };
    }
}

impl Node for Embedded {
    fn handle(&mut self, now: Now, event: Event) {
        self.set_time(now);
        match event.op().map(|op| (op, self.owners.get(&op).copied())) {
            None => {
                if let Some(bridge) = &mut self.bridge {
                    bridge.handle(self.now, event);
                }
            }
            // A late answer.
            Some((_, None)) => {}
            Some((op, Some(Owner::Bridge(inner)))) => {
                if event.is_last() {
                    self.owners.remove(&op);
                    self.of_bridge.remove(&inner);
                }
                if let Some(bridge) = &mut self.bridge {
                    bridge.handle(self.now, event_as(event, inner));
                }
            }
            Some((op, Some(Owner::Agent))) => self.on_process(op, event),
            Some((op, Some(Owner::Tree))) => {
                self.owners.remove(&op);
            }
        }
        self.on_time();
    }

    fn step(&mut self) -> Step<NodeNotice> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return step;
            }
            let Some(bridge) = &mut self.bridge else {
                if self.is_ordered_down {
                    return Step::Finished(Ok(()));
                }
                return Step::Wait(self.deadline(None));
            };
            match bridge.step() {
                Step::Do(action) => {
                    if let Some(action) = self.of_bridge(action) {
                        return Step::Do(action);
                    }
                }
                Step::Tell(notice) => {
                    let words = format!("{notice:?}");
                    self.noticed(notice);
                    return Step::Tell(NodeNotice::Words(words));
                }
                // What the agent does is no event of the bridge's, whose timer is as late as the node's.
                Step::Wait(Some(at)) if at <= self.now.mono => bridge.handle(self.now, Event::Tick),
                Step::Wait(at) => return Step::Wait(self.deadline(at)),
                Step::Finished(Ok(())) if !self.is_ordered_down => {
                    self.bridge = None;
                    self.live = None;
                    self.end_agent();
                    self.release();
                    self.begins_at = Some(self.now.mono + PAUSE);
                }
                // Its supervisor starts it again.
                Step::Finished(outcome) => return Step::Finished(outcome),
            }
        }
    }

    fn order(&mut self, now: Now, order: Order) {
        self.set_time(now);
        if order == Order::Settle {
            return;
        }
        self.is_ordered_down = true;
        self.begins_at = None;
        self.end_agent();
        self.command(match order {
            Order::ShutdownNow => BridgeCommand::TeardownNow,
            _ => BridgeCommand::Teardown,
        });
    }
}
