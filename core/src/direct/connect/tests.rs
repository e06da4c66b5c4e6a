//! A direct client by hand.

use alloc::borrow::ToOwned;

use bytes::Bytes;

use super::*;
use crate::base::time::Now;
use crate::contract::action::Response;
use crate::contract::event::{IoError, IoErrorKind};
use crate::testing::Hand;

fn client() -> (Hand<Connect>, OpId) {
    let mut hand = Hand::new(
        Connect::new(ConnectConfig {
            url: "ws://127.0.0.1:1/v1/direct/session_1".into(),
            token: Some(Secret::from("the-token")),
            give_up: Duration::from_secs(60),
            seed: 7,
        }),
        Now::default(),
    );
    let op = opening(&mut hand, Some(PROTOCOL));
    (hand, op)
}

fn opening(hand: &mut Hand<Connect>, offered: Option<&str>) -> OpId {
    hand.take("open", |action| match action {
        Action::Open { op, target: Target::WebSocket { headers, protocol, .. } } => {
            assert_eq!((*protocol, headers[0].1.reveal()), (offered, "Bearer the-token"));
            Some(*op)
        }
        _ => None,
    })
}

fn frame(hand: &mut Hand<Connect>, op: OpId, json: &str) {
    let message = Message::Binary(Bytes::copy_from_slice(json.as_bytes()));
    hand.handle(Event::Received { op, message });
}

fn line(hand: &mut Hand<Connect>, op: OpId, json: &str) {
    let message = Message::Text(Text::from(json.to_owned()));
    hand.handle(Event::Received { op, message });
}

fn sent(hand: &mut Hand<Connect>) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(action) = hand.actions.pop_front() {
        if let Action::Send { message, .. } = action {
            lines.push(match message {
                Message::Text(text) => text.as_str().to_owned(),
                Message::Binary(bytes) => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
            });
        }
    }
    lines
}

fn up(hand: &mut Hand<Connect>, op: OpId, resume: &str) {
    hand.handle(Event::Opened { op });
    sent(hand);
    frame(hand, op, resume);
}

const FRESH: &str = r#"{"type":"resume","run":"R","received":0,"from":0}"#;
const QUESTION: &str = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"a":1}}}"#;

