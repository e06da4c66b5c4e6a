//! The routing: each event goes to the part that its operation belongs to, each timer to the part
//! that set it, and whatever a part returns to the parts it concerns.

mod stages;
mod worktrees;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::base::id::{OpId, SessionId};
use crate::base::limits::SHUTDOWN_FLUSH;
use crate::client::gate::{self, Gate, Verdict};
use crate::client::{answer, worker_api};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::contract::machine;
use crate::engine::runner::{CxOf, Role, Slept};
use crate::wire::worker_api::work::StateAnswer;
use crate::worker::config::WorkerConfig;
use crate::worker::continuity::pointer::PointerFile;
use crate::worker::continuity::{Continuity, Opened};
use crate::worker::cx::{Cx, Purpose, Timer};
use crate::worker::dispatch::Claims;
use crate::worker::draining::Draining;
use crate::worker::heartbeat;
use crate::worker::lease::Lease;
use crate::worker::notice::{WorkerCommand, WorkerNotice};
use crate::worker::offers::Offers;
use crate::worker::own_session::OwnSession;
use crate::worker::poll::{self, Polling};
use crate::worker::register::{Answered, Registration};
use crate::worker::removal::Removals;
use crate::worker::result::{Finished, Reports};
use crate::worker::session::{EndReason, Ended, Outcome, Renewal, Session};
use crate::worker::sessions::Sessions;
use crate::worker::shutdown::{Remaining, Shutdown};
use crate::worker::survey::Survey;
use crate::worker::worktree::Worktrees;
use fastrand::Rng;

/// The worker without the loop around it.
#[derive(Debug)]
pub(super) struct Router {
    config: WorkerConfig,
    rng: Rng,
    parts: Parts,
}

/// What to say of something that cannot prove that it is the relay.
const UNPROVED: &str = "nothing there has proved that it is the relay that this worker has registered \
     with, so it was sent no credential; if you went back to an older version of the relay, restart \
     the worker with --trust-relay";

const fn at_gate<'a>(cx: &'a mut Cx<'_>) -> gate::Cx<'a, Purpose, WorkerNotice> {
    gate::Cx { fx: cx.fx, rng: cx.rng, relay: &cx.config.relay, proof: Purpose::Proof }
}

/// The parts of a worker. Each owns its state; none knows about another.
#[derive(Debug)]
pub(super) struct Parts {
    gate: Gate,
    continuity: Continuity,
    pointer: PointerFile,
    survey: Survey,
    registration: Registration,
    own: OwnSession,
    polling: Polling,
    claims: Claims,
    pub(super) sessions: Sessions,
    pub(super) reports: Reports,
    worktrees: Worktrees,
    offers: Offers,
    removals: Removals,
    draining: Draining,
    shutdown: Shutdown,
}

impl Router {
    pub(super) fn new(config: WorkerConfig, engine: &mut CxOf<Self>) -> Self {
        let mut router = Self {
            rng: Rng::with_seed(config.seed),
            parts: Parts {
                gate: Gate::new(UNPROVED),
                continuity: Continuity::new(&config),
                pointer: PointerFile::new(&config.directory, config.keeps_pointer),
                survey: Survey::default(),
                registration: Registration::new(&config),
                own: OwnSession::new(&config),
                polling: Polling::new(&config),
                claims: Claims::default(),
                sessions: Sessions::default(),
                reports: Reports::new(&config),
                worktrees: Worktrees::new(),
                offers: Offers::default(),
                removals: Removals::default(),
                draining: Draining::No,
                shutdown: Shutdown::NotBegun,
            },
            config,
        };
        router.with(engine, |parts, cx| {
            let opened = parts.continuity.load(cx);
            Parts::state_opened(cx, opened);
        });
        router
    }

    pub(super) const fn parts(&self) -> &Parts {
        &self.parts
    }

    fn with(&mut self, engine: &mut CxOf<Self>, act: impl FnOnce(&mut Parts, &mut Cx<'_>)) {
        let Self { config, rng, parts } = self;
        let mut cx = Cx { fx: &mut engine.fx, timers: &mut engine.timers, rng, config };
        act(parts, &mut cx);
    }
}

impl Role for Router {
    type Command = WorkerCommand;
    type Notice = WorkerNotice;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, engine: &mut CxOf<Self>, command: WorkerCommand) {
        self.with(engine, |parts, cx| match command {
            WorkerCommand::Shutdown => parts.shut_down(cx, Ok(())),
            WorkerCommand::ShutdownNow => parts.shut_down_now(cx),
            WorkerCommand::HandOver => parts.hand_over(cx),
            WorkerCommand::Drain { hand_over } => parts.drain(cx, hand_over),
        });
    }

