//! Sessions as people use them: with the built-in agent, from start to finish.

use footbridge_core::auth::Credential;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::machine::MachineErrorKind;
use serde_json::json;

use super::stage::process::{descendants, kill, pid_in, until_gone};
use super::stage::worker::{config, script, shell_agent};
use super::stage::{Relay, Worker, until};
use crate::Runtime;

pub fn a_command_needs_permission_runs_and_shows_its_output<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), shell_agent::<R>(&[])));
    let session = relay.session();
    session.say("pwd; echo hello");
    session.answer(json!({"behavior": "allow"}));
    assert_eq!(session.turn(1)["subtype"], "success");
    let directory = home.path().canonicalize().expect("there");
    assert_eq!(session.tool_results(), [format!("{}\nhello\n", directory.display())]);
    session.stop();
    assert_eq!(session.result()["status"], "interrupted");
    worker.shut_down();
    assert!(relay.api.environments().is_empty(), "it has deregistered");
}

pub fn a_denied_command_does_not_run_and_an_edited_one_runs_as_edited<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), shell_agent::<R>(&[])));
    let session = relay.session();
    session.say("touch denied");
    session.answer(json!({"behavior": "deny", "message": "not today"}));
    assert_eq!(session.turn(1)["permission_denials"][0]["tool_input"]["command"], "touch denied");
    session.say("touch as-asked");
    let input = json!({"command": "touch as-edited"});
    session.answer(json!({"behavior": "allow", "updatedInput": input}));
    session.turn(2);
    let there = |name: &str| home.path().join(name).exists();
    assert_eq!(["denied", "as-asked", "as-edited"].map(there), [false, false, true]);
    worker.shut_down();
}

pub fn an_interrupt_ends_the_command_but_not_the_session<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let agent = shell_agent::<R>(&["--permission-mode", "bypassPermissions"]);
    let worker = Worker::start::<R>(config(&relay.address, home.path(), agent));
    let session = relay.session();
    session.say("echo $$ > pid; sleep 1000");
    let pid = pid_in(&home.path().join("pid"));
    assert_eq!(session.post("/interrupt", &json!({})).0, 200);
    assert_eq!(session.turn(1)["subtype"], "error_during_execution");
    until_gone(pid);
    session.say("echo still here");
    session.turn(2);
    assert_eq!(session.tool_results().last().map(String::as_str), Some("still here\n"));
    worker.shut_down();
}

pub fn an_interrupt_withdraws_an_open_question<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), shell_agent::<R>(&[])));
    let session = relay.session();
    session.say("touch it-ran");
    let question = session.question();
    assert_eq!(session.post("/interrupt", &json!({})).0, 200);
    session.turn(1);
    session.until("the question is gone", |now| now["pending_permissions"] == json!([]));
    let late = session.post("/permission", &json!({"request_id": question, "behavior": "allow"}));
    assert_eq!(late.0, 410, "{}", late.1);
    assert!(!home.path().join("it-ran").exists());
    worker.shut_down();
}

pub fn two_concurrent_sessions_do_not_interfere_and_a_third_waits_for_room<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let agent = shell_agent::<R>(&["--permission-mode", "bypassPermissions"]);
    let mut config = config(&relay.address, home.path(), agent);
    config.max_sessions = 2;
    let worker = Worker::start::<R>(config);
    let sessions = [(); 2].map(|()| relay.session());
    let pids = [0, 1].map(|n: usize| sessions[n].running());
    assert_ne!(pids[0], pids[1]);
    let third = relay.session();
    for (n, session) in sessions.iter().enumerate() {
        session.say(&format!("echo I am {n} $FOOTBRIDGE_SESSION_ID"));
    }
    for (n, session) in sessions.iter().enumerate() {
        session.turn(1);
        assert_eq!(session.tool_results(), [format!("I am {n} {}\n", session.id)]);
    }
    assert_eq!(third.now()["state"], "queued");
    sessions[0].stop();
    third.running();
    worker.shut_down();
}

pub fn the_death_of_its_agent_is_a_sessions_result<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), shell_agent::<R>(&[])));
    let session = relay.session();
    kill(session.running());
    let result = session.result();
    assert_eq!((&result["status"], &result["signal"]), (&json!("failed"), &json!(9)), "{result}");
    worker.shut_down();
}

pub fn a_shutdown_leaves_no_process_and_reports_how_the_sessions_ended<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    // A child that ignores SIGTERM, and one that holds the outputs.
    let stubborn = "(trap '' TERM; while :; do sleep 1000; done) & echo $! > stubborn; \
                    sleep 1000 & echo $! > child; cat";
    let mut config = config(&relay.address, home.path(), script(stubborn));
    config.shutdown_grace = std::time::Duration::from_millis(200);
    let worker = Worker::start::<R>(config);
    let session = relay.session();
    let agent = session.running();
    let pids = ["stubborn", "child"].map(|name| pid_in(&home.path().join(name)));
    let all = descendants(agent);
    worker.shut_down();
    pids.into_iter().chain([agent]).chain(all).for_each(until_gone);
    let result = session.result();
    assert_eq!(result["status"], "interrupted");
    assert_eq!(result["message"], "the worker was shut down");
}

pub fn an_unknown_token_ends_the_worker_with_a_message<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let mut config = config(&relay.address, home.path(), shell_agent::<R>(&[]));
    config.credential = Credential::fixed(Secret::from("quite-another-token"));
    let fault = Worker::start::<R>(config).ends().expect_err("refused");
    assert_eq!(fault.kind, MachineErrorKind::Unauthorized);
    assert!(!fault.message.contains("quite-another-token"), "{fault}");
}

pub fn a_token_renewed_in_its_file_is_found_there<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let file = home.path().join("token");
    std::fs::write(&file, super::stage::api::TOKEN).expect("written");
    let mut config = config(&relay.address, home.path(), shell_agent::<R>(&[]));
    let path = file.to_str().expect("text").to_owned();
    config.credential = Credential::from_file(Secret::from("the-one-before-it"), path);
    let worker = Worker::start::<R>(config);
    until("it registers", || (relay.api.environments().len() == 1).then_some(()));
    worker.shut_down();
}
