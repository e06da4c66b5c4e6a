//! One link.

use alloc::string::String;

use serde_json::value::RawValue;

use super::events::Unacknowledged;
use super::from_agent::{FromAgent, Window, checked, lines_of};
use super::to_agent::{Note, ToAgent, Wanted};
use crate::base::id::{EnvironmentId, OpId, SessionId};
use crate::base::limits::{
    LINK_BACKLOG_BYTES, LINK_DEAD_AFTER, LINK_PING_AFTER, LINK_WINDOW_LINES_TO_RELAY,
    STREAM_ALIVE_EVERY,
};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::contract::action::{Action, Message};
use crate::relay::close;
use crate::relay::cx::Cx;
use crate::relay::http::event_stream::PADDING;
use crate::relay::http::request::one_line;
use crate::relay::notice::RelayNotice;
use crate::relay::pending::{Acks, Attaching, Framing, LinkStep, Opening, Pending};
use crate::relay::purpose::Timer;
use crate::relay::streams::outgoing::Outgoing;
use crate::store::{AccountId, Answer, Line, Origin, StoreError, StoreOp};
use crate::wire::code_session::{StreamClose, StreamEvent, StreamResume};
use crate::wire::last_line::LastLine;
use crate::wire::link_v1::{CLOSE_LEASE_LOST, CLOSE_REPLACED, ControlFrame};

/// A session's link.
#[derive(Debug)]
pub(super) struct Link {
    op: OpId,
    pub(super) session: SessionId,
    pub(super) environment: EnvironmentId,
    /// The fence of the lease that opened it.
    pub(super) fence: u64,
    owner: AccountId,
    /// Its number in the store.
    number: u64,
    framing: Framing,
    state: State,
    heard_at: Instant,
    outgoing: Outgoing,
    from_agent: FromAgent,
    to_agent: ToAgent,
    /// What the agent has to be told before anything else (M-6).
    declared: Option<Text>,
    /// Messages on their way that are no numbered lines, before those that are.
    unnumbered: usize,
    /// What has left for a worker of version 2 that sends no acks.
    unacknowledged: Unacknowledged,
    /// The last line that its agent was given, as its worker has said.
    last: Option<LastLine>,
    /// In version 2, the run of the agent that it is for.
    run: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The worker has not sent its `resume` yet.
    Greeting,
    /// Lines flow both ways.
    Up,
    /// The same, and the worker was asked to end the session.
    Stopping,
}

/// Why a link has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkEnd {
    /// In order, with this code.
    Close(u16),
    /// Without waiting for the other side.
    Cut,
}

impl From<u16> for LinkEnd {
    fn from(code: u16) -> Self {
        Self::Close(code)
    }
}

impl From<StoreError> for LinkEnd {
    fn from(error: StoreError) -> Self {
        Self::Close(match error {
            StoreError::LinkReplaced { .. } => CLOSE_REPLACED,
            StoreError::LeaseLost => CLOSE_LEASE_LOST,
            StoreError::NeverSent => close::PROTOCOL,
            _ => close::GONE,
        })
    }
}

/// What the store reports about a stream of version 2.
pub(super) struct Opened {
    pub(super) received: u64,
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) fence: u64,
    pub(super) owner: AccountId,
    pub(super) environment: EnvironmentId,
    pub(super) declared: Option<Text>,
}

/// What the store reports about a link it has attached.
pub(super) struct Attached {
    pub(super) number: u64,
    /// Lines from the worker that are stored.
    pub(super) received: u64,
    /// Lines for the agent that the worker has.
    pub(super) from: u64,
    pub(super) owner: AccountId,
    pub(super) declared: Option<Text>,
}

impl Link {
    pub(super) fn new(cx: &Cx, op: OpId, attaching: Attaching, attached: Attached) -> Self {
        let Attaching { session, environment, fence, framing, last } = attaching;
        let window = match framing {
            Framing::LinkV1 | Framing::Events(_) => Window::Acknowledged,
            Framing::Ndjson => Window::Unacknowledged,
        };
        let Attached { number, received, from, owner, declared } = attached;
        Self {
            op,
            session,
            environment,
            fence,
            owner,
            number,
            framing,
            state: State::Greeting,
            heard_at: cx.now(),
            outgoing: Outgoing::default(),
            from_agent: FromAgent::after(received, window),
            to_agent: ToAgent::after(from),
            declared,
            unnumbered: 0,
            unacknowledged: Unacknowledged::default(),
            last,
            run: None,
        }
    }

