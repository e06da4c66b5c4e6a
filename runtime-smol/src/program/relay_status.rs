//! What a relay does and has done, for its health address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use footbridge_cli::health::Page;
use footbridge_cli::metrics::{Kind, Metrics};
use footbridge_core::base::id::SessionId;
use footbridge_core::relay::RelayNotice;
use footbridge_core::wire::session::SessionState;

/// It, shared with the health address.
#[derive(Clone, Debug, Default)]
pub(super) struct RelayStatus(Arc<Mutex<Status>>);

#[derive(Debug, Default)]
struct Status {
    is_listening: bool,
    is_shutting_down: bool,
    /// Requests answered, by status.
    answers: BTreeMap<u16, u64>,
    refused: u64,
    registered: u64,
    gone: u64,
    queued: u64,
    running: u64,
    ended: u64,
    /// Sessions whose link is up.
    linked: BTreeSet<SessionId>,
    store_failures: u64,
}

impl RelayStatus {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what a relay reports.
    pub(super) fn note(&self, notice: &RelayNotice) {
        let mut status = self.lock();
        match notice {
            RelayNotice::Listening { .. } => status.is_listening = true,
            RelayNotice::ShuttingDown { .. } => status.is_shutting_down = true,
            RelayNotice::Answered { status: code, .. } => {
                *status.answers.entry(*code).or_default() += 1;
            }
            RelayNotice::CredentialsRefused { count, .. } => status.refused += count,
            RelayNotice::EnvironmentRegistered { .. } => status.registered += 1,
            RelayNotice::EnvironmentGone { .. } => status.gone += 1,
            RelayNotice::SessionState { state, .. } => match state {
                SessionState::Queued => status.queued += 1,
                SessionState::Starting => {}
                SessionState::Running => status.running += 1,
                SessionState::Ended => status.ended += 1,
            },
            RelayNotice::WorkerConnected { session } => {
                status.linked.insert(session.clone());
            }
            RelayNotice::WorkerDisconnected { session } => {
                status.linked.remove(session);
            }
            RelayNotice::StoreFailed { times, .. } => status.store_failures += times,
            _ => {}
        }
    }

    /// What is said at `path`.
    pub(super) fn page(&self, path: &str) -> Option<Page> {
        let (status, words) = {
            let status = self.lock();
            match (status.is_listening, status.is_shutting_down) {
                (_, true) => (503, "shutting down"),
                (false, false) => (503, "starting"),
                (true, false) => (200, "listening"),
            }
        };
        match path {
            "/health" => Some(Page::text(200, words)),
            "/ready" => Some(Page::text(status, words)),
            "/metrics" => Some(Page::metrics(self.metrics())),
            _ => None,
        }
    }

    /// Its metrics, in the text format of Prometheus.
    pub(super) fn metrics(&self) -> String {
        let status = self.lock();
        let mut all = Metrics::new("footbridge_relay_");
        let one = |value| [("", value)];
        let answers: Vec<_> =
            status.answers.iter().map(|(code, count)| (code.to_string(), *count)).collect();
        let help = "Requests answered, by status.";
        all.add(Kind::Counter, "requests_total", help, "status", &answers);
        let help = "Requests with credentials that it does not know.";
        all.add(Kind::Counter, "credentials_refused_total", help, "", &one(status.refused));
        let help = "Registrations of workers.";
        all.add(Kind::Counter, "environments_registered_total", help, "", &one(status.registered));
        let help = "Workers that deregistered, or were silent for too long.";
        all.add(Kind::Counter, "environments_gone_total", help, "", &one(status.gone));
        let states =
            [("queued", status.queued), ("running", status.running), ("ended", status.ended)];
        let help = "Sessions that have come into a state.";
        all.add(Kind::Counter, "sessions_total", help, "state", &states);
        let linked = status.linked.len() as u64;
        all.add(Kind::Gauge, "links", "Sessions whose worker is connected.", "", &one(linked));
        let help = "Operations that the store could not carry out.";
        all.add(Kind::Counter, "store_failures_total", help, "", &one(status.store_failures));
        all.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_core::contract::action::Method;
    use std::net::{IpAddr, Ipv4Addr};

    #[test]
    fn what_a_relay_reports_is_counted() {
        let status = RelayStatus::default();
        let ready = || status.page("/ready").expect("a page");
        assert_eq!(ready(), Page::text(503, "starting"));
        let session = SessionId::new("session_1").expect("valid");
        let answered = |status| RelayNotice::Answered {
            method: Method::Get,
            path: "/".to_owned(),
            status,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        for notice in [
            RelayNotice::Listening { address: "127.0.0.1:1".to_owned() },
            answered(200),
            answered(404),
            answered(200),
            RelayNotice::SessionState { session: session.clone(), state: SessionState::Queued },
            RelayNotice::WorkerConnected { session },
        ] {
            status.note(&notice);
        }
        assert_eq!(ready(), Page::text(200, "listening"));
        let text = status.metrics();
        for line in [
            "footbridge_relay_requests_total{status=\"200\"} 2",
            "footbridge_relay_requests_total{status=\"404\"} 1",
            "footbridge_relay_sessions_total{state=\"queued\"} 1",
            "footbridge_relay_links 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
    #[test]
    fn the_alerts_and_the_dashboard_name_what_there_is() {
        let text = RelayStatus::default().metrics();
        let files = [
            include_str!("../../monitoring/alerts.yml"),
            include_str!("../../monitoring/dashboard.json"),
        ];
        let words = files
            .iter()
            .flat_map(|file| file.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')));
        let named: BTreeSet<_> =
            words.filter(|word| word.starts_with("footbridge_relay_")).collect();
        assert!(named.len() > 4, "{named:?}");
        for name in named {
            assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}
