//! What an agent asks of the client that has declared hooks or MCP servers (M-6).

use super::*;
use crate::base::limits::{CALLBACK_TIME_LIMIT, MAX_OPEN_CALLBACKS};
use core::time::Duration;

fn asks(id: &str, callback: &str, event: &str) -> String {
    format!(
        r#"{{"type":"control_request","request_id":"{id}","request":{{"subtype":"hook_callback","callback_id":"{callback}","input":{{"hook_event_name":"{event}"}}}}}}"#
    ) + "\n"
}

const DENY: &str =
    r#""hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"deny""#;

fn answers(id: &str, response: &str) -> String {
    format!(
        r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{id}","response":{response}}}}}"#
    )
}

fn declares(hooks: &str) -> String {
    format!(
        r#"{{"type":"control_request","request_id":"r1","request":{{"subtype":"initialize","hooks":{hooks}}}}}"#
    )
}

#[test]
fn what_no_client_answers_in_time_is_refused_once_and_a_guarded_tool_does_not_run() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, &asks("H", "hook_0", "PreToolUse")));
    bench.handle(stdout(agent, &asks("I", "hook_1", "Stop")));
    assert!(bench.written(agent).is_empty(), "a client is asked");
    assert_eq!(bench.sent(link).len(), 2);
    bench.pass(CALLBACK_TIME_LIMIT - Duration::from_millis(1));
    bench.handle(frame(link, &ControlFrame::Pong));
    assert!(bench.written(agent).is_empty());
    bench.pass(Duration::from_millis(1));
    bench.handle(Event::Tick);
    let written = bench.written(agent);
    assert!(
        written[0].contains(DENY) && written[0].contains("did not answer in time"),
        "{written:?}"
    );
    assert!(written[1].contains(r#""subtype":"error","request_id":"I""#), "{written:?}");
    let reports = bench.sent(link);
    let is_withdrawn = |line: &&String| line.contains("callback_withdrawn");
    assert_eq!(reports.iter().filter(is_withdrawn).count(), 2, "{reports:?}");
    // Too late.
    bench.handle(line(link, &answers("H", "{}")));
    assert!(bench.written(agent).is_empty());
    assert!(bench.sent(link).iter().any(|line| line.contains("messages_undelivered")));
    let error = r#"{"type":"control_response","response":{"subtype":"error","request_id":"I","error":"e"}}"#;
    bench.handle(line(link, error));
    assert!(bench.sent(link).iter().any(|line| line.contains("messages_undelivered")));
    // The relay's own refusal is nobody's answer.
    let refused = crate::wire::control::refusal_on(&Text::from(answers("H", "{}")), 1);
    bench.handle(line(link, refused.as_str()));
    assert!(!bench.sent(link).iter().any(|line| line.contains("messages_undelivered")));
}

#[test]
fn a_clients_tool_may_work_for_longer_than_a_hook_may_think() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let message = r#"{"type":"control_request","request_id":"M","request":{"subtype":"mcp_message","server_name":"calc","message":{"id":0}}}"#;
    bench.handle(stdout(agent, &format!("{message}\n")));
    bench.pass(CALLBACK_TIME_LIMIT * 5);
    bench.handle(Event::Tick);
    assert!(bench.written(agent).is_empty());
    let answer = answers("M", r#"{"mcp_response":{"id":0,"result":{}}}"#);
    bench.handle(line(link, &answer));
    assert_eq!(bench.written(agent), [format!("{answer}\n")]);
}

#[test]
fn an_answer_reaches_the_agent_once_and_none_after_it_has_cancelled() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let message = r#"{"type":"control_request","request_id":"M","request":{"subtype":"mcp_message","server_name":"calc","message":{"id":0}}}"#;
    bench.handle(stdout(agent, &format!("{message}\n")));
    let answer = answers("M", r#"{"mcp_response":{"id":0,"result":{}}}"#);
    bench.handle(line(link, &answer));
    bench.handle(line(link, &answer));
    assert_eq!(bench.written(agent), [format!("{answer}\n")]);
    bench.handle(stdout(agent, &asks("H", "hook_0", "PreToolUse")));
    bench.handle(stdout(agent, "{\"type\":\"control_cancel_request\",\"request_id\":\"H\"}\n"));
    bench.handle(line(link, &answers("H", "{}")));
    bench.pass(CALLBACK_TIME_LIMIT);
    bench.handle(Event::Tick);
    assert!(bench.written(agent).is_empty(), "it was withdrawn");
}

#[test]
fn a_guard_is_never_answered_by_what_its_agent_would_take_for_yes_by_mistake() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let error = r#"{"type":"control_response","response":{"subtype":"error","request_id":"H","error":"it broke"}}"#;
    for answer in [error.to_owned(), answers("H", "null"), answers("H", r#"{"decision":1}"#)] {
        bench.handle(stdout(agent, &asks("H", "hook_0", "PreToolUse")));
        bench.handle(line(link, &answer));
        let written = bench.written(agent);
        assert!(matches!(&written[..], [only] if only.contains(DENY)), "{answer}: {written:?}");
        bench.handle(stdout(agent, &asks("I", "hook_0", "Stop")));
        let answer = answer.replace(r#""H""#, r#""I""#);
        bench.handle(line(link, &answer));
        assert_eq!(bench.written(agent), [format!("{answer}\n")]);
    }
}

#[test]
fn a_hook_that_states_a_shorter_time_limit_is_answered_by_then() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let hooks = r#"{"PreToolUse":[{"hookCallbackIds":["hook_0"],"timeout":5}]}"#;
    bench.handle(line(link, &declares(hooks)));
    bench.written(agent);
    bench.handle(stdout(agent, &asks("H", "hook_0", "PreToolUse")));
    bench.handle(stdout(agent, &asks("I", "hook_1", "PreToolUse")));
    bench.pass(Duration::from_secs(5));
    bench.handle(Event::Tick);
    let written = bench.written(agent);
    assert!(matches!(&written[..], [only] if only.contains(r#""request_id":"H""#)), "{written:?}");
}

#[test]
fn no_more_than_so_many_wait_for_a_client_and_the_rest_is_refused() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, .. } = bench.start_session(poll, 1);
    for n in 0..=MAX_OPEN_CALLBACKS {
        bench.handle(stdout(agent, &asks(&format!("h{n}"), "hook_0", "PreToolUse")));
    }
    let written = bench.written(agent);
    assert!(matches!(&written[..], [only] if only.contains(DENY)), "{written:?}");
    bench.handle(stdout(agent, &format!("{QUESTION}\n")));
    assert!(bench.written(agent).is_empty(), "people can still be asked");
}

#[test]
fn an_agent_is_told_what_was_declared_to_an_earlier_run_of_it_once_and_before_all_lines() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let declared = declares(r#"{"PreToolUse":[{"hookCallbackIds":["hook_0"],"timeout":5}]}"#);
    let message = serde_json::value::RawValue::from_string(declared.clone()).expect("JSON");
    let told = frame(link, &ControlFrame::Declared { message });
    bench.handle(told.clone());
    bench.handle(line(link, r#"{"type":"user","uuid":"U"}"#));
    bench.handle(told);
    let written = bench.written(agent);
    assert_eq!(written.len(), 2, "{written:?}");
    assert_eq!(written[0], format!("{declared}\n"));
    // It is no line that the relay counts.
    bench.handle(Event::Written { op: agent, writes: 2 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);
    bench.handle(stdout(agent, &asks("H", "hook_0", "PreToolUse")));
    bench.pass(Duration::from_secs(5));
    bench.handle(Event::Tick);
    assert!(bench.written(agent)[0].contains(DENY), "its time limit is known");
}
