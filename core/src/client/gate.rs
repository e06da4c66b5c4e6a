//! Holds back what carries a credential until the relay has proved who it is (Y-4).
//!
//! ```text
//!          a request or a link failed           something is to be sent
//!   Open ─────────────────────────▶ Doubting ─────────────────────────▶ Asking
//!    ▲                                 ▲                                   │
//!    │                                 └───────── no proof: what was ──────┤
//!    │                                            held back fails          │
//!    └──────────────── proved: what was held back is sent ─────────────────┘
//! ```
//!
//! Another program may have taken the relay's address. It is sent neither a person's or a worker's
//! credential nor an environment's secret nor a session's token, and none of its refusals ends anything:
//! one that would be final counts only once the relay has proved that it comes from it. The parts of a
//! machine know nothing of this. To them, what cannot prove that it is the relay is a relay that cannot be reached,
//! or, where it refuses the proof with 401, one that knows none of their credentials.
//!
//! One proof serves everything that waits. What is held back is bounded by what the parts have under
//! way at once.

use alloc::format;
use alloc::vec::Vec;

use fastrand::Rng;

use super::device::shows_token;
use super::error::RequestError;
use super::proof::{ask_for_proof, proved};
use crate::base::id::OpId;
use crate::base::io_error::{IoError, IoErrorKind};
use crate::base::secret::Secret;
use crate::contract::action::{Action, Request, Response, Target};
use crate::contract::event::Event;
use crate::engine::effects::Effects;
use crate::wire::url::BaseUrl;

/// What a gate acts on, and what its questions are asked as.
#[derive(Debug)]
pub(crate) struct Cx<'a, P, N> {
    pub(crate) fx: &'a mut Effects<P, N>,
    pub(crate) rng: &'a mut Rng,
    pub(crate) relay: &'a BaseUrl,
    /// The purpose of a question.
    pub(crate) proof: P,
}

/// Whether what answers at the relay's address is the relay, as far as is known.
#[derive(Debug)]
pub(crate) struct Gate {
    state: State,
    held: Vec<Held>,
    /// What is failing in this call without having started: a runtime has nothing to cancel.
    failing: Vec<OpId>,
    /// What to say of something that proves nothing.
    advice: &'static str,
}

#[derive(Debug)]
enum State {
    /// It is, or it cannot prove anything.
    Open,
    /// Nobody knows.
    Doubting,
    Asking {
        number: u128,
        credential: Secret,
        /// The credential to ask with if it does not know that one.
        next: Option<Secret>,
    },
    /// It has proved nothing, and what was held back is failing because of that.
    Unproved,
}

#[derive(Debug)]
enum Held {
    /// It would show a credential.
    Request(OpId, Request),
    /// The same, for a session's link.
    Link(OpId, Target),
    /// A refusal that is final if it comes from the relay.
    Refusal(Event),
}

impl Held {
    fn op(&self) -> Option<OpId> {
        match self {
            Self::Request(op, _) | Self::Link(op, _) => Some(*op),
            Self::Refusal(event) => event.op(),
        }
    }

    /// What becomes of it without a proof.
    fn failed(&self, why: &Failure) -> Option<Event> {
        let op = self.op()?;
        let is_link = matches!(self, Self::Link(..) | Self::Refusal(Event::Refused { .. }));
        Some(match why.clone() {
            Failure::Refused(response) if is_link => Event::Refused { op, response },
            Failure::Refused(response) => Event::Response { op, response },
            Failure::Broken(failure) => Event::Failed { op, failure },
        })
    }
}

/// Why there was no proof.
#[derive(Clone, Debug)]
enum Failure {
    /// It knows none of the credentials, or cannot tell now.
    Refused(Response),
    /// There was no answer, or not one of a relay's.
    Broken(IoError),
}

/// What the answer to a question leads to.
pub(crate) enum Verdict<P> {
    /// It is asked once more, with another credential.
    Pending,
    /// It is the relay.
    Proved {
        /// What has started now, the id that it was to have, and the one that it has.
        started: Vec<(P, OpId, OpId)>,
        /// Its refusals, to be handled now.
        refusals: Vec<Event>,
    },
    /// Nobody knows what it is. These are to be handled now, as if they had just arrived.
    Unproved(Vec<Event>),
}

impl Gate {
    /// One that nobody has a reason to doubt. `advice` is for people, about something that has proved
    /// nothing.
    pub(crate) const fn new(advice: &'static str) -> Self {
        Self { state: State::Open, held: Vec::new(), failing: Vec::new(), advice }
    }

    /// What answers next may be another program.
    pub(crate) fn doubt(&mut self) {
        if matches!(self.state, State::Open) {
            self.state = State::Doubting;
        }
    }

    /// Whether what is being handled comes from something that has proved nothing.
    pub(crate) const fn is_unproved(&self) -> bool {
        matches!(self.state, State::Unproved)
    }

    /// Looks at what a relay that can prove who it is has answered. Returns it, unless it has to wait
    /// for a proof.
    pub(crate) fn check(&mut self, event: Event) -> Option<Event> {
        let (Event::Response { response, .. } | Event::Refused { response, .. }) = &event else {
            if matches!(event, Event::Failed { .. } | Event::Closed { .. }) {
                self.doubt();
            }
            return Some(event);
        };
        if (200..300).contains(&response.status) {
            return Some(event);
        }
        self.doubt();
        // Only one with a relay's own error could be final.
        if RequestError::of(response).track().is_none() {
            self.held.push(Held::Refusal(event));
            return None;
        }
        Some(event)
    }

