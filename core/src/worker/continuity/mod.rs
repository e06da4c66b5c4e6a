//! What a worker keeps in its state directory, so that its next run can continue (W-13).
//!
//! ```text
//!   start ──▶ Load ──▶ Save, with the number of this run ──▶ register ──▶ sessions start, end
//!                                                                └──▶ Save, one at a time
//! ```
//!
//! The worker's id and the number of its run are durable before it registers, so no run can leave an
//! environment behind that the next one does not find, and the relay can tell them apart even if
//! their requests arrive late. The rest may lag behind by one write: a session that is missing is
//! given to a new agent, and one too many is forgotten when the relay says which ones continue.
//!
//! A disk that fails is tried again. A file that cannot be read is never replaced: it may name
//! sessions. So the worker does not register before it was read, and says why. One that cannot be
//! written costs nothing as long as the worker runs.

pub(super) mod pointer;
mod state;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

pub use self::state::{Identity, Places};
use self::state::{KeptSession, State};
use super::config::WorkerConfig;
use super::cx::{Cx, Purpose, Timer};
use super::lease::Environment;
use super::notice::WorkerNotice;
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::io_error::IoErrorKind;
use crate::base::limits::{MAX_KEPT_SESSIONS, MAX_STATE_FILE_BYTES, STATE_FILE_RETRY};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::wire::to_json;

/// Whether a state file names sessions that the next run continues.
pub(super) fn has_sessions(file: &[u8]) -> bool {
    State::parse(file).is_ok_and(|state| !state.sessions.is_empty())
}

/// What a worker has left, by its state file.
pub(super) enum Left {
    /// Sessions; and what it ran as.
    Sessions(Identity),
    /// It knows of none that has not ended.
    NoSessions,
    /// The file makes no sense, or was written before it said what its worker ran as.
    Nothing,
}

pub(super) fn left_in(file: &[u8]) -> Left {
    match State::parse(file) {
        Ok(state) if state.sessions.is_empty() => Left::NoSessions,
        Ok(State { identity: Some(identity), .. }) => Left::Sessions(identity),
        Ok(State { identity: None, .. }) | Err(_) => Left::Nothing,
    }
}

/// The worker's state file, and what it holds.
#[derive(Debug)]
pub(super) struct Continuity {
    /// `None` if there is no state directory.
    path: Option<String>,
    state: State,
    file: File,
}

/// What the file is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum File {
    /// Before the worker registers: it is being read, or given its first content.
    Opening,
    /// The same, but it cannot be read. The timer is set.
    Unreadable,
    Idle,
    Saving {
        /// It has changed since.
        is_outdated: bool,
        /// The last try has failed.
        is_again: bool,
    },
    /// It cannot be written. The timer is set.
    Unwritable,
}

/// How a session begins that a work item asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It has had no agent here before.
    First,
    /// Its last agent ended with the previous run of this worker, and had this conversation.
    Again { conversation: Option<String> },
    /// The same, but whatever this worker's state knew of it is gone.
    Forgotten,
}

/// Whether the worker may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    NotYet,
    Ready,
}

