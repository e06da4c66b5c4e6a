//! Promise 4: A question is answered exactly once: one answer counts, everyone learns that one, and
//! the agent gets it at most once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Promise, parsed};
use crate::fact::Fact;
use crate::ids::ProcessId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct OneAnswer {
    /// The answer that counts: its behavior and its text.
    counts: BTreeMap<(String, String), Value>,
    handed: BTreeMap<(ProcessId, String), Value>,
    withdrawn: BTreeMap<(String, String), ()>,
}

impl Promise for OneAnswer {
    fn name(&self) -> &'static str {
        "one answer"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::HandedOff { process, session, line } if line.contains("control_response") => {
                let message = parsed(line);
                let response = &message["response"];
                let Some(id) = response["request_id"].as_str() else { return Ok(()) };
                let answer = response["response"].clone();
                let before = self.handed.insert((*process, id.to_owned()), answer.clone());
                if before.is_some() {
                    return Err(format!("the agent of {session} got two answers to {id}"));
                }
                if response["subtype"] == "success" {
                    return self.counts(session, id, &answer);
                }
            }
            Fact::Viewed { notice, .. } => return self.viewed(notice),
            _ => {}
        }
        Ok(())
    }
}

impl OneAnswer {
    fn viewed(&mut self, notice: &ViewerNotice) -> Result<(), String> {
        match notice {
            ViewerNotice::Answered { session, request_id, body } => {
                let key = (session.clone(), request_id.clone());
                if self.withdrawn.contains_key(&key) {
                    return Err(format!("{request_id} of {session} was withdrawn and answered"));
                }
                self.counts(session, request_id, &parsed(body))
            }
            ViewerNotice::Conflict { session, request_id, answer } => {
                self.counts(session, request_id, &parsed(answer))
            }
            ViewerNotice::Withdrawn { session, request_id } => {
                self.withdrawn.insert((session.clone(), request_id.clone()), ());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Somebody was told that this answer counts.
    fn counts(&mut self, session: &str, id: &str, answer: &Value) -> Result<(), String> {
        let known = self.counts.entry((session.to_owned(), id.to_owned()));
        let known = known.or_insert_with(|| answer.clone());
        if is_same(known, answer) {
            return Ok(());
        }
        Err(format!("{id} of {session} has two answers: {known} and {answer}"))
    }
}

/// Whether two answers are the same; one of them may leave out the input.
fn is_same(one: &Value, other: &Value) -> bool {
    let field = |name: &str| {
        let (one, other) = (&one[name], &other[name]);
        one == other || (name == "updatedInput" && (one.is_null() || other.is_null()))
    };
    field("behavior") && field("message") && field("updatedInput")
}
