//! The one mailbox that a driver waits on.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use footbridge_core::contract::event::Event;

/// Events and commands that wait for the loop before whoever brings the next one has to wait.
pub(crate) const MAILBOX_LEN: usize = 64;

/// What lies in the mailbox.
#[derive(Debug)]
pub(crate) enum Mail<C> {
    Command(C),
    Event(Box<Event>),
}

pub(crate) fn mailbox<C: Send + 'static>() -> (Handle<C>, Outbox, Receiver<Mail<C>>) {
    let (sender, receiver) = sync_channel(MAILBOX_LEN);
    let handle = Handle { sender: sender.clone() };
    let outbox = Outbox(Arc::new(move |event| sender.send(Mail::Event(Box::new(event))).is_ok()));
    (handle, outbox, receiver)
}

/// Brings commands of the program to a running machine, from any thread.
#[derive(Debug)]
pub struct Handle<C> {
    sender: SyncSender<Mail<C>>,
}

impl<C> Handle<C> {
    /// Hands a command to the machine, and waits while its mailbox is full. A machine that has
    /// finished takes no more commands: they are dropped.
    ///
    /// Not to be called by the function that takes the notices: it runs in the machine's own loop,
    /// which would wait for itself.
    pub fn command(&self, command: C) {
        // It fails only after the end.
        let _ = self.sender.send(Mail::Command(command));
    }
}

impl<C> Clone for Handle<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone() }
    }
}

/// The threads' way to the mailbox.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<dyn Fn(Event) -> bool + Send + Sync>);

/// The machine has finished: no one reads the events of this thread.
#[derive(Debug)]
pub(crate) struct Gone;

impl Outbox {
    /// Tells an event, and waits while the mailbox is full.
    pub(crate) fn post(&self, event: Event) -> Result<(), Gone> {
        if (self.0)(event) { Ok(()) } else { Err(Gone) }
    }
}
