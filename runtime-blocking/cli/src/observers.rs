//! Who learns what a worker does: its log, its service manager, and whoever asks at its health address.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use footbridge_core::base::id::SessionId;
use footbridge_core::wire::session::ResultStatus;
use footbridge_core::worker::WorkerNotice;

use crate::event_log::EventLog;
use crate::exit::Error;
use crate::health::{self, Page};
use crate::metrics::{Kind, Metrics};
use crate::service_manager::ServiceManager;
use crate::worker;

/// How much longer than its next attempt a worker that is not registered yet may take to start.
const START_MARGIN: Duration = Duration::from_secs(60);

/// All that learn what one worker does.
#[derive(Clone, Debug)]
pub struct Observers {
    log: EventLog,
    manager: ServiceManager,
    status: Arc<Mutex<Status>>,
}

impl Observers {
    /// The log and the service manager.
    pub fn new(log: EventLog, manager: ServiceManager) -> Self {
        Self { log, manager, status: Arc::default() }
    }

    /// Those at a health address, if there is one.
    pub fn serve(&self, health: Option<SocketAddr>) -> Result<(), Error> {
        let observers = self.clone();
        health::start(self.log, health, move |path| match path {
            "/metrics" => Some(Page::metrics(observers.metrics())),
            _ => observers.page(path),
        })
    }

    /// What is said at `/health` and `/ready`.
    pub fn page(&self, path: &str) -> Option<Page> {
        lock(&self.status).page(path)
    }

    /// Its metrics, in the text format of Prometheus.
    pub fn metrics(&self) -> String {
        lock(&self.status).metrics()
    }

    /// The service manager.
    pub const fn manager(&self) -> &ServiceManager {
        &self.manager
    }

    /// Passes on what a worker reports.
    pub fn note(&self, notice: &WorkerNotice) {
        worker::log_notice(self.log, notice);
        let mut status = lock(&self.status);
        let was = status.clone();
        status.note(notice);
        self.tell(&was, &status, notice);
    }

    fn tell(&self, was: &Status, status: &Status, notice: &WorkerNotice) {
        match notice {
            WorkerNotice::Registered { is_again: false, .. } => self.manager.ready(&status.words()),
            WorkerNotice::Retrying { retry_in, .. } if was.stage == Stage::Starting => {
                self.manager.starting(&status.words(), *retry_in + START_MARGIN);
            }
            WorkerNotice::ShuttingDown { .. } => self.manager.stopping(),
            _ if was.words() != status.words() => self.manager.status(&status.words()),
            _ => {}
        }
    }
}

fn lock(status: &Mutex<Status>) -> MutexGuard<'_, Status> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a worker has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// It has not registered yet.
    #[default]
    Starting,
    Serving,
    /// It takes no more sessions.
    Draining,
    ShuttingDown,
}

/// What a worker does, and has done.
#[derive(Clone, Debug, Default)]
struct Status {
    stage: Stage,
    /// Why the relay cannot be asked now.
    trouble: Option<String>,
    running: BTreeSet<SessionId>,
    started: u64,
    completed: u64,
    failed: u64,
    timed_out: u64,
    interrupted: u64,
    lost: u64,
    handed_over: u64,
    retries: u64,
    disconnections: u64,
    questions: u64,
    results_lost: u64,
}

impl Status {
    fn note(&mut self, notice: &WorkerNotice) {
        match notice {
            WorkerNotice::Registered { .. } => {
                if self.stage == Stage::Starting {
                    self.stage = Stage::Serving;
                }
                self.trouble = None;
            }
            WorkerNotice::Recovered => self.trouble = None,
            WorkerNotice::Retrying { what, reason, .. } => {
                self.retries += 1;
                self.trouble = Some(format!("cannot {what}: {reason}"));
            }
            WorkerNotice::SessionStarted { session, .. } => {
                self.started += u64::from(self.running.insert(session.clone()));
            }
            WorkerNotice::SessionEnded { session, result, .. } => {
                self.running.remove(session);
                *match result.as_ref().map(|result| result.status) {
                    Some(ResultStatus::Completed) => &mut self.completed,
                    Some(ResultStatus::Failed) => &mut self.failed,
                    Some(ResultStatus::TimedOut) => &mut self.timed_out,
                    Some(ResultStatus::Interrupted) => &mut self.interrupted,
                    Some(ResultStatus::Lost) | None => &mut self.lost,
                } += 1;
            }
            WorkerNotice::SessionHandedOver { session, .. } => {
                self.running.remove(session);
                self.handed_over += 1;
            }
            WorkerNotice::SessionDisconnected { .. } => self.disconnections += 1,
            WorkerNotice::PermissionAsked { .. } => self.questions += 1,
            WorkerNotice::ReportLost { .. } => self.results_lost += 1,
            WorkerNotice::Draining { .. } => self.stage = Stage::Draining,
            WorkerNotice::ShuttingDown { .. } => self.stage = Stage::ShuttingDown,
            _ => {}
        }
    }

