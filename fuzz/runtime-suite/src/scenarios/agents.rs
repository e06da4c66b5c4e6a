//! Agents that misbehave.

use std::time::Duration;

use footbridge_core::worker::{AgentProgram, WorkerConfig};
use serde_json::{Value, json};

use super::stage::process::{descendants, kill, pid_in, until_gone};
use super::stage::warp::Clock;
use super::stage::worker::{config, script, shell_agent};
use super::stage::{Relay, Worker, until};
use crate::Runtime;

struct Stage {
    relay: Relay,
    worker: Worker,
    home: tempfile::TempDir,
}

impl Stage {
    fn new<R: Runtime>(agent: AgentProgram) -> Self {
        Self::with::<R>(agent, Clock::default(), |_| {})
    }

    fn with<R: Runtime>(
        agent: AgentProgram,
        clock: Clock,
        set: impl FnOnce(&mut WorkerConfig),
    ) -> Self {
        let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
        let mut config = config(&relay.address, home.path(), agent);
        set(&mut config);
        let worker = Worker::on::<R>(config, clock);
        Self { relay, worker, home }
    }

    fn pid_in(&self, name: &str) -> u32 {
        pid_in(&self.home.path().join(name))
    }

    fn end(self) {
        self.worker.shut_down();
    }
}

/// How a session ended: status, exit code, signal.
fn ending(result: &Value) -> [&Value; 3] {
    ["status", "exit_code", "signal"].map(|name| &result[name])
}

pub fn one_that_dies_before_its_first_byte<R: Runtime>() {
    let stage = Stage::new::<R>(script("kill -9 $$"));
    let result = stage.relay.session().result();
    assert_eq!(ending(&result), [&json!("failed"), &Value::Null, &json!(9)], "{result}");
    stage.end();
}

pub fn one_that_dies_with_a_question_open<R: Runtime>() {
    let stage = Stage::new::<R>(shell_agent::<R>(&[]));
    let session = stage.relay.session();
    session.say("touch it-ran");
    let question = session.question();
    kill(session.running());
    let result = session.result();
    assert_eq!(ending(&result), [&json!("failed"), &Value::Null, &json!(9)], "{result}");
    let late = session.post("/permission", &json!({"request_id": question, "behavior": "allow"}));
    assert_eq!(late.0, 410, "{}", late.1);
    assert!(!stage.home.path().join("it-ran").exists());
    stage.end();
}

pub fn one_that_dies_in_the_middle_of_a_line<R: Runtime>() {
    let stage =
        Stage::new::<R>(script("echo '{\"type\":\"whole\"}'; printf '{\"type\":\"ha'; kill -9 $$"));
    let session = stage.relay.session();
    let result = session.result();
    assert_eq!(ending(&result), [&json!("failed"), &Value::Null, &json!(9)], "{result}");
    assert_eq!(session.from("agent"), [json!({"type": "whole"})]);
    let reports = session.from("worker");
    let skipped: Vec<_> = reports
        .iter()
        .filter(|m| m["subtype"] == "agent_output_error")
        .map(|m| &m["line"])
        .collect();
    assert_eq!(skipped, [&json!("{\"type\":\"ha")]);
    stage.end();
}

pub fn one_that_dies_while_it_floods<R: Runtime>() {
    // It floods once it is told to: what it says may outrun both a reader and what is kept.
    let stage = Stage::new::<R>(script(
        "while read -r line; do case $line in *go*) break; esac; done
        exec yes '{\"type\":\"flood\",\"n\":\"0123456789\"}'",
    ));
    let session = stage.relay.session();
    let pid = session.running();
    session.say("go");
    until("the flood", || {
        let page = session.get("/events?after=0&limit=1000");
        let events = page["events"].as_array()?.clone();
        events.into_iter().find(|event| event["message"]["type"] == "flood")
    });
    kill(pid);
    let result = session.result();
    assert_eq!(ending(&result), [&json!("failed"), &Value::Null, &json!(9)], "{result}");
    stage.end();
}

pub fn one_that_ignores_sigterm_is_killed_after_the_grace_period<R: Runtime>() {
    let stubborn = script("trap '' TERM; echo $$ > pid; while :; do sleep 1000; done");
    let grace = Duration::from_millis(300);
    let stage =
        Stage::with::<R>(stubborn, Clock::default(), |config| config.shutdown_grace = grace);
    let session = stage.relay.session();
    let pid = stage.pid_in("pid");
    session.running();
    session.stop();
    let result = session.result();
    assert_eq!(ending(&result), [&json!("interrupted"), &Value::Null, &json!(9)], "{result}");
    until_gone(pid);
    stage.end();
}

