//! Sessions that return find what they had.

use super::*;

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
        let error = match *expected {
            CHECK => GONE,
            WHOLE | CUT_OFF => MISSING,
            _ => "fatal: no",
        };
        git_says(&mut bench, op, *code, out, error);
    }
    (bench, link)
}

const CHECK: &str = "git -C /trees/session_1 rev-parse --absolute-git-dir";

const WHOLE: &str = "git -C /trees/session_1 hash-object --no-filters -- /w/.git/worktrees/x/index";

const CUT_OFF: &str =
    "git -C /trees/session_1 hash-object --no-filters -- /w/.git/worktrees/x/index.lock";

const MISSING: &str = "fatal: could not open 'x' for reading: No such file or directory";

/// Its own directory in the repository.
const OWN: &str = "/w/.git/worktrees/x";

const LIST: &str = "git -C /w worktree list --porcelain";

const LOCK: &str = "git -C /w worktree lock --reason footbridge: a session runs here, or has left work here /trees/session_1";

const ADD: &str = "git -C /w worktree add --quiet --no-track --lock --reason footbridge: a session runs here, or has left work here \
    -b footbridge/session_1 /trees/session_1 c0ffee";

#[test]
fn a_session_that_returns_continues_in_the_worktree_that_was_kept_for_it() {
    let (own, free) =
        (listed("locked footbridge: a session runs here, or has left work here\n"), listed(""));
    let older = listed("locked footbridge 77\n");
    let none = "worktree /w\nHEAD 1\nbranch refs/heads/main\n";
    let attach = "git -C /w worktree add --quiet --lock --reason footbridge: a session runs here, or has left work here \
        /trees/session_1 footbridge/session_1";
    let unlock = "git -C /w worktree unlock /trees/session_1";
    let forget = "git -C /w worktree remove /trees/session_1";
    let commit = "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1";
    let detached = own.replace(
        "HEAD 1\nbranch refs/heads/footbridge/session_1",
        &format!("HEAD {commit}\ndetached"),
    );
    let keep = format!("git -C /w update-ref refs/footbridge/kept/{commit} {commit}");
    let reflogs = "git -C /w rev-list --walk-reflogs --ignore-missing --max-count=5000 \
        worktrees/session_1/HEAD refs/heads/footbridge/session_1";
    let unnamed = format!(
        "git -C /w rev-list --parents --ignore-missing {commit} --not \
        --exclude=refs/heads/footbridge/* --exclude=refs/stash --exclude=refs/bisect/* \
        --exclude=refs/worktree/* --exclude=refs/rewritten/* --glob=refs/* \
        refs/heads/footbridge/session_1"
    );
    let ways: [Steps<'_>; 10] = [
        &[(LIST, 0, &own), (CHECK, 0, OWN), (WHOLE, 0, "")],
        &[(LIST, 0, &older), (CHECK, 0, OWN), (WHOLE, 0, "")],
        &[(LIST, 0, &free), (LOCK, 0, ""), (CHECK, 0, OWN), (WHOLE, 0, "")],
        // Git was cut off while it wrote the files, or before.
        &[
            (LIST, 0, &own),
            (CHECK, 0, OWN),
            (WHOLE, 128, ""),
            (CUT_OFF, 0, ""),
            ("git -C /w worktree remove --force --force /trees/session_1", 0, ""),
            (attach, 0, ""),
        ],
        &[
            (LIST, 0, &own),
            (CHECK, 0, OWN),
            (WHOLE, 128, ""),
            (CUT_OFF, 128, ""),
            ("git -C /trees/session_1 read-tree HEAD", 0, ""),
            ("git -C /trees/session_1 checkout-index --all --quiet", 0, ""),
        ],
        // Only its branch is left.
        &[(LIST, 0, none), (attach, 0, "")],
        // Somebody has removed its directory.
        &[
            (LIST, 0, &own),
            (CHECK, 128, ""),
            (reflogs, 0, ""),
            (unlock, 0, ""),
            (forget, 0, ""),
            (attach, 0, ""),
        ],
        // What only its `HEAD` held is kept.
        &[
            (LIST, 0, &detached),
            (CHECK, 128, ""),
            (reflogs, 0, ""),
            (&unnamed, 0, commit),
            (&keep, 0, ""),
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
        bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
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

    let list = listed("locked footbridge: a session runs here, or has left work here\n");
    for (code, out) in [(0, "c0ffee"), (255, ""), (0, &list), (0, OWN), (0, "")] {
        let (op, _, _) = git_command(&mut bench);
        git_says(&mut bench, op, code, out, "fatal: it exists");
    }
    assert_eq!(spawns(&bench), 1);
}
