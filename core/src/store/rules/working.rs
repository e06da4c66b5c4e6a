//! Whether a session's agent works on something or waits for its next message (U-4).

use alloc::borrow::Cow;
use alloc::vec::Vec;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::conversation::Conversation;
use super::cx::Cx;
use crate::base::text::Text;
use crate::store::rows::Turn;
use crate::wire::message::{Head, Kind};

/// The agent has printed this line: some say themselves whether they work, of others it shows by
/// their turns. Viewers are told of a change.
pub(super) fn note<T>(
    cx: &mut Cx<'_, T>,
    conversation: &mut Conversation,
    head: &Head,
    line: &Text,
) {
    match (&*head.kind, head.subtype.as_deref()) {
        ("result", _) => set(cx, conversation, false),
        ("system", Some("session_state_changed")) => match &*state_in(line) {
            "idle" => set(cx, conversation, false),
            "running" | "requires_action" => set(cx, conversation, true),
            _ => (),
        },
        // Beside its turns an agent says much of itself: of its tools, hooks and tasks.
        ("system", subtype) if subtype != Some("init") => (),
        _ if matches!(conversation.row.turn, Turn::Unexplained | Turn::Explained) => {
            set(cx, conversation, true);
        }
        _ => (),
    }
}

/// Whether this is a message to the agent that it repeats, or that it was given elsewhere, rather than
/// what one of its tools says.
pub(super) fn is_asked(head: &Head, line: &Text) -> bool {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(default)]
        parent_tool_use_id: Option<IgnoredAny>,
        #[serde(borrow)]
        message: Message<'a>,
    }
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        content: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct Block<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    if head.kind() != Kind::User {
        return false;
    }
    let Ok(line) = serde_json::from_str::<Line<'_>>(line.as_str()) else { return false };
    let blocks = serde_json::from_str::<Vec<Block<'_>>>(line.message.content.get());
    let is_of_tool = blocks.is_ok_and(|all| all.iter().any(|block| block.kind == "tool_result"));
    line.parent_tool_use_id.is_none() && !is_of_tool
}

/// The same, if it is known otherwise.
pub(super) fn set<T>(cx: &mut Cx<'_, T>, conversation: &mut Conversation, is_working: bool) {
    if conversation.row.session.is_working != is_working {
        conversation.row.session.is_working = is_working;
        conversation.announce(cx);
    }
}

fn state_in(line: &Text) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow, default)]
        state: Cow<'a, str>,
    }
    serde_json::from_str::<Line<'_>>(line.as_str()).map(|line| line.state).unwrap_or_default()
}
