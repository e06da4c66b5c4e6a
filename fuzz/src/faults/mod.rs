//! What goes wrong: in each run another part of everything that can, more or less often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::contract::action::Response;
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::fact::Fact;
use crate::scenario::options::Options;
use crate::sim::network::conn::{Arrival, ConnId};
use crate::sim::party::{Address, End, Order, PartyId, Role};
use crate::sim::world::{SimEvent, World, failure};

macro_rules! fault_kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// The kinds of things that go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind {
            $($(#[$doc])* $kind,)*
        }

        /// All of them.
        pub const FAULT_KINDS: &[FaultKind] = &[$(FaultKind::$kind,)*];

        impl FaultKind {
            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

fault_kinds! {
    /// The relay is killed; its store stays.
    RelayCrash = "relay-crash",
    /// The relay is killed, and its store is lost.
    RelayLost = "relay-lost",
    /// The relay is shut down in order, and started again.
    RelayRestart = "relay-restart",
    /// A worker is killed.
    WorkerCrash = "worker-crash",
    /// A worker is shut down in order, and started again.
    WorkerRestart = "worker-restart",
    /// A host has no network for a while.
    Cut = "cut",
    /// A connection breaks.
    Reset = "reset",
    /// A connection swallows everything from some point on.
    Swallow = "swallow",
    /// A client's connection breaks just after its request.
    HangUp = "hang-up",
    /// A host's line is slow for a while.
    SlowLine = "slow-line",
    /// Packets are lost and sent again.
    Loss = "loss",
    /// An answer gets lost after its effect.
    LostAnswer = "lost-answer",
    /// A request arrives twice.
    Duplicate = "duplicate",
    /// Something on the way answers in the relay's place.
    Proxy = "proxy",
    /// A host sleeps.
    Suspend = "suspend",
    /// A wall clock is set.
    WallStep = "wall-step",
    /// A disk takes nothing more.
    DiskFull = "disk-full",
    /// A disk cannot be read, or a file is spoilt.
    DiskError = "disk-error",
    /// A worker is killed while it writes a file.
    WriteCrash = "write-crash",
    /// The store takes long.
    SlowStore = "slow-store",
    /// The store fails.
    StoreError = "store-error",
    /// The relay's system takes no connections for a moment.
    AcceptError = "accept-error",
    /// The limits of the relay and its store are small.
    SmallLimits = "small-limits",
    /// Session tokens run out soon.
    TokenExpiry = "token-expiry",
    /// The access token is changed.
    TokenRotation = "token-rotation",
    /// The relay comes up with another signing key.
    KeyRotation = "key-rotation",
    /// The log keeps little.
    Retention = "retention",
    /// Other programs hold lock files of git.
    GitLock = "git-lock",
    /// Git fails, takes long, and is cut short.
    GitTrouble = "git-trouble",
    /// Parties speak an older or a newer version of the wire.
    Versions = "versions",
}

impl FaultKind {
    /// What came later has chance of its own, so that the runs without it stay as they were.
    const fn stream(self) -> Option<u64> {
        match self {
            Self::WriteCrash => Some(0x7772_6974),
            Self::TokenRotation => Some(0x726f_7461),
            Self::KeyRotation => Some(0x6b65_7973),
            Self::Versions => Some(0x0bad_5eed_008a),
            _ => None,
        }
    }
}

/// Something that goes wrong at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    kind: FaultKind,
}

/// What can go wrong in this run, and how often.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultPlan {
    /// The usual time between two of a kind.
    every: BTreeMap<FaultKind, Duration>,
    /// In percent.
    pub(crate) loss: u32,
    pub(crate) slow_store: u32,
    /// In thousandths.
    pub(crate) failing_store: u32,
    lost_answer: u32,
    duplicate: u32,
    proxy: u32,
    hang_up: u32,
}

