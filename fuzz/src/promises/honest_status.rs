//! Promise 7: Status is honest, at all times: *connected* is said only where the worker's link has been
//! heard lately, and who was told so on a stream that lives is told when it is not so any more.
//!
//! It is judged twice: at the wire, where the relay says it, under all faults; and in the calm at the
//! viewer, where old words do not count as an excuse.

use std::collections::BTreeMap;
use std::time::Duration;

use footbridge_core::base::limits::LINK_DEAD_AFTER;

use super::Promise;
use crate::fact::Fact;
use crate::ids::ConnId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

/// By how much the relay's timer may be late.
const SLACK: Duration = Duration::from_secs(1);
/// Within this time after that the relay says so on every stream that lives: the session is read
/// from a store that may be slow, or fail and be asked again.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// 45 s of silence, and the time that the words may take to the viewer and to be read by it.
const BOUND: Duration = Duration::from_secs(45 + 60);

#[derive(Default)]
pub(crate) struct HonestStatus {
    heard_at: BTreeMap<String, Time>,
    /// What each stream was told last to be connected.
    told: BTreeMap<ConnId, Vec<String>>,
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
            Fact::SaidConnected { stream, session, is_connected } => {
                return self.said(at, *stream, session, *is_connected);
            }
            // It is said only where nothing else is on its way: whoever reads slowly may be told later.
            Fact::SaidAlive { stream } => {
                for session in self.told.get(stream).into_iter().flatten() {
                    let silent = self.silent_for(at, session);
                    if silent > LINK_DEAD_AFTER + TOLD_WITHIN {
                        return Err(format!(
                            "nobody is told that {session} is silent for {silent:?}"
                        ));
                    }
                }
            }
            // Under faults old words may take long to a viewer; in the calm they may not.
            Fact::Viewed { notice: ViewerNotice::View(view), .. }
                if view.is_connected && self.calm_since.is_some_and(|since| at > since + BOUND) =>
            {
                let silent = self.silent_for(at, &view.session);
                if silent > BOUND {
                    return Err(format!(
                        "{} counts as connected; its worker was heard of {silent:?} ago",
                        view.session,
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl HonestStatus {
    fn silent_for(&self, at: Time, session: &str) -> Duration {
        at.saturating_sub(self.heard_at.get(session).copied().unwrap_or_default())
    }

    fn said(
        &mut self,
        at: Time,
        stream: Option<ConnId>,
        session: &str,
        is_connected: bool,
    ) -> Result<(), String> {
        if let Some(stream) = stream {
            let told = self.told.entry(stream).or_default();
            told.retain(|told| told != session);
            if is_connected {
                told.push(session.to_owned());
            }
        }
        let silent = self.silent_for(at, session);
        if is_connected && silent > LINK_DEAD_AFTER + SLACK {
            return Err(format!(
                "the relay says that {session} is connected, and last heard of it {silent:?} ago"
            ));
        }
        Ok(())
    }
}
