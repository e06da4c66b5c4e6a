//! Which of the files that git ignores are work.
//!
//! A worktree's removal deletes them, and they are in no commit. Most can be made again from what
//! is, but a `.env`, a note or a repository within cannot. So everything ignored counts as work,
//! except for
//!
//! - all below a directory with one of the names here, or with one that the worker's owner gives
//!   (`--disposable`);
//! - all below a directory that says itself what it is: with a `CACHEDIR.TAG` that has the signature,
//!   as most tools write it into their caches, or with a `pyvenv.cfg` that names a Python;
//! - single files with one of the endings here, or with a name that the owner gives.
//!
//! A repository or worktree of its own counts wherever it is, of git or of any other system.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

/// Directories of dependencies, of what was built, and of caches.
const REMADE_DIRECTORIES: [&str; 30] = [
    ".build",
    ".cache",
    ".dart_tool",
    ".eggs",
    ".gradle",
    ".mypy_cache",
    ".next",
    ".nox",
    ".nuxt",
    ".nyc_output",
    ".parcel-cache",
    ".pytest_cache",
    ".ruff_cache",
    ".stack-work",
    ".svelte-kit",
    ".tox",
    ".turbo",
    ".venv",
    ".zig-cache",
    "CMakeFiles",
    "DerivedData",
    "__pycache__",
    "_build",
    "bower_components",
    "build",
    "dist",
    "dist-newstyle",
    "node_modules",
    "target",
    "venv",
];

/// Those that are often links to the ones of another worktree, and never files.
const LINKED: [&str; 3] = [".venv", "node_modules", "venv"];

/// Files in whose directory everything is made, if they begin a line so.
const TAGS: [(&str, &str); 2] = [("CACHEDIR.TAG", SIGNATURE), ("pyvenv.cfg", "home")];

/// What such a file begins with.
const SIGNATURE: &str = "Signature: 8a477f597d28d172789f06886806bc55";

/// Asks which of those files have what makes them one: path, number and text of each such line.
/// Git does not follow links.
pub(super) const TAGS_QUESTION: [&str; 17] = [
    "grep",
    "--no-index",
    "--no-exclude-standard",
    "--no-color",
    "--no-textconv",
    "--basic-regexp",
    "--text",
    "--line-number",
    "--no-column",
    "-z",
    "-e",
    "^Signature: 8a477f597d28d172789f06886806bc55",
    "-e",
    "^home *=",
    "--",
    ":(glob)**/CACHEDIR.TAG",
    ":(glob)**/pyvenv.cfg",
];

/// Directories and files of other systems than git, in what is a repository, or a checkout that can
/// have changes.
const REPOSITORIES: [&str; 9] =
    [".hg", ".jj", ".svn", ".bzr", ".pijul", ".sl", "_darcs", ".fslckout", "_FOSSIL_"];

/// Endings of files that compilers and systems make, and of what an agent was allowed in a worktree
/// that ends with it.
const REMADE_ENDINGS: [&str; 13] = [
    ".claude/settings.local.json",
    ".DS_Store",
    ".a",
    ".class",
    ".dll",
    ".dylib",
    ".exe",
    ".o",
    ".obj",
    ".pyc",
    ".pyo",
    ".so",
    ".tsbuildinfo",
];

/// What tells work from the rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ignored<'a> {
    /// The owner's names, each of a directory or a file; `*NAME` for all that end so.
    disposable: &'a [String],
}

impl<'a> Ignored<'a> {
    pub(super) const fn new(disposable: &'a [String]) -> Self {
        Self { disposable }
    }

    /// Why a worktree is kept with these ignored files: a list of git's, each ended by NUL. Git does
    /// not look into repositories, which are listed with a `/` at the end. `tags` is the answer to
    /// [`TAGS_QUESTION`].
    pub(super) fn work_in(&self, list: &str, tags: &str) -> Option<String> {
        if let Some(reason) = Self::repository_in(list) {
            return Some(reason);
        }
        let mut work = self.work(list, tags);
        let first = work.next()?;
        Some(match work.count() {
            0 => format!("a file that git ignores and no commit has, {first}"),
            more => {
                format!("{} files that git ignores and no commit has, such as {first}", more + 1)
            }
        })
    }

    /// The same if only repositories within count.
    pub(super) fn repository_in(list: &str) -> Option<String> {
        let paths = || list.split_terminator('\0');
        let bare: BTreeSet<&str> = paths().filter_map(|path| path.strip_suffix("/HEAD")).collect();
        let within =
            paths().find_map(|path| path.strip_suffix('/').or_else(|| object_of(path, &bare)));
        let within = within.or_else(|| paths().find_map(foreign_repository));
        Some(format!("a repository within that git ignores, {}", within?))
    }

