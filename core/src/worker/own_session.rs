//! The one session of an embedded bridge (B-1): made in its environment, or taken up again.
//!
//! ```text
//!   NotWanted                     made                    over for good
//!   Wanted ──▶ Making ──▶ Known ─────────▶ runs ──▶ Over
//!     ▲          │ 401: registers again        │
//!     └──────────┴───────── the relay no longer has it (I-2)
//! ```

use alloc::format;

use serde::Deserialize;

use super::cx::{Cx, Purpose, Timer};
use super::lease::Environment;
use super::notice::WorkerNotice;
use crate::base::id::SessionId;
use crate::base::secret::Secret;
use crate::client::{answer, viewer_api};
use crate::contract::event::Event;
use crate::contract::machine::MachineError;
use crate::engine::backoff::{Backoff, Verdict};
use crate::wire::viewer::CreateSession;
use crate::wire::worker_api::environment::OWN_SESSION_KEY;
use crate::wire::worker_api::work::WorkItem;

const WHAT: &str = "create its session";

/// What a worker of one session knows about it.
#[derive(Debug)]
pub(super) struct OwnSession {
    stage: Stage,
    backoff: Backoff,
    /// Whether the credential was refused since it last worked.
    is_refused: bool,
    /// How many were made in this run.
    made: u32,
    /// Work that came before the answer that says whose it is.
    early: Option<WorkItem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// This worker takes whatever work there is.
    NotWanted,
    /// It is to be made once the environment is registered.
    Wanted,
    Making,
    Known(SessionId),
    Over,
}

/// What an answer leads to.
pub(super) enum Made {
    /// It is retried.
    Pending,
    /// The credential was refused: another one is found by registering.
    Refused,
    /// The environment is not there any more.
    EnvironmentGone,
    Failed(MachineError),
    /// Its work can be asked for.
    Known,
}

#[derive(Deserialize)]
struct Created {
    id: SessionId,
}

impl OwnSession {
    pub(super) const fn new(config: &super::WorkerConfig) -> Self {
        let stage = if config.own_session.is_some() { Stage::Wanted } else { Stage::NotWanted };
        Self {
            stage,
            backoff: Backoff::new(config.backoff),
            is_refused: false,
            made: 0,
            early: None,
        }
    }

    /// Whether this worker may run that session.
    pub(super) fn allows(&self, session: &SessionId) -> bool {
        match &self.stage {
            Stage::NotWanted => true,
            Stage::Known(own) => own == session,
            Stage::Wanted | Stage::Making | Stage::Over => false,
        }
    }

    /// Whether the item of another session can be told from its own by now.
    pub(super) const fn is_known(&self) -> bool {
        !matches!(self.stage, Stage::Wanted | Stage::Making)
    }

    /// Whether it is known and does not run: its work is still to come.
    pub(super) fn awaits_work(&self, runs: impl Fn(&SessionId) -> bool) -> bool {
        matches!(&self.stage, Stage::Known(own) if !runs(own))
    }

    /// An item came before it was known: it is looked at again once it is.
    pub(super) fn keep(&mut self, item: WorkItem) {
        self.early = Some(item);
    }

    /// What was kept, once it can be told whose it is.
    pub(super) fn take_kept(&mut self) -> Option<WorkItem> {
        if self.is_known() { self.early.take() } else { None }
    }

    /// The environment is registered. `left` is what an earlier run had there and has not ended, and
    /// `has` says whether a session is still there.
    pub(super) fn registered(
        &mut self,
        cx: &mut Cx<'_>,
        environment: &Environment,
        (token, run): (&Secret, &str),
        left: Option<SessionId>,
        has: impl Fn(&SessionId) -> bool,
    ) {
        if let Stage::Known(own) = &self.stage
            && !has(own)
        {
            self.stage = Stage::Wanted;
        }
        if !matches!(self.stage, Stage::Wanted | Stage::Making) {
            return;
        }
        if let Some(session) = left {
            self.stage = Stage::Known(session.clone());
            cx.notify(WorkerNotice::OwnSession { session, is_new: false });
            return;
        }
        self.make(cx, environment, token, run);
    }

    /// Makes it. The same again makes no second one: the key follows from the run.
    pub(super) fn make(
        &mut self,
        cx: &mut Cx<'_>,
        environment: &Environment,
        token: &Secret,
        run: &str,
    ) {
        if !matches!(self.stage, Stage::Wanted | Stage::Making) {
            return;
        }
        self.stage = Stage::Making;
        let title = cx.config.own_session.as_ref().and_then(|own| own.title.clone());
        let body = CreateSession::new(environment.id.clone(), title);
        let key = format!("{OWN_SESSION_KEY}{run}-{}", self.made);
        let request = viewer_api::create_session(&cx.config.relay, token, &body, &key);
        cx.request(Purpose::CreateSession, request);
    }

    pub(super) fn answered(&mut self, cx: &mut Cx<'_>, event: Event) -> Made {
        if self.stage != Stage::Making {
            return Made::Pending;
        }
        let error = match answer::<Created>(event) {
            Ok(Created { id }) => {
                self.backoff.reset();
                self.is_refused = false;
                self.made += 1;
                self.stage = Stage::Known(id.clone());
                cx.notify(WorkerNotice::OwnSession { session: id, is_new: true });
                return Made::Known;
            }
            Err(error) => error,
        };
        if error.is_unauthorized() && !core::mem::replace(&mut self.is_refused, true) {
            self.stage = Stage::Wanted;
            return Made::Refused;
        }
        if error.refusal().is_some_and(|refusal| matches!(refusal.status, 404 | 410)) {
            self.stage = Stage::Wanted;
            return Made::EnvironmentGone;
        }
        let Some(track) = error.track() else {
            return Made::Failed(error.fault(WHAT, &cx.config.relay));
        };
        let pause = cx.retry_after(&error);
        match self.backoff.fail(cx.now(), track, pause, cx.rng) {
            Verdict::RetryAfter(retry_in) => {
                cx.set_timer(Timer::CreateSession, retry_in);
                cx.notify_retry(WHAT, &error, retry_in);
                Made::Pending
            }
            Verdict::GiveUp { failing_for } => Made::Failed(cx.gave_up(WHAT, &error, failing_for)),
        }
    }

    /// It has ended here: for good, or because the relay no longer has it for this worker. Returns
    /// whether another one is to be made.
    pub(super) fn ended(&mut self, session: &SessionId, is_for_good: bool) -> bool {
        if !matches!(&self.stage, Stage::Known(own) if own == session) {
            return false;
        }
        self.stage = if is_for_good { Stage::Over } else { Stage::Wanted };
        !is_for_good
    }

    /// The computer slept: earlier failures no longer count (W-2).
    pub(super) fn wake(&mut self) {
        self.backoff.reset();
    }
}
