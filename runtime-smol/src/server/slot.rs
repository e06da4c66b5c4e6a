//! What the machine says to a request, and what all connections of a listener share.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Head, Response};
use footbridge_core::contract::clients::{ListenLimits, Pace, Standing};

use super::clients::Clients;
use crate::handshake::Switch;
use crate::shared::Shared;
use crate::stream::StreamBody;
use crate::tls;

/// Permission to pass one request to the machine.
pub(crate) struct AcceptSlot {
    pub(crate) op: OpId,
    pub(crate) answered: Receiver<Answer>,
}

/// What the machine says to a request. The last three end it.
pub(crate) enum Answer {
    Vouch(Standing),
    ReadBody { max_body: usize, pace: Pace },
    Reply(Response),
    Stream(Head, StreamBody),
    Upgrade { protocol: Option<String>, switch: Switch },
}

/// Shared by all connections of a listener.
pub(super) struct ListenerShared {
    pub(super) slots: Sender<AcceptSlot>,
    pub(super) queue: Receiver<AcceptSlot>,
    /// Closed when the listener is.
    pub(super) stopped: Receiver<Infallible>,
    pub(super) tls: Option<tls::Server>,
    pub(super) limits: ListenLimits,
    pub(super) clients: Arc<Clients>,
    pub(super) shared: Rc<Shared>,
}

impl ListenerShared {
    /// Ends once the listener is closed.
    pub(super) async fn stopped(&self) {
        // Nothing is ever sent there.
        let _ = self.stopped.recv().await;
    }
}
