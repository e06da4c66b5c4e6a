//! What a relay logs.

use std::path::Path;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::value::Level;
use footbridge_core::relay::RelayNotice;
use footbridge_core::wire::session::SessionState;
use footbridge_smol::CertificateNotice;

use super::args::Serve;

pub(super) fn event_log(serve: &Serve) -> EventLog {
    EventLog::of_service("relay", serve.reports.level, serve.reports.format)
}

/// Says where the access token is, which is never printed.
pub(super) fn log_token_file(log: EventLog, file: Option<&Path>) {
    if let Some(file) = file {
        let words = format_args!("the access token is in {}", file.display());
        log.write(Level::Info, "token_file", &[], words);
    }
}

/// Logs what becomes of a relay's certificate.
pub(super) fn log_certificate(log: EventLog, notice: &CertificateNotice) {
    use CertificateNotice as Notice;
    match notice {
        Notice::TakenUp => {
            let words = format_args!("the certificate was replaced, and the new one is served");
            log.write(Level::Info, "certificate_taken_up", &[], words);
        }
        Notice::NotTakenUp { detail } => {
            let words = format_args!(
                "the certificate was replaced, but the old one is served on until the files change: {detail}"
            );
            log.write(Level::Warn, "certificate_not_taken_up", &[], words);
        }
        Notice::EndsWithin { left } => {
            let days = left.as_secs().div_ceil(24 * 60 * 60);
            let words = format_args!(
                "the certificate ends within {days} days, and clients refuse it then: renew it, and replace its files"
            );
            log.write(Level::Warn, "certificate_ends", &[], words);
        }
        Notice::Ended => {
            let words = format_args!(
                "the certificate has ended, and clients refuse it: renew it, and replace its files"
            );
            log.write(Level::Warn, "certificate_ended", &[], words);
        }
        other => log.write(Level::Debug, "certificate", &[], format_args!("{other:?}")),
    }
}

/// Logs what a relay reports.
pub(super) fn log_notice(log: EventLog, notice: &RelayNotice) {
    use Level::{Debug, Error, Info};
    use RelayNotice as Notice;
    match notice {
        Notice::LoggedIn { device, name, scopes } => {
            let ids = [("device", device.as_str())];
            log.write(Info, "logged_in", &ids, format_args!("{name} has logged in ({scopes})"));
        }
        Notice::LoggedOut { device } => {
            let ids = [("device", device.as_str())];
            log.write(Info, "logged_out", &ids, format_args!("a log-in has ended"));
        }
        Notice::Listening { address } => {
            log.write(Info, "listening", &[], format_args!("listening on {address}"));
        }
        // It is printed, and not logged.
        Notice::SignInCode { .. } => {}
        Notice::Answered { method, path, status, client } => {
            let words = format_args!("{client} {} {path} {status}", method.as_str());
            log.write(Debug, "answered", &[], words);
        }
        Notice::CredentialsRefused { client, count } => {
            let words = format_args!("unknown credentials from {client}: {count}");
            log.write(Level::Warn, "credentials_refused", &[], words);
        }
        Notice::EnvironmentRegistered { environment, machine_name } => {
            let ids = [("environment", environment.as_str())];
            let words = format_args!("registered by {machine_name}");
            log.write(Info, "environment_registered", &ids, words);
        }
        Notice::EnvironmentGone { environment } => {
            let ids = [("environment", environment.as_str())];
            log.write(Info, "environment_gone", &ids, format_args!("gone"));
        }
        Notice::SessionState { session, state } => {
            let ids = [("session", session.as_str())];
            log.write(Info, "session_state", &ids, format_args!("{}", state_name(*state)));
        }
        Notice::SessionMadeRoom { session, owner } => {
            let ids = [("session", session.as_str())];
            let words = format_args!(
                "an ended session of {owner} was removed: what is kept has reached --max-data, and no one's takes up more"
            );
            log.write(Info, "session_made_room", &ids, words);
        }
        Notice::WorkerAhead { session } => {
            let ids = [("session", session.as_str())];
            let words = format_args!(
                "its worker has been given what is not kept here: this relay was set back to an earlier state, and goes on from there"
            );
            log.write(Level::Warn, "worker_ahead", &ids, words);
        }
        Notice::WorkerConnected { session } => {
            let ids = [("session", session.as_str())];
            log.write(Debug, "worker_connected", &ids, format_args!("connected"));
        }
        Notice::WorkerDisconnected { session } => {
            let ids = [("session", session.as_str())];
            log.write(Debug, "worker_disconnected", &ids, format_args!("disconnected"));
        }
        Notice::ShuttingDown { requests } => {
            let words = format_args!("shutting down: {requests} requests under way");
            log.write(Info, "shutting_down", &[], words);
        }
        Notice::PushFailed { service, detail, .. } => {
            let words = format_args!("a notification was not sent by {service}: {detail}");
            log.write(Level::Warn, "push_failed", &[], words);
        }
        Notice::OidcFailed { detail } => {
            let words = format_args!("somebody could not sign in with the provider: {detail}");
            log.write(Level::Warn, "oidc_failed", &[], words);
        }
        Notice::StoreFailed { detail, times: 1 } => {
            log.write(Error, "store_failed", &[], format_args!("store failure: {detail}"));
        }
        Notice::StoreFailed { detail, times } => {
            let words =
                format_args!("store failure: {detail} ({times} times since the last report)");
            log.write(Error, "store_failed", &[], words);
        }
        // Those newer than this program.
        other => log.write(Debug, "other", &[], format_args!("{other:?}")),
    }
}

const fn state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Queued => "waiting for its worker",
        SessionState::Starting => "starting",
        SessionState::Running => "running",
        SessionState::Ended => "ended",
    }
}
