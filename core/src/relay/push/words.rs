//! What a notification says: little, and of what an agent wants to do either all or visibly a part.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::base::limits::{MAX_PUSH_DETAIL_BYTES, MAX_PUSH_NAME_BYTES};
use crate::base::text::is_hidden;
use crate::relay::subject::{Need, Subject};
use crate::store::PushTargets;
use crate::wire::push::{PushMessage, PushWaited, PushWaits, PushWhat};

/// What a notification is known by.
pub(super) fn tag((session, subject): &Need, seq: u64) -> String {
    match subject {
        Subject::Question(asked) => format!("{session}:{asked}"),
        Subject::Turn => format!("{session}:turn:{seq}"),
        Subject::Failed => format!("{session}:failed"),
    }
}

/// What a push service replaces a message by that it still has: at most 32 characters (RFC 8030, 5.4),
/// which say nothing to it.
pub(super) fn topic(tag: &str) -> String {
    let digest = Sha256::digest(tag.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.get(..24).unwrap_or_default())
}

/// A message about a need.
pub(super) fn waits<'a>(
    need: &'a Need,
    tag: &'a str,
    seq: u64,
    request_id: Option<&'a str>,
    targets: &'a PushTargets,
    waiting: usize,
) -> PushMessage<'a> {
    let what = match need.1 {
        Subject::Question(_) => PushWhat::Question,
        Subject::Turn => PushWhat::Turn,
        Subject::Failed => PushWhat::Failed,
    };
    let session = &targets.session;
    let asked = session.pending.iter().find(|question| Subject::Question(question.seq) == need.1);
    let tool = asked.map(|question| beginning(&question.tool_name, MAX_PUSH_NAME_BYTES));
    let detail = match (what, asked) {
        (PushWhat::Question, Some(asked)) => {
            targets.input.as_ref().and_then(|input| detail(&asked.tool_name, input.as_str()))
        }
        (PushWhat::Failed, _) => session.result.as_ref().and_then(|result| {
            let text = beginning(result.message.trim(), MAX_PUSH_DETAIL_BYTES);
            (!text.is_empty()).then(|| Detail { text: text.into_owned(), is_whole: false })
        }),
        _ => None,
    };
    let title = session.title.as_deref().unwrap_or_default();
    PushMessage::Waits(PushWaits {
        what,
        tag: Cow::Borrowed(tag),
        session: Cow::Borrowed(session.id.as_str()),
        title: beginning(title, MAX_PUSH_NAME_BYTES),
        machine: beginning(targets.machine.as_deref().unwrap_or_default(), MAX_PUSH_NAME_BYTES),
        seq,
        request_id: request_id.map(Cow::Borrowed),
        tool,
        whole: detail.as_ref().is_some_and(|detail| detail.is_whole),
        detail: detail.map(|detail| Cow::Owned(detail.text)),
        waiting,
    })
}

/// A message about what waited while it was quiet.
pub(super) fn waited(needs: &BTreeSet<Need>, waiting: usize) -> PushMessage<'_> {
    let count = |is: fn(&Subject) -> bool| needs.iter().filter(|(_, subject)| is(subject)).count();
    let mut sessions: Vec<_> = needs.iter().map(|(session, _)| session.as_str()).collect();
    sessions.dedup();
    PushMessage::Waited(PushWaited {
        tag: Cow::Borrowed(super::quiet::TAG),
        questions: count(|subject| matches!(subject, Subject::Question(_))),
        turns: count(|subject| matches!(subject, Subject::Turn)),
        failed: count(|subject| matches!(subject, Subject::Failed)),
        session: if let [one] = sessions[..] { Some(Cow::Borrowed(one)) } else { None },
        waiting,
    })
}

/// What a tool is to do.
struct Detail {
    text: String,
    /// Nothing was left out, and nothing in it shows otherwise than it is.
    is_whole: bool,
}

/// The parts of a command's input that change nothing about what it does.
const OF_COMMANDS: [&str; 3] = ["command", "description", "timeout"];
/// The parts of other inputs that say most, in order.
const TELLING: [&str; 6] = ["file_path", "notebook_path", "path", "url", "query", "pattern"];

