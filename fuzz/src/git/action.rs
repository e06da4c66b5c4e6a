//! What agents and people do in a repository, besides the worker.

use std::collections::BTreeSet;

use fastrand::Rng;

use super::model::{Commit, HEADS, Head, LockFile, Repository, Tree};

/// One thing that somebody does in a worktree, if git allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RepoAction {
    Write(String),
    /// Writes a file that git ignores.
    WriteIgnored,
    Delete(String),
    Stage,
    Commit,
    /// `commit --amend`, of everything there is.
    Amend,
    Branch(String),
    SwitchToNew(String),
    Switch(String),
    Detach,
    DeleteBranch(String),
    /// `reset --hard HEAD~1`.
    Reset,
    Stash,
    /// Starts a merge that changes nothing, and leaves it unfinished.
    Merge(String),
    Lock(LockFile),
    /// All lock files are removed.
    Unlock,
    /// `rm -r` of a whole worktree.
    LoseDirectory,
}

/// What an action has changed for others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Commits that a reference or `HEAD` no longer points to.
    pub(crate) let_go: BTreeSet<Commit>,
    /// `HEAD` is no longer on a branch.
    pub(crate) detached: bool,
    /// A commit made on a detached `HEAD`.
    pub(crate) alone: Option<Commit>,
}

/// A file that the repository's owner has git ignore.
pub(super) const IGNORED: &str = ".env";
const FILES: [&str; 4] = ["a", "b", "c", "d"];
const BRANCHES: [&str; 3] = ["main", "topic", "other"];

impl RepoAction {
    /// Any action, the usual ones more often.
    pub(crate) fn draw(rng: &mut Rng, branch: &str, path: &str) -> Self {
        let file = |rng: &mut Rng| FILES[rng.usize(..FILES.len())].to_owned();
        let name = |rng: &mut Rng| match rng.usize(..BRANCHES.len() + 1) {
            n if n < BRANCHES.len() => BRANCHES[n].to_owned(),
            _ => branch.to_owned(),
        };
        match rng.u8(..25) {
            0..4 => Self::Write(file(rng)),
            4 => Self::Delete(file(rng)),
            5 => Self::Stage,
            6..10 => Self::Commit,
            10..12 => Self::Branch(name(rng)),
            12 => Self::SwitchToNew(name(rng)),
            13..15 => Self::Switch(name(rng)),
            15 => Self::Detach,
            16..18 => Self::DeleteBranch(name(rng)),
            18 => Self::Reset,
            19 => Self::Stash,
            20 => Self::Merge(name(rng)),
            21 => Self::Lock(match rng.u8(..3) {
                0 => LockFile::Head(path.to_owned()),
                1 => LockFile::Reference(format!("{HEADS}{branch}")),
                _ => LockFile::PackedRefs,
            }),
            22 => Self::Unlock,
            23 => Self::WriteIgnored,
            _ => Self::LoseDirectory,
        }
    }
}

impl Repository {
    /// Performs it, if git allows it now. `content` is new with every action.
    pub(crate) fn act(&mut self, path: &str, action: &RepoAction, content: u64) -> Option<Touched> {
        let heads_before = self.all_heads();
        let was_detached = self.is_detached(path);
        let commit = self.carry_out(path, action, content)?;
        self.log_moves();
        let mut touched = Touched::default();
        let now = self.all_heads();
        for (name, before) in heads_before {
            let after = now.iter().find(|(other, _)| *other == name).map(|(_, commit)| *commit);
            let left = self.reachable(after);
            touched.let_go.extend(self.reachable([before]).difference(&left));
        }
        touched.detached = !was_detached && self.is_detached(path);
        touched.alone = commit.filter(|_| self.is_detached(path));
        Some(touched)
    }

    fn is_detached(&self, path: &str) -> bool {
        self.worktrees.get(path).is_some_and(|tree| matches!(tree.head, Head::Detached(_)))
    }

    fn all_heads(&self) -> Vec<(String, Commit)> {
        let refs = self.refs.iter().map(|(name, commit)| (name.clone(), *commit));
        let heads = self
            .worktrees
            .iter()
            .filter_map(|(path, tree)| Some((path.clone(), self.commit_of(&tree.head)?)));
        refs.chain(heads).collect()
    }

