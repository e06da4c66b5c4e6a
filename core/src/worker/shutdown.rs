//! Stage 7: end everything, tell the relay, and be gone (W-9, E-7).
//!
//! ```text
//!   sessions end (TERM, grace, KILL) ──▶ results are reported ──▶ deregister ──▶ Finished
//! ```
//!
//! Each stage has a limit of its own, so that a relay that is away holds nothing up.

use alloc::string::String;
use alloc::vec::Vec;

use super::api;
use super::session::EndReason;
use super::{Purpose, Stage, Timer, Worker, WorkerNotice};
use crate::base::id::SessionId;
use crate::base::limits::{SHUTDOWN_FLUSH, SHUTDOWN_REPORT};
use crate::contract::action::Action;
use crate::contract::machine::{MachineError, Outcome};

/// How far a shutdown has come.
#[derive(Debug)]
pub(super) struct Shutdown {
    outcome: Outcome,
    is_deregistering: bool,
}

impl Worker {
    /// The first signal: everything ends in its own time.
    pub(super) fn shut_down(&mut self, outcome: Outcome) {
        if self.shutdown.is_some() {
            return;
        }
        self.shutdown = Some(Shutdown { outcome, is_deregistering: false });
        self.stage = Stage::ShuttingDown;
        self.cancel_poll();
        self.timers.clear(&Timer::Register);
        self.claims.clear();
        self.fx.notify(WorkerNotice::ShuttingDown { sessions: self.sessions.len() });
        let now = self.fx.now().mono;
        let flush_until = now + self.config.shutdown_grace + SHUTDOWN_FLUSH;
        for id in self.session_ids() {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.flush_until = Some(flush_until);
            }
            let why = String::from("the worker was shut down");
            self.end_session(&id, EndReason::Interrupted(why));
        }
        self.shut_down_further();
    }

    pub(super) fn shut_down_because(&mut self, fault: MachineError) {
        self.shut_down(Err(fault));
    }

    /// The second signal: nobody is waited for.
    pub(super) fn hurry(&mut self) {
        self.shut_down(Ok(()));
        let now = self.fx.now().mono;
        for id in self.session_ids() {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.flush_until = Some(now);
                session.process.kill(&mut self.fx);
            }
            self.settle_session(&id);
            self.schedule_session(&id);
        }
    }

    fn session_ids(&self) -> Vec<SessionId> {
        self.sessions.keys().cloned().collect()
    }

    /// Goes on to the next stage once the one before is done.
    pub(super) fn shut_down_further(&mut self) {
        let Some(shutdown) = &mut self.shutdown else { return };
        if !self.sessions.is_empty() || shutdown.is_deregistering {
            return;
        }
        if !self.timers.is_set(&Timer::Shutdown) {
            self.timers.set(Timer::Shutdown, self.fx.now().mono + SHUTDOWN_REPORT);
        }
        if !self.reports.is_empty() || self.removals > 0 {
            return;
        }
        shutdown.is_deregistering = true;
        match &self.registering.environment {
            Some(environment) => {
                let request = api::deregister(&self.config.relay, environment);
                self.fx.start(Purpose::Deregister, |op| Action::Request { op, request });
            }
            None => self.finish(),
        }
    }

    /// Deregistered, or refused, or out of time: the relay lets the environment lapse by itself.
    pub(super) fn finish(&mut self) {
        if let Some(shutdown) = &self.shutdown {
            self.fx.end(shutdown.outcome.clone());
        }
    }
}
