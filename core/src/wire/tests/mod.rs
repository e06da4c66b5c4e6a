//! Every shape can be read back as written, also when written by a later or an earlier version
//! ([`versions`](super::versions)).

mod viewer;
mod worker;

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::{format, vec};

use proptest::option::of;
use proptest::prelude::*;

use super::control::{self, ControlResponse, Fields, PermissionAnswer};
use super::error::{ErrorBody, ErrorDetail, ErrorType};
use super::health::Health;
use super::link_v1::ControlFrame;
use super::log_message::{LogMessage, Unsettled};
use super::session::{ResultStatus, SessionResult, SessionState};
use super::versions::test::shape;
use crate::base::time::UnixTime;

/// Any text, including quotes, line endings and non-ASCII characters.
fn text() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\n\u{0}é…😀]{0,12}"
}

/// A text that may be missing. An empty one means the same as none.
fn maybe_text() -> impl Strategy<Value = Option<String>> {
    of("[a-z\"\\\\\n\u{0}é…😀]{1,12}")
}

fn words() -> impl Strategy<Value = Cow<'static, str>> {
    text().prop_map(Cow::Owned)
}

fn id() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-]{1,12}"
}

/// Up to the year 9999, which is as far as RFC 3339 goes.
fn time() -> impl Strategy<Value = UnixTime> {
    (0..253_402_300_800_000u64).prop_map(UnixTime::from_millis)
}

/// JSON that passes through: an object as an agent or a person might write it.
fn json() -> impl Strategy<Value = String> {
    text().prop_map(|text| serde_json::json!({"text": text, "type": [null, 1]}).to_string())
}

fn state() -> impl Strategy<Value = SessionState> {
    use SessionState::{Ended, Queued, Running, Starting};
    prop_oneof![Just(Queued), Just(Starting), Just(Running), Just(Ended)]
}

fn result() -> impl Strategy<Value = SessionResult> {
    use ResultStatus::{Completed, Failed, Interrupted, Lost, TimedOut};
    let status =
        prop_oneof![Just(Completed), Just(Failed), Just(TimedOut), Just(Interrupted), Just(Lost)];
    let all = (status, of(any::<i32>()), of(any::<i32>()), text(), text());
    all.prop_map(|(status, exit_code, signal, message, stderr)| SessionResult {
        status,
        exit_code,
        signal,
        message,
        stderr,
    })
}

fn unsettled() -> impl Strategy<Value = Unsettled<'static>> {
    let names = || prop::collection::vec(text(), 0..3).prop_map(Cow::Owned);
    let seqs = prop::collection::vec(any::<u64>(), 0..3);
    let seqs = seqs.prop_map(Cow::<'static, [u64]>::Owned);
    (names(), names(), names(), seqs, words()).prop_map(
        |(uuids, request_ids, answers, seqs, reason)| Unsettled {
            uuids,
            request_ids,
            answers,
            lines: seqs.clone(),
            seqs,
            reason,
        },
    )
}

fn log_message() -> impl Strategy<Value = LogMessage<'static>> {
    let names = || prop::collection::vec(text(), 0..3).prop_map(Cow::Owned);
    prop_oneof![
        (state(), of(result().prop_map(Cow::Owned)))
            .prop_map(|(state, result)| LogMessage::SessionState { state, result }),
        (words(), words()).prop_map(|(request_id, reason)| LogMessage::PermissionWithdrawn {
            request_id,
            reason
        }),
        unsettled().prop_map(LogMessage::MessagesIndeterminate),
        unsettled().prop_map(LogMessage::MessagesUndelivered),
        unsettled().prop_map(LogMessage::MessagesExpired),
        (names(), words()).prop_map(|(request_ids, reason)| LogMessage::RequestsUnanswered {
            request_ids,
            reason
        }),
        any::<(u64, u64)>()
            .prop_map(|(after, resumes_after)| LogMessage::LinesLost { after, resumes_after }),
        words().prop_map(|message| LogMessage::MessagesLost { message }),
        (words(), words()).prop_map(|(message, line)| {
            let more = line.len() as u64 % 3;
            LogMessage::AgentOutputError { message, line, more }
        }),
        (words(), any::<u64>())
            .prop_map(|(text, dropped)| LogMessage::AgentStderr { text, dropped }),
        any::<u32>().prop_map(|pid| LogMessage::AgentStarted { pid }),
        (words(), of(any::<i32>()), of(any::<i32>())).prop_map(|(message, exit_code, signal)| {
            let (delivered, attempted) = (signal.map(|_| 3), exit_code.map(|_| 4));
            LogMessage::AgentExited { message, exit_code, signal, delivered, attempted }
        }),
        Just(LogMessage::Unknown),
    ]
}