    fn on_event(&mut self, engine: &mut CxOf<Self>, event: Event) {
        if let Some(op) = event.op() {
            self.with(engine, |parts, cx| parts.arrived(cx, op, event));
        }
    }

    fn on_timer(&mut self, engine: &mut CxOf<Self>, timer: Timer) {
        self.with(engine, |parts, cx| match timer {
            Timer::StateFile => {
                let opened = parts.continuity.retry(cx);
                Parts::state_opened(cx, opened);
            }
            Timer::Register => parts.registration.register(cx),
            Timer::CreateSession => parts.make_own_session(cx),
            Timer::RefreshToken => parts.registration.refresh_if_due(cx),
            Timer::Poll => parts.poll_if_there_is_room(cx),
            Timer::WorkStream => {
                if let Some(polled) = parts.polling.stream_due(cx) {
                    parts.polled(cx, polled);
                }
            }
            Timer::Ack(work) => parts.claims.ack(cx, &work),
            Timer::Heartbeat(session) => parts.sessions.heartbeat(cx, &session),
            Timer::Report(work) => parts.reports.send(cx, &work),
            Timer::Session(session) => {
                parts.session(cx, &session, Session::process_due);
                parts.session(cx, &session, Session::link_due);
                parts.session(cx, &session, Session::renewal_due);
            }
            Timer::Limit(session) => {
                parts.session(cx, &session, |session, cx| session.end(cx, EndReason::TimedOut));
            }
            Timer::Pointer => parts.pointer.touch(cx),
            Timer::WorktreeNote => parts.tell_of_worktrees(cx),
            // What is due is told once everything else is settled.
            Timer::Drain => {}
            Timer::Git => parts.worktrees.resume(cx),
            Timer::Shutdown => parts.shutdown.finish(cx),
        });
    }

    /// Failures from before the computer slept say nothing about now, and connections that were
    /// open are most likely dead without our having noticed (W-2).
    fn on_wake(&mut self, engine: &mut CxOf<Self>, slept: Slept) {
        self.with(engine, |parts, cx| {
            cx.notify(WorkerNotice::Woke { slept: slept.time });
            if parts.registration.relay_proves() {
                parts.gate.doubt();
            }
            parts.registration.wake(cx);
            parts.own.wake();
            parts.polling.wake(cx);
            parts.claims.wake(cx);
            parts.reports.wake(cx);
            parts.poll_if_there_is_room(cx);
            for id in parts.sessions.ids() {
                parts.session(cx, &id, |session, cx| {
                    session.wake(cx);
                    Outcome::Nothing
                });
            }
        });
    }

    fn settle(&mut self, engine: &mut CxOf<Self>) {
        self.with(engine, |parts, cx| {
            parts.end_if_drained(cx);
            parts.tell_of_drain(cx);
            let secret = parts.registration.environment().map(|own| &own.secret);
            parts.gate.hold(&mut at_gate(cx), secret, parts.registration.credential());
        });
    }
}

impl Parts {
    fn arrived(&mut self, cx: &mut Cx<'_>, op: OpId, event: Event) {
        let is_relays = cx.fx.purpose(op).is_some_and(|purpose| purpose.is_answered_by_relay());
        let event = match is_relays && self.registration.relay_proves() {
            true => self.gate.check(event),
            false => Some(event),
        };
        if let Some(event) = event {
            self.answered(cx, op, event);
        }
    }

    fn proof_answered(&mut self, cx: &mut Cx<'_>, event: Event) {
        match self.gate.answered(&mut at_gate(cx), event) {
            Verdict::Pending => {}
            Verdict::Proved { started, refusals } => {
                for (purpose, old, new) in started {
                    self.restarted(&purpose, old, new);
                }
                self.handle_all(cx, refusals);
            }
            Verdict::Unproved(events) => {
                self.handle_all(cx, events);
                self.gate.settled();
            }
        }
    }

