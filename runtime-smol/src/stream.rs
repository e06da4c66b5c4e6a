//! Streaming HTTP responses: read as they arrive, and written as they grow.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use bytes::{Buf, Bytes};
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Head, Message, Request};
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::failure::{about_http, failure};
use crate::http::headers_of;
use crate::mailbox::Gate;
use crate::shared::Shared;
use crate::socket::Outgoing;

/// Chunks are combined up to about this much before they are confirmed.
const BATCH_BYTES: usize = 64 << 10;

/// One exchange whose response is passed on as it arrives.
pub(crate) async fn read(
    op: OpId,
    request: Request,
    idle_timeout: Duration,
    gate: Rc<Gate>,
    shared: Rc<Shared>,
) {
    let (exchange, answer) = match shared.client.begin(&request).await {
        Ok(begun) => begun,
        Err(failure) => return shared.mailbox.failed(op, failure).await,
    };
    let (head, mut body) = answer.into_parts();
    let head = Head { status: head.status.as_u16(), headers: headers_of(&head.headers) };
    shared.mailbox.tell(Event::Head { op, head }).await;
    let failure = loop {
        match next(&mut body, idle_timeout, &gate).await {
            Some(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data()
                    && !data.is_empty()
                {
                    let message = Message::Binary(data);
                    shared.mailbox.tell(Event::Received { op, message }).await;
                }
            }
            Some(Some(Err(error))) => break Some(about_http(&exchange.origin, &error)),
            Some(None) => break None,
            None => {
                let detail = format!("{}: nothing arrived for {idle_timeout:?}", exchange.origin);
                break Some(failure(IoErrorKind::TimedOut, detail));
            }
        }
    };
    if failure.is_none() {
        shared.client.keep(exchange);
    }
    shared.mailbox.last(Event::Closed { op, code: None, failure }).await;
}

/// The next piece of a body; `None` if it does not arrive in time. Time counts only while the gate
/// is open.
async fn next(
    body: &mut Incoming,
    limit: Duration,
    gate: &Gate,
) -> Option<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let mut timer = Timer::after(limit);
    let mut was_paused = false;
    poll_fn(|cx| {
        if gate.poll_open(cx).is_pending() {
            was_paused = true;
            return Poll::Pending;
        }
        if std::mem::take(&mut was_paused) {
            timer.set_after(limit);
        }
        if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
            return Poll::Ready(Some(frame));
        }
        Pin::new(&mut timer).poll(cx).map(|_| None)
    })
    .await
}

/// The body of a reply: whole, or a stream.
pub(crate) enum ReplyBody {
    Whole(Full<Bytes>),
    Stream(StreamBody),
}

