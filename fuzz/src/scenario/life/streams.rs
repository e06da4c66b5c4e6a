//! Two small machines that stream to each other while connections break: what a client reads from
//! many responses is one sequence without gaps.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::{Action, Answer, Head, Message, Method, Reach, Request};
use footbridge_core::contract::check::Checker;
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

use super::*;
use crate::ids::ConnId;
use crate::names::RELAY_URL;
use crate::nodes::node::Driven;
use crate::sim::clock::Clock;
use crate::sim::disk::Disk;
use crate::sim::host::Host;
use crate::sim::party::Party;

/// How many numbers there are, each a piece of 4 kB.
const NUMBERS: u32 = 300;
const PIECE: usize = 4 << 10;
/// Pieces that a server may have in flight.
const WINDOW: usize = 8;
const LIMIT: Duration = Duration::from_secs(30);

/// What both machines have in common.
struct Base {
    steps: VecDeque<Step<()>>,
    checker: Checker,
    last_op: u64,
    now: Now,
}

impl Base {
    fn new() -> Self {
        let (steps, checker) = (VecDeque::new(), Checker::default());
        Self { steps, checker, last_op: 0, now: Now::default() }
    }

    fn act(&mut self, action: Action) {
        self.checker.action(&action).expect("a machine that keeps the contract");
        self.steps.push_back(Step::Do(action));
    }

    fn begin(&mut self, action: impl FnOnce(OpId) -> Action) -> OpId {
        self.last_op += 1;
        let op = OpId::new(NonZeroU64::new(self.last_op).expect("not zero"));
        self.act(action(op));
        op
    }

    /// Whether an event belongs to an open operation.
    fn takes(&mut self, now: Now, event: &Event) -> bool {
        self.now = now;
        let Some(op) = event.op() else { return true };
        // The machine has to drop a late one.
        let is_open = self.checker.get(op).is_some();
        if is_open {
            self.checker.event(event).expect("a world that keeps the contract");
        }
        is_open
    }
}

/// Counts for any client, from the number in the target.
struct Counting {
    base: Base,
    listener: OpId,
    /// Each stream, its next number, and how many are in flight.
    streams: Vec<(OpId, u32, usize)>,
}

impl Counting {
    fn new() -> Self {
        let mut base = Base::new();
        let listener = base.begin(|op| Action::Listen {
            op,
            address: "0.0.0.0:1".into(),
            limits: ListenLimits::default(),
        });
        let mut counting = Self { base, listener, streams: Vec::new() };
        (0..3).for_each(|_| counting.accept());
        counting
    }

    fn accept(&mut self) {
        let listener = self.listener;
        self.base.begin(|op| Action::Accept { op, listener });
    }

    fn fill(&mut self, at: usize) {
        while let (op, next @ ..NUMBERS, waiting @ ..WINDOW) = self.streams[at] {
            let mut piece = next.to_be_bytes().to_vec();
            piece.resize(PIECE, 0);
            let message = Message::Binary(Bytes::from(piece));
            self.base.act(Action::Send { op, message });
            self.streams[at] = (op, next + 1, waiting + 1);
            if next + 1 == NUMBERS {
                self.base.act(Action::Close { op, code: 1000 });
            }
        }
    }
}

impl Machine for Counting {
    type Command = ();
    type Notice = ();

    fn command(&mut self, _: Now, (): ()) {}

    fn handle(&mut self, now: Now, event: Event) {
        if !self.base.takes(now, &event) {
            return;
        }
        match event {
            Event::Requested { op, request } => {
                let next = request.target.trim_start_matches('/').parse().expect("a number");
                let head = Head { status: 200, headers: Vec::new() };
                self.base.act(Action::ReplyStream { op, head, write_timeout: LIMIT });
                self.streams.push((op, next, 0));
                self.fill(self.streams.len() - 1);
            }
            Event::Sent { op, messages } => {
                let at = self.streams.iter().position(|(of, ..)| *of == op).expect("a stream");
                self.streams[at].2 -= messages;
                self.fill(at);
            }
            Event::Closed { op, .. } => {
                self.streams.retain(|(of, ..)| *of != op);
                self.accept();
            }
            _ => {}
        }
    }

    fn step(&mut self) -> Step<()> {
        self.base.steps.pop_front().unwrap_or(Step::Wait(None))
    }
}

/// Reads all numbers, in as many requests as it takes, and pauses now and then.
struct Reading {
    base: Base,
    rng: Rng,
    next: u32,
    partial: Vec<u8>,
    stream: Option<OpId>,
    is_paused: bool,
    /// An intermediary has responded.
    is_foreign: bool,
    deadline: Option<Instant>,
}

impl Reading {
    fn new(seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        let (base, partial) = (Base::new(), Vec::new());
        let mut reading = Self {
            base,
            rng,
            next: 0,
            partial,
            stream: None,
            is_paused: false,
            is_foreign: false,
            deadline: None,
        };
        reading.ask();
        reading
    }

