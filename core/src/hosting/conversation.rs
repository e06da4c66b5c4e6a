//! What agents call their conversations.

use alloc::borrow::Cow;
use alloc::string::String;

use serde::Deserialize;

use crate::base::limits::MAX_CONVERSATION_ID_BYTES;
use crate::base::text::Text;

/// Whether it can be what an agent calls a conversation.
pub(crate) fn is_conversation_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty()
        && text.len() <= MAX_CONVERSATION_ID_BYTES
        && text.bytes().all(is_allowed)
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

/// What an agent calls its conversation, if that is what this line of it says. The id goes onto a
/// command line, so it must not look like an option.
pub(crate) fn conversation_of(line: &Text) -> Option<String> {
    #[derive(Deserialize)]
    struct Init<'a> {
        #[serde(borrow)]
        session_id: Cow<'a, str>,
    }
    let Init { session_id } = serde_json::from_str(line.as_str()).ok()?;
    is_conversation_id(&session_id).then(|| session_id.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_id_can_go_onto_a_command_line() {
        let of = |id: &str| {
            let line =
                alloc::format!(r#"{{"type":"system","subtype":"init","session_id":"{id}"}}"#);
            conversation_of(&Text::from(line))
        };
        assert_eq!(of("0f8c-4e").as_deref(), Some("0f8c-4e"));
        for bad in ["", "-x", "--model", "a b", "../x", ".x", "a;b", "\\u0000", &"x".repeat(1000)] {
            assert_eq!(of(bad), None, "{bad}");
        }
        assert_eq!(conversation_of(&Text::from("{}")), None);
    }
}