    /// A stream of version 2: it is up from the start.
    pub(super) fn of_stream(cx: &Cx, op: OpId, opening: Opening, opened: &Opened) -> Self {
        let Opening { session, epoch, acks, run } = opening;
        let mut to_agent = ToAgent::after(opened.from);
        to_agent.resumed(opened.from, opened.until);
        Self {
            op,
            session,
            environment: opened.environment.clone(),
            fence: opened.fence,
            owner: opened.owner.clone(),
            number: epoch,
            framing: Framing::Events(acks),
            state: State::Up,
            heard_at: cx.now(),
            outgoing: Outgoing::default(),
            from_agent: FromAgent::after(opened.received, Window::Acknowledged),
            to_agent,
            declared: opened.declared.clone(),
            unnumbered: 0,
            unacknowledged: Unacknowledged::default(),
            last: None,
            run,
        }
    }

    /// What its stream is closed with for one of this run of the agent: the same one opens another.
    pub(super) fn code_for(&self, run: Option<&str>) -> u16 {
        let is_same = run.is_some() && self.run.as_deref() == run;
        if is_same { close::DONE } else { CLOSE_REPLACED }
    }

    /// Its number in the store: in version 2, the epoch.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Begins a stream of version 2.
    pub(super) fn begin_stream(&mut self, cx: &mut Cx, is_stopping: bool) -> Result<(), LinkEnd> {
        // A proxy that collects a few kilobytes before it passes anything on gets them at once.
        self.unacknowledged.sending(false);
        self.send(cx, Message::Text(Text::from(PADDING)))?;
        let (received, from) = (self.from_agent.stored(), self.to_agent.sent());
        self.send_event(cx, &StreamEvent::Resume(StreamResume { received, from }))?;
        if let Some(line) = self.declared.take() {
            self.send_event(cx, &StreamEvent::Declared(line))?;
        }
        cx.engine.set_timer(Timer::LinkIdle(self.op), STREAM_ALIVE_EVERY);
        cx.shared.connected.insert(self.session.clone());
        cx.notify(RelayNotice::WorkerConnected { session: self.session.clone() });
        cx.refresh_session(self.owner.clone(), self.session.clone());
        if is_stopping || cx.shared.stops.has(&self.session) {
            self.stop(cx)?;
        }
        self.feed(cx);
        Ok(())
    }

    fn send_event(&mut self, cx: &mut Cx, event: &StreamEvent) -> Result<(), LinkEnd> {
        let is_line = matches!(event, StreamEvent::Line { .. });
        self.unacknowledged.sending(is_line);
        self.send(cx, Message::Text(event.to_text()))
    }

    /// Says why the stream ends, where it has no close code.
    pub(super) fn say_close(&mut self, cx: &mut Cx, code: u16) {
        if matches!(self.framing, Framing::Events(_)) {
            let close = StreamEvent::Close(StreamClose { code });
            cx.send(self.op, Message::Text(close.to_text()));
        }
    }

    /// Its worker has sent a request.
    pub(super) fn heard(&mut self, cx: &Cx) {
        self.heard_at = cx.now();
    }

    /// Its worker has said by a request how far the lines for the agent have come. Returns whether
    /// that has to be stored.
    pub(super) fn progressed(&mut self, cx: &mut Cx, delivered: u64, with_worker: u64) -> bool {
        // What was never sent is for the store to refuse.
        self.to_agent.on_done(delivered);
        let is_known =
            self.to_agent.on_ack(delivered).is_ok() && self.to_agent.on_held(with_worker).is_ok();
        let is_new = self.to_agent.note_at_once().is_some();
        self.to_agent.on_noted();
        self.feed(cx);
        is_new || !is_known
    }

    fn is_up(&self) -> bool {
        self.state != State::Greeting
    }

