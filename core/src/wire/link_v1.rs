//! The control frames of a session's link, which travel alongside its lines (`relay/http.md`).

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write as _;

use bytes::Bytes;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::to_json;
use super::versions::tag_of;

/// The WebSocket subprotocol of the link.
pub const PROTOCOL: &str = "footbridge.link.v1";

/// The close code of a link replaced by a newer connection under the same lease. A worker that
/// still wants a link opens another: the newer one may be a handshake of its own that was delayed.
pub const CLOSE_REPLACED: u16 = 4408;

/// The close code of a link whose session was leased again: to another worker, or to the same one
/// under a newer fence.
pub const CLOSE_LEASE_LOST: u16 = 4409;

/// The close code of a link whose worker has been given more than the relay has ever sent: the relay was
/// set back to an older state, such as a backup.
pub const CLOSE_SET_BACK: u16 = 4410;

/// The handshake header in which a worker names the agent run it speaks for. Lines already handed
/// to another run are not given to this one.
pub const AGENT_RUN_HEADER: &str = "x-footbridge-agent-run";

/// One control frame: the content of a binary message on the link.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ControlFrame {
    /// The first frame from each side: all lines of the other side up to `received` are safe here,
    /// and this side still holds its own from `from` + 1 on.
    Resume {
        /// The last line of the other side that this side has.
        received: u64,
        /// The last of its own lines that this side no longer holds.
        from: u64,
        /// From the relay: how many lines it takes ahead of its acks, if that is more than
        /// [`LINK_WINDOW_LINES`](crate::base::limits::LINK_WINDOW_LINES).
        #[serde(skip_serializing_if = "Option::is_none")]
        window: Option<u64>,
    },
    /// All lines of the other side up to `received` are safe.
    Ack {
        /// The last line of the other side that this side has.
        received: u64,
    },
    /// From the worker: all lines of the relay up to `received` have arrived, and those that were
    /// not acknowledged are still waiting for the agent.
    Held {
        /// The last line that has arrived.
        received: u64,
    },
    /// A message from the worker itself, for the log. It is numbered like a line.
    Report {
        /// The message.
        message: Box<RawValue>,
    },
    /// From the relay, before its lines: what a client has declared to an earlier run of the agent, as
    /// a line for the agent (M-6). It is not numbered.
    Declared {
        /// An `initialize`.
        message: Box<RawValue>,
    },
    /// From the relay: end the session.
    Stop,
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// A frame from a later version, to be ignored.
    Unknown,
}

impl ControlFrame {
    /// As the content of a binary message.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Ack { received } => counted("ack", *received),
            Self::Held { received } => counted("held", *received),
            _ => to_json(self),
        }
    }

    /// From the content of a binary message.
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlFrameError> {
        #[derive(Deserialize)]
        struct Resume {
            received: u64,
            from: u64,
            window: Option<u64>,
        }
        #[derive(Deserialize)]
        struct Ack {
            received: u64,
        }
        #[derive(Deserialize)]
        struct Report {
            message: Box<RawValue>,
        }
        Ok(match &*tag_of(bytes).map_err(|_| ControlFrameError)? {
            "resume" => {
                let Resume { received, from, window } =
                    serde_json::from_slice(bytes).map_err(|_| ControlFrameError)?;
                Self::Resume { received, from, window }
            }
            "ack" => {
                let Ack { received } =
                    serde_json::from_slice(bytes).map_err(|_| ControlFrameError)?;
                Self::Ack { received }
            }
            "held" => {
                let Ack { received } =
                    serde_json::from_slice(bytes).map_err(|_| ControlFrameError)?;
                Self::Held { received }
            }
            "report" => {
                let Report { message } =
                    serde_json::from_slice(bytes).map_err(|_| ControlFrameError)?;
                Self::Report { message }
            }
            "declared" => {
                let Report { message } =
                    serde_json::from_slice(bytes).map_err(|_| ControlFrameError)?;
                Self::Declared { message }
            }
            "stop" => Self::Stop,
            "ping" => Self::Ping,
            "pong" => Self::Pong,
            _ => Self::Unknown,
        })
    }
}

/// A frame that only counts. One goes with every message, so it takes memory only once.
fn counted(kind: &str, received: u64) -> Bytes {
    let digits = received.checked_ilog10().map_or(1, |log| log as usize + 1);
    let around = r#"{"type":"","received":}"#.len();
    let mut frame = String::with_capacity(around + kind.len() + digits);
    // Writing into a text does not fail.
    let _ = write!(frame, r#"{{"type":"{kind}","received":{received}}}"#);
    Bytes::from(frame)
}

impl<'de> Deserialize<'de> for ControlFrame {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get().as_bytes()).map_err(D::Error::custom)
    }
}

/// A binary message that is not a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a binary message of the link is not one of its words")]
pub struct ControlFrameError;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::format;

    #[test]
    fn words_come_back_as_they_were() {
        let raw = RawValue::from_string(r#"{"type": "footbridge"}"#.to_owned()).expect("JSON");
        let words = [
            ControlFrame::Resume { received: 3, from: 1, window: None },
            ControlFrame::Resume { received: 3, from: 1, window: Some(7) },
            ControlFrame::Ack { received: u64::MAX },
            ControlFrame::Held { received: 7 },
            ControlFrame::Report { message: raw.clone() },
            ControlFrame::Declared { message: raw },
            ControlFrame::Stop,
            ControlFrame::Ping,
            ControlFrame::Pong,
        ];
        for word in words {
            let again = ControlFrame::parse(&word.to_bytes()).expect("a word");
            assert_eq!(format!("{again:?}"), format!("{word:?}"));
        }
    }

    #[test]
    fn a_later_word_is_ignored_and_a_broken_one_is_an_error() {
        assert!(matches!(
            ControlFrame::parse(br#"{"type":"later","x":1}"#),
            Ok(ControlFrame::Unknown)
        ));
        for bad in
            [&b""[..], b"ack", b"{}", br#"{"type":"ack"}"#, br#"{"type":"ack","received":-1}"#]
        {
            assert_eq!(ControlFrame::parse(bad).err(), Some(ControlFrameError));
        }
    }
}
