//! Promise 16: Whoever has no credential costs a relay only so many connections, and none of its bodies is
//! read; and they delay workers and viewers only by so much. Judged in the calm, where nothing else
//! delays anybody.

use std::time::Duration;

use footbridge_core::base::limits::MAX_STRANGERS_CONNECTIONS;

use super::Promise;
use crate::fact::Fact;
use crate::sim::clock::Time;

/// A request of somebody who has a credential is heard by the relay within this time.
const HEARD_WITHIN: Duration = Duration::from_secs(1);
/// And it is answered within this time, whatever the store has to do for strangers: they may have 256
/// operations under way, and each takes a few milliseconds.
const SERVED_WITHIN: Duration = Duration::from_secs(2);
/// A burst of strangers at somebody's own address may take its place before a relay has read who it is,
/// and only then: 128 connections within this time.
const SHOWN_WITHIN: Duration = Duration::from_millis(10);
/// What began among faults is over by then.
const SETTLED: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Strangers {
    calm_since: Option<Time>,
}

impl Strangers {
    /// Whether something that began then is judged.
    fn is_judged(&self, began: Time) -> bool {
        self.calm_since.is_some_and(|since| since + SETTLED <= began)
    }
}

impl Promise for Strangers {
    fn name(&self) -> &'static str {
        "strangers"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Calm => self.calm_since = Some(at),
            Fact::Strangers { connections } if *connections > MAX_STRANGERS_CONNECTIONS => {
                return Err(format!("strangers have {connections} connections"));
            }
            Fact::StrangersBody { what } => {
                return Err(format!("the body of a stranger's {what} is read"));
            }
            Fact::ShownOut { role, after } if *after > SHOWN_WITHIN && self.is_judged(at) => {
                return Err(format!("a {role:?} had to make room for strangers after {after:?}"));
            }
            Fact::Heard { role, waited }
                if *waited > HEARD_WITHIN && self.is_judged(at.saturating_sub(*waited)) =>
            {
                return Err(format!("a {role:?} was not heard for {waited:?}"));
            }
            Fact::Served { role, took }
                if *took > SERVED_WITHIN && self.is_judged(at.saturating_sub(*took)) =>
            {
                return Err(format!("a {role:?} waited {took:?} for an answer"));
            }
            _ => {}
        }
        Ok(())
    }
}
