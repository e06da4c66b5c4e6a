//! Who sends, looked up at the moment of sending: when somebody was asked whether it may be sent, the
//! session may have had another address, and it may be gone by now. No message leaves without a true `from`.

use alloc::format;
use alloc::string::{String, ToString};

use super::address::Address;
use super::envelope::{Envelope, PERSON};
use super::registry::{Entry, Record};
use crate::base::id::SessionId;
use crate::contract::event::Event;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handle {
    /// A person, at a terminal that is no session's.
    Person,
    /// A session, as its host's record has it.
    Session {
        /// The record's file.
        record: String,
        /// The session's id.
        session: SessionId,
    },
}

/// A message whose sender is not written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// The address, as it was given.
    pub to: String,
    /// What to say.
    pub body: String,
    /// The message's own id.
    pub message_id: String,
    /// Who sends.
    pub handle: Handle,
}

impl Unsigned {
    /// With its sender; the error says what is wrong with it.
    pub(crate) fn signed(&self, from: String) -> Result<Envelope, String> {
        let Self { to, body, message_id, .. } = self;
        let (to, message_id, body) = (to.clone(), message_id.clone(), body.clone());
        let envelope = Envelope { from, to, message_id, body };
        envelope.check()?;
        Ok(envelope)
    }
}

/// From where an answer has to be able to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// From this machine.
    Machine,
    /// From any: by the relay.
    Relay,
}

/// What a look-up comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This file has to be read first.
    Load(String),
    /// The address that it is.
    Sender(String),
    /// Nobody, and why.
    Nobody(&'static str),
}

/// Looks a handle up, by its host's record and then its host's process.
#[derive(Debug)]
pub(crate) struct Sender {
    handle: Handle,
    reach: Reach,
    /// Its host's record, until the process is known to run.
    record: Option<Record>,
}

impl Sender {
    pub(crate) const fn new(handle: Handle, reach: Reach) -> Self {
        Self { handle, reach, record: None }
    }

    /// Begins, or begins again.
    pub(crate) fn look(&mut self) -> Found {
        self.record = None;
        match &self.handle {
            Handle::Person => Found::Sender(PERSON.into()),
            Handle::Session { record, .. } => Found::Load(record.clone()),
        }
    }

    /// A file was read, or was not.
    pub(crate) fn loaded(&mut self, event: &Event) -> Found {
        let Handle::Session { session, .. } = &self.handle else { return self.look() };
        let data = match event {
            Event::Loaded { data: Some(data), .. } => Some(data),
            _ => None,
        };
        let Some(record) = self.record.take() else {
            let Some(data) = data else {
                return Found::Nobody("its host has no record any more");
            };
            let Some(record) = Record::parse(data) else {
                return Found::Nobody("its host's record cannot be read");
            };
            let path = format!("/proc/{}/stat", record.pid);
            self.record = Some(record);
            return Found::Load(path);
        };
        if !record.is_live(data.and_then(|data| Record::start_in(data))) {
            return Found::Nobody("its host has ended");
        }
        let mut entries = record.sessions.iter();
        let Some(entry) = entries.find(|entry| entry.session_id.is_same_session(session)) else {
            return Found::Nobody("its host does not have it any more");
        };
        if !entry.can_send {
            return Found::Nobody("it cannot send now");
        }
        self.address_of(entry)
    }

    fn address_of(&self, entry: &Entry) -> Found {
        let sender = |address: Address| Found::Sender(address.to_string());
        match self.reach {
            Reach::Machine => {
                entry.address().map_or(Found::Nobody("it has no address now"), sender)
            }
            Reach::Relay => entry
                .bridge_address()
                .map_or(Found::Nobody("it is on no relay, so no answer could come back"), sender),
        }
    }
}

/// Why a message is not sent.
pub(crate) fn no_sender(why: &str) -> String {
    format!("not sent, because it would have no true sender: {why}")
}
