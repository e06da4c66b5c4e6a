//! `footbridge attach --json`: notices out and commands in, one JSON object a line.

use std::io;
use std::sync::mpsc;

use footbridge_cli::exit::Error;
use footbridge_core::base::text::Text;
use footbridge_core::remote::{
    Asked, RemoteCommand, RemoteConfig, RemoteEvent, RemoteNotice, Sent, Withdrawal,
};
use footbridge_core::wire::viewer::{
    EventView, PermissionPost, Receipts, SessionFrame, SessionView,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::{Place, follow};
use crate::program::pressed::Presses;
use crate::program::printed::Printed;
use crate::program::typed::{self, Typed};

/// Commands that may be under way before more of standard input is read.
const UNDER_WAY: usize = 64;

/// A line of output.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Connected,
    Disconnected {
        reason: &'a str,
    },
    Reconnecting {
        reason: &'a str,
        retry_in_ms: u128,
    },
    Session {
        session: &'a SessionView<'static>,
    },
    Gap {
        after: u64,
        resumes_after: u64,
    },
    Live {
        seq: u64,
    },
    PermissionAsked {
        request_id: &'a str,
        seq: u64,
        tool_use_id: Option<&'a str>,
        tool_name: &'a str,
    },
    PermissionWithdrawn {
        request_id: &'a str,
        seq: u64,
        tool_use_id: Option<&'a str>,
        answered: bool,
        reason: &'a str,
    },
    CallbackAsked {
        request_id: &'a str,
        seq: u64,
    },
    CallbackWithdrawn {
        request_id: &'a str,
        reason: &'a str,
    },
    Receipts {
        receipts: &'a Receipts,
    },
    Accepted {
        #[serde(flatten)]
        what: What<'a>,
        seq: u64,
    },
    Refused {
        #[serde(flatten)]
        what: What<'a>,
        status: Option<u16>,
        reason: &'a str,
    },
    Unsent {
        #[serde(flatten)]
        what: What<'a>,
    },
    CredentialUnsaved {
        reason: &'a str,
    },
    AgentStderr {
        text: &'a str,
    },
    AgentFailed {
        how: String,
    },
}

/// What was sent.
#[derive(Serialize)]
struct What<'a> {
    what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

impl<'a> What<'a> {
    fn of(sent: &'a Sent) -> Self {
        let (what, uuid, request_id) = match sent {
            Sent::Message { uuid, request_id } => {
                ("message", Some(uuid.as_str()), request_id.as_deref())
            }
            Sent::Answer { request_id } => ("answer", None, Some(request_id.as_str())),
            Sent::Callback { request_id } => ("callback", None, Some(request_id.as_str())),
            Sent::Interrupt { request_id } => ("interrupt", None, Some(request_id.as_str())),
            Sent::Stop => ("stop", None, None),
            Sent::Unreadable => ("unreadable", None, None),
        };
        Self { what, uuid, request_id }
    }
}