pub fn one_that_runs_for_too_long_times_out<R: Runtime>() {
    let limit = Duration::from_millis(500);
    let stage = Stage::with::<R>(script("exec cat"), Clock::default(), |config| {
        config.session_limit = limit;
    });
    let result = stage.relay.session().result();
    assert_eq!(ending(&result), [&json!("timed_out"), &Value::Null, &json!(15)], "{result}");
    stage.end();
}

pub fn one_whose_child_holds_its_stdout<R: Runtime>() {
    let leaves = "sleep 1000 & echo $! > child; echo '{\"type\":\"last\"}'";
    let stage = Stage::new::<R>(script(leaves));
    let session = stage.relay.session();
    let result = session.result();
    assert_eq!(ending(&result), [&json!("completed"), &json!(0), &Value::Null], "{result}");
    assert_eq!(session.from("agent"), [json!({"type": "last"})]);
    until_gone(stage.pid_in("child"));
    stage.end();
}

/// With clocks that run ten times as fast: it has 5 s to exit, and then the grace period.
pub fn one_that_closes_its_stdout_and_keeps_running<R: Runtime>() {
    let mute = script("echo $$ > pid; echo '{\"type\":\"last\"}'; exec >&-; exec sleep 1000");
    let stage = Stage::with::<R>(mute, Clock::fast(10), |_| {});
    let session = stage.relay.session();
    let result = session.result();
    assert_eq!(result["status"], "failed", "{result}");
    assert_eq!(session.from("agent"), [json!({"type": "last"})]);
    until_gone(stage.pid_in("pid"));
    stage.end();
}

pub fn one_that_never_reads_blocks_nobody_else<R: Runtime>() {
    // The first one never reads; later ones do.
    let agent = script("mkdir first 2>/dev/null && exec sleep 1000; exec cat");
    let stage = Stage::new::<R>(agent);
    let deaf = stage.relay.session();
    deaf.running();
    for _ in 0..8 {
        deaf.say(&"x".repeat(128 << 10));
    }
    let other = stage.relay.session();
    other.say("can you hear me?");
    other.echo("can you hear me?");
    until("both run", || (stage.worker.notices().len() > 2).then_some(()));
    deaf.stop();
    let result = deaf.result();
    assert_eq!(ending(&result), [&json!("interrupted"), &Value::Null, &json!(15)], "{result}");
    stage.end();
}

pub fn one_that_does_not_exist_is_named<R: Runtime>() {
    let program = "./no-such-agent".to_owned();
    let stage = Stage::new::<R>(AgentProgram { program, args: Vec::new(), env: Vec::new() });
    let result = stage.relay.session().result();
    assert_eq!(result["status"], "failed", "{result}");
    assert!(result["message"].as_str().is_some_and(|m| m.contains("no-such-agent")), "{result}");
    stage.end();
}

pub fn everything_that_an_agent_started_ends_with_it<R: Runtime>() {
    let leaves = "sleep 1000 & sh -c 'sleep 1000 & sleep 1000' & touch up; exec cat";
    let stage = Stage::new::<R>(script(leaves));
    let session = stage.relay.session();
    let pid = session.running();
    let all = until("its children", || Some(descendants(pid)).filter(|all| all.len() == 4));
    kill(pid);
    session.result();
    all.into_iter().for_each(until_gone);
    stage.end();
}

pub fn what_one_writes_to_stderr_is_seen_while_it_runs<R: Runtime>() {
    let stage = Stage::new::<R>(script(
        "echo first >&2; sleep 0.2; echo second >&2; printf 'no end' >&2; exec cat",
    ));
    let session = stage.relay.session();
    session.event("the first line", |message| {
        message["subtype"] == "agent_stderr" && message["text"] == "first"
    });
    session.event("the others", |message| {
        message["subtype"] == "agent_stderr"
            && message["text"].as_str().is_some_and(|text| text.contains("second"))
    });
    session.event("what has no end", |message| {
        message["text"].as_str().is_some_and(|text| text.ends_with("no end"))
    });
    assert_eq!(session.now()["state"], "running");
    stage.end();
}
