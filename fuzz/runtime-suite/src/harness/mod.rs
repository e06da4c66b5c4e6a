//! A machine that does what a case says and reports what happened, driven on its own thread.
//!
//! Only [`Driven::start`] knows the runtime. Everything else, and every case, is about actions and
//! events.

mod hole;
pub(crate) mod process;
pub(crate) mod stream;

pub use hole::Hole;
use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::{
    Action, Answer, Head, Message, Method, ProcessSpec, Reach, Request, Response, Target,
};
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::{Event, IncomingRequest, IoError, IoErrorKind};
use footbridge_core::contract::machine::{Machine, Outcome, Step};

use crate::{HostSpec, Running, Runtime};

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test watches for what must not happen.
pub const A_WHILE: Duration = Duration::from_millis(200);

/// A case's requests to its machine.
#[derive(Debug)]
pub enum Order {
    /// Carry this out.
    Do(Box<Action>),
    /// Wait this long for a tick.
    Tick(Duration),
    /// Finish successfully.
    End,
}

/// A machine that only does what it is told.
#[derive(Debug, Default)]
pub struct Puppet {
    steps: VecDeque<Step<(Now, Event)>>,
    deadline: Option<Instant>,
}

impl Machine for Puppet {
    type Command = Order;
    type Notice = (Now, Event);

    fn command(&mut self, now: Now, order: Order) {
        match order {
            Order::Do(action) => self.steps.push_back(Step::Do(*action)),
            Order::Tick(after) => self.deadline = Some(now.mono + after),
            Order::End => self.steps.push_back(Step::Finished(Ok(()))),
        }
    }

    fn handle(&mut self, now: Now, event: Event) {
        if event == Event::Tick {
            self.deadline = None;
        }
        self.steps.push_back(Step::Tell((now, event)));
    }

    fn step(&mut self) -> Step<(Now, Event)> {
        self.steps.pop_front().unwrap_or(Step::Wait(self.deadline))
    }
}

/// Where the events go, each with its time.
pub type OnNotice = Box<dyn FnMut((Now, Event)) + Send>;

/// A puppet and its strings.
#[expect(missing_debug_implementations, reason = "closures and threads")]
pub struct Driven {
    orders: Box<dyn Fn(Order) + Send>,
    events: Receiver<(Now, Event)>,
    thread: Option<JoinHandle<Outcome>>,
    last_op: NonZeroU64,
}

impl Driven {
    /// Drives a puppet on a runtime.
    pub fn start<R: Runtime>() -> Self {
        Self::on::<R>(HostSpec::default())
    }

    /// Drives one on the case's own host.
    pub fn on<R: Runtime>(host: HostSpec) -> Self {
        Self::by(|puppet, on_notice| R::start(puppet, host, on_notice))
    }

    /// Drives one however `start` does it.
    pub fn by(start: impl FnOnce(Puppet, OnNotice) -> Running<Puppet>) -> Self {
        let (tell, events) = mpsc::channel();
        // A case that has seen enough has stopped listening.
        let Running { command, thread } =
            start(Puppet::default(), Box::new(move |notice| drop(tell.send(notice))));
        Self { orders: command, events, thread: Some(thread), last_op: NonZeroU64::MIN }
    }

    /// Sends the machine a request.
    pub fn order(&self, order: Order) {
        (self.orders)(order);
    }

    /// Has an action carried out.
    pub fn act(&self, action: Action) {
        self.order(Order::Do(Box::new(action)));
    }

    /// Starts an operation.
    pub fn begin(&mut self, action: impl FnOnce(OpId) -> Action) -> OpId {
        self.last_op = self.last_op.saturating_add(1);
        let op = OpId::new(self.last_op);
        self.act(action(op));
        op
    }

    /// The next event with its time.
    #[track_caller]
    pub fn next_at(&self) -> (Now, Event) {
        self.events.recv_timeout(PATIENCE).expect("an event in time")
    }

    /// The next event.
    #[track_caller]
    pub fn next(&self) -> Event {
        self.next_at().1
    }