impl FaultPlan {
    pub(crate) fn draw(rng: &mut Rng, options: &Options) -> Self {
        let mut weather = Self::default();
        // Some runs are quiet, some are terrible.
        let share = rng.u32(..70);
        for kind in FAULT_KINDS {
            // These have a stream of their own.
            if matches!(kind, FaultKind::GitLock | FaultKind::GitTrouble) {
                continue;
            }
            let mut own = kind.stream().map(|stream| Rng::with_seed(options.seed ^ stream));
            let rng = own.as_mut().unwrap_or(&mut *rng);
            // Versions differ in fine weather as well.
            let share = if *kind == FaultKind::Versions { 31 } else { share };
            let is_drawn = rng.u32(..100) < share;
            let is_rare = matches!(
                kind,
                FaultKind::RelayLost | FaultKind::StoreError | FaultKind::WorkerRestart
            );
            // From every second to every quarter of an hour, each order of magnitude as likely.
            let every =
                Duration::from_secs(1 << rng.u32(..10)) + Duration::from_millis(rng.u64(..1_000));
            let every = every * if is_rare { 3 } else { 1 };
            let is_drawn = is_drawn && !(is_rare && rng.bool());
            let is_wanted = options.faults.as_ref().is_none_or(|wanted| wanted.contains(kind));
            if is_drawn && is_wanted {
                weather.every.insert(*kind, every);
            }
        }
        weather.every.extend(crate::sim::repositories::faults_of(options));
        let has = |kind| weather.every.contains_key(&kind);
        let mut rate = |kind, most: u32| if has(kind) { rng.u32(1..=most) } else { 0 };
        let loss = rate(FaultKind::Loss, 15);
        let slow_store = rate(FaultKind::SlowStore, 30);
        let failing_store = rate(FaultKind::StoreError, 10);
        let lost_answer = rate(FaultKind::LostAnswer, 20);
        let duplicate = rate(FaultKind::Duplicate, 20);
        let proxy = rate(FaultKind::Proxy, 15);
        let hang_up = rate(FaultKind::HangUp, 20);
        Self { loss, slow_store, failing_store, lost_answer, duplicate, proxy, hang_up, ..weather }
    }

    pub(crate) fn has(&self, kind: FaultKind) -> bool {
        self.every.contains_key(&kind)
    }

    pub(crate) fn kinds(&self) -> BTreeSet<FaultKind> {
        self.every.keys().copied().collect()
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.every.keys().map(|kind| kind.name()).collect()
    }
}

impl World {
    /// Notes the first of each kind.
    pub(crate) fn expect_weather(&mut self) {
        for (kind, every) in self.weather.every.clone() {
            let wait = self.about(every);
            self.later(wait, SimEvent::Fault(Fault { kind }));
        }
    }

    pub(crate) fn clear_weather(&mut self) {
        self.weather = FaultPlan::default();
        self.clear_git();
        // Its time below is a fault too.
        if !self.parties[crate::scenario::cast::RELAY].is_up() {
            self.later(Duration::from_secs(1), SimEvent::Restart(crate::scenario::cast::RELAY));
        }
        for host in &mut self.hosts {
            host.cut_until = host.cut_until.min(self.at);
            host.slow_until = host.slow_until.min(self.at);
            host.disk.is_full = false;
            host.disk.is_unreadable = false;
            let rest = host.suspended_until.saturating_sub(self.at);
            if !rest.is_zero() && host.stands_still {
                host.clock.miss_less(rest);
            }
            host.suspended_until = host.suspended_until.min(self.at);
        }
        for host in 0..self.hosts.len() {
            self.later(Duration::ZERO, SimEvent::WakeUp(host));
        }
    }

