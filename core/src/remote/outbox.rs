//! What a viewer sends: in order, one at a time, each until it is accepted or refused (R-2).
//!
//! ```text
//!             the first one is sent            accepted, or refused: the next one
//!   Idle ───────────────────────────▶ Sending ────────────────────────────────────▶ Idle
//!                                      │   ▲
//!                                      ▼   │ after a pause, or once the stream is up again
//!                                     Pausing
//! ```
//!
//! Each has a name before it is sent for the first time, by which the relay knows it when it comes
//! again: nothing is lost over a lost answer, and nothing is said twice.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::access::{Access, Renewal};
use super::cx::{Cx, Purpose, Timer};
use super::notice::{RemoteNotice, Sent};
use crate::base::limits::{MAX_LINE_BYTES, MAX_REMOTE_WAITING, MAX_REMOTE_WAITING_BYTES};
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::client::{RequestError, answer};
use crate::contract::action::Request;
use crate::contract::event::Event;
use crate::contract::machine::MachineError;
use crate::engine::backoff::{Backoff, BackoffConfig, FailureTrack, Verdict};
use crate::engine::uuid::uuid;
use crate::wire::control;
use crate::wire::device::Scope;
use crate::wire::error::ErrorType;
use crate::wire::message::{Head, Kind};
use crate::wire::viewer::{CallbackPost, PermissionPost, PermissionReceipt, PostReceipt};

/// One thing to send.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Message { line: Text, uuid: String, request_id: Option<String> },
    Answer(PermissionPost),
    Callback { request_id: String, seq: u64, answer: Result<Text, String> },
    Interrupt { key: String },
    Stop,
}

impl Call {
    pub(super) fn sent(&self) -> Sent {
        match self {
            Self::Message { uuid, request_id, .. } => {
                Sent::Message { uuid: uuid.clone(), request_id: request_id.clone() }
            }
            Self::Answer(answer) => Sent::Answer { request_id: answer.request_id.clone() },
            Self::Callback { request_id, .. } => Sent::Callback { request_id: request_id.clone() },
            Self::Interrupt { key } => Sent::Interrupt { request_id: key.clone() },
            Self::Stop => Sent::Stop,
        }
    }

    /// Roughly what it takes while it waits.
    fn bytes(&self) -> usize {
        match self {
            Self::Message { line, .. } => line.len(),
            Self::Answer(answer) => {
                let input = answer.updated_input.as_ref().map_or(0, |input| input.get().len());
                let further = answer.further.values().map(|raw| raw.get().len()).sum::<usize>();
                input + further + answer.message.as_ref().map_or(0, String::len)
            }
            Self::Callback { answer: Ok(answer), .. } => answer.len(),
            Self::Callback { answer: Err(error), .. } => error.len(),
            Self::Interrupt { .. } | Self::Stop => 0,
        }
    }

    /// What a log-in has to be allowed for it.
    const fn scope(&self) -> Scope {
        match self {
            Self::Message { .. } | Self::Interrupt { .. } | Self::Stop => Scope::Drive,
            Self::Answer(_) | Self::Callback { .. } => Scope::Answer,
        }
    }

    fn request<N>(&self, cx: &Cx<'_, N>, token: &Secret) -> Request {
        let key = cx.key(token);
        let client = cx.config.client.as_deref();
        match self {
            Self::Message { line, .. } => key.send(line, client),
            Self::Answer(answer) => key.answer(answer),
            Self::Callback { request_id, seq, answer } => {
                let (response, error) = match answer {
                    Ok(json) => (serde_json::from_str::<&RawValue>(json.as_str()).ok(), None),
                    Err(error) => (None, Some(error.clone())),
                };
                key.answer_callback(&CallbackPost {
                    client: client.unwrap_or_default().to_string(),
                    request_id: request_id.clone(),
                    seq: *seq,
                    response,
                    error,
                })
            }
            Self::Interrupt { key: name } => key.interrupt(name),
            Self::Stop => key.stop(),
        }
    }

    /// The number that an answer gives it.
    fn seq(&self, event: Event) -> Result<u64, RequestError> {
        match self {
            Self::Message { .. } => {
                let receipt = answer::<PostReceipt<'_>>(event)?;
                Ok(receipt.accepted.first().map_or(0, |accepted| accepted.seq))
            }
            Self::Stop => answer::<IgnoredAny>(event).map(|_| 0),
            Self::Answer(_) | Self::Callback { .. } | Self::Interrupt { .. } => {
                answer::<PermissionReceipt>(event).map(|receipt| receipt.seq)
            }
        }
    }
}

/// A message to send, with the names that it lacks; the error is for people.
pub(super) fn message<N>(cx: &mut Cx<'_, N>, line: &Text) -> Result<Call, String> {
    let head = Head::parse(line).map_err(|error| error.to_string())?;
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("the message is longer than {MAX_LINE_BYTES} bytes"));
    }
    // On one line, which is how an agent reads it.
    let mut line = match line.as_str().contains(['\n', '\r']) {
        true => Text::from(line.as_str().replace(['\n', '\r'], " ")),
        false => line.clone(),
    };
    let mut named = |line: &mut Text, key: &str, name: Option<String>| match name {
        Some(name) if !name.is_empty() => name,
        _ => {
            let name = uuid(cx.rng);
            *line = control::with_name(line, key, &name);
            name
        }
    };
    let kind = head.kind();
    let request_id = (kind == Kind::ControlRequest)
        .then(|| named(&mut line, "request_id", head.request_id.clone().map(Cow::into_owned)));
    // The relay knows it again by this, whatever it is.
    let uuid = named(&mut line, "uuid", head.uuid.map(Cow::into_owned));
    Ok(Call::Message { line, uuid, request_id })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Sending,
    Pausing,
}

