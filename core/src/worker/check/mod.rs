//! Tries everything a worker would need for a run. Nothing is registered.
//!
//! ```text
//!   relay ──▶ clock ──▶ token ──▶ poll ──▶ call ──▶ link ──▶ stream ──▶ git ──▶ state directory ──▶ agent
//! ```
//!
//! The checks run one after the other, and each ends with one [`Checked`]. A check that cannot be
//! tried because an earlier one failed, or that a run can do without, is [`Finding::Skipped`].

mod agent;
mod channels;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::convert::Infallible;

use bytes::Bytes;

use super::config::{AgentProgram, WorkerConfig};
use super::git::{QUESTION_TIMEOUT, git};
use super::inherited::withheld;
use crate::auth::{Credential, MAX_TOKEN_FILE_BYTES};
use crate::base::limits::{CLOCK_TOLERANCE, STDERR_TAIL_BYTES};
use crate::base::time::UnixTime;
use crate::client::{RequestError, TokenRetry, answer, ask_for_proof, proved, worker_api};
use crate::contract::action::{Action, Response};
use crate::contract::event::Event;
use crate::contract::machine::MachineErrorKind;
use crate::engine::runner::{self, Role, Runner, delegate_machine};
use crate::wire::health::Health;
use crate::wire::url::BaseUrl;
use crate::wire::viewer::EnvironmentList;
use agent::AgentCheck;
use channels::Channel;

/// What to try. Anything that is `None` could not even be found, and the caller reports that.
#[derive(Clone, Debug)]
pub struct CheckConfig {
    /// The relay's URL.
    pub relay: BaseUrl,
    /// What the worker would register with.
    pub credential: Option<Credential>,
    /// The directory that sessions would work in.
    pub directory: Option<String>,
    /// Whether each session would get a git worktree.
    pub is_worktree_mode: bool,
    /// The worker's part of the state directory.
    pub state_directory: Option<String>,
    /// The program that each session runs.
    pub agent: Option<AgentProgram>,
    /// Variables in the worker's own environment that it must not inherit.
    pub agent_env_remove: Vec<String>,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was checked: `relay`, `clock`, `token`, `poll`, `call`, `link`, `stream`, `git`, `state` or `agent`.
    pub what: &'static str,
    /// What was found.
    pub finding: Finding,
}

/// What a check found, in words for people. Never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is as a run needs it.
    Ok(String),
    /// A run would fail, or lose something.
    Failed {
        /// How a run would fail.
        kind: MachineErrorKind,
        /// What is wrong, and what to try.
        reason: String,
    },
    /// It could not be checked, or a run can do without it.
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
    TokenFile,
    Channel(Channel),
    GitVersion,
    GitCommit,
    Save,
    Remove,
    Agent,
}

/// The timers of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The agent's time is up.
    Agent,
}

type Cx = runner::Cx<Purpose, Timer, Checked>;

/// The machine that runs all checks and then finishes: with `Ok`, whatever it found.
#[derive(Debug)]
pub struct Check {
    runner: Runner<Checks>,
}

delegate_machine!(Check, Infallible, Checked);

impl Check {
    /// A check that starts with its first step.
    pub fn new(config: CheckConfig) -> Self {
        let mut cx = Cx::new();
        let request = worker_api::health(&config.relay);
        cx.fx.start(Purpose::Health, |op| Action::Request { op, request });
        Self { runner: Runner::new(Checks::new(config), cx) }
    }
}

impl Check {
    /// What a program does beside a worker that starts, so that an agent which is of no use (W-15),
    /// or a proxy that lets no WebSocket through, is known before the first session.
    pub fn beside(worker: &WorkerConfig) -> Self {
        let config = CheckConfig {
            relay: worker.relay.clone(),
            credential: None,
            directory: Some(worker.directory.clone()),
            is_worktree_mode: false,
            state_directory: None,
            agent: Some(worker.agent.clone()),
            agent_env_remove: worker.agent_env_remove.clone(),
        };
        let mut cx = Cx::new();
        let checks = Checks { is_beside_a_run: true, ..Checks::new(config) };
        checks.try_channel(&mut cx, Channel::Link);
        Self { runner: Runner::new(checks, cx) }
    }
}

/// The role: runs one check after the other.
#[derive(Debug)]
struct Checks {
    config: CheckConfig,
    token_retry: TokenRetry,
    /// When a proof was asked for.
    asked_at: UnixTime,
    agent: Option<AgentCheck>,
    /// The run itself says what it meets; only what it would meet later is tried.
    is_beside_a_run: bool,
}

impl Role for Checks {
    type Command = Infallible;
    type Notice = Checked;
    type Purpose = Purpose;
    type Timer = Timer;

    fn on_command(&mut self, _: &mut Cx, command: Infallible) {
        match command {}
    }

