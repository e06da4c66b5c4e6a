//! What the worker's own git runs, with real git and repositories that name programs everywhere
//! (W-16), and what of the worker's environment its child processes get.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::stage::program::Program;
use super::stage::{Relay, until};
use crate::Runtime;

/// Makes every setting that names a program name one that leaves a mark. Run by an agent.
const HOSTILE: &str = r#"
common=$(git rev-parse --path-format=absolute --git-common-dir)
set_to() { git config "$1" "$HOME/mark $2"; }
for name in core.fsmonitor core.sshCommand core.askPass core.gitProxy core.pager core.editor \
    diff.external gpg.program sequence.editor credential.helper uploadpack.packObjectsHook \
    core.alternateRefsCommand gc.recentObjectsHook diff.evil.textconv diff.evil.command \
    merge.evil.driver lfs.customtransfer.evil.path; do
    set_to $name $name
done
set_to filter.both.smudge smudge; set_to filter.both.clean clean
git config filter.both.required true
set_to filter.long.process process
set_to filter.a=b.smudge smudge; set_to filter.a=b.clean clean
printf '%s\n' '*.both filter=both' '*.long filter=long' '*.odd filter=a=b' \
    '* diff=evil merge=evil' > "$common/info/attributes"
printf '[filter "included"]\n\tclean = %s\n\tsmudge = %s\n' \
    "$HOME/mark clean" "$HOME/mark smudge" > "$common/more"
git config include.path more
printf '%s\n' '*.more filter=included' >> "$common/info/attributes"
git config hook.evil.command "$HOME/mark configured-hook"
git config hook.evil.event post-checkout
git config alias.status "!$HOME/mark alias"
git config submodule.recurse true
for hook in post-checkout reference-transaction post-index-change pre-auto-gc post-rewrite; do
    printf '#!/bin/sh\nexec "$HOME/mark" %s < /dev/null > /dev/null\n' $hook > "$common/hooks/$hook"
    chmod +x "$common/hooks/$hook"
