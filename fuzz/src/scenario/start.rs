//! How each party starts: with which machine, configured how.

use std::time::Duration;

use fastrand::Rng;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::time::Now;
use footbridge_core::bridge::{BridgeConfig, Teardown};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};
use footbridge_core::relay::{AccessToken, Relay, RelayCommand, RelayConfig, RelayKeys};
use footbridge_core::store::StorePolicy;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{
    AgentProgram, SpawnMode, TransportChoice, WorkBy, Worker, WorkerCommand, WorkerConfig,
};

use crate::fact::Fact;
use crate::faults::FaultKind;
use crate::ids::{PartyId, Role};
use crate::mutants::Mutant;
use crate::names::{DORA_TOKEN, LIAR_URL, MALLORY_TOKEN, MAX_LINE_BYTES, RELAY_URL};
use crate::nodes::embedded::{Embedded, Habits};
use crate::nodes::liar::Liar;
use crate::nodes::machines::Machines;
use crate::nodes::mallory::Mallory;
use crate::nodes::node::{Driven, Node, NodeNotice, Order};
use crate::nodes::stranger::Stranger;
use crate::nodes::viewer::{Viewer, ViewerConfig};
use crate::scenario::limits;
use crate::scenario::options::Options;
use crate::sim::network::exchange::address_of;
use crate::sim::world::World;

/// Separates the random draw of whether viewers have habits.
const VIEWER_HABITS: u64 = 0x9ab1_7509;

/// Separates the random draws of a program with a bridge.
const PROGRAM: u64 = 0x9096_3a11;

/// Separates the random draw of who speaks version 2.
const CODE_SESSIONS: u64 = 0xc0de_5e55;
/// In so many of 256 runs somebody does.
const CODE_SESSIONS_OF_256: u8 = 96;

/// Separates the random draw of whose work comes by a stream.
const WORK_STREAMS: u64 = 0x3047_57e4;
/// In so many of 256 runs somebody's does.
const WORK_STREAMS_OF_256: u8 = 96;

/// What a party runs when it starts; `None` for the shell agent, which starts as a process.
pub(crate) fn node(world: &mut World, options: &Options, id: PartyId) -> Option<Box<dyn Node>> {
    let seed = world.cx.rng.u64(..);
    let is_traced = world.cx.trace.is_on();
    Some(match world.cx.parties[id].role {
        Role::Relay => relay(world, options, is_traced),
        Role::Worker => {
            let transport = transport(world, options, id);
            let work_by = work_by(world, options, id);
            worker(world, id, RELAY_URL, seed, (transport, work_by))
        }
        Role::Embedded => embedded(world, options, id, seed),
        Role::Victim => worker(world, id, LIAR_URL, seed, (TransportChoice::V1, WorkBy::Auto)),
        Role::Viewer => viewer(world, options, id, seed),
        Role::Mallory => {
            Box::new(Driven { machine: Mallory::new(seed), command: |_| None, is_traced })
        }
        Role::Machines => Box::new(Machines::new(seed)),
        Role::Stranger => {
            let beside = world.cx.parties.iter().position(|party| party.role == Role::Worker);
            let neighbour = address_of(&world.cx, beside.unwrap_or(id));
            Box::new(Stranger::new(seed, neighbour))
        }
        Role::Liar => Box::new(Driven { machine: Liar::new(seed), command: |_| None, is_traced }),
        Role::Shell(_) => return None,
    })
}

