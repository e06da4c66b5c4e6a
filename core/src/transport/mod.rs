//! How a session's lines travel between worker and relay.
//!
//! | module | part |
//! | --- | --- |
//! | [`v1`] | version 1: a WebSocket that is kept up, with lines numbered in both directions |
//! | [`v2`] | version 2: a stream of events in, batches out, short-lived credentials (C) |
//! | [`event`] | what a session is told about either |
//! | [`inbox`] | how far the relay's lines have come, and which of them are new |
//! | `meeting` | where both are on a new connection, also when the relay was set back |
//! | [`outbox`] | what the relay has not acknowledged yet |
//! | [`dedupe`] | each uuid once (M-4) |
//!
//! A session does not know which of the two it has: [`Transport`] passes everything on.

pub(crate) mod dedupe;
pub(crate) mod event;
pub(crate) mod inbox;
mod meeting;
pub(crate) mod outbox;
pub(crate) mod v1;
pub(crate) mod v2;

use alloc::boxed::Box;
use alloc::string::String;

use fastrand::Rng;
use serde_json::value::RawValue;

use self::event::LinkEvent;
use self::v1::{Link, Rhythm};
use self::v2::Channel;
use crate::base::id::OpId;
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::event::Event;
use crate::engine::backoff::BackoffConfig;
use crate::engine::effects::Effects;

/// Which version a session speaks (C-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// What a session's way to the relay begins with.
pub(crate) struct Start {
    pub(crate) version: Version,
    /// Of the version's kind.
    pub(crate) url: String,
    /// Where version 1 is spoken, if that may take the place of version 2.
    pub(crate) fallback: Option<String>,
    /// The session's token.
    pub(crate) token: Secret,
    pub(crate) agent_run: String,
    pub(crate) backoff: BackoffConfig,
    pub(crate) rhythm: Rhythm,
}

/// One session's way to the relay.
#[derive(Debug)]
pub(crate) enum Transport {
    V1(Box<Link>),
    V2(Box<Channel>),
}

macro_rules! either {
    ($self:ident, $it:ident => $what:expr) => {
        match $self {
            Self::V1($it) => $what,
            Self::V2($it) => $what,
        }
    };
}

impl Transport {
    pub(crate) fn new(start: Start) -> Self {
        let Start { version, url, fallback, token, agent_run, backoff, rhythm } = start;
        match version {
            Version::V1 => Self::V1(Box::new(Link::new(url, token, agent_run, backoff, rhythm))),
            Version::V2 => {
                let channel = Channel::new(url, token, agent_run, backoff, rhythm);
                Self::V2(Box::new(channel.or_else_by(fallback)))
            }
        }
    }

    pub(crate) const fn version(&self) -> Version {
        match self {
            Self::V1(_) => Version::V1,
            Self::V2(_) => Version::V2,
        }
    }

    /// Sets the agent run that it speaks for.
    pub(crate) fn agent_run(&self) -> &str {
        either!(self, it => it.agent_run())
    }

    pub(crate) fn is_over(&self) -> bool {
        either!(self, it => it.is_over())
    }

    /// What it knows about the network.
    pub(crate) fn rhythm(&self) -> Rhythm {
        either!(self, it => it.rhythm())
    }

    /// Whether the relay has acknowledged everything that was sent.
    pub(crate) fn is_flushed(&self) -> bool {
        either!(self, it => it.is_flushed())
    }

    /// Bytes that the relay has not acknowledged yet.
    pub(crate) fn unacked_bytes(&self) -> usize {
        either!(self, it => it.unacked_bytes())
    }

    /// The number of the last line or report of this side.
    pub(crate) fn last_number(&self) -> u64 {
        either!(self, it => it.last_number())
    }

    /// How many lines and reports this side has sent, or is about to, since it was made.
    pub(crate) fn sent_here(&self) -> u64 {
        either!(self, it => it.sent_here())
    }

    /// The number that the relay gives to the line before those.
    pub(crate) fn base(&self) -> u64 {
        either!(self, it => it.base())
    }

