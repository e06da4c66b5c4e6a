//! A repository: commits, references, worktrees, lock files.

use std::collections::{BTreeMap, BTreeSet};

/// A commit; commits are numbered in the order they were made.
pub(crate) type Commit = usize;

/// Files and their contents.
pub(crate) type Tree = BTreeMap<String, u64>;

/// The prefix of branches.
pub(crate) const HEADS: &str = "refs/heads/";

#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) parents: Vec<Commit>,
    pub(crate) tree: Tree,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A reference's full name. It may not exist yet.
    Branch(String),
    Detached(Commit),
}

/// A directory that belongs to a repository.
#[derive(Clone, Debug)]
pub(crate) struct Worktree {
    pub(crate) head: Head,
    pub(crate) index: Tree,
    pub(crate) files: Tree,
    /// Files that git ignores, and that nothing can make again.
    pub(crate) ignored: Tree,
    /// Those that were there when they were last listed.
    pub(crate) listed: Option<Tree>,
    /// The reason given to `git worktree lock`.
    pub(crate) lock: Option<String>,
    /// The other side of an unfinished merge.
    pub(crate) merging: Option<Commit>,
    pub(crate) has_submodule: bool,
    /// Somebody has removed the directory behind git's back.
    pub(crate) is_gone: bool,
}

/// A lock file that another program holds, or has left behind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LockFile {
    /// Of the `HEAD` of the worktree at this path.
    Head(String),
    Reference(String),
    PackedRefs,
}

/// A repository with all its worktrees.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    /// The path of its main worktree.
    pub(crate) path: String,
    pub(crate) commits: Vec<Made>,
    pub(crate) refs: BTreeMap<String, Commit>,
    /// By path, including the main one.
    pub(crate) worktrees: BTreeMap<String, Worktree>,
    pub(crate) lock_files: BTreeSet<LockFile>,
    /// What each branch, and each worktree's `HEAD` by its path, has pointed to.
    pub(crate) reflogs: BTreeMap<String, Vec<Commit>>,
    /// Its owner has set `status.showUntrackedFiles` to `no`.
    pub(crate) hides_untracked: bool,
}

impl Repository {
    /// A repository with one commit, on `main`.
    pub(crate) fn new(path: &str) -> Self {
        let tree = Tree::from([(String::from("a"), 0)]);
        let main = format!("{HEADS}main");
        let mut repository = Self {
            path: path.to_owned(),
            commits: vec![Made { parents: Vec::new(), tree: tree.clone() }],
            refs: BTreeMap::from([(main.clone(), 0)]),
            worktrees: BTreeMap::new(),
            lock_files: BTreeSet::new(),
            reflogs: BTreeMap::new(),
            hides_untracked: false,
        };
        let worktree = Worktree::new(Head::Branch(main), tree);
        repository.worktrees.insert(path.to_owned(), worktree);
        repository.log_moves();
        repository
    }

    /// Notes in the reflogs what has moved; those of what is no longer there go.
    pub(crate) fn log_moves(&mut self) {
        let branches = self.refs.iter().filter(|(name, _)| name.starts_with(HEADS));
        let branches = branches.map(|(name, commit)| (name.clone(), Some(*commit)));
        let heads = self.worktrees.iter();
        let heads = heads.map(|(path, tree)| (path.clone(), self.commit_of(&tree.head)));
        let now: Vec<_> = branches.chain(heads).collect();
        let mut before = std::mem::take(&mut self.reflogs);
        for (name, commit) in now {
            let mut log = before.remove(&name).unwrap_or_default();
            if commit.is_some() && log.last().copied() != commit {
                log.extend(commit);
            }
            self.reflogs.insert(name, log);
        }
    }

