//! What a worker would need for a run, tried out. Nothing is registered.
//!
//! ```text
//!   relay ──▶ clock ──▶ token ──▶ git ──▶ state directory ──▶ agent
//! ```
//!
//! One after the other, and each ends with one [`Checked`]. What cannot be tried because something
//! before it is not there, and what a run can do without, is [`Finding::Skipped`].

mod agent;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::api::{self, RequestError};
use super::config::AgentProgram;
use super::git::git;
use super::register::GIT_TIMEOUT;
use crate::auth::AccessToken;
use crate::base::limits::{CLOCK_TOLERANCE, STDERR_TAIL_BYTES};
use crate::base::time::{Now, UnixTime};
use crate::contract::action::{Action, Response};
use crate::contract::event::Event;
use crate::contract::machine::{Machine, MachineErrorKind, Step};
use crate::engine::effects::Effects;
use crate::wire::url::BaseUrl;
use agent::AgentCheck;

/// What is to be tried. What is `None` could not even be found, and whoever looked for it says so.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// Where the relay is.
    pub relay: BaseUrl,
    /// The person's access token.
    pub access_token: Option<AccessToken>,
    /// The directory that sessions are to work in.
    pub directory: Option<String>,
    /// Whether each session is to have a git worktree.
    pub is_worktree_mode: bool,
    /// The worker's part of the state directory.
    pub state_directory: Option<String>,
    /// The program that each session runs.
    pub agent: Option<AgentProgram>,
    /// Variables of the worker's own environment that it is not to inherit.
    pub agent_env_remove: Vec<String>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What: `relay`, `clock`, `token`, `git`, `state` or `agent`.
    pub what: &'static str,
    /// What came of it.
    pub finding: Finding,
}

/// What came of a check, in words for people. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is as a run needs it.
    Ok(String),
    /// A run would fail, or lose something.
    Failed {
        /// How a run would end.
        kind: MachineErrorKind,
        /// What is wrong, and what to try.
        reason: String,
    },
    /// It could not be tried, or a run can do without it.
    Skipped(String),
}

impl Finding {
    fn local(reason: String) -> Self {
        Self::Failed { kind: MachineErrorKind::Local, reason }
    }
}

/// What an operation was started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Health,
    Token,
    GitVersion,
    GitCommit,
    Save,
    Remove,
    Agent,
}

/// The machine that tries it all, and then has finished: with `Ok`, whatever it has found.
#[derive(Debug)]
pub struct Check {
    config: CheckConfig,
    fx: Effects<Purpose, Checked>,
    agent: Option<AgentCheck>,
}

impl Check {
    /// A check that begins with its first step.
    pub fn new(config: CheckConfig) -> Self {
        let mut fx = Effects::new();
        let request = api::health(&config.relay);
        fx.start(Purpose::Health, |op| Action::Request { op, request });
        Self { config, fx, agent: None }
    }

    fn tell(&mut self, what: &'static str, finding: Finding) {
        self.fx.notify(Checked { what, finding });
    }

    fn health_answered(&mut self, event: Event) {
        #[derive(Deserialize)]
        struct Health {
            status: String,
        }
        let relay = self.config.relay.clone();
        let date = match &event {
            Event::Response { response, .. } => date_of(response),
            _ => None,
        };
        match api::answer::<Health>(event) {
            Ok(health) if health.status == "ok" => {
                self.tell("relay", Finding::Ok(format!("{relay} answers")));
                let finding = clock(date, self.fx.now().wall);
                self.tell("clock", finding);
                self.ask_token();
            }
            Ok(_) => {
                let reason = format!("{relay} says that it is not well; try again later");
                self.no_relay(MachineErrorKind::GaveUp, reason);
            }
            Err(trouble) => {
                let fault = trouble.fault("ask for its health", &relay);
                match trouble.track() {
                    Some(_) => {
                        let reason = format!(
                            "{relay} cannot be reached: {trouble}; check the address and the network"
                        );
                        self.no_relay(MachineErrorKind::GaveUp, reason);
                    }
                    None => self.no_relay(fault.kind, fault.message),
                }
            }
        }
    }

