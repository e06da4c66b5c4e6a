//! Whether a session's agent works on something or waits for its next message (U-4).

use alloc::borrow::Cow;

use serde::Deserialize;

use super::conversation::Conversation;
use super::cx::Cx;
use crate::base::text::Text;
use crate::store::rows::Turn;
use crate::wire::message::Head;

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
        _ if conversation.row.turn != Turn::Idle => set(cx, conversation, true),
        _ => (),
    }
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
