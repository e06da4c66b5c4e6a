//! Why a session ended, and what is reported about it (W-6, W-7).

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use crate::contract::event::ExitStatus;
use crate::wire::session::{ResultStatus, SessionResult};

/// Why a session was ended from outside its agent.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::worker) enum EndReason {
    TimedOut,
    /// A person, or the worker's shutdown.
    Interrupted(String),
    /// The relay could not be reached for as long as is allowed.
    Failed(String),
    /// The worker is being replaced, and its next run continues the session: there is nothing to
    /// report.
    HandedOver,
    /// The relay has given it to another worker, or no longer knows it: there is nothing to report.
    NotOurs(String),
}

/// The result of a session whose agent's process is `over`.
pub(super) fn result(
    end: Option<&EndReason>,
    over: Result<Option<ExitStatus>, String>,
    limit: Duration,
    stderr: String,
) -> SessionResult {
    let (exit_code, signal) = match over {
        Ok(Some(ExitStatus::Code(code))) => (Some(code), None),
        Ok(Some(ExitStatus::Signal(signal))) => (None, Some(signal)),
        Ok(None) | Err(_) => (None, None),
    };
    let (status, message) = match (end, over) {
        (Some(EndReason::TimedOut), _) => {
            (ResultStatus::TimedOut, format!("it reached its time limit of {}", shown(limit)))
        }
        (Some(EndReason::Interrupted(why) | EndReason::NotOurs(why)), _) => {
            (ResultStatus::Interrupted, why.clone())
        }
        (Some(EndReason::HandedOver), _) => {
            (ResultStatus::Interrupted, String::from("its worker is being restarted"))
        }
        (Some(EndReason::Failed(why)), _) => (ResultStatus::Failed, why.clone()),
        (None, Ok(Some(ExitStatus::Code(0)))) => {
            (ResultStatus::Completed, String::from("the agent ended"))
        }
        (None, Ok(Some(status))) => {
            (ResultStatus::Failed, format!("the agent ended with {status}"))
        }
        (None, Ok(None)) => (ResultStatus::Failed, String::from("the agent could not be ended")),
        (None, Err(why)) => {
            (ResultStatus::Failed, format!("the agent could not be started: {why}"))
        }
    };
    SessionResult { status, exit_code, signal, message, stderr }
}

/// The agent has closed its output, and had to be ended.
pub(super) fn ended_silent(result: &mut SessionResult) {
    result.status = ResultStatus::Failed;
    result.message = String::from(
        "the agent closed its output, so nothing more could come from it, and it was ended",
    );
}

/// A duration in the largest unit that divides it evenly.
fn shown(length: Duration) -> String {
    let secs = length.as_secs();
    match secs {
        0 => format!("{} ms", length.as_millis()),
        _ if secs.is_multiple_of(3600) => format!("{} h", secs / 3600),
        _ if secs.is_multiple_of(60) => format!("{} min", secs / 60),
        _ => format!("{secs} s"),
    }
}