impl Body for ReplyBody {
    type Data = Chunk;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Chunk>>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map(|frame| {
                let frame = frame?.unwrap_or_else(|never| match never {});
                Some(Ok(frame.map_data(|bytes| Chunk { bytes, pipe: None })))
            }),
            Self::Stream(body) => body.0.poll_chunk(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Connects the machine to the connection of one streamed reply.
#[derive(Default)]
struct Pipe(RefCell<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Bytes>,
    /// Chunks that the connection has taken but not written.
    under_way: usize,
    /// Advances with every write.
    progress: usize,
    /// Nothing more will be added.
    is_complete: bool,
    end: Option<End>,
    /// Ends the connection when closed.
    connection: Option<Sender<()>>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// How the connection's side of a pipe ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It has taken everything, or wants no body.
    Proper,
    /// The client is gone.
    Gone,
    /// The machine has abandoned it.
    Cut,
}

impl Pipe {
    fn end(&self, end: End) {
        let mut state = self.0.borrow_mut();
        state.end.get_or_insert(end);
        wake(&mut state.writer);
        wake(&mut state.reader);
    }

    fn poll_chunk(self: &Rc<Self>, cx: &Context<'_>) -> Poll<Option<io::Result<Frame<Chunk>>>> {
        let mut state = self.0.borrow_mut();
        if state.end == Some(End::Cut) {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        if let Some(bytes) = state.waiting.pop_front() {
            state.under_way += 1;
            let pipe = Some(Rc::clone(self));
            return Poll::Ready(Some(Ok(Frame::data(Chunk { bytes, pipe }))));
        }
        if state.is_complete {
            state.end.get_or_insert(End::Proper);
            wake(&mut state.writer);
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn put(&self, bytes: Bytes) {
        let mut state = self.0.borrow_mut();
        // An empty chunk would mark the end.
        if !bytes.is_empty() {
            state.waiting.push_back(bytes);
        }
        wake(&mut state.reader);
    }

    fn complete(&self) {
        let mut state = self.0.borrow_mut();
        state.is_complete = true;
        wake(&mut state.reader);
    }

    /// Waits until everything is written and, with `to_the_end`, until the connection has seen the
    /// end. Fails once the client has left, or has read nothing for too long.
    async fn written(&self, limit: Duration, to_the_end: bool) -> Result<(), IoError> {
        let mut timer = Timer::after(limit);
        let mut seen = None;
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            if matches!(state.end, Some(End::Gone | End::Cut)) {
                return Poll::Ready(Err(left()));
            }
            let is_written = state.waiting.is_empty() && state.under_way == 0;
            // A client that wants no body takes none.
            let has_ended = state.end == Some(End::Proper);
            if (is_written && !to_the_end) || (has_ended && state.under_way == 0) {
                return Poll::Ready(Ok(()));
            }
            state.writer = Some(cx.waker().clone());
            if seen.replace(state.progress) != Some(state.progress) {
                timer.set_after(limit);
            }
            Pin::new(&mut timer).poll(cx).map(|_| {
                let detail = format!("the client has read nothing for {limit:?}");
                Err(failure(IoErrorKind::TimedOut, detail))
            })
        })
        .await
    }

    /// Waits until the connection's side has ended and what it took is written.
    async fn ended(&self) -> End {
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            match state.end {
                Some(End::Proper) if state.under_way > 0 => {}
                Some(end) => return Poll::Ready(end),
                None => {}
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn left() -> IoError {
    failure(IoErrorKind::Disconnected, "the client has left")
}

/// The connection's end of a pipe. If dropped before everything was taken, the client is gone.
pub(crate) struct StreamBody(Rc<Pipe>);

impl StreamBody {
    /// Records the connection it goes over, which ends when its channel is closed.
    pub(crate) fn attach(&self, connection: Sender<()>) {
        self.0.0.borrow_mut().connection = Some(connection);
    }

    /// The client wants no body.
    pub(crate) fn discard(self) {
        self.0.end(End::Proper);
    }
}

impl Drop for StreamBody {
    fn drop(&mut self) {
        self.0.end(End::Gone);
    }
}

/// Outgoing bytes that report when they have been sent.
pub(crate) struct Chunk {
    bytes: Bytes,
    pipe: Option<Rc<Pipe>>,
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(pipe) = &self.pipe {
            let mut state = pipe.0.borrow_mut();
            state.progress += 1;
            wake(&mut state.writer);
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let Some(pipe) = self.pipe.take() else { return };
        let mut state = pipe.0.borrow_mut();
        state.under_way -= 1;
        if self.bytes.has_remaining() {
            // Even after the end: the last of it did not get through.
            state.end = Some(End::Gone);
        }
        wake(&mut state.writer);
    }
}

/// The machine's end of a pipe. If dropped before the end, it takes the connection down with it.
pub(crate) struct Writer(Rc<Pipe>);

impl Writer {
    /// Both ends of a new pipe.
    pub(crate) fn new() -> (Self, StreamBody) {
        let pipe = Rc::new(Pipe::default());
        (Self(Rc::clone(&pipe)), StreamBody(pipe))
    }

    /// Writes what the machine sends, until the end of the stream.
    pub(crate) async fn write(
        self,
        op: OpId,
        outgoing: Receiver<Outgoing>,
        write_timeout: Duration,
        shared: Rc<Shared>,
    ) {
        let writing = async {
            while let Ok(first) = outgoing.recv().await {
                let (mut next, mut is_last) = (Some(first), false);
                let (mut messages, mut bytes) = (0, 0);
                while let Some(item) = next.take() {
                    match item {
                        Outgoing::Message(message) => {
                            bytes += message.len();
                            messages += 1;
                            self.0.put(message.into_bytes());
                            if bytes < BATCH_BYTES {
                                next = outgoing.try_recv().ok();
                            }
                        }
                        Outgoing::Close(_) => is_last = true,
                    }
                }
                if messages > 0 {
                    self.0.written(write_timeout, false).await?;
                    shared.mailbox.tell(Event::Sent { op, messages }).await;
                }
                if is_last {
                    self.0.complete();
                    return self.0.written(write_timeout, true).await;
                }
            }
            pending().await
        };
        let leaving = async {
            match self.0.ended().await {
                End::Proper => Ok(()),
                End::Gone | End::Cut => Err(left()),
            }
        };
        let failure = smol::future::or(writing, leaving).await.err();
        shared.mailbox.last(Event::Closed { op, code: None, failure }).await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let is_over = {
            let state = self.0.0.borrow();
            state.end == Some(End::Proper) && state.under_way == 0
        };
        if !is_over {
            self.0.end(End::Cut);
            // It may be waiting for the client to read, and check nothing else.
            if let Some(connection) = self.0.0.borrow_mut().connection.take() {
                connection.close();
            }
        }
    }
}