    pub(crate) fn strike(&mut self, fault: Fault) {
        if self.is_calm {
            return;
        }
        let Fault { kind } = fault;
        let Some(every) = self.weather.every.get(&kind).copied() else { return };
        let wait = self.about(every);
        self.later(wait, SimEvent::Fault(fault));
        let at = self.at;
        self.trace.say(at, "world", || format!("fault: {}", kind.name()));
        match kind {
            FaultKind::RelayCrash => self.crash_relay(false),
            FaultKind::RelayLost => self.crash_relay(true),
            FaultKind::RelayRestart => self.order(crate::scenario::cast::RELAY, Order::Shutdown),
            FaultKind::WorkerCrash => self.crash_worker(),
            FaultKind::WorkerRestart => self.restart_worker(),
            FaultKind::Cut => self.cut(),
            FaultKind::Reset => self.with_conn(World::reset),
            FaultKind::Swallow => self.with_conn(|world, id| {
                if let Some(conn) = world.network.conns.get_mut(&id) {
                    conn.is_swallowed = true;
                }
            }),
            FaultKind::SlowLine => self.slow_line(),
            FaultKind::AcceptError => self.fail_accepts(),
            FaultKind::Suspend => self.suspend(),
            FaultKind::WallStep => self.step_wall(),
            FaultKind::TokenRotation => self.rotate_token(),
            FaultKind::KeyRotation => self.rotate_keys(),
            FaultKind::DiskFull => {
                let host = self.rng.usize(..self.hosts.len());
                self.hosts[host].disk.is_full ^= true;
            }
            FaultKind::DiskError => {
                let host = self.rng.usize(..self.hosts.len());
                self.disk_fails(host);
                if self.rng.bool() {
                    self.hosts[host].disk.is_unreadable ^= true;
                } else {
                    self.hosts[host].disk.spoil(&mut self.rng);
                }
            }
            FaultKind::GitLock => self.hold_a_lock(),
            // These are rates, or properties of the whole run.
            FaultKind::Loss
            | FaultKind::LostAnswer
            | FaultKind::Duplicate
            | FaultKind::Proxy
            | FaultKind::HangUp
            | FaultKind::WriteCrash
            | FaultKind::SlowStore
            | FaultKind::StoreError
            | FaultKind::SmallLimits
            | FaultKind::TokenExpiry
            | FaultKind::Retention
            | FaultKind::GitTrouble
            | FaultKind::Versions => {}
        }
    }

    fn crash_relay(&mut self, loses_store: bool) {
        let is_silent = self.rng.u8(..) < 60;
        self.crash(crate::scenario::cast::RELAY, is_silent);
        if loses_store {
            self.storeroom.wipe();
            self.fact(Fact::StoreLost);
        }
        let wait = self.down_time();
        self.later(wait, SimEvent::Restart(crate::scenario::cast::RELAY));
    }

    pub(crate) fn down_time(&mut self) -> Duration {
        match self.rng.u8(..10) {
            0 => Duration::from_secs(self.rng.u64(60..1200)),
            1..4 => Duration::from_secs(self.rng.u64(5..60)),
            _ => Duration::from_millis(self.rng.u64(10..5_000)),
        }
    }

    fn a_worker(&mut self) -> Option<PartyId> {
        let workers = self
            .parties
            .iter()
            .enumerate()
            .filter(|(_, party)| party.is_up() && party.role == Role::Worker);
        let workers: Vec<_> = workers.map(|(id, _)| id).collect();
        self.rng.choice(workers)
    }

    fn crash_worker(&mut self) {
        let Some(worker) = self.a_worker() else { return };
        let is_silent = self.rng.u8(..) < 60;
        self.crash(worker, is_silent);
        let wait = self.down_time();
        self.later(wait, SimEvent::Restart(worker));
    }

    fn restart_worker(&mut self) {
        let Some(worker) = self.a_worker() else { return };
        self.order(worker, Order::Shutdown);
        if self.rng.bool() {
            let wait = Duration::from_secs(self.rng.u64(..20));
            self.later(wait, SimEvent::Order(worker, Order::ShutdownNow));
        }
        let wait = Duration::from_secs(self.rng.u64(60..200));
        self.later(wait, SimEvent::Restart(worker));
    }

    fn cut(&mut self) {
        let host = self.rng.usize(1..self.hosts.len());
        let time = match self.rng.u8(..10) {
            0 => Duration::from_secs(self.rng.u64(60..900)),
            _ => Duration::from_millis(self.rng.u64(100..60_000)),
        };
        self.hosts[host].cut_until = self.at + time;
        self.hosts[host].is_cut_visible = self.rng.bool();
    }

    /// Everything to and from a host takes long: a phone at the edge of its network.
    fn slow_line(&mut self) {
        let host = self.rng.usize(1..self.hosts.len());
        self.hosts[host].slow_until = self.at + Duration::from_millis(self.rng.u64(500..90_000));
        self.hosts[host].slowness = self.rng.u32(5..400);
    }

