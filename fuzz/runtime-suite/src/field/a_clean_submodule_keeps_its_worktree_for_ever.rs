//! An agent initialises a submodule and changes nothing in it. Git removes no worktree with
//! submodules, so all of them stayed.

use crate::Runtime;
use crate::scenarios::stage::repository::{COMMIT, Stage, git, repository};

/// The repository has a submodule, which has one itself.
fn stage() -> Stage {
    let stage = Stage::new();
    let place = |name: &str| stage.repository.with_file_name(name);
    let (part, inner) = (place("a part"), place("inner"));
    repository(&inner);
    repository(&part);
    for (outer, other, name) in [(&part, &inner, "inner"), (&stage.repository, &part, "a part")] {
        let url = other.to_str().expect("text");
        git(outer, &["submodule", "--quiet", "add", url, name]);
        git(outer, &["commit", "--quiet", "-m", "with a part"]);
    }
    stage
}

pub fn only_what_is_nowhere_else_keeps_it<R: Runtime>() {
    let init = "git -c protocol.file.allow=always submodule --quiet update --init --recursive";
    let cases = [
        ("test -d 'a part'", ""),
        (init, ""),
        (&format!("{init}; git -C 'a part' branch other"), ""),
        (&format!("{init}; echo new > 'a part/file'"), "files in the submodule a part"),
        (&format!("{init}; echo new > 'a part/inner/new'"), "in the submodule a part/inner"),
        (
            &format!("{init}; cd 'a part'; git update-index --skip-worktree file; echo new > file"),
            "such as file in the submodule a part",
        ),
        (
            &format!(
                "{init}; cd 'a part'; echo .env > $(git rev-parse --git-path info/exclude); echo 1 > .env"
            ),
            ".env in the submodule a part",
        ),
        (&format!("{init}; cd 'a part'; {COMMIT}"), "another commit than the one committed"),
        (
            &format!(
                "{init}; cd 'a part'; git switch --quiet -c mine; {COMMIT}; git switch --quiet --detach HEAD~1"
            ),
            "commits that no remote is known to have in the submodule a part",
        ),
        (
            &format!(
                "{init}; cd 'a part'; echo new > file; git -c user.name=a -c user.email=a@b stash"
            ),
            "commits that no remote is known to have in the submodule a part",
        ),
        (
            &format!("{init}; git -C 'a part' branch x; git submodule --quiet deinit --all"),
            "containing submodules",
        ),
        ("echo note > 'a part/note'", "a file in the place of a submodule, a part/note"),
        ("rmdir 'a part'; echo note > 'a part'", "a file in the place of a submodule, a part"),
        (
            &format!("cd 'a part'; git init --quiet; {COMMIT}"),
            "a repository of its own in the submodule a part",
        ),
    ];
    let stage = stage();
    for (agent, why) in cases {
        stage.keeps::<R>(agent, why);
    }
}