fn relay(world: &mut World, options: &Options, is_traced: bool) -> Box<dyn Node> {
    let mut config = RelayConfig::new(String::from("0.0.0.0:8787"));
    config.hosts = vec![String::from("relay.example")];
    let person = |person: &str, token: &str| AccessToken {
        person: person.to_owned(),
        token: Secret::from(token),
    };
    let (token, signing) = world.tokens.relay_keys(&mut world.cx);
    config.access_tokens = vec![person("alice", &token), person("mallory", MALLORY_TOKEN)];
    config.access_tokens.push(person("dora", DORA_TOKEN));
    if world.cx.plan.has(FaultKind::TokenExpiry) {
        config.session_token_life = Duration::from_secs(world.cx.rng.u64(30..600));
        config.worker_token_life = worker_token_life(options);
    }
    config.use_code_sessions = asks_for_version_2(world, options);
    match options.mutant {
        // It is refreshed after 5 s at the earliest.
        Some(Mutant::ForgetsBatch) => config.worker_token_life = Duration::from_secs(4),
        // There are many epochs.
        Some(Mutant::OldEpoch) => config.worker_token_life = Duration::from_secs(12),
        _ => {}
    }
    // A run ends long before a machine may be thought lost that is only asleep.
    config.policy.lost_after = config.policy.lapse_after;
    if world.cx.plan.has(FaultKind::Retention) {
        config.policy =
            StorePolicy { log_bytes: world.cx.rng.usize(2_000..40_000), ..config.policy };
    }
    if world.cx.plan.has(FaultKind::SmallLimits) {
        limits::make_small(&mut config, options.seed);
        world.cx.fact(Fact::KeepsLittle);
    }
    world.cx.fact(Fact::Places { of_session: config.max_subscribers });
    if options.mutant == Some(Mutant::OnePlace) {
        config.max_subscribers = 1;
    }
    let mut entropy = [0; 32];
    world.cx.rng.fill(&mut entropy);
    let keys = RelayKeys::new(signing, entropy);
    let machine = match Relay::new(config, &keys) {
        Ok(machine) => machine,
        Err(error) => unreachable!("the simulated relay's configuration is valid: {error}"),
    };
    let command = |order| match order {
        Order::Shutdown | Order::ShutdownNow => Some(RelayCommand::Shutdown),
        Order::Settle => None,
    };
    Box::new(Driven { machine, command, is_traced })
}

/// How the sessions of a worker travel: which ones speak version 2 comes from a random stream of its own,
/// so that the runs without any are unchanged. There is only one version of version 2 so far, so none
/// do where versions differ.
fn transport(world: &World, options: &Options, id: PartyId) -> TransportChoice {
    let mut rng = Rng::with_seed(options.seed ^ CODE_SESSIONS);
    let is_drawn = rng.u8(..) < CODE_SESSIONS_OF_256;
    let drawn = || options.mutant.map_or(is_drawn, Mutant::meets_code_sessions);
    let has_any = options.code_sessions.unwrap_or_else(drawn);
    if !has_any || world.network.has_versions() {
        return TransportChoice::Auto;
    }
    let mut own = Rng::with_seed(rng.u64(..) ^ u64::try_from(id).unwrap_or_default());
    let speaks_it = options.mutant.is_some() || own.u8(..) < 192;
    match speaks_it {
        true if asks_for_version_2(world, options) => TransportChoice::Auto,
        true => TransportChoice::V2,
        false => TransportChoice::V1,
    }
}

/// By what a worker's work comes: who has streams comes from a random stream of its own, so that the runs
/// without any are unchanged. Where versions differ, nobody has.
fn work_by(world: &World, options: &Options, id: PartyId) -> WorkBy {
    let mut rng = Rng::with_seed(options.seed ^ WORK_STREAMS);
    let is_drawn = rng.u8(..) < WORK_STREAMS_OF_256 && options.mutant.is_none();
    if !options.work_streams.unwrap_or(is_drawn) || world.network.has_versions() {
        return WorkBy::Poll;
    }
    let mut own = Rng::with_seed(rng.u64(..) ^ u64::try_from(id).unwrap_or_default());
    match own.u8(..) {
        ..160 => WorkBy::Auto,
        160..192 => WorkBy::Stream,
        192.. => WorkBy::Poll,
    }
}

/// Whether the relay asks for version 2, so that workers may fall back from it.
fn asks_for_version_2(world: &World, options: &Options) -> bool {
    let may = options.mutant.is_none() && !world.network.has_versions();
    let drawn = || Rng::with_seed(options.seed ^ CODE_SESSIONS).u8(..) < CODE_SESSIONS_OF_256;
    let has_any = options.code_sessions.unwrap_or_else(drawn);
    may && has_any && Rng::with_seed(options.seed ^ CODE_SESSIONS ^ 2).bool()
}

/// How long the credentials of version 2 are valid where credentials run out soon.
fn worker_token_life(options: &Options) -> Duration {
    let mut rng = Rng::with_seed(options.seed ^ CODE_SESSIONS ^ 1);
    Duration::from_secs(rng.u64(8..300))
}

