//! Before stage 1: what git knows about the worker's directory (W-1, W-5).

use alloc::string::{String, ToString};

use super::config::SpawnMode;
use super::cx::{Cx, GitQuestion, Purpose};
use super::git::{QUESTION_TIMEOUT, git};
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};

/// How much of git's answer is read.
const OUTPUT_BYTES: usize = 256 << 10;

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Survey {
    branch: Option<String>,
    remote_url: Option<String>,
    prefix: String,
    worktrees: String,
}

/// What a worker knows about its directory when it registers. For a directory that is not a
/// repository, all of it is empty.
#[derive(Debug, Default)]
pub(super) struct Directory {
    pub(super) branch: Option<String>,
    pub(super) remote_url: Option<String>,
    /// Its path within the repository: empty, or `sub/directory/`.
    pub(super) prefix: String,
    /// Git's list of worktrees, in worktree mode.
    pub(super) worktrees: String,
    /// The full names of the branches of sessions, in worktree mode.
    pub(super) branches: String,
}

/// What an answer leads to.
pub(super) enum Progress {
    /// Another question has gone out.
    Asking,
    Done(Directory),
    /// Sessions are meant to have worktrees, but cannot.
    Failed(MachineError),
}

impl Survey {
    /// The first thing that a worker does.
    pub(super) fn start(cx: &mut Cx<'_>) {
        ask(cx, GitQuestion::Branch, "");
    }

    pub(super) fn answered(
        &mut self,
        cx: &mut Cx<'_>,
        question: GitQuestion,
        event: &Event,
    ) -> Progress {
        let answer = match event {
            Event::Ran { status, stdout, .. } if status.is_success() => {
                core::str::from_utf8(stdout).ok().map(str::trim)
            }
            _ => None,
        };
        let next = match (question, answer) {
            (GitQuestion::Branch, branch) => {
                self.branch = branch.map(ToString::to_string);
                GitQuestion::RemoteUrl
            }
            (GitQuestion::RemoteUrl, url) => {
                self.remote_url = url.filter(|url| !url.is_empty()).map(without_credentials);
                match cx.config.spawn_mode {
                    SpawnMode::Worktree { .. } => GitQuestion::Prefix,
                    SpawnMode::SingleSession | SpawnMode::SameDir => return self.done(""),
                }
            }
            (GitQuestion::Prefix, Some(prefix)) => {
                self.prefix = prefix.to_string();
                GitQuestion::Commit
            }
            (GitQuestion::Prefix, None) => {
                return no_worktrees(cx, "is not a git repository", event);
            }
            (GitQuestion::Commit, Some(_)) if self.prefix.is_empty() => GitQuestion::Worktrees,
            (GitQuestion::Commit, Some(_)) => GitQuestion::Tree,
            (GitQuestion::Tree, Some(_)) => GitQuestion::Worktrees,
            (GitQuestion::Tree, None) => {
                let why = "is not in the last commit of its git repository";
                return no_worktrees(cx, why, event);
            }
            (GitQuestion::Commit, None) => {
                return no_worktrees(cx, "is a git repository without a commit", event);
            }
            (GitQuestion::Worktrees, list) => {
                self.worktrees = list.unwrap_or_default().to_string();
                GitQuestion::SessionBranches
            }
            (GitQuestion::SessionBranches, list) => return self.done(list.unwrap_or_default()),
        };
        ask(cx, next, &self.prefix);
        Progress::Asking
    }

    fn done(&mut self, branches: &str) -> Progress {
        let Self { branch, remote_url, prefix, worktrees } = core::mem::take(self);
        let branches = branches.to_string();
        Progress::Done(Directory { branch, remote_url, prefix, worktrees, branches })
    }
}

fn ask(cx: &mut Cx<'_>, question: GitQuestion, prefix: &str) {
    let tree = alloc::format!("HEAD:{}", prefix.trim_end_matches('/'));
    let args: &[&str] = match question {
        GitQuestion::Branch => &["symbolic-ref", "--quiet", "--short", "HEAD"],
        GitQuestion::RemoteUrl => &["config", "--get", "remote.origin.url"],
        GitQuestion::Prefix => &["rev-parse", "--show-prefix"],
        GitQuestion::Commit => &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"],
        GitQuestion::Tree => &["rev-parse", "--verify", "--quiet", &tree],
        GitQuestion::Worktrees => &["worktree", "list", "--porcelain"],
        GitQuestion::SessionBranches => {
            &["for-each-ref", "--format=%(refname)", "refs/heads/footbridge/"]
        }
    };
    let command = git(&cx.config.directory, args, &cx.config.agent_env_remove);
    let run = |op| Action::Run { op, command, timeout: QUESTION_TIMEOUT, limit: OUTPUT_BYTES };
    cx.fx.start(Purpose::Git(question), run);
}

fn no_worktrees(cx: &Cx<'_>, why: &str, event: &Event) -> Progress {
    let directory = &cx.config.directory;
    let message = match event {
        Event::Failed { failure, .. } => alloc::format!(
            "could not run git in {directory} to find out whether sessions can have worktrees: \
             {failure}; try again, or use the spawn mode same-dir"
        ),
        _ => alloc::format!(
            "{directory} {why}, so sessions cannot have worktrees of it; commit \
             something in it, choose another directory, or use the spawn mode same-dir"
        ),
    };
    Progress::Failed(MachineError { kind: MachineErrorKind::Local, message })
}

/// A remote URL that is safe to show: what may be a secret in it is removed, whether as a password
/// or in a query or a fragment (T-5).
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, whole)) => {
            let end = whole.find(['?', '#']).unwrap_or(whole.len());
            let (rest, cut) = whole.split_at_checked(end).unwrap_or((whole, ""));
            // A password with such a character in it.
            let rest = if !rest.contains('/') && cut.contains('@') { "" } else { rest };
            let authority = rest.find('/').unwrap_or(rest.len());
            let at = rest.get(..authority).and_then(|authority| authority.rfind('@'));
            let rest = at.and_then(|at| rest.get(at + 1..)).unwrap_or(rest);
            [scheme, "://", rest].concat()
        }
        None => String::from(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_remote_url_is_removed() {
        let cases = [
            ("https://me:hunter2@host/a/b.git", "https://host/a/b.git"),
            ("https://token@host", "https://host"),
            ("https://host/a@b", "https://host/a@b"),
            ("https://host/a.git?token=hunter2#hunter2", "https://host/a.git"),
            ("https://me:hunter2@host?token=hunter2", "https://host"),
            ("https://me:hunt#er2@host/a", "https://"),
            ("git@host:a/b.git", "git@host:a/b.git"),
        ];
        for (url, shown) in cases {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
