//! `footbridge work --check`: whether a worker could run, without running one.

use std::path::Path;

use footbridge_cli::agent_line::agent_program;
use footbridge_cli::args::{RelayArgs, Work};
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::token::Sources;
use footbridge_cli::value::SpawnMode;
use footbridge_cli::{directory, log_ins, print, worker};
use footbridge_core::contract::machine::{MachineError, MachineErrorKind};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{Check, CheckConfig, Checked, Finding};
use footbridge_smol::{block_on, drive};
use serde::Serialize;

use super::work;

/// Tries everything that `footbridge work` with the same settings would need. The exit code is that
/// of a run that hit the first problem.
pub(super) fn run(relay: &BaseUrl, reach: &RelayArgs, work: &Work) -> Result<(), Error> {
    EventLog::new("worker", reach.reports.level, reach.reports.format)
        .unknown_variables(&reach.reports.unknown_variables);
    let mut findings = Findings { json: reach.reports.json, ..Findings::default() };
    let Some(host) = findings.note("ca_file", work::host(relay, reach)) else {
        return findings.conclude();
    };
    let sources = Sources::of(&reach.reports);
    let token = findings.note("token", log_ins::credential_for(&sources, relay));
    let path = work.directory.as_deref().unwrap_or(Path::new("."));
    let directory = findings.note("directory", directory(path));
    if let Some(directory) = &directory {
        findings.take("directory", Status::Ok, directory, None);
    }
    let agent = findings.note("agent", agent_program(work.agent.as_deref()));
    let state = sources.state_directory();
    let state = state.as_deref();
    let own = directory.as_ref().and_then(|directory| {
        let own = worker::own_state(state, relay, directory, work.name.as_deref())?;
        // Another worker may have it. One that starts meanwhile is not kept from it.
        findings.note("worker", worker::try_lock(&own, directory, relay));
        Some(own)
    });
    let config = CheckConfig {
        relay: relay.clone(),
        credential: token,
        state_directory: match directory {
            Some(_) => own,
            None => state.and_then(Path::to_str).map(str::to_owned),
        },
        directory,
        is_worktree_mode: work.spawn_mode == SpawnMode::Worktree,
        agent,
        agent_env_remove: worker::withheld(),
    };
    let (_commands, asked) = async_channel::bounded(1);
    let driven = drive(Check::new(config), host, asked, |checked: Checked| {
        findings.checked(checked);
    });
    block_on(driven)?;
    findings.conclude()
}

/// The findings so far.
#[derive(Default)]
struct Findings {
    json: bool,
    checks: Vec<Line>,
    /// How a run would end.
    first: Option<ExitKind>,
    printed: Option<Error>,
}

#[derive(Serialize)]
struct Line {
    check: &'static str,
    status: Status,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Failed,
    Skipped,
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    checks: &'a [Line],
}

impl Findings {
    /// Returns what was found, and reports what was not.
    fn note<T>(&mut self, check: &'static str, found: Result<T, Error>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(error) => {
                self.take(check, Status::Failed, &error.message, Some(error.why));
                None
            }
        }
    }

    fn checked(&mut self, Checked { what, finding }: Checked) {
        match finding {
            Finding::Ok(words) => self.take(what, Status::Ok, &words, None),
            Finding::Skipped(words) => self.take(what, Status::Skipped, &words, None),
            Finding::Failed { kind, reason } => {
                let why = why(kind);
                self.take(what, Status::Failed, &reason, Some(why));
            }
        }
    }

    fn take(&mut self, check: &'static str, status: Status, detail: &str, why: Option<ExitKind>) {
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let detail: String = detail.chars().map(visible).collect();
        self.first = self.first.or(why);
        if !self.json {
            let word = match status {
                Status::Ok => "ok",
                Status::Failed => "failed",
                Status::Skipped => "skipped",
            };
            let line = format!("{word:7}  {check:9}  {detail}\n");
            self.printed = self.printed.take().or(print(&line).err());
        }
        self.checks.push(Line { check, status, detail });
    }

    fn conclude(self) -> Result<(), Error> {
        if let Some(error) = self.printed {
            return Err(error);
        }
        if self.json {
            let report = Report { ok: self.first.is_none(), checks: &self.checks };
            let line = serde_json::to_string(&report)
                .map_err(|error| Error::local(format!("cannot write JSON: {error}")))?;
            print(&(line + "\n"))?;
        }
        let Some(why) = self.first else { return Ok(()) };
        let failed = self.checks.iter().filter(|line| line.status == Status::Failed).count();
        let all = self.checks.len();
        Err(Error { why, message: format!("{failed} of {all} checks failed") })
    }
}

fn why(kind: MachineErrorKind) -> ExitKind {
    Error::from(MachineError { kind, message: String::new() }).why
}
