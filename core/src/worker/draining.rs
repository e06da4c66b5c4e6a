//! The relay is told that no more sessions are taken, so that whoever asks for one sees why it stays
//! queued (W-9).
//!
//! ```text
//!   drain ─▶ due ─▶ telling ─▶ told
//!             ▲ └────pause◀──┘   │
//!             └── registered ◀───┘
//! ```

use core::time::Duration;

use super::cx::{Cx, Purpose, Timer};
use super::lease::Environment;
use super::result::retry_pause;
use crate::client::{answer, worker_api};
use crate::contract::event::Event;
use crate::wire::worker_api::work::StateAnswer;

/// Half of the first pause before the relay is told again, and the longest one.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the relay knows of a worker that drains.
#[derive(Debug, Default)]
pub(super) enum Draining {
    /// Sessions are taken.
    #[default]
    No,
    /// The relay has to be told, after so many failures.
    Due {
        failures: u32,
    },
    Telling {
        failures: u32,
    },
    /// It knows, or is from before it could be told.
    Told,
}

impl Draining {
    pub(super) fn begin(&mut self) {
        *self = Self::Due { failures: 0 };
    }

    /// A relay takes a worker that registers to be ready for sessions.
    pub(super) fn registered(&mut self) {
        if !matches!(self, Self::No) {
            self.begin();
        }
    }

    /// Tells the relay, if that is due.
    pub(super) fn tell(&mut self, cx: &mut Cx<'_>, environment: Option<&Environment>) {
        let (Self::Due { failures }, Some(environment)) = (&*self, environment) else { return };
        if cx.timers.is_set(&Timer::Drain) {
            return;
        }
        *self = Self::Telling { failures: *failures };
        let request = worker_api::drain(&cx.config.relay, environment.key());
        cx.request(Purpose::Drain, request);
    }

    /// The relay has been told, or not. The caller then has to call [`tell`](Self::tell).
    pub(super) fn told(&mut self, cx: &mut Cx<'_>, event: Event) {
        let Self::Telling { failures } = *self else { return };
        *self = Self::Told;
        // What is refused for good comes from a relay of before, or the worker has to register again.
        if let Err(error) = answer::<StateAnswer>(event)
            && error.track().is_some()
        {
            let failures = failures.saturating_add(1);
            let pause = retry_pause(PAUSE, failures, LONGEST_PAUSE);
            cx.set_timer(Timer::Drain, pause.max(cx.retry_after(&error).unwrap_or_default()));
            *self = Self::Due { failures };
        }
    }
}
