//! One stream of work, from its request to its end (E-2).
//!
//! ```text
//!   Asked ─▶ Greeting ─▶ Up ─▶ over: all that it was to bring has come, or its time is up
//!     └──────────┴────────┴──▶ broken off, silent, or refused
//! ```

use alloc::string::String;

use bytes::Bytes;

use crate::base::id::OpId;
use crate::base::limits::{
    MAX_RESPONSE_BYTES, STREAM_ALIVE_EVERY, STREAM_DEAD_AFTER, STREAM_GREETING,
};
use crate::base::time::Instant;
use crate::contract::event::Head;
use crate::wire::sse::{EventError, EventReader};
use crate::wire::worker_api::work_stream::WorkStreamEvent;

/// The items that come under one key, whatever they come by.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: u128,
    /// The number of the last one that has come.
    pub(super) taken: u64,
}

/// A stream that was asked for.
#[derive(Debug)]
pub(super) struct WorkStream {
    pub(super) op: OpId,
    phase: Phase,
    /// How many more items may come.
    room: u64,
    /// Whether any has come.
    has_brought: bool,
    events: EventReader,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Asked,
    /// Something has to come until then.
    Greeting {
        until: Instant,
    },
    Up {
        since: Instant,
        last_heard: Instant,
    },
}

/// What has come on a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It gets through.
    Up,
    /// An item, still as JSON; `is_last` if no more may come.
    Item { item: String, is_last: bool },
    /// It is over, and `has_brought` something.
    End { has_brought: bool },
}

/// What is wrong with a stream at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing has come on it since it opened.
    HeldBack,
    /// Nothing comes any more; `is_proved` if something did once.
    Silent { is_proved: bool },
}

impl WorkStream {
    /// For so many items.
    pub(super) fn new(op: OpId, room: u64) -> Self {
        let events = EventReader::new(MAX_RESPONSE_BYTES);
        Self { op, phase: Phase::Asked, room, has_brought: false, events }
    }

    /// Its answer has begun. Returns whether it is a stream.
    pub(super) fn opened(&mut self, now: Instant, head: &Head) -> bool {
        let kind = head.header("content-type").unwrap_or_default();
        self.phase = Phase::Greeting { until: now + STREAM_GREETING };
        head.status == 200 && kind.starts_with("text/event-stream")
    }

    /// Something has come.
    pub(super) const fn heard(&mut self, now: Instant) {
        if let Phase::Up { last_heard, .. } = &mut self.phase {
            *last_heard = now;
        }
    }

    /// Whether something has come a while after its beginning: nothing holds it back.
    pub(super) fn is_proved(&self) -> bool {
        match self.phase {
            Phase::Up { since, last_heard } => last_heard >= since + STREAM_ALIVE_EVERY / 2,
            Phase::Asked | Phase::Greeting { .. } => false,
        }
    }

    /// The next thing of these bytes, and `None` once they are used up. `taken` counts the items.
    pub(super) fn next(
        &mut self,
        now: Instant,
        bytes: &mut Bytes,
        taken: &mut u64,
    ) -> Option<Result<Came, &'static str>> {
        loop {
            let event = match self.events.next(bytes, WorkStreamEvent::parse)? {
                Ok(event) => event,
                Err(EventError::TooLong) => {
                    return Some(Err("the relay sent an event that is longer than any item"));
                }
                Err(EventError::Malformed) => {
                    return Some(Err("the relay sent a malformed event"));
                }
            };
            match event {
                WorkStreamEvent::Open if matches!(self.phase, Phase::Greeting { .. }) => {
                    self.phase = Phase::Up { since: now, last_heard: now };
                    return Some(Ok(Came::Up));
                }
                WorkStreamEvent::Open | WorkStreamEvent::Unknown => {}
                WorkStreamEvent::End => {
                    return Some(Ok(Came::End { has_brought: self.has_brought }));
                }
                WorkStreamEvent::Work { number, .. } if number > taken.saturating_add(1) => {
                    return Some(Err("the relay left out an item"));
                }
                WorkStreamEvent::Work { number, item } if number > *taken => {
                    *taken = number;
                    self.has_brought = true;
                    self.room = self.room.saturating_sub(1);
                    return Some(Ok(Came::Item { item, is_last: self.room == 0 }));
                }
                // It has come before.
                WorkStreamEvent::Work { .. } => {}
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Asked => None,
            Phase::Greeting { until } => Some(until),
            Phase::Up { last_heard, .. } => Some(last_heard + STREAM_DEAD_AFTER),
        }
    }

    /// What is wrong with it by now.
    pub(super) fn overdue(&self, now: Instant) -> Option<Overdue> {
        if self.deadline().is_none_or(|at| at > now) {
            return None;
        }
        match self.phase {
            Phase::Up { .. } => Some(Overdue::Silent { is_proved: self.is_proved() }),
            Phase::Asked | Phase::Greeting { .. } => Some(Overdue::HeldBack),
        }
    }
}
