//! A worker's configuration from the command line, and its notices in words.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use footbridge_core::auth::Credential;
use footbridge_core::wire::session::{ResultStatus, SessionResult};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{Checked, Finding, SpawnMode, WorkerConfig, WorkerNotice};
use footbridge_supervision::Strays;
use sha2::{Digest as _, Sha256};

use crate::agent_line::{agent_program, agent_resume, require_program};
use crate::args::{RelayArgs, Work};
use crate::duration::shown;
use crate::event_log::EventLog;
use crate::exit::Error;
use crate::lock::Lock;
use crate::log_ins::credential_for;
use crate::service_manager;
use crate::token::{Sources, TOKEN_VARIABLE, TRUST_VARIABLES};
use crate::value::{self, Level};

/// The configuration of a worker for a relay that runs elsewhere, and the lock that keeps a second
/// one away.
pub fn remote(
    relay: &BaseUrl,
    reach: &RelayArgs,
    work: &Work,
) -> Result<(WorkerConfig, Option<Lock>), Error> {
    let sources = Sources::of(&reach.reports);
    let token = credential_for(&sources, relay)?;
    let state = sources.state_directory();
    prepare(relay.clone(), token, work, state.as_deref())
}

/// Says once that a worker needs less than it was given (Y-4).
pub fn warn_of_access_token(log: EventLog, config: &WorkerConfig) {
    if config.credential.is_worker_credential() || config.credential.log_in().is_some() {
        return;
    }
    let words = format_args!(
        "this worker was given an access token, with which whoever reads it can answer for its \
         owner. It needs less: make a credential where the relay runs, with footbridge relay \
         credential --name {}, and give it in {TOKEN_VARIABLE} or with --token-file",
        config.machine_name
    );
    log.write(Level::Warn, "access_token_held", &[], words);
}

/// The same for a relay that is reached with `token`. What must outlive the worker is kept below
/// `state`.
pub fn prepare(
    relay: BaseUrl,
    token: Credential,
    work: &Work,
    state: Option<&Path>,
) -> Result<(WorkerConfig, Option<Lock>), Error> {
    let mut config = config(relay, token, work)?;
    let usual = own_state(state, &config.relay, &config.directory, work.name.as_deref());
    let own = work.state_directory.clone().or_else(|| usual.clone());
    let what = service(&config.directory, &config.relay);
    let mut lock = own.as_deref().map(|own| Lock::take(own, &what)).transpose()?;
    if let (Some(lock), Some(usual)) =
        (&mut lock, usual.filter(|usual| own.as_ref() != Some(usual)))
    {
        // The directory has moved: whoever starts here next has to find the usual one taken.
        lock.and(&usual, &what)?;
    }
    config.spawn_mode = spawn_mode(work.spawn_mode, own.as_deref())?;
    if let Some(own) = own.as_deref().and_then(|own| Path::new(own).file_name()?.to_str()) {
        footbridge_supervision::set_owner(own);
    }
    config.state_directory = own;
    Ok((config, lock))
}

/// Whether a worker could have this part of the state directory, which is left as it was.
pub fn try_lock(own: &str, directory: &str, relay: &BaseUrl) -> Result<(), Error> {
    Lock::try_out(own, &service(directory, relay))
}

/// What a worker serves, for people.
fn service(directory: &str, relay: &BaseUrl) -> String {
    format!("{directory} at {relay}")
}

fn config(relay: BaseUrl, token: Credential, work: &Work) -> Result<WorkerConfig, Error> {
    let directory = crate::directory(work.directory.as_deref().unwrap_or(Path::new(".")))?;
    let agent = agent_program(work.agent.as_deref())?;
    let agent_resume = agent_resume(&agent, work.agent_resume.as_deref())?;
    if !work.may_lack_agent {
        require_program(&agent, &directory, work.spawn_mode).map_err(|error| {
            let advice = "; or start without it, with --allow-missing-agent";
            Error { message: error.message + advice, ..error }
        })?;
    }
    let mut config = WorkerConfig::new(relay, token, directory, agent, crate::seed()?);
    config.agent_resume = agent_resume;
    config.machine_name = work.name.clone().unwrap_or_else(host_name);
    config.agent_env_remove = withheld();
    config.take_up.clone_from(&work.take_up);
    config.keeps_pointer = true;
    config.max_sessions = work.max_sessions;
    config.session_limit = work.session_limit;
    config.shutdown_grace = work.shutdown_grace;
    config.allowance.clone_from(&work.allowance);
    config.trusts_repository = work.trusts_repository;
    config.disposable.clone_from(&work.disposable);
    config.trusts_relay = work.trusts_relay;
    config.transport = work.transport.into();
    config.work_by = work.work_by.into();
    config.backoff = work.backoff;
    config.stop_work_base_delay = work.stop_work_base_delay;
    Ok(config)
}