fn worker(
    world: &mut World,
    id: PartyId,
    url: &str,
    seed: u64,
    (transport, work_by): (TransportChoice, WorkBy),
) -> Box<dyn Node> {
    let relay = match BaseUrl::parse(url) {
        Ok(relay) => relay,
        Err(error) => unreachable!("the simulated relay's URL is valid: {error}"),
    };
    let agent = AgentProgram { program: String::from("agent"), args: Vec::new(), env: Vec::new() };
    let directory = String::from("/project");
    let token = world.tokens.worker_token(&mut world.cx, id);
    let mut config = WorkerConfig::new(relay, token, directory, agent, seed);
    config.machine_name.clone_from(&world.cx.parties[id].name);
    config.max_line_bytes = MAX_LINE_BYTES;
    config.transport = transport;
    config.work_by = work_by;
    // Two workers may be on one host.
    config.state_directory = Some(format!("/state/{}", world.cx.parties[id].name));
    config.max_sessions = world.cx.rng.u32(1..=4);
    if world.cx.rng.u8(..) < 30 {
        config.session_limit = Duration::from_secs(world.cx.rng.u64(60..1200));
    }
    if let Some(root) = world.git.root_of(id) {
        config.spawn_mode = SpawnMode::Worktree { root: root.to_owned() };
    }
    let command = |order| match order {
        Order::Shutdown => Some(WorkerCommand::Shutdown),
        Order::ShutdownNow => Some(WorkerCommand::ShutdownNow),
        Order::Settle => None,
    };
    let is_traced = world.cx.trace.is_on();
    Box::new(Driven { machine: Worker::new(config), command, is_traced })
}

/// A program whose session is its own. Half of them let it go on when they end (B-4).
fn embedded(world: &mut World, options: &Options, id: PartyId, seed: u64) -> Box<dyn Node> {
    let relay = match BaseUrl::parse(RELAY_URL) {
        Ok(relay) => relay,
        Err(error) => unreachable!("the simulated relay's URL is valid: {error}"),
    };
    let token = world.tokens.worker_token(&mut world.cx, id);
    let mut config = BridgeConfig::new(relay, token, String::from("/project"), seed);
    config.machine_name.clone_from(&world.cx.parties[id].name);
    // Its agent says that itself, and everything that it says is in the log.
    config.init = None;
    config.replays = false;
    config.transport = transport(world, options, id);
    config.work_by = work_by(world, options, id);
    let mut rng = Rng::with_seed(options.seed ^ PROGRAM);
    let is_stale = options.mutant == Some(Mutant::StaleSender);
    if rng.bool() && !is_stale {
        config.teardown = Teardown::Perpetual;
        config.state_directory = Some(String::from("/state/program"));
    }
    let has_history = config.state_directory.is_none() && rng.bool();
    let history = has_history.then(|| (rng.u32(1..20), Duration::from_millis(rng.u64(1..20_000))));
    let shares_for = rng.bool().then(|| Duration::from_secs(rng.u64(60..600)));
    Box::new(Embedded::new(config, Habits { history, shares_for, is_stale }))
}

fn viewer(world: &mut World, options: &Options, id: PartyId, seed: u64) -> Box<dyn Node> {
    struct Eyes(Viewer);
    impl Node for Eyes {
        fn handle(&mut self, now: Now, event: Event) {
            Machine::handle(&mut self.0, now, event);
        }

        fn step(&mut self) -> Step<NodeNotice> {
            match self.0.step() {
                Step::Do(action) => Step::Do(action),
                Step::Tell(notice) => Step::Tell(NodeNotice::Seen(notice)),
                Step::Wait(at) => Step::Wait(at),
                Step::Finished(outcome) => Step::Finished(outcome),
            }
        }

        fn order(&mut self, now: Now, order: Order) {
            Machine::command(&mut self.0, now, order);
        }
    }
    let config = ViewerConfig {
        name: world.cx.parties[id].name.clone(),
        token: world.tokens.of_person.clone(),
        seed,
        sessions: world.cx.rng.u32(1..=3),
        messages: world.cx.rng.u32(1..30),
        follows: world.cx.rng.u8(..) < 200,
        stops: world.cx.rng.bool(),
        habits: viewer_habits(options, id),
    };
    Box::new(Eyes(Viewer::new(config)))
}

/// In some runs, viewers do everything that the relay offers. Whether this is one comes from its
/// own random stream, so that the other runs are unchanged.
fn viewer_habits(options: &Options, id: PartyId) -> Option<u64> {
    let mut rng = Rng::with_seed(options.seed ^ VIEWER_HABITS);
    let is_on = rng.u8(..) < 80;
    is_on.then(|| rng.u64(..) ^ u64::try_from(id).unwrap_or_default())
}