/// What a viewer still has to send.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: VecDeque<Call>,
    bytes: usize,
    state: State,
    backoff: Backoff,
}

/// What has come of the first one.
#[derive(Debug)]
pub(super) enum Sending {
    /// It is tried again.
    Pending,
    Accepted(Call, u64),
    /// The relay does not take it.
    Refused {
        call: Call,
        status: u16,
        kind: ErrorType,
        reason: String,
    },
    /// This viewer can do nothing more.
    Failed(MachineError),
}

impl Outbox {
    pub(super) const fn new(backoff: BackoffConfig) -> Self {
        let backoff = Backoff::new(backoff);
        Self { waiting: VecDeque::new(), bytes: 0, state: State::Idle, backoff }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_REMOTE_WAITING && self.bytes < MAX_REMOTE_WAITING_BYTES
    }

    /// Adds one; gives it back if there is no room.
    pub(super) fn push(&mut self, call: Call) -> Result<(), Call> {
        if !self.has_room() {
            return Err(call);
        }
        self.bytes += call.bytes();
        self.waiting.push_back(call);
        Ok(())
    }

    fn pop(&mut self) -> Option<Call> {
        let call = self.waiting.pop_front()?;
        self.bytes -= call.bytes();
        Some(call)
    }

    /// Sends the first one, unless one is on its way or the credential is being renewed.
    pub(super) fn pump<N>(&mut self, cx: &mut Cx<'_, N>, access: &Access) {
        let (State::Idle, Some(call)) = (self.state, self.waiting.front()) else { return };
        let Some(token) = access.token() else { return };
        let mut request = call.request(cx, &token);
        access.show_trust(&mut request);
        cx.request(Purpose::Post, request);
        self.state = State::Sending;
    }

    /// A pause is over: its time is up, or the relay is there again.
    pub(super) fn resume<N>(&mut self, cx: &mut Cx<'_, N>) {
        if self.state == State::Pausing {
            self.state = State::Idle;
            cx.clear_timer(Timer::Send);
        }
    }

    pub(super) fn wake<N>(&mut self, cx: &mut Cx<'_, N>) {
        self.backoff.reset();
        self.resume(cx);
    }

    /// The relay has answered, or could not be asked. `may_pass` if even a final refusal is not known
    /// to be the relay's.
    pub(super) fn answered<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        access: &mut Access,
        event: Event,
        may_pass: bool,
    ) -> Sending {
        self.state = State::Idle;
        let Some(call) = self.waiting.front() else { return Sending::Pending };
        let error = match call.seq(event) {
            Ok(seq) => {
                access.works();
                self.backoff.reset();
                let call = self.pop();
                return call.map_or(Sending::Pending, |call| Sending::Accepted(call, seq));
            }
            Err(error) => error,
        };
        // The stream by which the agent reaches this client may not be open yet, or not again.
        let is_early = cx.config.client.is_some()
            && error.refusal().is_some_and(|it| it.kind == ErrorType::CallbacksUnanswerable);
        let passes = (may_pass || is_early).then_some(FailureTrack::General);
        if let Some(track) = error.track().or(passes) {
            return self.pause(cx, &error, track);
        }
        if error.is_unauthorized() {
            return match access.refused(&mut cx.at_access(), &error) {
                Renewal::Begun => Sending::Pending,
                Renewal::Final => Sending::Failed(error.fault("send", &cx.config.relay)),
            };
        }
        let (status, kind) = error
            .refusal()
            .map_or((0, ErrorType::default()), |refusal| (refusal.status, refusal.kind.clone()));
        let scope = call.scope();
        let reason = match status {
            403 if kind == ErrorType::PermissionDenied => {
                format!("{error}; {}", access.advice(scope, &cx.config.relay))
            }
            _ => error.to_string(),
        };
        let call = self.pop();
        call.map_or(Sending::Pending, |call| Sending::Refused { call, status, kind, reason })
    }

    fn pause<N>(
        &mut self,
        cx: &mut Cx<'_, N>,
        error: &RequestError,
        track: FailureTrack,
    ) -> Sending {
        let wall = cx.engine.fx.now().wall;
        match self.backoff.fail(cx.now(), track, error.retry_after(wall), cx.rng) {
            Verdict::RetryAfter(pause) => {
                self.state = State::Pausing;
                cx.set_timer(Timer::Send, pause);
                Sending::Pending
            }
            Verdict::GiveUp { .. } => Sending::Failed(error.fault("send", &cx.config.relay)),
        }
    }

    /// Nothing more is sent: tells what was not.
    pub(super) fn abandon<N>(&mut self, cx: &mut Cx<'_, N>) {
        while let Some(call) = self.pop() {
            cx.tell(RemoteNotice::Unsent(call.sent()));
        }
    }
}
