//! What every task of one machine's operations has access to.

use std::sync::Arc;

use footbridge_supervision::Supervisor;

use crate::http::Client;
use crate::mailbox::{Mailbox, Spawner};

/// What every task has access to.
pub(crate) struct Shared {
    pub(crate) mailbox: Mailbox,
    pub(crate) spawner: Spawner,
    pub(crate) client: Client,
    pub(crate) supervisor: Arc<Supervisor>,
}
