//! The messages that the agent prints, in the shapes of Claude Code's stream-json.

use alloc::string::String;
use alloc::vec::Vec;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::cx::Cx;
use super::permission::PermissionMode;
use super::stdio::Stdio;
use crate::base::text::Text;
pub(super) use crate::engine::uuid::uuid;
use crate::wire::to_json;

/// The agent's name where other agents give their model.
const MODEL: &str = "footbridge-shell";

/// The one tool.
pub(super) const TOOL: &str = "Bash";

/// How a turn ended.
pub(super) enum Ending {
    /// On its own, with this final text.
    Completed { text: String, is_error: bool },
    /// It was ended, for this reason.
    Aborted(String),
    /// It never started, for this reason.
    Refused(String),
}

/// What a `result` reports besides how the turn ended.
pub(super) struct Account {
    pub(super) duration_ms: u64,
    pub(super) user_message_uuid: Option<String>,
    pub(super) permission_denials: Vec<Value>,
}

/// The agent's side of the conversation.
#[derive(Debug)]
pub(super) struct Printer {
    pub(super) stdio: Stdio,
    session_id: String,
    directory: String,
    rng: Rng,
}

impl Printer {
    pub(super) fn new(
        stdio: Stdio,
        session_id: Option<String>,
        directory: String,
        seed: u64,
    ) -> Self {
        let mut rng = Rng::with_seed(seed);
        let session_id = session_id.unwrap_or_else(|| uuid(&mut rng));
        Self { stdio, session_id, directory, rng }
    }

    pub(super) fn uuid(&mut self) -> String {
        uuid(&mut self.rng)
    }

    pub(super) fn print_init(&mut self, cx: &mut Cx, mode: PermissionMode) {
        let init = json!({
            "type": "system", "subtype": "init", "cwd": self.directory, "tools": [TOOL],
            "mcp_servers": [], "model": MODEL, "permissionMode": mode.as_str(),
            "slash_commands": [], "apiKeySource": "none", "output_style": "default",
            "skills": [], "plugins": [],
        });
        self.print(cx, init);
    }

    pub(super) fn print_mode(&mut self, cx: &mut Cx, mode: PermissionMode) {
        self.print(
            cx,
            json!({
                "type": "system", "subtype": "status", "status": null,
                "permissionMode": mode.as_str(),
            }),
        );
    }

    pub(super) fn print_text(&mut self, cx: &mut Cx, text: &str) {
        self.print_assistant(cx, &json!({"type": "text", "text": text}));
    }

    pub(super) fn print_tool_use(&mut self, cx: &mut Cx, tool_use_id: &str, command: &str) {
        let input = json!({"command": command});
        self.print_assistant(
            cx,
            &json!({"type": "tool_use", "id": tool_use_id, "name": TOOL, "input": input}),
        );
    }

    fn print_assistant(&mut self, cx: &mut Cx, block: &Value) {
        let id = self.message_id();
        self.print(
            cx,
            json!({
                "type": "assistant", "parent_tool_use_id": null,
                "message": {
                    "id": id, "type": "message", "role": "assistant", "model": MODEL,
                    "content": [block], "stop_reason": null, "usage": {},
                },
            }),
        );
    }

    pub(super) fn print_tool_result(
        &mut self,
        cx: &mut Cx,
        tool_use_id: &str,
        content: &str,
        is_error: bool,
    ) {
        let result = json!({
            "type": "tool_result", "tool_use_id": tool_use_id, "content": content,
            "is_error": is_error,
        });
        self.print(
            cx,
            json!({
                "type": "user", "parent_tool_use_id": null,
                "message": {"role": "user", "content": [result]},
            }),
        );
    }

    /// Live output is sent as the text of a message that is still being written.
    pub(super) fn print_stream_start(&mut self, cx: &mut Cx) {
        let id = self.message_id();
        self.print_stream(
            cx,
            &json!({
                "type": "message_start",
                "message": {
                    "id": id, "type": "message", "role": "assistant", "model": MODEL,
                    "content": [], "stop_reason": null, "usage": {},
                },
            }),
        );
        let block = json!({"type": "text", "text": ""});
        self.print_stream(
            cx,
            &json!({"type": "content_block_start", "index": 0, "content_block": block}),
        );
    }

