//! Limits small enough to be reached: what a relay keeps, counts and waits for; the rest of the
//! world is unchanged.

use std::time::Duration;

use fastrand::Rng;
use footbridge_core::relay::RelayConfig;
use footbridge_core::store::StorePolicy;

/// Combined with the run's seed for all random draws of this file.
const STREAM: u64 = 0x5eed_0f11_3175;

/// The same small limits for all lives of a run's relay.
pub(crate) fn make_small(config: &mut RelayConfig, seed: u64) {
    let mut rng = Rng::with_seed(seed ^ STREAM);
    let mut seconds = |range| Duration::from_secs(rng.u64(range));
    let ack_time = seconds(4..30);
    let lease_time = seconds(20..60);
    let offline_after = seconds(60..120);
    let lapse_after = offline_after + seconds(60..480);
    config.poll_cap = seconds(1..50);
    config.policy = StorePolicy {
        ack_time,
        lease_time,
        offline_after,
        lapse_after,
        lost_after: lapse_after,
        environments_per_person: rng.usize(2..6),
        max_sessions: rng.usize(1..6),
        max_queued: rng.usize(1..4),
        ended_sessions: rng.usize(1..5),
        inbound_lines: rng.usize(2..40),
        inbound_bytes: rng.usize(1_000..20_000),
        ..config.policy
    };
    // Each viewer needs one, and one more until an old one is known to be dead: most worlds have no
    // more than three viewers. In one with eight, not all of them get a place.
    config.max_subscribers = rng.usize(6..12);
    config.stream_credit = rng.usize(500..20_000);
    config.policy.lost_after += Duration::from_secs(rng.u64(0..180));
}
