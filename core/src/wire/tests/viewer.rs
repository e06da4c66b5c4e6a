//! The shapes that viewers send and receive.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::{id, json, maybe_text, result, state, text, time, words};
use crate::base::id::{EnvironmentId, SessionId};
use crate::base::secret::Secret;
use crate::base::time::UnixTime;
use crate::wire::control::Fields;
use crate::wire::versions::test::shape;
use crate::wire::viewer::{
    Activity, Behavior, CreateSession, EnvironmentList, EnvironmentView, EventPage, EventView,
    HealthcheckView, InterruptReceipt, MessageReceipt, Origin, OverviewFrame, PermissionPost,
    PermissionReceipt, PostMessages, PostReceipt, Question, Receipts, SessionFrame, SessionList,
    SessionView, write_page,
};
use crate::wire::worktree::{KeptWorktree, OpenRequest, WorktreeAction, WorktreePost};

fn environment_id() -> impl Strategy<Value = EnvironmentId> {
    id().prop_map(|id| EnvironmentId::new(&id).expect("valid"))
}

fn session_id() -> impl Strategy<Value = SessionId> {
    id().prop_map(|id| SessionId::new(&id).expect("valid"))
}

fn environment() -> impl Strategy<Value = EnvironmentView<'static>> {
    let healthcheck = (time(), of(time()))
        .prop_map(|(asked_at, answered_at)| HealthcheckView { asked_at, answered_at });
    let names = (environment_id(), words(), words(), maybe_text(), maybe_text(), words());
    let rest = (any::<(u32, usize, bool, bool)>(), time(), time(), of(healthcheck));
    (names, rest).prop_map(|(names, rest)| {
        let (id, machine_name, directory, branch, git_repo_url, worker_type) = names;
        let ((max_sessions, active_sessions, online, draining), created_at, last_seen_at, last) =
            rest;
        EnvironmentView {
            id: Cow::Owned(id),
            machine_name,
            directory,
            branch: branch.map(Cow::Owned),
            git_repo_url: git_repo_url.map(Cow::Owned),
            worker_type,
            max_sessions,
            active_sessions,
            online,
            draining,
            created_at,
            last_seen_at,
            last_healthcheck: last,
        }
    })
}

fn kept_worktree(asked_at: UnixTime, seq: u64) -> KeptWorktree {
    let action = [WorktreeAction::Look, WorktreeAction::Branch, WorktreeAction::Delete];
    let action = action[usize::try_from(seq % 3).unwrap_or(0)];
    let post = WorktreePost { action, ignored: seq % 5 == 1, seen: "5ee4".into() };
    KeptWorktree {
        environment_id: EnvironmentId::new("env_1").expect("valid"),
        path: "/w/a tree".into(),
        reason: "1 uncommitted or untracked files".into(),
        seen: "5ee4".into(),
        seq,
        dismissed: seq.is_multiple_of(2),
        request: (seq % 4 > 1).then_some(OpenRequest { post, asked_at, with_worker: seq % 7 > 3 }),
    }
}

fn session() -> impl Strategy<Value = SessionView<'static>> {
    let question = (text(), text(), any::<u64>()).prop_map(|(request_id, tool_name, seq)| {
        Question { request_id, tool_name, seq, turn_ended: seq % 2 == 1 }
    });
    let names = (session_id(), environment_id(), maybe_text(), state());
    let rest = (any::<(bool, bool, u64, u64)>(), vec(question, 0..3), time(), time(), of(result()));
    (names, rest).prop_map(|(names, rest)| {
        let (id, environment, title, state) = names;
        let ((connected, stopping, first_seq, last_seq), pending, created_at, updated_at, result) =
            rest;
        SessionView {
            id: Cow::Owned(id),
            environment_id: Cow::Owned(environment),
            title: title.map(Cow::Owned),
            state,
            connected,
            stopping,
            worker_draining: last_seq % 5 == 2,
            archived: last_seq % 3 == 1,
            pending_permissions: Cow::Owned(pending),
            receipts: Receipts { stored: last_seq, seen: first_seq, ..Receipts::default() },
            activities: Cow::Owned(alloc::vec![Activity {
                at: created_at,
                seq: first_seq,
                what: "Bash: ls".into(),
            }]),
            working: first_seq % 2 == 1,
            created_at,
            updated_at,
            first_seq,
            last_seq,
            result: result.map(Cow::Owned),
            worktree: (last_seq % 2 == 1).then(|| Cow::Owned(kept_worktree(created_at, first_seq))),
        }
    })
}

