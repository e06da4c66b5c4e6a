//! A worker whose runtime and relay are a few function calls.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use footbridge_core::auth::Credential;
use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::{Duration, Instant, Now, UnixTime};
use footbridge_core::contract::action::{Action, Message, Response, Target};
use footbridge_core::contract::event::{Event, ExitStatus, Output};
use footbridge_core::contract::machine::{Machine, Step};
use footbridge_core::wire::link_v1::ControlFrame;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{AgentProgram, Worker, WorkerConfig};

/// So many idle cycles bring nothing but polls: links and leases are quiet for longer.
pub const IDLE_CYCLES: u64 = 8;

/// A worker that is registered and polling for work.
#[derive(Debug)]
pub struct ByHand {
    worker: Worker,
    now: Now,
    poll: Option<OpId>,
}

/// A running session.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    work: u32,
    agent: OpId,
    link: OpId,
    /// Lines that the agent's side has sent and the relay has acknowledged.
    acknowledged: u64,
}

impl Default for ByHand {
    fn default() -> Self {
        Self::new()
    }
}

impl ByHand {
    /// From construction to the first poll.
    pub fn new() -> Self {
        Self::with_room(32)
    }

    /// The same, with room for this many sessions.
    pub fn with_room(sessions: u32) -> Self {
        let relay = BaseUrl::parse("http://127.0.0.1:1").expect("a URL");
        let agent = AgentProgram { program: "agent".into(), args: vec![], env: vec![] };
        let token = Credential::fixed(Secret::from("token"));
        let mut config = WorkerConfig::new(relay, token, "/w".into(), agent, 42);
        config.max_sessions = sessions;
        let worker = Worker::new(config);
        let now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(1_000_000) };
        let mut by_hand = Self { worker, now, poll: None };
        let mut actions = by_hand.actions();
        while let Some(op) = actions.iter().find_map(ran) {
            let status = ExitStatus::Code(1);
            let (stdout, stderr) = (Bytes::new(), Bytes::new());
            actions = by_hand.handle(Event::Ran { op, status, stdout, stderr });
        }
        let register = actions.iter().find_map(request).expect("it registers");
        let answer = r#"{"environment_id":"env_1","environment_secret":"s"}"#;
        let actions = by_hand.respond(register, answer);
        by_hand.poll = actions.iter().find_map(poll);
        by_hand
    }

    /// Dispatch: from the poll's response, through the acknowledgement, to the agent and its link.
    pub fn dispatch(&mut self, item: &str, work: u32) -> Running {
        let poll = self.poll.expect("it asks for work");
        let actions = self.respond(poll, item);
        let is_ack = |(_, url): &(OpId, &str)| url.ends_with("/ack");
        let (ack, _) =
            actions.iter().filter_map(request_url).find(is_ack).expect("the item is acknowledged");
        self.poll = actions.iter().find_map(self::poll);
        let actions = self.respond(ack, r#"{"state":"acked"}"#);
        let agent = actions.iter().find_map(spawned).expect("the agent is started");
        let link = actions.iter().find_map(opened).expect("the link is opened");
        Running { work, agent, link, acknowledged: 0 }
    }

    /// The agent and its link come up.
    pub fn bring_up(&mut self, session: &mut Running) {
        self.handle(Event::Spawned { op: session.agent, pid: 7 });
        self.handle(Event::Opened { op: session.link });
        let sent =
            self.word(session.link, &ControlFrame::Resume { received: 0, from: 0, window: None });
        session.acknowledged += lines_of(&sent);
        self.word(session.link, &ControlFrame::Ack { received: session.acknowledged });
    }

    /// The agent prints a chunk of complete lines, and the relay acknowledges them. Returns the
    /// lines.
    pub fn pump(&mut self, session: &mut Running, chunk: Bytes) -> u64 {
        let sent = self.handle(Event::Stdout { op: session.agent, data: chunk });
        let lines = lines_of(&sent);
        session.acknowledged += lines;
        self.word(session.link, &ControlFrame::Ack { received: session.acknowledged });
        lines
    }

    /// What the agent prints, for [`Self::apply`].
    pub const fn printed(&self, session: &Running, chunk: Bytes) -> Event {
        Event::Stdout { op: session.agent, data: chunk }
    }

    /// The relay acknowledges this many more lines of the agent's.
    pub fn acknowledged(&self, session: &mut Running, lines: u64) -> Event {
        session.acknowledged += lines;
        let word = ControlFrame::Ack { received: session.acknowledged };
        Event::Received { op: session.link, message: Message::Binary(word.to_bytes()) }
    }

    /// What a viewer has sent to the agent. Its text is a part of what was read from a socket.
    pub fn from_viewer(&self, session: &Running, line: &str) -> Event {
        let mut read = Bytes::from(["\u{1}", line].concat());
        let text = Text::from_utf8(read.split_off(1)).unwrap_or_default();
        Event::Received { op: session.link, message: Message::Text(text) }
    }

    /// The agent's pipe has what it was given.
    pub const fn written(&self, session: &Running) -> Event {
        Event::Written { op: session.agent, writes: 1 }
    }

    /// The relay has held the poll for a moment, and has nothing. It is a short one, so that nothing
    /// else is due: the next poll is the only thing to do.
    pub fn nothing_to_do(&mut self) -> Event {
        self.now.mono = self.now.mono + Duration::from_secs(1);
        let op = self.poll.take().expect("it asks for work");
        Event::Response {
            op,
            response: Response { status: 204, headers: vec![], body: Bytes::new() },
        }
    }

    /// Hands in an event, and takes what is to be done into `actions`, without more memory of its own.
    pub fn apply(&mut self, event: Event, actions: &mut Vec<Action>) {
        self.worker.handle(self.now, event);
        loop {
            match self.worker.step() {
                Step::Do(action) => {
                    self.poll = poll(&action).or(self.poll);
                    actions.push(action);
                }
                Step::Tell(_) => {}
                Step::Wait(_) => return,
                Step::Finished(outcome) => panic!("it ended: {outcome:?}"),
            }
        }
    }

    /// The agent ends, and its result is reported.
    pub fn end(&mut self, session: Running) {
        let op = session.agent;
        self.handle(Event::OutputEnded { op, output: Output::Stdout });
        self.handle(Event::OutputEnded { op, output: Output::Stderr });
        let mut sent = self.handle(Event::Exited { op, status: ExitStatus::Code(0) });
        let ending = |action: &Action| match action {
            Action::EndTree { op, .. } => Some(*op),
            _ => None,
        };
        let op = sent.iter().find_map(ending).expect("the end of all that it started");
        sent.extend(self.handle(Event::TreeEnded { op, survivors: vec![] }));
        let received = session.acknowledged + lines_of(&sent);
        let actions = self.word(session.link, &ControlFrame::Ack { received });
        let stop = format!("/work/work_{}/stop", session.work);
        let mut requests = actions.iter().filter_map(request_url);
        let (stop, _) = requests.find(|(_, url)| url.ends_with(&stop)).expect("a report");
        self.respond(stop, r#"{"state":"stopped"}"#);
    }

    fn word(&mut self, op: OpId, word: &ControlFrame) -> Vec<Action> {
        self.handle(Event::Received { op, message: Message::Binary(word.to_bytes()) })
    }

    fn respond(&mut self, op: OpId, body: &str) -> Vec<Action> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.handle(Event::Response {
            op,
            response: Response { status: 200, headers: vec![], body },
        })
    }

    fn handle(&mut self, event: Event) -> Vec<Action> {
        self.worker.handle(self.now, event);
        self.actions()
    }

    fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        loop {
            match self.worker.step() {
                Step::Do(action) => actions.push(action),
                Step::Tell(_) => {}
                Step::Wait(_) => return actions,
                Step::Finished(outcome) => panic!("it ended: {outcome:?}"),
            }
        }
    }
}