fn error_type() -> impl Strategy<Value = ErrorType> {
    let known = prop::sample::select(ErrorType::KNOWN);
    prop_oneof![known, text().prop_map(|name| ErrorType::from(&*name))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_are_read_as_they_were_written(result in result()) {
        shape!(result, SessionResult);
    }

    #[test]
    fn log_messages_are_read_as_they_were_written(message in log_message()) {
        // A pid and a text are the message's own data.
        let line = message.to_line();
        prop_assert_eq!(LogMessage::parse(line.as_str()).expect("JSON"), Some(message.clone()));
        let begins = line.as_str().starts_with(r#"{"type":"footbridge","subtype":"#);
        prop_assert!(begins, "{}", line.as_str());
        shape!(message, LogMessage<'_>, required: ["request_id"]);
    }

    #[test]
    fn errors_are_read_as_they_were_written(
        kind in error_type(),
        message in words(),
        answer in of(json()),
    ) {
        let error = ErrorDetail { kind, message, answer: answer.as_deref(), seq: None };
        shape!(ErrorBody { error }, ErrorBody<'_>);
    }

    #[test]
    fn control_messages_are_read_as_they_were_written(
        id in text(),
        subtype in text(),
        message in text(),
        input in json(),
        interrupt in any::<bool>(),
    ) {
        let line = control::request(&id, &subtype);
        let request: control::ControlRequest<'_> = serde_json::from_str(line.as_str()).expect("one");
        shape!(request, control::ControlRequest<'_>, required: ["request_id", "subtype"]);
        let line = control::cancel_request(&id);
        let request: control::CancelRequest<'_> = serde_json::from_str(line.as_str()).expect("one");
        shape!(request, control::CancelRequest<'_>, required: ["request_id"]);
        let updated_input = serde_json::value::RawValue::from_string(input).expect("JSON");
        let further = Fields::new();
        let deny = PermissionAnswer::Deny { message, interrupt, further: further.clone() };
        for answer in [PermissionAnswer::Allow { updated_input, further }, deny] {
            let line = control::success(&id, &answer);
            let response: ControlResponse<'_, PermissionAnswer> =
                serde_json::from_str(line.as_str()).expect("one");
            shape!(response, ControlResponse<'_, PermissionAnswer>, required: ["request_id"]);
            shape!(answer, PermissionAnswer, required: [], passes: on);
        }
        let line = control::error(&id, &subtype);
        let response: ControlResponse<'_, ()> = serde_json::from_str(line.as_str()).expect("one");
        shape!(response, ControlResponse<'_, ()>, required: ["request_id", "error"]);
    }

    #[test]
    fn control_frames_are_read_as_they_were_written(
        (received, from, window) in any::<(u64, u64, Option<u64>)>(),
        message in json(),
    ) {
        let message = serde_json::value::RawValue::from_string(message).expect("JSON");
        for word in [
            ControlFrame::Resume { received, from, window },
            ControlFrame::Ack { received },
            ControlFrame::Report { message },
            ControlFrame::Stop,
            ControlFrame::Ping,
            ControlFrame::Pong,
            ControlFrame::Unknown,
        ] {
            shape!(word, ControlFrame);
        }
    }
}

#[test]
fn health_is_read_as_it_was_written() {
    shape!(Health::OK, Health);
}

#[test]
fn the_fields_of_log_messages_keep_their_names_and_order() {
    let result = SessionResult {
        status: ResultStatus::Lost,
        exit_code: Some(1),
        signal: None,
        message: "gone".into(),
        stderr: "".into(),
    };
    let ids = || Cow::Owned(vec!["a".into(), "b".into()]);
    let pinned = [
        (
            LogMessage::SessionState { state: SessionState::Queued, result: None },
            r#""session_state","state":"queued"}"#,
        ),
        (
            LogMessage::SessionState {
                state: SessionState::Ended,
                result: Some(Cow::Owned(result)),
            },
            r#""session_state","state":"ended","result":{"status":"lost","exit_code":1,"signal":null,"message":"gone","stderr":""}}"#,
        ),
        (
            LogMessage::PermissionWithdrawn { request_id: "r".into(), reason: "\"why\"".into() },
            r#""permission_withdrawn","request_id":"r","reason":"\"why\""}"#,
        ),
        (
            LogMessage::MessagesIndeterminate(Unsettled {
                seqs: Cow::Borrowed(&[3]),
                reason: "why".into(),
                ..Unsettled::default()
            }),
            r#""messages_indeterminate","uuids":[],"seqs":[3],"reason":"why"}"#,
        ),
        (
            LogMessage::RequestsUnanswered { request_ids: ids(), reason: "ended".into() },
            r#""requests_unanswered","request_ids":["a","b"],"reason":"ended"}"#,
        ),
        (
            LogMessage::LinesLost { after: 3, resumes_after: 5 },
            r#""lines_lost","after":3,"resumes_after":5}"#,
        ),
    ];
    for (message, rest) in pinned {
        let expected = format!(r#"{{"type":"footbridge","subtype":{rest}"#);
        assert_eq!(message.to_line().as_str(), expected);
    }
}

#[test]
fn what_a_later_version_adds_to_a_log_is_ignored_and_messages_of_others_are_left_alone() {
    let parse = |line| LogMessage::parse(line).ok();
    let later = r#"{"type":"footbridge","subtype":"later","pid":{}}"#;
    assert_eq!(parse(later), Some(Some(LogMessage::Unknown)));
    assert_eq!(parse(r#"{"type":"user","subtype":7}"#), Some(None));
    for broken in ["", "[]", r#"{"type":"footbridge"}"#] {
        assert_eq!(parse(broken), None, "{broken}");
    }
}
