//! Who is in the world, and how each of them comes up.

use std::time::Duration;

use fastrand::Rng;
use footbridge_core::agents::shell;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::event::Event;
use footbridge_core::relay::{AccessToken, Relay, RelayCommand, RelayConfig, RelayKeys};
use footbridge_core::store::StorePolicy;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{AgentProgram, SpawnMode, Worker, WorkerCommand, WorkerConfig};

use crate::fact::Fact;
use crate::faults::FaultKind;
use crate::nodes::viewer::{Viewer, ViewerConfig};
use crate::sim::clock::Clock;
use crate::sim::disk::Disk;
use crate::sim::host::{Host, HostId};
use crate::sim::party::{Driven, Order, Part, Party, PartyId, Role};
use crate::sim::process::ProcessId;
use crate::sim::world::{SimEvent, World};

/// The relay is always the first party.
pub(crate) const RELAY: PartyId = 0;
/// The liar is the second one.
pub(crate) const LIAR: PartyId = 1;
pub(crate) const RELAY_URL: &str = "https://relay.example";
pub(crate) const RELAY_WS_URL: &str = "wss://relay.example";
const LIAR_URL: &str = "https://liar.example";
/// The longest line that the simulated workers take from an agent: short, so that a longer one is
/// cheap.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 10;
/// The access token of somebody whom nothing here belongs to.
pub(crate) const MALLORY_TOKEN: &str = "mallory-has-one-as-well";

/// Where it comes from whether viewers have habits.
const VIEWER_HABITS: u64 = 0x9ab1_7509;

/// How long the world is calm at the end: longer than anything in the protocol may take.
pub(crate) const CALM: Duration = Duration::from_secs(25 * 60);

/// Whom a URL leads to.
pub(crate) fn server_at(url: &str) -> PartyId {
    if url.contains("liar.example") { LIAR } else { RELAY }
}

pub(crate) fn set_the_scene(world: &mut World) {
    let options = world.options.clone();
    // Most worlds are small, where things meet most often; some are not.
    let most = if world.rng.u8(..) < 16 { (6, 8) } else { (2, 3) };
    let drawn = (world.rng.u32(1..=most.0), world.rng.u32(1..=most.1), world.rng.u64(3..30));
    let workers = options.workers.unwrap_or(drawn.0);
    let viewers = options.viewers.unwrap_or(drawn.1);
    let minutes = options.minutes.unwrap_or(drawn.2);
    let has_liar = world.rng.u8(..) < 50 && options.workers.is_none();
    let has_mallory = world.rng.u8(..) < 50 && options.workers.is_none();
    let faults = world.weather.names().join(",");
    let at = world.at;
    world.trace.say(at, "world", || {
        format!("{workers} workers, {viewers} viewers, {minutes} minutes, faults: {faults}")
    });
    add(world, "relay", Role::Relay);
    add(world, "liar", Role::Liar);
    for n in 1..=workers {
        add(world, &format!("worker{n}"), Role::Worker);
    }
    for n in 1..=viewers {
        add(world, &format!("viewer{n}"), Role::Viewer);
    }
    if has_liar {
        add(world, "victim", Role::Victim);
    }
    if has_mallory {
        add(world, "mallory", Role::Mallory);
    }
    world.set_up_repositories();
    for id in 0..world.parties.len() {
        if world.parties[id].role == Role::Liar && !has_liar {
            continue;
        }
        let wait = Duration::from_millis(world.rng.u64(1..3_000));
        let wait = if world.parties[id].role == Role::Relay { Duration::ZERO } else { wait };
        world.later(wait, SimEvent::Restart(id));
    }
    world.later(Duration::from_secs(minutes * 60), SimEvent::Calm);
    world.expect_weather();
}

/// When a run is over.
pub(crate) fn end_of(world: &World) -> Duration {
    // The calm begins at the time that was noted first; what is after it is the same for all runs.
    world.promises.calm_since().map_or(Duration::MAX, |since| since + CALM)
}

