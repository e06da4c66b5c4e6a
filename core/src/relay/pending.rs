//! Why the store was called, kept with each store operation until its answer comes.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::http::error::ApiError;
use super::oidc::call::SigningIn;
use super::subject::Need;
use crate::base::id::{DeviceId, EnvironmentId, OpId, PushId, SessionId};
use crate::base::time::Instant;
use crate::store::AccountId;
use crate::wire::device::Scopes;
use crate::wire::last_line::LastLine;
use crate::wire::viewer::AnswerLink;

/// What to do with the store's answer. `op` is the exchange or stream waiting for it.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// Sweep for anything that has expired.
    Sweep,
    /// Take back an item whose claim never reached its worker.
    ReturnWork,
    /// Read a session again, because its link has come up or gone down.
    Refresh { owner: AccountId, session: SessionId },
    /// Say that the store answers.
    Ready { op: OpId },
    /// Tell a person's browsers of something.
    Telling(Box<Need>),
    /// Tell a person's browsers of what waited while it was quiet.
    QuietOver(AccountId),
    /// Nothing: what was asked for need not be known.
    Forgotten,
    /// Nothing, unless it fails: an account was removed, and all that it has ends.
    EndAccount { owner: AccountId },
    /// Send a browser a message to see whether it arrives.
    PushTest { op: OpId, id: PushId, nonce: String },
    /// Refuse a request, unless its subject is unknown, which takes precedence.
    Refuse { op: OpId, refusal: ApiError },
    /// Tell a worker to end a session, although the store cannot keep that, if it is this person's.
    UnstoredStop { op: OpId, owner: AccountId },
    /// Nothing, unless it fails: that a session is to end is kept after all.
    StopAgain { session: SessionId },
    /// Answer a worker.
    WorkerCall { op: OpId, call: WorkerCall },
    /// Answer a poll, or hold it.
    Poll { op: OpId, claim: Claim },
    /// Open a stream of work.
    OpenWork { op: OpId, opening: Box<WorkOpening> },
    /// Put an item on a stream of work.
    Work { op: OpId },
    /// Answer a viewer.
    ViewerCall { op: OpId, call: ViewerCall },
    /// Open a link.
    Attach { op: OpId, attaching: Attaching },
    /// Continue with a link.
    Link { op: OpId, step: LinkStep },
    /// Open a stream of version 2.
    OpenStream { op: OpId, opening: Opening },
    /// Answer a call of version 2.
    Code { op: OpId, call: CodeCall, run: Option<String> },
    /// Open a subscription.
    Subscribe { op: OpId, subscribing: Subscribing },
    /// Send a page of the log to a viewer.
    Page { op: OpId },
    /// Send everything to an overview.
    Overview { op: OpId },
    /// Continue with a request whose device is still there.
    Device { op: OpId },
    /// Do what has been written down (Y-9).
    Noted { op: OpId, then: Noted },
    /// Answer a device about its tokens.
    Token { op: OpId, call: TokenCall },
}

/// What follows once it has been written down.
#[derive(Clone, Debug)]
pub(super) enum Noted {
    /// A browser signs in, which gets this id.
    SignIn { account: AccountId, browser: String },
    /// Somebody is given a code to sign in with.
    MakeCode { account: AccountId },
    /// The provider has said who somebody is.
    Oidc { account: AccountId, signing_in: Box<SigningIn> },
    /// A person has decided about a log-in.
    Decide { user_code: String, approver: Option<(AccountId, DeviceId)> },
}

/// What a device asks about its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenCall {
    /// For some.
    Tokens {
        /// If they are to allow less than they could.
        wanted: Option<Scopes>,
        /// They are its first.
        is_new: bool,
    },
    /// That they end.
    GiveBack,
}

impl Pending {
    /// Whether nobody knows who is waiting.
    pub(super) const fn is_strangers(&self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Refuse { .. } | Self::Token { .. })
    }

    /// The exchange or stream waiting for the answer.
    pub(super) const fn waiting(&self) -> Option<OpId> {
        match self {
            Self::Sweep
            | Self::ReturnWork
            | Self::Refresh { .. }
            | Self::Telling(_)
            | Self::QuietOver(_)
            | Self::EndAccount { .. }
            | Self::StopAgain { .. }
            | Self::Forgotten => None,
            Self::Ready { op }
            | Self::UnstoredStop { op, .. }
            | Self::Refuse { op, .. }
            | Self::PushTest { op, .. }
            | Self::WorkerCall { op, .. }
            | Self::Poll { op, .. }
            | Self::OpenWork { op, .. }
            | Self::Work { op }
            | Self::ViewerCall { op, .. }
            | Self::Attach { op, .. }
            | Self::Link { op, .. }
            | Self::OpenStream { op, .. }
            | Self::Code { op, .. }
            | Self::Subscribe { op, .. }
            | Self::Page { op }
            | Self::Device { op }
            | Self::Token { op, .. }
            | Self::Noted { op, .. }
            | Self::Overview { op } => Some(*op),
        }
    }
}

