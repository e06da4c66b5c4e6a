//! The client of a served agent that answers its hooks and MCP servers (M-6).
//!
//! There is one: the client that has declared any, as long as no other one does so in its absence. What
//! it has declared stays with the agent, which asks on; so whoever is asked and is gone is refused.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use super::audience::ClientKey;
use crate::base::limits::CALLBACK_TIME_LIMIT;
use crate::base::text::Text;
use crate::wire::callback::{self, Declaration, holds_something};

/// Why questions are refused whose client has been replaced.
const REPLACED: &str = "another client answers hooks and MCP servers now";
/// The same, if there is no other.
const TAKEN_BACK: &str = "the client that answered has taken its hooks and MCP servers back";
/// Why somebody may not declare any.
const TAKEN: &str = "another client that is connected answers this agent: leave hooks and MCP servers out, or end that client first";

/// Whether clients may declare hooks and MCP servers of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Callbacks {
    Answered,
    /// They may not, and this is why.
    Refused(&'static str),
}

/// Whether a client can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Connected,
    /// It may come back.
    Away,
    Gone,
}

/// Who is asked, if anybody is.
#[derive(Debug)]
pub(crate) struct Answerer {
    callbacks: Callbacks,
    client: Option<(ClientKey, Presence)>,
    has_hooks: bool,
    has_servers: bool,
    /// The time limits that hooks have stated, by the id of their callback.
    limits: BTreeMap<String, Duration>,
}

impl Answerer {
    pub(crate) const fn new(callbacks: Callbacks) -> Self {
        Self {
            callbacks,
            client: None,
            has_hooks: false,
            has_servers: false,
            limits: BTreeMap::new(),
        }
    }

    /// Whom the agent asks. One that is gone for good is not waited for.
    pub(crate) fn asked(&self) -> Option<ClientKey> {
        let (client, presence) = self.client?;
        (presence != Presence::Gone).then_some(client)
    }

    /// Whether this client may declare this.
    pub(crate) fn check(
        &self,
        client: ClientKey,
        declaration: &Declaration,
    ) -> Result<(), &'static str> {
        match (self.callbacks, self.client) {
            (Callbacks::Refused(why), _) if declaration.asks() => Err(why),
            (_, Some((other, Presence::Connected))) if other != client => Err(TAKEN),
            _ => Ok(()),
        }
    }

    /// The agent is told what a client has declared. Returns why it can no longer be asked what the
    /// agent has asked before, if that is so.
    pub(crate) fn declare(
        &mut self,
        client: ClientKey,
        declaration: &Declaration,
        line: &Text,
    ) -> Option<&'static str> {
        if self.client.is_none() && !declaration.asks() {
            return None;
        }
        let before = self.client.replace((client, Presence::Connected));
        if let Some(hooks) = &declaration.hooks {
            self.has_hooks = holds_something(hooks.as_str());
        }
        if let Some(limits) = callback::time_limits(line.as_str()) {
            self.limits = limits;
        }
        self.has_servers |= declaration.servers.is_some() || declaration.sets_servers;
        if !self.has_hooks && !self.has_servers {
            self.client = None;
            return Some(TAKEN_BACK);
        }
        before.is_some_and(|(other, _)| other != client).then_some(REPLACED)
    }

    /// How long it may take to answer this.
    pub(crate) fn limit_of(&self, line: &Text) -> Duration {
        let id = callback::callback_id(line.as_str());
        let stated = id.and_then(|id| self.limits.get(&id));
        stated.copied().unwrap_or(CALLBACK_TIME_LIMIT)
    }

    /// A client is connected again.
    pub(crate) fn came(&mut self, client: ClientKey) {
        self.note(client, Presence::Connected);
    }

    /// A client is no longer connected. Returns whether the agent cannot ask it any more.
    pub(crate) fn left(&mut self, client: ClientKey, may_return: bool) -> bool {
        self.note(client, if may_return { Presence::Away } else { Presence::Gone });
        self.client == Some((client, Presence::Gone))
    }

    fn note(&mut self, client: ClientKey, presence: Presence) {
        if let Some((asked, known)) = &mut self.client
            && *asked == client
        {
            *known = presence;
        }
    }
}
