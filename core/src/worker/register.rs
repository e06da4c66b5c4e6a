//! Stage 1: find out what the directory is, and register it (W-1, E-1).

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::api::{self, Environment, RequestError};
use super::config::SpawnMode;
use super::git::git;
use super::{Purpose, Stage, Timer, Worker, WorkerNotice};
use crate::auth::MAX_TOKEN_FILE_BYTES;
use crate::base::id::EnvironmentId;
use crate::contract::action::Action;
use crate::contract::event::Event;
use crate::contract::machine::{MachineError, MachineErrorKind};
use crate::engine::backoff::{Backoff, FailureTrack, Verdict};
use crate::wire::environment::{Metadata, Registered, Registration};

/// How long git may take to answer a question about the directory.
pub(super) const GIT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much of its answer is read.
const GIT_OUTPUT_BYTES: usize = 256 << 10;

/// What is asked of git before registering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GitQuestion {
    Branch,
    RemoteUrl,
    /// The rest is asked in worktree mode alone: where in the repository we are, whether there is a
    /// commit to begin from, and what earlier runs have left.
    Prefix,
    Commit,
    Worktrees,
}

/// What the worker knows for its registration, and how the last try went.
#[derive(Debug)]
pub(super) struct Registering {
    branch: Option<String>,
    git_repo_url: Option<String>,
    backoff: Backoff,
    /// The token's file was read since the last success.
    is_token_renewed: bool,
    /// How often it has been registered.
    pub(super) count: u32,
    /// The environment as it was registered last.
    pub(super) environment: Option<Environment>,
}

impl Registering {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self {
            branch: None,
            git_repo_url: None,
            backoff,
            is_token_renewed: false,
            count: 0,
            environment: None,
        }
    }

    pub(super) fn reset_backoff(&mut self) {
        self.backoff.reset();
    }
}

impl Worker {
    /// The first thing a worker does. A directory that is no repository is registered without.
    pub(super) fn ask_git(&mut self, question: GitQuestion) {
        let args: &[&str] = match question {
            GitQuestion::Branch => &["symbolic-ref", "--quiet", "--short", "HEAD"],
            GitQuestion::RemoteUrl => &["config", "--get", "remote.origin.url"],
            GitQuestion::Prefix => &["rev-parse", "--show-prefix"],
            GitQuestion::Commit => &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"],
            GitQuestion::Worktrees => &["worktree", "list", "--porcelain"],
        };
        let command = git(&self.config.directory, args, &self.config.agent_env_remove);
        let run = |op| Action::Run { op, command, timeout: GIT_TIMEOUT, limit: GIT_OUTPUT_BYTES };
        self.fx.start(Purpose::Git(question), run);
    }

    pub(super) fn git_answered(&mut self, question: GitQuestion, event: &Event) {
        let words = match event {
            Event::Ran { status, stdout, .. } if status.is_success() => {
                core::str::from_utf8(stdout).ok().map(str::trim)
            }
            _ => None,
        };
        let is_worktree_mode = matches!(self.config.spawn_mode, SpawnMode::Worktree { .. });
        match (question, words) {
            (GitQuestion::Branch, words) => {
                self.registering.branch = words.map(ToString::to_string);
                self.ask_git(GitQuestion::RemoteUrl);
            }
            (GitQuestion::RemoteUrl, words) => {
                let url = words.filter(|url| !url.is_empty());
                self.registering.git_repo_url = url.map(without_credentials);
                if is_worktree_mode {
                    self.ask_git(GitQuestion::Prefix);
                } else {
                    self.register();
                }
            }
            (GitQuestion::Prefix, Some(prefix)) => {
                self.worktrees.prefix = prefix.to_string();
                self.ask_git(GitQuestion::Commit);
            }
            (GitQuestion::Commit, Some(_)) => self.ask_git(GitQuestion::Worktrees),
            (GitQuestion::Worktrees, words) => {
                let list = words.unwrap_or_default().to_string();
                self.clean_leftovers(&list);
                self.register();
            }
            (GitQuestion::Prefix, None) => self.no_worktrees("is no git repository", event),
            (GitQuestion::Commit, None) => {
                self.no_worktrees("is a git repository without a commit", event);
            }
        }
    }

