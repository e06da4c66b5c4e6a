//! The files that a repository tracks, as far as they bear on whether there is work among them:
//! submodules, and files that are hidden from git.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::submodules::Submodule;
use crate::base::limits::MAX_SUBMODULES;

/// What git's list of tracked files says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tracked {
    /// Its submodules, checked out or not.
    submodules: Vec<Submodule>,
    /// Whether there are files that git does not look at, as in a sparse checkout.
    pub(super) has_hidden_files: bool,
}

/// What an entry for a submodule begins with, after its tag.
const SUBMODULE: &str = "160000 ";

impl Tracked {
    /// From `git ls-files --stage -t -z`. The error says why the worktree is kept.
    pub(super) fn of(list: &str) -> Result<Self, String> {
        let mut tracked = Self::default();
        for entry in list.split_terminator('\0') {
            tracked.has_hidden_files |= entry.starts_with("S ");
            let Some(entry) = entry.split_once(' ').and_then(|(_, it)| it.strip_prefix(SUBMODULE))
            else {
                continue;
            };
            let named = entry.split_once('\t');
            let Some((commit, path)) =
                named.and_then(|(data, path)| Some((data.split_once(' ')?.0, path)))
            else {
                return Err(String::from("git's list of its files cannot be read"));
            };
            if tracked.submodules.len() == MAX_SUBMODULES {
                return Err(String::from("more submodules than could be looked at"));
            }
            let (path, commit) = (path.to_string(), commit.to_string());
            tracked.submodules.push(Submodule { path, commit });
        }
        Ok(tracked)
    }

    pub(super) const fn is_without_submodules(&self) -> bool {
        self.submodules.is_empty()
    }

    /// Asks what is in the directories of its submodules. Git itself overlooks all in one that is
    /// not checked out, so it is asked as if nothing were tracked.
    pub(super) fn question(&self) -> Vec<String> {
        let args = ["ls-files", "--others", "-z", "--"].map(String::from).into_iter();
        args.chain(self.submodules.iter().map(|it| format!(":(literal){}", it.path))).collect()
    }

    /// The submodules that are checked out, from the answer. Another directory should be empty.
    pub(super) fn found(self, list: &str) -> Result<Vec<Submodule>, String> {
        let paths: Vec<&str> = list.split_terminator('\0').collect();
        let is_there = |it: &Submodule| paths.iter().any(|path| is_repository(path, it));
        let stray = paths.iter().find(|path| {
            let is_one = |it: &Submodule| is_repository(path, it);
            !self.submodules.iter().any(is_one)
        });
        match stray {
            Some(file) => Err(format!("a file in the place of a submodule, {file}")),
            None => Ok(self.submodules.into_iter().filter(is_there).collect()),
        }
    }
}

/// Git lists a repository as one directory.
fn is_repository(path: &str, submodule: &Submodule) -> bool {
    path.strip_suffix('/') == Some(&submodule.path)
}

/// Whether this version of git can hide changes to files marked `--skip-worktree`, whatever it is
/// told.
pub(super) fn hides_changes(version: &str) -> Option<String> {
    let number = version.strip_prefix("git version ").unwrap_or(version);
    let mut parts = number.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let parts = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (parts < (2, 36)).then(|| {
        format!("files marked --skip-worktree, whose changes only git 2.36 or newer shows ({number} is installed)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "H 100644 c1 0\tfile\0H 160000 c2 0\ta part\0H 160000 c3 0\tb\0";

    #[test]
    fn submodules_are_found_where_git_lists_a_repository_and_anything_else_there_is_work() {
        let tracked = Tracked::of(LIST).expect("a list");
        assert!(!tracked.has_hidden_files && !tracked.is_without_submodules());
        let question = tracked.question().join(" ");
        assert_eq!(question, "ls-files --others -z -- :(literal)a part :(literal)b");
        let part = Submodule { path: String::from("a part"), commit: String::from("c2") };
        assert_eq!(tracked.clone().found("a part/\0"), Ok(Vec::from([part])));
        assert_eq!(tracked.clone().found(""), Ok(Vec::new()));
        for stray in ["b/notes\0", "b\0", "a part/\0b/c/\0"] {
            assert!(tracked.clone().found(stray).is_err_and(|why| why.contains("in the place")));
        }
    }

    #[test]
    fn hidden_files_are_noticed_and_old_versions_hide_their_changes() {
        assert!(Tracked::of("S 100644 c1 0\tfile\0").expect("a list").has_hidden_files);
        for old in ["git version 2.34.1", "git version 2.31", "git version 1.9", "nonsense"] {
            assert!(hides_changes(old).is_some(), "{old}");
        }
        for new in ["git version 2.36.0", "git version 2.47.3", "git version 3.0 (Apple Git-1)"] {
            assert_eq!(hides_changes(new), None, "{new}");
        }
    }
}
