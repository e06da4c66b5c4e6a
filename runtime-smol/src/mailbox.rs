//! Between the loop and its tasks: the mailbox for events, the gate for readers, the task spawner.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use async_channel::Sender;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::event::{Event, IoError};
use smol::{LocalExecutor, Task};

/// Events waiting for the machine. A task that finds the mailbox full waits, and so stops
/// reading; the loop itself never puts anything in.
pub(crate) const MAILBOX_EVENTS: usize = 64;

/// One letter to the machine.
pub(crate) enum Mail {
    /// An event that belongs to no operation, or one that more may follow.
    Event(Event),
    /// The last event of an operation.
    Last(Event),
    /// The last events of several operations.
    AllLast(Vec<Event>),
    /// An operation has ended without another event.
    Over(OpId),
}

/// The tasks' end of the mailbox. Mail to a finished loop is dropped.
#[derive(Clone)]
pub(crate) struct Mailbox(Sender<Mail>);

impl Mailbox {
    pub(crate) const fn new(sender: Sender<Mail>) -> Self {
        Self(sender)
    }

    /// Takes no more mail, and wakes whoever is waiting for room.
    pub(crate) fn close(&self) {
        self.0.close();
    }

    pub(crate) async fn tell(&self, event: Event) {
        let _ = self.0.send(Mail::Event(event)).await;
    }

    pub(crate) async fn last(&self, event: Event) {
        let _ = self.0.send(Mail::Last(event)).await;
    }

    /// The same for several operations, from another thread, which blocks while the mailbox is full.
    pub(crate) fn all_last_blocking(&self, events: Vec<Event>) {
        let _ = self.0.send_blocking(Mail::AllLast(events));
    }

    pub(crate) async fn failed(&self, op: OpId, failure: IoError) {
        self.last(Event::Failed { op, failure }).await;
    }

    pub(crate) async fn over(&self, op: OpId) {
        let _ = self.0.send(Mail::Over(op)).await;
    }
}

/// Starts tasks on the loop's executor. It does not keep the executor alive, so the end of the
/// loop drops every task.
#[derive(Clone)]
pub(crate) struct Spawner(Weak<LocalExecutor<'static>>);

impl Spawner {
    pub(crate) fn new(executor: &Rc<LocalExecutor<'static>>) -> Self {
        Self(Rc::downgrade(executor))
    }

    /// Starts a task that ends when dropped; `None` if the loop has ended.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Option<Task<()>> {
        self.0.upgrade().map(|executor| executor.spawn(future))
    }

    /// Starts a task that runs until it ends or the loop does.
    pub(crate) fn detach(&self, future: impl Future<Output = ()> + 'static) {
        if let Some(task) = self.spawn(future) {
            task.detach();
        }
    }
}

/// Holds back the reading side of one operation. It wakes one task: every future that checks a gate
/// belongs to the same task.
#[derive(Default)]
pub(crate) struct Gate {
    is_paused: Cell<bool>,
    is_closing: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Gate {
    pub(crate) fn pause(&self) {
        self.is_paused.set(true);
    }

    pub(crate) fn resume(&self) {
        self.is_paused.set(false);
        self.wake();
    }

    /// Opens the gate for good: the peer's close must be read.
    pub(crate) fn close(&self) {
        self.is_closing.set(true);
        self.wake();
    }

    /// Ready while reading is allowed.
    pub(crate) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_until(cx, !self.is_paused.get() || self.is_closing.get())
    }

    /// Ready once the end was requested.
    pub(crate) fn poll_closing(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll_until(cx, self.is_closing.get())
    }

    fn poll_until(&self, cx: &Context<'_>, is_so: bool) -> Poll<()> {
        if is_so {
            return Poll::Ready(());
        }
        self.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
