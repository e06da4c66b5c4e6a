//! The process with the agent: two machines, and the pipes to the terminal.

use std::cell::{Cell, RefCell};
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use footbridge_cli::agent_line::{agent_program, agent_resume, require_program};
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::value::{Level, SpawnMode};
use footbridge_cli::{random_hex, seed, worker};
use footbridge_core::base::id::SessionId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::bridge::{
    Bridge, BridgeCommand, BridgeConfig, BridgeNotice, BridgeState, Init, Snapshot,
};
use footbridge_core::chat::{Chat, ChatCommand, ChatConfig, ChatNotice, Voice};
use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::engine::backoff::{BackoffConfig, Track};
use footbridge_core::peer::registry::Entry;
use footbridge_core::remote::{LobbyAnswer, LobbyCall, RemoteEvent};
use footbridge_core::wire::message::Head;
use footbridge_core::wire::viewer::Origin;
use footbridge_core::worker::AgentProgram;
use footbridge_smol::{block_on, drive};
use smol::future::{FutureExt as _, zip};

use super::kept::{Kept, Note};
use super::talk::{self, Asked, Line, Told};
use crate::program::args::chat::Chat as Args;
use crate::program::attach::{self, Place, place};
use crate::program::peers::{self, Presence};
use crate::program::signals::{Ends, Urgency};
use crate::program::work;

/// Lines that a terminal which does not read may be behind.
const UNREAD: usize = 4096;
/// How long the last turns may take to the relay when the terminal wants to go.
const DETACH_WAIT: Duration = Duration::from_secs(10);
/// Events that are read at once to be counted.
const PAGE: u64 = 1000;

pub(super) fn run(ask: Args) -> Result<(), Error> {
    let Args { relay, assumed, reach, agent, directory, name, title, grace, transport, .. } = ask;
    let log = EventLog::new("footbridge chat", reach.reports.level, reach.reports.format);
    let place = place(relay, assumed, reach)?;
    let directory = footbridge_cli::directory(directory.as_deref().unwrap_or(Path::new(".")))?;
    let agent = agent_program(agent.as_deref())?;
    require_program(&agent, &directory, SpawnMode::SameDir)?;
    let own = SessionId::new(&format!("session_{}", random_hex::<16>()?));
    let own = own.map_err(|error| Error::local(error.to_string()))?;
    let mut bridge = BridgeConfig::new(
        place.relay.clone(),
        place.credential.clone(),
        directory.clone(),
        seed()?,
    );
    bridge.machine_name = name.unwrap_or_else(worker::host_name);
    bridge.pid = std::process::id();
    bridge.title = title;
    bridge.transport = transport.into();
    bridge.backoff = patience();
    bridge.init = Some(Init { cwd: directory.clone(), ..Init::default() });
    let kept = Kept::open(&place, &directory, &agent);
    bridge.state_directory = kept.as_ref().map(|kept| kept.state().to_owned());
    let resumed = kept.as_ref().and_then(|kept| Some((kept, agent_resume(&agent, None).ok()?)));
    let resumed = resumed.and_then(|(kept, resume)| kept.resumed(resume));
    let resumes = resumed.is_some();
    let agent = command(resumed.unwrap_or(agent), directory.clone(), own.as_str());
    let chat = ChatConfig { agent, grace, seed: seed()? };
    let ends = Ends::listen()?;
    let host = Host {
        chat: Pipe::new(),
        bridge: Pipe::new(),
        terminal: writer(),
        unshown: Cell::new(0),
        snapshot: RefCell::default(),
        turns: Cell::new(0),
        stage: Cell::new(Stage::Attached),
        agent_over: Cell::new(false),
        presence: Presence::new(),
        kept,
        resumes,
        bound: async_channel::bounded(1),
        detaching: async_channel::bounded(1),
        own,
        directory,
        log,
    };
    let outcome = host.run(&place, chat, bridge, ends);
    if let Some(kept) = &host.kept {
        kept.remove();
    }
    // What the terminal has not been told yet.
    host.terminal.close();
    outcome
}