#[test]
fn what_was_said_and_did_not_arrive_is_said_again_and_nothing_else() {
    let (mut hand, op) = client();
    hand.command(ConnectCommand::Say("one".into()));
    up(&mut hand, op, FRESH);
    hand.command(ConnectCommand::Say("two".into()));
    let said = sent(&mut hand);
    assert!(said[0].contains("one") && said[1].contains("two"), "{said:?}");
    line(&mut hand, op, r#"{"type":"a"}"#);
    frame(&mut hand, op, r#"{"type":"ack","received":1}"#);
    hand.handle(Event::Closed { op, code: None, failure: None });
    assert!(matches!(hand.notices.last(), Some(ConnectNotice::Disconnected { .. })));
    hand.wait();
    let op = opening(&mut hand, Some(PROTOCOL));
    hand.handle(Event::Opened { op });
    let resume = sent(&mut hand);
    assert!(resume[0].contains(r#""run":"R","received":1,"from":1"#), "{resume:?}");
    frame(&mut hand, op, r#"{"type":"resume","run":"R","received":1,"from":1}"#);
    assert_eq!(sent(&mut hand), said[1..]);
}

#[test]
fn its_own_words_keep_alives_and_repeats_are_dropped() {
    let (mut hand, op) = client();
    up(&mut hand, op, FRESH);
    hand.command(ConnectCommand::Say("hi".into()));
    let said = sent(&mut hand).pop().expect("said");
    hand.notices.clear();
    for text in [
        &*said,
        r#"{"type":"keep_alive"}"#,
        r#"{"type":"assistant","uuid":"A"}"#,
        r#"{"type":"assistant","uuid":"A"}"#,
        r#"{"type":"control_response","response":{"subtype":"success","request_id":"another's"}}"#,
        r#"{"type":"never_seen"}"#,
        "no JSON",
    ] {
        line(&mut hand, op, text);
    }
    let message = |text: &'static str| ConnectNotice::Message(Text::from(text));
    assert_eq!(
        hand.notices[..2],
        [message(r#"{"type":"assistant","uuid":"A"}"#), message(r#"{"type":"never_seen"}"#)]
    );
    assert!(matches!(hand.notices[2..], [ConnectNotice::Skipped { .. }]));
}

#[test]
fn a_question_is_asked_once_and_answered_once_over_a_break() {
    let (mut hand, op) = client();
    up(&mut hand, op, FRESH);
    line(&mut hand, op, QUESTION);
    hand.handle(Event::Closed { op, code: None, failure: None });
    hand.wait();
    let op = opening(&mut hand, Some(PROTOCOL));
    let again = alloc::format!(
        r#"{{"type":"resume","run":"R","received":0,"from":1,"questions":[{QUESTION}]}}"#
    );
    up(&mut hand, op, &again);
    let asked = |n: &&ConnectNotice| matches!(n, ConnectNotice::Asked { .. });
    assert_eq!(hand.notices.iter().filter(asked).count(), 1);
    for _ in 0..2 {
        hand.command(ConnectCommand::Answer { request_id: "P".into(), deny: None });
    }
    let said = sent(&mut hand);
    assert!(said.len() == 1 && said[0].contains(r#""updatedInput":{"a":1}"#), "{said:?}");
    // Somebody else's answer while this side was away.
    line(&mut hand, op, &QUESTION.replace("\"P\"", "\"Q\""));
    hand.handle(Event::Closed { op, code: None, failure: None });
    hand.wait();
    let op = opening(&mut hand, Some(PROTOCOL));
    up(&mut hand, op, r#"{"type":"resume","run":"R","received":1,"from":2}"#);
    assert!(hand.notices.contains(&ConnectNotice::Withdrawn { request_id: "Q".into() }));
}

#[test]
fn a_server_that_speaks_only_ndjson_is_spoken_to_like_that() {
    let (mut hand, op) = client();
    let response = Response { status: 101, headers: Vec::new(), body: Bytes::new() };
    hand.handle(Event::Refused { op, response });
    let op = opening(&mut hand, None);
    hand.handle(Event::Opened { op });
    assert_eq!(hand.notices, [ConnectNotice::Connected { resumes: false }]);
    hand.command(ConnectCommand::Interrupt);
    let said = sent(&mut hand);
    assert!(said[0].contains(r#""subtype":"interrupt""#), "{said:?}");
    hand.handle(Event::Sent { op, messages: 1 });
    line(&mut hand, op, QUESTION);
    hand.command(ConnectCommand::Answer { request_id: "P".into(), deny: Some("no".into()) });
    assert!(sent(&mut hand)[0].contains(r#""behavior":"deny","message":"no""#));
}

#[test]
fn a_gap_is_told_and_another_run_of_the_server_starts_over() {
    let (mut hand, op) = client();
    up(&mut hand, op, r#"{"type":"resume","run":"R","received":0,"from":9}"#);
    assert!(hand.notices.contains(&ConnectNotice::Gap));
    hand.handle(Event::Closed { op, code: None, failure: None });
    hand.wait();
    let op = opening(&mut hand, Some(PROTOCOL));
    hand.notices.clear();
    up(&mut hand, op, r#"{"type":"resume","run":"S","received":0,"from":0}"#);
    assert_eq!(hand.notices, [ConnectNotice::Connected { resumes: true }]);
}

#[test]
fn a_refusal_ends_it_and_silence_does_not() {
    let (mut hand, op) = client();
    up(&mut hand, op, FRESH);
    assert_eq!(hand.wait(), LINK_PING_AFTER);
    assert!(sent(&mut hand)[0].contains("ping"));
    hand.wait();
    assert!(hand.actions.contains(&Action::Cancel { op }), "{:?}", hand.actions);
    hand.wait();
    let op = opening(&mut hand, Some(PROTOCOL));
    let body = Bytes::from_static(br#"{"error":{"type":"authentication_failed","message":"no"}}"#);
    let response = Response { status: 401, headers: Vec::new(), body };
    hand.handle(Event::Refused { op, response });
    let error = hand.outcome.expect("an end").expect_err("an error");
    assert_eq!(error.kind, MachineErrorKind::Unauthorized);
    assert!(error.message.contains("--token-file") && !error.message.contains("the-token"));
}

#[test]
fn it_gives_up_in_the_end_and_ends_with_the_agent() {
    let (mut hand, mut op) = client();
    let mut waited = Duration::ZERO;
    while hand.outcome.is_none() {
        let failure = IoError { kind: IoErrorKind::Refused, detail: "x".into() };
        hand.handle(Event::Failed { op, failure });
        if hand.outcome.is_none() {
            waited += hand.wait();
            op = opening(&mut hand, Some(PROTOCOL));
        }
    }
    assert!(waited >= Duration::from_secs(60) && waited < Duration::from_secs(80), "{waited:?}");
    let (mut hand, op) = client();
    up(&mut hand, op, FRESH);
    hand.handle(Event::Closed { op, code: Some(1000), failure: None });
    assert_eq!(hand.outcome, Some(Ok(())));
}

#[test]
fn it_is_told_what_has_arrived_and_what_was_not_taken() {
    let (mut hand, op) = client();
    up(&mut hand, op, FRESH);
    hand.notices.clear();
    for text in ["one", "two", "three"] {
        hand.command(ConnectCommand::Say(text.into()));
    }
    hand.command(ConnectCommand::Pass(Text::from("no JSON")));
    let data = Frame { received: 2, ..Frame::of("ack") }.message();
    hand.handle(Event::Received { op, message: data });
    assert!(matches!(
        &hand.notices[..],
        [ConnectNotice::Refused { .. }, ConnectNotice::Arrived { lines: 2 }]
    ));
}

#[test]
fn a_server_that_chooses_what_it_was_not_asked_for_is_tried_again_after_a_pause() {
    let (mut hand, mut op) = client();
    let chosen = || Response { status: 101, headers: Vec::new(), body: Bytes::new() };
    hand.handle(Event::Refused { op, response: chosen() });
    op = opening(&mut hand, None);
    hand.handle(Event::Refused { op, response: chosen() });
    assert!(
        matches!(&hand.notices[..], [ConnectNotice::Disconnected { .. }]),
        "{:?}",
        hand.notices
    );
    assert!(hand.wait() > Duration::ZERO);
}

#[test]
fn no_more_questions_are_held_than_a_server_of_ours_has() {
    let (mut hand, op) = client();
    up(&mut hand, op, FRESH);
    hand.notices.clear();
    for number in 0..=MAX_OPEN_REQUESTS {
        let asked = format!(
            r#"{{"type":"control_request","request_id":"{number}","request":{{"subtype":"can_use_tool","tool_name":"Bash","input":{{}}}}}}"#
        );
        line(&mut hand, op, &asked);
    }
    assert_eq!(hand.notices.len(), MAX_OPEN_REQUESTS + 1);
    assert!(matches!(hand.notices.last(), Some(ConnectNotice::Skipped { .. })));
}

#[test]
fn what_cannot_be_sent_is_kept_up_to_a_limit() {
    let (mut hand, _) = client();
    for _ in 0..=DIRECT_OUTBOX_LINES {
        hand.command(ConnectCommand::Say("x".into()));
    }
    assert_eq!(hand.notices, [ConnectNotice::Full]);
}

#[test]
fn uuids_are_random_ones_of_version_4() {
    let mut rng = Rng::with_seed(1);
    let (one, two) = (line::uuid(&mut rng), line::uuid(&mut rng));
    assert_ne!(one, two);
    assert!(one.len() == 36 && one.as_bytes()[14] == b'4' && b"89ab".contains(&one.as_bytes()[19]));
}