    /// The number of the last one that the relay has acknowledged.
    pub(crate) fn acked(&self) -> u64 {
        either!(self, it => it.acked())
    }

    /// Connects, for `purpose`, unless it is connected, connecting or over.
    pub(crate) fn connect<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        either!(self, it => it.connect(fx, purpose));
    }

    /// What was to be started as `old` is being started as `new`.
    pub(crate) fn restarted(&mut self, old: OpId, new: OpId) {
        match self {
            Self::V1(link) => link.restarted(new),
            Self::V2(channel) => channel.restarted(old, new),
        }
    }

    /// Reconnects at once with another credential (W-8).
    pub(crate) fn renew<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        url: String,
        token: Secret,
    ) {
        either!(self, it => it.renew(fx, purpose, url, token));
    }

    /// Tries a refused credential once more, because it was accepted elsewhere.
    pub(crate) fn retry_refused<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        either!(self, it => it.retry_refused(fx, purpose));
    }

    /// Ends it for good: what was already passed on still leaves.
    pub(crate) fn close<P: Clone, N>(&mut self, fx: &mut Effects<P, N>) {
        either!(self, it => it.close(fx));
    }

    /// Sends a line of the agent.
    pub(crate) fn send_line<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        line: Text,
    ) {
        match self {
            Self::V1(link) => link.send_line(fx, line),
            Self::V2(channel) => channel.send_line(fx, purpose, line),
        }
    }

    /// Sends a message of the worker itself.
    pub(crate) fn send_report<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        message: Box<RawValue>,
    ) {
        match self {
            Self::V1(link) => link.send_report(fx, message),
            Self::V2(channel) => channel.send_report(fx, purpose, message),
        }
    }

    /// The number of the last line of the relay that has arrived.
    pub(crate) fn received(&self) -> u64 {
        either!(self, it => it.received())
    }

    /// All lines that have arrived except the last `pending`, which take `pending_bytes`, are done
    /// with.
    pub(crate) fn confirm_delivered<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        purpose: P,
        pending: usize,
        pending_bytes: usize,
    ) {
        match self {
            Self::V1(link) => link.confirm_delivered(fx, pending, pending_bytes),
            Self::V2(channel) => channel.confirm_delivered(fx, purpose, pending, pending_bytes),
        }
    }

    /// When [`on_time`](Self::on_time) has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        either!(self, it => it.deadline())
    }

    /// The relay answers elsewhere: a pause that it has not asked for is over.
    pub(crate) fn relay_answers<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        either!(self, it => it.relay_answers(fx, purpose));
    }

    /// The computer slept: earlier failures no longer count (W-2), and a connection has to show that
    /// it is still one.
    pub(crate) fn wake<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) {
        either!(self, it => it.wake(fx, purpose));
    }

    /// Acts on its deadline, if that has passed.
    pub(crate) fn on_time<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
    ) -> Option<LinkEvent> {
        let event = either!(self, it => it.on_time(fx, rng, purpose.clone()));
        self.fall_back(fx, purpose).or(event)
    }

    /// Goes on by version 1, if version 2 does not get through and may be replaced.
    fn fall_back<P: Clone, N>(&mut self, fx: &mut Effects<P, N>, purpose: P) -> Option<LinkEvent> {
        let Self::V2(channel) = self else { return None };
        let (mut link, reason) = channel.fall_back(fx)?;
        link.connect(fx, purpose);
        *self = Self::V1(Box::new(link));
        Some(LinkEvent::FellBack { reason })
    }

    /// Handles an event of one of its operations. What it means is passed to `each`, in order.
    pub(crate) fn handle<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
        rng: &mut Rng,
        purpose: P,
        event: Event,
        mut each: impl FnMut(LinkEvent),
    ) {
        match self {
            Self::V1(link) => link.handle(fx, rng, event, each),
            Self::V2(channel) => {
                channel.handle(fx, rng, purpose.clone(), event, &mut each);
                if let Some(event) = self.fall_back(fx, purpose) {
                    each(event);
                }
            }
        }
    }
}
