//! A work secret: what a worker needs to run one session (S-1).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserializer, Error as _};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::to_json;
use super::versions::or_default;
use crate::base::secret::{self, Secret};

/// The only version so far.
const VERSION: u64 = 1;

/// The version of a work secret: always the one known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version;

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(VERSION)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            VERSION => Ok(Self),
            found => Err(D::Error::custom(WorkSecretError::Version { found })),
        }
    }
}

/// A decoded work secret (S-1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkSecret {
    /// Its version.
    pub version: Version,
    /// Authorises the session's ingress, and calls about its item's lease.
    #[serde(serialize_with = "secret::reveal")]
    pub session_ingress_token: Secret,
    /// The relay to connect to, if it is not where the work came from.
    #[serde(default)]
    pub api_base_url: Option<String>,
    /// Where the code comes from.
    #[serde(default, deserialize_with = "or_default")]
    pub sources: Vec<Source>,
    /// Extra credentials for the agent.
    #[serde(default, deserialize_with = "or_default")]
    pub auth: Vec<Credential>,
    /// Flags for the agent: name to value (W-5).
    #[serde(default, serialize_with = "flags", deserialize_with = "or_default")]
    pub claude_code_args: BTreeMap<String, String>,
    /// Configuration of the agent's MCP servers, passed through unchanged.
    #[serde(default, serialize_with = "raw", deserialize_with = "some_raw")]
    pub mcp_config: Option<Secret>,
    /// Variables for the agent only (S-3).
    #[serde(default, serialize_with = "variables", deserialize_with = "or_default")]
    pub environment_variables: BTreeMap<String, Secret>,
    /// Whether the session speaks version 2 (C-4).
    #[serde(default, deserialize_with = "or_default")]
    pub use_code_sessions: bool,
}

/// What whoever makes a session wants its agent to be started with; the worker's owner decides whether it
/// is (S-3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentOptions {
    /// Flags: name to value, which is empty for one without (W-5).
    #[serde(default, serialize_with = "flags", deserialize_with = "or_default")]
    pub claude_code_args: BTreeMap<String, String>,
    /// Configuration of its MCP servers, passed through unchanged.
    #[serde(default, serialize_with = "raw", deserialize_with = "some_raw")]
    pub mcp_config: Option<Secret>,
    /// Variables.
    #[serde(default, serialize_with = "variables", deserialize_with = "or_default")]
    pub environment_variables: BTreeMap<String, Secret>,
}

impl AgentOptions {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Roughly how much they take.
    pub fn bytes(&self) -> usize {
        let flags = self.claude_code_args.iter().map(|(name, value)| name.len() + value.len());
        let variables = self.environment_variables.iter();
        let variables = variables.map(|(name, value)| name.len() + value.reveal().len());
        let config = self.mcp_config.as_ref().map_or(0, |config| config.reveal().len());
        flags.sum::<usize>() + variables.sum::<usize>() + config
    }
}

/// Where code comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// A git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_info: Option<GitInfo>,
}

/// A git repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GitInfo {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name or URL.
    pub repo: String,
    /// What to check out.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The credential for it.
    #[serde(default, serialize_with = "some_secret", skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

/// A credential for the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credential {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// The credential itself.
    #[serde(serialize_with = "secret::reveal")]
    pub token: Secret,
}

/// Why a work secret cannot be used. No variant reveals any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkSecretError {
    /// It is not base64url.
    #[error("the work secret is not base64url")]
    Encoding,
    /// It is not JSON of the expected shape.
    #[error("the work secret is not a JSON object of the known shape")]
    Shape,
    /// It has another version.
    #[error("the work secret has version {found}; this worker knows version {VERSION}: update it")]
    Version {
        /// The version that it has.
        found: u64,
    },
    /// It has no version.
    #[error("the work secret has no version")]
    NoVersion,
    /// Its token is missing or empty.
    #[error("the work secret has no session_ingress_token")]
    NoToken,
    /// Its token cannot be sent in a header.
    #[error("the work secret's session_ingress_token holds what no header can carry")]
    Token,
}

impl WorkSecret {
    /// A secret that holds a session's token and nothing else.
    pub const fn new(session_ingress_token: Secret, api_base_url: Option<String>) -> Self {
        Self {
            version: Version,
            session_ingress_token,
            api_base_url,
            sources: Vec::new(),
            auth: Vec::new(),
            claude_code_args: BTreeMap::new(),
            mcp_config: None,
            environment_variables: BTreeMap::new(),
            use_code_sessions: false,
        }
    }

    /// With what its session was made with.
    #[must_use]
    pub fn with_options(self, options: AgentOptions) -> Self {
        let AgentOptions { claude_code_args, mcp_config, environment_variables } = options;
        Self { claude_code_args, mcp_config, environment_variables, ..self }
    }

    /// As base64url of its JSON.
    pub fn encode(&self) -> Secret {
        let json = Zeroizing::new(Vec::from(to_json(self)));
        Secret::new(URL_SAFE_NO_PAD.encode(&*json))
    }

