//! The body of a refusal (E-9). What it means to its reader is in `client/error.rs`.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::raw;

/// The body of any answer of 400 or above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody<'a> {
    /// What went wrong.
    #[serde(borrow)]
    pub error: ErrorDetail<'a>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail<'a> {
    /// What kind of error it is.
    #[serde(rename = "type", default)]
    pub kind: ErrorType,
    /// What happened, and what to try.
    #[serde(default)]
    pub message: Cow<'a, str>,
    /// For a `permission_conflict` or `callback_conflict`, the answer that counts: JSON exactly as it was sent.
    #[serde(borrow, with = "raw::optional", default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'a str>,
    /// For a `permission_ambiguous`, the event of the question that is open, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

macro_rules! error_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// The kind of error. It says more about what the error means than the status does.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ErrorType {
            $($(#[$doc])* $variant,)+
            /// One from a later version, or none; the status is enough to go by.
            Other(String),
        }

        impl ErrorType {
            #[cfg(test)]
            pub(super) const KNOWN: &[Self] = &[$(Self::$variant),+];

            /// As written on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Other(name) => name,
                }
            }
        }

        impl From<&str> for ErrorType {
            fn from(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)+
                    _ => Self::Other(name.to_owned()),
                }
            }
        }
    };
}

error_types! {
    /// The body, a header, an id or a query is malformed.
    InvalidRequest = "invalid_request",
    /// No credential, or one the relay does not know.
    AuthenticationFailed = "authentication_failed",
    /// The credential was valid once and has expired.
    TokenExpired = "token_expired",
    /// It takes a trusted device, and this is none, or has logged in too long ago to become one (D-3).
    Elevated = "ELEVATED",
    /// The log-in that it belongs to was revoked.
    TokenRevoked = "token_revoked",
    /// No log-in waits under this code.
    LogInUnknown = "log_in_unknown",
    /// No such device (any more).
    DeviceUnknown = "device_unknown",
    /// No browser is sent notifications under this id (any more).
    PushUnknown = "push_unknown",
    /// The session has expired.
    SessionExpired = "session_expired",
    /// A valid credential, but not for this.
    PermissionDenied = "permission_denied",
    /// No such path.
    NotFound = "not_found",
    /// No such environment (any more).
    EnvironmentUnknown = "environment_unknown",
    /// No such session (any more).
    SessionUnknown = "session_unknown",
    /// No such work item (any more).
    WorkUnknown = "work_unknown",
    /// No such question (any more).
    PermissionUnknown = "permission_unknown",
    /// No message, answer or request has this number (any more).
    ReceiptUnknown = "receipt_unknown",
    /// The path exists, but not with this method.
    MethodNotAllowed = "method_not_allowed",
    /// The item has since been handed to another worker.
    LeaseLost = "lease_lost",
    /// Someone has already answered the question differently.
    PermissionConflict = "permission_conflict",
    /// The idempotency key is that of another request.
    KeyReused = "key_reused",
    /// The environment is one session, and takes no other.
    OneSession = "one_session",
    /// The id of the question is that of several; the answer has to say which.
    PermissionAmbiguous = "permission_ambiguous",
    /// The client declares hooks or MCP servers, and the agent could not reach it.
    CallbacksUnanswerable = "callbacks_unanswerable",
    /// Another client that is connected has declared hooks or MCP servers.
    CallbacksTaken = "callbacks_taken",
    /// Another client is asked this.
    CallbackNotYours = "callback_not_yours",
    /// No such question to a client (any more).
    CallbackUnknown = "callback_unknown",
    /// The client has already answered differently.
    CallbackConflict = "callback_conflict",
    /// The agent no longer waits for the client's answer.
    CallbackWithdrawn = "callback_withdrawn",
    /// The session accepts no more messages.
    SessionEnded = "session_ended",
    /// The agent withdrew its question.
    PermissionWithdrawn = "permission_withdrawn",
    /// A link that answers one question was used, has run out, or its question is not open any more.
    AnswerLinkOver = "answer_link_over",
    /// The question takes more than *allow* or *deny*.
    AnswerLinkUnfit = "answer_link_unfit",
    /// The session has not ended.
    SessionRuns = "session_running",
    /// The session has a worktree that nobody has decided about.
    WorktreeKept = "worktree_kept",
    /// No worktree of this session was kept (any more).
    WorktreeUnknown = "worktree_unknown",
    /// Another request about this worktree is not done yet.
    WorktreeBusy = "worktree_busy",
    /// Something else is in this worktree than what the person was shown.
    WorktreeChanged = "worktree_changed",
    /// The worker that has this worktree has shut down.
    WorktreeUnreachable = "worktree_unreachable",
    /// The request exceeds the relay's limit.
    TooLarge = "too_large",
    /// The path is for WebSockets only.
    UpgradeRequired = "upgrade_required",
    /// A count is at its limit.
    LimitReached = "limit_reached",
    /// The relay is not known by the name in `Host`.
    HostUnknown = "host_unknown",
    /// A page of another site sent the request.
    OriginRefused = "origin_refused",
    /// The session has been bridged again since (C-1).
    EpochSuperseded = "epoch_superseded",
    /// The same, by the same run of the agent: a bridge of its own has arrived late or twice.
    EpochRepeated = "epoch_repeated",
    /// The relay was set back to an earlier state, in which it has not given the worker what that has.
    RelaySetBack = "relay_set_back",
    /// The relay is shutting down, or overloaded.
    Unavailable = "unavailable",
    /// The relay cannot store anything: its disk is full, or gone.
    StoreFailed = "store_failed",
}

impl Default for ErrorType {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

impl fmt::Display for ErrorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <Cow<'_, str>>::deserialize(deserializer)?;
        Ok(Self::from(&*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_known_by_its_name_and_others_keep_theirs() {
        for known in ErrorType::KNOWN {
            assert_eq!(ErrorType::from(known.as_str()), *known);
            assert!(!matches!(known, ErrorType::Other(_)));
        }
        assert_eq!(ErrorType::from("later"), ErrorType::Other("later".to_owned()));
    }
}
