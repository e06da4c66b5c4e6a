//! Submodules that are checked out in a worktree. Each is a repository of its own that goes with the
//! worktree, so each is looked into like the worktree itself, and may have no commit that a remote
//! is not known to have.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::done::Done;
use crate::base::limits::MAX_SUBMODULES;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Submodule {
    /// Its place, from the worktree's directory.
    pub(super) path: String,
    /// The commit that is committed for it.
    pub(super) commit: String,
}

/// Which have been looked into, and which is next.
#[derive(Clone, Debug, Default)]
pub(super) struct Submodules {
    waiting: Vec<Submodule>,
    current: Option<Submodule>,
    /// Whether the current one is known to be a submodule.
    is_within: bool,
    /// Where git keeps what belongs to the worktree; empty if that is not known.
    git_directory: String,
    /// Where git keeps what belongs to those that have been entered, from the directory above.
    entered: Vec<String>,
}

/// What is in a submodule's place.
pub(super) enum Within {
    Submodule,
    /// Something else, for which the worktree is kept.
    Other(String),
}

impl Submodules {
    /// Whether there is one.
    pub(super) const fn are_there(&self) -> bool {
        !self.waiting.is_empty() || self.current.is_some() || !self.entered.is_empty()
    }

    /// Whether the worktree itself is being looked at.
    pub(super) const fn is_outside(&self) -> bool {
        !self.is_within
    }

    /// The directory that is being looked at.
    pub(super) fn place(&self, path: &str) -> String {
        match &self.current {
            Some(current) => format!("{path}/{}", current.path),
            None => path.to_string(),
        }
    }

    /// The current repository has these.
    pub(super) fn add(&mut self, found: Vec<Submodule>) {
        let above = self.current.as_ref().map(|current| format!("{}/", current.path));
        let above = above.unwrap_or_default();
        let found = found.into_iter().map(|it| Submodule { path: above.clone() + &it.path, ..it });
        self.waiting.extend(found);
    }

    pub(super) const fn lack_git_directory(&self) -> bool {
        self.git_directory.is_empty()
    }

    pub(super) fn set_git_directory(&mut self, directory: &str) {
        self.git_directory = directory.to_string();
    }

    /// Turns to the next one, if there is one.
    pub(super) fn go_to_next(&mut self) -> bool {
        self.current = self.waiting.pop();
        self.current.is_some()
    }

    /// Git has said where it keeps what belongs to the current one.
    pub(super) fn enter(&mut self, git_directory: &str) -> Within {
        let Some(name) = git_directory.strip_prefix(&self.repositories()) else {
            return Within::Other(String::from("a repository of its own"));
        };
        if self.entered.len() == MAX_SUBMODULES {
            return Within::Other(String::from("more submodules than could be looked at"));
        }
        self.entered.push(name.trim_start_matches('/').to_string());
        self.is_within = true;
        Within::Submodule
    }

    pub(super) fn leave(&mut self) {
        self.current = None;
        self.is_within = false;
    }

    /// Whether the current one is at the commit that is committed for it.
    pub(super) fn is_at(&self, commit: &str) -> bool {
        self.current.as_ref().is_some_and(|current| current.commit == commit)
    }

    /// Where git keeps what belongs to the worktree's submodules.
    pub(super) fn repositories(&self) -> String {
        format!("{}/modules", self.git_directory)
    }

    /// Asks for all that git keeps there, also of those no longer checked out: each has a file
    /// called `config`.
    pub(super) fn question(&self) -> Vec<String> {
        let directory = self.git_directory.as_str();
        let args = ["--git-dir", directory, "--work-tree", ".", "ls-files", "--others", "-z", "--"];
        args.into_iter().chain([":(glob)**/config"]).map(String::from).collect()
    }

    /// Why the worktree is kept, if not all of them have been looked into.
    pub(super) fn unchecked(&self, list: &str) -> Option<String> {
        let names = list.split_terminator('\0').filter_map(|path| path.strip_suffix("/config"));
        let unchecked = names.into_iter().find(|name| !self.entered.iter().any(|it| it == name));
        unchecked.map(|name| format!("a submodule that is no longer checked out, {name}"))
    }

    /// The worktree is kept for what was found in the current repository.
    pub(super) fn kept(&self, reason: &str) -> Done {
        Done::Kept(match &self.current {
            Some(current) => format!("{reason} in the submodule {}", current.path),
            None => reason.to_string(),
        })
    }
}
