//! One call about sessions, before one of them is followed: which there are, where one can run, a new
//! one. It is repeated until it is answered, as long as it is allowed to fail.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use fastrand::Rng;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::access::{self, Access, Renewal, Renewed};
use super::cx::{Engine, Purpose, Timer};
use super::notice::{RemoteEvent, RemoteNotice};
use crate::auth::Credential;
use crate::base::id::SessionId;
use crate::base::limits::MAX_PEER_RECORD_BYTES;
use crate::base::secret::Secret;
use crate::base::text::Text;
use crate::base::time::UnixTime;
use crate::client::gate::{self, Gate, Verdict};
use crate::client::viewer_api::SessionKey;
use crate::client::{RequestError, answer, viewer_api, worker_api};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::backoff::{self, Backoff, BackoffConfig};
use crate::engine::runner::{Role, Runner, Slept, delegate_machine};
use crate::engine::uuid::uuid;
use crate::peer::sender::{Found, Reach, Sender, Unsigned, no_sender};
use crate::wire::device::Scope;
use crate::wire::rfc3339;
use crate::wire::url::BaseUrl;
use crate::wire::viewer::{
    AnswerLink, AnswerLinkPost, CreateSession, EnvironmentList, EnvironmentView, Origin,
    SessionList, SessionView,
};

/// How many sessions are listed.
const LISTED: usize = 50;