    fn on_event(&mut self, cx: &mut Cx, event: Event) {
        let Some((op, purpose)) =
            event.op().and_then(|op| cx.fx.purpose(op).map(|purpose| (op, purpose)))
        else {
            return;
        };
        if purpose == Purpose::Agent {
            let finding = self.agent.as_mut().and_then(|agent| agent.handle(&mut cx.fx, event));
            return notify_agent(cx, finding);
        }
        if let Event::Opened { op } = event {
            cx.fx.act(op, |op| Action::Close { op, code: 1000 });
            cx.fx.forget(op);
        } else {
            cx.fx.finish(op);
        }
        match purpose {
            Purpose::Health => self.health_answered(cx, event),
            Purpose::Token => self.token_answered(cx, event),
            Purpose::TokenFile => self.token_file_read(cx, &event),
            Purpose::Channel(channel) => self.channel_tried(cx, channel, event),
            Purpose::GitVersion => self.git_version(cx, &event),
            Purpose::GitCommit => self.git_commit(cx, &event),
            Purpose::Save => self.saved(cx, &event),
            Purpose::Remove => self.state_checked(cx, &event),
            Purpose::Agent => {}
        }
    }

    fn on_timer(&mut self, cx: &mut Cx, _: Timer) {
        let finding = self.agent.as_mut().and_then(|agent| agent.on_time(&mut cx.fx));
        notify_agent(cx, finding);
    }

    fn settle(&mut self, cx: &mut Cx) {
        match self.agent.as_ref().and_then(AgentCheck::deadline) {
            Some(at) => cx.timers.set(Timer::Agent, at),
            None => cx.timers.clear(&Timer::Agent),
        }
    }
}

/// A number that no check before this one has used.
fn number(now: UnixTime) -> u128 {
    u128::from(now.as_millis())
}

fn notify(cx: &mut Cx, what: &'static str, finding: Finding) {
    cx.fx.notify(Checked { what, finding });
}

/// The agent is the last.
fn notify_agent(cx: &mut Cx, finding: Option<Finding>) {
    if let Some(finding) = finding {
        notify(cx, "agent", finding);
        cx.fx.end(Ok(()));
    }
}

impl Checks {
    const fn new(config: CheckConfig) -> Self {
        let asked_at = UnixTime::from_millis(0);
        Self {
            config,
            token_retry: TokenRetry::Unused,
            asked_at,
            agent: None,
            is_beside_a_run: false,
        }
    }

    fn health_answered(&mut self, cx: &mut Cx, event: Event) {
        let relay = self.config.relay.clone();
        let date = match &event {
            Event::Response { response, .. } => date_of(response),
            _ => None,
        };
        match answer::<Health>(event) {
            Ok(health) if health == Health::OK => {
                notify(cx, "relay", Finding::Ok(format!("{relay} answers")));
                let finding = clock(date, cx.fx.now().wall);
                notify(cx, "clock", finding);
                self.ask_token(cx);
            }
            Ok(_) => {
                let reason = format!("{relay} reports that it is not healthy; try again later");
                self.no_relay(cx, MachineErrorKind::GaveUp, reason);
            }
            Err(error) => {
                let fault = error.fault("ask for its health", &relay);
                match error.track() {
                    Some(_) => {
                        let reason = format!(
                            "{relay} cannot be reached: {error}; check the address and the network"
                        );
                        self.no_relay(cx, MachineErrorKind::GaveUp, reason);
                    }
                    None => self.no_relay(cx, fault.kind, fault.message),
                }
            }
        }
    }

    fn no_relay(&mut self, cx: &mut Cx, kind: MachineErrorKind, reason: String) {
        notify(cx, "relay", Finding::Failed { kind, reason });
        let only_the_relay = || Finding::Skipped(String::from("only the relay can tell"));
        notify(cx, "clock", only_the_relay());
        if self.config.credential.is_some() {
            notify(cx, "token", only_the_relay());
        }
        self.ask_git(cx);
    }

    fn try_channel(&self, cx: &mut Cx, channel: Channel) {
        channel.start(&mut cx.fx, &self.config.relay);
    }

    fn channel_tried(&mut self, cx: &mut Cx, channel: Channel, event: Event) {
        let finding = channel.finding(event);
        if self.is_beside_a_run {
            if finding == Finding::no_upgrade() {
                notify(cx, channel.name(), finding);
            }
            return self.start_agent(cx);
        }
        notify(cx, channel.name(), finding);
        match channel.next() {
            Some(next) => self.try_channel(cx, next),
            None => self.ask_git(cx),
        }
    }

    /// Some request that needs the access token and changes nothing. A worker credential allows none,
    /// but a relay can prove that it knows it.
    fn ask_token(&mut self, cx: &mut Cx) {
        let Some(token) = &self.config.credential else {
            return self.try_channel(cx, Channel::Poll);
        };
        let relay = &self.config.relay;
        let request = if token.is_signed() {
            self.asked_at = cx.fx.now().wall;
            ask_for_proof(relay, token.secret(), number(self.asked_at))
        } else {
            worker_api::environments(relay, token.secret())
        };
        cx.fx.start(Purpose::Token, |op| Action::Request { op, request });
    }