    /// What the gate had held back has another id since it was sent.
    fn restarted(&mut self, purpose: &Purpose, old: OpId, new: OpId) {
        match purpose {
            Purpose::Poll | Purpose::WorkStream => self.polling.restarted(new),
            Purpose::Link(id) => {
                if let Some(session) = self.sessions.get_mut(id) {
                    session.link_restarted(old, new);
                }
            }
            _ => {}
        }
    }

    fn handle_all(&mut self, cx: &mut Cx<'_>, events: Vec<Event>) {
        for event in events {
            if let Some(op) = event.op() {
                self.answered(cx, op, event);
            }
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, op: OpId, event: Event) {
        let purpose = match cx.fx.purpose(op) {
            Some(lasting) if lasting.is_lasting() => Some(lasting),
            _ => cx.fx.finish(op),
        };
        // A late answer: ignore it.
        let Some(purpose) = purpose else { return };
        match purpose {
            Purpose::Agent(id) => self.session(cx, &id, |it, cx| it.agent_event(cx, event)),
            Purpose::Link(id) => self.session(cx, &id, |it, cx| it.link_event(cx, event)),
            Purpose::McpConfig(id) => {
                self.session(cx, &id, |session, cx| session.mcp_config_saved(cx, &event));
            }
            Purpose::Heartbeat(id, fence) => {
                let pulse = heartbeat::read(event);
                self.session(cx, &id, |it, cx| it.heartbeat_answered(cx, fence, pulse));
            }
            Purpose::Redispatch(id, registration) => {
                self.redispatch_answered(cx, &id, registration, event);
            }
            Purpose::LoadState => {
                let opened = self.continuity.loaded(cx, &event);
                Self::state_opened(cx, opened);
            }
            Purpose::SaveState => {
                let opened = self.continuity.saved(cx, &event);
                Self::state_opened(cx, opened);
                self.advance_shutdown(cx);
            }
            // One that cannot be written is no pointer, and nothing depends on it.
            Purpose::Pointer => self.advance_shutdown(cx),
            Purpose::ClearState => self.shutdown.finish(cx),
            Purpose::Git(question) => self.git_answered(cx, question, &event),
            Purpose::Worktree => self.worktree_answered(cx, &event),
            Purpose::WorktreeNote => {
                self.offers.told(cx, event);
                self.tell_of_worktrees(cx);
            }
            Purpose::Drain => self.draining.told(cx, event),
            Purpose::Proof => self.proof_answered(cx, event),
            Purpose::Register => self.register_answered(cx, event),
            Purpose::LockToken => self.registration.token_locked(cx, &event),
            Purpose::CreateSession => self.own_session_answered(cx, event),
            Purpose::Token => self.registration.token_loaded(cx, &event),
            Purpose::RefreshToken => {
                let refreshed = self.registration.token_refreshed(cx, event);
                if let Answered::Failed(error) = refreshed {
                    self.shut_down(cx, Err(error));
                }
            }
            Purpose::SaveToken => {
                self.registration.token_saved(cx);
                self.advance_shutdown(cx);
            }
            Purpose::Poll => self.poll_answered(cx, event),
            Purpose::WorkStream => self.work_streamed(cx, op, event),
            Purpose::WorkStreamOver => {
                if poll::is_last(&event) {
                    cx.fx.finish(op);
                }
            }
            Purpose::Ack(work) => self.ack_answered(cx, &work, event),
            Purpose::Spool(work) => self.reports.saved(cx, &work, &event),
            Purpose::ListSpool => {
                self.reports.listed(cx, &event);
                self.poll_if_there_is_room(cx);
            }
            Purpose::LoadSpool(work) => {
                if let Some(broken) = self.reports.loaded(cx, &work, &event) {
                    self.removals.remove(cx, broken);
                }
                self.poll_if_there_is_room(cx);
            }
            Purpose::Report(work, fence) => self.report_answered(cx, &work, fence, event),
            Purpose::Remove => {
                self.removals.removed();
                self.advance_shutdown(cx);
            }
            Purpose::Deregister => self.deregistered(cx, event),
        }
    }

    /// The worker knows what it is called, so that it may register.
    fn state_opened(cx: &mut Cx<'_>, opened: Opened) {
        if opened == Opened::Ready {
            Survey::start(cx);
        }
    }

    /// Runs something on a session, if it exists, and acts on the outcome.
    fn session(
        &mut self,
        cx: &mut Cx<'_>,
        id: &SessionId,
        act: impl FnOnce(&mut Session, &mut Cx<'_>) -> Outcome,
    ) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let outcome = act(session, cx);
        session.tell_questions(cx);
        let frees_room = matches!(outcome, Outcome::CleanWorktree | Outcome::RoomFreed);
        match outcome {
            Outcome::Nothing | Outcome::RoomFreed => {}
            Outcome::MakeWorktree(reference) => {
                let run = Some(session.agent_run().to_string());
                self.worktrees.make(cx, id, run, reference);
            }
            Outcome::CleanWorktree => {
                let run = Some(session.agent_run().to_string());
                self.worktrees.clean(cx, id, run);
            }
            Outcome::Redispatch => self.redispatch(cx, id),
            Outcome::AwaitLease => {
                self.polling.relay_answers(cx);
                self.poll_if_there_is_room(cx);
            }
        }
        self.sessions.note_rhythm(id);
        if let Some(notice) = self.sessions.note_fallback(id) {
            cx.notify(notice);
        }
        let changed = self.sessions.get_mut(id).and_then(Session::take_conversation);
        if let Some(conversation) = changed {
            self.continuity.converses(cx, id, conversation);
        }
        if let Some(session) = self.sessions.get_mut(id)
            && session.take_up()
        {
            self.pointer.show(cx, id, &session.lease().environment.id);
            self.polling.relay_answers(cx);
            self.poll_if_there_is_room(cx);
        }
        if let Some(ended) = self.sessions.settle(cx, id) {
            self.session_ended(cx, id, ended);
        }
        if frees_room {
            self.poll_if_there_is_room(cx);
        }
    }

    fn session_ended(&mut self, cx: &mut Cx<'_>, id: &SessionId, ended: Ended) {
        let Ended { lease, result, is_handed_over, is_forced, mcp_file } = ended;
        let other = self.sessions.any_other();
        if let Some(path) = self.pointer.end(cx, id, other) {
            self.removals.remove(cx, path);
        }
        if let Some(path) = mcp_file {
            self.removals.remove(cx, path);
        }
        let Lease { work, environment, fence, .. } = lease;
        let (session, item) = (id.clone(), work.clone());
        cx.notify(if is_handed_over {
            WorkerNotice::SessionHandedOver { session, work: item }
        } else {
            WorkerNotice::SessionEnded { session, work: item, result: result.clone() }
        });
        let is_for_good = is_handed_over || result.is_some();
        // One that was lost to this worker may come back, and continues then.
        self.offers.ended(id, &work, result.is_some());
        if result.is_some() {
            self.reports.complete(&work);
            let force = is_forced;
            let finished = Finished { environment, work, fence, force, result, worktree: None };
            self.reports.add(cx, finished);
        }
        if self.own.ended(id, is_for_good) {
            self.make_own_session(cx);
        }
        self.poll_if_there_is_room(cx);
        self.advance_shutdown(cx);
    }

    /// A session's token is no longer valid: asks the relay to dispatch it again with a fresh one.
    /// Meanwhile the session continues; the new item arrives through a poll (W-8).
    fn redispatch(&self, cx: &mut Cx<'_>, id: &SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let request =
            worker_api::redispatch(&cx.config.relay, session.lease().environment.key(), id);
        cx.request(Purpose::Redispatch(id.clone(), self.registration.count()), request);
    }

    fn redispatch_answered(
        &mut self,
        cx: &mut Cx<'_>,
        id: &SessionId,
        registration: u32,
        event: Event,
    ) {
        let answer = answer::<StateAnswer>(event);
        self.registration.note_answer(answer.as_ref().err());
        let Some(session) = self.sessions.get_mut(id) else { return };
        let error = match answer {
            Ok(_) => {
                session.renewal = Renewal::AwaitsLease;
                return self.poll_if_there_is_room(cx);
            }
            Err(error) => error,
        };
        // The next heartbeat runs into the same refusal and asks again, or else retries the link.
        if error.track().is_some() {
            return;
        }
        // A relay that restarted with other keys refuses the environment's secret as well. During a
        // shutdown no new one is fetched, and the agent still gets its time to end.
        let environment = session.lease().environment.id.clone();
        let is_ending = error.is_unauthorized() && self.registration.is_closed();
        if !is_ending && !self.may_be_secret(cx, &environment, &error, registration) {
            let reason = error.to_string();
            self.session(cx, id, |session, cx| session.lose(cx, reason));
        } else if registration != self.registration.count() {
            self.redispatch(cx, id);
        } else if let Some(session) = self.sessions.get_mut(id) {
            session.renewal = Renewal::AwaitsSecret;
        }
    }

    /// The first signal: everything ends in its own time (W-9).
    fn shut_down(&mut self, cx: &mut Cx<'_>, outcome: machine::Outcome) {
        if self.shutdown.begin(outcome) {
            let why = String::from("the worker was shut down");
            self.end_all(cx, &EndReason::Interrupted(why));
        }
    }

    /// The next run takes the environment and its sessions up: only agents end (W-13).
    fn hand_over(&mut self, cx: &mut Cx<'_>) {
        if self.shutdown.begin_hand_over() {
            self.pointer.leave(cx);
            self.end_all(cx, &EndReason::HandedOver);
        }
    }

    /// What is running ends in its own time, and nothing else begins.
    fn drain(&mut self, cx: &mut Cx<'_>, hand_over: bool) {
        if self.shutdown.drain(hand_over) {
            self.draining.begin();
            if self.sessions.await_lease() {
                // What is awaited for a session that runs still comes, and nothing else does.
                self.polling.drop_stream(cx);
                self.poll_if_there_is_room(cx);
            } else {
                self.polling.cancel(cx);
            }
            cx.notify(WorkerNotice::Draining { sessions: self.sessions.len() });
        }
    }

    fn end_if_drained(&mut self, cx: &mut Cx<'_>) {
        let Some(hand_over) = self.shutdown.draining() else { return };
        if self.sessions.len() == 0 && self.claims.len() == 0 {
            if hand_over { self.hand_over(cx) } else { self.shut_down(cx, Ok(())) }
        }
    }

    /// Not of one that ends at once.
    fn tell_of_drain(&mut self, cx: &mut Cx<'_>) {
        if self.shutdown.draining().is_some() {
            self.draining.tell(cx, self.registration.serving());
        }
    }

    fn end_all(&mut self, cx: &mut Cx<'_>, reason: &EndReason) {
        self.polling.cancel(cx);
        self.registration.close(cx);
        self.claims.clear();
        self.worktrees.stop();
        cx.notify(WorkerNotice::ShuttingDown { sessions: self.sessions.len() });
        let flush_deadline = cx.now() + cx.config.shutdown_grace + SHUTDOWN_FLUSH;
        for id in self.sessions.ids() {
            self.session(cx, &id, |session, cx| {
                session.limit_flush(flush_deadline);
                session.end(cx, reason.clone())
            });
        }
        self.advance_shutdown(cx);
    }

    /// The second signal: nothing is waited for.
    fn shut_down_now(&mut self, cx: &mut Cx<'_>) {
        self.shut_down(cx, Ok(()));
        for id in self.sessions.ids() {
            self.session(cx, &id, |session, cx| {
                session.kill(cx);
                Outcome::Nothing
            });
        }
    }

    fn advance_shutdown(&mut self, cx: &mut Cx<'_>) {
        let is_idle = self.worktrees.is_idle()
            && self.reports.is_empty()
            && self.removals.is_empty()
            && !cx.fx.has_open_for(Purpose::is_kept_for_the_next_run);
        let remaining = match is_idle {
            _ if self.sessions.len() > 0 => Remaining::Sessions,
            true => Remaining::Nothing,
            false => Remaining::Reports,
        };
        self.shutdown.advance(cx, remaining, self.registration.environment());
    }

    /// Once the relay has let the environment go, there is nothing left for another run to
    /// continue.
    fn deregistered(&mut self, cx: &mut Cx<'_>, event: Event) {
        let is_gone = match answer::<StateAnswer>(event) {
            Ok(_) => true,
            Err(trouble) => matches!(trouble.refusal().map(|r| r.status), Some(404 | 410)),
        };
        match self.continuity.close().filter(|_| is_gone) {
            Some(path) => {
                cx.fx.start(Purpose::ClearState, |op| Action::Remove { op, path });
            }
            None => self.shutdown.finish(cx),
        }
    }
}