/// What is asked.
#[derive(Clone, Debug)]
pub enum LobbyCall {
    /// Which sessions there are.
    Sessions,
    /// Which environments there are.
    Environments,
    /// A new session.
    Create(CreateSession),
    /// That a session ends.
    Stop(SessionId),
    /// A session.
    Session(SessionId),
    /// A link that answers one of a session's questions, once (Y-9).
    Link {
        /// The session.
        session: SessionId,
        /// For which question.
        post: AnswerLinkPost,
    },
    /// A message for a session from another one, or from a person. Its sender is looked up each time
    /// that it is sent; the relay takes it once.
    Tell {
        /// For whom.
        session: SessionId,
        /// What.
        message: Unsigned,
    },
    /// A part of a session's log.
    Events {
        /// The session.
        session: SessionId,
        /// The event before the first one of these.
        after: u64,
        /// How many at most.
        limit: u64,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum LobbyAnswer {
    /// The newest first.
    Sessions(Vec<SessionView<'static>>),
    /// By id.
    Environments(Vec<EnvironmentView<'static>>),
    /// A link. Whoever has it can answer.
    Link(Box<AnswerLink>),
    /// The session: the new one, the one that ends, or the one that was asked for.
    Session(Box<SessionView<'static>>),
    /// Events in order and without gaps; fewer than asked for if they are long.
    Events {
        /// The events.
        events: Vec<RemoteEvent>,
        /// The first event that is still kept.
        first_seq: u64,
    },
    /// The relay has the message.
    Told,
    /// It failed, and is tried again.
    Retrying {
        /// Why.
        reason: String,
    },
}

/// A page of a log, with messages of its own.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    events: Vec<PageEvent>,
    first_seq: u64,
}

#[derive(Deserialize)]
struct PageEvent {
    seq: u64,
    #[serde(with = "rfc3339")]
    at: UnixTime,
    from: Origin,
    message: Box<RawValue>,
}

impl Page {
    fn into_answer(self) -> LobbyAnswer {
        let events = self.events.into_iter().map(|event| {
            let PageEvent { seq, at, from, message } = event;
            let message = Text::from(String::from(Box::<str>::from(message)));
            RemoteEvent { seq, at, from, message }
        });
        LobbyAnswer::Events { events: events.collect(), first_seq: self.first_seq }
    }
}

/// With what it is asked.
#[derive(Clone, Debug)]
pub struct LobbyConfig {
    /// The relay.
    pub relay: BaseUrl,
    /// What opens it.
    pub credential: Credential,
    /// What is asked.
    pub call: LobbyCall,
    /// Pauses between attempts, and when it gives up.
    pub backoff: BackoffConfig,
    /// A number that was not used before.
    pub seed: u64,
}

/// The machine that asks, reports the answer, and finishes.
#[derive(Debug)]
pub struct Lobby {
    runner: Runner<Asking>,
}

delegate_machine!(Lobby, core::convert::Infallible, LobbyAnswer);

impl Lobby {
    /// Asks with its first step.
    pub fn new(config: LobbyConfig) -> Self {
        let mut engine = Engine::new();
        let LobbyConfig { relay, credential, call, backoff, seed } = config;
        let mut gate = Gate::new(super::UNPROVED);
        gate.doubt();
        let mut rng = Rng::with_seed(seed);
        let key = uuid(&mut rng);
        let access = Access::new(credential, backoff);
        let backoff = Backoff::new(backoff);
        let sender = match &call {
            LobbyCall::Tell { message, .. } => {
                Some(Sender::new(message.handle.clone(), Reach::Relay))
            }
            _ => None,
        };
        let mut asking =
            Asking { relay, call, sender, key, gate, access, backoff, rng, told: Vec::new() };
        asking.ask(&mut engine);
        asking.settle(&mut engine);
        Self { runner: Runner::new(asking, engine) }
    }
}

#[derive(Debug)]
struct Asking {
    relay: BaseUrl,
    call: LobbyCall,
    sender: Option<Sender>,
    /// By which the relay knows it when it comes again.
    key: String,
    gate: Gate,
    access: Access,
    backoff: Backoff,
    rng: Rng,
    told: Vec<RemoteNotice>,
}

impl Asking {
    const fn key<'a>(&'a self, session: &'a SessionId, token: &'a Secret) -> SessionKey<'a> {
        SessionKey { relay: &self.relay, session, token, organization: None }
    }

    fn ask(&mut self, engine: &mut Engine<LobbyAnswer>) {
        match &mut self.sender {
            Some(sender) => {
                let found = sender.look();
                self.found(engine, found);
            }
            None => self.request(engine, None),
        }
    }

    fn found(&self, engine: &mut Engine<LobbyAnswer>, found: Found) {
        match found {
            Found::Load(path) => {
                let limit = MAX_PEER_RECORD_BYTES;
                engine.fx.start(Purpose::Sender, |op| Action::Load { op, path, limit });
            }
            Found::Sender(from) => self.request(engine, Some(from)),
            Found::Nobody(why) => {
                let (kind, message) = (MachineErrorKind::Local, no_sender(why));
                engine.fx.end(Err(MachineError { kind, message }));
            }
        }
    }

    /// `from` is who a message is from.
    fn request(&self, engine: &mut Engine<LobbyAnswer>, from: Option<String>) {
        let Some(token) = self.access.token() else { return };
        let mut request = match &self.call {
            LobbyCall::Sessions => viewer_api::sessions(&self.relay, &token, LISTED),
            LobbyCall::Environments => worker_api::environments(&self.relay, &token),
            LobbyCall::Create(body) => {
                viewer_api::create_session(&self.relay, &token, body, &self.key)
            }
            LobbyCall::Stop(session) => self.key(session, &token).stop(),
            LobbyCall::Session(session) => self.key(session, &token).look(),
            LobbyCall::Link { session, post } => self.key(session, &token).link(post),
            LobbyCall::Tell { session, message } => {
                match message.signed(from.unwrap_or_default()) {
                    Ok(envelope) => {
                        self.key(session, &token).send(&envelope.to_user_message(), None)
                    }
                    Err(message) => {
                        let kind = MachineErrorKind::Protocol;
                        return engine.fx.end(Err(MachineError { kind, message }));
                    }
                }
            }
            LobbyCall::Events { session, after, limit } => {
                self.key(session, &token).page(*after, *limit)
            }
        };
        self.access.show_trust(&mut request);
        engine.fx.start(Purpose::Look, |op| Action::Request { op, request });
    }

    const fn what(&self) -> (&'static str, Scope) {
        match self.call {
            LobbyCall::Sessions => ("list the sessions", Scope::Watch),
            LobbyCall::Environments => ("list the environments", Scope::Watch),
            LobbyCall::Create(_) => ("create a session", Scope::Drive),
            LobbyCall::Stop(_) => ("stop the session", Scope::Drive),
            LobbyCall::Session(_) => ("look at the session", Scope::Watch),
            LobbyCall::Link { .. } => ("make a link that answers the question", Scope::Answer),
            LobbyCall::Tell { .. } => ("send to the session", Scope::Drive),
            LobbyCall::Events { .. } => ("read the session's log", Scope::Watch),
        }
    }

    fn at_access<'a>(
        &'a mut self,
        engine: &'a mut Engine<LobbyAnswer>,
    ) -> (&'a mut Access, access::Cx<'a, LobbyAnswer>) {
        let Self { access, rng, relay, told, .. } = self;
        (access, access::Cx { engine, rng, relay, told })
    }

    fn answered(&mut self, engine: &mut Engine<LobbyAnswer>, event: Event) {
        let answered = match self.call {
            LobbyCall::Sessions => answer::<SessionList<'static>>(event)
                .map(|list| LobbyAnswer::Sessions(list.sessions)),
            LobbyCall::Environments => answer::<EnvironmentList<'static>>(event)
                .map(|list| LobbyAnswer::Environments(list.environments)),
            LobbyCall::Link { .. } => answer(event).map(|link| LobbyAnswer::Link(Box::new(link))),
            LobbyCall::Create(_) | LobbyCall::Stop(_) | LobbyCall::Session(_) => {
                answer(event).map(|session| LobbyAnswer::Session(Box::new(session)))
            }
            LobbyCall::Tell { .. } => answer::<IgnoredAny>(event).map(|_| LobbyAnswer::Told),
            LobbyCall::Events { .. } => answer::<Page>(event).map(Page::into_answer),
        };
        match answered {
            Ok(answer) => {
                engine.fx.notify(answer);
                engine.fx.end(Ok(()));
            }
            Err(error) => self.failed(engine, &error),
        }
    }

    fn failed(&mut self, engine: &mut Engine<LobbyAnswer>, error: &RequestError) {
        let (what, scope) = self.what();
        let now = engine.fx.now();
        if let Some(track) = error.track() {
            let pause = error.retry_after(now.wall);
            return match self.backoff.fail(now.mono, track, pause, &mut self.rng) {
                backoff::Verdict::RetryAfter(pause) => {
                    let reason = error.in_words(now.wall);
                    engine.fx.notify(LobbyAnswer::Retrying { reason });
                    engine.set_timer(Timer::Send, pause);
                }
                backoff::Verdict::GiveUp { .. } => {
                    engine.fx.end(Err(error.fault(what, &self.relay)));
                }
            };
        }
        if error.is_unauthorized() {
            let (access, mut cx) = self.at_access(engine);
            if access.refused(&mut cx, error) == Renewal::Begun {
                return;
            }
        }
        let fault = error.fault(what, &self.relay);
        let message = match fault.kind {
            MachineErrorKind::Forbidden => {
                format!("could not {what}: {error}; {}", self.access.advice(scope, &self.relay))
            }
            MachineErrorKind::NotFound => format!("could not {what}: {error}"),
            _ => fault.message,
        };
        engine.fx.end(Err(MachineError { kind: fault.kind, message }));
    }

    fn renewed(&mut self, engine: &mut Engine<LobbyAnswer>, renewed: Renewed) {
        match renewed {
            Renewed::Pending => {}
            Renewed::Ready => self.ask(engine),
            Renewed::Failed(error) => engine.fx.end(Err(error)),
        }
    }

    fn proof_answered(&mut self, engine: &mut Engine<LobbyAnswer>, event: Event) {
        let Self { gate, rng, relay, .. } = self;
        let mut cx = gate::Cx { fx: &mut engine.fx, rng, relay, proof: Purpose::Proof };
        let events = match gate.answered(&mut cx, event) {
            Verdict::Pending => return,
            Verdict::Proved { refusals, .. } => refusals,
            Verdict::Unproved(events) => events,
        };
        for event in events {
            self.handle(engine, event);
        }
        if self.gate.is_unproved() {
            self.gate.settled();
        }
    }

    fn handle(&mut self, engine: &mut Engine<LobbyAnswer>, event: Event) {
        match event.op().and_then(|op| engine.fx.finish(op)) {
            Some(Purpose::Proof) => self.proof_answered(engine, event),
            Some(Purpose::Look) => self.answered(engine, event),
            Some(Purpose::LockToken) => {
                let (access, mut cx) = self.at_access(engine);
                access.locked(&mut cx, &event);
            }
            Some(Purpose::Token) => {
                let (access, mut cx) = self.at_access(engine);
                let renewed = access.loaded(&mut cx, &event);
                self.renewed(engine, renewed);
            }
            Some(Purpose::RefreshToken) => {
                let (access, mut cx) = self.at_access(engine);
                let renewed = access.refreshed(&mut cx, event);
                self.renewed(engine, renewed);
            }
            Some(Purpose::SaveToken) => {
                let (access, mut cx) = self.at_access(engine);
                let renewed = access.saved(&mut cx, &event);
                self.renewed(engine, renewed);
            }
            Some(Purpose::Sender) => {
                if let Some(sender) = &mut self.sender {
                    let found = sender.loaded(&event);
                    self.found(engine, found);
                }
            }
            Some(Purpose::Stream | Purpose::Post | Purpose::Stdio) | None => {}
        }
    }
}

impl Role for Asking {
    type Command = core::convert::Infallible;
    type Notice = LobbyAnswer;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, _: &mut Engine<LobbyAnswer>, command: core::convert::Infallible) {
        match command {}
    }

    fn on_event(&mut self, engine: &mut Engine<LobbyAnswer>, event: Event) {
        let purpose = event.op().and_then(|op| engine.fx.purpose(op));
        let is_relays = purpose.is_some_and(Purpose::is_answered_by_relay);
        let event = if is_relays { self.gate.check(event) } else { Some(event) };
        if let Some(event) = event {
            self.handle(engine, event);
        }
    }

    fn on_timer(&mut self, engine: &mut Engine<LobbyAnswer>, timer: Timer) {
        match timer {
            Timer::Renew => {
                let (access, mut cx) = self.at_access(engine);
                access.renew(&mut cx);
            }
            _ => self.ask(engine),
        }
    }

    fn on_wake(&mut self, _: &mut Engine<LobbyAnswer>, _: Slept) {
        self.backoff.reset();
    }

    fn settle(&mut self, engine: &mut Engine<LobbyAnswer>) {
        self.told.clear();
        let Self { gate, rng, relay, access, .. } = self;
        let mut cx = gate::Cx { fx: &mut engine.fx, rng, relay, proof: Purpose::Proof };
        gate.hold(&mut cx, None, access.proved_by());
    }
}
