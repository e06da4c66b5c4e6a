//! Control requests that give an agent more latitude: what it does without asking, and what runs beside
//! it. They are answers to questions before those are asked, and do what flags at the agent's start do.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::base::text::Text;
use crate::wire::message::{Head, Kind};

/// What a request changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latitude {
    /// Which questions are asked.
    Mode,
    /// Which MCP servers are started or called.
    Servers,
    /// Rules and hooks.
    Settings,
    /// Agents that bring servers, hooks or a mode of their own.
    Agents,
}

/// Modes that ask as much as any.
const STRICT_MODES: [&str; 2] = ["default", "plan"];

impl Latitude {
    /// What a line with this head changes, if it is such a request. One that cannot be read counts as one.
    pub(crate) fn of(head: &Head, line: &Text) -> Option<Self> {
        if head.kind() != Kind::ControlRequest {
            return None;
        }
        match head.subtype.as_deref()? {
            "set_permission_mode" => {
                let mode = request::<Mode>(line).and_then(|request| request.mode);
                let is_strict = mode.is_some_and(|mode| STRICT_MODES.contains(&mode.as_str()));
                (!is_strict).then_some(Self::Mode)
            }
            "mcp_set_servers" => {
                let servers = request::<Servers>(line).and_then(|request| request.servers);
                // One of the client's own is reached by messages.
                let is_own = |server: &Server| server.kind.as_deref() == Some("sdk");
                let is_harmless = servers.is_some_and(|servers| servers.values().all(is_own));
                (!is_harmless).then_some(Self::Servers)
            }
            "apply_flag_settings" => Some(Self::Settings),
            "initialize" => {
                let Some(request) = request::<Agents>(line) else { return Some(Self::Agents) };
                let mut agents = request.agents.iter().flat_map(BTreeMap::values);
                agents.any(Agent::brings_more).then_some(Self::Agents)
            }
            _ => None,
        }
    }

    /// The flag of the agent that does the same at its start.
    pub(crate) const fn flag(self) -> &'static str {
        match self {
            Self::Mode => "permission-mode",
            Self::Servers => "mcp-config",
            Self::Settings => "settings",
            Self::Agents => "agents",
        }
    }
}

fn request<T: for<'de> Deserialize<'de>>(line: &Text) -> Option<T> {
    #[derive(Deserialize)]
    struct Line<T> {
        request: T,
    }
    serde_json::from_str::<Line<T>>(line.as_str()).ok().map(|line| line.request)
}

#[derive(Deserialize)]
struct Mode {
    mode: Option<String>,
}

#[derive(Deserialize)]
struct Servers {
    servers: Option<BTreeMap<String, Server>>,
}

#[derive(Deserialize)]
struct Server {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Agents {
    agents: Option<BTreeMap<String, Agent>>,
}

#[derive(Deserialize)]
struct Agent {
    #[serde(rename = "mcpServers")]
    servers: Option<IgnoredAny>,
    hooks: Option<IgnoredAny>,
    #[serde(rename = "permissionMode")]
    mode: Option<IgnoredAny>,
}

impl Agent {
    const fn brings_more(&self) -> bool {
        self.servers.is_some() || self.hooks.is_some() || self.mode.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn of(request: &str) -> Option<Latitude> {
        let line = format!(r#"{{"type":"control_request","request_id":"r","request":{request}}}"#);
        let line = Text::from(line);
        Latitude::of(&Head::parse(&line).expect("a message"), &line)
    }

    #[test]
    fn what_an_agent_may_do_unasked_is_told_from_what_it_is_asked_to_do() {
        for (request, expected) in [
            (r#"{"subtype":"set_permission_mode","mode":"acceptEdits"}"#, Latitude::Mode),
            (r#"{"subtype":"set_permission_mode","mode":"bypassPermissions"}"#, Latitude::Mode),
            (r#"{"subtype":"set_permission_mode","mode":7}"#, Latitude::Mode),
            (r#"{"subtype":"set_permission_mode","mode":"plan","mode":"x"}"#, Latitude::Mode),
            (
                r#"{"subtype":"mcp_set_servers","servers":{"x":{"command":"sh"}}}"#,
                Latitude::Servers,
            ),
            (
                r#"{"subtype":"mcp_set_servers","servers":{"x":{"type":"sdk"},"y":{"type":"http","url":"u"}}}"#,
                Latitude::Servers,
            ),
            (r#"{"subtype":"mcp_set_servers","servers":[]}"#, Latitude::Servers),
            (r#"{"subtype":"apply_flag_settings","settings":{}}"#, Latitude::Settings),
            (
                r#"{"subtype":"initialize","agents":{"a":{"mcpServers":[{"x":{"command":"sh"}}]}}}"#,
                Latitude::Agents,
            ),
            (r#"{"subtype":"initialize","agents":{"a":{"hooks":{}}}}"#, Latitude::Agents),
        ] {
            assert_eq!(of(request), Some(expected), "{request}");
        }
        for request in [
            r#"{"subtype":"set_permission_mode","mode":"plan"}"#,
            r#"{"subtype":"mcp_set_servers","servers":{"x":{"type":"sdk","name":"x"}}}"#,
            r#"{"subtype":"mcp_set_servers","servers":{}}"#,
            r#"{"subtype":"initialize","hooks":{"PreToolUse":[]},"agents":{"a":{"prompt":"p","tools":["Read"]}}}"#,
            r#"{"subtype":"initialize","hooks":null}"#,
            r#"{"subtype":"set_model","model":"m"}"#,
            r#"{"subtype":"mcp_toggle","serverName":"s","enabled":true}"#,
            r#"{"subtype":"some_later_one","mode":{"a":1},"servers":7}"#,
        ] {
            assert_eq!(of(request), None, "{request}");
        }
        let line = Text::from(r#"{"type":"user","request":{"subtype":"apply_flag_settings"}}"#);
        assert_eq!(Latitude::of(&Head::parse(&line).expect("a message"), &line), None);
    }
}
