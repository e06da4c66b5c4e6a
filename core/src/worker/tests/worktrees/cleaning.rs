//! Worktrees of sessions that have ended.

use super::*;

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
        "worktree add --quiet --no-track --lock --reason footbridge: a session runs here, or has left work here -b footbridge/session_1 /trees/session_1 c0ffee"
    );
    git_says(&mut bench, op, 0, "", "");
    let (agent, directory) = bench.take("spawn", |action| match action {
        Action::Spawn { op, command } => Some((*op, command.directory.clone())),
        _ => None,
    });
    assert_eq!(directory.as_deref(), Some("/trees/session_1/sub"));
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.handle(Event::Opened { op: link });
    bench.handle(frame(link, &ControlFrame::Resume { received: 0, from: 0, window: None }));
    bench.exit(agent, ExitStatus::Code(0));
    bench.handle(frame(link, &ControlFrame::Ack { received: 2 }));
    bench
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
        ("rev-list --walk-reflogs --ignore-missing ", "/trees/session_1", ONE),
        ("rev-list --parents --ignore-missing 1111", "/trees/session_1", ""),
        ("symbolic-ref --quiet HEAD", "/trees/session_1", "refs/heads/topic"),
        ("switch --quiet --no-guess topic", "/trees/session_1", ""),
        ("worktree unlock /trees/session_1", "/w", ""),
        ("-c status.showUntrackedFiles=all worktree remove /trees/session_1", "/w", ""),
        ("rev-list --max-count=1 c0ffee --not ", "/w", ""),
        ("rev-list --walk-reflogs --ignore-missing ", "/w", ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", "/w", ""),
        ("worktree list --porcelain", "/w", "worktree /w\nHEAD 1\nbranch refs/heads/main\n"),
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
        (&[NONE, NONE, NONE, NONE, NO_TIP, NONE, NONE, (1, "", "")], "its HEAD is not on a branch"),
        (
            &[
                NONE,
                NONE,
                NONE,
                NONE,
                NO_TIP,
                NONE,
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

/// They did so after the worktrees had been listed, and would be on a branch without a commit.
#[test]
fn a_branch_that_somebody_has_switched_to_when_it_is_deleted_comes_back() {
    let mut bench = ended_in_worktree();
    let elsewhere = "worktree /w\nHEAD 0000\nbranch refs/heads/footbridge/session_1\n";
    let steps = [
        ("status ", 128, ""),
        ("worktree list", 0, ""),
        ("rev-parse --verify --quiet refs/heads/footbridge/session_1", 0, "c0ffee"),
        ("rev-list --max-count=1 c0ffee --not ", 0, ""),
        ("rev-list --walk-reflogs ", 0, ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", 0, ""),
        ("worktree list --porcelain", 0, elsewhere),
        ("update-ref refs/heads/footbridge/session_1 c0ffee 000000", 0, ""),
    ];
    for (beginning, code, out) in steps {
        let (op, args, _) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        git_says(&mut bench, op, code, out, GONE);
    }
    bench.request("/work/work_1/stop");
}

#[test]
fn a_worktree_whose_directory_is_gone_is_unlocked_and_its_branch_deleted() {
    let mut bench = ended_in_worktree();
    let list = listed("locked footbridge: a session runs here, or has left work here\n")
        .replace("HEAD 1", "HEAD c0ffee");
    let steps = [
        ("status ", 128, ""),
        ("worktree list", 0, &*list),
        ("rev-parse --verify --quiet refs/heads/footbridge/session_1", 0, "c0ffee"),
        ("rev-list --max-count=1 c0ffee c0ffee --not ", 0, ""),
        ("rev-list --walk-reflogs ", 0, ""),
        ("worktree unlock /trees/session_1", 0, ""),
        ("symbolic-ref --quiet worktrees/session_1/HEAD", 0, "refs/heads/footbridge/session_1"),
        ("update-ref --no-deref worktrees/session_1/HEAD c0ffee c0ffee", 0, ""),
        ("update-ref -d refs/heads/footbridge/session_1 c0ffee", 0, ""),
        ("worktree list --porcelain", 0, ""),
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
        ("rev-list --max-count=1 HEAD --all --reflog --not --remotes", at("/part"), ""),
        ("--git-dir /r/.git/worktrees/session_1 ", format!("{git}/modules"), "part/config\0"),
        ("rev-parse --verify --quiet refs/heads/footbridge/session_1", at(""), "c0ffee"),
        ("rev-list ", at(""), ""),
        ("rev-list --walk-reflogs ", at(""), ""),
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

/// Names of commits.
const ONE: &str = "1111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222";
const THREE: &str = "3333333333333333333333333333333333333333";
const JOINED: &str = "4444444444444444444444444444444444444444";

/// What a session's result says if this is what only the reflogs of its worktree have, and these
/// commands follow until its branch is looked at.
fn after_reflogs(list: &str, steps: &[(&str, i32, &str)]) -> String {
    let mut bench = ended_in_worktree();
    let before = ["status ", "-c ", "ls-files ", "-c ", "rev-parse ", "rev-list --max-count=1 "];
    for beginning in before {
        let (op, args, _) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        git_says(&mut bench, op, 0, if beginning == "rev-parse " { "c0ffee" } else { "" }, "");
    }
    let entries = format!("{THREE}\n{TWO}\n{ONE}\n{TWO}\n");
    let reflogs = [
        ("rev-list --walk-reflogs ", 0, &*entries),
        ("rev-list --parents --ignore-missing 1", 0, list),
    ];
    let rest = [
        ("symbolic-ref ", 0, "refs/heads/topic"),
        ("switch ", 0, ""),
        ("worktree unlock ", 0, ""),
        ("-c status.showUntrackedFiles=all worktree remove ", 0, ""),
        ("rev-list --max-count=1 ", 0, ""),
        ("rev-list --walk-reflogs ", 0, ""),
        ("update-ref -d ", 0, ""),
        ("worktree list --porcelain", 0, ""),
    ];
    for (beginning, code, out) in reflogs.iter().chain(steps).chain(&rest) {
        if bench.has_request("/work/work_1/stop") {
            break;
        }
        let (op, args, _) = git_command(&mut bench);
        assert!(args.starts_with(beginning), "{args}");
        git_says(&mut bench, op, *code, out, "fatal: no");
    }
    let (_, stop) = bench.request("/work/work_1/stop");
    String::from_utf8_lossy(&stop.body).into_owned()
}

#[test]
fn commits_that_only_reflogs_have_get_a_name_before_their_worktree_is_removed() {
    let kept = |commit: &str| format!("update-ref refs/footbridge/kept/{commit} {commit}");
    // The second follows the first: one name is enough for both.
    let body = after_reflogs(&format!("{TWO} {ONE}\n{ONE} c0\n"), &[(&kept(TWO), 0, "")]);
    assert!(body.contains(&format!("refs/footbridge/kept/{TWO}")), "{body}");
    let join = format!(
        "-c user.name=Footbridge -c user.email=footbridge@localhost commit-tree -m Commits that only the reflogs of a removed worktree had -p {THREE} -p {TWO} {THREE}^{{tree}}"
    );
    let list = format!("{THREE} c0\n{TWO} {ONE}\n{ONE} c0\n");
    let body = after_reflogs(&list, &[(&join, 0, JOINED), (&kept(JOINED), 0, "")]);
    assert!(body.contains(&format!("refs/footbridge/kept/{JOINED}")), "{body}");
}

#[test]
fn a_worktree_stays_if_what_only_its_reflogs_have_cannot_be_kept() {
    let body = after_reflogs(&format!("{ONE} c0\n"), &[("update-ref ", 128, "")]);
    assert!(body.contains("was kept: fatal: no"), "{body}");
    let list = format!("{TWO} c0\n{ONE} c0\n");
    for (code, out) in [(128, ""), (0, "--option"), (0, "")] {
        let body = after_reflogs(&list, &[("-c user.name=", code, out)]);
        assert!(body.contains("was kept: "), "{body}");
    }
}