    fn ask(&mut self) {
        let request = Request {
            method: Method::Get,
            url: format!("{RELAY_URL}/{}", self.next),
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: LIMIT,
            answer: Answer::Stream { idle_timeout: LIMIT },
            reach: Reach::Anywhere,
        };
        self.partial.clear();
        self.is_paused = false;
        self.stream = Some(self.base.begin(|op| Action::Request { op, request }));
    }

    fn wait(&mut self, time: Duration) {
        self.deadline = Some(self.base.now.mono + time);
    }

    fn ended(&mut self) {
        self.stream = None;
        if self.next == NUMBERS {
            self.base.steps.push_back(Step::Finished(Ok(())));
        } else {
            self.wait(Duration::from_secs(1));
        }
    }
}

impl Machine for Reading {
    type Command = ();
    type Notice = ();

    fn command(&mut self, _: Now, (): ()) {}

    fn handle(&mut self, now: Now, event: Event) {
        if !self.base.takes(now, &event) {
            return;
        }
        match event {
            Event::Head { head, .. } => self.is_foreign = head.status != 200,
            Event::Received { op, message: Message::Binary(bytes) } if !self.is_foreign => {
                self.partial.extend_from_slice(&bytes);
                while self.partial.len() >= PIECE {
                    let piece: Vec<u8> = self.partial.drain(..PIECE).collect();
                    let number = u32::from_be_bytes([piece[0], piece[1], piece[2], piece[3]]);
                    assert_eq!(number, self.next, "a gap");
                    self.next += 1;
                }
                if !self.is_paused && self.rng.u8(..16) == 0 {
                    self.is_paused = true;
                    self.base.act(Action::Pause { op });
                    let time = Duration::from_millis(self.rng.u64(1..60_000));
                    self.wait(time);
                } else if self.rng.u8(..64) == 0 {
                    self.base.act(Action::Cancel { op });
                    self.ended();
                }
            }
            Event::Closed { failure, .. } => {
                let is_whole = self.next == NUMBERS || self.is_foreign;
                assert!(failure.is_some() || is_whole, "it looks complete");
                self.ended();
            }
            Event::Failed { .. } => self.ended(),
            Event::Tick if self.deadline.is_some_and(|at| at <= now.mono) => {
                self.deadline = None;
                match self.stream {
                    None => self.ask(),
                    Some(op) if self.is_paused => {
                        self.is_paused = false;
                        self.base.act(Action::Resume { op });
                    }
                    Some(_) => {}
                }
            }
            _ => {}
        }
    }

    fn step(&mut self) -> Step<()> {
        self.base.steps.pop_front().unwrap_or(Step::Wait(self.deadline))
    }
}

fn add<M: Machine + 'static>(life: &mut Life, name: &str, role: Role, machine: M)
where
    M::Notice: std::fmt::Debug,
{
    let cx = &mut life.world.cx;
    let clock = Clock::new(Duration::from_secs(5), 0);
    cx.hosts.push(Host::new(clock, Disk::new(1), Duration::from_millis(20)));
    let mut party = Party::new(name.to_owned(), role, cx.hosts.len() - 1);
    party.machine = Some(Box::new(Driven { machine, command: |_| None, is_traced: true }));
    cx.parties.push(party);
    let id = cx.parties.len() - 1;
    life.world.steps(id);
}

#[test]
fn broken_streams_leave_no_gap() {
    let mut total = 0;
    for seed in 0..20 {
        let options = Options::new(seed);
        let mut life = Life::new(&options);
        // Nobody else is in this world; the faults follow below.
        life.world.cx.hosts.clear();
        life.world.cx.parties.clear();
        life.world.cx.queue = EventQueue::new();
        add(&mut life, "counting", Role::Liar, Counting::new());
        add(&mut life, "reading", Role::Mallory, Reading::new(seed));
        let mut rng = Rng::with_seed(seed);
        let mut breaks = 0;
        while life.advance() {
            let world = &mut life.world;
            if rng.u8(..60) == 0 && breaks < 30 {
                breaks += 1;
                let all: Vec<ConnId> = world.network.conns.keys().copied().collect();
                let Some(conn) = rng.choice(all) else { continue };
                match rng.u8(..3) {
                    0 => world.network.reset(&mut world.cx, conn),
                    1 => world.network.swallow(conn),
                    _ => {
                        world.cx.hosts[1].cut_until = world.cx.at + Duration::from_secs(90);
                    }
                }
            }
        }
        assert_eq!(life.world.cx.violation, None, "seed {seed}");
        assert!(life.world.cx.parties[1].has_finished, "seed {seed}: it has not read them all");
        total += breaks;
    }
    assert!(total > 200, "only {total} connections broke");
}
