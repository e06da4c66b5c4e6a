//! Whether each channel that a run needs reaches the relay: polls, calls with a body, WebSockets.
//!
//! A proxy may pass some and not others. Each is tried for an environment and a session that do not
//! exist, without a credential: what counts is that the refusal is the relay's own.

use alloc::format;
use alloc::string::{String, ToString};

use super::{Finding, Purpose};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::limits::CONNECT_TIMEOUT;
use crate::base::secret::Secret;
use crate::client::{ErrorClass, RequestError, worker_api};
use crate::contract::action::{Action, Target};
use crate::contract::event::Event;
use crate::contract::machine::MachineErrorKind;
use crate::engine::effects::Effects;
use crate::transport::v1::{MAX_MESSAGE_BYTES, NO_UPGRADE};
use crate::wire::error::ErrorType;
use crate::wire::link_v1;
use crate::wire::url::BaseUrl;

/// The id of what does not exist.
const NOTHING: &str = "check";

/// What becomes of sessions without it.
const AS_VERSION_1: &str = "so sessions travel as version 1 unless --transport says v2";

/// A way to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// A poll, which has no body.
    Poll,
    /// Any other call of a worker.
    Call,
    /// A session's WebSocket.
    Link,
    /// A session's stream of events, in version 2. A run can do without (C-4).
    Stream,
}

impl Channel {
    /// What is tried after it.
    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::Poll => Some(Self::Call),
            Self::Call => Some(Self::Link),
            Self::Link => Some(Self::Stream),
            Self::Stream => None,
        }
    }

    /// What its check is called.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Call => "call",
            Self::Link => "link",
            Self::Stream => "stream",
        }
    }

    pub(super) fn start<N>(self, fx: &mut Effects<Purpose, N>, relay: &BaseUrl) {
        let purpose = Purpose::Channel(self);
        match self {
            Self::Poll | Self::Call => {
                let ids = (EnvironmentId::new(NOTHING), WorkId::new(NOTHING));
                let (Ok(environment), Ok(work)) = ids else { return };
                let request = if self == Self::Poll {
                    worker_api::try_poll(relay, &environment)
                } else {
                    worker_api::try_call(relay, &environment, &work)
                };
                fx.start(purpose, |op| Action::Request { op, request });
            }
            Self::Stream => {
                let Ok(session) = SessionId::new(NOTHING) else { return };
                let request = worker_api::try_stream(relay, &session);
                fx.start(purpose, |op| Action::Request { op, request });
            }
            Self::Link => {
                let Ok(session) = SessionId::new(NOTHING) else { return };
                let target = Target::WebSocket {
                    url: relay.session_ingress(&session),
                    headers: alloc::vec![(link_v1::AGENT_RUN_HEADER, Secret::from(NOTHING))],
                    protocol: Some(link_v1::PROTOCOL),
                    timeout: CONNECT_TIMEOUT,
                    max_message: MAX_MESSAGE_BYTES,
                };
                fx.start(purpose, |op| Action::Open { op, target });
            }
        }
    }

    /// What the answer says about it.
    pub(super) fn finding(self, event: Event) -> Finding {
        let error = match event {
            Event::Response { response, .. } | Event::Refused { response, .. } => {
                RequestError::of(&response)
            }
            Event::Failed { failure, .. } => RequestError::Broken(failure),
            // Nothing that does not exist answers; what does is not a relay.
            _ => return failed(format!("{} is answered by no relay", self.in_words())),
        };
        match error.refusal() {
            Some(refusal) if self == Self::Link && refusal.status == 426 => Finding::no_upgrade(),
            Some(refusal) if refusal.class() == ErrorClass::Retryable => {
                Finding::Skipped(format!("the relay cannot tell now: {refusal}"))
            }
            Some(refusal) if self == Self::Stream && refusal.kind == ErrorType::NotFound => {
                Finding::Skipped(format!("the relay does not speak version 2; {AS_VERSION_1}"))
            }
            Some(_) => Finding::Ok(format!("{} reaches the relay", self.in_words())),
            None if self == Self::Stream => Finding::Skipped(format!(
                "{} does not reach the relay, {AS_VERSION_1}: {error}",
                self.in_words()
            )),
            None => failed(format!("{} does not reach the relay: {error}", self.in_words())),
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Poll => "a request for work",
            Self::Call => "a request with a body",
            Self::Link => "a session's WebSocket",
            Self::Stream => "a session's stream of events",
        }
    }
}

impl Finding {
    /// No WebSocket gets through.
    pub(super) fn no_upgrade() -> Self {
        failed(NO_UPGRADE.to_string())
    }
}

fn failed(reason: String) -> Finding {
    Finding::Failed { kind: MachineErrorKind::GaveUp, reason }
}
