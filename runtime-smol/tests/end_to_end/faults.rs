//! Agents that misbehave.

use serde_json::{Value, json};

use crate::support::program::Program;

/// Runs a session of one agent, given as a shell script, from start to end.
#[track_caller]
fn session_of(script: &str) -> (Value, Vec<Value>) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("agent.sh");
    std::fs::write(&file, script).expect("a script");
    let program = Program::up(&directory, &["--agent", "sh ./agent.sh"]);
    let api = program.api();
    let session = api.new_session();
    let result = api.result(&session);
    (result, api.log(&session))
}

fn reports<'a>(log: &'a [Value], subtype: &str) -> Vec<&'a Value> {
    let of_worker = log.iter().filter(|event| event["from"] == "worker");
    of_worker.map(|event| &event["message"]).filter(|m| m["subtype"] == subtype).collect()
}

fn said(log: &[Value]) -> Vec<&Value> {
    log.iter().filter(|event| event["from"] == "agent").map(|event| &event["message"]).collect()
}

#[test]
fn an_agent_that_does_not_exist_fails_its_session_and_names_the_program() {
    let directory = tempfile::tempdir().expect("a directory");
    let program =
        Program::up(&directory, &["--agent", "./no-such-agent --flag", "--allow-missing-agent"]);
    let api = program.api();
    let result = api.result(&api.new_session());
    assert_eq!(result["status"], "failed", "{result}");
    assert!(result["message"].as_str().is_some_and(|m| m.contains("no-such-agent")), "{result}");
    program.hear("no-such-agent");
}

#[test]
fn an_agents_end_is_the_sessions_result() {
    let cases = [
        ("exit 0", json!("completed"), json!(0), json!(null), ""),
        ("exit 3", json!("failed"), json!(3), json!(null), ""),
        (
            "echo the disk is full >&2; exit 1",
            json!("failed"),
            json!(1),
            json!(null),
            "the disk is full",
        ),
        ("kill -9 $$", json!("failed"), json!(null), json!(9), ""),
    ];
    for (script, status, code, signal, stderr) in cases {
        let (result, _) = session_of(script);
        assert_eq!(result["status"], status, "{script}: {result}");
        assert_eq!(result["exit_code"], code, "{script}: {result}");
        assert_eq!(result["signal"], signal, "{script}: {result}");
        assert!(
            result["stderr"].as_str().is_some_and(|s| s.contains(stderr)),
            "{script}: {result}"
        );
    }
}

#[test]
fn lines_that_are_not_messages_are_reported_and_skipped() {
    let (result, log) = session_of(
        r#"echo 'Loading the model ...'
echo '[1, 2]'
printf '{"type":"bad \377 bytes"}\n'
echo '{"type":"of_tomorrow","n":1}'
printf '{"type":"last_words_without_an_end"}'"#,
    );
    assert_eq!(result["status"], "completed", "{result}");
    let errors = reports(&log, "agent_output_error");
    assert_eq!(errors.len(), 3, "{errors:#?}");
    assert!(errors[0]["line"].as_str().is_some_and(|line| line.contains("Loading the model")));
    assert_eq!(
        said(&log),
        [&json!({"type": "of_tomorrow", "n": 1}), &json!({"type": "last_words_without_an_end"})]
    );
}

#[test]
fn a_line_over_the_limit_is_skipped_and_the_next_one_is_passed_on() {
    let (result, log) = session_of(
        r#"printf '{"type":"long","x":"'
head -c 9000000 /dev/zero | tr '\0' x
echo '"}'
echo '{"type":"short"}'"#,
    );
    assert_eq!(result["status"], "completed", "{result}");
    let errors = reports(&log, "agent_output_error");
    assert_eq!(errors.len(), 1, "{errors:#?}");
    assert!(errors[0]["line"].as_str().is_some_and(|line| line.len() < 1000));
    assert_eq!(said(&log), [&json!({"type": "short"})]);
}
