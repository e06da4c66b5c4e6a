//! What a listener's clients may take up: connections, and time.
//!
//! Machines set these limits and say who is who; runtimes count, and close.

use core::time::Duration;

/// How much the client of a connection is trusted, as far as its machine knows. Each standing has
/// connections of its own, so that none can take them from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Nothing is known about it.
    #[default]
    Stranger,
    /// It has shown a worker's credential.
    Worker,
    /// It has shown a person's credential.
    Person,
}

impl Standing {
    /// All of them, the least trusted first.
    pub const ALL: [Self; 3] = [Self::Stranger, Self::Worker, Self::Person];
}

/// A minimum speed: the time in which nothing moves, less what the bytes that did move are worth at
/// `bytes_per_second`, never exceeds `grace`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long nothing at all may move.
    pub grace: Duration,
    /// From then on, at least this much has to.
    pub bytes_per_second: u32,
}

impl Pace {
    /// How long this many bytes may take, without the grace.
    pub fn time_for(&self, bytes: usize) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let nanos = bytes.saturating_mul(1_000_000_000) / u64::from(self.bytes_per_second.max(1));
        Duration::from_nanos(nanos)
    }
}

/// How many connections clients of one standing may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one address.
    pub per_address: usize,
    /// How slowly they may read what they are sent.
    pub reading: Pace,
}

/// What the clients of a listener may take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenLimits {
    /// From the beginning of a connection, or the end of the last answer, to the end of the next
    /// request's head. A TLS handshake may take as long again.
    pub head_time: Duration,
    /// For those that nothing is known about.
    pub strangers: ConnectionLimits,
    /// How many requests on one of their connections are taken as they come.
    pub strangers_requests: u32,
    /// How long each further one has to wait.
    pub strangers_pause: Duration,
    /// For workers.
    pub workers: ConnectionLimits,
    /// For people.
    pub people: ConnectionLimits,
}

impl Default for ListenLimits {
    /// Enough for any well-behaved client.
    fn default() -> Self {
        let reading = Pace { grace: Duration::from_secs(60), bytes_per_second: 1 };
        let limits = ConnectionLimits { total: 1024, per_address: 1024, reading };
        let head_time = Duration::from_secs(15);
        Self {
            head_time,
            strangers: limits,
            strangers_requests: u32::MAX,
            strangers_pause: Duration::ZERO,
            workers: limits,
            people: limits,
        }
    }
}

impl ListenLimits {
    /// The limits of one standing.
    pub const fn of(&self, standing: Standing) -> &ConnectionLimits {
        match standing {
            Standing::Stranger => &self.strangers,
            Standing::Worker => &self.workers,
            Standing::Person => &self.people,
        }
    }

    /// The same, but with no more than this many connections in all.
    #[must_use]
    pub fn within(mut self, connections: usize) -> Self {
        let whole = Standing::ALL.iter().map(|standing| self.of(*standing).total).sum::<usize>();
        if whole > connections {
            for limits in [&mut self.strangers, &mut self.workers, &mut self.people] {
                limits.total = (limits.total * connections / whole).max(1);
            }
        }
        self
    }
}
