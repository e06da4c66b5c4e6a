//! The conversation between an agent and the relay.

use super::*;
use crate::base::limits::{
    AGENT_NOT_READING_AFTER, KNOWN_LINES, LINK_AWAKE_WITHIN, LINK_PING_AFTER, MAX_NAME_BYTES,
    OUTBOX_HIGH_WATER_BYTES,
};

#[test]
fn a_question_gets_exactly_one_answer_and_none_after_it_was_withdrawn() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, ANSWER));
    assert!(bench.written(agent).is_empty(), "nobody asked");
    bench.handle(stdout(agent, &format!("{QUESTION}\n")));
    bench.handle(line(link, ANSWER));
    bench.handle(line(link, ANSWER));
    assert_eq!(bench.written(agent).len(), 1);
    bench.handle(stdout(agent, &format!("{QUESTION}\n")));
    bench.handle(stdout(agent, "{\"type\":\"control_cancel_request\",\"request_id\":\"P\"}\n"));
    bench.handle(line(link, ANSWER));
    assert!(bench.written(agent).is_empty(), "it was withdrawn");
}

#[test]
fn a_question_that_nobody_can_answer_gets_an_error_immediately() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, r#"{"type":"user","uuid":"U"}"#));
    bench.written(agent);
    let hook = r#"{"type":"control_request","request_id":"H","request":{"subtype":"dance"}}"#;
    bench.handle(stdout(agent, &format!("{hook}\n")));
    let written = bench.written(agent);
    assert!(written[0].contains(r#""subtype":"error","request_id":"H""#), "{written:?}");
    assert_eq!(bench.sent(link), [hook], "viewers see the question");
    // The worker's own line is not one that the relay counts.
    bench.handle(line(link, r#"{"type":"user","uuid":"V"}"#));
    bench.handle(Event::Written { op: agent, writes: 1 });
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":2}"#]);
}

#[test]
fn a_relay_that_sends_more_bytes_than_its_window_is_not_read_until_the_agent_has_caught_up() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let text = format!(r#"{{"type":"user","x":"{}"}}"#, "x".repeat(1 << 20));
    let is_pause = |action: &Action| matches!(action, Action::Pause { op } if *op == link);
    let mut lines = 0;
    while !bench.actions.iter().any(is_pause) {
        bench.handle(line(link, &text));
        lines += 1;
        assert!(lines < 20, "never paused");
    }
    bench.handle(Event::Written { op: agent, writes: lines });
    assert!(bench.actions.iter().any(|a| matches!(a, Action::Resume { op } if *op == link)));
}

#[test]
fn an_agent_that_asks_and_does_not_listen_is_paused_and_reported() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let subtype = "x".repeat(60_000);
    let request = format!(
        "{{\"type\":\"control_request\",\"request_id\":\"{}\",\"request\":{{\"subtype\":\"{subtype}\"}}}}\n",
        "r".repeat(100)
    );
    let is_pause = |action: &Action| matches!(action, Action::Pause { op } if *op == agent);
    let (mut read, mut answered) = (0, 0);
    while !bench.actions.iter().any(is_pause) {
        bench.handle(stdout(agent, &request));
        read += 1;
        // The relay keeps up.
        bench.handle(frame(link, &ControlFrame::Ack { received: 1 + read }));
        answered += bench.written(agent).concat().len();
        assert!(answered < 2 * OUTBOX_HIGH_WATER_BYTES, "{read} requests were answered");
    }
    assert!(answered > OUTBOX_HIGH_WATER_BYTES / 2, "{answered}");
    let each = answered / usize::try_from(read).expect("few");
    assert!(each < 2 * MAX_NAME_BYTES, "{each}: an answer does not grow with its request");
    bench.sent(link);
    bench.pass(AGENT_NOT_READING_AFTER);
    bench.handle(Event::Tick);
    let sent = bench.sent(link).concat();
    assert!(sent.contains("agent_not_reading"), "{sent}");
    bench.handle(Event::Written { op: agent, writes: usize::try_from(read).expect("few") });
    assert!(bench.actions.iter().any(|a| matches!(a, Action::Resume { op } if *op == agent)));
    assert!(bench.sent(link).concat().contains("agent_reading"));
}

#[test]
fn the_agent_gets_a_message_once_and_never_a_line_that_is_not_one() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let user = r#"{"type":"user","uuid":"U"}"#;
    bench.handle(line(link, &format!("{user}\n{user}\nnot json\n")));
    assert_eq!(bench.written(agent).len(), 1);
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link).last().expect("an ack"), r#"{"type":"ack","received":1}"#);
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":3}"#], "the repeat is reported");
}