    /// For people who ask their service manager.
    fn words(&self) -> String {
        let sessions = self.running.len();
        match (self.stage, &self.trouble) {
            (Stage::ShuttingDown, _) => "shutting down".to_owned(),
            (_, Some(trouble)) => format!("{trouble}; sessions: {sessions}"),
            (Stage::Starting, None) => "starting".to_owned(),
            (Stage::Serving, None) => format!("registered; sessions: {sessions}"),
            (Stage::Draining, None) => format!("taking no more sessions; sessions: {sessions}"),
        }
    }

    /// Whether it takes sessions.
    fn is_ready(&self) -> bool {
        self.stage == Stage::Serving && self.trouble.is_none()
    }

    fn page(&self, path: &str) -> Option<Page> {
        match path {
            // It runs: whether the relay can be reached is no reason to restart it.
            "/health" => Some(Page::text(200, &self.words())),
            "/ready" => Some(Page::text(if self.is_ready() { 200 } else { 503 }, &self.words())),
            _ => None,
        }
    }

    fn metrics(&self) -> String {
        let mut all = Metrics::new("footbridge_worker_");
        let one = |value| [("", value)];
        let ready = u64::from(self.is_ready());
        all.add(Kind::Gauge, "ready", "Whether it takes sessions.", "", &one(ready));
        let running = self.running.len() as u64;
        all.add(Kind::Gauge, "sessions", "Sessions whose agent runs.", "", &one(running));
        let started = &one(self.started);
        all.add(Kind::Counter, "sessions_started_total", "Sessions started.", "", started);
        let ended = [
            ("completed", self.completed),
            ("failed", self.failed),
            ("timed_out", self.timed_out),
            ("interrupted", self.interrupted),
            ("lost", self.lost),
            ("handed_over", self.handed_over),
        ];
        let help = "Sessions ended, by how they ended.";
        all.add(Kind::Counter, "sessions_ended_total", help, "status", &ended);
        let help = "Failed requests to the relay that are tried again.";
        all.add(Kind::Counter, "retries_total", help, "", &one(self.retries));
        let help = "Connections of sessions to the relay that were lost.";
        all.add(Kind::Counter, "disconnections_total", help, "", &one(self.disconnections));
        let help = "Permissions that agents have asked for.";
        all.add(Kind::Counter, "permission_questions_total", help, "", &one(self.questions));
        let help = "Results of sessions that could not be reported.";
        all.add(Kind::Counter, "results_lost_total", help, "", &one(self.results_lost));
        all.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_core::base::id::{EnvironmentId, WorkId};

    fn registered() -> WorkerNotice {
        let environment = EnvironmentId::new("env_1").expect("valid");
        WorkerNotice::Registered { environment, is_again: false, continuing: 0 }
    }

    fn started(n: u32) -> WorkerNotice {
        let session = SessionId::new(&format!("session_{n}")).expect("valid");
        WorkerNotice::SessionStarted {
            session,
            work: WorkId::new("work_1").expect("valid"),
            pid: 1,
        }
    }

    #[test]
    fn a_worker_is_ready_while_it_is_registered_and_the_relay_answers() {
        let mut status = Status::default();
        let ready = |status: &Status| status.page("/ready").expect("a page");
        assert_eq!(ready(&status), Page::text(503, "starting"));
        status.note(&registered());
        status.note(&started(1));
        assert_eq!(ready(&status), Page::text(200, "registered; sessions: 1"));
        let (what, reason) = ("ask for work", "connection refused".to_owned());
        status.note(&WorkerNotice::Retrying { what, reason, retry_in: Duration::ZERO });
        let words = "cannot ask for work: connection refused; sessions: 1";
        assert_eq!(ready(&status), Page::text(503, words));
        assert_eq!(status.page("/health").expect("a page").status, 200);
        status.note(&WorkerNotice::Recovered);
        assert_eq!(ready(&status).status, 200);
        status.note(&WorkerNotice::ShuttingDown { sessions: 1 });
        assert_eq!(ready(&status), Page::text(503, "shutting down"));
        assert_eq!(status.page("/"), None);
    }

    #[test]
    fn metrics_count_what_has_happened() {
        let mut status = Status::default();
        // The agent of a session that is resumed starts again.
        for notice in [registered(), started(1), started(1), started(2)] {
            status.note(&notice);
        }
        let text = status.metrics();
        for line in [
            "footbridge_worker_ready 1",
            "footbridge_worker_sessions 2",
            "footbridge_worker_sessions_started_total 2",
            "footbridge_worker_sessions_ended_total{status=\"completed\"} 0",
            "# TYPE footbridge_worker_sessions gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
    #[test]
    fn the_alerts_and_the_dashboard_name_what_there_is() {
        let text = Status::default().metrics();
        let files = [
            include_str!("../../../runtime-smol/monitoring/alerts.yml"),
            include_str!("../../../runtime-smol/monitoring/dashboard.json"),
        ];
        let words = files
            .iter()
            .flat_map(|file| file.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
        let named: BTreeSet<_> =
            words.filter(|word| word.starts_with("footbridge_worker_")).collect();
        assert!(named.len() > 4, "{named:?}");
        for name in named {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}
