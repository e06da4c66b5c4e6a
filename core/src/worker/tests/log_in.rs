//! A worker whose machine is logged in refreshes its own log-in (T-6, E-10).

use super::*;
use crate::auth::LogIn;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

fn kept(name: &str) -> String {
    format!(
        r#"{{"relay":"x","access_token":"access-{name}","refresh_token":"refresh-{name}","refresh_key":"key-{name}"}}"#
    )
}

/// It has registered with the first access token, and was refused.
fn refused() -> Bench {
    let log_in = LogIn::parse(kept("1").as_bytes()).expect("a log-in");
    let mut bench = Bench::new(|config| {
        config.credential = Credential::from_log_in(log_in, "/log-in".to_owned());
    });
    bench.answer_git();
    let (register, request) = bench.request("/bridge");
    assert_eq!(request.headers[0].1.reveal(), "Bearer access-1");
    bench.refuse(register, 401, "token_expired");
    bench
}

/// It has the lock of its log-in, and reads its file.
fn loads(bench: &mut Bench, file: &str) -> OpId {
    let (lock, path) = bench.lock();
    assert_eq!(path, "/log-in.lock");
    loads_now(bench, file);
    lock
}

fn loads_now(bench: &mut Bench, file: &str) {
    let load = bench.take("load", |action| match action {
        Action::Load { op, path, .. } if path == "/log-in" => Some(*op),
        _ => None,
    });
    let data = Some(Bytes::from(file.to_owned()));
    bench.handle(Event::Loaded { op: load, data, modified: None });
}

const TOKENS: &str = r#"{"access_token":"access-2","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-2","scope":"work"}"#;

#[test]
fn an_expired_log_in_is_refreshed_once_kept_and_then_used() {
    let mut bench = refused();
    let lock = loads(&mut bench, &kept("1"));
    let (refresh, request) = bench.request("/v1/oauth/token");
    let body = core::str::from_utf8(&request.body).expect("text").to_owned();
    assert_eq!(body, "grant_type=refresh_token&client_id=footbridge&refresh_token=refresh-1");
    let key = request.headers.iter().find(|(name, _)| *name == "idempotency-key");
    assert_eq!(key.expect("it has one").1.reveal(), "key-1");
    bench.respond(refresh, 200, TOKENS);
    assert!(!bench.has_request("/bridge"), "not before it is kept");
    let (save, data) = bench.take("save", |action| match action {
        Action::Save { op, path, data } if path == "/log-in" => Some((*op, data.clone())),
        _ => None,
    });
    assert_eq!(LogIn::parse(&data).expect("a log-in").access_token().reveal(), "access-2");
    assert!(!bench.cancels(lock), "others read its file only once it is written");
    bench.handle(Event::Saved { op: save });
    assert!(bench.cancels(lock));
    let (register, request) = bench.request("/bridge");
    assert_eq!(request.headers[0].1.reveal(), "Bearer access-2");
    bench.refuse(register, 401, "token_revoked");
    assert!(bench.outcome.is_some(), "a second 401 is final");
}

#[test]
fn what_another_process_has_refreshed_is_taken_up() {
    let mut bench = refused();
    let lock = loads(&mut bench, &kept("2"));
    assert!(bench.cancels(lock));
    assert!(!bench.has_request("/v1/oauth/token"));
    let (_, request) = bench.request("/bridge");
    assert_eq!(request.headers[0].1.reveal(), "Bearer access-2");
}

#[test]
fn without_a_lock_it_is_refreshed_all_the_same() {
    let mut bench = refused();
    let lock = bench.take("lock", |action| match action {
        Action::Lock { op, .. } => Some(*op),
        _ => None,
    });
    let detail = "another process holds it".to_owned();
    let failure = IoError { kind: IoErrorKind::TimedOut, detail };
    bench.handle(Event::Failed { op: lock, failure });
    loads_now(&mut bench, &kept("1"));
    bench.request("/v1/oauth/token");
}

#[test]
fn a_relay_that_cannot_refresh_now_does_not_end_the_worker() {
    let mut bench = refused();
    let lock = loads(&mut bench, &kept("1"));
    let (refresh, _) = bench.request("/v1/oauth/token");
    bench.respond(refresh, 503, r#"{"error":"temporarily_unavailable"}"#);
    assert!(bench.cancels(lock), "others may have more luck");
    bench.wait();
    let (register, _) = bench.request("/bridge");
    bench.refuse(register, 401, "token_expired");
    loads(&mut bench, &kept("1"));
    let (refresh, request) = bench.request("/v1/oauth/token");
    let key = request.headers.iter().find(|(name, _)| *name == "idempotency-key");
    assert_eq!(key.expect("it has one").1.reveal(), "key-1", "it is the same request");
    bench.respond(refresh, 400, r#"{"error":"invalid_grant"}"#);
    let (register, _) = bench.request("/bridge");
    bench.refuse(register, 401, "token_revoked");
    assert!(bench.outcome.is_some());
}

/// It serves, with an access token that is valid for one more hour.
fn serving() -> Bench {
    let log_in = LogIn::parse(kept("1").as_bytes()).expect("a log-in");
    let seconds = Bench::new(|_| {}).now.wall.as_secs();
    let claims = format!(r#"{{"iat":{seconds},"exp":{}}}"#, seconds + 3600);
    let token = format!("fbaccess-e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
    let file = core::str::from_utf8(&log_in.to_file()).expect("text").replace("access-1", &token);
    let log_in = LogIn::parse(file.as_bytes()).expect("a log-in");
    let mut bench = Bench::new(|config| {
        config.credential = Credential::from_log_in(log_in, "/log-in".to_owned());
    });
    bench.answer_git();
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s"}"#);
    bench.request("/work/poll");
    let mut waited = Duration::ZERO;
    let is_lock =
        |action: &Action| matches!(action, Action::Lock { path, .. } if path == "/log-in.lock");
    while !bench.actions.iter().any(is_lock) {
        waited += bench.wait();
    }
    assert_eq!(waited, Duration::from_secs(3300), "five minutes before it runs out");
    let now = format!(
        r#"{{"relay":"x","access_token":"{token}","refresh_token":"refresh-1","refresh_key":"key-1"}}"#
    );
    loads(&mut bench, &now);
    bench
}

#[test]
fn a_log_in_is_refreshed_in_time_while_the_worker_serves() {
    let mut bench = serving();
    let (refresh, _) = bench.request("/v1/oauth/token");
    bench.respond(refresh, 200, TOKENS);
    let save = bench.take("save", |action| match action {
        Action::Save { op, path, .. } if path == "/log-in" => Some(*op),
        _ => None,
    });
    bench.handle(Event::Saved { op: save });
    assert!(!bench.has_request("/bridge"), "it is registered");
    assert_eq!(bench.outcome, None);
}

#[test]
fn a_log_in_that_was_revoked_is_said_so_once_and_work_goes_on() {
    let mut bench = serving();
    let (refresh, _) = bench.request("/v1/oauth/token");
    bench.respond(refresh, 400, r#"{"error":"invalid_grant"}"#);
    let told = bench.notices.iter().filter(|notice| **notice == WorkerNotice::NeedsLogIn).count();
    assert_eq!((told, bench.outcome.is_none(), bench.has_request("/bridge")), (1, true, false));
}
