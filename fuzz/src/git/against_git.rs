//! The model responds like git: the same sequences of a worker's commands and other people's
//! actions, in the model and in real repositories.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fastrand::Rng;

use super::action::{IGNORED, RepoAction};
use super::command::name_of;
use super::model::{Commit, HEADS, Head, LockFile, Repository};

const SESSIONS: [&str; 2] = ["session_1", "session_2"];

/// A repository twice: in the model, and on disk.
struct Twins {
    model: Repository,
    root: tempfile::TempDir,
    /// The real names of the model's commits.
    names: Vec<String>,
    content: u64,
}

impl Twins {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let path = fs::canonicalize(root.path()).expect("a path").join("r");
        let model = Repository::new(path.to_str().expect("text"));
        let mut twins = Self { model, root, names: Vec::new(), content: 1000 };
        fs::create_dir(&path).expect("a directory");
        fs::write(path.join("a"), "0").expect("a file");
        let settings = "[user]\nname = a\nemail = a@b\n[core]\npackedRefsTimeout = 0\n\
            filesRefLockTimeout = 0\n[advice]\ndetachedHead = false\n[gc]\nauto = 0\n";
        fs::write(twins.root.path().join(".gitconfig"), settings).expect("a file");
        for args in [&["init", "-q", "-b", "main"][..], &["add", "-A"], &["commit", "-qm", "0"]] {
            twins.must(&path, args);
        }
        twins.learn(0, "HEAD");
        fs::write(path.join(".git/info/exclude"), IGNORED).expect("a file");
        twins
    }

    fn main(&self) -> PathBuf {
        PathBuf::from(&self.model.path)
    }

    fn tree(&self, session: &str) -> String {
        let root = self.main();
        let root = root.parent().expect("a parent");
        root.join("t").join(session).to_str().expect("text").to_owned()
    }

    /// Runs the real git, without any of this computer's settings.
    fn real(&self, at: &Path, args: &[&str]) -> Output {
        let mut git = Command::new("git");
        git.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        git.envs([("HOME", self.root.path().as_os_str())]);
        git.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("LC_ALL", "C"), ("GIT_TERMINAL_PROMPT", "0")]);
        git.arg("-C").arg(at).args(args).output().expect("git can be run")
    }

    fn must(&self, at: &Path, args: &[&str]) -> String {
        let output = self.real(at, args);
        assert!(output.status.success(), "git {args:?} in {}: {output:?}", at.display());
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// The real name of the model's commit.
    fn learn(&mut self, commit: Commit, by: &str) {
        let name = self.must(&self.main(), &["rev-parse", by]);
        self.names.resize(self.names.len().max(commit + 1), String::new());
        self.names[commit] = name;
    }

    fn with_real_names(&self, text: &str) -> String {
        let names = self.names.iter().enumerate();
        names.fold(text.to_owned(), |text, (commit, name)| text.replace(&name_of(commit), name))
    }

    /// Runs a worker's command in both: same exit code, same output, same kind of error.
    fn both(&mut self, args: &[&str], history: &[String]) {
        let expected = self.model.git(args).expect("the model knows the worker's commands");
        let [_, at, rest @ ..] = args else { panic!("a directory") };
        let real: Vec<_> = rest.iter().map(|arg| self.with_real_names(arg)).collect();
        let real: Vec<_> = real.iter().map(String::as_str).collect();
        let output = self.real(Path::new(at), &real);
        let out = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        let context = || format!("{args:?}\nreal: {output:?}\nmodel: {expected:?}\n{history:#?}");
        assert_eq!(output.status.code(), Some(expected.code), "{}", context());
        let words: Vec<&str> = rest.iter().filter(|arg| !arg.contains('=')).copied().collect();
        match words.iter().find(|word| **word != "-c") {
            Some(&"commit-tree") => {
                self.names.resize(self.model.commits.len(), out.trim().to_owned());
            }
            // Lines in an order of their own.
            Some(&"rev-list") if rest.contains(&"--parents") => {
                let sorted = |text: &str| {
                    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
                    lines.sort();
                    lines
                };
                let expected = sorted(&self.with_real_names(&expected.out));
                assert_eq!(sorted(&out), expected, "{}", context());
            }
            Some(&"rev-list") if rest.contains(&"--walk-reflogs") => {
                let commits =
                    |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
                let expected = commits(&self.with_real_names(&expected.out));
                assert_eq!(commits(&out), expected, "{}", context());
            }
            // Which of several commits comes first depends on their dates.
            Some(&"rev-list") => {
                assert_eq!(out.is_empty(), expected.out.is_empty(), "{}", context());
            }
            _ => assert_eq!(out, self.with_real_names(&expected.out), "{}", context()),
        }
        if expected.code == 0 {
            // It may have complained about something it could do after all.
            return;
        }
        let meets_lock = |error: &str| error.contains(".lock'");
        assert_eq!(meets_lock(&error), meets_lock(&expected.error), "{}", context());
        assert_eq!(error.is_empty(), expected.error.is_empty(), "{}", context());
        let complains = |error: &str| {
            error.lines().any(|line| line.starts_with("fatal:") || line.starts_with("error:"))
        };
        assert_eq!(complains(&error), complains(&expected.error), "{}", context());
    }

    /// Performs somebody's action in both, if the model allows it.
    fn act(&mut self, at: &str, action: &RepoAction) -> bool {
        self.content += 1;
        let before = self.model.commits.len();
        if self.model.act(at, action, self.content).is_none() {
            return false;
        }
        let path = Path::new(at).to_owned();
        let message = self.content.to_string();
        let git = |args: &[&str]| drop(self.must(&path, args));
        match action {
            RepoAction::Write(name) => fs::write(path.join(name), &message).expect("a file"),
            RepoAction::WriteIgnored => fs::write(path.join(IGNORED), &message).expect("a file"),
            RepoAction::Delete(name) => fs::remove_file(path.join(name)).expect("a file"),
            RepoAction::Stage => git(&["add", "-A"]),
            RepoAction::Commit => {
                git(&["add", "-A"]);
                git(&["commit", "-q", "--allow-empty", "-m", &message]);
            }
            RepoAction::Amend => {
                git(&["add", "-A"]);
                git(&["commit", "-q", "--amend", "--allow-empty", "-m", &message]);
            }
            RepoAction::Branch(name) => git(&["branch", name]),
            RepoAction::SwitchToNew(name) => git(&["switch", "-q", "-c", name]),
            RepoAction::Switch(name) => git(&["switch", "-q", name]),
            RepoAction::Detach => git(&["switch", "-q", "--detach"]),
            RepoAction::DeleteBranch(name) => git(&["branch", "-q", "-D", name]),
            RepoAction::Reset => git(&["reset", "-q", "--hard", "HEAD~1"]),
            RepoAction::Stash => {
                git(&["add", "-A"]);
                git(&["stash", "-q"]);
            }
            RepoAction::Merge(name) => {
                git(&["merge", "-q", "--no-commit", "--no-ff", "-s", "ours", name]);
            }
            RepoAction::Lock(lock) => {
                let file = self.lock_file(lock);
                fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
                fs::write(file, "").expect("a lock file");
            }
            RepoAction::Unlock => self.remove_lock_files(&self.main().join(".git")),
            RepoAction::LoseDirectory => fs::remove_dir_all(&path).expect("it is removed"),
        }
        match (action, self.model.commits.len()) {
            (RepoAction::Stash, made) => {
                self.learn(made - 2, "refs/stash^2");
                self.learn(made - 1, "refs/stash");
            }
            (_, made) if made > before => {
                let name = self.must(&path, &["rev-parse", "HEAD"]);
                self.learn(made - 1, &name);
            }
            _ => {}
        }
        true
    }

    fn lock_file(&self, lock: &LockFile) -> PathBuf {
        let git = self.main().join(".git");
        match lock {
            LockFile::Head(path) => {
                let name = Path::new(path).file_name().expect("a name");
                git.join("worktrees").join(name).join("HEAD.lock")
            }
            LockFile::Reference(name) => git.join(format!("{name}.lock")),
            LockFile::PackedRefs => git.join("packed-refs.lock"),
        }
    }

    fn remove_lock_files(&self, below: &Path) {
        for entry in fs::read_dir(below).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("objects") {
                self.remove_lock_files(&path);
            } else if path.extension().is_some_and(|extension| extension == "lock") {
                fs::remove_file(path).expect("it is removed");
            }
        }
    }

    /// One of the worker's commands, as it might occur during a clean-up.
    fn a_command(&self, rng: &mut Rng) -> Vec<String> {
        let session = SESSIONS[rng.usize(..SESSIONS.len())];
        let (tree, main) = (self.tree(session), self.model.path.clone());
        let branch = format!("footbridge/{session}");
        let reference = format!("{HEADS}{branch}");
        let commit = name_of(rng.usize(..self.model.commits.len()));
        let now = self.model.refs.get(&reference).copied().map(name_of);
        let tip = now.filter(|_| rng.u8(..4) > 0).unwrap_or_else(|| commit.clone());
        let exclude = format!("--exclude={HEADS}footbridge/*");
        let head = self.model.worktrees.get(&tree).map(|tree| &tree.head);
        let on = match head {
            Some(Head::Branch(name)) if name.starts_with(HEADS) => name[HEADS.len()..].to_owned(),
            _ => String::from("nowhere"),
        };
        // Sometimes somebody has switched branches since it was queried.
        let on = if rng.u8(..4) == 0 { String::from("topic") } else { on };
        let other_head = format!("worktrees/{session}/HEAD");
        let (message, first_tree) = (rng.u64(..).to_string(), format!("{commit}^{{tree}}"));
        let (at, args): (&str, Vec<&str>) = match rng.u8(..31) {
            27..29 => {
                let args = ["rev-list", "--walk-reflogs", "--ignore-missing", "--max-count=5000"];
                let place = if rng.bool() { (&tree, "HEAD") } else { (&main, &*other_head) };
                (place.0, args.into_iter().chain([place.1, &reference]).collect())
            }
            29 => {
                let args = ["rev-list", "--parents", "--ignore-missing", &commit, &tip, "--not"];
                let rest = [&exclude, "--exclude=refs/stash", "--glob=refs/*", &reference];
                (&main, args.into_iter().chain(rest).collect())
            }
            30 => {
                let name = ["-c", "user.name=b", "-c", "user.email=b@c", "commit-tree", "-m"];
                let rest = [&*message, "-p", &commit, "-p", &tip, &first_tree];
                (&main, name.into_iter().chain(rest).collect())
            }
            0 => (&main, vec!["symbolic-ref", "--quiet", "--short", "HEAD"]),
            1 => (&main, vec!["config", "--get", "remote.origin.url"]),
            2 => (&main, vec!["rev-parse", "--show-prefix"]),
            3 => (&main, vec!["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]),
            4 => (&main, vec!["worktree", "list", "--porcelain"]),
            5..8 => {
                let add = ["worktree", "add", "--quiet", "--no-track", "--lock", "--reason"];
                let rest = ["footbridge 9", "-b", &branch, &tree, &commit];
                (&main, add.into_iter().chain(rest).collect())
            }
            8 => {
                let args = ["--porcelain", "--untracked-files=all", "--ignore-submodules=all"];
                (&tree, ["status"].into_iter().chain(args).collect())
            }
            9 => (&tree, vec!["rev-parse", "--verify", "--quiet", &reference]),
            10..12 => {
                let private = "--glob=refs/worktree/*";
                let args = ["rev-list", "--max-count=1", "HEAD", &tip, private, "--not", &exclude];
                let rest = ["--exclude=refs/stash", "--exclude=refs/bisect/*", "--glob=refs/*"];
                (&tree, args.into_iter().chain(rest).collect())
            }
            12 => (&tree, vec!["symbolic-ref", "--quiet", "HEAD"]),
            13 => (&tree, vec!["switch", "--quiet", "--no-guess", &on]),
            14 => (&main, vec!["worktree", "unlock", &tree]),
            18 => (&tree, vec!["switch", "--quiet", "--detach"]),
            19 => (&main, vec!["worktree", "lock", "--reason", "footbridge 8", &tree]),
            20..22 => {
                let add = ["worktree", "add", "--quiet", "--lock", "--reason", "footbridge 7"];
                (&main, add.into_iter().chain([tree.as_str(), branch.as_str()]).collect())
            }
            15 => (&main, vec!["update-ref", "-d", &reference, &tip]),
            16 => (&main, vec!["worktree", "remove", &tree]),
            22 => {
                let args = ["--others", "--ignored", "--exclude-standard", "-z"];
                (&tree, ["ls-files"].into_iter().chain(args).collect())
            }
            23 if rng.bool() => {
                let symbolic = "--format=%(if)%(symref)%(then)%(refname)%(end)";
                (&main, vec!["for-each-ref", symbolic])
            }
            23 => {
                let beginning = "refs/heads/footbridge/";
                (&main, vec!["for-each-ref", "--format=%(refname)", beginning])
            }
            26 => (&main, vec!["symbolic-ref", "--quiet", &other_head]),
            // Only then does a worker; git would otherwise leave a directory in its place.
            24..26 if self.model.worktrees.contains_key(&tree) => {
                let args = vec!["update-ref", "--no-deref", &other_head, &tip, &tip];
                (&main, args)
            }
            _ => {
                let shows = "status.showUntrackedFiles=all";
                (&main, vec!["-c", shows, "worktree", "remove", &tree])
            }
        };
        ["-C", at].into_iter().chain(args).map(str::to_owned).collect()
    }
}

#[test]
fn the_model_responds_like_git_whatever_was_done_before() {
    for seed in 0..8 {
        let mut rng = Rng::with_seed(seed);
        let mut twins = Twins::new();
        twins.model.hides_untracked = seed % 2 == 1;
        if twins.model.hides_untracked {
            twins.must(&twins.main(), &["config", "status.showUntrackedFiles", "no"]);
        }
        let mut history = Vec::new();
        while history.len() < 70 {
            if rng.bool() {
                let command = twins.a_command(&mut rng);
                history.push(command.join(" "));
                let args: Vec<_> = command.iter().map(String::as_str).collect();
                twins.both(&args, &history);
            } else {
                let session = SESSIONS[rng.usize(..SESSIONS.len())];
                let path = twins.tree(session);
                let at = if rng.u8(..4) == 0 { twins.model.path.clone() } else { path.clone() };
                let action = match rng.u8(..12) {
                    0 => RepoAction::Amend,
                    _ => RepoAction::draw(&mut rng, &format!("footbridge/{session}"), &path),
                };
                if twins.act(&at, &action) {
                    history.push(format!("{at}: {action:?}"));
                }
            }
        }
    }
}

#[test]
fn a_worktree_with_an_initialised_submodule_is_never_removed() {
    let mut twins = Twins::new();
    let (main, tree) = (twins.model.path.clone(), twins.tree("session_1"));
    let other = twins.root.path().join("other");
    fs::create_dir(&other).expect("a directory");
    twins.must(&other, &["init", "-q", "-b", "main"]);
    twins.must(&other, &["commit", "-q", "--allow-empty", "-m", "0"]);
    let first = name_of(0);
    let add = ["-C", &main, "worktree", "add", "--quiet", "--no-track", "--lock", "--reason"];
    let rest = ["footbridge 9", "-b", "footbridge/session_1", &tree, &first];
    twins.both(&[&add[..], &rest[..]].concat(), &[]);
    let other = other.to_str().expect("text");
    let at = Path::new(&tree);
    twins.must(
        at,
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other, "sub"],
    );
    twins.must(at, &["commit", "-q", "-m", "a submodule"]);
    twins.model.worktrees.get_mut(&tree).expect("it exists").has_submodule = true;
    twins.both(&["-C", &main, "worktree", "unlock", &tree], &[]);
    twins.both(&["-C", &main, "worktree", "remove", &tree], &[]);
    twins.both(&["-C", &main, "worktree", "remove", "--force", &tree], &[]);
}
