//! Whether everything that a program has said has had its turn.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::notice::RemoteEvent;
use crate::wire::log_message::LogMessage;
use crate::wire::message::Head;
use crate::wire::viewer::Origin;

/// A program's messages that no result has come for, with their events once they are accepted.
#[derive(Debug, Default)]
pub struct Turns {
    open: BTreeMap<String, Option<u64>>,
    /// The last of them.
    last: u64,
}

impl Turns {
    /// This was said.
    pub fn said(&mut self, uuid: String) {
        self.open.insert(uuid, None);
    }

    /// It was accepted, and is this event.
    pub fn accepted(&mut self, uuid: &str, seq: u64) {
        if let Some(open) = self.open.get_mut(uuid) {
            *open = Some(seq);
        }
        self.last = self.last.max(seq);
    }

    /// It will have no turn. Returns whether it was open.
    pub fn give_up(&mut self, uuid: &str) -> bool {
        self.open.remove(uuid).is_some()
    }

    /// A turn is over, by this event.
    pub(super) fn over(&mut self, seq: u64, result: &str) {
        #[derive(Deserialize)]
        struct Result<'a> {
            #[serde(borrow, default)]
            user_message_uuids: Option<Vec<Cow<'a, str>>>,
        }
        let named = serde_json::from_str::<Result<'_>>(result).ok();
        let named = named.and_then(|result| result.user_message_uuids);
        // Messages have their turns in order.
        let until = match &named {
            Some(uuids) => uuids.iter().filter_map(|uuid| *self.open.get(&**uuid)?).max(),
            None => Some(seq),
        };
        for uuid in named.into_iter().flatten() {
            self.open.remove(&*uuid);
        }
        self.open.retain(|_, said| said.is_none_or(|said| Some(said) > until));
    }

    /// What happened in the session: a turn that is over, messages that never had one.
    pub fn happened(&mut self, event: &RemoteEvent) {
        let message = &event.message;
        match event.from {
            Origin::Agent if Head::parse(message).is_ok_and(|head| head.kind == "result") => {
                self.over(event.seq, message.as_str());
            }
            Origin::Relay | Origin::Worker => {
                if let Ok(Some(
                    LogMessage::MessagesIndeterminate(unsettled)
                    | LogMessage::MessagesUndelivered(unsettled)
                    | LogMessage::MessagesExpired(unsettled),
                )) = LogMessage::parse(message.as_str())
                {
                    for uuid in unsettled.uuids.iter() {
                        self.give_up(uuid);
                    }
                }
            }
            Origin::Agent | Origin::Viewer => {}
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the agent has seen all of them, if it has seen this event.
    pub(super) fn are_seen(&self, seen: u64) -> bool {
        seen >= self.last && self.open.values().all(Option::is_some)
    }

    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_over_however_their_result_is_written_and_by_no_other_message() {
        let event = |from, message: &'static str| RemoteEvent {
            seq: 9,
            at: crate::base::time::UnixTime::default(),
            from,
            message: crate::base::text::Text::from(message),
        };
        let mut turns = Turns::default();
        turns.said("a".into());
        turns.accepted("a", 1);
        let inner = r#"{"type":"assistant","message":{"content":[{"input":{"type":"result"}}]}}"#;
        turns.happened(&event(Origin::Agent, inner));
        turns.happened(&event(Origin::Viewer, r#"{"type":"result"}"#));
        assert!(!turns.is_empty());
        turns.happened(&event(Origin::Agent, r#"{"subtype": "success", "type": "result"}"#));
        assert!(turns.is_empty());
        turns.said("b".into());
        let lost = r#"{"type":"footbridge","subtype":"messages_undelivered","uuids":["b"],"reason":"ended"}"#;
        turns.happened(&event(Origin::Relay, lost));
        assert!(turns.is_empty());
    }

    #[test]
    fn a_result_ends_the_turns_of_the_messages_that_it_names_and_of_those_before() {
        let mut turns = Turns::default();
        for (seq, uuid) in [(1, "a"), (2, "b"), (5, "c")] {
            turns.said(uuid.into());
            turns.accepted(uuid, seq);
        }
        turns.over(3, r#"{"type":"result","user_message_uuids":["theirs"]}"#);
        assert!(!turns.is_empty());
        turns.over(4, r#"{"type":"result","user_message_uuids":["b"]}"#);
        assert_eq!(turns.open.keys().collect::<Vec<_>>(), ["c"]);
        assert!(turns.are_seen(5) && !turns.are_seen(4));
        turns.over(6, r#"{"type":"result"}"#);
        assert!(turns.is_empty());
    }
}