    fn no_relay(&mut self, kind: MachineErrorKind, reason: String) {
        self.tell("relay", Finding::Failed { kind, reason });
        let only_the_relay = || Finding::Skipped(String::from("only the relay can tell"));
        self.tell("clock", only_the_relay());
        if self.config.access_token.is_some() {
            self.tell("token", only_the_relay());
        }
        self.ask_git();
    }

    /// Any request that the access token opens, and that changes nothing.
    fn ask_token(&mut self) {
        let Some(token) = &self.config.access_token else {
            return self.ask_git();
        };
        let request = api::environments(&self.config.relay, token.secret());
        self.fx.start(Purpose::Token, |op| Action::Request { op, request });
    }

    fn token_answered(&mut self, event: Event) {
        let finding = match api::answer::<IgnoredAny>(event) {
            Ok(_) => Finding::Ok(String::from("the relay takes it")),
            Err(trouble) => self.refused(&trouble),
        };
        self.tell("token", finding);
        self.ask_git();
    }

    fn refused(&self, trouble: &RequestError) -> Finding {
        let fault = trouble.fault("use the access token", &self.config.relay);
        let kind = if trouble.track().is_some() { MachineErrorKind::GaveUp } else { fault.kind };
        Finding::Failed { kind, reason: fault.message }
    }

    fn ask_git(&mut self) {
        self.run_git(Purpose::GitVersion, &["--version"]);
    }

    fn run_git(&mut self, purpose: Purpose, args: &[&str]) {
        let Some(directory) = &self.config.directory else {
            self.tell("git", Finding::Skipped(String::from("there is no directory to try it in")));
            return self.save();
        };
        let command = git(directory, args, &self.config.agent_env_remove);
        let run = |op| Action::Run { op, command, timeout: GIT_TIMEOUT, limit: STDERR_TAIL_BYTES };
        self.fx.start(purpose, run);
    }

    fn git_version(&mut self, event: &Event) {
        let version = match event {
            Event::Ran { status, stdout, .. } if status.is_success() => {
                String::from_utf8_lossy(stdout).trim().to_string()
            }
            other => {
                let reason = format!("git cannot be run: {}", why(other));
                let finding = if self.config.is_worktree_mode {
                    Finding::local(format!("{reason}; the spawn mode worktree needs it"))
                } else {
                    Finding::Skipped(format!("{reason}; only the spawn mode worktree needs it"))
                };
                self.tell("git", finding);
                return self.save();
            }
        };
        if self.config.is_worktree_mode {
            return self.run_git(Purpose::GitCommit, &["rev-parse", "--verify", "HEAD^{commit}"]);
        }
        self.tell("git", Finding::Ok(version));
        self.save();
    }

    fn git_commit(&mut self, event: &Event) {
        let finding = match event {
            Event::Ran { status, .. } if status.is_success() => {
                Finding::Ok(String::from("the directory is a repository with a commit"))
            }
            other => Finding::local(format!(
                "worktrees need a git repository with a commit: {}; choose another directory, or the spawn mode same-dir",
                why(other)
            )),
        };
        self.tell("git", finding);
        self.save();
    }

    /// The file that is written into the state directory for a moment.
    fn probe(&self) -> Option<String> {
        self.config.state_directory.as_ref().map(|state| format!("{state}/check"))
    }

    fn save(&mut self) {
        let Some(path) = self.probe() else {
            let reason =
                "there is none, because HOME is not set: results would not survive a crash";
            self.tell("state", Finding::local(String::from(reason)));
            return self.start_agent();
        };
        self.fx.start(Purpose::Save, |op| Action::Save { op, path, data: Bytes::new() });
    }