    pub(super) fn on_opened(&mut self, cx: &mut Cx) -> Result<(), LinkEnd> {
        self.touch(cx);
        let (stored, sent) = (self.from_agent.stored(), self.to_agent.sent());
        match self.framing {
            Framing::LinkV1 => {
                let window = Some(LINK_WINDOW_LINES_TO_RELAY);
                self.send_frame(
                    cx,
                    &ControlFrame::Resume { received: stored, from: sent, window },
                )?;
                self.send_declared(cx)
            }
            Framing::Ndjson => {
                self.send_declared(cx)?;
                // It cannot send a `resume`, so it continues where the store is.
                self.on_resume(cx, sent, stored)
            }
            Framing::Events(_) => Ok(()),
        }
    }

    /// Tells the agent what was declared to an earlier run of it, ahead of all lines.
    fn send_declared(&mut self, cx: &mut Cx) -> Result<(), LinkEnd> {
        let Some(line) = self.declared.take() else { return Ok(()) };
        match (self.framing, RawValue::from_string(line.as_str().into())) {
            (Framing::Events(_), _) => self.send_event(cx, &StreamEvent::Declared(line)),
            (Framing::Ndjson, _) => {
                self.unnumbered += 1;
                self.send(cx, Message::Text(line))
            }
            (Framing::LinkV1, Ok(message)) => {
                self.send_frame(cx, &ControlFrame::Declared { message })
            }
            // What the rules write is JSON.
            (Framing::LinkV1, Err(_)) => Err(LinkEnd::Cut),
        }
    }

    /// The worker is alive.
    fn touch(&mut self, cx: &mut Cx) {
        self.heard_at = cx.now();
        // Without control frames a worker that is merely quiet cannot be pinged; only its lease
        // shows that it is alive.
        if self.framing == Framing::LinkV1 {
            cx.engine.set_timer(Timer::LinkIdle(self.op), LINK_PING_AFTER);
        }
    }

    /// Nothing has arrived for a while.
    pub(super) fn on_idle(&mut self, cx: &mut Cx) -> Result<(), LinkEnd> {
        let (now, dead_at) = (cx.now(), self.heard_at + LINK_DEAD_AFTER);
        if let Framing::Events(acks) = self.framing {
            // One that sends no acks may have nothing to say for hours; its stream stalls if it is gone.
            if acks == Acks::Given && now >= dead_at {
                return Err(LinkEnd::Cut);
            }
            let next = now + STREAM_ALIVE_EVERY;
            let next = if acks == Acks::Given { next.min(dead_at) } else { next };
            cx.engine.timers.set(Timer::LinkIdle(self.op), next);
            self.unacknowledged.sending(false);
            return self.send(cx, Message::Text(StreamEvent::Unknown.to_text()));
        }
        if now >= dead_at {
            return Err(LinkEnd::Cut);
        }
        cx.engine.timers.set(Timer::LinkIdle(self.op), dead_at.min(now + LINK_PING_AFTER));
        self.send_frame(cx, &ControlFrame::Ping)
    }

    fn send_frame(&mut self, cx: &mut Cx, frame: &ControlFrame) -> Result<(), LinkEnd> {
        if self.framing != Framing::LinkV1 {
            return Ok(());
        }
        self.send(cx, Message::Binary(frame.to_bytes()))
    }

    fn send(&mut self, cx: &mut Cx, message: Message) -> Result<(), LinkEnd> {
        self.outgoing.add(&message);
        if self.outgoing.bytes() > LINK_BACKLOG_BYTES {
            // It keeps sending requests without reading the answers.
            return Err(LinkEnd::Cut);
        }
        cx.send(self.op, message);
        Ok(())
    }

    pub(super) fn on_sent(&mut self, cx: &mut Cx, messages: usize) {
        self.outgoing.sent(messages);
        // Without acks, a line counts as arrived once it has left. Each message is one line.
        if self.framing == Framing::Ndjson {
            let unnumbered = self.unnumbered.min(messages);
            self.unnumbered -= unnumbered;
            self.to_agent.on_left(messages - unnumbered);
            self.note_ack(cx);
            self.feed(cx);
        }
        if let Framing::Events(acks) = self.framing {
            let lines = self.unacknowledged.left(messages);
            if acks == Acks::Missing && lines > 0 {
                let surplus = self.unacknowledged.surplus(self.to_agent.in_flight());
                self.to_agent.on_left(surplus);
                self.note_ack(cx);
                self.feed(cx);
            }
        }
    }