    /// What a system says that has no descriptors left.
    fn fail_accepts(&mut self) {
        let relay = &mut self.parties[crate::scenario::cast::RELAY];
        let life = relay.life;
        for _ in 0..self.rng.usize(1..=4) {
            let relay = &mut self.parties[crate::scenario::cast::RELAY];
            let Some((op, _)) = relay.accepts.pop_front() else { return };
            let to = Address { party: crate::scenario::cast::RELAY, life, op };
            self.tell(to, Event::Failed { op, failure: failure(IoErrorKind::Full) });
        }
    }

    fn with_conn(&mut self, go: impl FnOnce(&mut World, ConnId)) {
        let count = self.network.conns.len();
        if count > 0 {
            let at = self.rng.usize(..count);
            if let Some(id) = self.network.conns.keys().nth(at).copied() {
                go(self, id);
            }
        }
    }

    /// A machine sleeps. Its steady clock may go on meanwhile, or stand still.
    fn suspend(&mut self) {
        let host = self.rng.usize(1..self.hosts.len());
        if self.hosts[host].is_suspended(self.at) {
            return;
        }
        let time = match self.rng.u8(..4) {
            0 => Duration::from_secs(self.rng.u64(600..4 * 3600)),
            _ => Duration::from_secs(self.rng.u64(1..600)),
        };
        self.hosts[host].suspended_until = self.at + time;
        self.hosts[host].stands_still = self.rng.bool();
        if self.hosts[host].stands_still {
            self.hosts[host].clock.miss(time);
        }
        let until = self.at + time;
        self.agenda.note(until, SimEvent::WakeUp(host));
        self.fact_of_host(host);
    }

    fn fact_of_host(&mut self, host: usize) {
        for party in 0..self.parties.len() {
            if self.parties[party].host == host {
                self.fact(Fact::Slept { party });
            }
        }
    }

    fn step_wall(&mut self) {
        let host = self.rng.usize(..self.hosts.len());
        let millis = match self.rng.u8(..3) {
            0 => self.rng.i64(-5_000..5_000),
            1 => self.rng.i64(-3_600_000..3_600_000),
            _ => self.rng.i64(-864_000_000..864_000_000),
        };
        self.hosts[host].clock.step(millis);
        self.fact_of_host(host);
    }

    /// What may happen to a connection from its beginning.
    pub(crate) fn bewitch(&mut self, id: ConnId, is_http: bool) {
        let loses = is_http
            && self.weather.lost_answer > 0
            && self.rng.u32(..100) < self.weather.lost_answer;
        let doubles =
            is_http && self.weather.duplicate > 0 && self.rng.u32(..100) < self.weather.duplicate;
        if is_http && self.weather.hang_up > 0 && self.rng.u32(..100) < self.weather.hang_up {
            let wait = Duration::from_micros(self.rng.u64(..400_000));
            self.later(wait, SimEvent::HangUp { conn: id });
        }
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        conn.loses_answer = loses;
        if doubles && let Some(asked) = conn.asked.clone() {
            let (host, to, kind, label) = (conn.host, conn.to, conn.kind, conn.label.clone());
            let heard_at = conn.heard_at;
            let ghost = self.network.add(crate::sim::network::conn::Conn {
                client: None,
                server: None,
                host,
                to,
                kind,
                asked: Some(asked),
                is_swallowed: false,
                is_doomed: false,
                loses_answer: false,
                up: Default::default(),
                down: Default::default(),
                server_max: usize::MAX,
                label,
                heard_at,
            });
            self.put(ghost, End::Server, Arrival::Ask, 512);
        }
    }

    /// Something between client and relay answers by itself.
    pub(crate) fn proxy_answers(&mut self, id: ConnId) -> bool {
        if self.weather.proxy == 0 || self.rng.u32(..100) >= self.weather.proxy {
            return false;
        }
        let (status, retry_after) = match self.rng.u8(..5) {
            0 => (429, Some(self.rng.u64(1..90))),
            1 => (503, Some(self.rng.u64(1..90))),
            2 => (502, None),
            3 => (500, None),
            _ => (504, None),
        };
        let retry_after = retry_after.map(|secs| ("retry-after".to_owned(), secs.to_string()));
        let body = Bytes::from_static(b"<html>a proxy's page</html>");
        let headers = retry_after.into_iter().collect();
        self.put(id, End::Client, Arrival::Answer(Response { status, headers, body }), 64);
        true
    }
}
