//! One client: a cursor into the log, and what is on its way to it.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::value::RawValue;

use super::door::Protocol;
use super::log::Log;
use super::{Cx, Purpose};
use crate::base::id::OpId;
use crate::base::limits::{
    DIRECT_CLIENT_ID_BYTES, DIRECT_GREETING_TIME, DIRECT_KNOWN_CLIENTS, LINK_DEAD_AFTER,
    LINK_PING_AFTER, STREAM_CREDIT_BYTES, VIEWER_STALLED_AFTER,
};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::{Action, Message};
use crate::direct::frame::Frame;
use crate::hosting::audience::ClientKey;

/// What a message counts for besides its content.
const MESSAGE_OVERHEAD: usize = 64;

/// How far a client has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening(Protocol),
    /// Its `resume` is to come, until then.
    Greeting(Instant),
    /// It gets NDJSON.
    Plain,
    /// It gets numbered lines.
    Resumed {
        last_heard: Instant,
        is_pinged: bool,
        lines: Lines,
    },
}

/// Which lines a client that counts them gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lines {
    /// All of them: it cannot be told to skip any.
    Every,
    /// Those that concern it.
    Own,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) op: OpId,
    pub(super) key: ClientKey,
    stage: Stage,
    /// The last line that was sent, or is not for it.
    cursor: u64,
    in_flight: VecDeque<usize>,
    in_flight_bytes: usize,
    /// Since when nothing that was sent has left.
    stalled_since: Option<Instant>,
    pub(super) is_paused: bool,
}

/// Clients that count lines, however often they connect.
#[derive(Debug, Default)]
pub(super) struct Known {
    keys: BTreeMap<String, (ClientKey, u64)>,
    order: VecDeque<String>,
}

impl Known {
    /// The key of the client with this id, and how many of its lines were taken.
    fn find(&mut self, id: &str, from: u64, new: ClientKey) -> (ClientKey, u64) {
        if !self.keys.contains_key(id) {
            if self.order.len() >= DIRECT_KNOWN_CLIENTS
                && let Some(oldest) = self.order.pop_front()
            {
                self.keys.remove(&oldest);
            }
            self.order.push_back(id.into());
            self.keys.insert(id.into(), (new, from));
        }
        let (key, received) = self.keys.get_mut(id).map_or((new, from), |known| {
            known.1 = known.1.max(from);
            *known
        });
        (key, received)
    }

    /// A client's next line was taken; how many were.
    fn took(&mut self, key: ClientKey) -> Option<u64> {
        let known = self.keys.values_mut().find(|known| known.0 == key)?;
        known.1 += 1;
        Some(known.1)
    }
}

/// What a frame of a client led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    /// It is one that was here before.
    Resumed(ClientKey),
    /// It does not keep to the protocol.
    Wrong,
}

impl Client {
    pub(super) const fn new(op: OpId, key: ClientKey, protocol: Protocol) -> Self {
        Self {
            op,
            key,
            stage: Stage::Opening(protocol),
            cursor: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            stalled_since: None,
            is_paused: false,
        }
    }

    /// Its WebSocket is open. Returns whether it gets the open questions now.
    pub(super) fn opened(&mut self, cx: &mut Cx, log: &Log) -> bool {
        let now = cx.fx.now().mono;
        match self.stage {
            Stage::Opening(Protocol::Plain) => {
                self.stage = Stage::Plain;
                // It gets what comes, and the questions that are open.
                self.cursor = log.last();
                true
            }
            Stage::Opening(Protocol::Resuming) => {
                self.stage = Stage::Greeting(now + DIRECT_GREETING_TIME);
                false
            }
            _ => false,
        }
    }

    pub(super) const fn is_resumed(&self) -> bool {
        matches!(self.stage, Stage::Resumed { .. })
    }

    /// Whether what it says is for the agent.
    pub(super) const fn may_speak(&self) -> bool {
        matches!(self.stage, Stage::Plain | Stage::Resumed { .. })
    }

    pub(super) const fn heard(&mut self, now: Instant) {
        if let Stage::Resumed { last_heard, is_pinged, .. } = &mut self.stage {
            *last_heard = now;
            *is_pinged = false;
        }
    }

    pub(super) fn control(
        &mut self,
        cx: &mut Cx,
        data: &[u8],
        log: &Log,
        known: &mut Known,
        run: &str,
        questions: impl FnOnce(ClientKey) -> Vec<Box<RawValue>>,
    ) -> Heard {
        let Some(frame) = Frame::parse(data) else { return Heard::Wrong };
        match (&self.stage, &*frame.kind) {
            (Stage::Greeting(_), "resume") => {
                let Some(id) = frame.client.as_deref() else { return Heard::Wrong };
                if id.is_empty() || id.len() > DIRECT_CLIENT_ID_BYTES {
                    return Heard::Wrong;
                }
                let is_known_run = frame.run.as_deref() == Some(run);
                let received = if is_known_run { frame.received.min(log.last()) } else { 0 };
                let (key, taken) = known.find(id, frame.from, self.key);
                self.key = key;
                self.cursor = received.max(log.dropped());
                let now = cx.fx.now().mono;
                let lines = if frame.skips { Lines::Own } else { Lines::Every };
                self.stage = Stage::Resumed { last_heard: now, is_pinged: false, lines };
                let resume = Frame {
                    run: Some(run.into()),
                    received: taken,
                    from: self.cursor,
                    questions: questions(key),
                    ..Frame::of("resume")
                };
                self.send(cx, resume.message());
                Heard::Resumed(key)
            }
            (Stage::Resumed { .. }, "ping") => {
                // Answers wait like everything else; one that does not read gets none.
                if self.in_flight_bytes < STREAM_CREDIT_BYTES {
                    self.send(cx, Frame::of("pong").message());
                }
                Heard::Nothing
            }
            (Stage::Resumed { .. }, _) => Heard::Nothing,
            _ => Heard::Wrong,
        }
    }