    /// A reflog, as far as git shows it: not that of a `HEAD` on a branch that is not there.
    pub(crate) fn reflog(&self, name: &str) -> &[Commit] {
        let is_shown = self.refs.contains_key(name) || self.head(name).is_some();
        self.reflogs.get(name).filter(|_| is_shown).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn commit_of(&self, head: &Head) -> Option<Commit> {
        match head {
            Head::Branch(name) => self.refs.get(name).copied(),
            Head::Detached(commit) => Some(*commit),
        }
    }

    /// The commit that a worktree is on; none before the first one of a branch.
    pub(crate) fn head(&self, path: &str) -> Option<Commit> {
        self.commit_of(&self.worktrees.get(path)?.head)
    }

    pub(crate) fn head_tree(&self, path: &str) -> Tree {
        self.head(path).map(|commit| self.commits[commit].tree.clone()).unwrap_or_default()
    }

    /// These commits and everything reachable from them.
    pub(crate) fn reachable(&self, from: impl IntoIterator<Item = Commit>) -> BTreeSet<Commit> {
        let mut found = BTreeSet::new();
        let mut left: Vec<_> = from.into_iter().collect();
        while let Some(commit) = left.pop() {
            if found.insert(commit) {
                left.extend_from_slice(&self.commits[commit].parents);
            }
        }
        found
    }

    /// Everything reachable from any reference, `HEAD` or reflog.
    pub(crate) fn alive(&self) -> BTreeSet<Commit> {
        let heads = self.worktrees.values().filter_map(|tree| self.commit_of(&tree.head));
        let logged = self.reflogs.keys().flat_map(|name| self.reflog(name)).copied();
        self.reachable(self.refs.values().copied().chain(heads).chain(logged))
    }

    /// Whether a branch is checked out somewhere.
    pub(crate) fn is_checked_out(&self, name: &str) -> bool {
        self.worktrees.values().any(|tree| matches!(&tree.head, Head::Branch(on) if on == name))
    }

    /// What `git status --porcelain` reports: uncommitted and untracked files.
    pub(crate) fn changes(&self, path: &str, with_untracked: bool) -> Vec<String> {
        let Some(tree) = self.worktrees.get(path).filter(|tree| !tree.is_gone) else {
            return Vec::new();
        };
        let head = self.head_tree(path);
        let tracked: BTreeSet<_> = head.keys().chain(tree.index.keys()).collect();
        let mut lines = Vec::new();
        for name in tracked {
            let staged = match (head.get(name), tree.index.get(name)) {
                (None, _) => 'A',
                (Some(_), None) => 'D',
                (before, now) if before == now => ' ',
                _ => 'M',
            };
            let unstaged = match (tree.index.get(name), tree.files.get(name)) {
                (None, _) => ' ',
                (Some(_), None) => 'D',
                (before, now) if before == now => ' ',
                _ => 'M',
            };
            if (staged, unstaged) != (' ', ' ') {
                lines.push(format!("{staged}{unstaged} {name}"));
            }
        }
        if with_untracked {
            let untracked = tree.files.keys().filter(|name| !tree.index.contains_key(*name));
            lines.extend(untracked.map(|name| format!("?? {name}")));
        }
        lines
    }

    /// All files in a worktree that are in no commit, except for ignored ones that nobody could have
    /// seen: git removes a worktree without looking for those.
    pub(crate) fn work_in(&self, path: &str) -> Vec<String> {
        let tree = self.worktrees.get(path).filter(|tree| !tree.is_gone);
        let is_new = |name: &str, content| {
            let listed = tree.and_then(|tree| tree.listed.as_ref());
            listed.is_some_and(|listed| listed.get(name) != Some(content))
        };
        let ignored = tree.into_iter().flat_map(|tree| &tree.ignored);
        let ignored = ignored.filter(|(name, content)| !is_new(name, content));
        let ignored = ignored.map(|(name, _)| name.clone());
        self.changes(path, true).into_iter().chain(ignored).collect()
    }

    /// Whether everything in a session's worktree and on its own branch is elsewhere too, so that a
    /// worker may remove it.
    pub(crate) fn is_spent(
        &self,
        path: &str,
        own: &str,
        is_session: impl Fn(&str) -> bool,
    ) -> bool {
        let Some(tree) = self.worktrees.get(path) else { return false };
        let Head::Branch(on) = &tree.head else { return false };
        let is_other = |name: &str| !is_session(name) && name != "refs/stash";
        let others = self.refs.iter().filter(|(name, _)| is_other(name));
        let elsewhere = self.reachable(others.map(|(_, commit)| *commit));
        !tree.is_gone
            && !tree.has_submodule
            && tree.merging.is_none()
            && tree.ignored.is_empty()
            && self.changes(path, true).is_empty()
            && self.refs.get(on).is_some_and(|commit| elsewhere.contains(commit))
            && self.refs.get(own).is_none_or(|commit| elsewhere.contains(commit))
    }

    pub(crate) fn make_commit(&mut self, parents: Vec<Commit>, tree: Tree) -> Commit {
        self.commits.push(Made { parents, tree });
        self.commits.len() - 1
    }
}

impl Worktree {
    /// With everything as committed.
    pub(crate) fn new(head: Head, tree: Tree) -> Self {
        Self {
            head,
            index: tree.clone(),
            files: tree,
            ignored: Tree::new(),
            listed: None,
            lock: None,
            merging: None,
            has_submodule: false,
            is_gone: false,
        }
    }
}
