//! Parsing a line from the host.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::command_line::{CommandLineError, runnable};
use super::permission::Verdict;
use crate::base::limits::MAX_ID_BYTES;
use crate::base::text::Text;
use crate::wire::message::{Head, Kind, MessageError};

/// One parsed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Prompt(Prompt),
    Request {
        id: String,
        request: Request,
    },
    Answer {
        id: String,
        verdict: Verdict,
    },
    Withdraw {
        id: String,
    },
    /// A `control_request` without an id to answer to.
    Unanswerable,
    /// Nothing for this agent.
    Ignored,
}

/// A `user` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    /// `None` also if it is longer than an id may be.
    pub(super) uuid: Option<String>,
    pub(super) command: Result<String, CommandLineError>,
}

/// A `control_request` from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Initialize,
    Interrupt,
    SetPermissionMode(String),
    Unsupported(String),
}

impl Input {
    pub(super) fn parse(line: &Text) -> Result<Self, MessageError> {
        let head = Head::parse(line)?;
        Ok(match (head.kind(), head.request_id) {
            (Kind::User, _) => Self::Prompt(Prompt {
                uuid: head
                    .uuid
                    .filter(|uuid| (1..=MAX_ID_BYTES).contains(&uuid.len()))
                    .map(Cow::into_owned),
                command: command(line.as_str()),
            }),
            (Kind::ControlRequest, None) => Self::Unanswerable,
            (Kind::ControlRequest, Some(id)) => {
                let request = match head.subtype.as_deref() {
                    Some("initialize") => Request::Initialize,
                    Some("interrupt") => Request::Interrupt,
                    Some("set_permission_mode") => Request::SetPermissionMode(mode(line.as_str())),
                    subtype => Request::Unsupported(subtype.unwrap_or_default().to_owned()),
                };
                Self::Request { id: id.into_owned(), request }
            }
            (Kind::ControlResponse, Some(id)) => {
                Self::Answer { id: id.into_owned(), verdict: Verdict::parse(line.as_str()) }
            }
            (Kind::ControlCancelRequest, Some(id)) => Self::Withdraw { id: id.into_owned() },
            (Kind::ControlResponse | Kind::ControlCancelRequest | Kind::Other, _) => Self::Ignored,
        })
    }
}

#[derive(Deserialize)]
struct User {
    message: UserMessage,
}

#[derive(Deserialize)]
struct UserMessage {
    content: Content,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    text: String,
}

/// The text of a `user` message: all its text blocks, one per line.
fn command(line: &str) -> Result<String, CommandLineError> {
    let user: User = serde_json::from_str(line).map_err(|_| CommandLineError::Empty)?;
    let text = match user.message.content {
        Content::Text(text) => text,
        Content::Blocks(blocks) => {
            let texts = blocks.into_iter().filter(|block| block.kind == "text");
            texts.map(|block| block.text).collect::<Vec<_>>().join("\n")
        }
    };
    runnable(text.trim()).map(ToOwned::to_owned)
}

#[derive(Deserialize)]
struct SetMode {
    request: ModeField,
}

#[derive(Deserialize)]
struct ModeField {
    mode: String,
}

fn mode(line: &str) -> String {
    serde_json::from_str::<SetMode>(line).map(|set| set.request.mode).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::MAX_SHELL_COMMAND_BYTES;
    use alloc::format;

    #[test]
    fn the_text_of_a_message_is_its_command_line() {
        let content = |content: &str| {
            command(&format!(
                r#"{{"type":"user","message":{{"role":"user","content":{content}}}}}"#
            ))
        };
        let long = format!("\"{}\"", "x".repeat(MAX_SHELL_COMMAND_BYTES + 1));
        let cases = [
            (r#"" ls -l\n""#, Ok("ls -l")),
            (r#"[{"type":"text","text":"cd /"},{"type":"text","text":"ls"}]"#, Ok("cd /\nls")),
            (r#"[{"type":"image","source":{}},{"type":"text","text":"ls"}]"#, Ok("ls")),
            (r#"[{"type":"tool_result","content":"x"}]"#, Err(CommandLineError::Empty)),
            (r#""  ""#, Err(CommandLineError::Empty)),
            ("3", Err(CommandLineError::Empty)),
            (r#""a\u0000b""#, Err(CommandLineError::Nul)),
            (&long, Err(CommandLineError::TooLong)),
        ];
        for (json, expected) in cases {
            assert_eq!(content(json), expected.map(ToOwned::to_owned), "{json:.60}");
        }
    }
}