/// The variables that are for this program alone, and for no agent.
pub fn withheld() -> Vec<String> {
    let own = [TOKEN_VARIABLE].into_iter().chain(TRUST_VARIABLES);
    let all = own.chain(service_manager::VARIABLES);
    all.map(str::to_owned).collect()
}

/// Worktrees are kept in the worker's own part of the state directory, which is locked by now: no
/// other worker takes one of its sessions' for abandoned.
fn spawn_mode(wanted: value::SpawnMode, own: Option<&str>) -> Result<SpawnMode, Error> {
    match wanted {
        value::SpawnMode::SingleSession => Ok(SpawnMode::SingleSession),
        value::SpawnMode::SameDir => Ok(SpawnMode::SameDir),
        value::SpawnMode::Worktree => {
            let root = own.map(|own| Path::new(own).join("worktrees")).ok_or_else(|| {
                Error::usage("nowhere to keep worktrees because HOME is not set: set it")
            })?;
            DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(|error| {
                Error::disk(format_args!("cannot create the directory {}", root.display()), &error)
            })?;
            Ok(SpawnMode::Worktree { root: crate::directory(&root)? })
        }
    }
}

/// The part of the state directory for one relay and one directory: another relay must not learn
/// the results of this one's sessions. Workers of different names have parts of their own. `None`
/// if there is no place for it, or its path is not text.
pub fn own_state(
    state: Option<&Path>,
    relay: &BaseUrl,
    directory: &str,
    name: Option<&str>,
) -> Option<String> {
    let name = name.map(|name| format!("\n{name}")).unwrap_or_default();
    part(state, "workers", &format!("{relay}\n{directory}{name}"))
}

/// The same for a chat.
pub fn chat_state(state: Option<&Path>, relay: &BaseUrl, directory: &str) -> Option<String> {
    part(state, "chats", &format!("{relay}\n{directory}"))
}

