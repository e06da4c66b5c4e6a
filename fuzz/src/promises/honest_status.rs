//! Promise 7: Status is honest at all times: *connected* is reported only while the worker's link
//! has recently been heard from, and whoever was told so on a live stream is told when it is no
//! longer so.
//!
//! It is judged twice: at the wire, where the relay reports it, under all faults; and in the calm,
//! at the viewer, where messages delayed earlier are no excuse.

use std::collections::BTreeMap;
use std::time::Duration;

use footbridge_core::base::limits::LINK_DEAD_AFTER;

use super::Promise;
use crate::fact::Fact;
use crate::ids::ConnId;
use crate::names::RELAY;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

/// How late the relay's timer may be.
const SLACK: Duration = Duration::from_secs(1);
/// Within this time after that, the relay reports it on every live stream: the session is read from
/// a store that may be slow, or fail and be asked again.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// 45 s of silence, and the time until the message has reached the viewer and been read.
const BOUND: Duration = Duration::from_secs(45 + 60);

#[derive(Default)]
pub(crate) struct HonestStatus {
    heard_at: BTreeMap<String, Time>,
    /// What each stream was last told about connections.
    told: BTreeMap<ConnId, Vec<String>>,
    calm_since: Option<Time>,
    /// When the relay last continued: what came while it stood still, it hears only then.
    continued_at: Time,
}

impl Promise for HonestStatus {
    fn name(&self) -> &'static str {
        "honest status"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Calm => self.calm_since = Some(at),
            Fact::Woke { party: RELAY } => self.continued_at = at,
            Fact::LinkHeard { session } => {
                self.heard_at.insert(session.clone(), at);
            }
            Fact::SaidConnected { stream, session, is_connected } => {
                return self.said(at, *stream, session, *is_connected);
            }
            // Judged only when nothing else is in flight: a slow reader may be told later.
            Fact::SaidAlive { stream } => {
                for session in self.told.get(stream).into_iter().flatten() {
                    let silent = self.silent_for(at, session);
                    if silent > LINK_DEAD_AFTER + TOLD_WITHIN {
                        return Err(format!(
                            "nobody is told that {session} has been silent for {silent:?}"
                        ));
                    }
                }
            }
            // Under faults, messages may take long to reach a viewer; in the calm they may not.
            Fact::Viewed { notice: ViewerNotice::View(view), .. }
                if view.is_connected && self.calm_since.is_some_and(|since| at > since + BOUND) =>
            {
                let silent = self.silent_for(at, &view.session);
                if silent > BOUND {
                    return Err(format!(
                        "{} is shown as connected; its worker was last heard from {silent:?} ago",
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
        let heard = self.heard_at.get(session).copied().unwrap_or_default();
        at.saturating_sub(heard.max(self.continued_at))
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
                "the relay reports {session} as connected, but last heard from it {silent:?} ago"
            ));
        }
        Ok(())
    }
}
