//! Unanswered requests, and how many connections they and their streams take up.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use core::net::IpAddr;

use crate::base::id::OpId;
use crate::base::text::is_hidden;
use crate::contract::action::Method;
use crate::wire::audit::{Actor, ActorKind};

/// Requests, from arrival to answer.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    waiting: BTreeMap<OpId, Exchange>,
    /// Waiting requests, plus the streams that others became.
    serving: usize,
}

/// What an access log records about a request.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) method: Method,
    /// The beginning of its path, without its query.
    pub(super) path: String,
    pub(super) client: IpAddr,
    /// What its client has shown, and which of a person's browsers or devices it is.
    by: Option<(ActorKind, Option<String>)>,
}

/// Longest path in an access log, in characters.
const MAX_LOGGED_PATH: usize = 200;

impl Exchanges {
    pub(super) fn arrived(&mut self, op: OpId, method: Method, path: &str, client: IpAddr) {
        let path = path.chars().filter(|c| !is_hidden(*c)).take(MAX_LOGGED_PATH).collect();
        self.waiting.insert(op, Exchange { method, path, client, by: None });
        self.serving += 1;
    }

    /// Who makes a request of which something is written down (Y-9).
    pub(super) fn acts(&mut self, op: OpId, kind: ActorKind, id: Option<String>) {
        if let Some(exchange) = self.waiting.get_mut(&op) {
            exchange.by = Some((kind, id));
        }
    }

    /// Gives whoever makes a request the id that they have from now on.
    pub(super) fn names(&mut self, op: OpId, id: &str) {
        let exchange = self.waiting.get_mut(&op);
        if let Some((_, known)) = exchange.and_then(|exchange| exchange.by.as_mut()) {
            *known = Some(String::from(id));
        }
    }

    pub(super) fn actor(&self, op: OpId) -> Option<Box<Actor>> {
        let Exchange { by, client, .. } = self.waiting.get(&op)?;
        let (kind, id) = by.clone()?;
        Some(Box::new(Actor { kind, id, address: client.to_string() }))
    }

    /// The address of a client that is still waiting for its answer.
    pub(super) fn client(&self, op: OpId) -> Option<IpAddr> {
        self.waiting.get(&op).map(|exchange| exchange.client)
    }

    /// Whether a client is still waiting for its answer.
    pub(super) fn is_waiting(&self, op: OpId) -> bool {
        self.waiting.contains_key(&op)
    }

    /// Takes an exchange that is now answered.
    pub(super) fn answered(&mut self, op: OpId) -> Option<Exchange> {
        let exchange = self.waiting.remove(&op)?;
        self.over();
        Some(exchange)
    }

    /// Takes an exchange that becomes a stream, which still counts as being served.
    pub(super) fn upgraded(&mut self, op: OpId) -> Option<Exchange> {
        self.waiting.remove(&op)
    }

    /// A client left before being answered.
    pub(super) fn abandoned(&mut self, op: OpId) {
        if self.waiting.remove(&op).is_some() {
            self.over();
        }
    }

    /// One being served is over: an exchange, or the stream it became.
    pub(super) fn over(&mut self) {
        debug_assert!(self.serving > 0, "more ended than began");
        self.serving = self.serving.saturating_sub(1);
    }

    /// How many are being served.
    pub(super) const fn serving(&self) -> usize {
        self.serving
    }
}
