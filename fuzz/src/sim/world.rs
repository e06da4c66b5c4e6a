//! The world: parties, hosts, connections and processes on one virtual time.
//!
//! One loop: take what happens next, let the party that it concerns handle it, carry out what that
//! party wants, judge what could be seen of it. All of it comes from the seed.

use std::time::Duration;

use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::time::Instant;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use footbridge_core::contract::machine::{Outcome, Step};

use crate::fact::Fact;
use crate::faults::{Fault, FaultKind, FaultPlan};
use crate::mutants::Mutant;
use crate::promises::Promises;
use crate::scenario::cast;
use crate::scenario::options::Options;
use crate::sim::census::Census;
use crate::sim::clock::Time;
use crate::sim::host::{Host, HostId};
use crate::sim::network::conn::{Arrival, ConnId, Network};
use crate::sim::party::{Address, End, Op, Order, Party, PartyId, Role, Told};
use crate::sim::process::{ProcessId, Processes};
use crate::sim::queue::EventQueue;
use crate::sim::repositories::{self, Git};
use crate::sim::skew::Skew;
use crate::sim::store::SimStore;
use crate::sim::tokens::Tokens;
use crate::trace::Trace;

/// What can happen.
#[derive(Debug)]
pub(crate) enum SimEvent {
    Deliver(Address, Event),
    Wake { party: PartyId, turn: u64 },
    Arrive { conn: ConnId, end: End, arrival: Arrival },
    TimeLimit { conn: ConnId },
    HangUp { conn: ConnId },
    Unacknowledged { conn: ConnId },
    CloseLimit(Address),
    Commit { life: u32 },
    File { host: HostId, number: u64 },
    CrashAtWrite { party: PartyId, life: u32 },
    Process(ProcessId, crate::sim::process::Moment),
    Git(repositories::Moment),
    Order(PartyId, Order),
    Restart(PartyId),
    WakeUp(HostId),
    Fault(Fault),
    Calm,
    Census,
}

/// Steps that one call may lead to before a machine counts as one that never waits.
const MAX_STEPS: usize = 200_000;

pub(crate) struct World {
    pub(crate) at: Time,
    pub(crate) rng: Rng,
    pub(crate) options: Options,
    pub(crate) agenda: EventQueue<SimEvent>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) parties: Vec<Party>,
    pub(crate) network: Network,
    pub(crate) processes: Processes,
    pub(crate) storeroom: SimStore,
    pub(crate) git: Git,
    pub(crate) weather: FaultPlan,
    pub(crate) tokens: Tokens,
    pub(crate) promises: Promises,
    facts: Vec<Fact>,
    pub(crate) trace: Trace,
    pub(crate) broken: Option<Violation>,
    pub(crate) happened: u64,
    pub(crate) is_calm: bool,
    pub(crate) census: Option<Census>,
    pub(crate) skew: Skew,
    pub(crate) ordered_down: std::collections::BTreeSet<PartyId>,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub promise: &'static str,
    /// What was seen.
    pub words: String,
    /// When, in virtual time.
    pub at: Duration,
}