impl Continuity {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        let path = config.state_directory.as_ref().map(|state| format!("{state}/worker.json"));
        Self { path, state: State::default(), file: File::Opening }
    }

    /// Reads the file.
    pub(super) fn load(&mut self, cx: &mut Cx<'_>) -> Opened {
        let Some(path) = self.path.clone() else {
            self.begin_run(cx);
            self.file = File::Idle;
            return Opened::Ready;
        };
        let limit = MAX_STATE_FILE_BYTES;
        cx.fx.start(Purpose::LoadState, |op| Action::Load { op, path, limit });
        Opened::NotYet
    }

    /// It was read. A file that makes no sense is replaced.
    pub(super) fn loaded(&mut self, cx: &mut Cx<'_>, event: &Event) -> Opened {
        if let Event::Failed { failure, .. } = event
            && failure.kind != IoErrorKind::TooLarge
        {
            if self.file != File::Unreadable {
                let reason = failure.to_string();
                cx.notify(WorkerNotice::StateUnreadable { reason });
            }
            self.file = File::Unreadable;
            cx.set_timer(Timer::StateFile, STATE_FILE_RETRY);
            return Opened::NotYet;
        }
        self.file = File::Opening;
        let reason = match event {
            Event::Loaded { data: Some(data), .. } => match State::parse(data) {
                Ok(state) => {
                    self.state = state;
                    None
                }
                Err(error) => Some(error.to_string()),
            },
            Event::Failed { failure, .. } => Some(failure.to_string()),
            _ => None,
        };
        if let Some(reason) = reason {
            cx.notify(WorkerNotice::StateLost { reason });
        }
        self.begin_run(cx);
        self.write(cx);
        Opened::NotYet
    }

    fn begin_run(&mut self, cx: &mut Cx<'_>) {
        if self.state.worker_id.is_empty() {
            self.state.worker_id = format!("{:032x}", cx.rng.u128(..));
        }
        self.state.run = self.state.run.saturating_add(1);
        let (machine_name, directory) =
            (cx.config.machine_name.clone(), cx.config.directory.clone());
        let places = Places::from(&cx.config.spawn_mode);
        let before = self.state.identity.as_ref().map(|identity| identity.places);
        let had_worktrees = before.map(|before| before == Places::Worktree);
        if let Some(had_worktrees) = had_worktrees
            && had_worktrees != (places == Places::Worktree)
            && !self.state.sessions.is_empty()
        {
            cx.notify(WorkerNotice::PlacesChanged { had_worktrees });
        }
        self.state.identity = Some(Identity { machine_name, directory, places });
    }

    /// It was written, or could not be.
    pub(super) fn saved(&mut self, cx: &mut Cx<'_>, event: &Event) -> Opened {
        let before = core::mem::replace(&mut self.file, File::Idle);
        let has_failed_before = matches!(before, File::Saving { is_again: true, .. });
        if let Event::Failed { failure, .. } = event {
            if !has_failed_before {
                cx.notify(WorkerNotice::StateNotSaved { reason: failure.to_string() });
            }
            self.file = File::Unwritable;
            cx.set_timer(Timer::StateFile, STATE_FILE_RETRY);
        } else if has_failed_before {
            cx.notify(WorkerNotice::StateSaved);
        }
        if let File::Saving { is_outdated: true, .. } = before {
            self.save(cx);
        }
        if before == File::Opening { Opened::Ready } else { Opened::NotYet }
    }

    /// The pause after a failure is over.
    pub(super) fn retry(&mut self, cx: &mut Cx<'_>) -> Opened {
        match self.file {
            File::Unreadable => self.load(cx),
            File::Unwritable => {
                self.file = File::Saving { is_outdated: false, is_again: true };
                self.write(cx);
                Opened::NotYet
            }
            File::Opening | File::Idle | File::Saving { .. } => Opened::NotYet,
        }
    }

    fn save(&mut self, cx: &mut Cx<'_>) {
        match &mut self.file {
            File::Saving { is_outdated, .. } => *is_outdated = true,
            File::Idle if self.path.is_some() => {
                self.file = File::Saving { is_outdated: false, is_again: false };
                self.write(cx);
            }
            // One that waits for its disk is written with all that has changed by then.
            File::Idle | File::Opening | File::Unreadable | File::Unwritable => {}
        }
    }

    fn write(&self, cx: &mut Cx<'_>) {
        let Some(path) = self.path.clone() else { return };
        let data = to_json(&self.state);
        cx.fx.start(Purpose::SaveState, |op| Action::Save { op, path, data });
    }

    /// The worker's own id.
    pub(super) fn worker_id(&self) -> &str {
        &self.state.worker_id
    }

    /// Which of the worker's runs this is.
    pub(super) const fn run(&self) -> u64 {
        self.state.run
    }

    /// The environment to take up again.
    pub(super) const fn environment(&self) -> Option<&EnvironmentId> {
        self.state.environment_id.as_ref()
    }

    /// The environment is registered, and `continues` says which of its sessions continue. The
    /// others are forgotten.
    pub(super) fn registered(
        &mut self,
        cx: &mut Cx<'_>,
        environment: &Environment,
        relay_proves: bool,
        continues: impl Fn(&SessionId) -> bool,
    ) {
        let kept = self.state.sessions.len();
        self.state.sessions.retain(|id, _| continues(id));
        let is_same = self.state.environment_id.as_ref() == Some(&environment.id);
        let proves_anew = relay_proves && !self.state.relay_proves;
        if !is_same || proves_anew || self.state.sessions.len() != kept {
            self.state.relay_proves |= relay_proves;
            self.state.environment_id = Some(environment.id.clone());
            self.save(cx);
        }
    }

    /// Whether the relay has to prove that it is the one that a previous run had registered with.
    pub(super) const fn relay_proves(&self) -> bool {
        self.state.relay_proves
    }

    /// Whether a previous run had this session.
    pub(super) fn has(&self, session: &SessionId) -> bool {
        self.state.sessions.contains_key(session)
    }

    /// The sessions of the run before.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.state.sessions.keys()
    }

    /// A session begins under this item. Returns what its last agent left.
    pub(super) fn begin(
        &mut self,
        cx: &mut Cx<'_>,
        session: &SessionId,
        work: &WorkId,
        is_running: impl Fn(&SessionId) -> bool,
    ) -> Beginning {
        let sessions = &mut self.state.sessions;
        let before = sessions.get(session).map(|kept| kept.conversation.clone());
        let kept =
            KeptSession { work: work.clone(), conversation: before.clone().unwrap_or_default() };
        sessions.insert(session.clone(), kept);
        forget_surplus(sessions, |id| id == session || is_running(id));
        self.save(cx);
        match before {
            None => Beginning::First,
            Some(conversation) => Beginning::Again { conversation },
        }
    }

    /// A session continues under another item.
    pub(super) fn renew(&mut self, cx: &mut Cx<'_>, session: &SessionId, work: &WorkId) {
        if let Some(kept) = self.state.sessions.get_mut(session)
            && kept.work != *work
        {
            kept.work = work.clone();
            self.save(cx);
        }
    }

    /// A session's agent is in this conversation now; `None` if it has left the one before.
    pub(super) fn converses(
        &mut self,
        cx: &mut Cx<'_>,
        session: &SessionId,
        conversation: Option<String>,
    ) {
        if let Some(kept) = self.state.sessions.get_mut(session)
            && kept.conversation != conversation
        {
            kept.conversation = conversation;
            self.save(cx);
        }
    }

    /// The relay has the result of an item, or will never take it: its session is over.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, work: &WorkId) {
        let kept = self.state.sessions.len();
        self.state.sessions.retain(|_, kept| kept.work != *work);
        if self.state.sessions.len() != kept {
            self.save(cx);
        }
    }

    /// The environment is gone, and nothing is left to continue: the file to remove.
    pub(super) fn close(&mut self) -> Option<String> {
        self.file = File::Idle;
        self.path.take()
    }
}

/// A session that was lost to this worker may come back, so it is kept, but not for ever.
fn forget_surplus(
    sessions: &mut BTreeMap<SessionId, KeptSession>,
    is_needed: impl Fn(&SessionId) -> bool,
) {
    while sessions.len() > MAX_KEPT_SESSIONS {
        let Some(id) = sessions.keys().find(|id| !is_needed(id)).cloned() else { return };
        sessions.remove(&id);
    }
}
