//! One world from beginning to end: takes the next event and routes it.

#[cfg(test)]
mod streams;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use footbridge_core::contract::event::Event;

use crate::fact::Fact;
use crate::faults::{FaultKind, FaultPlan, strike};
use crate::ids::{PartyId, Role};
use crate::mutants::Mutant;
use crate::nodes::node::Order;
use crate::promises::Promises;
use crate::scenario::options::Options;
use crate::scenario::{cast, start};
use crate::sim::census;
use crate::sim::clock::Time;
use crate::sim::cx::Cx;
use crate::sim::event::SimEvent;
use crate::sim::files;
use crate::sim::network::Network;
use crate::sim::process::Processes;
use crate::sim::queue::EventQueue;
use crate::sim::repositories::{self, Repositories};
use crate::sim::skew::Skew;
use crate::sim::store::SimStore;
use crate::sim::tokens::Tokens;
use crate::sim::world::World;
use crate::trace::Trace;

/// How long the world is calm at the end: longer than anything in the protocol may take.
const CALM: Duration = Duration::from_secs(25 * 60);

/// How long strangers go on in the calm, where it shows whom they delay.
const STRANGERS_STAY: Duration = Duration::from_secs(8 * 60);

pub(crate) struct Life {
    pub(crate) world: World,
    options: Options,
    /// How many events have happened.
    pub(crate) happened: u64,
}

impl Life {
    pub(crate) fn new(options: &Options) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let has_repositories = repositories::are_there(options.seed, options.mutant);
        let plan =
            FaultPlan::draw(&mut rng, options.seed, options.faults.as_ref(), has_repositories);
        let cx = Cx {
            at: Time::ZERO,
            rng,
            queue: EventQueue::new(),
            hosts: Vec::new(),
            parties: Vec::new(),
            is_calm: false,
            mutant: options.mutant,
            questions: BTreeMap::new(),
            trace: Trace::new(options.trace),
            facts: Vec::new(),
            violation: None,
            plan,
        };
        let mut world = World {
            network: Network::new(
                Skew::new(options.seed, cx.plan.has(FaultKind::Versions)),
                cast::has_strangers(options),
            ),
            processes: Processes::new(options.agent.or(options.mutant.and_then(Mutant::agent))),
            store: SimStore::new(),
            git: Repositories::new(options.seed, has_repositories),
            tokens: Tokens::new(options.seed, cx.plan.has(FaultKind::TokenRotation)),
            promises: Promises::new(),
            census: None,
            cx,
        };
        cast::set_the_scene(&mut world, options);
        strike::expect_all(&mut world.cx);
        Self { world, options: options.clone(), happened: 0 }
    }

    /// Runs all events until the end, or until it is cut short.
    pub(crate) fn play(&mut self) {
        while self.happened < self.options.steps {
            if !self.advance() {
                break;
            }
        }
        if self.is_complete() {
            self.world.judge_the_end();
        }
    }

    /// Whether it reached its end, rather than its limit of events.
    pub(crate) const fn is_complete(&self) -> bool {
        self.happened < self.options.steps
    }

    /// When it is over. The calm begins at a time that was noted at the beginning; what comes after
    /// it is the same for all runs.
    fn end(&self) -> Time {
        self.world.promises.calm_since().map_or(Duration::MAX, |since| since + CALM)
    }

    /// Runs the next event; returns whether there was one.
    fn advance(&mut self) -> bool {
        let end = self.end();
        let world = &mut self.world;
        if world.cx.violation.is_some() || world.cx.queue.next().is_none_or(|at| at > end) {
            return false;
        }
        let Some((at, event)) = world.cx.queue.pop() else { return false };
        world.cx.at = world.cx.at.max(at);
        self.happened += 1;
        self.route(event);
        self.world.judge();
        true
    }

    fn route(&mut self, event: SimEvent) {
        let World { cx, network, store, .. } = &mut self.world;
        match event {
            SimEvent::TimeLimit { conn } => network.time_limit(cx, conn),
            SimEvent::ShortLimit { conn } => network.short_limit(cx, conn),
            SimEvent::HangUp { conn } => network.reset(cx, conn),
            SimEvent::Unacknowledged { conn } => network.unacknowledged(cx, conn),
            SimEvent::Commit { life } => store.commit(cx, life),
            SimEvent::File { host, number } => files::change(cx, host, number),
            SimEvent::Deliver(to, event) => self.world.deliver(to, event),
            SimEvent::Wake { party, turn } => self.world.wake(party, turn),
            SimEvent::Arrive { conn, end, arrival } => self.world.arrive(conn, end, arrival),
            SimEvent::CloseLimit(address) => self.world.close_limit(address),
            SimEvent::WriteLimit { conn, sent } => {
                self.world.network.write_limit(&mut self.world.cx, conn, sent);
            }
            SimEvent::IdleLimit { conn, received } => {
                self.world.network.idle_limit(&mut self.world.cx, conn, received);
            }
            SimEvent::Process(process, event) => self.world.process_event(process, event),
            SimEvent::Repository(event) => self.world.repository_event(event),
            SimEvent::Order(party, order) => self.world.order(party, order),
            SimEvent::WakeUp(host) => self.world.wake_up(host),
            SimEvent::Census => self.world.take_census(),
            SimEvent::CrashAtWrite { party, life } => {
                strike::crash_at_write(&mut self.world, party, life);
            }
            SimEvent::Fault(kind) => strike::strike(&mut self.world, kind),
            SimEvent::Restart(party) => self.start(party),
            SimEvent::Calm => self.calm_down(),
        }
    }

    /// Starts a party, for the first time or again.
    fn start(&mut self, id: PartyId) {
        if self.world.cx.parties[id].is_up() {
            return;
        }
        let Some(node) = start::node(&mut self.world, &self.options, id) else { return };
        let cx = &mut self.world.cx;
        let party = &mut cx.parties[id];
        let role = party.role;
        party.machine = Some(node);
        party.has_finished = false;
        party.is_ordered_down = false;
        cx.record(id, || String::from("comes up"));
        cx.fact(Fact::Started { party: id, role });
        // The first call sets the time.
        self.world.hand_in(id, Event::Tick);
    }

    /// From now on, nothing goes wrong.
    fn calm_down(&mut self) {
        let cx = &mut self.world.cx;
        cx.is_calm = true;
        let at = cx.at;
        cx.trace.record(at, "world", || String::from("is calm from now on"));
        strike::clear(&mut self.world);
        let cx = &mut self.world.cx;
        cx.fact(Fact::Calm);
        cx.later(CALM.saturating_sub(census::BETWEEN), SimEvent::Census);
        for id in 0..cx.parties.len() {
            if cx.parties[id].role == Role::Viewer {
                let wait = Duration::from_millis(cx.rng.u64(100..5_000));
                cx.later(wait, SimEvent::Order(id, Order::Settle));
            }
            if cx.parties[id].role == Role::Stranger {
                cx.later(STRANGERS_STAY, SimEvent::Order(id, Order::Settle));
            }
        }
    }
}
