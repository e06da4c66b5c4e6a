//! A relay that sends anything: wrong types, huge numbers, bad ids, frames out of order. A worker
//! that meets it must stay sane; nothing else is promised.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::{Instant, Now};
use footbridge_core::contract::action::{Action, Message, Response};
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Step};

use super::steps::Steps;

/// The machine.
pub(crate) struct Liar {
    rng: Rng,
    now: Now,
    listener: Option<OpId>,
    steps: Steps<()>,
    streams: Vec<OpId>,
    /// Streams that it is closing.
    closing: BTreeSet<OpId>,
    nags_at: Option<Instant>,
}

const ACCEPTS: usize = 8;

impl Liar {
    pub(crate) fn new(seed: u64) -> Self {
        let mut liar = Self {
            rng: Rng::with_seed(seed),
            now: Now::default(),
            listener: None,
            steps: Steps::new(),
            streams: Vec::new(),
            closing: BTreeSet::new(),
            nags_at: None,
        };
        let op = liar.steps.op();
        liar.listener = Some(op);
        let (address, limits) = (String::from("0.0.0.0:443"), ListenLimits::default());
        liar.steps.act(Action::Listen { op, address, limits });
        for _ in 0..ACCEPTS {
            liar.accept();
        }
        liar
    }

    fn accept(&mut self) {
        let Some(listener) = self.listener else { return };
        let op = self.steps.op();
        self.steps.act(Action::Accept { op, listener });
    }

    fn answer(&mut self, op: OpId, target: &str) {
        if target.contains("session_ingress") && self.rng.u8(..) < 220 {
            let protocol = (self.rng.u8(..) < 230).then(|| String::from("footbridge.link.v1"));
            self.streams.push(op);
            let max_message = 16 << 20;
            return self.steps.act(Action::Upgrade { op, protocol, max_message });
        }
        let is_nasty = self.rng.u8(..) < 90;
        let (status, body) = if is_nasty { self.nasty() } else { self.plausible(target) };
        let headers = if self.rng.u8(..) < 30 {
            vec![(String::from("retry-after"), String::from("18446744073709551615"))]
        } else {
            Vec::new()
        };
        let response = Response { status, headers, body: Bytes::from(body) };
        self.steps.act(Action::Reply { op, response });
    }

    fn nasty(&mut self) -> (u16, String) {
        const BODIES: [&str; 10] = [
            "",
            "null",
            "[]",
            "{}",
            "\u{0}",
            r#"{"id":"../../admin"}"#,
            r#"{"error":{"type":7,"message":[]}}"#,
            r#"{"environment_id":"env_1","environment_secret":""}"#,
            r#"{"lease_extended":false,"state":"running","lease_seconds":0}"#,
            r#"{"lease_extended":true,"state":"stopping","lease_seconds":18446744073709551615}"#,
        ];
        const STATUS: [u16; 14] =
            [200, 200, 200, 204, 201, 301, 400, 404, 409, 410, 429, 500, 503, 999];
        let status = STATUS[self.rng.usize(..STATUS.len())];
        let body = if self.rng.u8(..) < 20 {
            "[".repeat(self.rng.usize(1..3000))
        } else {
            BODIES[self.rng.usize(..BODIES.len())].to_owned()
        };
        (status, body)
    }

    fn plausible(&mut self, target: &str) -> (u16, String) {
        let session = self.rng.u8(..4);
        let fence = [0, 1, 2, u64::MAX][self.rng.usize(..4)];
        let lease = [0, 1, 60, u64::MAX][self.rng.usize(..4)];
        if target.ends_with("/environments/bridge") {
            (200, String::from(r#"{"environment_id":"env_1","environment_secret":"s"}"#))
        } else if target.ends_with("/work/poll") {
            let id = self.rng.u16(..);
            // {"version":1,"session_ingress_token":"t"}
            let secret = "eyJ2ZXJzaW9uIjoxLCJzZXNzaW9uX2luZ3Jlc3NfdG9rZW4iOiJ0In0";
            let item = format!(
                r#"{{"id":"work_{id}","type":"work","environment_id":"env_1","state":"leased","data":{{"type":"session","id":"session_{session}"}},"secret":"{secret}","created_at":"","fence":{fence},"lease_seconds":{lease}}}"#
            );
            (200, item)
        } else if target.ends_with("/heartbeat") {
            let body =
                format!(r#"{{"lease_extended":true,"state":"running","lease_seconds":{lease}}}"#);
            (200, body)
        } else {
            (200, String::from("{}"))
        }
    }

    /// Sends something on one of the links.
    fn nag(&mut self) {
        self.nags_at = None;
        if self.streams.is_empty() {
            return;
        }
        let op = self.streams[self.rng.usize(..self.streams.len())];
        let number = [0, 1, 2, 300, u64::MAX - 1, u64::MAX][self.rng.usize(..6)];
        let other = [0, 1, 5, u64::MAX][self.rng.usize(..4)];
        let word = |text: String| Message::Binary(Bytes::from(text));
        let message = match self.rng.u8(..14) {
            0..4 => word(format!(
                r#"{{"type":"resume","received":{number},"from":{other},"window":{number}}}"#
            )),
            4..6 => word(format!(r#"{{"type":"ack","received":{number}}}"#)),
            6 => word(String::from(r#"{"type":"ping"}"#)),
            7 => word(String::from(r#"{"type":"stop"}"#)),
            8 => word(String::from(r#"{"type":"report","message":{}}"#)),
            9 => word(String::from("rubbish")),
            10 => word(String::from(r#"{"type":"ack","received":-1}"#)),
            11 => Message::Text(Text::from("no JSON\n\n[]\n{\"type\":1}\n")),
            12 => Message::Text(Text::from("{\"type\":\"user\",\"uuid\":\"u\"}\n".repeat(700))),
            _ => Message::Text(Text::from(
                r#"{"type":"control_response","response":{"subtype":"success","request_id":"ask-1-1","response":{"behavior":"allow","updatedInput":{}}}}"#,
            )),
        };
        if !self.closing.contains(&op) {
            self.steps.act(Action::Send { op, message });
        }
        if self.rng.u8(..) < 6 {
            let code = [1000, 1001, 4408, 4409, 4404][self.rng.usize(..5)];
            if self.closing.insert(op) {
                self.steps.act(Action::Close { op, code });
            }
        }
        self.note_nag();
    }

    fn note_nag(&mut self) {
        let wait = Duration::from_millis(self.rng.u64(1..20_000));
        self.nags_at = Some(self.now.mono + wait);
    }
}

impl Machine for Liar {
    type Command = ();
    type Notice = ();

    fn command(&mut self, now: Now, (): ()) {
        self.now = now;
    }

    fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        match event {
            Event::Requested { op, request: asked } => {
                self.accept();
                self.answer(op, &asked.target);
            }
            Event::Opened { .. } | Event::Received { .. } if self.nags_at.is_none() => {
                self.note_nag();
            }
            Event::Closed { op, .. } | Event::Failed { op, .. } => {
                self.streams.retain(|stream| *stream != op);
                self.closing.remove(&op);
            }
            _ => {}
        }
        if self.nags_at.is_some_and(|at| at <= now.mono) {
            self.nag();
        }
    }

    fn step(&mut self) -> Step<()> {
        self.steps.next(self.now, self.nags_at)
    }
}