    pub(super) fn on_received(&mut self, cx: &mut Cx, message: Message) -> Result<(), LinkEnd> {
        self.touch(cx);
        match message {
            Message::Text(text) => self.on_lines(cx, &text),
            Message::Binary(bytes) if self.framing == Framing::Ndjson => {
                let text = Text::from_utf8(bytes).map_err(|_| close::PROTOCOL)?;
                self.on_lines(cx, &text)
            }
            Message::Binary(bytes) => {
                let frame = ControlFrame::parse(&bytes).map_err(|_| close::PROTOCOL)?;
                self.on_frame(cx, frame)
            }
        }
    }

    fn on_frame(&mut self, cx: &mut Cx, frame: ControlFrame) -> Result<(), LinkEnd> {
        match frame {
            ControlFrame::Resume { received, from, .. } => self.on_resume(cx, received, from),
            ControlFrame::Ack { received } => self.on_ack(cx, received),
            ControlFrame::Held { received } => self.on_held(cx, received),
            ControlFrame::Report { message } => {
                let line = checked(Origin::Worker, one_line(&message))?;
                self.append(cx, alloc::vec![line])
            }
            ControlFrame::Ping => self.send_frame(cx, &ControlFrame::Pong),
            ControlFrame::Pong
            | ControlFrame::Stop
            | ControlFrame::Declared { .. }
            | ControlFrame::Unknown => Ok(()),
        }
    }

    fn on_resume(&mut self, cx: &mut Cx, received: u64, from: u64) -> Result<(), LinkEnd> {
        if self.is_up() || from == u64::MAX {
            return Err(close::PROTOCOL.into());
        }
        self.state = State::Up;
        cx.shared.connected.insert(self.session.clone());
        self.from_agent.resume(from);
        self.to_agent.resume(received);
        let (session, link) = (self.session.clone(), self.number);
        cx.notify(RelayNotice::WorkerConnected { session: session.clone() });
        let last = self.last.take();
        let resume = StoreOp::ResumeLink { session, link, received, from, last };
        self.store(cx, LinkStep::Resume, resume);
        Ok(())
    }

    fn on_lines(&mut self, cx: &mut Cx, text: &Text) -> Result<(), LinkEnd> {
        let lines = lines_of(text)?;
        self.append(cx, lines)
    }

    fn append(&mut self, cx: &mut Cx, lines: alloc::vec::Vec<Line>) -> Result<(), LinkEnd> {
        if !self.is_up() {
            return Err(close::PROTOCOL.into());
        }
        if lines.is_empty() {
            return Ok(());
        }
        let taken = self.from_agent.take(&lines)?;
        if let Some(note) = self.to_agent.note_at_once() {
            self.store_note(cx, note);
        }
        if taken.pauses {
            cx.engine.fx.act(self.op, |op| Action::Pause { op });
        }
        let (session, link, first) = (self.session.clone(), self.number, taken.first);
        let append = StoreOp::Append { session, link, first, lines };
        self.store(cx, LinkStep::Append { bytes: taken.bytes }, append);
        Ok(())
    }

    fn on_ack(&mut self, cx: &mut Cx, received: u64) -> Result<(), LinkEnd> {
        if !self.is_up() {
            return Err(close::PROTOCOL.into());
        }
        self.to_agent.on_ack(received)?;
        self.note_ack(cx);
        self.feed(cx);
        Ok(())
    }

    fn on_held(&mut self, cx: &mut Cx, received: u64) -> Result<(), LinkEnd> {
        if !self.is_up() {
            return Err(close::PROTOCOL.into());
        }
        self.to_agent.on_held(received)?;
        self.note_ack(cx);
        Ok(())
    }

    /// Tells the store what the worker has acknowledged, and what it has.
    fn note_ack(&mut self, cx: &mut Cx) {
        if let Some(note) = self.to_agent.next_note() {
            self.store_note(cx, note);
        }
    }

