//! Runs a machine's store operations on their own thread, so that no disk ever holds up the loop.

use std::convert::Infallible;
use std::thread::{self, JoinHandle};

use async_channel::{Receiver, Sender};
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::MAX_STORE_OPERATIONS;
use footbridge_core::contract::event::Event;
use footbridge_core::store::{Changes, Store, Transaction};

use crate::mailbox::{Mailbox, Spawner};

/// The thread that a store runs on.
///
/// The core bounds what waits for it: it takes no new request beyond [`MAX_STORE_OPERATIONS`], and
/// each link has a window. Dropping this carries out what was queued, reports nothing, and ends the
/// thread.
pub(crate) struct StoreThread {
    operations: Sender<(OpId, Transaction)>,
    mailbox: Mailbox,
    /// Closed once the thread is done.
    done: Receiver<Infallible>,
    thread: Option<JoinHandle<()>>,
}

impl StoreThread {
    pub(crate) fn start(store: Box<dyn Store>, mailbox: &Mailbox) -> Self {
        let (operations, queue) = async_channel::unbounded();
        let (running, done) = async_channel::bounded(1);
        let answers = mailbox.clone();
        let work = move || {
            let _running: Sender<Infallible> = running;
            serve(store, &queue, &answers);
        };
        // Without a thread, the queue is closed and each operation fails.
        let thread = thread::Builder::new().name("store".to_owned()).spawn(work).ok();
        Self { operations, mailbox: mailbox.clone(), done, thread }
    }

    /// Queues an operation; returns whether there is a store to carry it out.
    pub(crate) fn put(&self, op: OpId, transaction: Transaction) -> bool {
        self.operations.try_send((op, transaction)).is_ok()
    }

    /// Waits until every queued operation is carried out. The mailbox must be closed.
    pub(crate) async fn finish(&self) {
        self.operations.close();
        // Nothing is ever sent there.
        let _ = self.done.recv().await;
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.operations.close();
        self.mailbox.close();
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has already reported that.
            let _ = thread.join();
        }
    }
}

/// Commits everything waiting, all at once, then whatever has arrived meanwhile.
fn serve(mut store: Box<dyn Store>, queue: &Receiver<(OpId, Transaction)>, mailbox: &Mailbox) {
    let (mut ops, mut batch) = (Vec::new(), Vec::new());
    while let Ok(first) = queue.recv_blocking() {
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(MAX_STORE_OPERATIONS - 1);
        for (op, transaction) in std::iter::once(first).chain(more) {
            ops.push(op);
            batch.push(transaction);
        }
        let outcomes = store.commit(&batch);
        assert_eq!(outcomes.len(), batch.len(), "one outcome per operation");
        batch.clear();
        for (op, outcome) in ops.drain(..).zip(outcomes) {
            mailbox.last_blocking(match outcome {
                Ok(committed) => Event::Stored { op, committed },
                Err(failure) => Event::Failed { op, failure },
            });
        }
    }
}

/// Passes on changes that others make to the store, as they become known.
pub(crate) fn listen(changes: Receiver<Changes>, spawner: &Spawner, mailbox: &Mailbox) {
    let mailbox = mailbox.clone();
    spawner.detach(async move {
        while let Ok(changes) = changes.recv().await {
            mailbox.tell(Event::StoreChanged { changes: Box::new(changes) }).await;
        }
    });
}
