//! The shapes that relay and worker exchange.

use alloc::borrow::Cow;
use alloc::string::String;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use super::{id, json, maybe_text, result, text};
use crate::base::id::{EnvironmentId, SessionId, WorkId};
use crate::base::secret::Secret;
use crate::wire::to_json;
use crate::wire::versions::test::shape;
use crate::wire::work_secret::{Credential, GitInfo, Source, Version, WorkSecret};
use crate::wire::worker_api::environment::{Metadata, Registered, Registration};
use crate::wire::worker_api::work::{
    Fence, Heartbeat, Interrupted, LeaseState, StateAnswer, StopWork, WorkData, WorkItem,
};
use crate::wire::worktree::{
    Contents, KeptBecause, KeptCommit, KeptFile, WorktreeAction, WorktreeNote, WorktreePost,
    WorktreeRequest, WorktreeState,
};

fn environment_id() -> impl Strategy<Value = EnvironmentId> {
    id().prop_map(|id| EnvironmentId::new(&id).expect("valid"))
}

fn secret() -> impl Strategy<Value = Secret> {
    "[!-~]{1,12}".prop_map(Secret::new)
}

fn work_data() -> impl Strategy<Value = WorkData> {
    prop_oneof![
        id().prop_map(|id| WorkData::Session(SessionId::new(&id).expect("valid"))),
        id().prop_map(WorkData::Healthcheck),
    ]
}

fn source() -> impl Strategy<Value = Source> {
    let git = (text(), text(), maybe_text(), of(secret()))
        .prop_map(|(kind, repo, reference, token)| GitInfo { kind, repo, reference, token });
    (text(), of(git)).prop_map(|(kind, git_info)| Source { kind, git_info })
}

fn work_secret() -> impl Strategy<Value = WorkSecret> {
    let credential = (text(), secret()).prop_map(|(kind, token)| Credential { kind, token });
    let lists = (vec(source(), 0..2), vec(credential, 0..2));
    let maps = (btree_map(text(), text(), 0..3), btree_map(text(), secret(), 0..3));
    (secret(), maybe_text(), lists, maps, of(json()), any::<bool>()).prop_map(
        |(session_ingress_token, api_base_url, lists, maps, mcp_config, use_code_sessions)| {
            WorkSecret {
                version: Version,
                session_ingress_token,
                api_base_url,
                sources: lists.0,
                auth: lists.1,
                claude_code_args: maps.0,
                mcp_config: mcp_config.map(Secret::new),
                environment_variables: maps.1,
                use_code_sessions,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn registrations_are_read_as_they_were_written(
        texts in (text(), text(), maybe_text(), maybe_text(), text()),
        max_sessions in any::<u32>(),
        id in of(environment_id()),
        known in environment_id(),
        (worker_id, worker_run) in (maybe_text(), of(any::<u64>())),
        sessions in vec(id().prop_map(|id| SessionId::new(&id).expect("valid")), 0..3),
        secret in secret(),
    ) {
        let (machine_name, directory, branch, git_repo_url, worker_type) = texts;
        let registration = Registration {
            machine_name,
            directory,
            branch,
            git_repo_url,
            max_sessions,
            metadata: Metadata { worker_type },
            environment_id: id,
            worker_id,
            worker_run,
        };
        shape!(registration, Registration, required: ["machine_name", "directory"]);
        let registered = Registered { environment_id: known, environment_secret: secret, sessions, proves: true, work_stream: true };
        shape!(registered, Registered);
    }

    #[test]
    fn work_is_read_as_it_was_written(
        work in id(),
        environment_id in environment_id(),
        data in work_data(),
        secret in secret(),
        (state, created_at) in (text(), text()),
        (fence, lease_seconds) in any::<(u64, Option<u64>)>(),
    ) {
        shape!(data.clone(), WorkData);
        let item = WorkItem {
            id: WorkId::new(&work).expect("valid"),
            kind: "work".into(),
            environment_id,
            state: Cow::Owned(state),
            data,
            secret,
            created_at,
            fence,
            lease_seconds,
            worktree: (fence % 2 == 1).then(worktree_request),
            interrupted: if fence % 3 == 0 { Interrupted::Turn } else { Interrupted::Question },
        };
        shape!(item, WorkItem);
    }

    #[test]
    fn calls_about_an_item_are_read_as_they_were_written(
        (fence, force, lease_extended) in any::<(u64, bool, bool)>(),
        lease_seconds in any::<Option<u64>>(),
        result in of(result()),
        state in text(),
    ) {
        shape!(Fence { fence }, Fence);
        let worktree = force.then(worktree_note);
        shape!(StopWork { fence, force, result, worktree }, StopWork);
        shape!(StateAnswer { state: Cow::Owned(state) }, StateAnswer);
        for state in [LeaseState::Running, LeaseState::Stopping, LeaseState::Other] {
            let answer = Heartbeat { lease_extended, state, lease_seconds };
            shape!(answer, Heartbeat, required: ["lease_extended"]);
        }
    }

    #[test]
    fn work_secrets_are_read_as_they_were_written(secret in work_secret()) {
        let again = WorkSecret::decode(secret.encode().reveal()).expect("a work secret");
        prop_assert_eq!(to_json(&again), to_json(&secret));
        shape!(secret, WorkSecret, required: ["type", "repo"]);
    }
}

fn worktree_request() -> WorktreeRequest {
    let session_id = SessionId::new("session_1").expect("valid");
    let post = WorktreePost { action: WorktreeAction::Delete, ignored: true, seen: "5ee4".into() };
    WorktreeRequest { session_id, post }
}

fn worktree_note() -> WorktreeNote {
    let what = [KeptBecause::Changed, KeptBecause::Deleted, KeptBecause::Ignored];
    let files = what.map(|what| KeptFile { path: "a".into(), what, added: Some(1), removed: None });
    let commit = KeptCommit { id: "c0ffee".into(), subject: "a subject".into() };
    WorktreeNote {
        session_id: SessionId::new("session_1").expect("valid"),
        state: WorktreeState::Kept,
        path: "/trees/session_1".into(),
        reason: "a reason".into(),
        branches: alloc::vec!["b".into()],
        kept_as: "refs/footbridge/kept/c0ffee".into(),
        error: "an error".into(),
        contents: Contents {
            files: files.into(),
            more_files: 7,
            commits: alloc::vec![commit],
            more_commits: 1,
            seen: "5ee4".into(),
        },
    }
}

#[test]
fn a_work_secret_is_written_as_the_specification_shows_it() {
    let secret = WorkSecret::new(Secret::from("t"), Some(String::from("http://127.0.0.1:8787")));
    let json = to_json(&secret);
    let expected = r#"{"version":1,"session_ingress_token":"t","api_base_url":"http://127.0.0.1:8787","sources":[],"auth":[],"claude_code_args":null,"mcp_config":null,"environment_variables":null,"use_code_sessions":false}"#;
    assert_eq!(core::str::from_utf8(&json), Ok(expected));
}
