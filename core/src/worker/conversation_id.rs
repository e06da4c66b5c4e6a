//! What agents call their conversations.

use crate::base::limits::MAX_CONVERSATION_ID_BYTES;

/// Whether it can be what an agent calls a conversation.
pub(super) fn is_conversation_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty()
        && text.len() <= MAX_CONVERSATION_ID_BYTES
        && text.bytes().all(is_allowed)
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}