    /// The files of such a list that are work, and the repositories.
    pub(super) fn work<'l>(
        &self,
        list: &'l str,
        tags: &str,
    ) -> impl Iterator<Item = &'l str> + use<'l, 'a> {
        let tags = read_tags(tags);
        let real = list.split_terminator('\0').filter(|path| tags.contains(path));
        let marked: BTreeSet<&str> = real.filter_map(tagged).collect();
        let ignored = *self;
        let is_work = move |path: &&str| {
            path.ends_with('/')
                || foreign_repository(path).is_some()
                || !ignored.is_remade(path, &marked)
        };
        list.split_terminator('\0').filter(is_work)
    }

    /// Whether a file in such a list says that all in its directory can be made again. One with a line
    /// break in its path could not be told from others in the answer.
    pub(super) fn has_tags(list: &str) -> bool {
        !list.contains('\n') && list.split_terminator('\0').any(|path| tagged(path).is_some())
    }

    fn is_remade(&self, path: &str, marked: &BTreeSet<&str>) -> bool {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let is_disposable = |name: &str| {
            self.disposable.iter().any(|one| match one.strip_prefix('*') {
                Some(ending) => name.ends_with(ending),
                None => name == one,
            })
        };
        let mut directories = directory.split('/').filter(|name| !name.is_empty());
        LINKED.contains(&name)
            || REMADE_ENDINGS.iter().any(|ending| path.ends_with(ending))
            || is_disposable(name)
            || directories.any(|name| REMADE_DIRECTORIES.contains(&name) || is_disposable(name))
            || (!marked.is_empty() && above(path).any(|directory| marked.contains(directory)))
    }
}

/// The directory that this file says is made.
fn tagged(path: &str) -> Option<&str> {
    let (directory, name) = path.rsplit_once('/')?;
    TAGS.iter().any(|(tag, _)| *tag == name).then_some(directory)
}

/// The files that are really what they are called, from git's answer: a cache's tag begins with the
/// signature.
fn read_tags(answer: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for line in answer.lines() {
        let mut parts = line.splitn(3, '\0');
        let (Some(path), Some(number), Some(text)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let is_real = TAGS.iter().any(|(tag, text_begins)| {
            *tag == name
                && text.starts_with(text_begins)
                && (*tag != "CACHEDIR.TAG" || number == "1")
        });
        if is_real {
            found.insert(path);
        }
    }
    found
}

/// The repository of another system that this file belongs to.
fn foreign_repository(path: &str) -> Option<&str> {
    let is_repository = |name: &str| REPOSITORIES.contains(&name) || name.ends_with(".fossil");
    let mut begins = 0;
    path.split('/').find_map(|name| {
        let end = begins + name.len();
        let above = path.get(..begins.saturating_sub(1)).filter(|above| !above.is_empty());
        begins = end + 1;
        is_repository(name).then_some(above.unwrap_or(name))
    })
}

/// The repository without files of its own that this is an object of.
fn object_of<'a>(path: &'a str, bare: &BTreeSet<&str>) -> Option<&'a str> {
    if bare.is_empty() {
        return None;
    }
    let (repository, _) = path.split_once("/objects/")?;
    bare.contains(repository).then_some(repository)
}

/// The directories that a file is in, from the innermost.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| path.get(..at).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_made_again_is_not_work_and_anything_else_is() {
        let disposable = [String::from("scratch"), String::from("*.log")];
        let ignored = Ignored::new(&disposable);
        let remade = [
            "",
            "node_modules/a/.env\0",
            "a/target/x\0b.pyc\0",
            "sub/.DS_Store\0",
            "node_modules\0sub/.venv\0",
            "cache of it/CACHEDIR.TAG\0cache of it/a/b\0",
            "env/bin/python\0env/pyvenv.cfg\0",
            "target/x.hg/a\0",
            "scratch/a/b\0c/scratch\0d/e.log\0",
            "target/refs/HEAD\0target/objects/a\0",
        ];
        let signed = format!("cache of it/CACHEDIR.TAG\0{}\0{SIGNATURE}\n", 1);
        let tags = format!("{signed}env/pyvenv.cfg\02\0home = /usr\n");
        for list in remade {
            assert_eq!(ignored.work_in(list, &tags), None, "{list:?}");
        }
        let cases = [
            (".env\0node_modules/a\0", "no commit has, .env"),
            ("a/.env\0notes\0target/b\0", "2 files that git ignores"),
            ("target/part/\0", "a repository within that git ignores, target/part"),
            ("target/p.git/HEAD\0target/p.git/objects/a\0", "git ignores, target/p.git"),
            ("target\0", "no commit has, target"),
            ("CACHEDIR.TAG\0a\0", "2 files"),
            ("cache of it/CACHEDIR.TAG\0ab/c\0", "no commit has, ab/c"),
            // Not signed, or not at the beginning, or not what it says.
            ("a/CACHEDIR.TAG\0", "no commit has, a/CACHEDIR.TAG"),
            ("late/CACHEDIR.TAG\0", "no commit has, late/CACHEDIR.TAG"),
            ("other/pyvenv.cfg\0", "no commit has, other/pyvenv.cfg"),
            ("target/p/.hg/store/a\0", "a repository within that git ignores, target/p"),
            ("target/.jj/a\0", "a repository within that git ignores, target"),
            ("target/p.fossil\0", "a repository within that git ignores, target"),
            ("scratches/a\0", "no commit has, scratches/a"),
        ];
        let late = format!("late/CACHEDIR.TAG\0{}\0{SIGNATURE}\n", 2);
        let tags = format!("{tags}{late}other/pyvenv.cfg\01\0{SIGNATURE}\n");
        for (list, reason) in cases {
            let why = ignored.work_in(list, &tags);
            assert!(why.as_ref().is_some_and(|why| why.contains(reason)), "{list:?}: {why:?}");
        }
    }
}
