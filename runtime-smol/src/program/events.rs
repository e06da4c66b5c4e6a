//! What the machines tell, as events of the journal.

use footbridge_core::relay::RelayNotice;
use footbridge_core::wire::session::{ResultStatus, SessionResult, SessionState};
use footbridge_core::worker::WorkerNotice;

use super::journal::Journal;
use super::settings::Level;
use footbridge_blocking::program::duration::shown;

/// Tells what a worker does.
pub(super) fn worker(journal: Journal, notice: &WorkerNotice) {
    use Level::{Debug, Error, Info, Warn};
    use WorkerNotice as Notice;
    match notice {
        Notice::Registered { environment, is_again } => {
            let ids = [("environment", environment.as_str())];
            let words = if *is_again {
                "is registered anew: the relay had forgotten us"
            } else {
                "is registered, waiting for sessions"
            };
            journal.tell(Info, "registered", &ids, format_args!("{words}"));
        }
        Notice::Retrying { what, reason, retry_in } => {
            let retry_in = shown(*retry_in);
            let words = format_args!("cannot {what}: {reason}; next try in {retry_in}");
            journal.tell(Warn, "retrying", &[], words);
        }
        Notice::Recovered => {
            journal.tell(Info, "recovered", &[], format_args!("the relay answers again"));
        }
        Notice::Woke { slept } => {
            let words = format_args!("the machine slept for about {}", shown(*slept));
            journal.tell(Info, "woke", &[], words);
        }
        Notice::BadWork { work, reason } => {
            let words = format_args!("cannot be run: {reason}");
            journal.tell(Error, "bad_work", &[("work", work.as_str())], words);
        }
        Notice::SessionStarted { session, work, pid } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            journal.tell(Info, "session_started", &ids, format_args!("started, process {pid}"));
        }
        Notice::SessionDisconnected { session, work, reason, retry_in } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let retry_in = shown(*retry_in);
            let words = format_args!("lost the relay: {reason}; next try in {retry_in}");
            journal.tell(Warn, "session_disconnected", &ids, words);
        }
        Notice::SessionConnected { session, work } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            journal.tell(Debug, "session_connected", &ids, format_args!("connected"));
        }
        Notice::AgentOutputError { session, work, reason } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = format_args!("skipped a line of its agent: {reason}");
            journal.tell(Warn, "agent_output_error", &ids, words);
        }
        Notice::PermissionAsked { session, work, tool } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            journal.tell(
                Info,
                "permission_asked",
                &ids,
                format_args!("asks for permission: {tool}"),
            );
        }
        Notice::SessionEnded { session, work, result } => {
            let ids = [("session", session.as_str()), ("work", work.as_str())];
            let words = result.as_ref().map_or_else(|| "is no longer ours".to_owned(), outcome);
            journal.tell(Info, "session_ended", &ids, format_args!("{words}"));
        }
        Notice::ReportAtRisk { work, reason } => {
            let words = format_args!("a crash could lose the result: {reason}");
            journal.tell(Warn, "report_at_risk", &[("work", work.as_str())], words);
        }
        Notice::ReportLost { work, reason } => {
            let words = format_args!("its result could not be reported: {reason}");
            journal.tell(Error, "report_lost", &[("work", work.as_str())], words);
        }
        Notice::LeftoverWorktree { path, kept: None } => {
            let words = format_args!("removed the worktree {path} of an earlier run");
            journal.tell(Debug, "worktree_removed", &[], words);
        }
        Notice::LeftoverWorktree { path, kept: Some(reason) } => {
            let words = format_args!("kept the worktree {path} of an earlier run: {reason}");
            journal.tell(Warn, "worktree_kept", &[], words);
        }
        Notice::ShuttingDown { sessions: 0 } => {
            journal.tell(Info, "shutting_down", &[], format_args!("ending"));
        }
        Notice::ShuttingDown { sessions } => {
            let words = format_args!("ending; sessions that still run: {sessions}");
            journal.tell(Info, "shutting_down", &[], words);
        }
    }
}

fn outcome(result: &SessionResult) -> String {
    let status = match result.status {
        ResultStatus::Completed => "completed",
        ResultStatus::Failed => "failed",
        ResultStatus::TimedOut => "reached its time limit",
        ResultStatus::Interrupted => "was ended",
        ResultStatus::Lost => "was lost",
    };
    if result.message.is_empty() {
        status.to_owned()
    } else {
        format!("{status}: {}", result.message)
    }
}

/// Tells what a relay does.
pub(super) fn relay(journal: Journal, notice: &RelayNotice) {
    use Level::{Debug, Error, Info};
    use RelayNotice as Notice;
    match notice {
        Notice::Listening { address } => {
            journal.tell(Info, "listening", &[], format_args!("listening on {address}"));
        }
        Notice::Answered { method, path, status } => {
            let words = format_args!("{} {path} {status}", method.as_str());
            journal.tell(Debug, "answered", &[], words);
        }
        Notice::EnvironmentRegistered { environment, machine_name } => {
            let ids = [("environment", environment.as_str())];
            let words = format_args!("registered by {machine_name}");
            journal.tell(Info, "environment_registered", &ids, words);
        }
        Notice::EnvironmentGone { environment } => {
            let ids = [("environment", environment.as_str())];
            journal.tell(Info, "environment_gone", &ids, format_args!("is gone"));
        }
        Notice::SessionState { session, state } => {
            let ids = [("session", session.as_str())];
            journal.tell(Info, "session_state", &ids, format_args!("{}", state_name(*state)));
        }
        Notice::WorkerConnected { session } => {
            let ids = [("session", session.as_str())];
            journal.tell(Debug, "worker_connected", &ids, format_args!("connected"));
        }
        Notice::WorkerDisconnected { session } => {
            let ids = [("session", session.as_str())];
            journal.tell(Debug, "worker_disconnected", &ids, format_args!("disconnected"));
        }
        Notice::StoreFailed { detail } => {
            journal.tell(Error, "store_failed", &[], format_args!("the store failed: {detail}"));
        }
        // Those that are younger than this program.
        other => journal.tell(Debug, "other", &[], format_args!("{other:?}")),
    }
}

const fn state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Queued => "waits for its worker",
        SessionState::Starting => "is starting",
        SessionState::Running => "is running",
        SessionState::Ended => "has ended",
    }
}
