//! What a program asks of its bridge, and what it is told.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::config::Init;
use super::handle::{Handle, NotSigned};
use super::state::Snapshot;
use crate::base::id::SessionId;
use crate::base::text::Text;
use crate::contract::event::ExitStatus;
use crate::peer::envelope::Envelope;
use crate::wire::message::{Head, Kind};

/// What a program asks of its bridge.
#[derive(Clone, Debug, PartialEq)]
pub enum BridgeCommand {
    /// Passes on a line of the conversation: any message, a question (`control_request`), its
    /// withdrawal (`control_cancel_request`), or the answer to a viewer's request.
    Publish(Text),
    /// What was said before: it is passed on first, and once for each session.
    History(Vec<Text>),
    /// So many of the oldest [incoming lines](BridgeNotice::Incoming) are in safe hands. Until then the
    /// relay does not count them as delivered.
    Taken {
        /// How many.
        lines: usize,
    },
    /// What is true of the program from now on; viewers are told.
    Init(Box<Init>),
    /// Whether messages from other sessions can reach the program now: without it nothing is signed.
    Reachable(bool),
    /// Writes the sender of a message to another session: who that is, is decided now.
    Sign {
        /// Whom the sender was bound to when it was decided to send.
        handle: Handle,
        /// Where it goes.
        to: String,
        /// The message's own id.
        message_id: String,
        /// What it says.
        body: String,
    },
    /// Ends the bridge, as its [`Teardown`](super::Teardown) says: a session that ends with it has
    /// completed.
    Teardown,
    /// The same, and what the session was about has ended like this.
    Over(ExitStatus),
    /// Ends it perpetually, whatever was configured: the session stays for the next run.
    Leave,
    /// Ends it without waiting for anything.
    TeardownNow,
}

/// What a program is told.
#[derive(Clone, Debug, PartialEq)]
pub enum BridgeNotice {
    /// Something about the bridge has changed (B-6).
    Snapshot(Box<Snapshot>),
    /// A mirror has started (B-3): [`MIRROR_INITIALIZED`](super::MIRROR_INITIALIZED).
    MirrorInitialized,
    /// The program's handle: it replaces whatever handle there was (B-5, I-2).
    Bound(Handle),
    /// A viewer has said something. It comes once, in order, and has to be [taken](BridgeCommand::Taken).
    Incoming(Incoming),
    /// The session has another id than before (I-2).
    SessionChanged {
        /// What it was called.
        before: SessionId,
        /// What it is called now.
        now: SessionId,
        /// So many of the oldest lines of the conversation are not there.
        lines_missing: u64,
    },
    /// The relay is behind: the program is to publish nothing more for now, or may again.
    Behind(bool),
    /// The program has published on and on although it was asked to pause: this was not taken.
    NotPublished(Text),
    /// A message to another session may leave.
    Signed(Envelope),
    /// It may not.
    NotSigned {
        /// The message's own id.
        message_id: String,
        /// Why.
        why: NotSigned,
    },
    /// The session is over at the relay, and nobody there follows the program any more.
    SessionEnded {
        /// Why.
        reason: String,
    },
}

/// A line of a viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What it is.
    pub what: What,
    /// As it came.
    pub line: Text,
}

/// What a viewer's line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It says something.
    Message,
    /// It asks for something, such as an interrupt or another model, and waits for the answer.
    Request {
        /// Its id, which the answer repeats.
        request_id: String,
        /// What for.
        subtype: String,
    },
    /// It takes such a request back.
    Withdrawal {
        /// Which one.
        request_id: String,
    },
    /// It answers a question of the program. There is one such line for each question.
    Answer {
        /// The question's id.
        request_id: String,
    },
    /// Something else, which is passed on unharmed (M-1).
    Other,
}

impl What {
    pub(super) fn of(head: &Head) -> Self {
        let id = || head.request_id.clone().unwrap_or_default().into_owned();
        match head.kind() {
            Kind::User => Self::Message,
            Kind::ControlRequest => {
                let subtype = head.subtype.clone().unwrap_or_default().into_owned();
                Self::Request { request_id: id(), subtype }
            }
            Kind::ControlResponse => Self::Answer { request_id: id() },
            Kind::ControlCancelRequest => Self::Withdrawal { request_id: id() },
            Kind::Other => Self::Other,
        }
    }
}
