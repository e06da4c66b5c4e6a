use super::*;
use crate::wire::viewer::{Behavior, PermissionPost};

const QUESTION: &str = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","tool_use_id":"T","input":{}}}"#;
const ANSWER: &str = r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"allow"}}}"#;

fn allow() -> RemoteCommand {
    RemoteCommand::Answer(PermissionPost {
        request_id: "P".to_owned(),
        seq: None,
        behavior: Behavior::Allow,
        updated_input: None,
        message: None,
        interrupt: false,
        further: alloc::collections::BTreeMap::new(),
    })
}

/// What the program was told about questions.
fn about(told: Vec<RemoteNotice>) -> Vec<String> {
    let about = |notice| match notice {
        RemoteNotice::PermissionAsked(asked) => Some(format!("asked {}", asked.seq)),
        RemoteNotice::PermissionWithdrawn { seq, tool_use_id, why, .. } => {
            assert_eq!(tool_use_id.as_deref(), Some("T"));
            Some(match why {
                Withdrawal::Answered => format!("answered {seq}"),
                Withdrawal::Withdrawn { .. } => format!("withdrawn {seq}"),
            })
        }
        RemoteNotice::Accepted { sent: Sent::Answer { .. }, .. } => Some("accepted".to_owned()),
        RemoteNotice::Refused { sent: Sent::Answer { .. }, .. } => Some("refused".to_owned()),
        _ => None,
    };
    told.into_iter().filter_map(about).collect()
}

#[test]
fn a_question_is_told_answered_and_closed() {
    let mut world = World::following(config());
    world.event(1, "agent", QUESTION);
    world.command(allow());
    let (op, body) = world.posted("permission");
    assert_eq!((&body["seq"], &body["behavior"]), (&json!(1), &json!("allow")));
    // Its own answer may be told before the request for it is answered.
    world.event(2, "viewer", ANSWER);
    world.answer(op, 200, &json!({"seq": 2}));
    assert_eq!(about(world.told()), ["asked 1", "accepted"]);
}

#[test]
fn another_viewers_answer_withdraws_it_here() {
    let mut world = World::following(config());
    world.event(1, "agent", QUESTION);
    world.event(2, "viewer", ANSWER);
    assert_eq!(about(world.told()), ["asked 1", "answered 1"]);

    // Both at once: the other one counted.
    let mut world = World::following(config());
    world.event(1, "agent", QUESTION);
    world.command(allow());
    let (op, _) = world.posted("permission");
    world.event(2, "viewer", ANSWER);
    world.refuse(op, 409, "permission_conflict");
    world.proves();
    assert_eq!(about(world.told()), ["asked 1", "answered 1", "refused"]);
}

#[test]
fn one_that_the_agent_takes_back_or_that_ends_with_it_is_withdrawn() {
    for (from, line) in [
        ("agent", r#"{"type":"control_cancel_request","request_id":"P"}"#),
        (
            "worker",
            r#"{"type":"footbridge","subtype":"permission_withdrawn","request_id":"P","reason":"it died"}"#,
        ),
    ] {
        let mut world = World::following(config());
        world.event(1, "agent", QUESTION);
        world.event(2, from, line);
        assert_eq!(about(world.told()), ["asked 1", "withdrawn 1"]);
    }
}

#[test]
fn of_what_happened_before_only_open_questions_are_asked() {
    let mut world = World::new(config());
    world.proves();
    world.opens();
    world.session(&json!({"last_seq": 3}));
    world.event(1, "agent", QUESTION);
    world.event(2, "viewer", ANSWER);
    world.event(3, "agent", QUESTION);
    assert_eq!(about(world.told()), Vec::<String>::new());
    world.frame(&json!({"type": "live", "seq": 3}));
    assert_eq!(about(world.told()), ["asked 3"]);
}

#[test]
fn a_question_outlives_a_break_and_what_closed_it_meanwhile_is_told() {
    let mut world = World::following(config());
    world.event(1, "agent", QUESTION);
    world.breaks();
    world.returns();
    world.session(&json!({"last_seq": 1}));
    world.frame(&json!({"type": "live", "seq": 1}));
    assert_eq!(about(world.told()), ["asked 1"], "once");
    world.breaks();
    world.returns();
    world.session(&json!({"last_seq": 9, "first_seq": 8}));
    world.frame(&json!({"type": "gap", "after": 1, "resumes_after": 9}));
    world.frame(&json!({"type": "live", "seq": 9}));
    assert_eq!(about(world.told()), ["withdrawn 1"]);
}

#[test]
fn what_the_agent_asks_this_client_is_told_once_with_its_event_and_answered() {
    let mut config = config();
    config.client = Some("client-one-0123456789".to_owned());
    let mut world = World::following(config);
    let hook = r#"{"type":"control_request","request_id":"H","request":{"subtype":"hook_callback","callback_id":"hook_0"}}"#;
    world.event(1, "agent", hook);
    world.frame(&json!({"type": "callback", "request_id": "H", "seq": 1}));
    let told = world.told();
    let asked = told.iter().find_map(|notice| match notice {
        RemoteNotice::CallbackAsked { message, .. } => Some(message.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some(hook));
    world.breaks();
    let url = world.returns();
    assert!(url.ends_with("?after=1&client=client-one-0123456789"), "{url}");
    world.session(&json!({"last_seq": 1}));
    world.frame(&json!({"type": "callback", "request_id": "H", "seq": 1}));
    let is_asked = |notice: &RemoteNotice| matches!(notice, RemoteNotice::CallbackAsked { .. });
    assert!(!world.told().iter().any(is_asked));
    let answer = Ok(Text::from(r#"{"continue":true}"#));
    world.command(RemoteCommand::AnswerCallback { request_id: "H".to_owned(), seq: 1, answer });
    let (op, body) = world.posted("callback");
    let expected = json!({"client": "client-one-0123456789", "request_id": "H", "seq": 1, "response": {"continue": true}});
    assert_eq!(body, expected);
    world.answer(op, 200, &json!({"seq": 2}));
    let accepted = Sent::Callback { request_id: "H".to_string() };
    assert!(world.told().contains(&RemoteNotice::Accepted { sent: accepted, seq: 2 }));
}
