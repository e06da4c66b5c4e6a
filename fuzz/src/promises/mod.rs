//! The promises of the design, each as a judge of what can be observed from outside.

mod bounded;
mod ended_machines;
mod fail_closed;
mod fresh_tokens;
mod guarded;
mod honest_status;
mod leaks;
mod no_loss;
mod nobody_waits;
mod one_agent;
mod one_answer;
mod one_environment;
mod one_epoch;
mod one_hand_off;
mod one_view;
mod patience;
mod progress;
mod receipts;
mod safe_restart;
mod strangers;
mod true_sender;
mod two_versions;
mod unread;
mod whole_list;
mod whole_log;
mod worktrees;

use serde_json::Value;

use crate::fact::Fact;
use crate::sim::clock::Time;

/// One promise.
pub(crate) trait Promise {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Takes in a fact; `Err` says how it breaks the promise.
    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String>;
    /// Checks what must be true once everything is at rest.
    fn end(&mut self, _: Time) -> Result<(), String> {
        Ok(())
    }
}

/// All of them.
pub(crate) struct Promises {
    all: Vec<Box<dyn Promise>>,
    calm_since: Option<Time>,
}

impl Promises {
    pub(crate) fn new() -> Self {
        let all: Vec<Box<dyn Promise>> = vec![
            Box::new(no_loss::NoLoss::default()),
            Box::new(one_hand_off::OneHandOff::default()),
            Box::new(whole_log::WholeLog::default()),
            Box::new(one_answer::OneAnswer::default()),
            Box::new(fail_closed::FailClosed::default()),
            Box::new(guarded::Guarded::default()),
            Box::new(progress::Progress::default()),
            Box::new(honest_status::HonestStatus::default()),
            Box::new(patience::Patience::default()),
            Box::new(one_agent::OneAgent::default()),
            Box::new(bounded::Bounded),
            Box::new(worktrees::Worktrees::default()),
            Box::new(fresh_tokens::FreshTokens::default()),
            Box::new(safe_restart::SafeRestart::default()),
            Box::new(nobody_waits::NobodyWaits::default()),
            Box::new(receipts::Receipts::default()),
            Box::new(whole_list::WholeList::default()),
            Box::new(one_view::OneView::default()),
            Box::new(two_versions::TwoVersions),
            Box::new(one_environment::OneEnvironment::default()),
            Box::new(leaks::Leaks::default()),
            Box::new(strangers::Strangers::default()),
            Box::new(one_epoch::OneEpoch::default()),
            Box::new(true_sender::TrueSender::default()),
            Box::new(ended_machines::EndedMachines::default()),
        ];
        Self { all, calm_since: None }
    }

    pub(crate) const fn calm_since(&self) -> Option<Time> {
        self.calm_since
    }

    pub(crate) fn see(&mut self, at: Time, fact: &Fact) -> Option<(&'static str, String)> {
        if matches!(fact, Fact::Calm) {
            self.calm_since = Some(at);
        }
        for promise in &mut self.all {
            if let Err(words) = promise.see(at, fact) {
                return Some((promise.name(), words));
            }
        }
        None
    }

    pub(crate) fn end(&mut self, at: Time) -> Option<(&'static str, String)> {
        for promise in &mut self.all {
            if let Err(words) = promise.end(at) {
                return Some((promise.name(), words));
            }
        }
        None
    }
}

/// A line as JSON; null if it is not JSON.
fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_default()
}

/// A string field of a line.
fn line_id(line: &str, field: &str) -> Option<String> {
    parsed(line)[field].as_str().map(str::to_owned)
}

/// The messages that a line from the relay declares indeterminate.
fn indeterminate(line: &str) -> Vec<String> {
    if !line.contains("messages_indeterminate") {
        return Vec::new();
    }
    let uuids = parsed(line)["uuids"].take();
    uuids.as_array().into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}
