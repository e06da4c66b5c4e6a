//! An agent writes a `.env` that `.gitignore` names. `git status` shows nothing, and the worktree
//! was removed with it.

use crate::Runtime;
use crate::scenarios::stage::Worker;
use crate::scenarios::stage::repository::{COMMIT, Stage, git};
use crate::scenarios::stage::worker::script;

const IGNORED: &str = ".env\nlocal/\nnode_modules\ntarget/\n*.pyc\ncache of it/\nout/\n*.log\n";

fn stage() -> Stage {
    let stage = Stage::new();
    std::fs::write(stage.repository.join(".gitignore"), IGNORED).expect("written");
    git(&stage.repository, &["add", "."]);
    git(&stage.repository, &["commit", "--quiet", "-m", "ignore"]);
    stage
}

pub fn it_keeps_the_worktree_unless_it_can_be_made_again<R: Runtime>() {
    let commit = format!("git init --quiet; {COMMIT}");
    let signed = "echo 'Signature: 8a477f597d28d172789f06886806bc55' >> CACHEDIR.TAG";
    let cases = [
        ("echo KEY=1 > .env", "a file that git ignores and no commit has, .env"),
        ("mkdir local; echo a > local/a; echo b > local/b", "2 files that git ignores"),
        ("ln -s /elsewhere .env", "a file that git ignores and no commit has, .env"),
        ("echo '*' > .gitignore; git update-index --assume-unchanged .gitignore", "such as"),
        ("mkdir own; echo '*' > own/.gitignore; echo note > own/note", "2 files that git ignores"),
        (
            "echo note > a.note; echo '*.note' >> \"$(git rev-parse --git-path info/exclude)\"",
            "no commit has, a.note",
        ),
        (
            &format!("mkdir -p local/part; cd local/part; {commit}"),
            "a repository within that git ignores, local/part",
        ),
        (&format!("mkdir -p node_modules/a/part; cd node_modules/a/part; {commit}"), "/a/part"),
        (
            &format!(
                "mkdir -p target/x; cd target/x; {commit}; git clone -q --bare . ../b.git; cd ..; rm -r x"
            ),
            "a repository within that git ignores, target/b.git",
        ),
        ("git worktree add --quiet local/tree; cd local/tree; echo new > file", "local/tree"),
        // A tag without what makes it one.
        ("mkdir 'cache of it'; cd 'cache of it'; touch CACHEDIR.TAG note", "2 files that git"),
        (
            &format!(
                "mkdir 'cache of it'; cd 'cache of it'; echo > CACHEDIR.TAG; {signed}; touch note"
            ),
            "2 files",
        ),
        (
            &format!(
                "mkdir 'cache of it' out; cd 'cache of it'; touch note; {signed}; mv CACHEDIR.TAG ../out; ln -s ../out/CACHEDIR.TAG"
            ),
            "2 files",
        ),
        ("mkdir out; cd out; touch pyvenv.cfg note", "2 files that git ignores"),
        // Repositories of other systems.
        ("mkdir -p target/a/.hg/store; touch target/a/.hg/store/b", "git ignores, target/a"),
        ("mkdir -p target/.jj/repo; touch target/.jj/repo/b", "that git ignores, target"),
        ("mkdir target; touch target/notes.fossil", "a repository within that git ignores, target"),
        // What can be made again.
        ("mkdir -p node_modules/a a/target; touch node_modules/a/.env a/target/b c.pyc", ""),
        ("ln -s /elsewhere node_modules", ""),
        (&format!("mkdir -p 'cache of it/a'; cd 'cache of it'; {signed}; touch a/b"), ""),
        ("mkdir -p out/bin; echo 'home = /usr/bin' > out/pyvenv.cfg; touch out/bin/python", ""),
    ];
    let stage = stage();
    for (agent, why) in cases {
        stage.keeps::<R>(agent, why);
    }
}

pub fn what_its_owner_calls_disposable_goes<R: Runtime>() {
    let stage = stage();
    let agent = "mkdir -p out/a; echo 1 > out/a/b; echo 2 > c.log";
    stage.keeps::<R>(agent, "2 files that git ignores and no commit has");
    let mut config = stage.config(&stage.repository, script(agent));
    config.disposable = ["out", "*.log"].map(str::to_owned).to_vec();
    let worker = Worker::start::<R>(config);
    let session = stage.relay.session();
    let result = session.result();
    worker.shut_down();
    assert!(!stage.root.join(&session.id).exists(), "{result}");
}
