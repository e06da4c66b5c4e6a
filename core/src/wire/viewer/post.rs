//! What viewers post to a session, and the receipts they get.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::base::id::EnvironmentId;
use crate::base::secret::Secret;
use crate::wire::control::{Fields, take_field};
use crate::wire::versions::or_default;
use crate::wire::work_secret::{self, AgentOptions};

/// The body of `POST /v1/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateSession {
    /// Where to run it.
    pub environment_id: EnvironmentId,
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Flags for its agent: name to value (S-1).
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub claude_code_args: BTreeMap<String, String>,
    /// Configuration of its agent's MCP servers.
    #[serde(
        default,
        serialize_with = "work_secret::raw",
        deserialize_with = "work_secret::some_raw",
        skip_serializing_if = "Option::is_none"
    )]
    pub mcp_config: Option<Secret>,
    /// Variables for its agent.
    #[serde(
        default,
        serialize_with = "work_secret::variables",
        deserialize_with = "or_default",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub environment_variables: BTreeMap<String, Secret>,
}

impl CreateSession {
    /// One whose agent is started as its worker starts all of them.
    pub const fn new(environment_id: EnvironmentId, title: Option<String>) -> Self {
        Self {
            environment_id,
            title,
            claude_code_args: BTreeMap::new(),
            mcp_config: None,
            environment_variables: BTreeMap::new(),
        }
    }

    /// What its agent is to be started with.
    pub fn options(&self) -> AgentOptions {
        AgentOptions {
            claude_code_args: self.claude_code_args.clone(),
            mcp_config: self.mcp_config.clone(),
            environment_variables: self.environment_variables.clone(),
        }
    }
}

/// The body of `POST /v1/sessions/{id}`: what is missing stays as it is (U-5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSession {
    /// What to call it; empty for the beginning of its next message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether it is put away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
}

/// The body of `POST …/messages`: messages exactly as they should reach the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PostMessages<'a> {
    /// Which client sends them: one that declares hooks or MCP servers of its own has to say (M-6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// In order.
    #[serde(borrow)]
    pub messages: Vec<&'a RawValue>,
}

/// The answer to it: all of them are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostReceipt<'a> {
    /// In the same order.
    #[serde(default)]
    pub accepted: Vec<MessageReceipt<'a>>,
}

/// A stored message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageReceipt<'a> {
    /// The message's own id, or the one it was given.
    pub uuid: Option<Cow<'a, str>>,
    /// The id of a `control_request`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// Its number in the log, new or old.
    pub seq: u64,
}

/// The body of `POST …/permission`: a person's answer to an agent's question (M-2).
#[derive(Clone, Debug, Serialize)]
pub struct PermissionPost {
    /// The agent's id for the question.
    pub request_id: String,
    /// The event that asked it: agents may use an id again, and an answer that was delayed must not
    /// be taken for one to a later question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The answer.
    pub behavior: Behavior,
    /// The input to run the tool with; none for the input in the question.
    #[serde(rename = "updatedInput", skip_serializing_if = "Option::is_none")]
    pub updated_input: Option<Box<RawValue>>,
    /// The reason for a *deny*, for the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether a *deny* also ends the turn.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub interrupt: bool,
    /// Whatever else the agent is to be told, `updatedPermissions` for instance: it passes through.
    #[serde(flatten)]
    pub further: Fields,
}

impl<'de> Deserialize<'de> for PermissionPost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not derived: raw JSON does not survive `flatten`.
        let mut fields = Fields::deserialize(deserializer)?;
        Ok(Self {
            request_id: take_field(&mut fields, "request_id")?
                .ok_or_else(|| D::Error::missing_field("request_id"))?,
            seq: take_field(&mut fields, "seq")?,
            behavior: take_field(&mut fields, "behavior")?
                .ok_or_else(|| D::Error::missing_field("behavior"))?,
            updated_input: take_field(&mut fields, "updatedInput")?,
            message: take_field(&mut fields, "message")?,
            interrupt: take_field(&mut fields, "interrupt")?.unwrap_or_default(),
            further: fields,
        })
    }
}

/// Whether the agent may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behavior {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// Anything else, which a relay rejects.
    #[serde(other)]
    Unknown,
}

/// The answer to `POST …/permission`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionReceipt {
    /// The event holding the answer that counts.
    pub seq: u64,
}

/// The body of `POST …/callback`: a client's answer to what the agent asks because of the hooks or MCP
/// servers that this client has declared (M-6).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallbackPost<'a> {
    /// Which client answers.
    pub client: String,
    /// The agent's id for the question.
    pub request_id: String,
    /// The event that asked it.
    pub seq: u64,
    /// The answer, for the agent.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub response: Option<&'a RawValue>,
    /// Why there is none, for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The answer to it.
pub type CallbackReceipt = PermissionReceipt;

/// The answer to `POST …/interrupt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterruptReceipt<'a> {
    /// The id of the `control_request` it became.
    pub request_id: Cow<'a, str>,
    /// Its number in the log.
    pub seq: u64,
}
