//! How a bridge is set up (B-1, B-3, B-4).

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::auth::Credential;
use crate::base::text::Text;
use crate::engine::backoff::BackoffConfig;
use crate::wire::to_text;
use crate::wire::url::BaseUrl;
use crate::wire::worker_api::environment::{ASSISTANT, BRIDGE};
use crate::worker::{TransportChoice, WorkBy};

/// What a bridge is for.
#[derive(Clone, Debug)]
pub struct BridgeConfig {
    /// Where the relay is.
    pub relay: BaseUrl,
    /// Opens it: registers an environment and creates a session. A person's, or a device's that may drive.
    pub credential: Credential,
    /// This computer's name, for people.
    pub machine_name: String,
    /// Where the program works.
    pub directory: String,
    /// The program's own process.
    pub pid: u32,
    /// What the session is called at first; without one, it takes the beginning of its first message.
    pub title: Option<String>,
    /// What viewers learn about the program first; `None` if the program says that itself, and answers
    /// `initialize`.
    pub init: Option<Init>,
    /// Whether a session that follows one that the relay has lost begins with what was said in that one,
    /// as far as it is kept (I-2).
    pub replays: bool,
    /// Whether what viewers say comes in.
    pub direction: Direction,
    /// What its end means.
    pub teardown: Teardown,
    /// Which requests of viewers the program answers.
    pub answers: Answers,
    /// Whether the conversation has a history, which the program gives with
    /// [`History`](super::BridgeCommand::History). Until then everything waits behind it (M-5).
    pub awaits_history: bool,
    /// Where the next run finds what it needs to continue the session; without one, it makes another.
    pub state_directory: Option<String>,
    /// Whether to keep a pointer file in the directory (K-1).
    pub keeps_pointer: bool,
    /// Which version the session travels by (C-4).
    pub transport: TransportChoice,
    /// By what its work is asked for (E-2).
    pub work_by: WorkBy,
    /// Pauses after failures, and when to give up (W-2).
    pub backoff: BackoffConfig,
    /// Whether to connect although the relay cannot prove that it is the one from before (Y-4).
    pub trusts_relay: bool,
    /// Seeds the jitter, and names claims and runs.
    pub seed: u64,
}

impl BridgeConfig {
    /// A bridge both ways, whose end is the session's, for a program that answers everything.
    pub fn new(relay: BaseUrl, credential: Credential, directory: String, seed: u64) -> Self {
        Self {
            relay,
            credential,
            machine_name: String::from("unnamed"),
            directory,
            pid: 0,
            title: None,
            init: Some(Init::default()),
            replays: true,
            direction: Direction::Both,
            teardown: Teardown::Ordinary,
            answers: Answers::All,
            awaits_history: false,
            state_directory: None,
            keeps_pointer: false,
            transport: TransportChoice::Auto,
            work_by: WorkBy::Auto,
            backoff: BackoffConfig::default(),
            trusts_relay: false,
            seed,
        }
    }
}

/// Whether what viewers say comes in (B-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The program hears its viewers.
    Both,
    /// A mirror: events go out, and nothing comes in.
    Outbound,
}

/// What the end of a bridge means for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teardown {
    /// The session ends with it: its result is reported, its work stopped, its environment
    /// deregistered.
    Ordinary,
    /// It goes on (B-4): no result, no stop, no close. The next run with the same state directory takes
    /// it up again.
    Perpetual,
}

impl Teardown {
    /// What the environment registers as.
    pub(super) const fn worker_type(self) -> &'static str {
        match self {
            Self::Ordinary => BRIDGE,
            Self::Perpetual => ASSISTANT,
        }
    }
}

/// Which requests of viewers the program answers. Every other one is answered by the bridge: an
/// `initialize` from what the program has said about itself, the rest with an error, so that nobody waits
/// for ever (M-3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// All of them.
    All,
    /// These subtypes.
    Only(Vec<String>),
}

impl Answers {
    pub(super) fn include(&self, subtype: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(subtypes) => subtypes.iter().any(|known| known == subtype),
        }
    }
}

/// What viewers learn about a program when it connects: its `system/init` (B-1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Init {
    /// The program's own id of the conversation; empty if it has none.
    pub session_id: String,
    /// Where it works.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cwd: String,
    /// The model that answers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// `default`, `acceptEdits`, `plan`, …
    #[serde(rename = "permissionMode", skip_serializing_if = "String::is_empty")]
    pub permission_mode: String,
    /// Its slash commands.
    #[serde(rename = "slash_commands")]
    pub commands: Vec<String>,
    /// Its sub-agents.
    pub agents: Vec<String>,
    /// Its skills.
    pub skills: Vec<String>,
    /// Its tools.
    pub tools: Vec<String>,
    /// Whether it answers faster at a higher price.
    pub fast_mode: bool,
}

impl Init {
    pub(super) fn to_line(&self) -> Text {
        #[derive(Serialize)]
        struct Line<'a> {
            r#type: &'static str,
            subtype: &'static str,
            #[serde(flatten)]
            init: &'a Init,
        }
        to_text(&Line { r#type: "system", subtype: "init", init: self })
    }

    /// The same as an answer to `initialize`.
    pub(super) fn answer(&self) -> serde_json::Value {
        let named = |names: &[String]| -> serde_json::Value {
            names.iter().map(|name| serde_json::json!({"name": name, "description": ""})).collect()
        };
        serde_json::json!({
            "commands": named(&self.commands),
            "agents": named(&self.agents),
            "models": [],
        })
    }
}
