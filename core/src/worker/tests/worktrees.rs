//! Sessions in their own git worktrees.

use super::*;

/// Git's answer if the repository names no programs.
const NO_PROGRAMS: &str = "command\0core.hookspath\n/dev/null\0";

/// The next git command: its arguments without `-C DIRECTORY`, and where it runs. A question about
/// programs has been answered.
fn git_command(bench: &mut Bench) -> (OpId, String, String) {
    let next = next_git_command(bench);
    if !next.1.starts_with("config --includes") {
        return next;
    }
    git_says(bench, next.0, 0, NO_PROGRAMS, "");
    next_git_command(bench)
}

fn next_git_command(bench: &mut Bench) -> (OpId, String, String) {
    bench.take("a git command", |action| match action {
        Action::Run { op, command, .. } if command.program == "git" => {
            Some((*op, command.args[2..].join(" "), command.args[1].clone()))
        }
        _ => None,
    })
}

#[test]
fn git_inherits_no_variable_that_is_kept_from_agents() {
    let mut bench = Bench::new(|config| config.agent_env_remove = vec!["A_TOKEN".to_owned()]);
    let removed = bench.take("a git command", |action| match action {
        Action::Run { command, .. } if command.program == "git" => Some(command.env_remove.clone()),
        _ => None,
    });
    assert!(removed.contains(&"A_TOKEN".to_owned()), "{removed:?}");
}

fn git_says(bench: &mut Bench, op: OpId, code: i32, out: &str, error: &str) {
    let bytes = |text: &str| Bytes::from(text.to_owned());
    let status = ExitStatus::Code(code);
    bench.handle(Event::Ran { op, status, stdout: bytes(out), stderr: bytes(error) });
}

fn in_worktree_mode() -> (Bench, OpId) {
    in_worktree_mode_with(|_| {})
}

fn in_worktree_mode_with(change: impl FnOnce(&mut WorkerConfig)) -> (Bench, OpId) {
    let mut bench = Bench::new(|config| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
        change(config);
    });
    let answers = [
        ("symbolic-ref", "main"),
        ("config", ""),
        ("rev-parse --show-prefix", "sub/"),
        ("rev-parse --verify", "c0ffee"),
        ("worktree list", ""),
    ];
    for (beginning, out) in answers {
        let (op, args, _) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        git_says(&mut bench, op, 0, out, "");
    }
    let (register, _) = bench.request("/bridge");
    bench.respond(register, 200, r#"{"environment_id":"env_1","environment_secret":"s"}"#);
    let (poll, _) = bench.request("/work/poll");
    (bench, poll)
}

/// A session has been accepted, and its worktree is to be created; returns its link.
fn taken_in_worktree_mode() -> (Bench, OpId) {
    let (mut bench, poll) = in_worktree_mode();
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let link = bench.open();
    (bench, link)
}

/// Its agent is started.
fn spawned(bench: &mut Bench) -> OpId {
    let agent = bench.take("spawn", |action| match action {
        Action::Spawn { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    agent
}

/// A session in a worktree whose agent has ended and whose last lines are acknowledged.
fn ended_in_worktree() -> Bench {
    let (mut bench, link) = taken_in_worktree_mode();
    let (op, args, directory) = git_command(&mut bench);
    assert_eq!(
        (args.as_str(), directory.as_str()),
        ("rev-parse --verify --quiet --end-of-options HEAD^{commit}", "/w")
    );
    git_says(&mut bench, op, 0, "c0ffee\n", "");
    let (op, args, _) = git_command(&mut bench);
    assert_eq!(
        args,
        "worktree add --quiet --no-track --lock --reason footbridge: a session runs here -b footbridge/session_1 /trees/session_1 c0ffee"
    );
    git_says(&mut bench, op, 0, "", "");
    let (agent, directory) = bench.take("spawn", |action| match action {
        Action::Spawn { op, command } => Some((*op, command.directory.clone())),
        _ => None,
    });
    assert_eq!(directory.as_deref(), Some("/trees/session_1/sub"));
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0 }));
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    bench
}