    fn saved(&mut self, event: &Event) {
        match (event, self.probe()) {
            (Event::Saved { .. }, Some(path)) => {
                self.fx.start(Purpose::Remove, |op| Action::Remove { op, path });
            }
            (other, _) => self.state_checked(other),
        }
    }

    fn state_checked(&mut self, event: &Event) {
        let state = self.config.state_directory.clone().unwrap_or_default();
        let finding = match event {
            Event::Removed { .. } => Finding::Ok(format!("{state} can be written to")),
            other => Finding::local(format!("{state} cannot be written to: {}", why(other))),
        };
        self.tell("state", finding);
        self.start_agent();
    }

    fn start_agent(&mut self) {
        let (Some(agent), Some(directory)) = (&self.config.agent, &self.config.directory) else {
            if self.config.agent.is_some() {
                let reason = String::from("there is no directory to start it in");
                self.tell("agent", Finding::Skipped(reason));
            }
            return self.fx.end(Ok(()));
        };
        let env_remove = self.config.agent_env_remove.clone();
        let check = AgentCheck::start(&mut self.fx, agent, directory.clone(), env_remove);
        self.agent = Some(check);
    }

    fn agent_told(&mut self, finding: Option<Finding>) {
        if let Some(finding) = finding {
            self.tell("agent", finding);
            self.fx.end(Ok(()));
        }
    }
}

impl Machine for Check {
    type Command = Infallible;
    type Notice = Checked;

    fn command(&mut self, _: Now, command: Infallible) {
        match command {}
    }

    fn handle(&mut self, now: Now, event: Event) {
        if self.fx.is_ended() {
            return;
        }
        self.fx.advance(now);
        match event.op().and_then(|op| self.fx.purpose(op).map(|purpose| (op, purpose))) {
            Some((_, Purpose::Agent)) => {
                let finding = self.agent.as_mut().and_then(|a| a.handle(&mut self.fx, event));
                self.agent_told(finding);
            }
            Some((op, purpose)) => {
                self.fx.finish(op);
                match purpose {
                    Purpose::Health => self.health_answered(event),
                    Purpose::Token => self.token_answered(event),
                    Purpose::GitVersion => self.git_version(&event),
                    Purpose::GitCommit => self.git_commit(&event),
                    Purpose::Save => self.saved(&event),
                    Purpose::Remove => self.state_checked(&event),
                    Purpose::Agent => {}
                }
            }
            None => {}
        }
        let finding = self.agent.as_mut().and_then(|agent| agent.on_time(&mut self.fx));
        self.agent_told(finding);
    }

    fn step(&mut self) -> Step<Checked> {
        self.fx.step(self.agent.as_ref().and_then(AgentCheck::deadline))
    }
}

/// Why something was not done.
fn why(event: &Event) -> String {
    match event {
        Event::Failed { failure, .. } => failure.to_string(),
        Event::Ran { status, stderr, .. } => match String::from_utf8_lossy(stderr).trim() {
            "" => status.to_string(),
            words => words.to_string(),
        },
        _ => String::from("no reason was given"),
    }
}

fn date_of(response: &Response) -> Option<UnixTime> {
    response.header("date").and_then(UnixTime::from_http_date)
}

/// Tokens and leases run out at a time of the clock: both ends have to agree on it roughly.
fn clock(relay: Option<UnixTime>, here: UnixTime) -> Finding {
    let Some(relay) = relay else {
        return Finding::Skipped(String::from("the relay does not say what time it is there"));
    };
    let (behind, ahead) = (relay.saturating_since(here), here.saturating_since(relay));
    if behind.max(ahead) <= CLOCK_TOLERANCE {
        return Finding::Ok(String::from("it agrees with the relay's"));
    }
    let (seconds, way) =
        if behind > ahead { (behind.as_secs(), "behind") } else { (ahead.as_secs(), "ahead of") };
    Finding::local(format!(
        "this machine's clock is {seconds} s {way} the relay's, so tokens would run out at the wrong time: set the clock, by NTP for instance"
    ))
}