/// A work item as a relay hands it out.
pub fn item(work: u32) -> String {
    let secret = URL_SAFE_NO_PAD.encode(r#"{"version":1,"session_ingress_token":"t"}"#);
    format!(
        r#"{{"id":"work_{work}","type":"work","environment_id":"env_1","state":"leased","data":{{"type":"session","id":"session_{work}"}},"secret":"{secret}","created_at":"2026-01-31T12:00:00.000Z","fence":1,"lease_seconds":60}}"#
    )
}

fn lines_of(actions: &[Action]) -> u64 {
    // Reports from the worker itself count as lines; other frames do not.
    let is_line = |message: &Message| match message {
        Message::Text(_) => true,
        Message::Binary(word) => {
            matches!(ControlFrame::parse(word), Ok(ControlFrame::Report { .. }))
        }
    };
    let sent =
        actions.iter().filter(|a| matches!(a, Action::Send { message, .. } if is_line(message)));
    sent.count().try_into().unwrap_or(u64::MAX)
}

const fn ran(action: &Action) -> Option<OpId> {
    if let Action::Run { op, .. } = action { Some(*op) } else { None }
}

const fn request(action: &Action) -> Option<OpId> {
    if let Action::Request { op, .. } = action { Some(*op) } else { None }
}

fn poll(action: &Action) -> Option<OpId> {
    request_url(action).filter(|(_, url)| url.ends_with("/work/poll")).map(|(op, _)| op)
}

fn request_url(action: &Action) -> Option<(OpId, &str)> {
    if let Action::Request { op, request } = action { Some((*op, &request.url)) } else { None }
}

const fn spawned(action: &Action) -> Option<OpId> {
    if let Action::Spawn { op, .. } = action { Some(*op) } else { None }
}

const fn opened(action: &Action) -> Option<OpId> {
    match action {
        Action::Open { op, target: Target::WebSocket { .. } } => Some(*op),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_a_whole_session() {
        let mut worker = ByHand::new();
        for work in 0..3 {
            let mut session = worker.dispatch(&item(work), work);
            worker.bring_up(&mut session);
            let lines = b"{\"type\":\"a\"}\n".repeat(100);
            assert_eq!(worker.pump(&mut session, Bytes::from(lines)), 100);
            worker.end(session);
        }
    }

    #[test]
    fn with_sessions_an_idle_cycle_is_the_next_poll_and_nothing_else() {
        let mut worker = ByHand::new();
        let mut session = worker.dispatch(&item(1), 1);
        worker.bring_up(&mut session);
        for _ in 0..IDLE_CYCLES {
            let (event, mut actions) = (worker.nothing_to_do(), Vec::new());
            worker.apply(event, &mut actions);
            assert!(matches!(&*actions, [action] if poll(action).is_some()), "{actions:?}");
        }
    }
}
