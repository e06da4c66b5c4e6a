//! The program's own stdin and stdout as a byte stream.
//!
//! Both go through a thread: making them non-blocking would affect every program that shares the
//! terminal or the pipe.

use std::fs::File;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::ready;

use async_channel::Receiver;
use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Message;
use footbridge_core::contract::event::{Event, IoError};
use smol::Unblock;
use smol::io::{AsyncRead, AsyncWriteExt};

use crate::failure::about;
use crate::mailbox::Gate;
use crate::shared::Shared;
use crate::socket::Outgoing;

/// Maximum size of one read.
const READ_BYTES: usize = 64 << 10;

/// The stream, from opening to end.
pub(crate) async fn open(
    op: OpId,
    outgoing: Receiver<Outgoing>,
    gate: Rc<Gate>,
    shared: Rc<Shared>,
) {
    let (input, output) = match (rustix::io::dup(io::stdin()), rustix::io::dup(io::stdout())) {
        (Ok(input), Ok(output)) => (File::from(input), File::from(output)),
        (Err(error), _) | (_, Err(error)) => {
            let failure = about("standard input and output", &error.into());
            return shared.mailbox.failed(op, failure).await;
        }
    };
    shared.mailbox.tell(Event::Opened { op }).await;
    let mut output = Unblock::with_capacity(READ_BYTES, output);
    let input = Unblock::with_capacity(READ_BYTES, input);
    let reading = read(op, input, &gate, &shared);
    let writing = write(op, &mut output, &outgoing, &shared);
    let mut failure = smol::future::or(reading, writing).await;
    if let Err(error) = output.flush().await {
        failure.get_or_insert(about("stdout", &error));
    }
    shared.mailbox.last(Event::Closed { op, code: None, failure }).await;
}

async fn read(op: OpId, mut input: Unblock<File>, gate: &Gate, shared: &Shared) -> Option<IoError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let next = poll_fn(|cx| {
            ready!(gate.poll_open(cx));
            Pin::new(&mut input).poll_read(cx, &mut buffer)
        });
        match next.await {
            Ok(read) => {
                // At the end, this is the empty message that marks it. Stdout stays open.
                let message = Message::Binary(Bytes::copy_from_slice(&buffer[..read]));
                shared.mailbox.tell(Event::Received { op, message }).await;
                if read == 0 {
                    return pending().await;
                }
            }
            Err(error) => return Some(about("stdin", &error)),
        }
    }
}

async fn write(
    op: OpId,
    output: &mut Unblock<File>,
    outgoing: &Receiver<Outgoing>,
    shared: &Shared,
) -> Option<IoError> {
    loop {
        match outgoing.recv().await {
            Ok(Outgoing::Message(message)) => match put(output, message).await {
                Ok(()) => shared.mailbox.tell(Event::Sent { op, messages: 1 }).await,
                Err(error) => return Some(about("stdout", &error)),
            },
            Ok(Outgoing::Close(_)) => return None,
            Err(_) => pending().await,
        }
    }
}

async fn put(output: &mut Unblock<File>, message: Message) -> io::Result<()> {
    let bytes = message.into_bytes();
    output.write_all(&bytes).await?;
    output.flush().await
}
