//! Lines for an agent that give it more latitude: what it does without asking, and what runs beside it.
//! They are answers to questions before those are asked, and do what flags and variables at the agent's
//! start do.
//!
//! No list of what is dangerous would ever be complete, so this is one of what is harmless.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::wire::message::{Head, Kind};

/// What a line changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latitude {
    /// Which questions are asked.
    Mode,
    /// Which MCP servers are started.
    Servers,
    /// Rules and hooks, and what the agent keeps for its person: settings, accounts.
    Settings,
    /// Agents that bring servers, hooks or a mode of their own.
    Agents,
    /// Plugins, which bring all of that.
    Plugins,
    /// Directories, whose settings count.
    Directories,
    /// The agent's environment.
    Variables,
    /// Anything else that is not known to be harmless: a tool that is called, a file that is written.
    Other,
}

/// Modes that ask as much as any.
const STRICT_MODES: [&str; 2] = ["default", "plan"];

/// Requests that end something, choose among models, or only tell something.
const HARMLESS: [&str; 16] = [
    "background_tasks",
    "cancel_async_message",
    "end_session",
    "file_suggestions",
    "generate_session_title",
    "interrupt",
    "list_models",
    "list_permission_rules",
    "mcp_status",
    "rename_session",
    "set_color",
    "set_has_subscribers",
    "set_max_thinking_tokens",
    "set_model",
    "side_question",
    "stop_task",
];
/// The same, by how they begin.
const READS: &str = "get_";

/// Other messages that an agent takes from its client.
const ENVIRONMENT: &str = "update_environment_variables";
const KEEP_ALIVE: &str = "keep_alive";

impl Latitude {
    /// What a line with this head changes, if it does. One that cannot be read counts as one that does.
    pub(crate) fn of(head: &Head, line: &Text) -> Option<Self> {
        match (head.kind(), head.subtype.as_deref()) {
            (Kind::ControlRequest, Some(subtype)) => Self::of_request(subtype, line),
            (Kind::Other, _) if head.kind == ENVIRONMENT => Some(Self::Variables),
            (Kind::Other, _) if head.kind != KEEP_ALIVE => Some(Self::Other),
            // What a person says, and answers, which others judge.
            _ => None,
        }
    }

    fn of_request(subtype: &str, line: &Text) -> Option<Self> {
        match subtype {
            "set_permission_mode" => {
                let mode = request::<Mode>(line).and_then(|request| request.mode);
                let is_strict = mode.is_some_and(|mode| STRICT_MODES.contains(&mode.as_str()));
                (!is_strict).then_some(Self::Mode)
            }
            "mcp_set_servers" => {
                let servers = request::<Servers>(line).and_then(|request| request.servers);
                let is_harmless = servers.is_some_and(|servers| are_clients(&servers));
                (!is_harmless).then_some(Self::Servers)
            }
            "initialize" => {
                request::<Initialize>(line).map_or(Some(Self::Agents), |asked| asked.brings())
            }
            "apply_flag_settings" | "update_settings" | "reload_plugins" | "remote_control" => {
                Some(Self::Settings)
            }
            "claude_authenticate"
            | "claude_oauth_callback"
            | "mcp_authenticate"
            | "mcp_clear_auth" => Some(Self::Settings),
            "set_cwd" | "add_directory" | "add_directories" | "register_repo_root" => {
                Some(Self::Directories)
            }
            _ if HARMLESS.contains(&subtype) || subtype.starts_with(READS) => None,
            _ => Some(Self::Other),
        }
    }

    /// The flag of the agent that does the same at its start, if there is one.
    pub(crate) const fn flag(self) -> Option<&'static str> {
        match self {
            Self::Mode => Some("permission-mode"),
            Self::Servers => Some("mcp-config"),
            Self::Settings => Some("settings"),
            Self::Agents => Some("agents"),
            Self::Plugins => Some("plugin-dir"),
            Self::Directories => Some("add-dir"),
            Self::Variables | Self::Other => None,
        }
    }
}

