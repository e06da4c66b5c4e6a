//! The tools `list_peers` and `send_message` for agents, as an MCP server on stdio has them: what a line
//! of JSON-RPC asks for, and the answer to it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::registry::Peer;

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing that has an answer.
    Nothing,
    /// It is answered by this line.
    Answer(String),
    /// Which sessions there are; the answer is made by [`listed`].
    ListPeers {
        /// The request's id, as JSON.
        id: String,
    },
    /// To send a message; the answer is made by [`done`].
    Send {
        /// The request's id, as JSON.
        id: String,
        /// To whom.
        to: String,
        /// What.
        body: String,
    },
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(default)]
    params: Value,
}

/// The newest version of MCP that is spoken here; an older one that a client names is repeated to it.
const VERSION: &str = "2025-06-18";
const VERSIONS: [&str; 3] = ["2024-11-05", "2025-03-26", VERSION];

/// Reads a line. `can_send` is whether this session can be delivered from now (B-2): only then is the
/// tool that sends offered at all, and works.
pub fn read(line: &str, can_send: bool) -> Asked {
    let Ok(request) = serde_json::from_str::<Request<'_>>(line) else {
        return Asked::Answer(error("null", -32700, "the line is no JSON-RPC request"));
    };
    let Some(id) = request.id.map(|id| String::from(id.get())) else { return Asked::Nothing };
    match &*request.method {
        "initialize" => {
            let asked = request.params["protocolVersion"].as_str().unwrap_or(VERSION);
            let version = VERSIONS.into_iter().find(|known| *known == asked).unwrap_or(VERSION);
            let info = json!({"name": "footbridge", "version": env!("CARGO_PKG_VERSION")});
            Asked::Answer(result(
                &id,
                &json!({
                    "protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info,
                }),
            ))
        }
        "ping" => Asked::Answer(result(&id, &json!({}))),
        "tools/list" => Asked::Answer(result(&id, &json!({"tools": tools(can_send)}))),
        "tools/call" => call(id, &request.params, can_send),
        "" => Asked::Nothing,
        other => {
            let words = alloc::format!("there is no method {other}");
            Asked::Answer(error(&id, -32601, &words))
        }
    }
}

fn tools(can_send: bool) -> Vec<Value> {
    let mut tools = alloc::vec![json!({
        "name": "list_peers",
        "description": "Lists the other agent sessions on this machine, with the addresses that messages can be sent to.",
        "inputSchema": {"type": "object", "properties": {}},
    })];
    if can_send {
        tools.push(json!({
            "name": "send_message",
            "description": "Sends a message to another agent session. It arrives there as if it was said to that agent, with this session's address.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "to": {"type": "string", "description": "An address or a name from list_peers, or bridge:SESSION of a session on another machine"},
                    "message": {"type": "string"},
                },
                "required": ["to", "message"],
            },
        }));
    }
    tools
}

fn call(id: String, params: &Value, can_send: bool) -> Asked {
    let argument = |name: &str| params["arguments"][name].as_str().map(String::from);
    match params["name"].as_str() {
        Some("list_peers") => Asked::ListPeers { id },
        Some("send_message") if !can_send => {
            Asked::Answer(done(&id, Err("this session cannot send messages now")))
        }
        Some("send_message") => match (argument("to"), argument("message")) {
            (Some(to), Some(body)) => Asked::Send { id, to, body },
            _ => Asked::Answer(error(&id, -32602, "send_message needs to and message")),
        },
        _ => Asked::Answer(error(&id, -32602, "there is no such tool")),
    }
}

/// The answer to [`Asked::ListPeers`].
pub fn listed(id: &str, peers: &[Peer]) -> String {
    let text = serde_json::to_string(peers).unwrap_or_default();
    result(id, &json!({"content": [{"type": "text", "text": text}]}))
}

/// The answer to [`Asked::Send`]: the id under which it was sent, or why it was not.
pub fn done(id: &str, sent: Result<&str, &str>) -> String {
    let (text, is_error) = match sent {
        Ok(message_id) => (alloc::format!("sent as {message_id}"), false),
        Err(reason) => (String::from(reason), true),
    };
    result(id, &json!({"content": [{"type": "text", "text": text}], "isError": is_error}))
}

fn result(id: &str, result: &Value) -> String {
    alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn error(id: &str, code: i32, message: &str) -> String {
    #[derive(Serialize)]
    struct Error<'a> {
        code: i32,
        message: &'a str,
    }
    let error = serde_json::to_string(&Error { code, message }).unwrap_or_default();
    alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str, can_send: bool) -> Value {
        match read(line, can_send) {
            Asked::Answer(answer) => serde_json::from_str(&answer).expect("JSON"),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_tool_that_sends_is_offered_only_while_sending_is_possible() {
        let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
        let names = |can_send| {
            let answer = answer(list, can_send);
            let tools = answer["result"]["tools"].as_array().expect("a list").clone();
            tools
                .iter()
                .map(|tool| tool["name"].as_str().expect("a name").into())
                .collect::<Vec<String>>()
        };
        assert_eq!(names(false), ["list_peers"]);
        assert_eq!(names(true), ["list_peers", "send_message"]);
        let send = r#"{"id":"x","method":"tools/call","params":{"name":"send_message","arguments":{"to":"a","message":"hi"}}}"#;
        assert_eq!(answer(send, false)["result"]["isError"], true);
        let sends = Asked::Send { id: "\"x\"".into(), to: "a".into(), body: "hi".into() };
        assert_eq!(read(send, true), sends);
    }

    #[test]
    fn requests_are_answered_and_notifications_are_not() {
        let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}"#;
        assert_eq!(answer(initialize, true)["result"]["protocolVersion"], "2024-11-05");
        assert_eq!(read(r#"{"method":"notifications/initialized"}"#, true), Asked::Nothing);
        assert_eq!(answer(r#"{"id":3,"method":"other"}"#, true)["error"]["code"], -32601);
        assert_eq!(answer("nonsense", true)["error"]["code"], -32700);
        let missing =
            r#"{"id":4,"method":"tools/call","params":{"name":"send_message","arguments":{}}}"#;
        assert_eq!(answer(missing, true)["error"]["code"], -32602);
        let list = r#"{"id":5,"method":"tools/call","params":{"name":"list_peers"}}"#;
        assert_eq!(read(list, false), Asked::ListPeers { id: "5".into() });
        assert_eq!(answer(r#"{"id":6,"method":"ping"}"#, false)["id"], 6);
    }
}