/// How many turns of a session the relay has.
async fn turns_at(place: &Place, session: &SessionId) -> Result<u64, Error> {
    let (mut after, mut turns) = (0, 0);
    loop {
        let session = session.clone();
        let page = LobbyCall::Events { session, after, limit: PAGE };
        let LobbyAnswer::Events { events, .. } = attach::asked(place, page, |_| {}).await? else {
            return Ok(turns);
        };
        let Some(last) = events.last().map(|event| event.seq) else { return Ok(turns) };
        let is_result = |event: &&RemoteEvent| {
            event.from == Origin::Agent
                && Head::parse(&event.message).is_ok_and(|head| head.kind == "result")
        };
        turns += events.iter().filter(is_result).count() as u64;
        after = last;
    }
}

/// The conversation does not depend on the relay, so there is no end to trying.
fn patience() -> BackoffConfig {
    let BackoffConfig { connection, general } = BackoffConfig::default();
    let forever = |track: Track| Track { cap: Duration::from_secs(30), give_up: None, ..track };
    BackoffConfig { connection: forever(connection), general: forever(general) }
}

fn command(agent: AgentProgram, directory: String, session: &str) -> ProcessSpec {
    let AgentProgram { program, args, env } = agent;
    let mut env: Vec<(String, Secret)> =
        env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    env.push(("FOOTBRIDGE_SESSION_ID".to_owned(), Secret::from(session)));
    let env_remove = worker::withheld();
    ProcessSpec { program, args, env, env_remove, directory: Some(directory) }
}

/// Writes to the terminal's process on a thread of its own, which may wait for ever.
fn writer() -> Sender<String> {
    let (sender, lines) = async_channel::bounded::<String>(UNREAD);
    std::thread::spawn(move || {
        let mut stdout = std::io::stdout().lock();
        while let Ok(line) = lines.recv_blocking() {
            // Once the terminal is gone nobody reads this any more, and that is fine.
            if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
                return;
            }
        }
    });
    sender
}

/// What comes from the terminal's process; its end comes as nothing.
fn reader() -> Receiver<Option<String>> {
    let (sender, lines) = async_channel::bounded(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send_blocking(Some(line)).is_err() {
                return;
            }
        }
        let _ = sender.send_blocking(None);
    });
    lines
}

/// Commands to one of the machines.
struct Pipe<C> {
    commands: Sender<C>,
    asked: Receiver<C>,
}

impl<C> Pipe<C> {
    fn new() -> Self {
        let (commands, asked) = async_channel::unbounded();
        Self { commands, asked }
    }

    /// A machine that has ended takes no commands, and that is fine.
    fn put(&self, command: C) {
        let _ = self.commands.try_send(command);
    }
}

/// Who is at the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Attached,
    /// The terminal goes once the relay has all turns.
    Detaching,
    /// There is none: the session goes on at the relay.
    Detached,
}

struct Host {
    chat: Pipe<ChatCommand>,
    bridge: Pipe<BridgeCommand>,
    terminal: Sender<String>,
    unshown: Cell<u64>,
    snapshot: RefCell<Snapshot>,
    turns: Cell<u64>,
    stage: Cell<Stage>,
    agent_over: Cell<bool>,
    presence: Presence,
    kept: Option<Kept>,
    /// Whether the agent takes up a conversation.
    resumes: bool,
    /// The session is known.
    bound: (Sender<SessionId>, Receiver<SessionId>),
    /// The terminal wants to go.
    detaching: (Sender<()>, Receiver<()>),
    /// What the agent is called on this machine.
    own: SessionId,
    directory: String,
    log: EventLog,
}

impl Host {
    fn run(
        &self,
        place: &Place,
        chat: ChatConfig,
        bridge: BridgeConfig,
        ends: Ends,
    ) -> Result<(), Error> {
        let machine = work::host(&place.relay, &place.reach)?;
        let for_bridge = work::host(&place.relay, &place.reach)?;
        let ended = ends.forward(|urgency| match urgency {
            Urgency::Clean | Urgency::Drain => self.end(),
            Urgency::ShutdownNow => {
                self.chat.put(ChatCommand::ShutdownNow);
                self.bridge.put(BridgeCommand::TeardownNow);
            }
        });
        let both = async {
            let talking = async {
                let asked = self.chat.asked.clone();
                let outcome = drive(Chat::new(chat), machine, asked, |it| self.on_chat(it)).await;
                self.agent_over.set(true);
                self.bridge.put(BridgeCommand::Teardown);
                outcome
            };
            let sharing = async {
                let asked = self.bridge.asked.clone();
                let bridge = Bridge::new(bridge);
                drive(bridge, for_bridge, asked, |it| self.on_bridge(it)).await
            };
            let (talked, shared) = zip(talking, sharing).await;
            talked.and(shared).map_err(Error::from)
        };
        let lines = reader();
        let beside = self.listen(&lines).or(self.hurry()).or(self.compare(place));
        block_on(both.or(beside).or(ended))
    }

