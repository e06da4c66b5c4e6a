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
        ("for-each-ref", ""),
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
        ("-c core.sparseCheckout=true ", "/trees/session_1", ""),
        ("ls-files --others --ignored ", "/trees/session_1", "target/a\0"),
        ("-c core.sparseCheckout=true ", "/trees/session_1", "H 100644 c1 0\ta\0"),
        (
            "rev-parse --verify --quiet refs/heads/footbridge/session_1",
            "/trees/session_1",
            "c0ffee",
        ),
        ("rev-list --max-count=1 HEAD c0ffee --glob=refs/worktree/* ", "/trees/session_1", ""),
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
    const NONE: (i32, &str, &str) = (0, "", "");
    const ON_BRANCH: (i32, &str, &str) = (0, "refs/heads/b", "");
    const NO_TIP: (i32, &str, &str) = (1, "", "");
    let cases: [(GitSays<'_>, &str); 15] = [
        (&[(0, " M a\n?? b\n", "")], "2 uncommitted or untracked files"),
        (&[(128, "", "fatal: broken\n")], "fatal: broken"),
        (&[NONE, (1, "a: needs update\n", "")], "git status does not show, such as a"),
        (&[NONE, NONE, (0, ".env\0", "")], "a file that git ignores"),
        (&[NONE, NONE, NONE, (0, "?\0H 160000 c1", "")], "list of its files cannot be read"),
        (
            &[NONE, NONE, NONE, (0, "S 100644 c1 0\ta\0", ""), (0, "git version 2.34.1", "")],
            "only git 2.36 or newer shows",
        ),
        (
            &[NONE, NONE, NONE, (0, "H 160000 c1 0\tpart\0", ""), (0, "part/notes\0", "")],
            "a file in the place of a submodule, part/notes",
        ),
        (
            &[NONE, NONE, NONE, NONE, (0, "c1", ""), (0, "c1\n", "")],
            "commits that no other branch has",
        ),
        (&[NONE, NONE, NONE, NONE, NO_TIP, (128, "", "fatal: no\n")], "fatal: no"),
        (
            &[NONE, NONE, NONE, NONE, NO_TIP, (128, "", "fatal: ambiguous argument 'HEAD': ?\n")],
            "its HEAD is on a branch without a commit",
        ),
        // A commit made now would go with the worktree.
        (&[NONE, NONE, NONE, NONE, NO_TIP, NONE, (1, "", "")], "its HEAD is not on a branch"),
        (
            &[
                NONE,
                NONE,
                NONE,
                NONE,
                NO_TIP,
                NONE,
                ON_BRANCH,
                (128, "", "fatal: cannot switch branch while merging\n"),
            ],
            "while merging",
        ),
        (
            &[
                NONE,
                NONE,
                NONE,
                NONE,
                NO_TIP,
                NONE,
                ON_BRANCH,
                (0, "", "warning: you are switching branch while bisecting\n"),
            ],
            "a bisection is in progress",
        ),
        (
            &[
                NONE,
                NONE,
                NONE,
                NONE,
                NO_TIP,
                NONE,
                ON_BRANCH,
                NONE,
                NONE,
                (128, "", "fatal: contains modified files\n"),
            ],
            "contains modified files",
        ),
        (
            &[
                (128, "", GONE),
                (0, "worktree /else\nHEAD 1\nbranch refs/heads/footbridge/session_1\n", ""),
            ],
            "somebody has moved it to /else",
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
        let error = if *expected == CHECK { GONE } else { "fatal: no" };
        git_says(&mut bench, op, *code, out, error);
    }
    (bench, link)
}

const GONE: &str = "fatal: cannot change to '/trees/session_1': No such file or directory\n";
const CHECK: &str = "git -C /trees/session_1 rev-parse --absolute-git-dir";
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
    let unlock = "git -C /w worktree unlock /trees/session_1";
    let forget = "git -C /w worktree remove /trees/session_1";
    let detached =
        own.replace("HEAD 1\nbranch refs/heads/footbridge/session_1", "HEAD c1\ndetached");
    let keep = "git -C /w update-ref refs/footbridge/kept/c1 c1";
    let ways: [Steps<'_>; 8] = [
        &[(LIST, 0, &own), (CHECK, 0, "")],
        &[(LIST, 0, &older), (CHECK, 0, "")],
        &[(LIST, 0, &free), (LOCK, 0, ""), (CHECK, 0, "")],
        // Only its branch is left.
        &[(LIST, 0, none), (attach, 0, "")],
        // Somebody has removed its directory.
        &[(LIST, 0, &own), (CHECK, 128, ""), (unlock, 0, ""), (forget, 0, ""), (attach, 0, "")],
        // What only its `HEAD` held is kept.
        &[
            (LIST, 0, &detached),
            (CHECK, 128, ""),
            (keep, 0, ""),
            (unlock, 0, ""),
            (forget, 0, ""),
            (attach, 0, ""),
        ],
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
    let left = (LIST, 0, free.as_str());
    let in_vain = [&in_vain[..], &[left]].concat();
    let ways: [(Steps<'_>, &str); 3] = [
        (&[(LIST, 0, &person), (LIST, 0, &person)], "/trees/session_1 is locked by someone else"),
        (&in_vain, "fatal: no"),
        (&[(LIST, 1, ""), (LIST, 1, "")], "a branch named 'footbridge/session_1' already exists"),
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
    for (code, out) in [(0, "c0ffee"), (255, ""), (0, &list), (0, "")] {
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
    let list = listed("locked footbridge: a session runs here\n");
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
    let list = listed("locked footbridge: a session runs here\n");
    for out in ["main", "", "", "c0ffee", &list, ""] {
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
    let clean =
        ["", "", "", "", "c0ffee", "", "refs/heads/footbridge/session_1", "", "", "", "", ""];
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

#[test]
fn a_branch_that_a_failed_creation_leaves_is_deleted_and_the_first_complaint_is_reported() {
    let (mut bench, link) = taken_in_worktree_mode();
    let no_filter = "error: external filter 'x' failed\nfatal: a: smudge filter x failed\n";
    let exists = "fatal: a branch named 'footbridge/session_1' already exists\n";
    let none = "worktree /w\nHEAD 1\n";
    let tries = [("worktree add", exists), ("worktree list", ""), ("worktree add", no_filter)];
    let first = [("rev-parse", ""), ("worktree add", no_filter), ("worktree list", "")];
    let again = [&[("worktree add", no_filter)], &tries[..]].concat();
    let all = first.into_iter().chain(again).chain(tries);
    for (beginning, error) in all {
        let (op, args, _) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        let out = if beginning == "rev-parse" { "c0ffee" } else { none };
        git_says(&mut bench, op, i32::from(!error.is_empty()), out, error);
    }
    let rest = [
        ("worktree list", none),
        ("rev-parse --verify --quiet refs/heads/footbridge/session_1", "c0ffee"),
        ("rev-list --max-count=1 c0ffee --not ", ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", ""),
    ];
    for (beginning, out) in rest {
        let (op, args, place) = git_command(&mut bench);
        assert!(args.starts_with(beginning) && place == "/w", "{args} in {place}");
        git_says(&mut bench, op, 0, out, "");
    }
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0 }));
    bench.handle(frame(link, &ControlFrame::Ack { received: 1 }));
    let (_, stop) = bench.request("/work/work_1/stop");
    let body = String::from_utf8_lossy(&stop.body).into_owned();
    assert!(body.contains("external filter 'x' failed"), "{body}");
}

#[test]
fn a_worktree_whose_directory_is_gone_is_unlocked_and_its_branch_deleted() {
    let mut bench = ended_in_worktree();
    let list = listed("locked footbridge: a session runs here\n").replace("HEAD 1", "HEAD c0ffee");
    let steps = [
        ("status ", 128, ""),
        ("worktree list", 0, &*list),
        ("rev-parse --verify --quiet refs/heads/footbridge/session_1", 0, "c0ffee"),
        ("rev-list --max-count=1 c0ffee c0ffee --not ", 0, ""),
        ("worktree unlock /trees/session_1", 0, ""),
        ("symbolic-ref --quiet worktrees/session_1/HEAD", 0, "refs/heads/footbridge/session_1"),
        ("update-ref --no-deref worktrees/session_1/HEAD c0ffee c0ffee", 0, ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", 0, ""),
    ];
    for (beginning, code, out) in steps {
        let (op, args, place) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        assert_eq!(place == "/w", beginning != "status ", "{args}");
        git_says(&mut bench, op, code, out, GONE);
    }
    let (_, stop) = bench.request("/work/work_1/stop");
    let body = String::from_utf8_lossy(&stop.body).into_owned();
    assert!(body.contains("/trees/session_1 was removed or moved by something else"), "{body}");
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
            assert_eq!(args, format!("update-ref -d refs/heads/footbridge/{id} c1"));
            git_says(&mut bench, op, 0, "", "");
        }
    }
    assert!(!bench.actions.iter().any(|action| matches!(action, Action::Run { .. })));
}

#[test]
fn a_clean_submodule_goes_with_its_worktree() {
    let mut bench = ended_in_worktree();
    let at = |place: &str| format!("/trees/session_1{place}");
    let (git, part) = ("/r/.git/worktrees/session_1", "/r/.git/worktrees/session_1/modules/part");
    let files = "H 100644 c1 0\ta\0H 160000 c2 0\tpart\0";
    let steps = [
        ("status ", at(""), ""),
        ("-c ", at(""), ""),
        ("ls-files --others --ignored ", at(""), ""),
        ("-c ", at(""), files),
        ("ls-files --others -z -- :(literal)part", at(""), "part/\0"),
        ("rev-parse --absolute-git-dir", at(""), git),
        ("rev-parse --absolute-git-dir", at("/part"), part),
        ("status ", at("/part"), ""),
        ("-c ", at("/part"), ""),
        ("ls-files --others --ignored ", at("/part"), ""),
        ("-c ", at("/part"), "H 100644 c3 0\ta\0"),
        ("rev-parse --verify --quiet HEAD", at("/part"), "c2"),
        ("rev-list --max-count=1 HEAD --all --not --remotes", at("/part"), ""),
        ("--git-dir /r/.git/worktrees/session_1 ", format!("{git}/modules"), "part/config\0"),
        ("rev-parse --verify --quiet refs/heads/footbridge/session_1", at(""), "c0ffee"),
        ("rev-list ", at(""), ""),
        ("symbolic-ref --quiet HEAD", at(""), "refs/heads/topic"),
        ("switch --quiet --no-guess topic", at(""), ""),
        ("worktree unlock /trees/session_1", "/w".to_owned(), ""),
        ("worktree remove --force /trees/session_1", "/w".to_owned(), ""),
    ];
    for (beginning, place, out) in steps {
        let (op, args, directory) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        assert_eq!(directory, place, "{args}");
        git_says(&mut bench, op, 0, out, "");
    }
}