fn origin() -> impl Strategy<Value = Origin> {
    use Origin::{Agent, Relay, Viewer, Worker};
    prop_oneof![Just(Agent), Just(Viewer), Just(Worker), Just(Relay)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn environments_are_read_as_they_were_written(environments in vec(environment(), 0..3)) {
        for environment in &environments {
            shape!(environment.clone(), EnvironmentView<'_>);
            shape!(
                OverviewFrame::Environment { environment: environment.clone() },
                OverviewFrame<'_>
            );
            shape!(OverviewFrame::EnvironmentGone { id: environment.id.clone() }, OverviewFrame<'_>);
        }
        shape!(EnvironmentList { environments }, EnvironmentList<'_>);
    }

    #[test]
    fn sessions_are_read_as_they_were_written(
        sessions in vec(session(), 0..3),
        environments in vec(environment(), 0..2),
    ) {
        for session in &sessions {
            shape!(session.clone(), SessionView<'_>);
            let view = session.clone();
            shape!(SessionFrame::Session { session: view }, SessionFrame<'_>);
            let view = session.clone();
            shape!(OverviewFrame::Session { session: view }, OverviewFrame<'_>);
            shape!(OverviewFrame::SessionGone { id: session.id.clone() }, OverviewFrame<'_>);
        }
        let overview = OverviewFrame::Overview { environments, sessions: sessions.clone() };
        shape!(overview, OverviewFrame<'_>);
        shape!(SessionList { sessions }, SessionList<'_>);
    }

    #[test]
    fn events_are_read_as_they_were_written_and_serde_writes_the_same(
        all in vec((any::<u64>(), time(), origin(), json()), 0..4),
        (first_seq, last_seq) in any::<(u64, u64)>(),
    ) {
        let events: Vec<_> = all
            .iter()
            .map(|(seq, at, from, message)| EventView { seq: *seq, at: *at, from: *from, message })
            .collect();
        for event in &events {
            shape!(*event, EventView<'_>);
            shape!(SessionFrame::Event(*event), SessionFrame<'_>);
            let by_serde = serde_json::to_string(&SessionFrame::Event(*event)).expect("JSON");
            let frame = SessionFrame::event(event);
            prop_assert_eq!(frame.as_str(), by_serde);
        }
        let by_hand = write_page(events.iter().copied(), first_seq, last_seq);
        let page = EventPage { events, first_seq, last_seq };
        prop_assert_eq!(by_hand, serde_json::to_string(&page).expect("JSON"));
        shape!(page, EventPage<'_>);
    }

    #[test]
    fn other_frames_are_read_as_they_were_written(
        (after, resumes_after, seq) in any::<(u64, u64, u64)>(),
    ) {
        for frame in [
            SessionFrame::Gap { after, resumes_after },
            SessionFrame::Live { seq },
            SessionFrame::Alive,
            SessionFrame::Unknown,
        ] {
            shape!(frame, SessionFrame<'_>);
        }
        shape!(OverviewFrame::Alive, OverviewFrame<'_>);
        shape!(OverviewFrame::Unknown, OverviewFrame<'_>);
    }

    #[test]
    fn posts_and_receipts_are_read_as_they_were_written(
        id in environment_id(),
        texts in vec(maybe_text(), 3),
        input in json(),
        (seq, interrupt) in any::<(u64, bool)>(),
    ) {
        let mut create = CreateSession::new(id, texts[0].clone());
        create.mcp_config = Some(Secret::from(r#"{"mcpServers":{}}"#));
        create.claude_code_args.insert("model".into(), "m".into());
        shape!(create, CreateSession);
        let raw = RawValue::from_string(input).expect("JSON");
        shape!(PostMessages { client: None, messages: alloc::vec![&*raw, &*raw] }, PostMessages<'_>);
        let receipt = MessageReceipt {
            uuid: texts[0].as_deref().map(Cow::Borrowed),
            request_id: texts[1].as_deref().map(Cow::Borrowed),
            seq,
        };
        let accepted = alloc::vec![receipt];
        shape!(PostReceipt { accepted }, PostReceipt<'_>);
        let request_id = Cow::Borrowed(texts[1].as_deref().unwrap_or_default());
        shape!(InterruptReceipt { request_id, seq }, InterruptReceipt<'_>, required: ["request_id"]);
        shape!(PermissionReceipt { seq }, PermissionReceipt);
        for behavior in [Behavior::Allow, Behavior::Deny, Behavior::Unknown] {
            let post = PermissionPost {
                request_id: texts[1].clone().unwrap_or_default(),
                seq: interrupt.then_some(seq),
                behavior,
                updated_input: texts[2].is_some().then(|| raw.clone()),
                message: texts[2].clone(),
                interrupt,
                further: Fields::new(),
            };
            shape!(post, PermissionPost, required: ["request_id"], passes: on);
        }
    }
}

#[test]
fn a_message_of_a_later_version_is_ignored_and_a_broken_one_is_an_error() {
    let later = r#"{"type":"later","session":{"id":7},"seq":"x"}"#;
    assert_eq!(SessionFrame::parse(later).ok(), Some(SessionFrame::Unknown));
    let overview = |json| serde_json::from_str::<OverviewFrame<'_>>(json).ok();
    assert_eq!(overview(later), Some(OverviewFrame::Unknown));
    for broken in ["", "[]", "{}", r#"{"type":"gap","after":1}"#, r#"{"type":"session"}"#] {
        assert!(SessionFrame::parse(broken).is_err(), "{broken}");
    }
    for broken in ["", "[]", "{}", r#"{"type":"session"}"#, r#"{"type":"session_gone","id":"a/b"}"#]
    {
        assert_eq!(overview(broken), None, "{broken}");
    }
}

#[test]
fn an_unknown_state_is_an_error_because_it_needs_a_new_name() {
    let json = r#"{"seq":1,"at":"1970-01-01T00:00:00.000Z","from":"viewer","message":{}}"#;
    assert!(serde_json::from_str::<EventView<'_>>(json).is_ok());
    assert!(serde_json::from_str::<EventView<'_>>(&json.replace("viewer", "later")).is_err());
}
