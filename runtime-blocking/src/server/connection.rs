//! One connection until its end: a request at a time, each of which waits for its answer.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Response;
use footbridge_core::contract::clients::Pace;
use footbridge_core::contract::event::{Body, Event, IncomingRequest};
use tungstenite::WebSocket;
use tungstenite::protocol::Role;

use super::Shared;
use super::clients::Client;
use super::head::{self, Head, Unread};
use super::queue::{AcceptSlot, Answer};
use super::wire::{MAX_HEAD_BYTES, Waited, Wire, stream_of};
use crate::handshake::{Lent, config};
use crate::inbox::Inbox;
use crate::mailbox::Gone;
use crate::socket::{self, Order};

/// How much of a body is decoded at once.
const PIECE_BYTES: usize = 16 << 10;

/// What follows a request.
enum Next {
    Request,
    End,
}

/// Whoever is served sees how it ends; nobody else cares.
pub(super) fn serve(socket: TcpStream, client: &Client, shared: &Arc<Shared>) {
    let stream = stream_of(socket);
    let mut connection =
        Connection { wire: Wire { stream: &stream, client, unread: Vec::new() }, shared };
    while matches!(connection.request(), Ok(Next::Request)) {}
}

struct Connection<'a> {
    wire: Wire<'a>,
    shared: &'a Arc<Shared>,
}