fn detail(tool: &str, input: &str) -> Option<Detail> {
    let input: Map<String, Value> = serde_json::from_str(input).ok()?;
    let text = |name: &str| input.get(name).and_then(Value::as_str);
    if tool == "Bash"
        && let Some(command) = text("command")
    {
        let knows_all = input.keys().all(|name| OF_COMMANDS.contains(&name.as_str()));
        let is_plain = !command.chars().any(|c| is_hidden(c) || (c.is_whitespace() && c != ' '));
        let is_whole = knows_all && is_plain && command.len() <= MAX_PUSH_DETAIL_BYTES;
        let text = beginning(command, MAX_PUSH_DETAIL_BYTES).into_owned();
        return Some(Detail { text, is_whole });
    }
    let telling = TELLING.iter().find_map(|name| text(name))?;
    let text = beginning(telling, MAX_PUSH_DETAIL_BYTES).into_owned();
    Some(Detail { text, is_whole: false })
}

/// The beginning of a text on one line, with a mark if there is more.
fn beginning(text: &str, limit: usize) -> Cow<'_, str> {
    let is_plain = !text.chars().any(is_hidden);
    if is_plain && text.len() <= limit {
        return Cow::Borrowed(text);
    }
    let mut short = String::new();
    for c in text.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if is_hidden(c) || (c == ' ' && short.ends_with(' ')) {
            continue;
        }
        if short.len() + c.len_utf8() > limit {
            short.push('…');
            break;
        }
        short.push(c);
    }
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::SessionId;
    use alloc::string::ToString;
    use serde_json::json;

    fn of(tool: &str, input: &Value) -> Option<(String, bool)> {
        detail(tool, &input.to_string()).map(|detail| (detail.text, detail.is_whole))
    }

    #[test]
    fn only_a_short_command_that_shows_as_it_is_can_be_answered_where_it_is_shown() {
        let whole = |command: &str| of("Bash", &json!({ "command": command })).is_some_and(|d| d.1);
        assert!(whole("ls -la"));
        assert!(whole(&"x".repeat(MAX_PUSH_DETAIL_BYTES)));
        assert!(!whole(&"x".repeat(MAX_PUSH_DETAIL_BYTES + 1)), "a part would be hidden");
        for hidden in ["ls\nrm -rf /", "ls\trm", "echo \u{202e}gpj.exe", "ls\u{a0}x", "a\u{200b}b"]
        {
            assert!(!whole(hidden), "{hidden:?}");
        }
        let described = json!({ "command": "ls", "description": "list", "timeout": 1000 });
        assert_eq!(of("Bash", &described), Some(("ls".into(), true)));
        let unguarded = json!({ "command": "ls", "dangerouslyDisableSandbox": true });
        assert_eq!(of("Bash", &unguarded), Some(("ls".into(), false)), "it is more than it shows");
        assert_eq!(of("Bash", &json!({})), None);
        let write = json!({ "file_path": "/etc/passwd", "content": "x" });
        assert_eq!(of("Write", &write), Some(("/etc/passwd".into(), false)));
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_shows_that_it_is() {
        assert_eq!(beginning("short", 10), "short");
        assert_eq!(beginning("one\n\n two\u{200b}", 10), "one two");
        assert_eq!(beginning("äääää", 5), "ää…");
    }

    #[test]
    fn each_question_has_a_tag_of_its_own_and_a_topic_that_every_push_service_takes() {
        let session = SessionId::new("session_1").expect("an id");
        let tags = [
            tag(&(session.clone(), Subject::Question(7)), 7),
            tag(&(session.clone(), Subject::Question(8)), 8),
            tag(&(session.clone(), Subject::Turn), 7),
            tag(&(session.clone(), Subject::Turn), 9),
            tag(&(session, Subject::Failed), 0),
        ];
        let topics: alloc::collections::BTreeSet<_> = tags.iter().map(|tag| topic(tag)).collect();
        assert_eq!(topics.len(), tags.len());
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        assert!(topics.iter().all(|topic| topic.len() == 32 && topic.bytes().all(is_plain)));
    }
}
