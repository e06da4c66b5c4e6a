//! Whether version 2 gets through at all, and how everything goes on by version 1 where it does not
//! (C-4).

use alloc::format;
use alloc::string::{String, ToString};

use serde_json::value::RawValue;

use super::Channel;
use crate::base::limits::STREAM_DEAD_AFTER;
use crate::base::time::Instant;
use crate::client::RequestError;
use crate::engine::effects::Effects;
use crate::transport::outbox::Outbox;
use crate::transport::v1::Link;
use crate::wire::error::ErrorType;
use crate::wire::link_v1::ControlFrame;

/// Whether something on the way lets no stream through, or nothing there knows of them.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// As far as is known, nothing.
    Suspected {
        /// So often in a row it looked like it.
        times: u32,
        /// Since when its paths were unknown to whoever answered, if that was not the relay.
        unknown_since: Option<Instant>,
    },
    Certain {
        reason: String,
    },
}

impl Default for Obstacle {
    fn default() -> Self {
        Self::Suspected { times: 0, unknown_since: None }
    }
}

/// So often in a row a stream comes to nothing, while requests get through, before that is no accident.
const OBSTRUCTED_AFTER: u32 = 2;

impl Channel {
    /// It may be replaced by version 1, which is spoken there.
    pub(crate) fn or_else_by(mut self, fallback: Option<String>) -> Self {
        self.fallback = fallback;
        self
    }

    /// A stream has come to nothing, and not because the relay is away.
    pub(super) fn obstructed(&mut self, reason: &str) {
        if let Obstacle::Suspected { times, .. } = &mut self.obstacle {
            *times += 1;
            if *times >= OBSTRUCTED_AFTER {
                self.obstacle = Obstacle::Certain { reason: reason.to_string() };
            }
        }
    }

    /// A stream does what it should.
    pub(super) fn unobstructed(&mut self) {
        self.obstacle = Obstacle::default();
    }

    /// The relay has issued credentials.
    pub(super) const fn is_served(&mut self) {
        if let Obstacle::Suspected { unknown_since, .. } = &mut self.obstacle {
            *unknown_since = None;
        }
    }

    /// It has not: maybe because nothing there knows of version 2. A page in the relay's place, as while
    /// it restarts, says so only if it stays.
    pub(super) fn is_it_served(&mut self, now: Instant, error: &RequestError) {
        let Obstacle::Suspected { unknown_since, .. } = &mut self.obstacle else { return };
        let is_certain = match error {
            RequestError::Refused(refusal) => {
                matches!(refusal.kind, ErrorType::NotFound | ErrorType::MethodNotAllowed)
            }
            RequestError::Foreign(answer) if matches!(answer.status(), 404 | 405 | 501) => {
                *unknown_since.get_or_insert(now) + STREAM_DEAD_AFTER <= now
            }
            RequestError::Foreign(_) | RequestError::Broken(_) => {
                *unknown_since = None;
                false
            }
        };
        if is_certain {
            let reason = format!("nothing there speaks version 2: {error}");
            self.obstacle = Obstacle::Certain { reason };
        }
    }

    /// Whether it is about to be replaced.
    pub(super) const fn falls_back(&self) -> bool {
        matches!(self.obstacle, Obstacle::Certain { .. }) && self.fallback.is_some()
    }

    /// If it does not get through and may be replaced: what goes on in its place, and why.
    pub(crate) fn fall_back<P: Clone, N>(
        &mut self,
        fx: &mut Effects<P, N>,
    ) -> Option<(Link, String)> {
        let Obstacle::Certain { reason } = &self.obstacle else { return None };
        let (url, reason) = (self.fallback.clone()?, reason.clone());
        self.end(fx);
        let token = self.credentials.token().clone();
        let run = core::mem::take(&mut self.agent_run);
        let outbox = core::mem::replace(&mut self.outbox, Outbox::new());
        let outbox = outbox.rewritten(|report| {
            let report = String::from_utf8(report.to_vec()).unwrap_or_default();
            // It was JSON when it was pushed.
            let message = RawValue::from_string(report).unwrap_or_default();
            ControlFrame::Report { message }.to_bytes()
        });
        let inbox = core::mem::take(&mut self.inbox);
        let link = Link::new(url, token, run, *self.backoff.config(), self.rhythm);
        Some((link.continuing(outbox, inbox, self.is_resumed_once), reason))
    }
}