    /// What the terminal says.
    async fn listen<T>(&self, lines: &Receiver<Option<String>>) -> T {
        while let Ok(line) = lines.recv().await {
            match line.as_deref().map(Line::<Asked>::parse) {
                Some(Some(Line::Agent(line))) => {
                    self.chat.put(ChatCommand::Terminal(Text::from(line)));
                }
                Some(Some(Line::Own(Asked::Detach))) => self.detach(),
                Some(Some(Line::Own(Asked::End))) => self.end(),
                Some(_) => {}
                // The terminal was closed, or its process killed.
                None if self.stage.get() == Stage::Detached => {}
                None => self.end(),
            }
        }
        std::future::pending().await
    }

    /// The terminal does not wait for the relay for ever.
    async fn hurry<T>(&self) -> T {
        while self.detaching.1.recv().await.is_ok() {
            async_io::Timer::after(DETACH_WAIT).await;
            if self.stage.get() == Stage::Detaching {
                self.stage.set(Stage::Attached);
                let reason = "the relay does not have the last turns yet".to_owned();
                self.tell(&Line::Own(Told::NotDetached { reason }));
            }
        }
        std::future::pending().await
    }

    /// What was there before, if a chat was killed here, and what the relay has of it.
    async fn compare<T>(&self, place: &Place) -> T {
        let before = self.kept.as_ref().and_then(Kept::before);
        if let Some(before) = before
            && let Some(known) = &before.session
            && let Ok(session) = self.bound.1.recv().await
        {
            let told = if *known == session.as_str() {
                let (turns, resumes) = (before.turns, self.resumes);
                let stored = turns_at(place, &session).await;
                stored.map(|stored| Told::TakenUp { turns, stored, resumes })
            } else {
                Ok(Told::NotTakenUp { session: known.clone() })
            };
            match told {
                Ok(told) => self.tell(&Line::Own(told)),
                Err(error) => {
                    let words = format_args!("could not count the turns at the relay: {error}");
                    self.log.write(Level::Warn, "not_compared", &[], words);
                }
            }
        }
        std::future::pending().await
    }

    fn end(&self) {
        self.chat.put(ChatCommand::Shutdown);
    }

    fn detach(&self) {
        if self.stage.get() == Stage::Attached {
            let snapshot = self.snapshot.borrow().clone();
            if snapshot.state == BridgeState::Connected {
                self.stage.set(Stage::Detaching);
                // One that is not read yet says the same.
                let _ = self.detaching.0.try_send(());
                return self.detach_if_stored();
            }
            let why = snapshot.error().unwrap_or("it has not connected yet");
            let reason = format!("nobody could reach the session: {why}");
            self.tell(&Line::Own(Told::NotDetached { reason }));
        }
    }

    /// Both sides have counted the same turns.
    fn detach_if_stored(&self) {
        let snapshot = self.snapshot.borrow();
        let Some(session) = snapshot.session.as_ref().filter(|_| {
            self.stage.get() == Stage::Detaching && snapshot.turns_stored >= snapshot.turns
        }) else {
            return;
        };
        self.stage.set(Stage::Detached);
        self.tell(&Line::Own(Told::Detached {
            session: session.to_string(),
            turns: self.turns.get(),
            stored: snapshot.turns_stored,
        }));
    }

    fn on_chat(&self, notice: ChatNotice) {
        match notice {
            ChatNotice::Started { .. } => {
                self.note();
                self.tell(&Line::Own(Told::Started));
            }
            ChatNotice::Init(mut init) => {
                init.cwd.clone_from(&self.directory);
                self.bridge.put(BridgeCommand::Init(init));
            }
            ChatNotice::Terminal { from, line } => {
                let line = line.as_str().to_owned();
                self.tell(&match from {
                    Voice::Agent => Line::Agent(line),
                    Voice::Viewer => Line::Viewer(line),
                    Voice::Program => Line::Program(line),
                });
            }
            ChatNotice::Viewers(line) => self.bridge.put(BridgeCommand::Publish(line)),
            ChatNotice::ViewersTaken { lines } => self.bridge.put(BridgeCommand::Taken { lines }),
            ChatNotice::Turns(turns) => {
                self.turns.set(turns);
                self.keep(|note| note.turns = turns + self.turns_before());
            }
            ChatNotice::Conversation(conversation) => {
                self.keep(|note| note.conversation = Some(conversation));
            }
            ChatNotice::Over(status) => {
                self.agent_over.set(true);
                self.bridge.put(BridgeCommand::Over(status));
            }
            ChatNotice::Survived { processes } => {
                let words = format_args!("could not end {}", processes.join(", "));
                self.log.write(Level::Warn, "survived", &[], words);
            }
        }
    }