#[test]
fn messages_during_the_creation_of_the_worktree_wait_for_the_agent_unacknowledged() {
    let (mut bench, link) = taken_in_worktree_mode();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0 }));
    let user = r#"{"type":"user","uuid":"U","message":{}}"#;
    bench.handle(line(link, user));
    for out in ["c0ffee", ""] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    assert!(bench.sent(link).iter().all(|sent| !sent.contains(r#""ack""#)));
    let agent = spawned(&mut bench);
    assert_eq!(bench.written(agent), [format!("{user}\n")]);
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert!(bench.sent(link).contains(&r#"{"type":"ack","received":1}"#.to_owned()));
}

#[test]
fn messages_waiting_for_the_agent_when_the_link_breaks_reach_it_once_and_are_not_acked_before() {
    let (mut bench, link) = taken_in_worktree_mode();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0 }));
    let user = |n| format!(r#"{{"type":"x","n":{n}}}"#);
    bench.handle(line(link, &user(1)));
    bench.handle(line(link, &user(2)));
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    assert_eq!(bench.sent(link), [r#"{"type":"resume","received":0,"from":0}"#]);
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0 }));

    // The agent reads both before the relay has sent anything again.
    for out in ["c0ffee", ""] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    let agent = spawned(&mut bench);
    assert_eq!(bench.written(agent), [user(1) + "\n", user(2) + "\n"]);
    bench.handle(Event::Written { op: agent, writes: 2 });
    let acks = |bench: &mut Bench| {
        bench.sent(link).into_iter().filter(|sent| sent.contains("\"ack\"")).collect::<Vec<_>>()
    };
    assert_eq!(
        acks(&mut bench),
        [""; 0],
        "a relay accepts no ack for what it has not sent on this link"
    );
    bench.handle(line(link, &user(1)));
    assert_eq!(acks(&mut bench), [r#"{"type":"ack","received":1}"#]);
    bench.handle(line(link, &[user(2), user(3)].join("\n")));
    assert_eq!(acks(&mut bench), [r#"{"type":"ack","received":2}"#]);
    assert_eq!(bench.written(agent), [user(3) + "\n"]);
    bench.handle(Event::Written { op: agent, writes: 1 });
    assert_eq!(acks(&mut bench), [r#"{"type":"ack","received":3}"#]);
}

#[test]
fn a_worktree_without_work_is_removed_before_the_result_is_reported() {
    let mut bench = ended_in_worktree();
    let steps = [
        ("status --porcelain", "/trees/session_1", ""),
        (
            "rev-parse --verify --quiet refs/heads/footbridge/session_1",
            "/trees/session_1",
            "c0ffee",
        ),
        (
            "rev-list --max-count=1 HEAD c0ffee --not --exclude=refs/heads/footbridge/* ",
            "/trees/session_1",
            "",
        ),
        ("symbolic-ref --quiet HEAD", "/trees/session_1", "refs/heads/topic"),
        ("switch --quiet --no-guess topic", "/trees/session_1", ""),
        ("worktree unlock /trees/session_1", "/w", ""),
        ("-c status.showUntrackedFiles=all worktree remove /trees/session_1", "/w", ""),
        ("rev-list --max-count=1 c0ffee --not ", "/w", ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", "/w", ""),
    ];
    for (beginning, place, out) in steps {
        assert!(!bench.has_request("/work/work_1/stop"));
        let (op, args, directory) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        assert_eq!(directory, place, "{args}");
        git_says(&mut bench, op, 0, out, "");
    }
    assert!(bench.has_request("/work/work_1/stop"));
}

#[test]
fn a_worktree_with_work_in_it_is_kept_and_named_in_the_result() {
    type GitSays<'a> = &'a [(i32, &'a str, &'a str)];
    const ON_BRANCH: (i32, &str, &str) = (0, "refs/heads/b", "");
    let cases: [(GitSays<'_>, &str); 7] = [
        (&[(0, " M a\n?? b\n", "")], "2 uncommitted or untracked files"),
        (&[(128, "", "fatal: broken\n")], "fatal: broken"),
        (&[(0, "", ""), (0, "c1", ""), (0, "c1\n", "")], "commits that no other branch has"),
        (&[(0, "", ""), (1, "", ""), (128, "", "fatal: no\n")], "fatal: no"),
        // A commit made now would go with the worktree.
        (&[(0, "", ""), (1, "", ""), (0, "", ""), (1, "", "")], "its HEAD is not on a branch"),
        (
            &[
                (0, "", ""),
                (1, "", ""),
                (0, "", ""),
                ON_BRANCH,
                (128, "", "fatal: cannot switch branch while merging\n"),
            ],
            "while merging",
        ),
        (
            &[
                (0, "", ""),
                (1, "", ""),
                (0, "", ""),
                ON_BRANCH,
                (0, "", ""),
                (0, "", ""),
                (128, "", "fatal: contains modified files\n"),
            ],
            "contains modified files",
        ),
    ];
    for (answers, reason) in cases {
        let mut bench = ended_in_worktree();
        for (code, out, error) in answers {
            let (op, _, _) = git_command(&mut bench);
            git_says(&mut bench, op, *code, out, error);
        }
        let (_, request) = bench.request("/work/work_1/stop");
        let body = String::from_utf8(request.body.to_vec()).expect("JSON");
        assert!(body.contains(reason) && body.contains("/trees/session_1 was kept"), "{body}");
    }
}

#[test]
fn a_git_command_that_meets_a_lock_is_retried() {
    let mut bench = ended_in_worktree();
    let (op, first, _) = git_command(&mut bench);
    let locked = "fatal: Unable to create '/r/.git/index.lock': File exists.";
    git_says(&mut bench, op, 128, "", locked);
    bench.wait();
    let (_, again, _) = git_command(&mut bench);
    assert_eq!(again, first);
}

#[test]
fn a_directory_without_a_commit_to_start_from_is_an_error_at_the_start() {
    for (failing, reason) in [(2, "is not a git repository"), (3, "without a commit")] {
        let mut bench = Bench::new(|config| {
            config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
        });
        for _ in 0..failing {
            let (op, _, _) = git_command(&mut bench);
            git_says(&mut bench, op, 0, "", "");
        }
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 128, "", "fatal: no");
        let fault = bench.hand.outcome.expect("an end").expect_err("a fault");
        assert_eq!(fault.kind, MachineErrorKind::Local);
        assert!(fault.message.contains(reason) && fault.message.contains("/w"), "{fault}");
    }
}

#[test]
fn a_git_that_does_not_respond_at_the_start_is_not_mistaken_for_a_missing_repository() {
    let mut bench = Bench::new(|config| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
    });
    for _ in 0..3 {
        let (op, _, _) = git_command(&mut bench);
        let failure = IoError { kind: IoErrorKind::TimedOut, detail: "10 s".to_owned() };
        bench.handle(Event::Failed { op, failure });
    }
    let fault = bench.hand.outcome.expect("an end").expect_err("a fault");
    assert!(fault.message.contains("could not run git"), "{fault}");
}

#[test]
fn a_session_that_ends_while_its_worktree_is_created_starts_no_agent_and_leaves_no_worktree() {
    let (mut bench, poll) = in_worktree_mode();
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let (op, _, _) = git_command(&mut bench);
    git_says(&mut bench, op, 0, "c0ffee", "");
    let (add, _, _) = git_command(&mut bench);
    bench.command(WorkerCommand::ShutdownNow);
    git_says(&mut bench, add, 0, "", "");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
    let (_, args, _) = git_command(&mut bench);
    assert!(args.starts_with("status"), "{args}");
}

/// Commands, each with its exit code and output.
type Steps<'a> = &'a [(&'a str, i32, &'a str)];

/// A session arrives whose worktree cannot be created fresh. Plays the commands that follow.
fn returns(steps: Steps<'_>) -> (Bench, OpId) {
    let (mut bench, link) = taken_in_worktree_mode();
    let (op, _, _) = git_command(&mut bench);
    git_says(&mut bench, op, 0, "c0ffee", "");
    let (op, _, _) = git_command(&mut bench);
    let exists = "fatal: a branch named 'footbridge/session_1' already exists";
    git_says(&mut bench, op, 255, "", exists);
    for (expected, code, out) in steps {
        let (op, args, directory) = git_command(&mut bench);
        assert_eq!(format!("git -C {directory} {args}"), *expected);
        git_says(&mut bench, op, *code, out, "fatal: no");
    }
    (bench, link)
}

const LIST: &str = "git -C /w worktree list --porcelain";
const LOCK: &str =
    "git -C /w worktree lock --reason footbridge: a session runs here /trees/session_1";
const ADD: &str = "git -C /w worktree add --quiet --no-track --lock --reason footbridge: a session runs here \
    -b footbridge/session_1 /trees/session_1 c0ffee";

fn listed(state: &str) -> String {
    format!(
        "worktree /w\nHEAD 1\nbranch refs/heads/main\n\n\
        worktree /trees/session_1\nHEAD 1\nbranch refs/heads/footbridge/session_1\n{state}\n"
    )
}

#[test]
fn a_session_that_returns_continues_in_the_worktree_that_was_kept_for_it() {
    let (own, free) = (listed("locked footbridge: a session runs here\n"), listed(""));
    let older = listed("locked footbridge 77\n");
    let none = "worktree /w\nHEAD 1\nbranch refs/heads/main\n";
    let attach = "git -C /w worktree add --quiet --lock --reason footbridge: a session runs here \
        /trees/session_1 footbridge/session_1";
    let ways: [Steps<'_>; 6] = [
        &[(LIST, 0, &own)],
        &[(LIST, 0, &older)],
        &[(LIST, 0, &free), (LOCK, 0, "")],
        // Only its branch is left.
        &[(LIST, 0, none), (attach, 0, "")],
        // A removal that an earlier run had begun comes to its end.
        &[(LIST, 0, &free), (LOCK, 128, ""), (ADD, 255, ""), (LIST, 0, none), (attach, 0, "")],
        &[(LIST, 0, none), (attach, 128, ""), (ADD, 0, "")],
    ];
    for steps in ways {
        let (mut bench, _) = returns(steps);
        let directory = bench.take("spawn", |action| match action {
            Action::Spawn { command, .. } => Some(command.directory.clone()),
            _ => None,
        });
        assert_eq!(directory.as_deref(), Some("/trees/session_1/sub"));
    }
}

#[test]
fn a_worktree_that_someone_else_is_using_is_not_taken_over() {
    let (person, free) = (listed("locked on a stick\n"), listed(""));
    let again: Steps<'_> = &[(ADD, 255, ""), (LIST, 0, &free), (LOCK, 1, "")];
    let in_vain = [&[(LIST, 0, free.as_str()), (LOCK, 1, "")], again, again].concat();
    let ways: [(Steps<'_>, &str); 3] = [
        (&[(LIST, 0, &person)], "/trees/session_1 is locked by someone else"),
        (&in_vain, "fatal: no"),
        (&[(LIST, 1, "")], "a branch named 'footbridge/session_1' already exists"),
    ];
    for (steps, reason) in ways {
        let (mut bench, link) = returns(steps);
        assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
        bench.handle(Event::Opened { op: link });
        bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0 }));
        bench.handle(frame(link, &ControlFrame::Ack { received: 1 }));
        let (_, stop) = bench.request("/work/work_1/stop");
        let body = String::from_utf8_lossy(&stop.body).into_owned();
        assert!(body.contains(reason), "{body}");
    }
}

#[test]
fn a_session_that_returns_while_its_worktree_is_being_created_gets_one_agent() {
    let (mut bench, poll) = in_worktree_mode();
    let secret = r#"{"version":1,"session_ingress_token":"t"}"#;
    bench.respond(poll, 200, &item(1, secret));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let link = bench.open();
    let (op, _, _) = git_command(&mut bench);
    git_says(&mut bench, op, 0, "c0ffee", "");
    let (slow, _, _) = git_command(&mut bench);
    let code = Some(crate::wire::link_v1::CLOSE_LEASE_LOST);
    bench.handle(Event::Opened { op: link });
    bench.handle(Event::Closed { op: link, code, failure: None });

    while bench.machine.sessions() > 0 {
        bench.wait();
    }
    let (poll, _) = bench.request("/work/poll");
    bench.respond(poll, 200, &item(2, secret).replace("session_2", "session_1"));
    let (ack, _) = bench.request("/work/work_2/ack");
    bench.respond(ack, 200, "{}");
    bench.open();
    git_says(&mut bench, slow, 0, "", "");
    let spawns = |bench: &Bench| {
        bench.actions.iter().filter(|action| matches!(action, Action::Spawn { .. })).count()
    };
    assert_eq!(spawns(&bench), 0, "that worktree was for another agent");

    let list = listed("locked footbridge: a session runs here\n");
    for (code, out) in [(0, "c0ffee"), (255, ""), (0, &list)] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, code, out, "fatal: it exists");
    }
    assert_eq!(spawns(&bench), 1);
}

/// A worker that finds a worktree of session 1 when it starts, locked with `reason`, and has
/// registered; its poll.
fn with_a_leftover(reason: &str) -> (Bench, OpId) {
    let mut bench = Bench::new(|config| {
        config.spawn_mode = SpawnMode::Worktree { root: "/trees".to_owned() };
    });
    for out in ["main", "", "", "c0ffee", &listed(&format!("locked {reason}\n"))] {
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
    for reason in ["footbridge: a session runs here", "footbridge 77"] {
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
    for out in ["main", "", "", "c0ffee", ""] {
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
    for out in ["main", "", "", "c0ffee", &listed("locked footbridge: a session runs here\n")] {
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
    let list = listed("locked footbridge: a session runs here\n");
    for out in ["main", "", "", "c0ffee", &list] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    bench.request("/bridge");
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Run { .. })));
}

#[test]
fn a_session_that_returns_while_its_worktree_is_cleaned_up_waits_until_that_is_done() {
    let (mut bench, poll) = with_a_leftover("footbridge: a session runs here");
    bench.respond(poll, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    let cleaning = ["", "c0ffee", "", "refs/heads/footbridge/session_1", "", "", "", "", ""];
    for out in cleaning {
        let (op, args, _) = git_command(&mut bench);
        assert!(!args.ends_with("^{commit}"), "{args}");
        git_says(&mut bench, op, 0, out, "");
    }
    let (_, args, _) = git_command(&mut bench);
    assert!(args.ends_with("HEAD^{commit}"), "{args}");
}

#[test]
fn a_session_that_ends_while_its_mcp_configuration_is_written_leaves_no_worktree() {
    let (mut bench, poll) = in_worktree_mode_with(|config| {
        config.state_directory = Some("/state".to_owned());
        config.allowance.flags.push("mcp-config".to_owned());
    });
    let secret = r#"{"version":1,"session_ingress_token":"t","mcp_config":{}}"#;
    bench.respond(poll, 200, &item(1, secret));
    let (ack, _) = bench.request("/ack");
    bench.respond(ack, 200, "{}");
    for out in ["c0ffee", ""] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, 0, out, "");
    }
    let save = bench.take("save", |action| match action {
        Action::Save { op, .. } => Some(*op),
        _ => None,
    });
    bench.command(WorkerCommand::Shutdown);
    let (_, args, _) = git_command(&mut bench);
    assert!(args.starts_with("status"), "{args}");
    bench.handle(Event::Saved { op: save });
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Spawn { .. })));
}

#[test]
fn a_session_that_ends_while_its_worktree_cannot_be_created_is_logged_as_ended_once() {
    let (mut bench, link) = taken_in_worktree_mode();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0 }));
    bench.handle(frame(link, &ControlFrame::Stop));
    let (op, _, _) = git_command(&mut bench);
    git_says(&mut bench, op, 128, "", "fatal: no");
    let ends = bench.sent(link).into_iter().filter(|sent| sent.contains("agent_exited"));
    assert_eq!(ends.count(), 1);
}