/// The variables that a line sets in an agent's environment; none if it cannot be read.
pub(crate) fn variables(line: &Text) -> Option<BTreeMap<String, Secret>> {
    #[derive(Deserialize)]
    struct Line {
        variables: BTreeMap<String, Secret>,
    }
    serde_json::from_str::<Line>(line.as_str()).ok().map(|line| line.variables)
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

/// Whether they are all the client's own, which are reached by messages.
fn are_clients(servers: &BTreeMap<String, Server>) -> bool {
    servers.values().all(|server| server.kind.as_deref() == Some("sdk"))
}

/// What a client says about itself. Hooks and servers of its own are asked about it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialize {
    agents: Option<BTreeMap<String, Agent>>,
    mcp_servers: Option<BTreeMap<String, Server>>,
    plugins: Option<Vec<IgnoredAny>>,
    #[serde(flatten)]
    rest: BTreeMap<String, IgnoredAny>,
}

/// Its other keys, which say what is asked of the client, how the agent is to speak, or what it is shown.
const DECLARATIONS: [&str; 19] = [
    "agentProgressSummaries",
    "appendSystemPrompt",
    "excludeDynamicSections",
    "forwardSubagentText",
    "hooks",
    "jsonSchema",
    "perTaskStopAffordance",
    "planModeInstructions",
    "promptSuggestions",
    "sdkMcpServerConfigs",
    "sdkMcpServerManifests",
    "sdkMcpServerManifestsOrigin",
    "sdkMcpServers",
    "skills",
    "subtype",
    "supportedDialogKinds",
    "systemPrompt",
    "systemPromptSnapshot",
    "title",
];

impl Initialize {
    fn brings(&self) -> Option<Latitude> {
        let mut agents = self.agents.iter().flat_map(BTreeMap::values);
        if self.plugins.as_ref().is_some_and(|plugins| !plugins.is_empty()) {
            Some(Latitude::Plugins)
        } else if self.mcp_servers.as_ref().is_some_and(|servers| !are_clients(servers)) {
            Some(Latitude::Servers)
        } else if agents.any(Agent::brings_more) {
            Some(Latitude::Agents)
        } else {
            let is_known = |key: &String| DECLARATIONS.contains(&key.as_str());
            (!self.rest.keys().all(is_known)).then_some(Latitude::Other)
        }
    }
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
            (r#"{"subtype":"initialize","agents":7}"#, Latitude::Agents),
            (
                r#"{"subtype":"initialize","plugins":[],"plugins":[{"path":"/p"}]}"#,
                Latitude::Agents,
            ),
            (r#"{"subtype":"initialize","mcpServers":{"x":{"command":"sh"}}}"#, Latitude::Servers),
            (
                r#"{"subtype":"initialize","plugins":[{"type":"local","path":"/p"}]}"#,
                Latitude::Plugins,
            ),
            (r#"{"subtype":"initialize","some_later_key":1}"#, Latitude::Other),
            (r#"{"subtype":"mcp_call","tool":"mcp__x__y"}"#, Latitude::Other),
            (r#"{"subtype":"mcp_toggle","serverName":"s","enabled":true}"#, Latitude::Other),
            (r#"{"subtype":"rewind_files","user_message_id":"u"}"#, Latitude::Other),
            (r#"{"subtype":"update_settings","settings":{}}"#, Latitude::Settings),
            (r#"{"subtype":"set_cwd","path":"/x","trust_accepted":true}"#, Latitude::Directories),
            (r#"{"subtype":"some_later_one","mode":{"a":1},"servers":7}"#, Latitude::Other),
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
            r#"{"subtype":"initialize","mcpServers":{"x":{"type":"sdk","name":"x"}},"plugins":[]}"#,
            r#"{"subtype":"get_context_usage"}"#,
            r#"{"subtype":"interrupt"}"#,
        ] {
            assert_eq!(of(request), None, "{request}");
        }
        for (line, expected) in [
            (r#"{"type":"user","request":{"subtype":"apply_flag_settings"}}"#, None),
            (r#"{"type":"control_cancel_request","request_id":"r"}"#, None),
            (r#"{"type":"keep_alive"}"#, None),
            (r#"{"type":"some_later_one"}"#, Some(Latitude::Other)),
            (
                r#"{"type":"update_environment_variables","variables":{"PATH":"/tmp"}}"#,
                Some(Latitude::Variables),
            ),
        ] {
            let line = Text::from(line);
            assert_eq!(Latitude::of(&Head::parse(&line).expect("a message"), &line), expected);
        }
    }
}
