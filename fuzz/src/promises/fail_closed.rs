//! Promise 5: Approvals fail closed: no agent is told *allow* unless a viewer gave that answer to
//! that very question.

use std::collections::BTreeSet;

use super::{Promise, parsed};
use crate::fact::Fact;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct FailClosed {
    allowed: BTreeSet<(String, String)>,
    /// Withdrawn by the agent, or no longer answerable, according to the log.
    closed: BTreeSet<(String, String)>,
}

impl Promise for FailClosed {
    fn name(&self) -> &'static str {
        "fail closed"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::HandedOff { session, line, .. } if line.contains("\"allow\"") => {
                let message = parsed(line);
                let Some(id) = message["response"]["request_id"].as_str() else { return Ok(()) };
                if !self.allowed.contains(&(session.clone(), id.to_owned())) {
                    return Err(format!("{id} of {session} was allowed by nobody"));
                }
            }
            Fact::Viewed {
                notice: ViewerNotice::Answering { session, request_id, is_allow: true },
                ..
            } => {
                self.allowed.insert((session.clone(), request_id.clone()));
            }
            Fact::Viewed { notice: ViewerNotice::Event { session, from, message, .. }, .. }
                if from == "relay" && message.contains("permission_withdrawn") =>
            {
                if let Some(id) = parsed(message)["request_id"].as_str() {
                    self.closed.insert((session.clone(), id.to_owned()));
                }
            }
            Fact::Viewed { notice: ViewerNotice::Answered { session, request_id, .. }, .. }
                if self.closed.contains(&(session.clone(), request_id.clone())) =>
            {
                return Err(format!("{request_id} of {session} was closed, then answered"));
            }
            _ => {}
        }
        Ok(())
    }
}