fn add(world: &mut World, name: &str, role: Role) -> PartyId {
    let origin = Duration::from_secs(world.rng.u64(1..100_000));
    let skew = world.rng.i64(-60_000..60_000);
    let latency = Duration::from_micros(world.rng.u64(100..80_000));
    let number = u64::try_from(world.hosts.len()).unwrap_or_default();
    let disk = Disk::new(world.options.seed.wrapping_mul(64).wrapping_add(number));
    let host = Host::new(Clock::new(origin, skew), disk, latency);
    world.hosts.push(host);
    world.parties.push(Party::new(name.to_owned(), role, world.hosts.len() - 1));
    world.parties.len() - 1
}

/// Brings a party up, for the first time or again.
pub(crate) fn raise(world: &mut World, id: PartyId) {
    if world.parties[id].is_up() {
        return;
    }
    let seed = world.rng.u64(..);
    let role = world.parties[id].role;
    let is_traced = world.trace.is_on();
    let machine: Box<dyn Part> = match role {
        Role::Relay => relay(world, is_traced),
        Role::Worker => worker(world, id, RELAY_URL, seed),
        Role::Victim => worker(world, id, LIAR_URL, seed),
        Role::Viewer => viewer(world, id, seed),
        Role::Mallory => Box::new(Driven {
            machine: crate::nodes::mallory::Mallory::new(seed),
            command: |_| None,
            is_traced,
        }),
        Role::Liar => Box::new(Driven {
            machine: crate::nodes::liar::Liar::new(seed),
            command: |_| None,
            is_traced,
        }),
        Role::Shell(_) => return,
    };
    let at = world.at;
    let party = &mut world.parties[id];
    party.machine = Some(machine);
    party.has_finished = false;
    world.trace.say(at, &party.name, || String::from("comes up"));
    world.ordered_down.remove(&id);
    world.fact(Fact::Started { party: id, role });
    // The first call brings the time.
    world.hand_in(id, Event::Tick);
}

fn relay(world: &mut World, is_traced: bool) -> Box<dyn Part> {
    let mut config = RelayConfig::new(String::from("0.0.0.0:8787"));
    let person = |person: &str, token: &str| AccessToken {
        person: person.to_owned(),
        token: Secret::from(token),
    };
    let (token, signing) = world.relay_keys();
    config.access_tokens = vec![person("alice", &token), person("mallory", MALLORY_TOKEN)];
    if world.weather.has(FaultKind::TokenExpiry) {
        config.session_token_life = Duration::from_secs(world.rng.u64(30..600));
    }
    if world.weather.has(FaultKind::Retention) {
        config.policy =
            StorePolicy { log_bytes: world.rng.usize(2_000..40_000), ..StorePolicy::default() };
    }
    if world.weather.has(FaultKind::SmallLimits) {
        crate::scenario::limits::make_small(&mut config, world.options.seed);
        world.fact(Fact::KeepsLittle);
    }
    let mut entropy = [0; 32];
    world.rng.fill(&mut entropy);
    let keys = RelayKeys { signing, entropy };
    let machine = match Relay::new(config, &keys) {
        Ok(machine) => machine,
        Err(error) => unreachable!("the simulated relay's configuration is good: {error}"),
    };
    let command = |order| match order {
        Order::Shutdown | Order::ShutdownNow => Some(RelayCommand::Shutdown),
        Order::Settle => None,
    };
    Box::new(Driven { machine, command, is_traced })
}

