//! A machine that does what a test says and tells it what happened, driven in a thread of its own.
//!
//! Only [`Driven::start`] knows the runtime. Everything else, and every test, is about actions and
//! events.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::{
    Action, Message, Method, ProcessSpec, Request, Response, Target,
};
use footbridge_core::contract::event::{Event, IncomingRequest, IoError, IoErrorKind};
use footbridge_core::contract::machine::{Machine, Outcome, Step};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a test watches for what must not happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(200);

/// What a test asks of its machine.
pub(crate) enum Order {
    Do(Box<Action>),
    /// Wait so long for a tick.
    Tick(Duration),
    End,
}

/// A machine without a will of its own.
#[derive(Default)]
pub(crate) struct Puppet {
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

/// A puppet and its strings.
pub(crate) struct Driven {
    orders: Box<dyn Fn(Order) + Send>,
    events: Receiver<(Now, Event)>,
    thread: Option<JoinHandle<Outcome>>,
    last_op: NonZeroU64,
}

impl Driven {
    /// Drives a puppet on this runtime.
    pub(crate) fn start() -> Self {
        Self::start_with(|| footbridge_smol::HostOptions {
            proxy: footbridge_smol::Proxy::None,
            ..footbridge_smol::HostOptions::default()
        })
    }

    pub(crate) fn start_with(
        options: impl FnOnce() -> footbridge_smol::HostOptions + Send + 'static,
    ) -> Self {
        let (sender, orders) = async_channel::unbounded();
        let (tell, events) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let host = footbridge_smol::Host::new(options()).expect("usable options");
            let on_notice = |notice| drop(tell.send(notice));
            let driving = footbridge_smol::drive(Puppet::default(), host, orders, on_notice);
            footbridge_smol::block_on(driving)
        });
        let orders = Box::new(move |order| sender.send_blocking(order).expect("a running machine"));
        Self { orders, events, thread: Some(thread), last_op: NonZeroU64::MIN }
    }

    pub(crate) fn order(&self, order: Order) {
        (self.orders)(order);
    }

    pub(crate) fn act(&self, action: Action) {
        self.order(Order::Do(Box::new(action)));
    }

    /// Starts an operation.
    pub(crate) fn begin(&mut self, action: impl FnOnce(OpId) -> Action) -> OpId {
        self.last_op = self.last_op.saturating_add(1);
        let op = OpId::new(self.last_op);
        self.act(action(op));
        op
    }

    /// The next event with its time.
    #[track_caller]
    pub(crate) fn next_at(&self) -> (Now, Event) {
        self.events.recv_timeout(PATIENCE).expect("an event in time")
    }

    #[track_caller]
    pub(crate) fn next(&self) -> Event {
        self.next_at().1
    }

    /// Nothing happens for a while.
    #[track_caller]
    pub(crate) fn is_quiet(&self) {
        match self.events.recv_timeout(A_WHILE) {
            Err(RecvTimeoutError::Timeout) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// What happens until nothing more does for a while.
    pub(crate) fn settled(&self) -> Vec<Event> {
        let next = || self.events.recv_timeout(A_WHILE).ok();
        std::iter::from_fn(next).map(|(_, event)| event).collect()
    }

    /// What has happened until now and was not looked at.
    pub(crate) fn pending(&self) -> Vec<Event> {
        self.events.try_iter().map(|(_, event)| event).collect()
    }

    /// Ends the machine and waits for its driver.
    #[track_caller]
    pub(crate) fn end(mut self) {
        self.order(Order::End);
        let outcome = self.thread.take().expect("ended once").join();
        assert_eq!(outcome.expect("the driver does not panic"), Ok(()));
    }

    // Shorter ways to say the commonest things.

    #[track_caller]
    pub(crate) fn failed(&self, op: OpId) -> IoError {
        match self.next() {
            Event::Failed { op: failed, failure } if failed == op => failure,
            other => panic!("no failure of {op}: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn fails_with(&self, op: OpId, kind: IoErrorKind) {
        let failure = self.failed(op);
        assert_eq!(failure.kind, kind, "{failure}");
    }

    #[track_caller]
    pub(crate) fn response(&self, op: OpId) -> Response {
        match self.next() {
            Event::Response { op: answered, response } if answered == op => response,
            other => panic!("no response to {op}: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn opened(&self, op: OpId) {
        assert_eq!(self.next(), Event::Opened { op });
    }

    #[track_caller]
    pub(crate) fn received(&self, op: OpId) -> Message {
        match self.next() {
            Event::Received { op: from, message } if from == op => message,
            other => panic!("no message of {op}: {other:?}"),
        }
    }

    /// Listens on a free port of this machine.
    #[track_caller]
    pub(crate) fn listen(&mut self) -> (OpId, String) {
        let op = self.begin(|op| Action::Listen { op, address: "127.0.0.1:0".into() });
        match self.next() {
            Event::Listening { op: opened, address } if opened == op => (op, address),
            other => panic!("not listening: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn asked(&self, op: OpId) -> IncomingRequest {
        match self.next() {
            Event::Requested { op: of, request: asked } if of == op => asked,
            other => panic!("{op} was not asked: {other:?}"),
        }
    }

    pub(crate) fn get(&mut self, url: &str) -> OpId {
        let request = get(url);
        self.begin(|op| Action::Request { op, request })
    }

    pub(crate) fn spawn(&mut self, script: &str) -> OpId {
        let command = shell(script);
        self.begin(|op| Action::Spawn { op, command })
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

pub(crate) fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.into(),
        headers: Vec::new(),
        body: Bytes::new(),
        timeout: Duration::from_secs(10),
        max_response: 1 << 20,
    }
}

pub(crate) fn websocket(url: &str, protocol: Option<&'static str>) -> Target {
    Target::WebSocket {
        url: url.into(),
        headers: Vec::new(),
        protocol,
        timeout: Duration::from_secs(10),
        max_message: 1 << 20,
    }
}

pub(crate) fn shell(script: &str) -> ProcessSpec {
    ProcessSpec {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        env: Vec::new(),
        env_remove: Vec::new(),
        directory: None,
    }
}

pub(crate) fn answer(status: u16, body: &'static str) -> Response {
    Response { status, headers: Vec::new(), body: Bytes::from_static(body.as_bytes()) }
}

/// One ignored test of this program, in a process of its own.
pub(crate) fn alone(test: &str) -> std::process::Command {
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command
}
