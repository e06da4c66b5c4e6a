//! The network: connections with latency, ordering and limited capacity, and everything that can
//! happen to one.
//!
//! ```text
//!  client                                                   server
//!  Request, Open ──▶ Ask ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─▶ backlog ──▶ Asked
//!  Response, Refused ◀─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ Answer ◀── Reply
//!  Opened ◀─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ Upgraded ◀── Upgrade
//!  Send ──▶ lane: waiting ──▶ in flight (credit) ─ ─ ─ ─▶ held, while paused ──▶ Received
//! ```

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::action::{Answer, Message, Response};
use footbridge_core::contract::event::IncomingRequest;

use crate::ids::{Address, End, HostId, PartyId};
use crate::nodes::knock::Manners;
use crate::sim::clock::Time;
use crate::sim::network::credential::bearer;

/// Bytes that a connection accepts before its sender has to wait.
pub(crate) const CREDIT: usize = 64 << 10;

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) client: Option<Address>,
    pub(crate) server: Option<Address>,
    /// The client's host, whose cable it goes through.
    pub(crate) host: HostId,
    /// The party it leads to.
    pub(crate) to: PartyId,
    pub(crate) kind: ConnKind,
    /// Where it comes from.
    pub(crate) peer: IpAddr,
    pub(crate) manners: Manners,
    /// The client's request, until somebody accepts it.
    pub(crate) asked: Option<IncomingRequest>,
    /// The body of that request, until the server reads it.
    pub(crate) unread: Option<Bytes>,
    /// Whatever is sent on it from now on disappears, and neither side is told.
    pub(crate) is_swallowed: bool,
    /// Something on the way keeps what comes back until it ends.
    pub(crate) is_collected: bool,
    /// Something has been sent on it since: a system will notice that nobody acknowledges it.
    pub(crate) is_doomed: bool,
    /// The response gets lost after its request took effect.
    pub(crate) loses_answer: bool,
    pub(crate) up: Lane,
    pub(crate) down: Lane,
    /// The body of a streamed response, once it has begun.
    pub(crate) body: Option<Body>,
    /// The largest message that the server accepts, once it is a stream.
    pub(crate) server_max: usize,
    /// The method and the path, for the trace.
    pub(crate) label: String,
    /// When something from the client last reached the server.
    pub(crate) heard_at: Time,
    /// The credential of a call of version 2.
    pub(crate) bearer: Option<String>,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnKind {
    Http { answer: Answer },
    WebSocket { protocol: Option<&'static str>, max_message: usize },
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// What the sender has sent and what does not fit yet.
    pub(crate) waiting: VecDeque<Parcel>,
    pub(crate) waiting_bytes: usize,
    /// Bytes in flight or held.
    pub(crate) credit_used: usize,
    /// Nothing arrives before what was sent before it.
    pub(crate) last_arrival: Time,
    /// The receiver is not reading for now.
    pub(crate) is_paused: bool,
    /// What has arrived but was not read.
    pub(crate) held: VecDeque<Parcel>,
    /// The sender has ended it.
    pub(crate) is_closed: bool,
}

/// A body in transit.
#[derive(Debug)]
pub(crate) struct Body {
    /// How long the server waits for its client to read on.
    pub(super) write_timeout: Duration,
    /// Pieces that the server has sent.
    pub(super) sent: u64,
    /// Grows whenever the client's time limit starts over.
    pub(super) received: u64,
    pub(super) is_write_timed: bool,
    pub(super) is_idle_timed: bool,
    /// What has arrived so far, for a client that wants the complete response.
    pub(super) whole: Option<Response>,
}

/// What travels on a stream.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    Message(Message),
    Close(u16),
}

impl Parcel {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len() + 8,
            Self::Close(_) => 8,
        }
    }
}

impl Conn {
    /// One on which its client has just asked for something.
    pub(crate) fn new(
        host: HostId,
        to: PartyId,
        kind: ConnKind,
        asked: IncomingRequest,
        label: String,
        heard_at: Time,
    ) -> Self {
        let is_code = label.contains("/code/sessions/");
        let bearer = bearer(&asked.headers).filter(|_| is_code).map(str::to_owned);
        Self {
            client: None,
            server: None,
            host,
            to,
            kind,
            peer: asked.peer,
            manners: Manners::Good,
            asked: Some(asked),
            unread: None,
            is_swallowed: false,
            is_collected: false,
            is_doomed: false,
            loses_answer: false,
            up: Lane::default(),
            down: Lane::default(),
            body: None,
            server_max: usize::MAX,
            label,
            heard_at,
            bearer,
        }
    }

    pub(crate) fn lane(&mut self, towards: End) -> &mut Lane {
        match towards {
            End::Server => &mut self.up,
            End::Client => &mut self.down,
        }
    }

    pub(crate) const fn end(&self, end: End) -> Option<Address> {
        match end {
            End::Client => self.client,
            End::Server => self.server,
        }
    }

    pub(crate) const fn end_mut(&mut self, end: End) -> &mut Option<Address> {
        match end {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        }
    }

    pub(crate) const fn max_message(&self, end: End) -> usize {
        match (end, self.kind) {
            (End::Client, ConnKind::WebSocket { max_message, .. }) => max_message,
            _ => self.server_max,
        }
    }
}