    /// A line of it was taken: it need not be kept there.
    pub(super) fn took(&mut self, cx: &mut Cx, known: &mut Known) {
        if self.is_resumed()
            && let Some(received) = known.took(self.key)
        {
            self.send(cx, Frame { received, ..Frame::of("ack") }.message());
        }
    }

    /// Sends what it has room for. Returns whether it is too far behind to go on.
    pub(super) fn pump(&mut self, cx: &mut Cx, log: &Log) -> bool {
        if !self.may_speak() {
            return false;
        }
        if !self.is_resumed() && self.cursor < log.dropped() {
            return true;
        }
        let mut skipped = None;
        while self.cursor < log.last() && self.in_flight_bytes < STREAM_CREDIT_BYTES {
            if self.cursor < log.dropped() {
                self.cursor = log.dropped();
                skipped = None;
                let from = self.cursor;
                self.send(cx, Frame { from, ..Frame::of("gap") }.message());
                continue;
            }
            let Some((line, audience)) = log.after(self.cursor) else { return false };
            self.cursor += 1;
            match self.stage {
                Stage::Resumed { lines: Lines::Every, .. } => {
                    self.send(cx, Message::Text(line.clone()));
                }
                _ if audience.includes(self.key) => {
                    self.skip(cx, &mut skipped);
                    self.send(cx, Message::Text(line.clone()));
                }
                _ => skipped = Some(self.cursor),
            }
        }
        self.skip(cx, &mut skipped);
        false
    }

    /// One that counts lines is told of those that it does not get.
    fn skip(&mut self, cx: &mut Cx, skipped: &mut Option<u64>) {
        if let Some(from) = skipped.take()
            && self.is_resumed()
        {
            self.send(cx, Frame { from, ..Frame::of("skip") }.message());
        }
    }

    /// Sends a line to it alone. One that counts lines gets those from the log.
    pub(super) fn tell(&mut self, cx: &mut Cx, line: Text) {
        if self.stage == Stage::Plain {
            self.send(cx, Message::Text(line));
        }
    }

    fn send(&mut self, cx: &mut Cx, message: Message) {
        let bytes = message.len() + MESSAGE_OVERHEAD;
        self.in_flight.push_back(bytes);
        self.in_flight_bytes += bytes;
        self.stalled_since.get_or_insert(cx.fx.now().mono);
        cx.fx.act(self.op, |op| Action::Send { op, message });
    }

    pub(super) fn sent(&mut self, now: Instant, messages: usize) {
        for bytes in self.in_flight.drain(..messages.min(self.in_flight.len())) {
            self.in_flight_bytes -= bytes;
        }
        self.stalled_since = if self.in_flight.is_empty() { None } else { Some(now) };
    }

    /// When there is something to do about its silence.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let silent = match self.stage {
            Stage::Greeting(until) => Some(until),
            Stage::Resumed { last_heard, is_pinged: false, .. } => {
                Some(last_heard + LINK_PING_AFTER)
            }
            Stage::Resumed { last_heard, is_pinged: true, .. } => {
                Some(last_heard + LINK_DEAD_AFTER)
            }
            Stage::Opening(_) | Stage::Plain => None,
        };
        let stalled = self.stalled_since.map(|since| since + VIEWER_STALLED_AFTER);
        // What is not read is not heard either.
        let silent = silent.filter(|_| !self.is_paused);
        silent.into_iter().chain(stalled).min()
    }

    /// Acts on its deadline. Returns whether it is to be cut.
    pub(super) fn on_time(&mut self, cx: &mut Cx) -> bool {
        let now = cx.fx.now().mono;
        if self.deadline().is_none_or(|at| at > now) {
            return false;
        }
        match &mut self.stage {
            Stage::Resumed { last_heard, is_pinged, .. }
                if !*is_pinged && *last_heard + LINK_DEAD_AFTER > now =>
            {
                *is_pinged = true;
                self.send(cx, Frame::of("ping").message());
                false
            }
            _ => true,
        }
    }

    /// Stops reading it while the agent does not read, and goes on after that.
    pub(super) fn balance(&mut self, cx: &mut Cx, is_full: bool) {
        if !self.may_speak() || self.is_paused == is_full {
            return;
        }
        self.is_paused = is_full;
        if !is_full {
            let now = cx.fx.now().mono;
            self.heard(now);
        }
        cx.fx.act(self.op, |op| match is_full {
            true => Action::Pause { op },
            false => Action::Resume { op },
        });
    }

    /// Whether all there is has left for it.
    pub(super) fn has_all(&self, log: &Log) -> bool {
        !self.may_speak() || (self.cursor >= log.last() && self.in_flight.is_empty())
    }

    pub(super) fn close(&self, cx: &mut Cx, code: u16) {
        if matches!(cx.fx.purpose(self.op), Some(Purpose::Client)) {
            cx.fx.act(self.op, |op| Action::Close { op, code });
            cx.fx.repurpose(self.op, Purpose::Closing);
        }
    }

    pub(super) fn cut(&self, cx: &mut Cx) {
        cx.fx.cancel(self.op);
    }
}
