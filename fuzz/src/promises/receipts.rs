//! Promise 15, and what promise 1 leaves open: of everything that was accepted it can be seen how far it
//! has come, and it ends in a state that has a name. What is said is true: what counts as read was
//! handed to the agent, what counts as undelivered never was, and nothing that has ended in one way
//! ends in another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Promise, line_id, parsed};
use crate::fact::Fact;
use crate::nodes::viewer::hooks;
use crate::nodes::viewer::notice::{Receipts as Cursors, ViewerNotice};
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct Receipts {
    sessions: BTreeMap<String, Story>,
}

#[derive(Default)]
struct Story {
    /// What viewers said, by number, as the log has it.
    logged: BTreeMap<u64, Name>,
    handed: BTreeSet<Name>,
    /// Requests that have a uuid as well, and so are stored once.
    with_uuid: BTreeSet<String>,
    /// What did not end well, how, and the first event that says so.
    failed: BTreeMap<Name, (String, u64)>,
    /// By the last event of a session: how much counted as read by then.
    read_by: BTreeMap<u64, u64>,
    /// How far everything has come, as it was last said.
    cursors: Option<Cursors>,
    has_gap: bool,
    without_runs: bool,
    is_gone: bool,
    is_ended: bool,
    /// The event of its end.
    ended_at: Option<u64>,
}

/// What a line for an agent is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Message(String),
    Request(String),
    Answer(String),
}

impl Name {
    fn of(line: &str) -> Option<Self> {
        let message = parsed(line);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        match message["type"].as_str()? {
            "user" => text(&message["uuid"]).map(Self::Message),
            "control_request" => text(&message["request_id"]).map(Self::Request),
            "control_response" if is_of_client(&message) => {
                text(&message["response"]["request_id"]).map(Self::Answer)
            }
            _ => None,
        }
    }

    /// Those that a report names.
    fn all_in(report: &Value) -> Vec<Self> {
        let of = |field: &str, name: fn(String) -> Self| {
            let all = report[field].as_array().into_iter().flatten();
            all.filter_map(|id| id.as_str().map(str::to_owned)).map(name).collect::<Vec<_>>()
        };
        let lists = [
            of("uuids", Self::Message),
            of("request_ids", Self::Request),
            of("answers", Self::Answer),
        ];
        lists.concat()
    }
}

/// Whether somebody answers an agent. The refusals of a relay and of a worker are nobody's to follow,
/// though one of a guard looks like a client's answer, but for its reason.
fn is_of_client(message: &Value) -> bool {
    let reason = &message["response"]["response"]["hookSpecificOutput"]["permissionDecisionReason"];
    let is_own = reason.is_string() && reason != hooks::BROKEN;
    message["response"]["subtype"] == "success" && message["refused"] != true && !is_own
}

impl Promise for Receipts {
    fn name(&self) -> &'static str {
        "receipts"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::HandedOff { session, line, .. } => {
                let story = self.sessions.entry(session.clone()).or_default();
                let Some(name) = Name::of(line) else { return Ok(()) };
                let said =
                    story.failed.get(&name).filter(|(how, _)| how != "messages_indeterminate");
                if let Some((how, _)) = said
                    && !story.is_ambiguous(&name)
                {
                    return Err(format!(
                        "{name:?} of {session}: {how}, and then it was handed over"
                    ));
                }
                story.handed.insert(name);
            }
            Fact::NoAgentRun { session } => {
                self.sessions.entry(session.clone()).or_default().without_runs = true;
            }
            Fact::StoreLost => self.sessions.values_mut().for_each(|story| story.is_gone = true),
            Fact::Viewed { notice, .. } => return self.viewed(notice),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _: Time) -> Result<(), String> {
        for (session, story) in &self.sessions {
            story.end().map_err(|why| format!("{session}: {why}"))?;
        }
        Ok(())
    }
}

