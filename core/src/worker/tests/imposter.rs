//! Something else has taken the relay's address: it is sent no credential, and ends nothing (Y-4).

use super::*;
use crate::auth::{AccountKey, proof};

const REGISTERED: &str =
    r#"{"environment_id":"env_1","environment_secret":"env_1.secret","sessions":[],"proves":true}"#;

/// A worker whose relay can prove who it is; its first poll.
fn serving(change: impl FnOnce(&mut WorkerConfig)) -> (Bench, OpId) {
    let mut bench = Bench::new(change);
    bench.answer_git();
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, REGISTERED);
    let (poll, _) = bench.request("/work/poll");
    (bench, poll)
}

fn is_question(action: &Action) -> bool {
    matches!(action, Action::Request { request, .. } if request.url.contains("/v1/proof?"))
}

/// The question that is asked next, and the relay's answer if it knows this credential.
#[track_caller]
fn question(bench: &mut Bench, known: &str) -> (OpId, String) {
    let (op, request) = bench.take("a question", |action| match action {
        Action::Request { op, request } if is_question(action) => Some((*op, request.clone())),
        _ => None,
    });
    assert!(request.headers.iter().all(|(name, _)| *name != "authorization"));
    let part = |name: &str| {
        let (_, query) = request.url.split_once('?').expect("a query");
        query.split('&').find_map(|part| part.strip_prefix(name)).expect("it is there").to_owned()
    };
    let key = AccountKey::new(&Secret::from(known));
    let proof = proof::answer(&key, &part("nonce="), &part("mac="));
    (op, format!(r#"{{"proof":"{}"}}"#, proof.unwrap_or_default()))
}

#[track_caller]
fn prove(bench: &mut Bench, known: &str) {
    let (op, proof) = question(bench, known);
    bench.respond(op, 200, &proof);
}

/// Whatever is asked is answered like this; nothing else may show a credential.
#[track_caller]
fn answer_questions(bench: &mut Bench, status: u16, body: &str) {
    loop {
        for action in &bench.actions {
            let headers = match action {
                Action::Request { request, .. } => &request.headers,
                Action::Open { target: Target::WebSocket { headers, .. }, .. } => headers,
                _ => continue,
            };
            assert!(headers.iter().all(|(name, _)| *name != "authorization"), "{action:?}");
        }
        if !bench.actions.iter().any(is_question) {
            return;
        }
        let (op, _) = question(bench, "nothing");
        bench.respond(op, status, body);
    }
}

const UNKNOWN: &str = r#"{"error":{"type":"environment_unknown","message":"m"}}"#;
/// How something that is not the relay may answer.
const ANSWERS: [(u16, &str); 6] =
    [(200, r#"{"proof":"AAAA"}"#), (404, UNKNOWN), (404, ""), (401, ""), (403, ""), (409, "")];

#[test]
fn after_a_failure_the_relay_has_to_prove_who_it_is_before_it_is_sent_a_credential() {
    let (mut bench, poll) = serving(|_| {});
    bench.fail(poll, IoErrorKind::Refused);
    bench.wait();
    assert!(!bench.has_request("/work/poll"));
    prove(&mut bench, "env_1.secret");
    let (poll, _) = bench.request("/work/poll");
    // Once is enough, until it fails again.
    bench.respond(poll, 204, "");
    bench.wait();
    let (poll, _) = bench.request("/work/poll");
    // It has restarted with other keys: it knows nothing but what it was given itself.
    bench.refuse(poll, 401, "authentication_failed");
    let (op, _) = question(&mut bench, "env_1.secret");
    bench.refuse(op, 401, "authentication_failed");
    assert!(!bench.has_request("/bridge"), "nobody knows who has refused it");
    prove(&mut bench, "token");
    let (register, request) = bench.request("/bridge");
    assert!(request.headers.iter().any(|(name, _)| *name == "authorization"));
    bench.respond(register, 200, REGISTERED);
    bench.request("/work/poll");
}

#[test]
fn whatever_cannot_prove_it_is_sent_nothing_and_ends_nothing() {
    for (status, body) in ANSWERS {
        let (mut bench, poll) = serving(|_| {});
        bench.fail(poll, IoErrorKind::Refused);
        for _ in 0..8 {
            bench.wait();
            answer_questions(&mut bench, status, body);
            assert_eq!(bench.outcome, None, "{status}");
        }
    }
}

#[test]
fn a_running_session_survives_it_and_shows_no_token() {
    for (status, body) in ANSWERS {
        let (mut bench, poll) = serving(|_| {});
        let Running { link, .. } = bench.start_session(poll, 1);
        let (poll, _) = bench.request("/work/poll");
        bench.handle(Event::Closed { op: link, code: None, failure: None });
        bench.fail(poll, IoErrorKind::Disconnected);
        let until = bench.now.mono + Duration::from_secs(120);
        while bench.now.mono < until {
            bench.wait();
            answer_questions(&mut bench, status, body);
        }
        assert_eq!((bench.machine.sessions(), &bench.outcome), (1, &None), "{status} {body}");
        // The relay is back: one proof serves all that waits.
        for _ in 0..20 {
            if !bench.actions.iter().any(is_question) {
                bench.wait();
            }
            if bench.actions.iter().any(is_question) {
                prove(&mut bench, "env_1.secret");
            }
        }
        assert_eq!(bench.machine.sessions(), 1, "{status} {body}");
        assert!(bench.has_request("/work/poll") || bench.has_request("/bridge"), "{status} {body}");
    }
}

#[test]
fn a_refusal_counts_once_the_relay_has_proved_that_it_is_its_own() {
    let refused = |bench: &mut Bench, poll| {
        bench.start_session(poll, 1);
        bench.wait();
        while !bench.has_request("/heartbeat") {
            bench.wait();
        }
        let (heartbeat, _) = bench.request("/heartbeat");
        bench.refuse(heartbeat, 404, "session_ended");
        assert_eq!(bench.signals(), [], "nobody knows who says so");
    };
    let (mut bench, poll) = serving(|_| {});
    refused(&mut bench, poll);
    let (op, _) = question(&mut bench, "nothing");
    bench.respond(op, 404, "");
    assert_eq!(bench.signals(), []);

    let (mut bench, poll) = serving(|_| {});
    refused(&mut bench, poll);
    prove(&mut bench, "env_1.secret");
    assert_eq!(bench.signals(), [Signal::Kill]);
}

#[test]
fn a_worker_that_gives_up_without_a_proof_cancels_nothing_that_never_started() {
    let (mut bench, poll) = serving(|_| {});
    bench.start_session(poll, 1);
    let (poll, _) = bench.request("/work/poll");
    bench.fail(poll, IoErrorKind::Disconnected);
    for _ in 0..2_000 {
        if bench.outcome.is_some() {
            break;
        }
        answer_questions(&mut bench, 404, "");
        if bench.outcome.is_none() && !bench.actions.iter().any(is_question) {
            bench.wait();
        }
    }
    assert!(bench.outcome.as_ref().is_some_and(Result::is_err), "it has given up");
}

#[test]
fn a_shutdown_shows_the_environments_secret_to_nobody_else() {
    for (status, body) in ANSWERS {
        let (mut bench, poll) = serving(|_| {});
        bench.start_session(poll, 1);
        let (poll, _) = bench.request("/work/poll");
        bench.fail(poll, IoErrorKind::Disconnected);
        bench.command(WorkerCommand::Shutdown);
        while bench.outcome.is_none() {
            answer_questions(&mut bench, status, body);
            if bench.outcome.is_none() {
                bench.wait();
            }
        }
        assert_eq!(bench.outcome, Some(Ok(())), "{status}");
    }
    let (mut bench, poll) = serving(|_| {});
    bench.fail(poll, IoErrorKind::Disconnected);
    bench.command(WorkerCommand::Shutdown);
    prove(&mut bench, "env_1.secret");
    let (deregister, _) = bench.request("/environments/env_1/stop");
    bench.respond(deregister, 200, "{}");
    assert_eq!(bench.outcome, Some(Ok(())));
}

fn keep(config: &mut WorkerConfig) {
    config.state_directory = Some("/state".to_owned());
}

#[test]
fn the_next_run_asks_for_a_proof_before_it_registers() {
    let (bench, _) = serving(keep);
    let mut next = Bench::on(bench.files.clone(), keep);
    next.answer_git();
    assert!(!next.has_request("/bridge"));
    prove(&mut next, "token");
    assert!(next.has_request("/bridge"));
}

#[test]
fn the_next_run_may_be_told_to_trust_another_relay_or_be_given_its_credential() {
    let (bench, _) = serving(keep);
    let mut next = Bench::on(bench.files.clone(), |config| {
        keep(config);
        config.trusts_relay = true;
    });
    next.answer_git();
    assert!(next.has_request("/bridge"));

    let mut next = Bench::on(bench.files.clone(), |config| {
        keep(config);
        config.credential = Credential::fixed(Secret::from("another"));
    });
    next.answer_git();
    prove(&mut next, "another");
    assert!(next.has_request("/bridge"));
}
