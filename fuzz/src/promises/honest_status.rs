//! Promise 7: Status is honest: *connected* is said only where the worker's link has been heard lately, and a
//! viewer that hears the relay learns in time that it is not so any more.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Promise;
use crate::clock::Time;
use crate::fact::Fact;
use crate::viewer::ViewerNotice;

/// 45 s of silence, and the time that the words may take to the viewer and to be read by it.
const BOUND: Duration = Duration::from_secs(45 + 60);

#[derive(Default)]
pub(crate) struct HonestStatus {
    heard_at: BTreeMap<String, Time>,
    calm_since: Option<Time>,
}

impl Promise for HonestStatus {
    fn name(&self) -> &'static str {
        "honest status"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Calm => self.calm_since = Some(at),
            Fact::LinkHeard { session } => {
                self.heard_at.insert(session.clone(), at);
            }
            // Under faults old words may take long to a viewer; in the calm they may not.
            Fact::Viewed { notice: ViewerNotice::View(view), .. }
                if view.is_connected && self.calm_since.is_some_and(|since| at > since + BOUND) =>
            {
                let heard = self.heard_at.get(&view.session).copied().unwrap_or_default();
                if at > heard + BOUND {
                    return Err(format!(
                        "{} counts as connected; its worker was heard of {:?} ago",
                        view.session,
                        at - heard
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
