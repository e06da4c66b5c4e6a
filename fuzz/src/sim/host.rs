//! A computer that parties run on: its clocks, its disk, its network cable.

use std::time::Duration;

use footbridge_core::contract::event::Event;

use crate::ids::Address;
use crate::sim::clock::{Clock, Time};
use crate::sim::disk::Disk;
use crate::sim::event::SimEvent;

/// One computer.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    /// It does nothing before this time.
    pub(crate) suspended_until: Time,
    /// Whether its monotonic clock stands still in the meantime.
    pub(crate) stands_still: bool,
    /// What arrived while it was suspended.
    pub(crate) held: Vec<(Address, Event)>,
    /// What would have happened on it in the meantime.
    pub(crate) put_off: Vec<SimEvent>,
    /// Its cable is unplugged until this time.
    pub(crate) cut_until: Time,
    /// Whether a cut shows at once as an error, or only as silence.
    pub(crate) is_cut_visible: bool,
    /// Its requests are answered by something else than the relay until this time: all with this
    /// page, or each with another.
    pub(crate) portal_until: Time,
    pub(crate) portal_page: Option<usize>,
    /// Something collects its streams of events until this time.
    pub(crate) collected_until: Time,
    /// Its network is slow until this time, by this factor.
    pub(crate) slow_until: Time,
    pub(crate) slowness: u32,
    /// Usual time of a packet from here to the relay.
    pub(crate) latency: Duration,
    /// Transfer time per KiB.
    pub(crate) per_kib: Duration,
}

impl Host {
    pub(crate) fn new(clock: Clock, disk: Disk, latency: Duration) -> Self {
        Self {
            clock,
            disk,
            suspended_until: Time::ZERO,
            stands_still: false,
            held: Vec::new(),
            put_off: Vec::new(),
            cut_until: Time::ZERO,
            is_cut_visible: false,
            portal_until: Time::ZERO,
            portal_page: None,
            collected_until: Time::ZERO,
            slow_until: Time::ZERO,
            slowness: 1,
            latency,
            per_kib: Duration::from_micros(10),
        }
    }

    pub(crate) fn is_suspended(&self, at: Time) -> bool {
        at < self.suspended_until
    }

    pub(crate) fn is_cut(&self, at: Time) -> bool {
        at < self.cut_until
    }
}