/// A notice as a line.
fn line(notice: &RemoteNotice) -> String {
    let line = match notice {
        RemoteNotice::Event(RemoteEvent { seq, at, from, message }) => {
            let view = EventView { seq: *seq, at: *at, from: *from, message: message.as_str() };
            return SessionFrame::event(&view).as_str().to_owned();
        }
        RemoteNotice::Connected => Line::Connected,
        RemoteNotice::Disconnected { reason } => Line::Disconnected { reason },
        RemoteNotice::Reconnecting { reason, retry_in } => {
            Line::Reconnecting { reason, retry_in_ms: retry_in.as_millis() }
        }
        RemoteNotice::Session(session) => Line::Session { session },
        RemoteNotice::Gap { after, resumes_after } => {
            Line::Gap { after: *after, resumes_after: *resumes_after }
        }
        RemoteNotice::Live { seq } => Line::Live { seq: *seq },
        RemoteNotice::PermissionAsked(Asked {
            request_id, seq, tool_use_id, tool_name, ..
        }) => {
            let tool_use_id = tool_use_id.as_deref();
            Line::PermissionAsked { request_id, seq: *seq, tool_use_id, tool_name }
        }
        RemoteNotice::PermissionWithdrawn { request_id, seq, tool_use_id, why } => {
            let (answered, reason) = match why {
                Withdrawal::Answered => (true, "somebody else has answered it"),
                Withdrawal::Withdrawn { reason } => (false, reason.as_str()),
            };
            let tool_use_id = tool_use_id.as_deref();
            Line::PermissionWithdrawn { request_id, seq: *seq, tool_use_id, answered, reason }
        }
        RemoteNotice::CallbackAsked { request_id, seq, .. } => {
            Line::CallbackAsked { request_id, seq: *seq }
        }
        RemoteNotice::CallbackWithdrawn { request_id, reason } => {
            Line::CallbackWithdrawn { request_id, reason }
        }
        RemoteNotice::Receipts(receipts) => Line::Receipts { receipts },
        RemoteNotice::Accepted { sent, seq } => Line::Accepted { what: What::of(sent), seq: *seq },
        RemoteNotice::Refused { sent, status, reason } => {
            Line::Refused { what: What::of(sent), status: *status, reason }
        }
        RemoteNotice::Unsent(sent) => Line::Unsent { what: What::of(sent) },
        RemoteNotice::CredentialUnsaved { reason } => Line::CredentialUnsaved { reason },
        RemoteNotice::AgentStderr { text } => Line::AgentStderr { text },
        RemoteNotice::AgentFailed { status } => Line::AgentFailed { how: status.to_string() },
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// Reads a command.
fn command(line: &str) -> Result<RemoteCommand, String> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: std::borrow::Cow<'a, str>,
    }
    #[derive(Deserialize)]
    struct Say {
        text: String,
    }
    #[derive(Deserialize)]
    struct Send<'a> {
        #[serde(borrow)]
        message: &'a RawValue,
    }
    let wrong = |error: serde_json::Error| error.to_string();
    let Typed { r#type } = serde_json::from_str(line).map_err(wrong)?;
    Ok(match &*r#type {
        "say" => {
            let Say { text } = serde_json::from_str(line).map_err(wrong)?;
            RemoteCommand::Send(said(&text))
        }
        "send" => {
            let Send { message } = serde_json::from_str(line).map_err(wrong)?;
            RemoteCommand::Send(Text::from(message.get().to_owned()))
        }
        "answer" => {
            let mut answer: PermissionPost = serde_json::from_str(line).map_err(wrong)?;
            answer.further.remove("type");
            RemoteCommand::Answer(answer)
        }
        "interrupt" => RemoteCommand::Interrupt,
        "stop" => RemoteCommand::Stop,
        "disconnect" => RemoteCommand::Disconnect,
        "user" | "control_request" => RemoteCommand::Send(Text::from(line.to_owned())),
        other => return Err(format!("unknown command {other:?}; see footbridge attach --help")),
    })
}

/// What a person says, as a message.
pub(in crate::program) fn said(text: &str) -> Text {
    let message = json!({"type": "user", "message": {"role": "user", "content": text}});
    Text::from(message.to_string())
}

pub(super) fn run(place: &Place, config: RemoteConfig) -> Result<(), Error> {
    let (commands, asked) = async_channel::unbounded();
    let (permits, taken) = mpsc::sync_channel::<()>(UNDER_WAY);
    let input = commands.clone();
    std::thread::spawn(move || read(&input, &permits));
    let leave = commands.clone();
    let presses = Presses::listen()?;
    let signals = presses.forward(|_| drop(leave.try_send(RemoteCommand::Disconnect)));
    let mut printed = Printed::default();
    follow(place, config, asked, signals, |notice| {
        use RemoteNotice::{Accepted, Refused, Unsent};
        if matches!(notice, Accepted { .. } | Refused { .. } | Unsent(_)) {
            let _ = taken.try_recv();
        }
        if !printed.print(&(line(&notice) + "\n")) {
            let _ = commands.try_send(RemoteCommand::Disconnect);
        }
    })?;
    printed.outcome()
}

/// Passes on the commands of standard input, no more at once than are taken.
fn read(commands: &async_channel::Sender<RemoteCommand>, permits: &mpsc::SyncSender<()>) {
    typed::read(io::stdin().lock(), |typed| {
        let read = match typed {
            Typed::Line(line) => command(&line),
            Typed::Unreadable(why) => Err(why),
        };
        match read {
            Ok(RemoteCommand::Disconnect) => commands.try_send(RemoteCommand::Disconnect).is_ok(),
            Ok(command) => permits.send(()).is_ok() && commands.try_send(command).is_ok(),
            Err(reason) => {
                let what = What::of(&Sent::Unreadable);
                let refused = Line::Refused { what, status: None, reason: &reason };
                // What cannot be written is noticed where notices are.
                let refused = serde_json::to_string(&refused).unwrap_or_default();
                Printed::default().print(&(refused + "\n"))
            }
        }
    });
}