impl World {
    pub(crate) fn new(options: &Options) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let weather = FaultPlan::draw(&mut rng, options);
        let mut world = Self {
            at: Time::ZERO,
            options: Options {
                agent: options.agent.or(options.mutant.and_then(Mutant::agent)),
                ..options.clone()
            },
            agenda: EventQueue::new(),
            hosts: Vec::new(),
            parties: Vec::new(),
            network: Network::default(),
            processes: Processes::default(),
            storeroom: SimStore::new(),
            git: Git::new(options),
            tokens: Tokens::new(options.seed, weather.has(FaultKind::TokenRotation)),
            skew: Skew::new(options.seed, weather.has(FaultKind::Versions)),
            weather,
            promises: Promises::new(),
            facts: Vec::new(),
            trace: Trace::new(options.trace),
            broken: None,
            happened: 0,
            is_calm: false,
            census: None,
            ordered_down: std::collections::BTreeSet::new(),
            rng,
        };
        cast::set_the_scene(&mut world);
        world
    }

    /// Lets happen what happens next; says whether there was anything.
    pub(crate) fn advance(&mut self, until: Time) -> bool {
        if self.broken.is_some() || self.agenda.next().is_none_or(|at| at > until) {
            return false;
        }
        let Some((at, happening)) = self.agenda.pop() else { return false };
        self.at = self.at.max(at);
        self.happened += 1;
        match happening {
            SimEvent::Deliver(to, event) => self.deliver(to, event),
            SimEvent::Wake { party, turn } => self.wake(party, turn),
            SimEvent::Arrive { conn, end, arrival } => self.arrive(conn, end, arrival),
            SimEvent::TimeLimit { conn } => self.time_limit(conn),
            SimEvent::HangUp { conn } => self.reset(conn),
            SimEvent::Unacknowledged { conn } => self.unacknowledged(conn),
            SimEvent::CloseLimit(address) => self.close_limit(address),
            SimEvent::Commit { life } => self.commit(life),
            SimEvent::File { host, number } => self.file_changes(host, number),
            SimEvent::CrashAtWrite { party, life } => self.crash_at_write(party, life),
            SimEvent::Process(process, moment) => self.process_moment(process, moment),
            SimEvent::Git(moment) => self.git_moment(moment),
            SimEvent::Order(party, order) => self.order(party, order),
            SimEvent::Restart(party) => cast::raise(self, party),
            SimEvent::WakeUp(host) => self.wake_up(host),
            SimEvent::Fault(fault) => self.strike(fault),
            SimEvent::Calm => self.calm_down(),
            SimEvent::Census => self.take_census(),
        }
        self.judge();
        true
    }

    pub(crate) fn fact(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// Whether something can be seen of what happens right now.
    pub(crate) fn is_seen(&self, what: impl Fn(&Fact) -> bool) -> bool {
        self.facts.iter().any(what)
    }

    fn judge(&mut self) {
        for fact in std::mem::take(&mut self.facts) {
            let verdict = self.promises.see(self.at, &fact);
            if let Some((promise, words)) = verdict {
                self.break_promise(promise, words);
            }
        }
    }

    /// At the end of time: what should be true by now.
    pub(crate) fn judge_the_end(&mut self) {
        self.note_worktrees();
        self.judge_leaks();
        self.judge();
        if self.broken.is_none()
            && let Some((promise, words)) = self.promises.end(self.at)
        {
            self.break_promise(promise, words);
        }
    }

    pub(crate) fn break_promise(&mut self, promise: &'static str, words: String) {
        let at = self.at;
        self.trace.say(at, "world", || format!("BROKEN {promise}: {words}"));
        self.broken.get_or_insert(Violation { promise, words, at });
    }

    pub(crate) fn later(&mut self, wait: Duration, what: SimEvent) {
        self.agenda.note(self.at + wait, what);
    }

    /// Something between half and one and a half of a time.
    pub(crate) fn about(&mut self, time: Duration) -> Duration {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        Duration::from_micros(self.rng.u64(micros / 2..=micros + micros / 2))
    }

    /// Tells a party something that its own runtime knows, almost at once.
    pub(crate) fn tell(&mut self, to: Address, event: Event) {
        self.later(Duration::from_micros(20), SimEvent::Deliver(to, event));
    }

    pub(crate) fn is_alive(&self, to: Address) -> bool {
        self.parties.get(to.party).is_some_and(|party| party.is_up() && party.life == to.life)
    }

    /// Hands an event in, unless nobody is there for it any more.
    pub(crate) fn deliver(&mut self, to: Address, event: Event) {
        if !self.is_alive(to) {
            return;
        }
        let host = self.parties[to.party].host;
        if self.hosts[host].is_suspended(self.at) {
            self.hosts[host].held.push((to, event));
            return;
        }
        let Some(op) = self.parties[to.party].ops.get(&to.op).copied() else {
            // An answer that was on its way when its operation was cancelled may still be handed in.
            if self.rng.u8(..) < 24 {
                self.hand_in(to.party, event);
            }
            return;
        };
        if event.is_last() {
            self.parties[to.party].ops.remove(&to.op);
        }
        self.note_answer(to, op, &event);
        self.note_file(to, &event);
        self.hand_in(to.party, event);
    }

    pub(crate) fn hand_in(&mut self, id: PartyId, event: Event) {
        let Some(event) = self.mutated_event(id, event) else { return };
        let at = self.at;
        let party = &mut self.parties[id];
        self.trace.say(at, &party.name, || format!("<- {}", crate::trace::words(&event)));
        let now = self.hosts[party.host].clock.now(at);
        if let Some(machine) = &mut party.machine {
            machine.handle(now, event);
        }
        self.steps(id);
    }

    pub(crate) fn order(&mut self, id: PartyId, order: Order) {
        let at = self.at;
        let party = &mut self.parties[id];
        let now = self.hosts[party.host].clock.now(at);
        if self.hosts[party.host].is_suspended(at) {
            let host = party.host;
            return self.hosts[host].put_off.push(SimEvent::Order(id, order));
        }
        let Some(machine) = &mut party.machine else { return };
        self.trace.say(at, &party.name, || format!("<- {order:?}"));
        machine.order(now, order);
        if order != Order::Settle {
            self.ordered_down.insert(id);
        }
        self.steps(id);
    }

    fn wake(&mut self, id: PartyId, turn: u64) {
        let party = &self.parties[id];
        if party.turn != turn || !party.is_up() {
            return;
        }
        let host = &mut self.hosts[party.host];
        if host.is_suspended(self.at) {
            host.put_off.push(SimEvent::Wake { party: id, turn });
        } else {
            self.hand_in(id, Event::Tick);
        }
    }

    /// Carries out what a machine wants until it waits.
    pub(crate) fn steps(&mut self, id: PartyId) {
        for _ in 0..MAX_STEPS {
            let Some(machine) = &mut self.parties[id].machine else { return };
            match machine.step() {
                Step::Do(action) => {
                    for action in self.mutated_action(id, action) {
                        self.perform(id, action);
                    }
                }
                Step::Tell(told) => self.told(id, told),
                Step::Wait(deadline) => return self.wait(id, deadline),
                Step::Finished(outcome) => return self.finished(id, outcome),
            }
            if self.broken.is_some() {
                return;
            }
        }
        let name = &self.parties[id].name;
        let words = format!("{name} did not wait after {MAX_STEPS} steps");
        self.break_promise("contract", words);
    }

    fn told(&mut self, id: PartyId, told: Told) {
        let at = self.at;
        match told {
            Told::Words(words) => {
                self.trace.say(at, &self.parties[id].name, || format!("tells {words}"));
            }
            Told::Seen(notice) => {
                self.trace.say(at, &self.parties[id].name, || format!("sees {notice:?}"));
                self.fact(Fact::Viewed { viewer: id, notice });
            }
        }
    }

    fn wait(&mut self, id: PartyId, deadline: Option<Instant>) {
        let deadline = if self.is_busy(id) { Some(Instant::ORIGIN) } else { deadline };
        let party = &mut self.parties[id];
        party.turn += 1;
        let (turn, role, operations) = (party.turn, party.role, party.ops.len());
        let clock = &self.hosts[party.host].clock;
        if let Some(deadline) = deadline {
            if deadline <= clock.now(self.at).mono {
                let words = format!("{} waits for an instant that has passed", party.name);
                return self.break_promise("contract", words);
            }
            // A runtime's timer is a little late, never early.
            let late = Duration::from_micros(self.rng.u64(1..1500));
            let when = clock.when(deadline).saturating_add(late);
            self.agenda.note(when, SimEvent::Wake { party: id, turn });
        }
        self.fact(Fact::Open { role, operations });
    }

    fn finished(&mut self, id: PartyId, outcome: Outcome) {
        let at = self.at;
        let party = &mut self.parties[id];
        self.trace.say(at, &party.name, || format!("finished: {outcome:?}"));
        let (role, was_ordered) = (party.role, self.ordered_down.contains(&id));
        party.has_finished = true;
        let ops = party.die();
        if role == Role::Relay {
            self.storeroom.lose_uncommitted(&mut self.rng);
        }
        self.let_go(id, ops, false);
        self.look_after(id, role, &outcome);
        self.fact(Fact::Finished { party: id, role, outcome, was_ordered });
        if let Role::Shell(process) = role {
            self.shell_finished(process);
        }
        if role == Role::Relay {
            self.later(Duration::from_secs(2), SimEvent::Restart(id));
        }
    }

    /// Kills a party: everything in its memory is gone.
    pub(crate) fn crash(&mut self, id: PartyId, is_silent: bool) {
        let at = self.at;
        let party = &mut self.parties[id];
        if !party.is_up() {
            return;
        }
        self.trace.say(at, &party.name, || String::from("CRASHES"));
        let role = party.role;
        let ops = party.die();
        if role == Role::Relay {
            self.storeroom.lose_uncommitted(&mut self.rng);
            if self.options.mutant == Some(crate::mutants::Mutant::EarlyStored) {
                self.storeroom.wipe();
            }
        }
        self.let_go(id, ops, is_silent);
        self.fact(Fact::Crashed { party: id });
    }

    /// What the system does with what a dead process held.
    fn let_go(&mut self, id: PartyId, ops: std::collections::BTreeMap<OpId, Op>, is_silent: bool) {
        for (_, op) in ops {
            match op {
                Op::Request(conn) | Op::Stream(conn, End::Client) => {
                    self.abandon(conn, End::Client, is_silent);
                }
                Op::Exchange(conn) | Op::Stream(conn, End::Server) => {
                    self.abandon(conn, End::Server, is_silent);
                }
                Op::Process(process) => self.orphan(process),
                Op::Stdio(_) | Op::Listener | Op::Accept | Op::Single => {}
            }
        }
        self.abandon_files(id);
        self.refuse_backlog(id);
    }

    fn wake_up(&mut self, host: HostId) {
        if self.hosts[host].is_suspended(self.at) {
            return;
        }
        for (to, event) in std::mem::take(&mut self.hosts[host].held) {
            self.later(Duration::ZERO, SimEvent::Deliver(to, event));
        }
        for happening in std::mem::take(&mut self.hosts[host].put_off) {
            self.later(Duration::ZERO, happening);
        }
    }

    /// From now on nothing goes wrong any more.
    fn calm_down(&mut self) {
        self.is_calm = true;
        let at = self.at;
        self.trace.say(at, "world", || String::from("is calm from now on"));
        self.clear_weather();
        self.fact(Fact::Calm);
        self.expect_census();
        for id in 0..self.parties.len() {
            if self.parties[id].role == Role::Viewer {
                let wait = Duration::from_millis(self.rng.u64(100..5_000));
                self.later(wait, SimEvent::Order(id, Order::Settle));
            }
        }
    }
}

pub(crate) fn failure(kind: IoErrorKind) -> IoError {
    IoError { kind, detail: String::from("simulated") }
}