    fn on_bridge(&self, notice: BridgeNotice) {
        match notice {
            BridgeNotice::Incoming(incoming) => {
                if self.agent_over.get() {
                    return;
                }
                self.chat.put(ChatCommand::Viewers(incoming.line));
            }
            BridgeNotice::Behind(is_behind) => self.chat.put(ChatCommand::Behind(is_behind)),
            BridgeNotice::Snapshot(snapshot) => {
                *self.snapshot.borrow_mut() = *snapshot;
                self.note();
                self.tell(&Line::Own(Told::Bridge(self.shown())));
                self.detach_if_stored();
            }
            BridgeNotice::SessionChanged { now, lines_missing, .. } => {
                let now = now.to_string();
                self.tell(&Line::Own(Told::SessionChanged { now, lines_missing }));
            }
            BridgeNotice::SessionEnded { reason } => {
                // Who has left the terminal has left the agent to the viewers, and they have ended it.
                let is_over = matches!(self.snapshot.borrow().state, BridgeState::Failed { .. });
                if self.stage.get() == Stage::Detached && is_over {
                    self.end();
                }
                // Whoever sees the agent end needs no word of that.
                if !self.agent_over.get() {
                    self.tell(&Line::Own(Told::SessionEnded { reason }));
                }
            }
            BridgeNotice::NotPublished(_) => {
                let words =
                    format_args!("a line was not shared: too much is waiting for the relay");
                self.log.write(Level::Error, "not_shared", &[], words);
            }
            BridgeNotice::Bound(handle) => {
                let session = handle.session().clone();
                let turns = self.turns.get() + self.turns_before();
                self.keep(|note| {
                    (note.session, note.turns) = (Some(session.to_string()), turns);
                });
                // Only the first one is compared.
                let _ = self.bound.0.try_send(session);
            }
            BridgeNotice::MirrorInitialized
            | BridgeNotice::Signed(_)
            | BridgeNotice::NotSigned { .. } => {}
        }
    }

    fn keep(&self, change: impl FnOnce(&mut Note)) {
        if let Some(kept) = &self.kept {
            kept.change(change);
        }
    }

    /// The turns of the chat before, which was killed.
    fn turns_before(&self) -> u64 {
        self.kept.as_ref().and_then(Kept::before).map_or(0, |before| before.turns)
    }

    fn shown(&self) -> talk::Bridge {
        let snapshot = self.snapshot.borrow();
        talk::Bridge {
            is_connected: snapshot.state == BridgeState::Connected,
            error: snapshot.error().map(str::to_owned),
            session: snapshot.session.as_ref().map(ToString::to_string),
            page: snapshot.page.clone(),
        }
    }

    /// What others on this machine see of the session.
    fn note(&self) {
        let snapshot = self.snapshot.borrow();
        self.presence.change(|entries| {
            let mut entry = Entry {
                session_id: self.own.clone(),
                bridge_session_id: snapshot.session.clone(),
                socket: None,
                can_send: snapshot.can_send.is_allowed(),
                name: peers::name_of(&self.directory),
                status: String::new(),
                waiting_for: None,
                worker_draining: false,
                directory: self.directory.clone(),
            };
            entry.waits(snapshot.open_questions);
            *entries = vec![entry];
        });
    }

    fn tell(&self, line: &Line<Told>) {
        let missed = self.unshown.replace(0);
        if missed > 0 {
            let text = Line::Own(Told::Unshown(missed)).to_text();
            if self.terminal.try_send(text).is_err() {
                self.unshown.set(missed + 1);
                return;
            }
        }
        if self.terminal.try_send(line.to_text()).is_err() {
            self.unshown.set(self.unshown.get() + 1);
        }
    }
}
