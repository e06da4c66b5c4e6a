//! How a fault strikes.

use std::time::Duration;

use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::fact::Fact;
use crate::faults::kind::FaultKind;
use crate::faults::plan::FaultPlan;
use crate::ids::{Address, ConnId, HostId, PartyId};
use crate::names::RELAY;
use crate::nodes::node::Order;
use crate::sim::cx::{Cx, failure};
use crate::sim::event::SimEvent;
use crate::sim::files;
use crate::sim::world::World;

/// Schedules the first fault of each kind.
pub(crate) fn expect_all(cx: &mut Cx) {
    for (kind, every) in cx.plan.every.clone() {
        let wait = cx.about(every);
        cx.later(wait, SimEvent::Fault(kind));
    }
}

/// Undoes every fault that is still in effect.
pub(crate) fn clear(world: &mut World) {
    let cx = &mut world.cx;
    cx.plan = FaultPlan::default();
    world.git.clear();
    // A relay that is down is a fault too.
    if !cx.parties[RELAY].is_up() {
        cx.later(Duration::from_secs(1), SimEvent::Restart(RELAY));
    }
    for host in &mut cx.hosts {
        host.cut_until = host.cut_until.min(cx.at);
        host.slow_until = host.slow_until.min(cx.at);
        host.portal_until = host.portal_until.min(cx.at);
        host.collected_until = host.collected_until.min(cx.at);
        host.disk.is_full = false;
        host.disk.is_unreadable = false;
        let rest = host.suspended_until.saturating_sub(cx.at);
        if !rest.is_zero() && host.stands_still {
            host.clock.miss_less(rest);
        }
        host.suspended_until = host.suspended_until.min(cx.at);
    }
    for host in 0..cx.hosts.len() {
        cx.later(Duration::ZERO, SimEvent::WakeUp(host));
    }
}

