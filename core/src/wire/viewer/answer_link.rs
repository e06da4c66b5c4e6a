//! Links that answer one question of an agent, once, without a sign-in (Y-9).

use alloc::borrow::Cow;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::post::Behavior;
use crate::base::id::SessionId;
use crate::base::secret::{self, Secret};
use crate::base::time::UnixTime;
use crate::wire::{raw, rfc3339};

/// For which question a link is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLinkPost {
    /// The agent's id for the question.
    pub request_id: String,
    /// The event that asked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// For how many seconds it is to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<u64>,
}

/// A link that was made. Whoever has it can answer this question, and do nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLink {
    /// What it shows, as `Authorization: Bearer`.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    pub token: Secret,
    /// Where a person opens it; none if the relay does not know where it is reached.
    #[serde(serialize_with = "revealed", deserialize_with = "hidden")]
    pub url: Option<Secret>,
    /// By what the audit log names it.
    pub id: String,
    /// When it stops working.
    #[serde(with = "rfc3339")]
    pub expires_at: UnixTime,
}

fn revealed<S: serde::Serializer>(url: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
    url.as_ref().map(Secret::reveal).serialize(to)
}

fn hidden<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

/// What a link is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedQuestion<'a> {
    /// Whose agent asks.
    pub session_id: SessionId,
    /// The session's title.
    #[serde(borrow, default)]
    pub title: Option<Cow<'a, str>>,
    /// The tool that the agent wants to use.
    #[serde(borrow)]
    pub tool_name: Cow<'a, str>,
    /// For what: JSON as the agent wrote it.
    #[serde(borrow, with = "raw::optional", default)]
    pub input: Option<&'a str>,
    /// When the link stops working.
    #[serde(with = "rfc3339")]
    pub expires_at: UnixTime,
}

/// The answer of whoever has a link. It cannot say more: not what the tool is run with, for instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedAnswer {
    /// The answer.
    pub behavior: Behavior,
    /// The reason for a *deny*, for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
