//! What an earlier run has left is cleaned up.

use super::*;

/// A worker that finds a worktree of session 1 when it starts, locked with `reason`, and has
/// registered; its poll.
fn with_a_leftover(reason: &str) -> (Bench, OpId) {
    let mut bench = Bench::new(|config| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
    });
    for out in ["main", "", "", "c0ffee", &listed(&format!("locked {reason}\n")), ""] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s"}"#);
    let (poll, _) = bench.request("/work/poll");
    (bench, poll)
}

#[test]
fn a_worktree_of_an_earlier_run_is_cleaned_up_without_asking_whether_a_process_is_alive() {
    for reason in ["footbridge: a session runs here, or has left work here", "footbridge 77"] {
        let (mut bench, _) = with_a_leftover(reason);
        let (_, args, place) = git_command(&mut bench);
        assert!(args.starts_with("status") && place == "/trees/session_1", "{args} in {place}");
    }
}

#[test]
fn the_worktree_of_a_session_that_the_relay_gave_up_after_a_restart_is_cleaned_up() {
    let change = |config: &mut WorkerConfig| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
        config.state_directory = Some("/state".to_owned());
    };
    let mut first = Bench::new(change);
    for out in ["main", "", "", "c0ffee", "", ""] {
        let (op, _, _) = git_command(&mut first);
        git_says(&mut first, op, 0, out, "");
    }
    let (register, _) = first.request("/bridge");
    first.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s"}"#);
    let (poll, _) = first.request("/work/poll");
    first.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = first.request("/ack");
    first.respond(ack, 200, "{}");
    // Killed; the next run is told that the session continues, and is never given it.
    let mut next = Bench::on(first.files, change);
    let list = listed("locked footbridge: a session runs here, or has left work here\n");
    for out in ["main", "", "", "c0ffee", &list, ""] {
        let (op, _, _) = git_command(&mut next);
        git_says(&mut next, op, 0, out, "");
    }
    let (register, _) = next.request("/bridge");
    let registered =
        r#"{"environment_id":"env_1","environment_secret":"s","sessions":["session_1"]}"#;
    next.respond(register, 200, registered);
    let (poll, _) = next.request("/work/poll");
    assert!(!next.actions.iter().any(|action| matches!(action, Action::Run { .. })));
    next.respond(poll, 204, "");
    let (_, args, place) = git_command(&mut next);
    assert!(args.starts_with("status") && place == "/trees/session_1", "{args} in {place}");
}

#[test]
fn a_worktree_in_another_workers_place_is_left_alone() {
    let mut bench = Bench::new(|config| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees/of another".to_owned() };
    });
    let list = listed("locked footbridge: a session runs here, or has left work here\n");
    for out in ["main", "", "", "c0ffee", &list, ""] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    bench.request("/bridge");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Run { .. })));
}

#[test]
fn a_session_that_returns_while_its_worktree_is_cleaned_up_waits_until_that_is_done() {
    let (mut bench, poll) =
        with_a_leftover("footbridge: a session runs here, or has left work here");
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let clean = [
        "",
        "",
        "",
        "",
        "c0ffee",
        "",
        "",
        "refs/heads/footbridge/session_1",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
    ];
    let cleaning = clean;
    for out in cleaning {
        let (op, args, _) = git_command(&mut bench);
        assert!(!args.ends_with("^{commit}"), "{args}");
        git_says(&mut bench, op, 0, out, "");
    }
    let (_, args, _) = git_command(&mut bench);
    assert!(args.ends_with("HEAD^{commit}"), "{args}");
}

#[test]
fn a_branch_without_a_worktree_is_deleted_at_the_start_if_it_has_nothing_of_its_own() {
    let mut bench = Bench::new(|config| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
    });
    let branches = "refs/heads/footbridge/session_1\nrefs/heads/footbridge/session_2\n";
    for out in ["main", "", "", "c0ffee", "worktree /w\nHEAD 1\n", branches] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    let list = "worktree /w\nHEAD 1\n";
    for (id, own) in [("session_1", ""), ("session_2", "c1")] {
        for out in [list, "c1", own] {
            let (op, _, _) = git_command(&mut bench);
            git_says(&mut bench, op, 0, out, "");
        }
        if own.is_empty() {
            let (op, args, _) = git_command(&mut bench);
            assert!(args.starts_with("rev-list --walk-reflogs "), "{args}");
            git_says(&mut bench, op, 0, "", "");
            let (op, args, _) = git_command(&mut bench);
            assert_eq!(args, format!("update-ref -d refs/heads/footbridge/{id} c1"));
            git_says(&mut bench, op, 0, "", "");
            let (op, args, _) = git_command(&mut bench);
            assert_eq!(args, "worktree list --porcelain");
            git_says(&mut bench, op, 0, list, "");
        }
    }
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Run { .. })));
}

#[test]
fn a_shutdown_lets_the_git_command_under_way_end_and_starts_no_other() {
    let (mut bench, _) = with_a_leftover("footbridge: a session runs here, or has left work here");
    let (op, _, _) = git_command(&mut bench);
    bench.command(WorkerCommand::Shutdown);
    // Killed, it would leave its lock, and git would refuse to work there until somebody removed it.
    assert!(!bench.actions.contains(&Action::Cancel { op }));
    assert!(bench.outcome.is_none() && !bench.has_request("/environments/env_1/stop"));
    git_says(&mut bench, op, 0, " M file", "");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Run { .. })));
    let (stop, _) = bench.request("/environments/env_1/stop");
    bench.respond(stop, 200, r#"{"state":"stopped"}"#);
    assert_eq!(bench.hand.outcome, Some(Ok(())));
}
