//! Delivers one message to a session on this machine (A-2, A-3).
//!
//! ```text
//!   Opening ──▶ Looking for the sender ──▶ Sending ──▶ accepted, refused
//! ```
//!
//! Who sends is looked up when the connection is open, at the moment of sending, and not when somebody
//! was asked whether it may be sent: by then the session may have another address, or be gone. No message
//! leaves without a true `from`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::time::Duration;

use bytes::Bytes;

use super::sender::{Found, Reach, Sender, Unsigned, no_sender};
use crate::base::id::OpId;
use crate::base::limits::{MAX_PEER_RECORD_BYTES, PEER_TIMEOUT};
use crate::contract::action::{Action, Message, Target};
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::runner::{self, Role, Runner, delegate_machine};

type Cx = runner::Cx<Purpose, (), Infallible>;

/// What is delivered, and where.
#[derive(Clone, Debug)]
pub struct DeliverConfig {
    /// The receiver's socket.
    pub socket: String,
    /// What.
    pub message: Unsigned,
}

/// The machine: it finishes once the message was accepted, or cannot be.
#[derive(Debug)]
pub struct Deliver {
    runner: Runner<Delivering>,
}

delegate_machine!(Deliver, Infallible, Infallible);

impl Deliver {
    /// Connects with its first step.
    pub fn new(config: DeliverConfig) -> Self {
        let mut cx = Cx::new();
        let target = Target::Local { path: config.socket.clone(), timeout: PEER_TIMEOUT };
        let stream = cx.fx.start(Purpose::Stream, |op| Action::Open { op, target });
        let sender = Sender::new(config.message.handle.clone(), Reach::Machine);
        let role = Delivering { message: config.message, stream, sender, answer: Vec::new() };
        Self { runner: Runner::new(role, cx) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Stream,
    Sender,
}

#[derive(Debug)]
struct Delivering {
    message: Unsigned,
    stream: OpId,
    sender: Sender,
    answer: Vec<u8>,
}

impl Delivering {
    fn opened(&mut self, cx: &mut Cx) {
        cx.set_timer((), PEER_TIMEOUT);
        let found = self.sender.look();
        self.found(cx, found);
    }

    fn found(&self, cx: &mut Cx, found: Found) {
        match found {
            Found::Load(path) => {
                let limit = MAX_PEER_RECORD_BYTES;
                cx.fx.start(Purpose::Sender, |op| Action::Load { op, path, limit });
            }
            Found::Sender(from) => self.send(cx, from),
            Found::Nobody(why) => self.end(cx, MachineErrorKind::Local, &no_sender(why)),
        }
    }

    fn send(&self, cx: &mut Cx, from: String) {
        let envelope = match self.message.signed(from) {
            Ok(envelope) => envelope,
            Err(reason) => return self.end(cx, MachineErrorKind::Protocol, &reason),
        };
        let json = envelope.to_json();
        let request = format!(
            "POST /v1/peer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
            json.len(),
            json.as_str()
        );
        let message = Message::Binary(Bytes::from(request));
        cx.fx.act(self.stream, |op| Action::Send { op, message });
    }

    /// The answer's status line.
    fn answered(&mut self, cx: &mut Cx, data: &[u8]) {
        self.answer.extend_from_slice(
            data.get(..data.len().min(MAX_PEER_RECORD_BYTES)).unwrap_or_default(),
        );
        if self.answer.len() > MAX_PEER_RECORD_BYTES {
            return self.end(
                cx,
                MachineErrorKind::Protocol,
                "what is there does not answer as a session",
            );
        }
        let text = String::from_utf8_lossy(&self.answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return };
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        match status {
            Some(200..=299) => cx.fx.end(Ok(())),
            Some(status) => {
                let reason = format!("it was refused (HTTP {status}): {}", body.trim());
                self.end(cx, MachineErrorKind::Forbidden, &reason);
            }
            None => self.end(cx, MachineErrorKind::Protocol, "what is there does not speak HTTP"),
        }
    }

    fn end(&self, cx: &mut Cx, kind: MachineErrorKind, reason: &str) {
        let message = format!("could not deliver to {}: {reason}", self.message.to);
        cx.fx.end(Err(MachineError { kind, message }));
    }
}

impl Role for Delivering {
    type Command = Infallible;
    type Notice = Infallible;
    type Purpose = Purpose;
    type Timer = ();

    fn on_command(&mut self, _: &mut Cx, command: Infallible) {
        match command {}
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let Some(op) = event.op() else { return };
        let Some(purpose) = cx.fx.purpose(op) else { return };
        if event.is_last() {
            cx.fx.finish(op);
        }
        match (purpose, event) {
            (Purpose::Stream, Event::Opened { .. }) => self.opened(cx),
            (Purpose::Stream, Event::Failed { failure, .. }) => {
                let reason = format!("{failure}; is that session still there? footbridge ps");
                self.end(cx, MachineErrorKind::NotFound, &reason);
            }
            (Purpose::Stream, Event::Received { message: Message::Binary(data), .. })
                if data.is_empty() =>
            {
                self.end(cx, MachineErrorKind::NotFound, "it went away before it had answered");
            }
            (Purpose::Stream, Event::Received { message: Message::Binary(data), .. }) => {
                self.answered(cx, &data);
            }
            (Purpose::Stream, Event::Closed { .. }) => {
                self.end(cx, MachineErrorKind::NotFound, "it went away before it had answered");
            }
            (Purpose::Sender, event) => {
                let found = self.sender.loaded(&event);
                self.found(cx, found);
            }
            _ => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx, (): ()) {
        let wait: Duration = PEER_TIMEOUT;
        let reason = format!("no answer in {} s", wait.as_secs());
        self.end(cx, MachineErrorKind::GaveUp, &reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::SessionId;
    use crate::base::time::Now;
    use crate::peer::registry::{Entry, Record};
    use crate::peer::sender::Handle;
    use crate::testing::Hand;
    use crate::wire::to_json;

    fn entry(socket: &str, can_send: bool) -> Entry {
        Entry {
            session_id: SessionId::new("session_1").expect("an id"),
            bridge_session_id: None,
            socket: Some(socket.into()),
            can_send,
            name: String::new(),
            status: String::new(),
            waiting_for: None,
            worker_draining: false,
            directory: String::new(),
        }
    }

    fn opening(handle: Handle) -> (Hand<Deliver>, OpId) {
        let config = DeliverConfig {
            socket: "/s".into(),
            message: Unsigned {
                to: "uds:/s".into(),
                body: "hello".into(),
                message_id: "m1".into(),
                handle,
            },
        };
        let mut hand = Hand::new(Deliver::new(config), Now::default());
        let op = hand.take("open", |action| match action {
            Action::Open { op, target: Target::Local { path, .. } } if path == "/s" => Some(*op),
            _ => None,
        });
        (hand, op)
    }

    fn of_session() -> Handle {
        let session = SessionId::new("session_1").expect("an id");
        Handle::Session { record: "/r.json".into(), session }
    }

    fn loads(hand: &mut Hand<Deliver>, path: &str, data: Option<Bytes>) {
        let op = hand.take("load", |action| match action {
            Action::Load { op, path: of, .. } if of == path => Some(*op),
            _ => None,
        });
        hand.handle(Event::Loaded { op, data, modified: None });
    }

    fn sent(hand: &mut Hand<Deliver>) -> Option<String> {
        hand.actions.iter().find_map(|action| match action {
            Action::Send { message: Message::Binary(data), .. } => {
                Some(String::from_utf8(data.to_vec()).expect("UTF-8"))
            }
            _ => None,
        })
    }

    const STAT: &[u8] = b"7 (a) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";

    /// What leaves if the record says this at the moment of sending.
    fn outcome(record: Option<Record>, stat: Option<&'static [u8]>) -> Option<String> {
        let (mut hand, op) = opening(of_session());
        // Nothing was looked at before.
        assert!(hand.actions.is_empty());
        hand.handle(Event::Opened { op });
        let is_there = record.is_some();
        loads(&mut hand, "/r.json", record.map(|record| to_json(&record)));
        if is_there {
            loads(&mut hand, "/proc/7/stat", stat.map(Bytes::from_static));
        }
        let sent = sent(&mut hand);
        assert_eq!(sent.is_none(), hand.outcome.is_some());
        sent
    }

    #[test]
    fn the_sender_is_who_it_is_at_the_moment_of_sending_or_nothing_leaves() {
        let record = |entries: Vec<Entry>| Some(Record { pid: 7, start: 4711, sessions: entries });
        let now = |socket| outcome(record(Vec::from([entry(socket, true)])), Some(STAT));
        assert!(now("/old").expect("sent").contains(r#""from":"uds:/old""#));
        // Its host has given it another address since somebody was asked.
        assert!(now("/new").expect("sent").contains(r#""from":"uds:/new""#));
        assert_eq!(outcome(None, None), None, "the record is gone");
        assert_eq!(outcome(record(Vec::new()), Some(STAT)), None, "the session is gone");
        assert_eq!(outcome(record(Vec::from([entry("/s", false)])), Some(STAT)), None);
        assert_eq!(
            outcome(record(Vec::from([entry("/s", true)])), None),
            None,
            "its host has died"
        );
        let other = b"7 (b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4712 1 1";
        let reused = outcome(record(Vec::from([entry("/s", true)])), Some(other));
        assert_eq!(reused, None, "another process has its host's id");
    }

    #[test]
    fn it_ends_with_the_receivers_answer() {
        for (answer, is_well) in [
            ("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}", true),
            ("HTTP/1.1 400 Bad Request\r\n\r\nno", false),
            ("nonsense\r\n\r\n", false),
            ("", false),
        ] {
            let (mut hand, op) = opening(Handle::Person);
            hand.handle(Event::Opened { op });
            let request = sent(&mut hand).expect("a person is somebody");
            assert!(
                request.contains(r#""from":"person""#) && request.contains(r#""messageId":"m1""#)
            );
            let message = Message::Binary(Bytes::from_static(answer.as_bytes()));
            hand.handle(Event::Received { op, message });
            assert_eq!(hand.outcome.expect("an end").is_ok(), is_well, "{answer}");
        }
        let (mut hand, op) = opening(Handle::Person);
        hand.handle(Event::Opened { op });
        assert_eq!(hand.wait(), PEER_TIMEOUT);
        assert!(hand.outcome.expect("an end").is_err());
    }
}