    /// Nothing happens for a while.
    #[track_caller]
    pub fn is_quiet(&self) {
        match self.events.recv_timeout(A_WHILE) {
            Err(RecvTimeoutError::Timeout) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Everything that happens until nothing has for a while.
    pub fn settled(&self) -> Vec<Event> {
        let next = || self.events.recv_timeout(A_WHILE).ok();
        std::iter::from_fn(next).map(|(_, event)| event).collect()
    }

    /// What has happened so far and was not yet looked at.
    pub fn pending(&self) -> Vec<Event> {
        self.events.try_iter().map(|(_, event)| event).collect()
    }

    /// Ends the machine and waits for its driver; returns the events not yet looked at.
    #[track_caller]
    pub fn end(mut self) -> Vec<Event> {
        self.order(Order::End);
        let outcome = self.thread.take().expect("ended once").join();
        assert_eq!(outcome.expect("the driver does not panic"), Ok(()));
        self.pending()
    }

    // Shorthands for the most common steps.

    /// The next event is the failure of `op`.
    #[track_caller]
    pub fn failed(&self, op: OpId) -> IoError {
        match self.next() {
            Event::Failed { op: failed, failure } if failed == op => failure,
            other => panic!("not a failure of {op}: {other:?}"),
        }
    }

    /// The next event is the failure of `op`, of this kind.
    #[track_caller]
    pub fn fails_with(&self, op: OpId, kind: IoErrorKind) {
        let failure = self.failed(op);
        assert_eq!(failure.kind, kind, "{failure}");
    }

    /// The next event is the response to `op`.
    #[track_caller]
    pub fn response(&self, op: OpId) -> Response {
        match self.next() {
            Event::Response { op: answered, response } if answered == op => response,
            other => panic!("not a response to {op}: {other:?}"),
        }
    }

    /// The next event: the stream `op` is open.
    #[track_caller]
    pub fn opened(&self, op: OpId) {
        assert_eq!(self.next(), Event::Opened { op });
    }

    /// The next event is a message of the stream `op`.
    #[track_caller]
    pub fn received(&self, op: OpId) -> Message {
        match self.next() {
            Event::Received { op: from, message } if from == op => message,
            other => panic!("not a message of {op}: {other:?}"),
        }
    }

    /// The next event is the head of a streamed response to `op`.
    #[track_caller]
    pub fn head(&self, op: OpId) -> Head {
        match self.next() {
            Event::Head { op: of, head } if of == op => head,
            other => panic!("not a head of {op}: {other:?}"),
        }
    }

    /// A stream's content until its end, and then why it broke, if it did.
    #[track_caller]
    pub fn rest(&self, op: OpId) -> (Vec<u8>, Option<IoErrorKind>) {
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                Event::Received { op: of, message: Message::Binary(piece) } if of == op => {
                    bytes.extend_from_slice(&piece);
                }
                Event::Closed { op: of, code: None, failure } if of == op => {
                    return (bytes, failure.map(|failure| failure.kind));
                }
                other => panic!("not a piece of {op}: {other:?}"),
            }
        }
    }

    /// Listens on a free port of this machine.
    #[track_caller]
    pub fn listen(&mut self) -> (OpId, String) {
        self.listen_with(ListenLimits::default())
    }

    /// The same, with limits for its clients.
    #[track_caller]
    pub fn listen_with(&mut self, limits: ListenLimits) -> (OpId, String) {
        let address = "127.0.0.1:0".into();
        let op = self.begin(|op| Action::Listen { op, address, limits });
        match self.next() {
            Event::Listening { op: opened, address } if opened == op => (op, address),
            other => panic!("not listening: {other:?}"),
        }
    }

    /// The next event is a request to `op`.
    #[track_caller]
    pub fn asked(&self, op: OpId) -> IncomingRequest {
        match self.next() {
            Event::Requested { op: of, request: asked } if of == op => asked,
            other => panic!("not a request to {op}: {other:?}"),
        }
    }

    /// Starts a GET.
    pub fn get(&mut self, url: &str) -> OpId {
        let request = get(url);
        self.begin(|op| Action::Request { op, request })
    }

    /// Starts a GET with this time limit.
    pub fn get_within(&mut self, url: &str, timeout: Duration) -> OpId {
        let request = Request { timeout, ..get(url) };
        self.begin(|op| Action::Request { op, request })
    }

    /// Starts a GET whose response is streamed.
    pub fn stream(&mut self, url: &str, idle_timeout: Duration) -> OpId {
        let request = Request { answer: Answer::Stream { idle_timeout }, ..get(url) };
        self.begin(|op| Action::Request { op, request })
    }

    /// Starts a shell with a script.
    pub fn spawn(&mut self, script: &str) -> OpId {
        let command = shell(script);
        self.begin(|op| Action::Spawn { op, command })
    }

    /// Starts a process and waits until it is running.
    #[track_caller]
    pub fn spawned(&mut self, command: ProcessSpec) -> (OpId, u32) {
        let op = self.begin(|op| Action::Spawn { op, command });
        loop {
            match self.next() {
                Event::Spawned { op: of, pid } if of == op => return (op, pid),
                // Of a process before it, which takes its time.
                Event::OutputEnded { op: of, .. } if of != op => {}
                other => panic!("not spawned: {other:?}"),
            }
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A test that fails leaves its driver to the end of the process.
            if !std::thread::panicking() {
                self.order(Order::End);
                let _ = thread.join();
            }
        }
    }
}

/// A GET without headers, with a time limit of ten seconds.
pub fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.into(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        answer: Answer::Whole { max_body: 1 << 20 },
        reach: Reach::Anywhere,
    }
}

/// A WebSocket without headers, with a time limit of ten seconds.
pub fn websocket(url: &str, protocol: Option<&'static str>) -> Target {
    Target::WebSocket {
        url: url.into(),
        headers: Vec::new(),
        protocol,
        timeout: Duration::from_secs(10),
        max_message: 1 << 20,
    }
}

/// A shell with a script.
pub fn shell(script: &str) -> ProcessSpec {
    ProcessSpec {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        env_remove: Vec::new(),
        directory: None,
    }
}

/// A response without headers.
pub fn answer(status: u16, body: &'static str) -> Response {
    Response { status, headers: Vec::new(), body: Bytes::from_static(body.as_bytes()) }
}

/// One ignored test of this program, in its own process.
pub fn alone(test: &str) -> std::process::Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command
}
