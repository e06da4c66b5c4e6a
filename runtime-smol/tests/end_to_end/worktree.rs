//! A worktree that was kept, on the page: what is in it, and what a person does about it.

use std::path::Path;
use std::process::Command;

use crate::support::page::{Page, hook};
use crate::support::program::Program;

const KEPT: &str = "[data-testid=worktree]";
const OFFERED: &str = "[data-testid=worktree][data-state=offered]";

struct Scene {
    directory: tempfile::TempDir,
    program: Program,
    page: Page,
    session: String,
}

fn git(directory: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=a", "-c", "user.email=a@b", "-C"]).arg(directory).args(args);
    let output = git.output().expect("git");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

impl Scene {
    /// A session whose agent, a script, has ended in a worktree of its own.
    #[track_caller]
    fn after(script: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        // The worker's check starts it outside of any session.
        let agent = format!("[ -n \"$FOOTBRIDGE_SESSION_ID\" ] || exit 0\n{script}\n");
        std::fs::write(path.join("agent.sh"), agent).expect("a file");
        std::fs::write(path.join(".gitignore"), ".env\n").expect("a file");
        std::fs::write(path.join("file"), "as committed\n").expect("a file");
        git(path, &["init", "--quiet", "--initial-branch=main"]);
        git(path, &["add", "."]);
        git(path, &["commit", "--quiet", "-m", "first"]);
        let program =
            Program::up(&directory, &["--agent", "sh ./agent.sh", "--spawn-mode", "worktree"]);
        let mut page = Page::open(program.page());
        page.click(&hook("new-session"));
        page.see("[data-testid=session-state][data-state=ended]");
        page.see(OFFERED);
        let session = page.wait_for("a session", "location.hash.split('/session/')[1]");
        let session = session.as_str().expect("text").to_owned();
        Self { directory, program, page, session }
    }

    fn branches(&self) -> String {
        git(self.directory.path(), &["for-each-ref", "--format=%(refname:short)", "refs/heads"])
    }

    #[track_caller]
    fn is_gone(&mut self) {
        self.page.wait_for("no offer", &format!("document.querySelector('{KEPT}').hidden"));
        assert!(self.program.api().session(&self.session)["worktree"].is_null());
        assert!(!self.branches().contains("footbridge/"), "{}", self.branches());
    }
}

#[test]
fn work_that_was_kept_is_named_looked_at_and_brought_into_a_branch() {
    let mut scene = Scene::after("echo changed > file; echo new > notes; echo SECRET > .env");
    let page = &mut scene.page;
    page.see_text(KEPT, "uncommitted or untracked files");
    for words in ["file changed +1 −1", "notes new", ".env ignored by git"] {
        page.see_text(&hook("worktree-contents"), words);
    }
    let text = page.evaluate("document.body.textContent");
    assert!(!text.as_str().expect("text").contains("SECRET"), "only names are shown");
    page.click(&hook("worktree-look"));
    page.see_text("[data-kind=system]", "The worker is to look into the worktree");
    page.see(OFFERED);

    // What git ignores is asked about.
    page.click(&hook("worktree-branch"));
    page.see_text("dialog[open]", ".env");
    page.click(&hook("worktree-branch-keep"));
    page.see_text(KEPT, "a file that git ignores");
    page.see_text("[data-kind=system]", "is on the branch footbridge-kept-");
    page.see(OFFERED);
    page.click(&hook("worktree-branch"));
    page.click(&hook("worktree-branch-confirm"));
    scene.is_gone();
    let branches = scene.branches();
    let kept = branches.lines().find(|name| name.starts_with("footbridge-kept-"));
    let kept = kept.unwrap_or_else(|| panic!("no branch: {branches}"));
    let shown = git(scene.directory.path(), &["show", &format!("{kept}:file")]);
    assert_eq!(shown, "changed\n");
    scene.page.assert_no_complaints();
}

#[test]
fn work_is_deleted_only_after_a_second_look_at_what_is_lost() {
    let mut scene = Scene::after("echo new > notes");
    let page = &mut scene.page;
    page.click(&hook("worktree-delete"));
    page.see_text("dialog[open]", "1 file will be lost for good");
    page.see_text("dialog[open]", "notes");
    page.press("Escape");
    page.see(OFFERED);
    page.click(&hook("worktree-delete"));
    page.click(&hook("worktree-delete-confirm"));
    scene.is_gone();
    assert_eq!(scene.branches(), "main\n");
    scene.page.assert_no_complaints();
}

#[test]
fn work_that_is_to_stay_is_not_offered_any_more_and_can_still_be_deleted() {
    let mut scene = Scene::after("echo new > notes");
    let page = &mut scene.page;
    page.click(&hook("worktree-keep"));
    page.see(&format!("{KEPT}[data-state=dismissed]"));
    page.see_text(KEPT, "It stays where it is");
    page.reload();
    page.see(&format!("{KEPT}[data-state=dismissed]"));
    // What is in it is read from the log again.
    page.see_text(&hook("worktree-contents"), "notes");
    page.click(&hook("worktree-delete"));
    page.click(&hook("worktree-delete-confirm"));
    scene.is_gone();
    scene.page.assert_no_complaints();
}
