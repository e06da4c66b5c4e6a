//! Where a machine's store operations go.

use async_channel::Receiver;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::event::Event;
use footbridge_core::store::{Committed, MemoryStore, Transaction};

use crate::mailbox::Mailbox;

/// Carries out store operations.
///
/// It is called on the loop's own thread, one operation at a time, in the order in which they were
/// asked for.
pub trait Store {
    /// Carries out one operation atomically, and makes it durable before it returns.
    fn apply(&mut self, transaction: Transaction) -> Committed;
}

/// The reference store: fast, and gone with its process.
impl Store for MemoryStore {
    fn apply(&mut self, transaction: Transaction) -> Committed {
        Self::apply(self, transaction)
    }
}

/// Takes the operations of one machine, one after the other.
pub(crate) async fn serve(
    mut store: Box<dyn Store>,
    operations: Receiver<(OpId, Transaction)>,
    mailbox: Mailbox,
) {
    while let Ok((op, transaction)) = operations.recv().await {
        mailbox.last(Event::Stored { op, committed: store.apply(transaction) }).await;
    }
}