#[test]
fn a_link_replaced_under_the_same_lease_is_reopened_and_one_that_lost_its_lease_is_not() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { link, .. } = bench.start_session(poll, 1);
    bench.handle(Event::Closed { op: link, code: Some(4408), failure: None });
    assert!(bench.signals().is_empty(), "the agent keeps running");
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.handle(Event::Closed { op: link, code: Some(4409), failure: None });
    assert!(bench.signals().is_empty(), "it may have the newer lease itself");
    let mut signals = Vec::new();
    while signals.is_empty() {
        bench.wait();
        assert!(!bench.actions.iter().any(|action| matches!(action, Action::Open { .. })));
        signals = bench.signals();
    }
    assert_eq!(signals, [Signal::Kill], "another one has it");
}

#[test]
fn what_a_flag_does_is_no_relays_to_ask_for_unless_the_owner_allows_the_flag() {
    let ask = r#"{"type":"control_request","request_id":"R","request":{"subtype":"mcp_set_servers","servers":{"x":{"command":"sh"}}}}"#;
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.sent(link);
    bench.handle(line(link, ask));
    assert!(bench.written(agent).is_empty());
    let told = bench.sent(link).concat();
    assert!(told.contains(r#""subtype":"error","request_id":"R""#), "{told}");
    assert!(told.contains("--allow-flag mcp-config"), "{told}");
    let (mut bench, poll) =
        Bench::serving(|config| config.allowance.flags.push("mcp-config".to_owned()));
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, ask));
    assert_eq!(bench.written(agent).len(), 1);
}

#[test]
fn the_environment_of_an_agent_is_no_relays_to_set_unless_the_owner_allows_the_variable() {
    let ask = r#"{"type":"update_environment_variables","uuid":"U","variables":{"PATH":"/tmp"}}"#;
    let harmless = r#"{"type":"update_environment_variables","variables":{"TZ":"UTC"}}"#;
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.sent(link);
    bench.handle(line(link, ask));
    assert!(bench.written(agent).is_empty());
    let told = bench.sent(link).concat();
    assert!(told.contains("messages_undelivered") && told.contains(r#""uuids":["U"]"#), "{told}");
    assert!(told.contains("--allow-variable PATH"), "{told}");
    bench.handle(line(link, harmless));
    assert_eq!(bench.written(agent).len(), 1);
    let (mut bench, poll) =
        Bench::serving(|config| config.allowance.variables.push("PATH".to_owned()));
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, ask));
    assert_eq!(bench.written(agent).len(), 1);
}

#[test]
fn a_session_in_whose_name_something_else_has_spoken_starts_over_instead_of_trying_for_ever() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { link, .. } = bench.start_session(poll, 1);
    bench.handle(Event::Closed { op: link, code: Some(4408), failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 9, from: 0, window: None }));
    assert_eq!(bench.signals(), [Signal::Kill]);
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Open { .. })));
}

