//! Who the program is to other sessions, while it is that (A-2, B-5, I-2).

use alloc::format;
use alloc::string::String;

use super::state::CanSend;
use crate::base::id::SessionId;
use crate::peer::envelope::Envelope;

/// The program under one session id. It owns that id, and the registration whose token made it: nobody
/// derives either from elsewhere. Another session means another handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    session: SessionId,
    /// Which of the bridge's handles it is.
    number: u64,
}

impl Handle {
    /// The session that it stands for.
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// Its address, to which an answer can be sent.
    pub fn address(&self) -> String {
        format!("bridge:{}", self.session)
    }
}

/// Why a message may not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// The session that was to send is not this program's any more.
    #[error("the session that was to send it is gone")]
    Stale,
    /// An answer could not come back now.
    #[error("nothing can be sent now")]
    CannotSend,
    /// It is too long, or addressed to nobody.
    #[error("it is no message that can be sent")]
    Unsendable,
}

/// The handle that there is now.
#[derive(Debug, Default)]
pub(super) struct Binding {
    live: Option<Handle>,
    made: u64,
}

impl Binding {
    /// The program is under this session now.
    pub(super) fn bind(&mut self, session: &SessionId) -> Handle {
        self.made += 1;
        let handle = Handle { session: session.clone(), number: self.made };
        self.live = Some(handle.clone());
        handle
    }

    /// It is under none.
    pub(super) fn release(&mut self) {
        self.live = None;
    }

    /// Looks again, at the moment of sending: a handle that was good when somebody was asked may not be
    /// any more.
    pub(super) fn sign(
        &self,
        handle: &Handle,
        can_send: CanSend,
        (to, message_id, body): (String, String, String),
    ) -> Result<Envelope, NotSigned> {
        let Some(live) = self.live.as_ref().filter(|live| *live == handle) else {
            return Err(NotSigned::Stale);
        };
        if !can_send.is_allowed() {
            return Err(NotSigned::CannotSend);
        }
        let envelope = Envelope { from: live.address(), to, message_id, body };
        envelope.check().map_err(|_| NotSigned::Unsendable)?;
        Ok(envelope)
    }
}