    /// `None` if it is impossible; otherwise the commit it made, if any.
    fn carry_out(
        &mut self,
        path: &str,
        action: &RepoAction,
        content: u64,
    ) -> Option<Option<Commit>> {
        let tree = self.worktrees.get(path).filter(|tree| !tree.is_gone)?;
        let (is_merging, head) = (tree.merging.is_some(), self.head(path));
        let is_main = path == self.path;
        let full = |name: &str| format!("{HEADS}{name}");
        let is_new =
            |name: &str| !self.refs.contains_key(&full(name)) && !self.is_checked_out(&full(name));
        let can_move = !is_merging && !self.lock_files.contains(&LockFile::Head(path.to_owned()));
        match action {
            RepoAction::Write(name) => {
                self.worktrees.get_mut(path)?.files.insert(name.clone(), content);
            }
            RepoAction::WriteIgnored => {
                self.worktrees.get_mut(path)?.ignored.insert(IGNORED.to_owned(), content);
            }
            RepoAction::Delete(name) => {
                self.worktrees.get_mut(path)?.files.remove(name)?;
            }
            RepoAction::Stage => self.stage(path)?,
            RepoAction::Commit => return self.commit(path).map(Some),
            RepoAction::Amend if !is_merging && self.can_commit(path) => {
                self.stage(path)?;
                let parents = self.commits[head?].parents.clone();
                let commit = self.make_commit(parents, self.worktrees[path].index.clone());
                self.move_head(path, commit)?;
                return Some(Some(commit));
            }
            RepoAction::Branch(name) if is_new(name) && self.is_free(name) => {
                self.refs.insert(full(name), head?);
            }
            RepoAction::SwitchToNew(name) if is_new(name) && self.is_free(name) && can_move => {
                self.refs.insert(full(name), head?);
                self.worktrees.get_mut(path)?.head = Head::Branch(full(name));
            }
            RepoAction::Switch(name) if can_move && !self.is_checked_out(&full(name)) => {
                let to = *self.refs.get(&full(name))?;
                if !self.changes(path, true).is_empty() {
                    return None;
                }
                self.check_out(path, self.commits[to].tree.clone())?;
                self.worktrees.get_mut(path)?.head = Head::Branch(full(name));
            }
            RepoAction::Detach if can_move => {
                self.worktrees.get_mut(path)?.head = Head::Detached(head?);
            }
            RepoAction::DeleteBranch(name)
                if self.is_free(name)
                    && self.is_packable()
                    && !self.is_checked_out(&full(name)) =>
            {
                self.refs.remove(&full(name))?;
            }
            RepoAction::Reset if self.can_commit(path) => self.reset(path)?,
            RepoAction::Stash if !is_merging && self.can_commit(path) => return self.stash(path),
            RepoAction::Merge(name) if !is_merging => {
                let other = *self.refs.get(&full(name))?;
                let known = self.reachable(head);
                // Git refuses where the two have nothing in common.
                let is_related = !known.is_disjoint(&self.reachable([other]));
                let is_known = known.contains(&other);
                if !is_related || is_known || !self.changes(path, true).is_empty() {
                    return None;
                }
                self.worktrees.get_mut(path)?.merging = Some(other);
            }
            RepoAction::Lock(lock) if !is_main => {
                self.lock_files.insert(lock.clone()).then_some(())?;
            }
            RepoAction::Unlock if !self.lock_files.is_empty() => self.lock_files.clear(),
            RepoAction::LoseDirectory if !is_main => self.worktrees.get_mut(path)?.is_gone = true,
            _ => return None,
        }
        Some(None)
    }

    /// Whether no lock file of a branch is in the way.
    fn is_free(&self, name: &str) -> bool {
        !self.lock_files.contains(&LockFile::Reference(format!("{HEADS}{name}")))
    }

    fn is_packable(&self) -> bool {
        !self.lock_files.contains(&LockFile::PackedRefs)
    }

    /// Whether `HEAD` and the branch it is on can be moved.
    fn can_commit(&self, path: &str) -> bool {
        let on = &self.worktrees[path].head;
        let is_free = match on {
            Head::Branch(name) => !self.lock_files.contains(&LockFile::Reference(name.clone())),
            Head::Detached(_) => true,
        };
        is_free && !self.lock_files.contains(&LockFile::Head(path.to_owned()))
    }

    fn stage(&mut self, path: &str) -> Option<()> {
        let tree = self.worktrees.get_mut(path)?;
        tree.index.clone_from(&tree.files);
        Some(())
    }

    /// Everything there is, as one commit.
    fn commit(&mut self, path: &str) -> Option<Commit> {
        if !self.can_commit(path) {
            return None;
        }
        self.stage(path)?;
        let merging = self.worktrees.get_mut(path)?.merging.take();
        let parents = self.head(path).into_iter().chain(merging).collect();
        let index = self.worktrees[path].index.clone();
        let commit = self.make_commit(parents, index);
        self.move_head(path, commit)?;
        Some(commit)
    }

    fn move_head(&mut self, path: &str, to: Commit) -> Option<()> {
        match &mut self.worktrees.get_mut(path)?.head {
            Head::Branch(name) => {
                self.refs.insert(name.clone(), to);
            }
            Head::Detached(commit) => *commit = to,
        }
        Some(())
    }

    /// Restores everything that git tracks to what was committed.
    fn check_out(&mut self, path: &str, to: Tree) -> Option<()> {
        let tree = self.worktrees.get_mut(path)?;
        let index = &tree.index;
        tree.files.retain(|name, _| !index.contains_key(name));
        tree.files.extend(to.clone());
        tree.index = to;
        Some(())
    }

    fn reset(&mut self, path: &str) -> Option<()> {
        let parent = *self.commits[self.head(path)?].parents.first()?;
        self.check_out(path, self.commits[parent].tree.clone())?;
        self.worktrees.get_mut(path)?.merging = None;
        self.move_head(path, parent)
    }

    fn stash(&mut self, path: &str) -> Option<Option<Commit>> {
        let head = self.head(path)?;
        let committed = self.head_tree(path);
        let files = self.worktrees[path].files.clone();
        if files == committed {
            return None;
        }
        self.stage(path)?;
        let index = self.make_commit(vec![head], files.clone());
        let stash = self.make_commit(vec![head, index], files);
        self.refs.insert(String::from("refs/stash"), stash);
        self.check_out(path, committed)?;
        Some(None)
    }
}