#[test]
fn at_a_relay_that_was_set_back_the_session_goes_on_with_what_both_sides_have() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let user = |uuid: &str| format!(r#"{{"type":"user","uuid":"{uuid}"}}"#);
    for uuid in ["a", "b"] {
        bench.handle(line(link, &user(uuid)));
    }
    assert_eq!(bench.written(agent).len(), 2);
    bench.handle(Event::Written { op: agent, writes: 2 });
    bench.handle(stdout(agent, "{\"type\":\"a\",\"n\":1}\n{\"type\":\"a\",\"n\":2}\n"));
    // The report of the start is the first.
    bench.handle(frame(link, &ControlFrame::Ack { received: 3 }));
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    assert_eq!(bench.sent(link), [r#"{"type":"resume","received":2,"from":0}"#]);
    // It has one of them, has acknowledged nothing of its own, and says so before it refuses.
    bench.handle(frame(link, &ControlFrame::Resume { received: 2, from: 0, window: None }));
    let sent = bench.sent(link);
    assert_eq!(sent[0], r#"{"type":"a","n":2}"#);
    assert!(
        sent[1].contains("relay_set_back") && sent[1].contains("1 were sent again"),
        "{sent:?}"
    );
    bench.handle(Event::Closed { op: link, code: Some(4410), failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    assert_eq!(bench.sent(link), [r#"{"type":"resume","received":0,"from":0}"#]);
    bench.handle(frame(link, &ControlFrame::Resume { received: 4, from: 0, window: None }));
    bench.handle(line(link, &user("a")));
    bench.handle(line(link, &user("c")));
    assert_eq!(bench.written(agent).len(), 1, "of b, it knows nothing");
    bench.handle(Event::Written { op: agent, writes: 1 });
    let acks: Vec<_> = bench.sent(link);
    assert_eq!(acks.last().map(String::as_str), Some(r#"{"type":"ack","received":2}"#));
    assert!(!acks.concat().contains("relay_set_back"), "it was said once: {acks:?}");
    assert_eq!(bench.signals(), []);
}

#[test]
fn an_agent_of_which_nobody_can_say_what_it_was_told_starts_over_and_the_log_says_why() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    for n in 0..=KNOWN_LINES {
        bench.handle(line(link, &format!(r#"{{"type":"user","uuid":"{n}"}}"#)));
        bench.handle(Event::Written { op: agent, writes: 1 });
    }
    bench.handle(Event::Closed { op: link, code: Some(4410), failure: None });
    assert_eq!(bench.signals(), []);
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.sent(link);
    bench.handle(frame(link, &ControlFrame::Resume { received: 1, from: 0, window: None }));
    assert!(bench.sent(link).concat().contains("starts over"), "the log says so");
    assert_eq!(bench.signals(), [Signal::Kill], "it is not known what it was told");
}

#[test]
fn after_a_broken_link_nothing_is_lost_and_nothing_arrives_twice() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, "{\"type\":\"a\",\"n\":1}\n{\"type\":\"a\",\"n\":2}\n"));
    let user = r#"{"type":"user"}"#;
    bench.handle(line(link, user));
    assert_eq!(bench.written(agent).len(), 1);
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.handle(stdout(agent, "{\"type\":\"a\",\"n\":3}\n"));
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    // The report of the start and two lines were sent; the pipe has not accepted the line yet.
    assert_eq!(bench.sent(link), [r#"{"type":"resume","received":0,"from":0}"#]);
    bench.handle(frame(link, &ControlFrame::Resume { received: 2, from: 0, window: None }));
    assert_eq!(bench.sent(link), [r#"{"type":"a","n":2}"#, r#"{"type":"a","n":3}"#]);
    bench.handle(line(link, user));
    assert_eq!(bench.written(agent), [""; 0], "it already has this line");
}

#[test]
fn what_arrives_for_an_agent_that_has_ended_is_not_acknowledged() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, r#"{"type":"user","uuid":"U"}"#));
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);
    bench.exit(agent, ExitStatus::Signal(11));
    bench.sent(link);
    bench.handle(line(link, r#"{"type":"user","uuid":"V"}"#));
    assert_eq!(bench.sent(link), [""; 0], "another agent may need it");
}

#[test]
fn a_relay_whose_line_count_overflows_is_cut_off() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let running = bench.start_session(poll, 1);
    bench.handle(Event::Closed { op: running.link, code: None, failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: u64::MAX, window: None }));
    bench.handle(line(link, r#"{"type":"user"}"#));
    let code = bench.take("close", |action| match action {
        Action::Close { op, code } if *op == link => Some(*code),
        _ => None,
    });
    assert_eq!(code, 1002);
}

#[test]
fn an_agent_that_prints_faster_than_the_relay_reads_is_paused_and_resumed() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let text = format!("{{\"type\":\"a\",\"x\":\"{}\"}}\n", "x".repeat(60_000));
    let mut lines = 0;
    let is_pause = |action: &Action| matches!(action, Action::Pause { op } if *op == agent);
    while !bench.actions.iter().any(is_pause) {
        bench.handle(stdout(agent, &text));
        lines += 1;
        assert!(lines < 100, "never paused");
    }
    let held = bench.unacked_bytes();
    assert!(held <= crate::base::limits::OUTBOX_HIGH_WATER_BYTES + text.len(), "{held}");
    let mut received = 0;
    while !bench.actions.iter().any(|a| matches!(a, Action::Resume { op } if *op == agent)) {
        received += 1;
        bench.handle(frame(link, &ControlFrame::Ack { received }));
    }
    assert!(received > 10 && received <= lines, "{received}");
}

#[test]
fn output_that_is_not_a_message_is_reported_and_skipped() {
    let (mut bench, poll) = Bench::serving(|config| config.max_line_bytes = 100);
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(stdout(agent, &format!("oops\n{}\n{{\"type\":\"a\"}}\n", "y".repeat(101))));
    let sent = bench.sent(link);
    assert!(sent[0].contains("agent_output_error") && sent[0].contains("not JSON"), "{sent:?}");
    assert!(sent[1].contains("101 bytes is over the limit"), "{sent:?}");
    assert_eq!(sent[2], r#"{"type":"a"}"#);
}

#[test]
fn an_answer_reaches_the_agent_only_if_it_is_to_the_question_that_is_open_now() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let named = |number: u64| {
        let open = ANSWER.strip_suffix('}').expect("an object");
        line(link, &format!("{open},\"asked_on_line\":{number}}}"))
    };
    let other = QUESTION.replace("{}", r#"{"command":"rm"}"#);
    let cancel = r#"{"type":"control_cancel_request","request_id":"P"}"#;
    // The report of the agent's start is the first line, the questions are the second and the fourth.
    bench.handle(stdout(agent, &format!("{QUESTION}\n{cancel}\n{other}\n")));
    bench.handle(named(2));
    assert_eq!(bench.written(agent), [""; 0], "that was about the one that was withdrawn");
    bench.handle(named(4));
    assert_eq!(bench.written(agent), [format!("{ANSWER}\n")], "as the agent expects it");
}

#[test]
fn two_different_questions_under_one_id_are_refused_at_once() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let other = QUESTION.replace("{}", r#"{"command":"rm"}"#);
    bench.handle(stdout(agent, &format!("{QUESTION}\n{other}\n")));
    let refused = bench.written(agent);
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|line| line.contains(r#""subtype":"error","request_id":"P""#)));
    let sent = bench.sent(link);
    assert!(sent[2].contains("permission_withdrawn"), "after both of them: {sent:?}");
    bench.handle(line(link, ANSWER));
    assert_eq!(bench.written(agent), [""; 0]);
}

#[test]
fn what_the_agent_does_not_get_is_said_with_the_reason() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, ANSWER));
    let sent = bench.sent(link);
    assert!(sent[0].contains("messages_undelivered") && sent[0].contains(r#""answers":["P"]"#));
    assert!(sent[0].contains(r#""lines":[1]"#), "{sent:?}");
    assert_eq!(sent.len(), 1, "an ack would say that the agent has it");
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#], "and it is not sent again");
    let user = r#"{"type":"user","uuid":"U"}"#;
    bench.handle(line(link, &format!("{user}\n{user}\n")));
    assert_eq!(bench.written(agent).len(), 1);
    let sent = bench.sent(link);
    let is_said =
        |sent: &String| sent.contains("messages_undelivered") && sent.contains(r#""uuids":["U"]"#);
    assert!(sent.iter().any(is_said), "{sent:?}");
}

#[test]
fn lines_that_arrive_in_one_message_are_acknowledged_once_the_pipe_has_them() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let user = |uuid: &str| format!("{{\"type\":\"user\",\"uuid\":\"{uuid}\"}}\n");
    bench.handle(line(link, &["U", "V", "W"].map(user).concat()));
    assert_eq!(bench.sent(link), [""; 0], "the agent has none of them yet");
    bench.handle(Event::Written { op: agent, writes: 2 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":2}"#]);
}

#[test]
fn a_resume_acknowledges_nothing_whose_report_the_relay_may_not_have() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(line(link, ANSWER));
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    // The relay learns that the agent has ended before it learns of the line.
    assert_eq!(bench.sent(link), [r#"{"type":"resume","received":0,"from":0}"#]);
    bench.handle(frame(link, &ControlFrame::Resume { received: 1, from: 0, window: None }));
    let sent = bench.sent(link);
    assert!(sent[0].contains("agent_exited") && sent[1].contains("messages_undelivered"));
    assert_eq!(sent.len(), 2, "{sent:?}");
    bench.handle(line(link, ANSWER));
    assert_eq!(bench.sent(link), [""; 0]);
    bench.handle(frame(link, &ControlFrame::Ack { received: 3 }));
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);
}

#[test]
fn an_exit_counts_what_was_given_after_a_line_that_was_not() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, ANSWER));
    bench.handle(line(link, r#"{"type":"user","uuid":"U"}"#));
    bench.handle(Event::Written { op: agent, writes: 1 });
    bench.handle(Event::InputClosed { op: agent });
    bench.handle(line(link, r#"{"type":"user","uuid":"V"}"#));
    bench.handle(line(link, ANSWER));
    bench.exit(agent, ExitStatus::Code(0));
    let sent = bench.sent(link);
    let exit = sent.iter().find(|sent| sent.contains("agent_exited")).expect("an exit");
    assert!(exit.contains(r#""delivered":0,"attempted":2"#), "{exit}");
}

#[test]
fn a_line_that_the_agent_does_not_read_is_reported_as_held_and_once() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    bench.handle(line(link, r#"{"type":"user","uuid":"U"}"#));
    bench.handle(line(link, r#"{"type":"user","uuid":"V"}"#));
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(bench.sent(link), [r#"{"type":"ack","received":1}"#]);
    bench.pass(crate::base::limits::HELD_LINE_AFTER);
    bench.handle(Event::Tick);
    assert_eq!(bench.sent(link), [r#"{"type":"held","received":2}"#]);
    bench.pass(crate::base::limits::HELD_LINE_AFTER);
    bench.handle(Event::Tick);
    assert_eq!(bench.sent(link), [""; 0]);
    // Nothing is said about what reaches the agent at once.
    bench.handle(Event::Written { op: agent, writes: 1 });
    bench.handle(line(link, r#"{"type":"user","uuid":"W"}"#));
    bench.handle(Event::Written { op: agent, writes: 1 });
    bench.pass(crate::base::limits::HELD_LINE_AFTER);
    bench.handle(Event::Tick);
    let acks = [r#"{"type":"ack","received":2}"#, r#"{"type":"ack","received":3}"#];
    assert_eq!(bench.sent(link), acks);
}

#[test]
fn an_exit_says_how_far_the_agents_lines_had_come() {
    let given = |acts: &dyn Fn(&mut Bench, OpId)| {
        let (mut bench, poll) = Bench::serving(|_| {});
        let Running { agent, link } = bench.start_session(poll, 1);
        for uuid in ["U", "V"] {
            bench.handle(line(link, &format!(r#"{{"type":"user","uuid":"{uuid}"}}"#)));
        }
        bench.handle(Event::Written { op: agent, writes: 1 });
        acts(&mut bench, agent);
        bench.handle(line(link, r#"{"type":"user","uuid":"W"}"#));
        bench.exit(agent, ExitStatus::Code(0));
        let sent = bench.sent(link);
        let exit = sent.into_iter().find(|sent| sent.contains("agent_exited")).expect("an exit");
        let from = exit.find(r#""delivered""#).expect("a number");
        exit[from..].trim_end_matches('}').to_owned()
    };
    assert_eq!(given(&|_, _| {}), r#""delivered":1,"attempted":3"#);
    let closes = |bench: &mut Bench, op| bench.handle(Event::InputClosed { op });
    assert_eq!(given(&closes), r#""delivered":1,"attempted":2"#, "the pipe was closed by then");
}

#[test]
fn what_an_agent_writes_to_stderr_is_reported_as_it_comes_and_before_its_end() {
    let (mut bench, poll) = Bench::serving(|_| {});
    let Running { agent, link } = bench.start_session(poll, 1);
    let stderr =
        |text: &'static str| Event::Stderr { op: agent, data: Bytes::from_static(text.as_bytes()) };
    bench.handle(stderr("one\n"));
    let sent = bench.sent(link);
    assert!(sent[0].contains(r#""subtype":"agent_stderr","text":"one""#), "{sent:?}");
    bench.handle(stderr("two\nthree\n"));
    assert_eq!(bench.sent(link), [""; 0], "it waits");
    assert_eq!(bench.wait(), Duration::from_secs(1));
    let sent = bench.sent(link);
    assert!(sent[0].contains(r#""text":"two\nthree""#), "{sent:?}");
    bench.handle(stderr("last words"));
    bench.exit(agent, ExitStatus::Code(1));
    let sent = bench.sent(link);
    assert!(sent[0].contains("last words") && sent[1].contains("agent_exited"), "{sent:?}");
}

#[test]
fn after_a_sleep_an_open_link_has_ten_seconds_to_show_that_it_is_one() {
    for answers in [false, true] {
        let (mut bench, poll) = Bench::serving(|_| {});
        let Running { link, .. } = bench.start_session(poll, 1);
        bench.now.wall = bench.now.wall + Duration::from_secs(3600);
        let woke_at = bench.now.mono;
        bench.handle(Event::Tick);
        assert!(bench.sent(link).iter().any(|sent| sent.contains("ping")), "at once");
        if answers {
            bench.handle(frame(link, &ControlFrame::Pong));
        }
        let is_cut = |bench: &Bench| bench.actions.contains(&Action::Cancel { op: link });
        while !is_cut(&bench) && bench.now.mono < woke_at + LINK_PING_AFTER {
            bench.wait();
        }
        assert_eq!(is_cut(&bench), !answers);
        if !answers {
            assert_eq!(bench.now.mono, woke_at + LINK_AWAKE_WITHIN);
        }
    }
}