    /// Decodes base64url, with or without padding. Unknown fields are ignored.
    pub fn decode(encoded: &str) -> Result<Self, WorkSecretError> {
        #[derive(Deserialize)]
        struct Outline<'a> {
            #[serde(default)]
            version: Option<u64>,
            #[serde(borrow, default)]
            session_ingress_token: Option<&'a RawValue>,
        }
        let unpadded = encoded.trim().trim_end_matches('=');
        let json = URL_SAFE_NO_PAD.decode(unpadded).map_err(|_| WorkSecretError::Encoding)?;
        let json = Zeroizing::new(json);
        let outline: Outline<'_> =
            serde_json::from_slice(&json).map_err(|_| WorkSecretError::Shape)?;
        match outline.version {
            Some(VERSION) => {}
            Some(found) => return Err(WorkSecretError::Version { found }),
            None => return Err(WorkSecretError::NoVersion),
        }
        if outline.session_ingress_token.is_none_or(|token| matches!(token.get(), "\"\"" | "null"))
        {
            return Err(WorkSecretError::NoToken);
        }
        let secret: Self = serde_json::from_slice(&json).map_err(|_| WorkSecretError::Shape)?;
        if secret.session_ingress_token.is_bearer() {
            Ok(secret)
        } else {
            Err(WorkSecretError::Token)
        }
    }
}

impl WorkSecret {
    /// The reference that the session's worktree starts from, if the secret names one (W-5).
    pub fn git_reference(&self) -> Option<String> {
        self.sources.iter().find_map(|source| source.git_info.as_ref()?.reference.clone())
    }
}

/// A map that is empty is written as `null`.
pub(in crate::wire) fn flags<S: Serializer>(
    map: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if map.is_empty() { serializer.serialize_none() } else { serializer.collect_map(map) }
}

pub(in crate::wire) fn variables<S: Serializer>(
    map: &BTreeMap<String, Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if map.is_empty() {
        serializer.serialize_none()
    } else {
        serializer.collect_map(map.iter().map(|(name, value)| (name, value.reveal())))
    }
}

fn some_secret<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::reveal).serialize(serializer)
}

pub(in crate::wire) fn raw<S: Serializer>(
    json: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let json = json.as_ref().map(|json| serde_json::from_str::<&RawValue>(json.reveal()));
    json.transpose().map_err(S::Error::custom)?.serialize(serializer)
}

pub(in crate::wire) fn some_raw<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    let raw = Option::<alloc::boxed::Box<RawValue>>::deserialize(deserializer)?;
    Ok(raw.map(|raw| Secret::from(raw.get())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn decode(json: &str) -> Result<WorkSecret, WorkSecretError> {
        WorkSecret::decode(&URL_SAFE_NO_PAD.encode(json))
    }

    #[test]
    fn a_whole_secret_is_read_and_unknown_fields_are_ignored() {
        let secret = decode(
            r#"{"version":1,"session_ingress_token":"t","api_base_url":"https://relay.example",
                "sources":[{"type":"git","git_info":{"type":"github","repo":"a/b","ref":"main"}}],
                "auth":[{"type":"x","token":"y"}],"claude_code_args":{"model":"m"},
                "mcp_config":{"servers":[]},"environment_variables":{"A":"b"},
                "use_code_sessions":false,"later":true}"#,
        )
        .expect("a secret");
        assert_eq!(secret.session_ingress_token.reveal(), "t");
        assert_eq!(secret.claude_code_args["model"], "m");
        assert_eq!(secret.environment_variables["A"].reveal(), "b");
        assert_eq!(secret.mcp_config.expect("there").reveal(), r#"{"servers":[]}"#);
    }

    #[test]
    fn nulls_count_as_missing() {
        let json = r#"{"version":1,"session_ingress_token":"t","claude_code_args":null,
            "environment_variables":null,"mcp_config":null,"sources":null,"auth":null}"#;
        assert!(decode(json).expect("a secret").environment_variables.is_empty());
    }

    #[test]
    fn padding_does_not_matter() {
        let encoded = URL_SAFE_NO_PAD.encode(r#"{"version":1,"session_ingress_token":"t"}"#);
        assert!(WorkSecret::decode(&format!("{encoded}==")).is_ok());
    }

    #[test]
    fn each_error_is_typed_and_reveals_nothing_of_the_secret() {
        let cases = [
            (r#"{"version":2,"session_ingress_token":"t"}"#, WorkSecretError::Version { found: 2 }),
            (r#"{"session_ingress_token":"t"}"#, WorkSecretError::NoVersion),
            (r#"{"version":1}"#, WorkSecretError::NoToken),
            (r#"{"version":1,"session_ingress_token":""}"#, WorkSecretError::NoToken),
            (r#"{"version":1,"session_ingress_token":null}"#, WorkSecretError::NoToken),
            (r#"{"version":1,"session_ingress_token":7}"#, WorkSecretError::Shape),
            (r#"{"version":1,"session_ingress_token":"a\r\nb: c"}"#, WorkSecretError::Token),
            (r#"{"version":"1"}"#, WorkSecretError::Shape),
            ("[]", WorkSecretError::NoVersion),
            ("hunter2", WorkSecretError::Shape),
        ];
        for (json, expected) in cases {
            let error = decode(json).expect_err(json);
            assert_eq!(error, expected, "{json}");
        }
        assert_eq!(WorkSecret::decode("+/").expect_err("refused"), WorkSecretError::Encoding);
        let secret = decode(r#"{"version":1,"session_ingress_token":"hunter2"}"#);
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
