//! Git, as the worker and its check run it (W-16).
//!
//! A session's agent can change the configuration, the attributes and the hooks of the repository
//! that it works in. The worker's own git runs outside of any session, also after the agent has
//! ended, so it runs no program that the repository names:
//!
//! | what names a program | the worker's git |
//! | --- | --- |
//! | hooks of any kind, in the repository, in `core.hooksPath` or in `hook.*` | never runs them |
//! | `core.fsmonitor` | never runs it |
//! | filters (`filter.*`) of the system's and the user's configuration, such as Git LFS as `git lfs install` sets it up | runs them, as these define them, wherever it reads or writes files |
//! | filters that only the repository's configuration names, includes included | runs them only with `--trust-repository`; otherwise files are taken as they are stored |
//! | what Git LFS would run: `lfs.extension.*`, `lfs.customtransfer.*`, `lfs.*standalonetransferagent` | likewise |
//! | `core.sshCommand`, `core.askPass`, `core.gitProxy`, credential helpers, remote helpers, `uploadpack` | likewise; without it, git reaches no remote, so it fetches nothing that a partial clone lacks |
//! | submodules: `submodule.*.update`, and the configuration of each | does not enter them |
//! | external diffs, `textconv` | are switched off where files are compared |
//! | merge drivers, `gpg.program`, editors, pagers, `sequence.editor`, aliases, `gc` and its hooks | runs no command that would use them |
//! | `GIT_SSH`, `GIT_ASKPASS` and the like in the worker's own environment | are its owner's, and stay |
//! | variables that name a repository | not inherited: [`super::inherited`] |
//! | `safe.directory`, the owner of a repository | left to git, which refuses other people's |
//!
//! An agent's own git, in its session, does all of this as git does.
//!
//! Names of filters are free, so git is asked for them right before each command that reads or
//! writes files ([`super::worktree`]). An agent of another session of the same repository that
//! rewrites its configuration in that very moment can still get a filter run; it runs as the same
//! user anyway.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use core::time::Duration;

use super::inherited::withheld;
use crate::base::secret::Secret;
use crate::contract::action::ProcessSpec;

/// How long git may take to answer a question about a directory.
pub(super) const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What overrides any configuration, in every command.
const SETTINGS: [(&str, &str); 10] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("submodule.recurse", "false"),
    // Where these say otherwise, as in a repository that comes from another system, git overlooks
    // files whose names differ only in case, and changes of their mode; it believes notes on what
    // was there before; and it takes other commits for those that are there.
    ("core.ignoreCase", "false"),
    ("core.fileMode", "true"),
    ("core.ignoreStat", "false"),
    ("core.untrackedCache", "false"),
    ("core.useReplaceRefs", "false"),
    // A file that changes keeps neither its time of change nor its inode.
    ("core.trustCtime", "true"),
    ("core.checkStat", "default"),
];

/// The first of them as `git config` prints it: a git that does not has ignored all of them, since
/// those before 2.31 do not know the variables that they are passed in.
pub(super) const FIRST_SETTING: (&str, &str) = ("core.hookspath", "/dev/null");

/// What a command may run besides git itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Programs {
    /// What the owner's configuration names; these settings override the repository's.
    OfOwner(Vec<(String, String)>),
    /// What the repository's configuration names, too, but for hooks and `core.fsmonitor`.
    OfRepository,
}

/// A git command in a directory that neither reads nor writes its files.
pub(super) fn git<S: AsRef<str>>(directory: &str, args: &[S], own: &[String]) -> ProcessSpec {
    git_with(directory, args, own, &Programs::OfOwner(Vec::new()))
}

/// A git command in a directory. It never prompts. The variables kept from agents are kept from it
/// as well, because what it runs is other people's programs (S-3, T-5).
pub(super) fn git_with<S: AsRef<str>>(
    directory: &str,
    args: &[S],
    own: &[String],
    programs: &Programs,
) -> ProcessSpec {
    let args = args.iter().map(AsRef::as_ref);
    let args: Vec<String> = ["-C", directory].into_iter().chain(args).map(String::from).collect();
    let mut env = vec![
        (String::from("GIT_TERMINAL_PROMPT"), Secret::from("0")),
        (String::from("LC_ALL"), Secret::from("C")),
        // Whoever works there meanwhile, a person or an agent, does not meet the lock of a look.
        (String::from("GIT_OPTIONAL_LOCKS"), Secret::from("0")),
        // Which commits a commit follows is what it says itself.
        (String::from("GIT_GRAFT_FILE"), Secret::from("/dev/null")),
    ];
    let mut settings: Vec<(&str, &str)> = SETTINGS.to_vec();
    if let Programs::OfOwner(overrides) = programs {
        settings.extend(overrides.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        env.push((String::from("GIT_NO_LAZY_FETCH"), Secret::from("1")));
        // For versions that do not know that one: no protocol is allowed.
        env.push((String::from("GIT_ALLOW_PROTOCOL"), Secret::from("")));
    }
    // Not as `-c`, which cannot express keys with a `=` in them.
    for (n, (key, value)) in settings.iter().enumerate() {
        env.push((format!("GIT_CONFIG_KEY_{n}"), Secret::from(*key)));
        env.push((format!("GIT_CONFIG_VALUE_{n}"), Secret::from(*value)));
    }
    env.push((String::from("GIT_CONFIG_COUNT"), Secret::from(settings.len().to_string().as_str())));
    ProcessSpec {
        program: String::from("git"),
        args,
        env,
        env_remove: withheld(own),
        directory: None,
    }
}