impl Receipts {
    fn viewed(&mut self, notice: &ViewerNotice) -> Result<(), String> {
        match notice {
            ViewerNotice::Event { session, seq, from, message, .. } => {
                let story = self.sessions.entry(session.clone()).or_default();
                match from.as_str() {
                    "viewer" => {
                        if let Some(id) = line_id(message, "request_id")
                            && line_id(message, "uuid").is_some()
                        {
                            story.with_uuid.insert(id);
                        }
                        story.logged.extend(Name::of(message).map(|name| (*seq, name)));
                    }
                    "relay" | "worker" => {
                        return story
                            .reported(*seq, message)
                            .map_err(|why| format!("{session}: {why}"));
                    }
                    _ => {}
                }
            }
            ViewerNotice::View(view) => {
                let story = self.sessions.entry(view.session.clone()).or_default();
                story.is_ended |= view.state == "ended";
                story.moved(view.receipts);
                if let Some(Cursors { seen, .. }) = view.receipts {
                    let known = story.read_by.entry(view.last_seq).or_default();
                    *known = seen.max(*known);
                }
            }
            ViewerNotice::Receipts { session, receipts } => {
                let story = self.sessions.entry(session.clone()).or_default();
                story.moved(Some(*receipts));
            }
            ViewerNotice::Gap { session, .. } => {
                self.sessions.entry(session.clone()).or_default().has_gap = true;
            }
            ViewerNotice::Gone { session } => {
                self.sessions.entry(session.clone()).or_default().is_gone = true;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Story {
    /// What was said last may be old: it counts how far it had come at least.
    fn moved(&mut self, cursors: Option<Cursors>) {
        let Some(Cursors { delivered, seen }) = cursors else { return };
        let known = self.cursors.get_or_insert_default();
        known.delivered = known.delivered.max(delivered);
        known.seen = known.seen.max(seen);
    }

    /// Requests without a uuid may be stored twice under one name. Where runs of agents have no
    /// names, a line that was handed over may come again, to an agent that has no use for it.
    fn is_ambiguous(&self, name: &Name) -> bool {
        self.without_runs || matches!(name, Name::Request(id) if !self.with_uuid.contains(id))
    }

    /// A worker that has been away for too long still tells what it knows of a session that was
    /// given up meanwhile, and what became of its lines: nobody could know, and now somebody does.
    fn is_late(&self, seq: u64, how: &str, before: &str) -> bool {
        let is_better_known = (before, how) == ("messages_indeterminate", "messages_undelivered");
        is_better_known && self.ended_at.is_some_and(|end| end < seq)
    }

    fn reported(&mut self, seq: u64, line: &str) -> Result<(), String> {
        if line.contains("\"session_state\"") && parsed(line)["state"] == "ended" {
            self.ended_at.get_or_insert(seq);
        }
        if !line.contains("\"messages_") {
            return Ok(());
        }
        let report = parsed(line);
        let how = report["subtype"].as_str().unwrap_or_default();
        if !["messages_indeterminate", "messages_undelivered", "messages_expired"].contains(&how) {
            return Ok(());
        }
        for name in Name::all_in(&report) {
            if self.is_ambiguous(&name) {
                continue;
            }
            if how != "messages_indeterminate" && self.handed.contains(&name) {
                return Err(format!("{name:?}: {how}, but it was handed over"));
            }
            if let Some((before, _)) = self.failed.get(&name)
                && self.is_late(seq, how, before)
            {
                continue;
            }
            let known = self.failed.entry(name.clone()).or_insert((how.to_owned(), seq));
            known.1 = known.1.min(seq);
            if known.0 != how {
                let before = &known.0;
                return Err(format!("{name:?} has ended in two ways: {before} and {how}"));
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<(), String> {
        // An older relay says nothing of receipts.
        let Some(cursors) = self.cursors.filter(|_| !self.has_gap && !self.is_gone) else {
            return Ok(());
        };
        for (seq, name) in &self.logged {
            if self.is_ambiguous(name) {
                continue;
            }
            if let Some((how, said)) = self.failed.get(name) {
                let read = self.read_by.range(..said).map(|(_, seen)| *seen).max();
                if read >= Some(*seq) {
                    return Err(format!("{name:?}, event {seq}, was read, and then {how}"));
                }
                continue;
            }
            if self.is_ended && *seq > cursors.seen {
                return Err(format!("{name:?}, event {seq}, was accepted and has no end"));
            }
            let stage = if *seq <= cursors.seen { "read" } else { "delivered" };
            if *seq <= cursors.delivered.max(cursors.seen) && !self.handed.contains(name) {
                return Err(format!(
                    "{name:?}, event {seq}, counts as {stage}, and no agent has it"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the judge says of a message, event 2, which event 4 calls indeterminate, when it counted
    /// as read in a session as it was after this event.
    fn judged(read_by: u64) -> Result<(), String> {
        let mut story = Story::default();
        story.logged.insert(2, Name::Message("u".to_owned()));
        story.read_by.insert(read_by, 2);
        story.moved(Some(Cursors { delivered: 0, seen: 0 }));
        let line = r#"{"subtype":"messages_indeterminate","uuids":["u"]}"#;
        story.reported(4, line).expect("its first end");
        story.end()
    }

    #[test]
    fn what_was_read_has_no_other_end_and_what_ends_counts_as_settled() {
        assert!(judged(3).is_err_and(|why| why.contains("was read, and then")));
        assert_eq!(judged(4), Ok(()), "what is said not to have ended well is passed over");
    }

    #[test]
    fn a_refusal_for_a_guard_is_no_answer_of_its_client() {
        let decided = |reason: Value, rest: Value| {
            let own = serde_json::json!({"hookEventName": "PreToolUse", "permissionDecision": "deny",
                                         "permissionDecisionReason": reason});
            let response = serde_json::json!({"subtype": "success", "request_id": "q",
                                              "response": {"hookSpecificOutput": own}});
            let mut line = serde_json::json!({"type": "control_response", "response": response});
            line["refused"] = rest;
            Name::of(&line.to_string())
        };
        let answer = Some(Name::Answer("q".to_owned()));
        assert_eq!(decided("the client is gone".into(), Value::Null), None);
        assert_eq!(decided(Value::Null, true.into()), None);
        assert_eq!(decided(Value::Null, Value::Null), answer);
        assert_eq!(decided(hooks::BROKEN.into(), Value::Null), answer, "the client says so");
    }

    #[test]
    fn what_ended_in_one_way_does_not_end_in_another() {
        let mut story = Story::default();
        let said = |how: &str| format!(r#"{{"subtype":"messages_{how}","answers":["q"]}}"#);
        assert_eq!(story.reported(3, &said("indeterminate")), Ok(()));
        assert_eq!(story.reported(3, &said("indeterminate")), Ok(()), "another viewer reads it");
        assert!(story.reported(5, &said("undelivered")).is_err());
        let ended = r#"{"subtype":"session_state","state":"ended"}"#;
        assert_eq!(story.reported(6, ended), Ok(()));
        assert!(story.reported(5, &said("undelivered")).is_err(), "it came before the end");
        assert_eq!(story.reported(7, &said("undelivered")), Ok(()), "and this is a late word");
    }
}