    pub(super) fn print_stream_text(&mut self, cx: &mut Cx, text: &str) {
        let delta = json!({"type": "text_delta", "text": text});
        self.print_stream(cx, &json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    }

    pub(super) fn print_stream_stop(&mut self, cx: &mut Cx) {
        self.print_stream(cx, &json!({"type": "content_block_stop", "index": 0}));
        self.print_stream(cx, &json!({"type": "message_stop"}));
    }

    fn print_stream(&mut self, cx: &mut Cx, event: &Value) {
        self.print(cx, json!({"type": "stream_event", "parent_tool_use_id": null, "event": event}));
    }

    pub(super) fn print_result(&mut self, cx: &mut Cx, ending: Ending, account: Account) {
        let Account { duration_ms, user_message_uuid, permission_denials } = account;
        let mut result = json!({
            "type": "result", "duration_ms": duration_ms, "duration_api_ms": 0, "num_turns": 1,
            "total_cost_usd": 0, "usage": {}, "modelUsage": {},
            "permission_denials": permission_denials,
        });
        let more = match ending {
            Ending::Completed { text, is_error } => json!({
                "subtype": "success", "is_error": is_error, "result": text,
                "stop_reason": "end_turn", "terminal_reason": "completed",
            }),
            Ending::Aborted(reason) => json!({
                "subtype": "error_during_execution", "is_error": true, "errors": [reason],
                "terminal_reason": "aborted_tools",
            }),
            Ending::Refused(reason) => json!({
                "subtype": "error_during_execution", "is_error": true, "errors": [reason],
                "terminal_reason": "refused", "num_turns": 0,
            }),
        };
        extend(&mut result, more);
        if let Some(uuid) = user_message_uuid {
            extend(&mut result, json!({"user_message_uuids": [uuid]}));
        }
        self.print(cx, result);
    }

    /// Answers `initialize`. Open questions go alongside the payload, for a late viewer.
    pub(super) fn print_initialized(&mut self, cx: &mut Cx, request_id: &str, pending: &[Value]) {
        let payload = json!({"commands": [], "agents": [], "models": [], "account": {}});
        let response = json!({
            "subtype": "success", "request_id": request_id, "response": payload,
            "pending_permission_requests": pending,
        });
        self.stdio.write(cx, &to_json(&json!({"type": "control_response", "response": response})));
    }

    /// Prints a control line, which belongs to no session.
    pub(super) fn print_control(&mut self, cx: &mut Cx, line: &Text) {
        self.stdio.write(cx, line.as_bytes());
    }

    fn message_id(&mut self) -> String {
        ["msg_", &self.uuid()].concat()
    }

    /// Prints a message of the session.
    fn print(&mut self, cx: &mut Cx, mut message: Value) {
        let uuid = self.uuid();
        extend(&mut message, json!({"session_id": self.session_id, "uuid": uuid}));
        self.stdio.write(cx, &to_json(&message));
    }
}

/// The question whether a command may run, as first asked and as repeated to a late viewer.
pub(super) fn permission_request(request_id: &str, tool_use_id: &str, command: &str) -> Value {
    json!({
        "type": "control_request", "request_id": request_id,
        "request": {
            "subtype": "can_use_tool", "tool_name": TOOL, "input": {"command": command},
            "tool_use_id": tool_use_id, "permission_suggestions": [], "display_name": TOOL,
            "description": "Run this command line in a shell",
        },
    })
}

/// A tool that was not permitted, as a `result` lists it.
pub(super) fn denial(tool_use_id: &str, command: &str) -> Value {
    json!({"tool_name": TOOL, "tool_use_id": tool_use_id, "tool_input": {"command": command}})
}

fn extend(object: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (object, more) {
        Map::extend(fields, more);
    }
}
