//! The commands that a worker runs, with git's responses.

use std::collections::BTreeSet;

use super::model::{Commit, HEADS, Head, LockFile, Repository, Worktree};

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Answer {
    fn prints(out: impl Into<String>) -> Self {
        Self { code: 0, out: out.into(), error: String::new() }
    }

    pub(crate) fn fails(code: i32, error: impl Into<String>) -> Self {
        Self { code, out: String::new(), error: error.into() }
    }

    /// Another program holds a lock file.
    fn meets(code: i32, lock: &str) -> Self {
        Self::fails(code, format!("fatal: Unable to create '{lock}.lock': File exists.\n"))
    }
}

/// A commit's name, as long as git's.
pub(crate) fn name_of(commit: Commit) -> String {
    format!("{:040x}", commit + 0xc0_0000)
}

impl Repository {
    /// Carries out `git -C DIRECTORY ARGS`; `None` if the model does not know the command.
    pub(crate) fn git(&mut self, args: &[&str]) -> Option<Answer> {
        let answer = self.carry_out_command(args);
        self.log_moves();
        answer
    }

    fn carry_out_command(&mut self, args: &[&str]) -> Option<Answer> {
        let ["-C", directory, args @ ..] = args else { return None };
        if self.worktrees.get(*directory).is_none_or(|tree| tree.is_gone) {
            let words = format!("fatal: cannot change to '{directory}': No such file or directory");
            return Some(Answer::fails(128, words));
        }
        let (shows_untracked, args) = match args {
            ["-c", "status.showUntrackedFiles=all", args @ ..] => (true, args),
            args => (!self.hides_untracked, args),
        };
        Some(match args {
            ["symbolic-ref", "--quiet", "--short", "HEAD"] => self.branch(directory),
            ["symbolic-ref", "--quiet", "HEAD"] => self.symbolic_head(directory),
            ["symbolic-ref", "--quiet", name] => match self.path_of(name) {
                Some(path) => self.symbolic_head(&path),
                None => Answer::fails(1, ""),
            },
            ["config", "--get", _] => Answer::fails(1, ""),
            // Nobody here names programs.
            ["config", "--includes", "--show-scope", ..] => {
                Answer::prints("command\0core.hookspath\n/dev/null\0")
            }
            ["rev-parse", "--show-prefix"] => Answer::prints("\n"),
            ["rev-parse", "--verify", "--quiet", .., name] => self.verify(directory, name),
            ["worktree", "list", "--porcelain"] => Answer::prints(self.list()),
            ["worktree", "add", .., "--reason", reason, "-b", branch, path, commit] => {
                self.add(directory, reason, branch, path, commit)
            }
            ["worktree", "add", .., "--reason", reason, path, branch] => {
                self.attach(reason, branch, path)
            }
            ["worktree", "lock", "--reason", reason, path] => self.lock(reason, path),
            ["status", "--porcelain", "--untracked-files=all", "--ignore-submodules=all"] => {
                let lines = self.changes(directory, true);
                Answer::prints(lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            }
            ["ls-files", "--others", "--ignored", ..] => {
                let tree = self.worktrees.get_mut(*directory)?;
                tree.listed = Some(tree.ignored.clone());
                let names = tree.ignored.keys().map(|name| format!("{name}\0"));
                Answer::prints(names.collect::<String>())
            }
            // Nothing here is overlooked.
            ["-c", _, "-c", _, "update-index" | "ls-files" | "diff", ..]
            | ["ls-files" | "hash-object", ..] => Answer::prints(""),
            ["rev-parse", "--absolute-git-dir"] => Answer::prints("/a git directory\n"),
            // None is symbolic.
            ["for-each-ref", format] if format.starts_with("--format=%(if)%(symref)") => {
                Answer::prints("\n".repeat(self.refs.len()))
            }
            ["for-each-ref", "--format=%(refname)", beginning] => self.references(beginning),
            ["update-ref", "--no-deref", name, to, before] => self.detach_other(name, to, before),
            ["rev-list", "--walk-reflogs", "--ignore-missing", limit, names @ ..] => {
                let entries = self.reflog_entries(directory, names);
                Answer::prints(if *limit == "--max-count=0" { String::new() } else { entries })
            }
            ["rev-list", "--parents", "--ignore-missing", args @ ..] => {
                self.commits_and_parents(directory, args)?
            }
            ["-c", _, "-c", _, "commit-tree", "-m", _, parents @ .., _] => {
                self.join(directory, parents)?
            }
            ["rev-list", "--oneline", _, "--ignore-missing", limit, args @ ..] => {
                self.rev_list(directory, limit, args, true)?
            }
            ["rev-list", count, args @ ..] => self.rev_list(directory, count, args, false)?,
            ["switch", "--quiet", "--detach"] => self.detach(directory),
            ["switch", "--quiet", "--no-guess", branch] => self.switch(directory, branch),
            ["worktree", "unlock", path] => self.unlock(path),
            ["worktree", "remove", path] => self.remove(path, shows_untracked, false),
            ["worktree", "remove", "--force", path] => self.remove(path, shows_untracked, true),
            ["update-ref", "-d", name, before] => self.delete_ref(name, Some(before)),
            ["update-ref", "-d", name] => self.delete_ref(name, None),
            ["update-ref", name, commit] => self.set_ref(directory, name, commit),
            ["update-ref", name, commit, zeros] if zeros.bytes().all(|byte| byte == b'0') => {
                self.make_ref(directory, name, commit)
            }
            _ => return None,
        })
    }

    fn branch(&self, path: &str) -> Answer {
        match &self.worktrees[path].head {
            Head::Branch(name) => Answer::prints(name.replacen(HEADS, "", 1) + "\n"),
            Head::Detached(_) => Answer::fails(1, ""),
        }
    }

    fn references(&self, beginning: &str) -> Answer {
        let names = self.refs.keys().filter(|name| name.starts_with(beginning));
        Answer::prints(names.map(|name| format!("{name}\n")).collect::<String>())
    }

    fn symbolic_head(&self, path: &str) -> Answer {
        match &self.worktrees[path].head {
            Head::Branch(name) => Answer::prints(format!("{name}\n")),
            Head::Detached(_) => Answer::fails(1, ""),
        }
    }

    fn resolve(&self, path: &str, name: &str) -> Option<Commit> {
        let name = name.trim_end_matches("^{commit}");
        if name == "HEAD" {
            return self.head(path);
        }
        let of_branch = || self.refs.get(&format!("{HEADS}{name}"));
        let by_name = self.refs.get(name).or_else(of_branch).copied();
        by_name.or_else(|| {
            let number = usize::from_str_radix(name, 16).ok()?.checked_sub(0xc0_0000)?;
            (name.len() == 40 && number < self.commits.len()).then_some(number)
        })
    }

    fn verify(&self, path: &str, name: &str) -> Answer {
        match self.resolve(path, name) {
            Some(commit) => Answer::prints(name_of(commit) + "\n"),
            None => Answer::fails(1, ""),
        }
    }

    fn list(&self) -> String {
        let main = (&self.path, &self.worktrees[&self.path]);
        let linked = self.worktrees.iter().filter(|(path, _)| **path != self.path);
        let entry = |(path, tree): (&String, &Worktree)| {
            let commit = self.commit_of(&tree.head).map_or_else(|| "0".repeat(40), name_of);
            let head = match &tree.head {
                Head::Branch(name) => format!("branch {name}"),
                Head::Detached(_) => String::from("detached"),
            };
            let state = match (&tree.lock, tree.is_gone) {
                (Some(reason), _) => format!("locked {reason}\n"),
                (None, true) => {
                    String::from("prunable gitdir file points to non-existent location\n")
                }
                (None, false) => String::new(),
            };
            format!("worktree {path}\nHEAD {commit}\n{head}\n{state}\n")
        };
        std::iter::once(main).chain(linked).map(entry).collect()
    }

    fn add(&mut self, at: &str, reason: &str, branch: &str, path: &str, commit: &str) -> Answer {
        let name = format!("{HEADS}{branch}");
        if self.refs.contains_key(&name) {
            let words = format!("fatal: a branch named '{branch}' already exists\n");
            return Answer::fails(255, words);
        }
        let Some(commit) = self.resolve(at, commit) else {
            return Answer::fails(128, format!("fatal: invalid reference: {commit}\n"));
        };
        if self.lock_files.contains(&LockFile::Reference(name.clone())) {
            return Answer::meets(255, &name);
        }
        // Git creates the branch before it checks the path, and who has the branch checked out.
        let is_taken = self.is_checked_out(&name);
        self.refs.insert(name.clone(), commit);
        match self.worktrees.get(path) {
            Some(tree) if tree.is_gone => {
                let words = "is a missing but already registered worktree;";
                Answer::fails(128, format!("fatal: '{path}' {words}\n"))
            }
            Some(_) => Answer::fails(128, format!("fatal: '{path}' already exists\n")),
            None if is_taken => {
                let words = "is already used by worktree at another place";
                Answer::fails(128, format!("fatal: '{branch}' {words}\n"))
            }
            None => {
                let mut tree = Worktree::new(Head::Branch(name), self.commits[commit].tree.clone());
                tree.lock = Some(reason.to_owned());
                self.worktrees.insert(path.to_owned(), tree);
                Answer::prints("")
            }
        }
    }

    /// A worktree on an existing branch.
    fn attach(&mut self, reason: &str, branch: &str, path: &str) -> Answer {
        let name = format!("{HEADS}{branch}");
        let Some(commit) = self.refs.get(&name).copied() else {
            return Answer::fails(128, format!("fatal: invalid reference: {branch}\n"));
        };
        if self.is_checked_out(&name) {
            let words = "is already used by worktree at another place";
            return Answer::fails(128, format!("fatal: '{branch}' {words}\n"));
        }
        match self.worktrees.get(path) {
            Some(tree) if tree.is_gone => {
                let words = "is a missing but already registered worktree;";
                Answer::fails(128, format!("fatal: '{path}' {words}\n"))
            }
            Some(_) => Answer::fails(128, format!("fatal: '{path}' already exists\n")),
            None if self.lock_files.contains(&LockFile::Reference(name.clone())) => {
                Answer::meets(1, &name)
            }
            None => {
                let mut tree = Worktree::new(Head::Branch(name), self.commits[commit].tree.clone());
                tree.lock = Some(reason.to_owned());
                self.worktrees.insert(path.to_owned(), tree);
                Answer::prints("")
            }
        }
    }

    fn lock(&mut self, reason: &str, path: &str) -> Answer {
        match self.worktrees.get_mut(path) {
            None => Answer::fails(128, format!("fatal: '{path}' is not a working tree\n")),
            Some(tree) if tree.lock.is_some() => {
                Answer::fails(128, format!("fatal: '{path}' is already locked\n"))
            }
            Some(tree) => {
                tree.lock = Some(reason.to_owned());
                Answer::prints("")
            }
        }
    }

    /// What the `HEAD`s and branches of these names have pointed to; those that are not there have
    /// pointed to nothing.
    fn reflog_entries(&self, directory: &str, names: &[&str]) -> String {
        let logs = names.iter().map(|name| match *name {
            "HEAD" => self.reflog(directory),
            name => self.path_of(name).map_or_else(|| self.reflog(name), |path| self.reflog(&path)),
        });
        logs.flat_map(|log| log.iter().rev()).map(|commit| name_of(*commit) + "\n").collect()
    }

    /// `rev-list --parents --ignore-missing COMMITS --not --exclude=… --glob=refs/* OTHERS`.
    fn commits_and_parents(&self, directory: &str, args: &[&str]) -> Option<Answer> {
        let (commits, not) = args.split_at(args.iter().position(|arg| *arg == "--not")?);
        let (patterns, others) =
            not[1..].split_at(not[1..].iter().position(|arg| *arg == "--glob=refs/*")?);
        let named = |name: &&str| {
            let of_other = || self.path_of(name).and_then(|path| self.head(&path));
            self.resolve(directory, name).or_else(of_other)
        };
        let others = others[1..].iter().filter_map(named);
        let kept = self.reachable(self.not_excluded(patterns)?.into_iter().chain(others));
        let all = self.reachable(commits.iter().filter_map(named));
        let line = |commit: &Commit| {
            let parents = self.commits[*commit].parents.iter().map(|parent| name_of(*parent));
            let names: Vec<_> = std::iter::once(name_of(*commit)).chain(parents).collect();
            names.join(" ") + "\n"
        };
        Some(Answer::prints(all.difference(&kept).map(line).collect::<String>()))
    }

    /// `commit-tree -m … -p COMMIT -p COMMIT … TREE`: a commit that follows all of these.
    fn join(&mut self, directory: &str, parents: &[&str]) -> Option<Answer> {
        let names = parents.iter().filter(|arg| **arg != "-p");
        let parents =
            names.map(|name| self.resolve(directory, name)).collect::<Option<Vec<_>>>()?;
        let tree = self.commits[*parents.first()?].tree.clone();
        let parents = BTreeSet::from_iter(parents).into_iter().collect();
        Some(Answer::prints(name_of(self.make_commit(parents, tree)) + "\n"))
    }

    /// What the references have that none of these `--exclude=…` names.
    fn not_excluded(&self, patterns: &[&str]) -> Option<Vec<Commit>> {
        let patterns: Vec<_> =
            patterns.iter().map(|arg| arg.strip_prefix("--exclude=")).collect::<Option<_>>()?;
        let is_excluded = |name: &str| {
            patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => name == *pattern,
            })
        };
        let others = self.refs.iter().filter(|(name, _)| !is_excluded(name));
        Some(others.map(|(_, commit)| *commit).collect())
    }

    /// `rev-list TIPS --not --exclude=… --glob=refs/*`: one commit that only the tips have, or all of
    /// them with their subjects.
    fn rev_list(&self, path: &str, count: &str, args: &[&str], lists_all: bool) -> Option<Answer> {
        let (tips, not) = args.split_at(args.iter().position(|arg| *arg == "--not")?);
        let [_, excluded @ .., "--glob=refs/*"] = not else { return None };
        let mut from = Vec::new();
        // No worktree here has references of its own.
        for tip in tips.iter().filter(|tip| !tip.starts_with("--glob=")) {
            let of_other = self.path_of(tip).and_then(|other| self.head(&other));
            let Some(commit) = self.resolve(path, tip).or(of_other) else {
                if lists_all {
                    continue;
                }
                let words = format!("fatal: ambiguous argument '{tip}': unknown revision\n");
                return Some(Answer::fails(128, words));
            };
            from.push(commit);
        }
        let others = self.reachable(self.not_excluded(excluded)?);
        let own = self.reachable(from);
        if lists_all {
            let lines = own.difference(&others).map(|commit| name_of(*commit) + " a commit\n");
            return Some(Answer::prints(lines.collect::<String>()));
        }
        let found = own.difference(&others).last().filter(|_| count == "--max-count=1");
        Some(Answer::prints(found.map(|commit| name_of(*commit) + "\n").unwrap_or_default()))
    }

    fn detach(&mut self, path: &str) -> Answer {
        if self.worktrees[path].merging.is_some() {
            return Answer::fails(128, "fatal: cannot switch branch while merging\n");
        }
        let Some(commit) = self.head(path) else {
            return Answer::fails(128, "fatal: You are on a branch yet to be born\n");
        };
        if self.lock_files.contains(&LockFile::Head(path.to_owned())) {
            return Answer::meets(128, "HEAD");
        }
        if let Some(tree) = self.worktrees.get_mut(path) {
            tree.head = Head::Detached(commit);
        }
        Answer::prints("")
    }

    /// The worktree that has this `HEAD`: `worktrees/NAME/HEAD`.
    fn path_of(&self, name: &str) -> Option<String> {
        let is_named = |path: &&String| {
            let id = path.rsplit('/').next().unwrap_or_default();
            name == format!("worktrees/{id}/HEAD")
        };
        self.worktrees.keys().filter(|path| **path != self.path).find(is_named).cloned()
    }

    /// Takes another worktree off its branch: `worktrees/NAME/HEAD`.
    fn detach_other(&mut self, name: &str, to: &str, before: &str) -> Answer {
        let failed =
            |words: &str| Answer::fails(128, format!("fatal: update_ref failed: {words}\n"));
        let Some(path) = self.path_of(name) else { return failed("no such reference") };
        if self.lock_files.contains(&LockFile::Head(path.clone())) {
            return Answer::meets(128, "HEAD");
        }
        if self.head(&path).map(name_of).as_deref() != Some(before) {
            return failed("is at another");
        }
        let Some(commit) = self.resolve(&path, to) else { return failed("not a commit") };
        if let Some(tree) = self.worktrees.get_mut(&path) {
            tree.head = Head::Detached(commit);
        }
        Answer::prints("")
    }

    fn switch(&mut self, path: &str, branch: &str) -> Answer {
        let name = format!("{HEADS}{branch}");
        let Some(to) = self.refs.get(&name).copied() else {
            return Answer::fails(128, format!("fatal: invalid reference: {branch}\n"));
        };
        let on = Head::Branch(name);
        if self.worktrees[path].merging.is_some() {
            return Answer::fails(128, "fatal: cannot switch branch while merging\n");
        }
        if self.worktrees.iter().any(|(other, tree)| other != path && tree.head == on) {
            let words = "is already used by worktree at";
            return Answer::fails(128, format!("fatal: '{branch}' {words} another place\n"));
        }
        let (from, to) = (self.head_tree(path), self.commits[to].tree.clone());
        let is_locked = self.lock_files.contains(&LockFile::Head(path.to_owned()));
        let Some(tree) = self.worktrees.get_mut(path) else { return Answer::fails(128, "") };
        let names: BTreeSet<_> = from.keys().chain(to.keys()).collect();
        let differ: Vec<_> =
            names.into_iter().filter(|name| from.get(*name) != to.get(*name)).collect();
        // Files that are the same in both are left alone, whatever state they are in.
        let differ = differ.into_iter().filter(|name| tree.index.get(*name) != to.get(*name));
        let differ: Vec<String> = differ.cloned().collect();
        let is_in_the_way = |name: &String| {
            let (staged, file) = (tree.index.get(name), tree.files.get(name));
            staged != from.get(name) || (file.is_some() && file != staged)
        };
        if differ.iter().any(is_in_the_way) {
            return Answer::fails(1, "error: Your local changes would be overwritten\n");
        }
        for name in differ {
            match to.get(&name) {
                Some(content) => {
                    tree.index.insert(name.clone(), *content);
                    tree.files.insert(name, *content);
                }
                None => {
                    tree.index.remove(&name);
                    tree.files.remove(&name);
                }
            }
        }
        if is_locked {
            return Answer::meets(128, "HEAD");
        }
        tree.head = on;
        Answer::prints("")
    }

    fn unlock(&mut self, path: &str) -> Answer {
        match self.worktrees.get_mut(path) {
            None => Answer::fails(128, format!("fatal: '{path}' is not a working tree\n")),
            Some(tree) => match tree.lock.take() {
                Some(_) => Answer::prints(""),
                None => Answer::fails(128, format!("fatal: '{path}' is not locked\n")),
            },
        }
    }

    fn remove(&mut self, path: &str, shows_untracked: bool, is_forced: bool) -> Answer {
        let Some(tree) = self.worktrees.get(path) else {
            return Answer::fails(128, format!("fatal: '{path}' is not a working tree\n"));
        };
        if let Some(reason) = &tree.lock {
            let words = "cannot remove a locked working tree, lock reason:";
            return Answer::fails(128, format!("fatal: {words} {reason}\n"));
        }
        if tree.has_submodule && !is_forced && !tree.is_gone {
            let words = "working trees containing submodules cannot be moved or removed";
            return Answer::fails(128, format!("fatal: {words}\n"));
        }
        if !is_forced && !self.changes(path, shows_untracked).is_empty() {
            let words = "contains modified or untracked files, use --force to delete it";
            return Answer::fails(128, format!("fatal: '{path}' {words}\n"));
        }
        self.worktrees.remove(path);
        self.lock_files.remove(&LockFile::Head(path.to_owned()));
        Answer::prints("")
    }

    fn set_ref(&mut self, directory: &str, name: &str, to: &str) -> Answer {
        if self.lock_files.contains(&LockFile::Reference(name.to_owned())) {
            return Answer::meets(128, name);
        }
        let Some(commit) = self.resolve(directory, to) else {
            return Answer::fails(128, format!("fatal: {to}: not a valid SHA1\n"));
        };
        self.refs.insert(name.to_owned(), commit);
        Answer::prints("")
    }

    /// Only if there is none.
    fn make_ref(&mut self, directory: &str, name: &str, to: &str) -> Answer {
        if self.refs.contains_key(name) {
            let words = format!("fatal: cannot lock ref '{name}': reference already exists\n");
            return Answer::fails(128, words);
        }
        self.set_ref(directory, name, to)
    }

    fn delete_ref(&mut self, name: &str, before: Option<&str>) -> Answer {
        if self.lock_files.contains(&LockFile::Reference(name.to_owned())) {
            return Answer::meets(1, name);
        }
        let now = self.refs.get(name).copied().map(name_of);
        match (now, before) {
            (None, Some(_)) => {
                let words = "unable to resolve reference";
                return Answer::fails(1, format!("error: cannot lock ref '{name}': {words}\n"));
            }
            (Some(now), Some(before)) if now != before => {
                let words = format!("is at {now} but expected {before}");
                return Answer::fails(1, format!("error: cannot lock ref '{name}': {words}\n"));
            }
            _ => {}
        }
        if self.lock_files.contains(&LockFile::PackedRefs) {
            return Answer::meets(1, "packed-refs");
        }
        self.refs.remove(name);
        Answer::prints("")
    }
}