fn worker(world: &mut World, id: PartyId, url: &str, seed: u64) -> Box<dyn Part> {
    let relay = match BaseUrl::parse(url) {
        Ok(relay) => relay,
        Err(error) => unreachable!("the simulated relay's URL is good: {error}"),
    };
    let agent = AgentProgram { program: String::from("agent"), args: Vec::new(), env: Vec::new() };
    let directory = String::from("/project");
    let token = world.worker_token(id);
    let mut config = WorkerConfig::new(relay, token, directory, agent, seed);
    config.machine_name.clone_from(&world.parties[id].name);
    config.max_line_bytes = MAX_LINE_BYTES;
    config.state_directory = Some(String::from("/state"));
    config.max_sessions = world.rng.u32(1..=4);
    if world.rng.u8(..) < 30 {
        config.session_limit = Duration::from_secs(world.rng.u64(60..1200));
    }
    if let Some((root, process_id)) = world.worktree_mode(id) {
        config.spawn_mode = SpawnMode::Worktree { root };
        config.process_id = process_id;
        // Two workers may be on one host.
        config.state_directory = Some(format!("/state/{}", world.parties[id].name));
    }
    let command = |order| match order {
        Order::Shutdown => Some(WorkerCommand::Shutdown),
        Order::ShutdownNow => Some(WorkerCommand::ShutdownNow),
        Order::Settle => None,
    };
    let is_traced = world.trace.is_on();
    Box::new(Driven { machine: Worker::new(config), command, is_traced })
}

fn viewer(world: &mut World, id: PartyId, seed: u64) -> Box<dyn Part> {
    struct Eyes(Viewer);
    impl Part for Eyes {
        fn handle(
            &mut self,
            now: footbridge_core::base::time::Now,
            event: footbridge_core::contract::event::Event,
        ) {
            footbridge_core::contract::machine::Machine::handle(&mut self.0, now, event);
        }

        fn step(&mut self) -> footbridge_core::contract::machine::Step<crate::sim::party::Told> {
            use footbridge_core::contract::machine::{Machine, Step};
            match self.0.step() {
                Step::Do(action) => Step::Do(action),
                Step::Tell(notice) => Step::Tell(crate::sim::party::Told::Seen(notice)),
                Step::Wait(at) => Step::Wait(at),
                Step::Finished(outcome) => Step::Finished(outcome),
            }
        }

        fn order(&mut self, now: footbridge_core::base::time::Now, order: Order) {
            footbridge_core::contract::machine::Machine::command(&mut self.0, now, order);
        }
    }
    let config = ViewerConfig {
        name: world.parties[id].name.clone(),
        token: world.tokens.of_person.clone(),
        seed,
        sessions: world.rng.u32(1..=3),
        messages: world.rng.u32(1..30),
        follows: world.rng.u8(..) < 200,
        stops: world.rng.bool(),
        habits: viewer_habits(&world.options, id),
    };
    Box::new(Eyes(Viewer::new(config)))
}

/// In some runs viewers do everything that the relay offers. Whether this is one comes from a
/// stream of its own, so that the other runs are as they were.
fn viewer_habits(options: &crate::scenario::options::Options, id: PartyId) -> Option<u64> {
    let mut rng = Rng::with_seed(options.seed ^ VIEWER_HABITS);
    let is_on = rng.u8(..) < 80;
    is_on.then(|| rng.u64(..) ^ u64::try_from(id).unwrap_or_default())
}

/// The built-in agent as a process's program.
pub(crate) fn shell(world: &mut World, host: HostId, process: ProcessId, seed: u64) -> PartyId {
    let config = shell::Config {
        directory: String::from("/project"),
        session_id: None,
        env_remove: Vec::new(),
        permission_mode: shell::PermissionMode::Default,
        seed,
    };
    let command = |order| match order {
        Order::Shutdown => Some(shell::Command::Shutdown),
        Order::ShutdownNow => Some(shell::Command::ShutdownNow),
        Order::Settle => None,
    };
    let is_traced = world.trace.is_on();
    let machine = Driven { machine: shell::Agent::new(config), command, is_traced };
    let mut party = Party::new(format!("shell{process}"), Role::Shell(process), host);
    party.machine = Some(Box::new(machine));
    world.parties.push(party);
    world.parties.len() - 1
}
