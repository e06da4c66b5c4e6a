//! Sessions in their own git worktrees.

mod cleaning;
mod leftovers;
mod returning;

use super::*;

/// Git's answer if the repository names no programs.
const NO_PROGRAMS: &str = "command\0core.hookspath\n/dev/null\0";

/// The next git command: its arguments without `-C DIRECTORY`, and where it runs. A question about
/// programs or symbolic references has been answered.
fn git_command(bench: &mut Bench) -> (OpId, String, String) {
    loop {
        let next = next_git_command(bench);
        let answer = match next.1.as_str() {
            args if args.starts_with("config --includes") => NO_PROGRAMS,
            args if args.starts_with("for-each-ref --format=%(if)") => "\n\n",
            _ => return next,
        };
        git_says(bench, next.0, 0, answer, "");
    }
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
        ("rev-parse --verify --quiet HEAD:sub", "c0ffee"),
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

#[test]
fn messages_during_the_creation_of_the_worktree_wait_for_the_agent_unacknowledged() {
    let (mut bench, link) = taken_in_worktree_mode();
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
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
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
    let user = |n| format!(r#"{{"type":"x","n":{n}}}"#);
    bench.handle(line(link, &user(1)));
    bench.handle(line(link, &user(2)));
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.wait();
    let link = bench.open();
    bench.handle(Event::Opened { op: link });
    assert_eq!(bench.sent(link), [r#"{"type":"resume","received":0,"from":0}"#]);
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));

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

const GONE: &str = "fatal: cannot change to '/trees/session_1': No such file or directory\n";

fn listed(state: &str) -> String {
    format!(
        "worktree /w\nHEAD 1\nbranch refs/heads/main\n\n\
        worktree /trees/session_1\nHEAD 1\nbranch refs/heads/footbridge/session_1\n{state}\n"
    )
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
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
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
        ("rev-list --walk-reflogs ", ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", ""),
        ("worktree list --porcelain", none),
    ];
    for (beginning, out) in rest {
        let (op, args, place) = git_command(&mut bench);
        assert!(args.starts_with(beginning) && place == "/w", "{args} in {place}");
        git_says(&mut bench, op, 0, out, "");
    }
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
    bench.handle(frame(link, &ControlFrame::Ack { received: 1 }));
    let (_, stop) = bench.request("/work/work_1/stop");
    let body = String::from_utf8_lossy(&stop.body).into_owned();
    assert!(body.contains("external filter 'x' failed"), "{body}");
}