fn part(state: Option<&Path>, of: &str, whose: &str) -> Option<String> {
    let name = URL_SAFE_NO_PAD.encode(Sha256::digest(whose));
    state?.join(of).join(name).into_os_string().into_string().ok()
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Ends what killed runs of this worker left behind, and logs it. It is over when this returns: no
/// agent is started beside one that is left in the same directory.
pub fn end_strays(log: EventLog) {
    let Strays { ended, survivors } = footbridge_supervision::end_strays();
    if ended > 0 {
        let words =
            format_args!("ended processes that a killed run of this worker left behind: {ended}");
        log.write(Level::Warn, "strays_ended", &[], words);
    }
    if !survivors.is_empty() {
        let words = format_args!(
            "could not end what a killed run of this worker left behind: {}",
            survivors.join(", ")
        );
        log.write(Level::Error, "processes_left", &[], words);
    }
}

/// Logs what came of trying the agent at the start (W-15).
pub fn log_trial(log: EventLog, tried: &Checked) {
    let [ok, not_tried, failed] = match tried.what {
        "link" => ["link_ok", "link_not_tried", "link_failed"],
        _ => ["agent_ok", "agent_not_tried", "agent_failed"],
    };
    match &tried.finding {
        Finding::Ok(words) => {
            log.write(Level::Debug, ok, &[], format_args!("{words}"));
        }
        Finding::Skipped(words) => {
            log.write(Level::Debug, not_tried, &[], format_args!("{words}"));
        }
        Finding::Failed { reason, .. } => {
            let words = format_args!("sessions may fail: {reason}");
            log.write(Level::Error, failed, &[], words);
        }
    }
}

/// Logs what a worker reports.
pub fn log_notice(log: EventLog, notice: &WorkerNotice) {
    use Level::{Debug, Error, Info, Warn};
    use WorkerNotice as Notice;
    match notice {
        Notice::OwnSession { session, .. } => {
            log.write(
                Info,
                "own_session",
                &[("session", session.as_str())],
                format_args!("{session}"),
            );
        }
        Notice::StateLost { reason } => {
            let words = format_args!("sessions of an earlier run do not continue: {reason}");
            log.write(Warn, "state_lost", &[], words);
        }
        Notice::StateUnreadable { reason } => {
            let words = format_args!(
                "waiting for the file that names this worker and its sessions: {reason}; make it \
                 readable, or remove it to start without them"
            );
            log.write(Error, "state_unreadable", &[], words);
        }
        Notice::StateNotSaved { reason } => {
            let words = format_args!(
                "sessions would not survive a restart of this worker: {reason}; they run on, and \
                 it tries again until there is room and it may write there"
            );
            log.write(Warn, "state_not_saved", &[], words);
        }
        Notice::StateSaved => {
            let words = format_args!("sessions survive a restart of this worker again");
            log.write(Info, "state_saved", &[], words);
        }
        Notice::Registered { environment, is_again, continuing } => {
            let ids = [("environment", environment.as_str())];
            let words = match (is_again, continuing) {
                (true, _) => "registered again: the relay no longer knew this worker".to_owned(),
                (false, 0) => "registered, waiting for sessions".to_owned(),
                (false, n) => format!("registered; sessions of the last run that continue: {n}"),
            };
            log.write(Info, "registered", &ids, format_args!("{words}"));
        }
        Notice::AgentResumed { session, work } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            log.write(Info, "agent_resumed", &ids, format_args!("resumed its conversation"));
        }
        Notice::AgentRestarted { session, work, reason } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            log.write(Info, "agent_restarted", &ids, format_args!("started over: {reason}"));
        }
        Notice::PlacesChanged { had_worktrees } => {
            let words = match had_worktrees {
                true => {
                    "sessions of the last run had worktrees of their own, which stay as they are, \
                     and go on in the worker's directory"
                }
                false => {
                    "sessions of the last run were in the worker's directory, and go on in \
                     worktrees of their own"
                }
            };
            let words = format_args!(
                "{words}, because --spawn-mode has changed: an agent may not find its conversation \
                 there"
            );
            log.write(Warn, "places_changed", &[], words);
        }
        Notice::NotTakenUp { environment } => {
            let ids = [("environment", environment.as_str())];
            let words =
                format_args!("the relay no longer has what was to be continued; it is over");
            log.write(Warn, "not_continued", &ids, words);
        }
        Notice::Retrying { what, reason, retry_in } => {
            let retry_in = shown(*retry_in);
            let words = format_args!("cannot {what}: {reason}; retrying in {retry_in}");
            log.write(Warn, "retrying", &[], words);
        }
        Notice::NeedsLogIn => {
            let words = "the log-in of this machine cannot be renewed any more: run footbridge login \
                 again; sessions go on until then";
            log.write(Warn, "needs_log_in", &[], format_args!("{words}"));
        }
        Notice::Recovered => {
            log.write(Info, "recovered", &[], format_args!("the relay is responding again"));
        }
        Notice::Woke { slept } => {
            let words = format_args!("the machine was asleep for about {}", shown(*slept));
            log.write(Info, "woke", &[], words);
        }
        Notice::BadWork { work, reason } => {
            let words = format_args!("cannot run: {reason}");
            log.write(Error, "bad_work", &[("work", work.as_str())], words);
        }
        Notice::SessionStarted { session, work, pid } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            log.write(Info, "session_started", &ids, format_args!("started, process {pid}"));
        }
        Notice::SessionDisconnected { session, work, reason, retry_in } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let retry_in = shown(*retry_in);
            let words =
                format_args!("lost the connection to the relay: {reason}; retrying in {retry_in}");
            log.write(Warn, "session_disconnected", &ids, words);
        }
        Notice::RelaySetBack { session, work, again, lost } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = format_args!(
                "the relay was set back to an earlier state, and the session goes on: {again} lines are sent again, {lost} are lost"
            );
            log.write(Warn, "relay_set_back", &ids, words);
        }
        Notice::FellBack { session, work, reason } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words =
                format_args!("travels as version 1 from now on, as do later ones: {reason}");
            log.write(Warn, "fell_back", &ids, words);
        }
        Notice::WorkByPolls { reason, for_now } => {
            let words =
                format_args!("work comes by polls for the next {}: {reason}", shown(*for_now));
            log.write(Warn, "work_by_polls", &[], words);
        }
        Notice::SessionConnected { session, work } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            log.write(Debug, "session_connected", &ids, format_args!("connected"));
        }
        Notice::AgentNotReading { session, work } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = format_args!("the agent is not reading its input: its pipe is full");
            log.write(Warn, "agent_not_reading", &ids, words);
        }
        Notice::AgentOutputError { session, work, reason } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = format_args!("skipped a line from the agent: {reason}");
            log.write(Warn, "agent_output_error", &ids, words);
        }
        Notice::PermissionAsked { session, work, tool } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            log.write(
                Info,
                "permission_asked",
                &ids,
                format_args!("asking for permission: {tool}"),
            );
        }
        Notice::PermissionsOpen { session, open } => {
            let ids = [("session", session.as_str())];
            let words = format_args!("{open} questions are open");
            log.write(Debug, "permissions_open", &ids, words);
        }
        Notice::ProcessesLeft { session, work, processes } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = format_args!("could not end: {}", processes.join(", "));
            log.write(Error, "processes_left", &ids, words);
        }
        Notice::SessionEnded { session, work, result } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = result
                .as_ref()
                .map_or_else(|| "no longer belongs to this worker".to_owned(), outcome);
            log.write(Info, "session_ended", &ids, format_args!("{words}"));
        }
        Notice::SessionHandedOver { session, work } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = format_args!("left to the next run of this worker");
            log.write(Info, "session_handed_over", &ids, words);
        }
        Notice::ReportAtRisk { work, reason } => {
            let words = format_args!("the result would not survive a crash: {reason}");
            log.write(Warn, "report_at_risk", &[("work", work.as_str())], words);
        }
        Notice::ReportLost { work, reason } => {
            let words = format_args!("could not report the result: {reason}");
            log.write(Error, "report_lost", &[("work", work.as_str())], words);
        }
        Notice::CommitKept { session, commit, reference } => {
            let words = format_args!(
                "the worktree is gone; its commit {commit}, which no branch had, is kept as {reference}"
            );
            log.write(Warn, "commit_kept", &[("session", session.as_str())], words);
        }
        Notice::WorktreeAsked { session, outcome } => {
            let words = format_args!("a person asked about a worktree: {outcome}");
            log.write(Info, "worktree_asked", &[("session", session.as_str())], words);
        }
        Notice::LeftoverWorktree { path, kept: None } => {
            let words = format_args!("removed worktree {path} left by an earlier run");
            log.write(Debug, "worktree_removed", &[], words);
        }
        Notice::LeftoverWorktree { path, kept: Some(reason) } => {
            let words = format_args!("kept worktree {path} left by an earlier run: {reason}");
            log.write(Warn, "worktree_kept", &[], words);
        }
        Notice::Draining { sessions } => {
            let words = format_args!(
                "taking no more sessions, and shutting down once the last one has ended; running: {sessions}"
            );
            log.write(Info, "draining", &[], words);
        }
        Notice::ShuttingDown { sessions: 0 } => {
            log.write(Info, "shutting_down", &[], format_args!("shutting down"));
        }
        Notice::ShuttingDown { sessions } => {
            let words = format_args!("shutting down; sessions still running: {sessions}");
            log.write(Info, "shutting_down", &[], words);
        }
    }
}

fn outcome(result: &SessionResult) -> String {
    let status = match result.status {
        ResultStatus::Completed => "completed",
        ResultStatus::Failed => "failed",
        ResultStatus::TimedOut => "hit its time limit",
        ResultStatus::Interrupted => "was stopped",
        ResultStatus::Lost => "was lost",
    };
    if result.message.is_empty() {
        status.to_owned()
    } else {
        format!("{status}: {}", result.message)
    }
}
