//! Runs a machine's store operations, those that may wait on their own thread, so that no disk ever
//! holds up the loop.

use std::convert::Infallible;
use std::mem;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_io::Timer;
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::{MAX_STORE_OPERATIONS, STORE_SHUTDOWN_LIMIT};
use footbridge_core::contract::event::{Event, IoErrorKind};
use footbridge_core::store::{Changes, Store, Transaction};
use smol::future::FutureExt;

use crate::failure::failure;
use crate::mailbox::{Mailbox, Spawner};

/// A machine's store: on a thread of its own if it may wait, else on the loop's.
pub(crate) enum StoreRunner {
    Thread(StoreThread),
    Immediate { store: Box<dyn Store>, waiting: Waiting },
}

/// Operations that the machine has asked for since the store was last handed some.
type Waiting = Vec<(OpId, Transaction)>;

impl StoreRunner {
    pub(crate) fn start(store: Box<dyn Store>, mailbox: &Mailbox) -> Self {
        if store.is_immediate() {
            Self::Immediate { store, waiting: Waiting::new() }
        } else {
            Self::Thread(StoreThread::start(store, mailbox))
        }
    }

    /// Queues an operation for the next [`submit`](Self::submit).
    pub(crate) fn put(&mut self, op: OpId, transaction: Transaction) {
        let (Self::Immediate { waiting, .. } | Self::Thread(StoreThread { waiting, .. })) = self;
        waiting.push((op, transaction));
    }

    /// Hands over what was queued, all at once. Returns what is already known of it.
    pub(crate) fn submit(&mut self) -> Vec<Event> {
        match self {
            Self::Thread(thread) => thread.submit(),
            Self::Immediate { waiting, .. } if waiting.is_empty() => Vec::new(),
            Self::Immediate { store, waiting } => {
                let (ops, batch): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
                commit(store.as_mut(), ops, &batch)
            }
        }
    }

    /// Waits until every submitted operation is carried out. The mailbox must be closed.
    pub(crate) async fn finish(&self) {
        if let Self::Thread(thread) = self {
            thread.finish().await;
        }
    }
}

/// The thread that a store runs on.
///
/// The core bounds what waits for it: it takes no new request beyond [`MAX_STORE_OPERATIONS`], and
/// each link has a window. Dropping this carries out what was queued, reports nothing, and ends the
/// thread.
pub(crate) struct StoreThread {
    operations: Sender<Waiting>,
    waiting: Waiting,
    mailbox: Mailbox,
    /// Closed once the thread is done.
    done: Receiver<Infallible>,
    thread: Option<JoinHandle<()>>,
}

impl StoreThread {
    fn start(store: Box<dyn Store>, mailbox: &Mailbox) -> Self {
        let (operations, queue) = async_channel::unbounded();
        let (running, done) = async_channel::bounded(1);
        let answers = mailbox.clone();
        let work = move || {
            let _running: Sender<Infallible> = running;
            serve(store, &queue, &answers);
        };
        // Without a thread, the queue is closed and each operation fails.
        let thread = thread::Builder::new().name("store".to_owned()).spawn(work).ok();
        Self { operations, waiting: Vec::new(), mailbox: mailbox.clone(), done, thread }
    }

    /// One message, so that the thread is woken once. Fails what nobody is left to carry out.
    fn submit(&mut self) -> Vec<Event> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let fail = |(op, _)| {
            let failure = failure(IoErrorKind::Other, "the store's thread has ended");
            Event::Failed { op, failure }
        };
        match self.operations.try_send(mem::take(&mut self.waiting)) {
            Ok(()) => Vec::new(),
            Err(refused) => refused.into_inner().into_iter().map(fail).collect(),
        }
    }

    /// Waits until every queued operation is carried out, unless the disk hangs. The mailbox must be
    /// closed.
    async fn finish(&self) {
        self.operations.close();
        let done = async {
            // Nothing is ever sent there.
            let _ = self.done.recv().await;
        };
        let hung = async {
            Timer::after(STORE_SHUTDOWN_LIMIT).await;
        };
        done.or(hung).await;
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.operations.close();
        self.mailbox.close();
        let Some(thread) = self.thread.take() else { return };
        let until = Instant::now() + STORE_SHUTDOWN_LIMIT;
        while !thread.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        // One that hangs in its disk ends with the process, as it would in a crash.
        if thread.is_finished() {
            // If it panicked, it has already reported that.
            let _ = thread.join();
        }
    }
}

/// Commits everything waiting, all at once, then whatever has arrived meanwhile. What became of a
/// batch is one piece of mail.
fn serve(mut store: Box<dyn Store>, queue: &Receiver<Waiting>, mailbox: &Mailbox) {
    while let Ok(first) = queue.recv_blocking() {
        let (mut ops, mut batch) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(operations) = next {
            for (op, transaction) in operations {
                ops.push(op);
                batch.push(transaction);
            }
            let has_room = batch.len() < MAX_STORE_OPERATIONS;
            next = if has_room { queue.try_recv().ok() } else { None };
        }
        mailbox.all_last_blocking(commit(store.as_mut(), ops, &batch));
    }
}

fn commit(store: &mut dyn Store, ops: Vec<OpId>, batch: &[Transaction]) -> Vec<Event> {
    let outcomes = store.commit(batch);
    assert_eq!(outcomes.len(), batch.len(), "one outcome per operation");
    let event = |(op, outcome)| match outcome {
        Ok(committed) => Event::Stored { op, committed },
        Err(failure) => Event::Failed { op, failure },
    };
    ops.into_iter().zip(outcomes).map(event).collect()
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