    fn token_answered(&mut self, cx: &mut Cx, event: Event) {
        let asked = match &self.config.credential {
            Some(token) if token.is_signed() => {
                proved(event, token.secret(), number(self.asked_at))
            }
            _ => answer::<EnvironmentList<'_>>(event).map(|_| ()),
        };
        let finding = match asked {
            Ok(()) => Finding::Ok(String::from("the relay accepts it")),
            // It is tried once more with what its file holds now, as a run would do (E-10).
            Err(error) => match self.config.credential.as_ref() {
                Some(token) if let Some(path) = self.token_retry.take(&error, token) => {
                    let limit = MAX_TOKEN_FILE_BYTES;
                    cx.fx.start(Purpose::TokenFile, |op| Action::Load { op, path, limit });
                    return;
                }
                _ => self.refused(&error),
            },
        };
        notify(cx, "token", finding);
        self.try_channel(cx, Channel::Poll);
    }

    fn token_file_read(&mut self, cx: &mut Cx, event: &Event) {
        if let (Event::Loaded { data: Some(data), .. }, Some(token)) =
            (event, &mut self.config.credential)
        {
            token.refresh(data);
        }
        self.ask_token(cx);
    }

    fn refused(&self, error: &RequestError) -> Finding {
        let fault = error.fault("use the credential", &self.config.relay);
        let kind = if error.track().is_some() { MachineErrorKind::GaveUp } else { fault.kind };
        Finding::Failed { kind, reason: fault.message }
    }

    fn ask_git(&mut self, cx: &mut Cx) {
        self.run_git(cx, Purpose::GitVersion, &["--version"]);
    }

    fn run_git(&mut self, cx: &mut Cx, purpose: Purpose, args: &[&str]) {
        let Some(directory) = &self.config.directory else {
            notify(cx, "git", Finding::Skipped(String::from("there is no directory to try it in")));
            return self.save(cx);
        };
        let command = git(directory, args, &self.config.agent_env_remove);
        let run =
            |op| Action::Run { op, command, timeout: QUESTION_TIMEOUT, limit: STDERR_TAIL_BYTES };
        cx.fx.start(purpose, run);
    }

    fn git_version(&mut self, cx: &mut Cx, event: &Event) {
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
                notify(cx, "git", finding);
                return self.save(cx);
            }
        };
        if self.config.is_worktree_mode {
            return self.run_git(
                cx,
                Purpose::GitCommit,
                &["rev-parse", "--verify", "HEAD^{commit}"],
            );
        }
        notify(cx, "git", Finding::Ok(version));
        self.save(cx);
    }

    fn git_commit(&mut self, cx: &mut Cx, event: &Event) {
        let finding = match event {
            Event::Ran { status, .. } if status.is_success() => {
                Finding::Ok(String::from("the directory is a repository with a commit"))
            }
            other => Finding::local(format!(
                "worktrees need a git repository with a commit: {}; choose another directory, or the spawn mode same-dir",
                why(other)
            )),
        };
        notify(cx, "git", finding);
        self.save(cx);
    }

    /// The file that is briefly written to the state directory.
    fn probe(&self) -> Option<String> {
        self.config.state_directory.as_ref().map(|state| format!("{state}/check"))
    }

    fn save(&mut self, cx: &mut Cx) {
        let Some(path) = self.probe() else {
            let reason =
                "there is none, because HOME is not set: results would not survive a crash";
            notify(cx, "state", Finding::local(String::from(reason)));
            return self.start_agent(cx);
        };
        cx.fx.start(Purpose::Save, |op| Action::Save { op, path, data: Bytes::new() });
    }

    fn saved(&mut self, cx: &mut Cx, event: &Event) {
        match (event, self.probe()) {
            (Event::Saved { .. }, Some(path)) => {
                cx.fx.start(Purpose::Remove, |op| Action::Remove { op, path });
            }
            (other, _) => self.state_checked(cx, other),
        }
    }

    fn state_checked(&mut self, cx: &mut Cx, event: &Event) {
        let state = self.config.state_directory.clone().unwrap_or_default();
        let finding = match event {
            Event::Removed { .. } => Finding::Ok(format!("{state} can be written to")),
            other => Finding::local(format!("{state} cannot be written to: {}", why(other))),
        };
        notify(cx, "state", finding);
        self.start_agent(cx);
    }

    fn start_agent(&mut self, cx: &mut Cx) {
        let (Some(agent), Some(directory)) = (&self.config.agent, &self.config.directory) else {
            if self.config.agent.is_some() {
                let reason = String::from("there is no directory to start it in");
                notify(cx, "agent", Finding::Skipped(reason));
            }
            return cx.fx.end(Ok(()));
        };
        let env_remove = withheld(&self.config.agent_env_remove);
        let check = AgentCheck::start(&mut cx.fx, agent, directory.clone(), env_remove);
        self.agent = Some(check);
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

/// Tokens and leases expire by wall-clock time, so both ends have to roughly agree on it.
fn clock(relay: Option<UnixTime>, here: UnixTime) -> Finding {
    let Some(relay) = relay else {
        return Finding::Skipped(String::from("the relay does not report its time"));
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