    fn no_worktrees(&mut self, why: &str, event: &Event) {
        let directory = &self.config.directory;
        let message = match event {
            Event::Failed { failure, .. } => alloc::format!(
                "git could not be asked whether sessions can have worktrees of {directory}: \
                 {failure}; try again, or choose the spawn mode same-dir"
            ),
            _ => alloc::format!(
                "{directory} {why}, so that no session can have a worktree of it; choose another \
                 directory, or the spawn mode same-dir"
            ),
        };
        self.shut_down_because(MachineError { kind: MachineErrorKind::Local, message });
    }

    /// Registers, again under the name that it had before, if it had one.
    pub(super) fn register(&mut self) {
        self.stage = Stage::Registering;
        let config = &self.config;
        let body = Registration {
            machine_name: config.machine_name.clone(),
            directory: config.directory.clone(),
            branch: self.registering.branch.clone(),
            git_repo_url: self.registering.git_repo_url.clone(),
            max_sessions: config.capacity(),
            metadata: Metadata { worker_type: config.worker_type.clone() },
            environment_id: self.registering.environment.as_ref().map(|known| known.id.clone()),
        };
        let request = api::register(&config.relay, config.access_token.secret(), &body);
        self.fx.start(Purpose::Register, |op| Action::Request { op, request });
    }

    pub(super) fn register_answered(&mut self, event: Event) {
        let registered = match api::answer::<Registered>(event) {
            Ok(registered) => registered,
            Err(_) if self.stage == Stage::ShuttingDown => return,
            Err(trouble) => {
                let is_refused = trouble.refusal().is_some_and(|refusal| refusal.status == 401);
                if is_refused && self.look_for_newer_token() {
                    return;
                }
                return self.register_failed(&trouble);
            }
        };
        self.registering.is_token_renewed = false;
        self.registering.backoff.reset();
        let environment =
            Environment { id: registered.environment_id, secret: registered.environment_secret };
        let is_again = self.registering.environment.is_some();
        let id = environment.id.clone();
        self.registering.count = self.registering.count.wrapping_add(1);
        self.take_secret(&environment);
        self.registering.environment = Some(environment);
        if self.stage == Stage::ShuttingDown {
            // The secret is good for the last reports; work is for others.
            return;
        }
        self.stage = Stage::Serving;
        self.fx.notify(WorkerNotice::Registered { environment: id, is_again });
        self.ask_with_new_secret();
        self.look_into_spool();
        self.poll_if_there_is_room();
    }

    /// Reads the access token's file again, once for each refusal in a row (E-10).
    fn look_for_newer_token(&mut self) -> bool {
        let Some(path) = self.config.access_token.file() else { return false };
        if core::mem::replace(&mut self.registering.is_token_renewed, true) {
            return false;
        }
        let limit = MAX_TOKEN_FILE_BYTES;
        self.fx.start(Purpose::Token, |op| Action::Load { op, path, limit });
        true
    }

    pub(super) fn token_loaded(&mut self, event: &Event) {
        // The same token, or none, is tried once more all the same: its refusal says what to do.
        if let Event::Loaded { data: Some(data), .. } = event {
            self.config.access_token.refresh(data);
        }
        if self.stage == Stage::Registering {
            self.register();
        }
    }

    /// What is under way under this environment's name goes on with its new secret.
    fn take_secret(&mut self, new: &Environment) {
        let renew = |known: &mut Environment| {
            let is_new = known.id == new.id && known.secret.reveal() != new.secret.reveal();
            if is_new {
                known.secret = new.secret.clone();
            }
            is_new
        };
        for session in self.sessions.values_mut() {
            renew(&mut session.lease.environment);
        }
        for claim in self.claims.values_mut() {
            renew(&mut claim.lease.environment);
        }
        let reports = self.reports.iter_mut();
        let renewed = reports
            .filter_map(|(work, report)| renew(&mut report.environment).then(|| work.clone()));
        for work in renewed.collect::<Vec<_>>() {
            self.timers.clear(&Timer::Report(work.clone()));
            self.spool(&work);
        }
    }

