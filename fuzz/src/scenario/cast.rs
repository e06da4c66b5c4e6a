//! Who is in the world, and where.

use std::time::Duration;

use fastrand::Rng;

use crate::ids::{PartyId, Role};
use crate::scenario::options::Options;
use crate::sim::clock::Clock;
use crate::sim::cx::Cx;
use crate::sim::disk::Disk;
use crate::sim::event::SimEvent;
use crate::sim::host::Host;
use crate::sim::party::Party;
use crate::sim::world::World;

/// Combined with the run's seed to draw whether there are strangers.
const STRANGERS: u64 = 0x57a4_6e25;
/// In so many of 256 runs there are.
const STRANGERS_OF_256: u8 = 40;

/// Combined with the run's seed to draw whether a program exposes its own session.
const EMBEDDED: u64 = 0xe5be_dded;
/// In so many of 256 runs one does.
const EMBEDDED_OF_256: u8 = 40;
/// Combined with the run's seed to draw whether somebody logs machines in.
const MACHINES: u64 = 0x0064_6f72_6121;
/// In so many of 256 runs somebody does.
const MACHINES_OF_256: u8 = 40;

pub(crate) fn set_the_scene(world: &mut World, options: &Options) {
    let World { cx, git, .. } = world;
    let seed = options.seed;
    // Most worlds are small, where events collide most often; some are not.
    let most = if cx.rng.u8(..) < 16 { (6, 8) } else { (2, 3) };
    let drawn = (cx.rng.u32(1..=most.0), cx.rng.u32(1..=most.1), cx.rng.u64(3..30));
    let workers = options.workers.unwrap_or(drawn.0);
    let viewers = options.viewers.unwrap_or(drawn.1);
    let minutes = options.minutes.unwrap_or(drawn.2);
    let has_liar = cx.rng.u8(..) < 50 && options.workers.is_none();
    let has_mallory = cx.rng.u8(..) < 50 && options.workers.is_none();
    let faults = cx.plan.names().join(",");
    let at = cx.at;
    cx.trace.record(at, "world", || {
        format!("{workers} workers, {viewers} viewers, {minutes} minutes, faults: {faults}")
    });
    add(cx, seed, "relay", Role::Relay);
    add(cx, seed, "liar", Role::Liar);
    for n in 1..=workers {
        add(cx, seed, &format!("worker{n}"), Role::Worker);
    }
    for n in 1..=viewers {
        add(cx, seed, &format!("viewer{n}"), Role::Viewer);
    }
    if has_liar {
        add(cx, seed, "victim", Role::Victim);
    }
    if has_mallory {
        add(cx, seed, "mallory", Role::Mallory);
    }
    if has_strangers(options) {
        add(cx, seed, "stranger", Role::Stranger);
    }
    if has_embedded(options) {
        add(cx, seed, "program", Role::Embedded);
    }
    if has_machines(options) {
        add(cx, seed, "machines", Role::Machines);
    }
    git.set_up(cx);
    for id in 0..cx.parties.len() {
        if cx.parties[id].role == Role::Liar && !has_liar {
            continue;
        }
        let wait = Duration::from_millis(cx.rng.u64(1..3_000));
        let wait = if cx.parties[id].role == Role::Relay { Duration::ZERO } else { wait };
        cx.later(wait, SimEvent::Restart(id));
    }
    cx.later(Duration::from_secs(minutes * 60), SimEvent::Calm);
}

/// Whether somebody without a credential takes part. That comes from a random stream of its own, so
/// that all other runs are unchanged.
pub(crate) fn has_strangers(options: &Options) -> bool {
    let drawn = || match options.mutant {
        Some(mutant) => mutant.meets_strangers(),
        None => {
            options.workers.is_none()
                && Rng::with_seed(options.seed ^ STRANGERS).u8(..) < STRANGERS_OF_256
        }
    };
    options.strangers.unwrap_or_else(drawn)
}

/// Whether a program exposes its own session. That comes from a random stream of its own, too.
fn has_embedded(options: &Options) -> bool {
    let drawn = || match options.mutant {
        Some(mutant) => mutant.meets_a_bridge(),
        None => {
            options.workers.is_none()
                && Rng::with_seed(options.seed ^ EMBEDDED).u8(..) < EMBEDDED_OF_256
        }
    };
    options.embedded.unwrap_or_else(drawn)
}

/// Whether somebody logs machines in and ends them. That comes from a random stream of its own, too.
fn has_machines(options: &Options) -> bool {
    let drawn = || match options.mutant {
        Some(mutant) => mutant.meets_machines(),
        None => {
            options.workers.is_none()
                && Rng::with_seed(options.seed ^ MACHINES).u8(..) < MACHINES_OF_256
        }
    };
    options.machines.unwrap_or_else(drawn)
}

fn add(cx: &mut Cx, seed: u64, name: &str, role: Role) -> PartyId {
    let origin = Duration::from_secs(cx.rng.u64(1..100_000));
    let skew = cx.rng.i64(-60_000..60_000);
    let latency = Duration::from_micros(cx.rng.u64(100..80_000));
    let number = u64::try_from(cx.hosts.len()).unwrap_or_default();
    let disk = Disk::new(seed.wrapping_mul(64).wrapping_add(number));
    let host = Host::new(Clock::new(origin, skew), disk, latency);
    cx.hosts.push(host);
    cx.parties.push(Party::new(name.to_owned(), role, cx.hosts.len() - 1));
    cx.parties.len() - 1
}
