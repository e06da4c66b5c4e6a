//! The one mailbox that a driver waits on.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use footbridge_core::contract::event::Event;

/// Events and commands that can wait for the loop before senders have to wait.
pub(crate) const MAILBOX_LEN: usize = 64;

/// An item in the mailbox.
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

/// Sends the program's commands to a running machine, from any thread.
#[derive(Debug)]
pub struct Handle<C> {
    sender: SyncSender<Mail<C>>,
}

impl<C> Handle<C> {
    /// Sends a command to the machine, waiting while its mailbox is full. A machine that has
    /// finished takes no more commands: they are dropped.
    ///
    /// Must not be called by the function that receives notices: that runs in the machine's own
    /// loop, which would wait for itself.
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

/// The threads' end of the mailbox.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<dyn Fn(Event) -> bool + Send + Sync>);

/// The machine has finished: nobody reads this thread's events.
#[derive(Debug)]
pub(crate) struct Gone;

impl Outbox {
    /// Sends an event, waiting while the mailbox is full.
    pub(crate) fn post(&self, event: Event) -> Result<(), Gone> {
        if (self.0)(event) { Ok(()) } else { Err(Gone) }
    }
}