    fn store_note(&self, cx: &mut Cx, Note { acked: received, with_worker }: Note) {
        let (session, link) = (self.session.clone(), self.number);
        // What has left on a plain connection may never have arrived.
        let (delivered, with_worker) = match self.framing {
            Framing::LinkV1 | Framing::Events(Acks::Given) => (received, with_worker),
            Framing::Ndjson | Framing::Events(Acks::Missing) => (0, 0),
        };
        let last = None;
        let note = StoreOp::AckInbound { session, link, received, delivered, with_worker, last };
        self.store(cx, LinkStep::AckInbound, note);
    }

    /// Lines for the agent exist up to this one.
    pub(super) fn on_grown(&mut self, cx: &mut Cx, until: u64) {
        self.to_agent.grow(until);
        self.feed(cx);
    }

    /// Reads lines for the agent, if there are any and the window has room.
    fn feed(&mut self, cx: &mut Cx) {
        if !self.is_up() {
            return;
        }
        if let Some(Wanted { after, max_lines, max_bytes }) = self.to_agent.next_read() {
            let session = self.session.clone();
            let read = StoreOp::ReadInbound { session, after, max_lines, max_bytes };
            self.store(cx, LinkStep::ReadInbound, read);
        }
    }

    fn store(&self, cx: &mut Cx, step: LinkStep, store_op: StoreOp) {
        cx.store(Pending::Link { op: self.op, step }, store_op);
    }

    /// The store has carried out a step.
    pub(super) fn on_answer(
        &mut self,
        cx: &mut Cx,
        step: LinkStep,
        answer: Answer,
    ) -> Result<(), LinkEnd> {
        match (step, answer) {
            (LinkStep::Resume, Answer::Resumed { received, from, until, is_stopping }) => {
                self.from_agent.resumed(received);
                self.to_agent.resumed(from, until);
                if is_stopping || cx.shared.stops.has(&self.session) {
                    self.stop(cx)?;
                }
                cx.refresh_session(self.owner.clone(), self.session.clone());
                self.feed(cx);
                Ok(())
            }
            (LinkStep::Append { bytes }, Answer::Appended { received }) => {
                let stored = self.from_agent.on_stored(received, bytes);
                if let Some(received) = stored.ack {
                    self.send_frame(cx, &ControlFrame::Ack { received })?;
                }
                if stored.resumes {
                    cx.engine.fx.act(self.op, |op| Action::Resume { op });
                }
                Ok(())
            }
            (LinkStep::AckInbound, _) => {
                self.to_agent.on_noted();
                self.note_ack(cx);
                Ok(())
            }
            (LinkStep::ReadInbound, Answer::Inbound(lines)) => {
                self.to_agent.on_read(lines.len());
                let sent = self.to_agent.sent();
                for (number, line) in lines.into_iter().filter(|(number, _)| *number > sent) {
                    if !self.to_agent.admit(number, line.len()) {
                        return Ok(());
                    }
                    match self.framing {
                        Framing::Events(_) => {
                            self.send_event(cx, &StreamEvent::Line { number, line })?;
                        }
                        Framing::LinkV1 | Framing::Ndjson => self.send(cx, Message::Text(line))?,
                    }
                }
                self.feed(cx);
                Ok(())
            }
            // A store that answers a different question from the one it was asked is broken.
            _ => Ok(()),
        }
    }

    /// Tells the worker to end the session.
    pub(super) fn stop(&mut self, cx: &mut Cx) -> Result<(), LinkEnd> {
        if self.state != State::Up {
            return Ok(());
        }
        self.state = State::Stopping;
        if matches!(self.framing, Framing::Events(_)) {
            return self.send_event(cx, &StreamEvent::Stop);
        }
        self.send_frame(cx, &ControlFrame::Stop)
    }

    /// The link is over, or about to be.
    pub(super) fn on_forgotten(self, cx: &mut Cx) {
        for timer in [Timer::LinkIdle(self.op), Timer::LinkDrain(self.op)] {
            cx.engine.timers.clear(&timer);
        }
        if self.is_up() {
            let Self { session, owner, .. } = self;
            cx.shared.connected.remove(&session);
            cx.notify(RelayNotice::WorkerDisconnected { session: session.clone() });
            cx.refresh_session(owner, session);
        }
    }
}