    fn ask_with_new_secret(&mut self) {
        let waiting = self.sessions.iter_mut();
        let waiting = waiting.filter_map(|(id, session)| {
            core::mem::take(&mut session.awaits_secret).then(|| id.clone())
        });
        for id in waiting.collect::<Vec<_>>() {
            self.ask_redispatch(&id);
        }
    }

    /// Whether a refusal may be mended by a new secret, which is then being looked for (W-8).
    pub(super) fn secret_refused(
        &mut self,
        environment: &EnvironmentId,
        trouble: &RequestError,
        registration: u32,
    ) -> bool {
        let is_refused = trouble.refusal().is_some_and(|refusal| refusal.status == 401);
        let own = self.registering.environment.as_ref();
        if !is_refused || own.is_none_or(|own| own.id != *environment) {
            return false;
        }
        match self.stage {
            Stage::ShuttingDown => false,
            Stage::Registering => true,
            // It was sent with the secret before.
            Stage::Serving if registration != self.registering.count => true,
            Stage::Serving => {
                self.look_for_new_secret("use its secret", trouble);
                self.stage != Stage::ShuttingDown
            }
        }
    }

    fn register_failed(&mut self, trouble: &RequestError) {
        const WHAT: &str = "register";
        // Whose token was good before may be early: the file has the new one, the relay not yet.
        // Its sessions are worth some patience, and the file another look each time.
        let was_good = self.registering.count > 0;
        let is_refused = trouble.refusal().is_some_and(|refusal| refusal.status == 401);
        let is_early = was_good && is_refused && self.config.access_token.file().is_some();
        let track = trouble.track().or(is_early.then_some(FailureTrack::General));
        let Some(track) = track else {
            return self.shut_down_because(trouble.fault(WHAT, &self.config.relay));
        };
        self.registering.is_token_renewed &= !is_early;
        let now = self.fx.now().mono;
        let backoff = &mut self.registering.backoff;
        let pause = trouble.retry_after(self.fx.now().wall);
        match backoff.fail(now, track, pause, &mut self.rng) {
            Verdict::RetryAfter(retry_in) => {
                self.timers.set(Timer::Register, now + retry_in);
                let reason = trouble.to_string();
                self.fx.notify(WorkerNotice::Retrying { what: WHAT, reason, retry_in });
            }
            Verdict::GiveUp { .. } if is_refused => {
                self.shut_down_because(trouble.fault(WHAT, &self.config.relay));
            }
            Verdict::GiveUp { failing_for } => self.give_up(WHAT, trouble, failing_for),
        }
    }

    /// The relay does not know this environment any more: register anew, under the same name if it
    /// will have it.
    pub(super) fn register_again(&mut self) {
        self.drop_poll();
        self.register();
    }

    pub(super) fn give_up(&mut self, what: &str, trouble: &RequestError, failing_for: Duration) {
        let relay = &self.config.relay;
        let message = alloc::format!(
            "could not {what} at {relay} for {} s, and gave up: {trouble}; check the address and \
             the network, or start with --never-give-up",
            failing_for.as_secs()
        );
        self.shut_down_because(MachineError { kind: MachineErrorKind::GaveUp, message });
    }
}

/// A remote URL as it may be shown: a password in it stays here (T-5).
fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
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
    fn a_password_in_a_remote_url_stays_here() {
        let cases = [
            ("https://me:hunter2@host/a/b.git", "https://host/a/b.git"),
            ("https://token@host", "https://host"),
            ("https://host/a@b", "https://host/a@b"),
            ("git@host:a/b.git", "git@host:a/b.git"),
        ];
        for (url, shown) in cases {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