    /// Holds back what is about to be sent, and asks for a proof if anything waits for one: with the
    /// first of these credentials, and then with the other one, since a relay that has restarted with
    /// other keys may know only what it was given itself.
    pub(crate) fn hold<P: Clone, N>(
        &mut self,
        cx: &mut Cx<'_, P, N>,
        secret: Option<&Secret>,
        own: &Secret,
    ) {
        let failing = core::mem::take(&mut self.failing);
        let is_open = matches!(self.state, State::Open);
        if is_open && failing.is_empty() {
            return;
        }
        let (held, relay) = (&mut self.held, cx.relay);
        cx.fx.filter(|action| {
            if matches!(action, Action::Cancel { .. }) {
                if failing.contains(&action.op()) {
                    return None;
                }
                let waiting = held.iter().position(|it| it.op() == Some(action.op()));
                if let Some(at) = waiting {
                    held.remove(at);
                    return None;
                }
                return Some(action);
            }
            if is_open || !shows_credential(&action, relay) {
                return Some(action);
            }
            match action {
                Action::Request { op, request } => held.push(Held::Request(op, request)),
                Action::Open { op, target } => held.push(Held::Link(op, target)),
                other => return Some(other),
            }
            None
        });
        if matches!(self.state, State::Doubting) && !self.held.is_empty() && !cx.fx.is_ended() {
            match secret {
                Some(secret) => self.ask(cx, secret.clone(), Some(own.clone())),
                None => self.ask(cx, own.clone(), None),
            }
        }
    }

    fn ask<P: Clone, N>(
        &mut self,
        cx: &mut Cx<'_, P, N>,
        credential: Secret,
        next: Option<Secret>,
    ) {
        let number = cx.rng.u128(..);
        let request = ask_for_proof(cx.relay, &credential, number);
        cx.fx.start(cx.proof.clone(), |op| Action::Request { op, request });
        self.state = State::Asking { number, credential, next };
    }

    /// A question was answered.
    pub(crate) fn answered<P: Clone, N>(
        &mut self,
        cx: &mut Cx<'_, P, N>,
        event: Event,
    ) -> Verdict<P> {
        let state = core::mem::replace(&mut self.state, State::Doubting);
        let State::Asking { number, credential, next } = state else {
            return Verdict::Pending;
        };
        let response = match &event {
            Event::Response { response, .. } => Some(response.clone()),
            _ => None,
        };
        let why = match proved(event, &credential, number) {
            Ok(()) => return self.release(cx),
            Err(RequestError::Broken(failure)) => Failure::Broken(failure),
            Err(error) => {
                if let Some(next) = next.filter(|_| error.is_unauthorized()) {
                    self.ask(cx, next, None);
                    return Verdict::Pending;
                }
                match response.filter(|_| error.refusal().is_some()) {
                    Some(response) => Failure::Refused(response),
                    None => Failure::Broken(unproved(&error, self.advice)),
                }
            }
        };
        self.state = State::Unproved;
        let held = core::mem::take(&mut self.held);
        self.failing = held.iter().filter_map(Held::op).collect();
        Verdict::Unproved(held.iter().filter_map(|held| held.failed(&why)).collect())
    }

    /// What was held back is sent; the refusals are the relay's own.
    fn release<P: Clone, N>(&mut self, cx: &mut Cx<'_, P, N>) -> Verdict<P> {
        self.state = State::Open;
        let (mut started, mut refusals) = (Vec::new(), Vec::new());
        self.failing = self.held.iter().filter_map(Held::op).collect();
        for held in self.held.drain(..) {
            match held {
                Held::Request(op, request) => {
                    let new = cx.fx.restart(op, |op| Action::Request { op, request });
                    started.extend(new.map(|(purpose, new)| (purpose, op, new)));
                }
                Held::Link(op, target) => {
                    let new = cx.fx.restart(op, |op| Action::Open { op, target });
                    started.extend(new.map(|(purpose, new)| (purpose, op, new)));
                }
                Held::Refusal(event) => refusals.push(event),
            }
        }
        Verdict::Proved { started, refusals }
    }

    /// What failed without a proof has been handled.
    pub(crate) fn settled(&mut self) {
        self.state = State::Doubting;
    }
}

fn unproved(error: &RequestError, advice: &str) -> IoError {
    let detail = format!("{error}; {advice}");
    IoError { kind: IoErrorKind::Other, detail }
}

/// Whether this action shows a credential to whatever answers at the relay's address.
fn shows_credential(action: &Action, relay: &BaseUrl) -> bool {
    let (url, headers) = match action {
        Action::Request { request, .. } if shows_token(request, relay) => return true,
        Action::Request { request, .. } => (&request.url, &request.headers),
        Action::Open { target: Target::WebSocket { url, headers, .. }, .. } => (url, headers),
        _ => return false,
    };
    headers.iter().any(|(name, _)| *name == "authorization") && relay.is_base_of(url)
}