impl Connection<'_> {
    /// Takes the next request, and sees it answered.
    fn request(&mut self) -> Result<Next, Gone> {
        let Some(head) = self.head() else { return Ok(Next::End) };
        self.wire.client.turn();
        let Some(slot) = self.admitted() else { return Ok(Next::End) };
        let AcceptSlot { op, answers } = slot;
        let asked = IncomingRequest {
            method: head.method(),
            target: head.target(),
            headers: head.headers(),
            body: match &head.body {
                Some(Unread { length, .. }) => Body::Unread { length: *length },
                None => Body::Whole(Bytes::new()),
            },
            is_tls: false,
            peer: self.wire.client.address,
        };
        self.shared.outbox.post(Event::Requested { op, request: asked })?;
        self.answered(op, head, &answers)
    }

    /// Reads a request's head; `None` if there is none, and the connection is over.
    fn head(&mut self) -> Option<Head> {
        let deadline = Instant::now() + self.shared.limits.head_time;
        loop {
            let refused = match Head::parse(&mut self.wire.unread) {
                Ok(Some(head)) => return Some(head),
                Ok(None) if self.wire.unread.len() >= MAX_HEAD_BYTES => 431,
                Ok(None) => {
                    let inbox = &self.wire.client.inbox;
                    if inbox.is_cancelled()
                        || Instant::now() >= deadline
                        || self.wire.wait(inbox, Some(deadline)) == Waited::Left
                    {
                        return None;
                    }
                    continue;
                }
                Err(status) => status,
            };
            if self.wire.write(&head::refusal(refused)).is_ok() {
                self.wire.end();
            }
            return None;
        }
    }

    /// Waits for an `Accept`; `None` once the listener is closed, or the client has left.
    fn admitted(&mut self) -> Option<AcceptSlot> {
        let (client, queue) = (self.wire.client, &self.shared.queue);
        let mut slot = queue.take(&client.inbox);
        loop {
            match slot {
                Some(slot) if !slot.answers.is_cancelled() => return Some(slot),
                Some(_) => slot = queue.take(&client.inbox),
                None if client.inbox.is_cancelled() => {
                    queue.leave(&client.inbox);
                    let response = Response {
                        status: 503,
                        headers: vec![("retry-after".into(), "1".into())],
                        body: Bytes::new(),
                    };
                    let (head, _) = head::answer(
                        &response,
                        footbridge_core::contract::action::Method::Get,
                        false,
                    );
                    let _ = self.wire.write(&head);
                    return None;
                }
                None if self.wire.wait(&client.inbox, None) == Waited::Left => {
                    queue.leave(&client.inbox);
                    return None;
                }
                None => slot = client.inbox.take().pop_front(),
            }
        }
    }

    /// Does what the machine says about a request, until it is answered.
    fn answered(
        &mut self,
        op: OpId,
        mut head: Head,
        answers: &Inbox<Answer>,
    ) -> Result<Next, Gone> {
        let left = Event::Closed { op, code: None, failure: None };
        let mut pending = VecDeque::new();
        loop {
            match pending.pop_front() {
                Some(Answer::Vouch(standing)) => self.wire.client.vouch(standing),
                Some(Answer::ReadBody { max_body, pace }) => {
                    let body = self.body(&mut head.body, (max_body, pace), answers, &mut pending);
                    match body {
                        Read::Body(body) => {
                            self.shared.outbox.post(Event::BodyRead { op, body })?;
                        }
                        Read::Interrupted => {}
                        Read::Broken => {
                            self.shared.outbox.post(left)?;
                            return Ok(Next::End);
                        }
                    }
                }
                Some(Answer::Reply(response)) => return Ok(self.reply(&head, &response)),
                Some(Answer::Upgrade { protocol, max_message, orders }) => {
                    let terms = (protocol.as_deref(), max_message);
                    self.upgrade(op, &head, terms, &orders)?;
                    return Ok(Next::End);
                }
                // Abandoned by the machine.
                None if answers.is_cancelled() => return Ok(Next::End),
                None => {
                    if self.wire.wait(answers, None) == Waited::Left {
                        self.shared.outbox.post(left)?;
                        return Ok(Next::End);
                    }
                    pending.extend(answers.take());
                }
            }
        }
    }

    /// Reads a body, unless it is too large, or comes too slowly. What is left of it stays unread.
    fn body(
        &mut self,
        body: &mut Option<Unread>,
        (limit, pace): (usize, Pace),
        answers: &Inbox<Answer>,
        pending: &mut VecDeque<Answer>,
    ) -> Read {
        let Some(unread) = body else { return Read::Body(Body::Whole(Bytes::new())) };
        let announced = unread.length.unwrap_or_default();
        if usize::try_from(announced).unwrap_or(usize::MAX) > limit {
            return Read::Body(Body::TooLarge);
        }
        if std::mem::take(&mut unread.awaits_leave)
            && self.wire.write(b"HTTP/1.1 100 Continue\r\n\r\n").is_err()
        {
            return Read::Broken;
        }
        let (began, mut bytes, mut piece) = (Instant::now(), Vec::new(), vec![0; PIECE_BYTES]);
        loop {
            let decoded = unread.reader.read(&self.wire.unread, &mut piece);
            let Ok((used, decoded)) = decoded else { return Read::Body(Body::Malformed) };
            self.wire.unread.drain(..used);
            bytes.extend_from_slice(&piece[..decoded]);
            if bytes.len() > limit {
                return Read::Body(Body::TooLarge);
            }
            if unread.reader.is_ended() {
                *body = None;
                return Read::Body(Body::Whole(Bytes::from(bytes)));
            }
            if used > 0 {
                continue;
            }
            pending.extend(answers.take());
            if !pending.is_empty() || answers.is_cancelled() {
                // It may be answered before its body is there.
                return Read::Interrupted;
            }
            let deadline = began + pace.grace + pace.time_for(bytes.len());
            if Instant::now() >= deadline || self.wire.wait(answers, Some(deadline)) == Waited::Left
            {
                return Read::Broken;
            }
        }
    }

    fn reply(&mut self, head: &Head, response: &Response) -> Next {
        let is_stopped = self.wire.client.inbox.is_cancelled();
        let may_continue = head.may_continue && head.body.is_none() && !is_stopped;
        let (bytes, has_body) = head::answer(response, head.method(), may_continue);
        let mut written = self.wire.write(&bytes);
        if has_body {
            written = written.and_then(|()| self.wire.write(&response.body));
        }
        match written {
            Ok(()) if may_continue => Next::Request,
            Ok(()) => {
                self.wire.end();
                Next::End
            }
            Err(_) => Next::End,
        }
    }

    /// Turns the connection into a WebSocket until its end.
    fn upgrade(
        &mut self,
        op: OpId,
        head: &Head,
        (protocol, max_message): (Option<&str>, usize),
        orders: &Inbox<Order>,
    ) -> Result<(), Gone> {
        let key = match head::accept_key(&head.request) {
            Ok(key) => key,
            Err(failure) => {
                self.reply(head, &head::upgrade_required());
                return self.shared.outbox.post(Event::Failed { op, failure });
            }
        };
        if self.wire.write(&head::switch(&key, protocol)).is_err() {
            return self.shared.outbox.post(Event::Closed { op, code: None, failure: None });
        }
        self.shared.outbox.post(Event::Opened { op })?;
        let begun = std::mem::take(&mut self.wire.unread);
        let (stream, config) = (self.wire.stream, config(max_message));
        let lent = Lent::new(stream);
        let socket = WebSocket::from_partially_read(lent, begun, Role::Server, Some(config));
        socket::converse(op, socket, stream, orders, &self.shared.outbox)
    }
}

/// What came of reading a body.
enum Read {
    Body(Body),
    /// The machine has something else to say.
    Interrupted,
    /// It cannot be read, came too slowly, or its client has left.
    Broken,
}