/// A worker's call, other than a poll.
#[derive(Clone, Copy, Debug)]
pub(super) enum WorkerCall {
    Register,
    Deregister,
    Ack,
    Heartbeat,
    StopWork,
    NoteWorktree,
    Drain,
    Redispatch,
}

/// A viewer's call.
#[derive(Clone, Debug)]
pub(super) enum ViewerCall {
    Environments,
    Environment {
        status: u16,
    },
    Sessions,
    Session {
        status: u16,
    },
    SessionDeleted,
    /// That this person's session ends.
    Stop {
        owner: AccountId,
        session: SessionId,
    },
    Post(Vec<MessageName>),
    Interrupt {
        request_id: String,
    },
    /// A link that answers a question, once it is kept.
    AnswerLink(Box<AnswerLink>),
    /// What a link is about.
    Linked,
    /// An answer to the agent, of a person or of a client.
    Answer,
    Receipts,
    Receipt,
    Events,
    Devices,
    Revoked,
    Trusted,
    Audit,
    Pushes,
    Push,
    PushRemoved,
}

/// The ids of a message that a viewer posted.
#[derive(Clone, Debug)]
pub(super) struct MessageName {
    pub(super) uuid: Option<String>,
    pub(super) request_id: Option<String>,
}

/// What a poll asks for.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) environment: EnvironmentId,
    pub(super) key: Option<String>,
    /// When to answer it even if there is no work.
    pub(super) until: Instant,
    /// Where the worker reaches this relay.
    pub(super) base_url: Option<String>,
}

/// A link that a worker wants to open.
#[derive(Clone, Debug)]
pub(super) struct Attaching {
    pub(super) session: SessionId,
    pub(super) environment: EnvironmentId,
    pub(super) fence: u64,
    pub(super) framing: Framing,
    /// The last line that the agent was given, as the worker says.
    pub(super) last: Option<LastLine>,
}

/// A stream of work that a worker wants to open.
#[derive(Clone, Debug)]
pub(super) struct WorkOpening {
    /// Its key is that of all items on it.
    pub(super) claim: Claim,
    /// The number of the last item that the worker has.
    pub(super) after: u64,
    /// How many more it takes.
    pub(super) room: u64,
}

/// A stream of version 2 that a worker wants to open.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) session: SessionId,
    pub(super) epoch: u64,
    pub(super) acks: Acks,
    /// The run of the agent that it is for.
    pub(super) run: Option<String>,
}

/// Whether the worker says how far the lines for its agent have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acks {
    Given,
    /// What has left for it counts as arrived, once enough more has left.
    Missing,
}

/// A call of version 2.
#[derive(Clone, Debug)]
pub(super) enum CodeCall {
    Create,
    Bridge(Bridging),
    /// How far the lines for the agent of this session have come, under this epoch: what goes with it
    /// is answered.
    Progress(SessionId, u64),
    Batch,
    Worker,
}

/// Credentials of version 2 that somebody asks for.
#[derive(Clone, Debug)]
pub(super) struct Bridging {
    pub(super) session: SessionId,
    /// Whether it is an item of an environment's.
    pub(super) has_item: bool,
    pub(super) acks: Acks,
    /// The run of the agent that they are for.
    pub(super) run: Option<String>,
    /// Where the worker reaches this relay.
    pub(super) base_url: Option<String>,
}

/// What a link carries besides its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// The control frames of `footbridge.link.v1`.
    LinkV1,
    /// Nothing: it is plain NDJSON (S-2).
    Ndjson,
    /// It is a stream of events (C-2): what comes from the worker comes by other requests.
    Events(Acks),
}

/// What a link waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum LinkStep {
    Resume,
    Append { bytes: usize },
    AckInbound,
    ReadInbound,
}

/// A subscription that a viewer wants to open.
#[derive(Clone, Debug)]
pub(super) struct Subscribing {
    pub(super) session: SessionId,
    pub(super) owner: AccountId,
    pub(super) after: u64,
    /// How often it wants to be sent something.
    pub(super) alive_every: Duration,
    /// The id of the client, if it says so.
    pub(super) client: Option<String>,
    pub(super) protocol: Option<&'static str>,
}