pub(crate) fn strike(world: &mut World, kind: FaultKind) {
    let cx = &mut world.cx;
    if cx.is_calm {
        return;
    }
    let Some(every) = cx.plan.every.get(&kind).copied() else { return };
    let wait = cx.about(every);
    cx.later(wait, SimEvent::Fault(kind));
    let at = cx.at;
    cx.trace.record(at, "world", || format!("fault: {}", kind.name()));
    match kind {
        FaultKind::RelayCrash => crash_relay(world, false),
        FaultKind::RelayLost => crash_relay(world, true),
        FaultKind::RelayRestart => world.order(RELAY, Order::Shutdown),
        FaultKind::WorkerCrash => crash_worker(world),
        FaultKind::WorkerRestart => restart_worker(world),
        FaultKind::Cut => cut(cx),
        FaultKind::Reset => {
            if let Some(conn) = a_conn(world) {
                world.network.reset(&mut world.cx, conn);
            }
        }
        FaultKind::Swallow => {
            if let Some(conn) = a_conn(world) {
                world.network.swallow(conn);
            }
        }
        FaultKind::SlowLine => slow_line(cx),
        FaultKind::AcceptError => fail_accepts(cx),
        FaultKind::Portal => portal(cx),
        FaultKind::Collects => collect(cx),
        FaultKind::Suspend => suspend(cx),
        FaultKind::RelayStop => stop_relay(cx),
        FaultKind::WallStep => step_wall(cx),
        FaultKind::TokenRotation => world.tokens.rotate_token(cx),
        FaultKind::KeyRotation => {
            world.tokens.rotate_keys();
            world.order(RELAY, Order::Shutdown);
        }
        FaultKind::DiskFull => {
            let host = cx.rng.usize(..cx.hosts.len());
            cx.hosts[host].disk.is_full ^= true;
        }
        FaultKind::DiskError => spoil_disk(cx),
        FaultKind::GitLock => world.git.hold_a_lock(cx),
        // These are rates, or properties of the whole run.
        FaultKind::Loss
        | FaultKind::LostAnswer
        | FaultKind::Duplicate
        | FaultKind::Proxy
        | FaultKind::HangUp
        | FaultKind::ShortLimit
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

/// A worker dies while it writes a file, or soon after.
pub(crate) fn crash_at_write(world: &mut World, party: PartyId, life: u32) {
    let cx = &mut world.cx;
    if cx.is_calm || cx.parties[party].life != life || !cx.parties[party].is_up() {
        return;
    }
    crash_for_a_while(world, party, fastrand::Rng::bool);
}

fn crash_for_a_while(
    world: &mut World,
    party: PartyId,
    is_silent: impl FnOnce(&mut fastrand::Rng) -> bool,
) {
    let is_silent = is_silent(&mut world.cx.rng);
    world.crash(party, is_silent);
    let wait = world.cx.down_time();
    world.cx.later(wait, SimEvent::Restart(party));
}

fn crash_relay(world: &mut World, loses_store: bool) {
    let is_silent = world.cx.rng.u8(..) < 60;
    world.crash(RELAY, is_silent);
    if loses_store {
        world.store.wipe();
        world.cx.fact(Fact::StoreLost);
    }
    let wait = world.cx.down_time();
    world.cx.later(wait, SimEvent::Restart(RELAY));
}

fn a_worker(cx: &mut Cx) -> Option<PartyId> {
    let workers = cx
        .parties
        .iter()
        .enumerate()
        .filter(|(_, party)| party.is_up() && party.role.runs_agents());
    let workers: Vec<_> = workers.map(|(id, _)| id).collect();
    cx.rng.choice(workers)
}

fn crash_worker(world: &mut World) {
    if let Some(worker) = a_worker(&mut world.cx) {
        crash_for_a_while(world, worker, |rng| rng.u8(..) < 60);
    }
}

fn restart_worker(world: &mut World) {
    let Some(worker) = a_worker(&mut world.cx) else { return };
    world.order(worker, Order::Shutdown);
    let cx = &mut world.cx;
    if cx.rng.bool() {
        let wait = Duration::from_secs(cx.rng.u64(..20));
        cx.later(wait, SimEvent::Order(worker, Order::ShutdownNow));
    }
    let wait = Duration::from_secs(cx.rng.u64(60..200));
    cx.later(wait, SimEvent::Restart(worker));
}

fn a_conn(world: &mut World) -> Option<ConnId> {
    let count = world.network.conns.len();
    if count == 0 {
        return None;
    }
    let at = world.cx.rng.usize(..count);
    world.network.conns.keys().nth(at).copied()
}

fn cut(cx: &mut Cx) {
    let host = cx.rng.usize(1..cx.hosts.len());
    let time = match cx.rng.u8(..10) {
        0 => Duration::from_secs(cx.rng.u64(60..900)),
        _ => Duration::from_millis(cx.rng.u64(100..60_000)),
    };
    cx.hosts[host].cut_until = cx.at + time;
    cx.hosts[host].is_cut_visible = cx.rng.bool();
}

/// Everything to and from a host is slow: a phone at the edge of its network.
fn slow_line(cx: &mut Cx) {
    let host = cx.rng.usize(1..cx.hosts.len());
    cx.hosts[host].slow_until = cx.at + Duration::from_millis(cx.rng.u64(500..90_000));
    cx.hosts[host].slowness = cx.rng.u32(5..400);
}

/// Something answers a worker's requests in the relay's place: for seconds, or until somebody has
/// signed in. It may give the same answer to all, or one to each.
fn portal(cx: &mut Cx) {
    let Some(worker) = a_worker(cx) else { return };
    let time = match cx.rng.u8(..10) {
        0 => Duration::from_secs(cx.rng.u64(60..900)),
        _ => Duration::from_millis(cx.rng.u64(100..60_000)),
    };
    let page = cx.rng.bool().then(|| cx.rng.usize(..));
    let host = &mut cx.hosts[cx.parties[worker].host];
    host.portal_until = cx.at + time;
    host.portal_page = page;
}

/// A proxy before a worker passes nothing of a stream of events on before it ends, for a while.
fn collect(cx: &mut Cx) {
    let Some(worker) = a_worker(cx) else { return };
    let time = Duration::from_secs(cx.rng.u64(5..300));
    let host = cx.parties[worker].host;
    cx.hosts[host].collected_until = cx.at + time;
}

/// The error of a system that has run out of file descriptors.
fn fail_accepts(cx: &mut Cx) {
    let life = cx.parties[RELAY].life;
    for _ in 0..cx.rng.usize(1..=4) {
        let Some(op) = cx.parties[RELAY].accepts.pop_front() else { return };
        let to = Address { party: RELAY, life, op };
        cx.tell(to, Event::Failed { op, failure: failure(IoErrorKind::Full) });
    }
}

/// A host sleeps. In the meantime, its monotonic clock may keep running or stand still.
fn suspend(cx: &mut Cx) {
    let host = cx.rng.usize(1..cx.hosts.len());
    if cx.hosts[host].is_suspended(cx.at) {
        return;
    }
    let time = match cx.rng.u8(..4) {
        0 => Duration::from_secs(cx.rng.u64(600..4 * 3600)),
        _ => Duration::from_secs(cx.rng.u64(1..600)),
    };
    cx.hosts[host].suspended_until = cx.at + time;
    cx.hosts[host].stands_still = cx.rng.bool();
    if cx.hosts[host].stands_still {
        cx.hosts[host].clock.miss(time);
    }
    let until = cx.at + time;
    cx.queue.note(until, SimEvent::WakeUp(host));
    note_odd_clocks(cx, host);
}

/// The relay's process is stopped and then continues. Nobody can renew a lease meanwhile.
fn stop_relay(cx: &mut Cx) {
    let host = cx.parties[RELAY].host;
    if cx.hosts[host].is_suspended(cx.at) {
        return;
    }
    let until = cx.at + Duration::from_secs(cx.rng.u64(1..200));
    cx.hosts[host].suspended_until = until;
    cx.hosts[host].stands_still = false;
    cx.queue.note(until, SimEvent::WakeUp(host));
    note_odd_clocks(cx, host);
}

fn note_odd_clocks(cx: &mut Cx, host: HostId) {
    for party in 0..cx.parties.len() {
        if cx.parties[party].host == host {
            cx.fact(Fact::Slept { party });
        }
    }
}

fn step_wall(cx: &mut Cx) {
    let host = cx.rng.usize(..cx.hosts.len());
    let millis = match cx.rng.u8(..3) {
        0 => cx.rng.i64(-5_000..5_000),
        1 => cx.rng.i64(-3_600_000..3_600_000),
        _ => cx.rng.i64(-864_000_000..864_000_000),
    };
    cx.hosts[host].clock.step(millis);
    note_odd_clocks(cx, host);
}

fn spoil_disk(cx: &mut Cx) {
    let host = cx.rng.usize(..cx.hosts.len());
    files::note_failure(cx, host);
    if cx.rng.bool() {
        cx.hosts[host].disk.is_unreadable ^= true;
    } else {
        cx.hosts[host].disk.spoil(&mut cx.rng);
    }
}