done
mkdir "$common/other"; cp "$common/hooks/post-checkout" "$common/other/post-checkout"
[ -n "$OTHER_HOOKS" ] && git config core.hooksPath "$common/other"
rm -f "$HOME"/marks/*
"#;

/// A repository in a home of its own, with a program in the home that leaves marks.
struct Stage {
    relay: Relay,
    home: PathBuf,
    _home: TempDir,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().canonicalize().expect("there");
        let stage = Self { relay: Relay::start(), home, _home: directory };
        std::fs::create_dir(stage.home.join("marks")).expect("made");
        // Also a filter that changes nothing.
        stage.write("mark", "#!/bin/sh\necho \"$@\" >> \"$HOME/marks/$1\"\ncat\n");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(stage.home.join("mark"), mode).expect("a mode");
        stage.sh("git config --global user.name a; git config --global user.email a@b
            git init --quiet -b main r; cd r
            for name in a.both a.long a.odd a.more a.owner; do echo as committed > $name; done
            git add .; git commit --quiet -m first");
        stage
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.home.join(name), text).expect("written");
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("GIT_")) {
                command.env_remove(name);
            }
        }
        command.args(["-c", script]).current_dir(&self.home).env("HOME", &self.home);
        command
    }

    fn sh(&self, script: &str) -> String {
        let output = self.command(script).output().expect("a shell");
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// A worker in the repository whose agent is a script.
    fn program<R: Runtime>(&self, shell: &str, agent: &str, options: &[&str]) -> Program {
        self.write("agent", agent);
        let agent = format!("sh {}/agent", self.home.display());
        let args = ["--agent", &agent, "--directory", "r", "--spawn-mode", "worktree"];
        Program::start::<R>(&self.relay.address, &self.home, shell, &[&args, options].concat())
    }

    fn marks(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.home.join("marks")).expect("there");
        entries.map(|entry| entry.expect("one").file_name().into_string().expect("text")).collect()
    }

    /// The session's worktrees and branches that are left.
    fn left(&self) -> String {
        self.sh("git -C r worktree list | tail -n +2; git -C r branch --list 'footbridge/*'")
    }
}

pub fn nothing_that_an_agent_makes_its_repository_name_is_run_by_the_workers_git<R: Runtime>() {
    for shell in ["", "export OTHER_HOOKS=1"] {
        let stage = Stage::new();
        // The files look changed, so that git has to read them.
        let agent =
            format!("if ! [ -e \"$HOME/set\" ]; then\n{HOSTILE}\n: > \"$HOME/set\"\nfi\ntouch *");
        let mut program = stage.program::<R>(shell, &agent, &[]);
        for _ in 0..2 {
            let result = stage.relay.session().result();
            assert_eq!(result["status"], "completed", "{result}");
            assert!(stage.home.join("set").exists());
        }
        assert_eq!(program.end(), Some(0), "{}", program.printed());
        let mut again = stage.program::<R>(shell, &agent, &["--check"]);
        again.wait();
        assert_eq!(stage.marks(), BTreeSet::new());

        // The same, as git does it by itself.
        stage.sh("git -C r worktree add --quiet ../w; touch w/*; git -C w status");
        let mut expected = vec!["core.fsmonitor", "post-checkout", "smudge", "clean", "process"];
        if shell.is_empty() {
            expected.extend(["reference-transaction", "post-index-change"]);
        }
        let marks = stage.marks();
        let missing: Vec<_> = expected.iter().filter(|name| !marks.contains(**name)).collect();
        assert!(missing.is_empty(), "the traps work: {missing:?} of {marks:?}");
        assert!(!stage.left().contains("footbridge/"), "nothing was kept: {}", stage.left());
    }
}

pub fn filters_of_the_owners_run_and_not_what_a_repository_makes_of_them<R: Runtime>() {
    let stage = Stage::new();
    // A file is stored without what its filter adds.
    stage.sh(r#"git config --global filter.owner.smudge "sed 's/^/smudged /'"
        git config --global filter.owner.clean "sed 's/^smudged //'"
        git config --global filter.owner.required true
        echo '*.owner filter=owner' > r/.gitattributes
        git -C r add .; git -C r commit --quiet -m attributes
        for name in smudge clean; do
            git -C r config filter.owner.$name "$HOME/mark evil"
        done"#);
    let agent = "cp a.owner \"$HOME/seen\"; touch *";
    let mut program = stage.program::<R>("", agent, &[]);
    let result = stage.relay.session().result();
    assert_eq!(program.end(), Some(0), "{}", program.printed());
    assert_eq!(
        std::fs::read_to_string(stage.home.join("seen")).expect("it ran"),
        "smudged as committed\n"
    );
    assert_eq!(stage.marks(), BTreeSet::new());
    assert_eq!(stage.left(), "", "git knows it to be unchanged: {result}");
}

pub fn a_trusted_repositorys_filters_run_and_missing_objects_are_fetched_but_no_hook_runs<
    R: Runtime,
>() {
    // An object that only a promising remote has, which is reached by a program.
    let lacking = r#"
        git config remote.far.url ssh://far/away; git config remote.far.promisor true
        git config core.repositoryFormatVersion 1; git config extensions.partialClone far
        object=$(git rev-parse HEAD:a.more)
        rm -f .git/objects/$(echo $object | sed 's,^..,&/,')"#;
    for is_trusted in [false, true] {
        let stage = Stage::new();
        stage.sh(&format!("cd r\n{HOSTILE}\n"));
        stage.sh("cat > mark <<'END'\n#!/bin/sh\necho \"$@\" >> \"$HOME/marks/$1\"\n[ $1 = core.sshCommand ] || cat\nEND");
        let options: &[&str] = if is_trusted { &["--trust-repository"] } else { &[] };
        let mut program = stage.program::<R>("", "touch *", options);
        stage.relay.session().result();
        let filters: &[&str] = if is_trusted { &["clean", "process", "smudge"] } else { &[] };
        let expected: BTreeSet<_> = filters.iter().map(ToString::to_string).collect();
        assert_eq!(stage.marks(), expected, "trusted: {is_trusted}");

        // Git fills files that are all the same from one object.
        stage.sh(&format!("cd r; echo other > a.more; git -c core.fsmonitor= -c core.hooksPath=/dev/null commit --quiet -am other\n{lacking}\nrm -f \"$HOME\"/marks/*"));
        let result = stage.relay.session().result();
        assert_eq!(result["status"], "failed", "there is no such remote: {result}");
        assert_eq!(stage.marks().contains("core.sshCommand"), is_trusted, "{result}");
        assert_eq!(program.end(), Some(0), "{}", program.printed());
    }
}

/// Variables that an agent sets for what it runs.
const OF_AN_AGENT: [&str; 6] = [
    "CLAUDECODE",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
    "FOOTBRIDGE_SESSION_TOKEN",
];

/// A `git` before the real one that records its environment.
fn watched_git(stage: &Stage) -> String {
    let real = stage.sh("command -v git");
    let bin = stage.home.join("bin");
    std::fs::create_dir(&bin).expect("made");
    let script = format!("#!/bin/sh\nenv >> \"$HOME/seen-by-git\"\nexec {} \"$@\"\n", real.trim());
    stage.write("bin/git", &script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("git"), mode).expect("a mode");
    format!("export PATH=\"{}:$PATH\"", bin.display())
}

pub fn a_worker_started_from_a_git_hook_or_by_an_agent_passes_nothing_of_it_on<R: Runtime>() {
    let stage = Stage::new();
    let of_git = stage.sh("git rev-parse --local-env-vars")
        + "GIT_NAMESPACE\nGIT_CEILING_DIRECTORIES\nGIT_CONFIG_KEY_0\nGIT_CONFIG_VALUE_0\n";
    let elsewhere = stage.home.join("elsewhere");
    stage.sh("git init --quiet elsewhere");
    let path = |name: &str| elsewhere.join(name).display().to_string();
    let value = |name: &str| match name {
        "GIT_DIR" | "GIT_COMMON_DIR" => path(".git"),
        "GIT_WORK_TREE" => path(""),
        "GIT_CONFIG_COUNT" => "1".to_owned(),
        "GIT_CONFIG_PARAMETERS" => "'user.name=outer-marked'".to_owned(),
        "GIT_CONFIG_KEY_0" => "user.email".to_owned(),
        "GIT_CONFIG_VALUE_0" => "outer-marked".to_owned(),
        _ => path("marked"),
    };
    let mut shell: Vec<_> =
        of_git.lines().map(|name| format!("export {name}=\"{}\"", value(name))).collect();
    shell.extend(OF_AN_AGENT.map(|name| format!("export {name}=outer-marked")));
    shell.push("export GIT_AUTHOR_NAME=mine".to_owned());
    shell.push(watched_git(&stage));
    // The agent is tried in the repository itself first; the same commit would count as elsewhere.
    let agent = "env > \"$HOME/seen-by-agent\"; git rev-parse --show-toplevel > \"$HOME/seen\"
        git commit --quiet --allow-empty -m \"$PWD\"; git log -1 --format=%an,%ce >> \"$HOME/seen\"";
    let mut program = stage.program::<R>(&shell.join("\n"), agent, &[]);
    let session = stage.relay.session();
    let result = session.result();
    assert_eq!(result["status"], "completed", "{result}");
    assert_eq!(program.end(), Some(0), "{}", program.printed());
    let read = |name: &str| std::fs::read_to_string(stage.home.join(name)).expect("it was seen");
    let seen = read("seen");
    let [tree, author] = seen.lines().collect::<Vec<_>>()[..] else { panic!("{seen}") };
    assert!(Path::new(tree).ends_with(&session.id), "it works in its own worktree: {tree}");
    assert_eq!(author, "mine,a@b", "the owner's own settings stay");
    let names = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect()
    };
    let outer: BTreeSet<String> =
        of_git.lines().chain(OF_AN_AGENT).map(ToOwned::to_owned).collect();
    let inner = names(&read("seen-by-agent"));
    let passed_on: Vec<_> = inner.intersection(&outer).collect();
    assert_eq!(passed_on, [""; 0]);
    for seen in ["seen-by-agent", "seen-by-git"] {
        let text = read(seen);
        let marked: Vec<_> = text.lines().filter(|line| line.contains("marked")).collect();
        assert!(marked.is_empty(), "{seen}: {marked:?}");
    }
    assert!(!elsewhere.join("marked").exists(), "nothing was written there");
    until("its worktree is kept", || stage.left().contains(&session.id).then_some(()));
}
