//! From a session's creation to its agent's start, and what its worktree has to do with its end.

use alloc::format;
use alloc::string::String;

use bytes::Bytes;

use super::agent_command::mcp_config_path;
use super::{Outcome, Session};
use crate::base::secret::Secret;
use crate::contract::action::{Action, ProcessSpec};
use crate::contract::event::Event;
use crate::wire::log_message::LogMessage;
use crate::wire::session::SessionResult;
use crate::worker::cx::{Cx, Purpose, Timer};
use crate::worker::worktree::Done;

/// How far a session has come.
#[derive(Debug)]
pub(super) enum Life {
    Preparing(Launch),
    Running {
        has_worktree: bool,
    },
    /// Its process is over. Its last lines may still be on their way.
    Over {
        result: SessionResult,
        /// Git is checking whether its worktree can be removed.
        is_cleaning: bool,
    },
}

/// What the agent is started with, once its worktree and its files are ready.
#[derive(Debug)]
pub(super) struct Launch {
    /// The error says which part of the work secret is refused.
    pub(super) command: Result<ProcessSpec, String>,
    /// To be written to a file before the agent starts.
    pub(super) mcp_config: Option<Secret>,
    pub(super) has_worktree: bool,
}

impl Session {
    /// Starts its link immediately, and its agent as soon as it has a place to work: in a worktree
    /// at `reference`, if sessions use worktrees.
    pub(in crate::worker) fn start(
        &mut self,
        cx: &mut Cx<'_>,
        reference: Option<String>,
    ) -> Outcome {
        self.link.connect(cx.fx, Purpose::Link(self.id.clone()));
        cx.set_timer(Timer::Limit(self.id.clone()), self.limit);
        match &self.life {
            Life::Preparing(Launch { command: Ok(_), .. })
                if cx.config.worktree_path(&self.id).is_some() =>
            {
                Outcome::MakeWorktree(reference)
            }
            _ => self.start_agent(cx),
        }
    }

    fn start_agent(&mut self, cx: &mut Cx<'_>) -> Outcome {
        let Life::Preparing(launch) = &mut self.life else { return Outcome::Nothing };
        if let Some(mcp_config) = launch.mcp_config.take()
            && let Ok(path) = mcp_config_path(cx.config, &self.id)
        {
            self.mcp_file = Some(path.clone());
            let data = Bytes::copy_from_slice(mcp_config.reveal().as_bytes());
            let purpose = Purpose::McpConfig(self.id.clone());
            cx.fx.start(purpose, |op| Action::Save { op, path, data });
            return Outcome::Nothing;
        }
        match launch.command.clone() {
            Ok(command) => {
                self.life = Life::Running { has_worktree: launch.has_worktree };
                self.process.start(cx.fx, Purpose::Agent(self.id.clone()), command);
                Outcome::Nothing
            }
            Err(reason) => self.over(cx, Err(reason)),
        }
    }

    pub(in crate::worker) fn mcp_config_saved(
        &mut self,
        cx: &mut Cx<'_>,
        event: &Event,
    ) -> Outcome {
        match (&self.life, event) {
            (Life::Preparing(_), Event::Failed { failure, .. }) => {
                let reason = format!("its MCP configuration could not be written: {failure}");
                self.over(cx, Err(reason))
            }
            _ => self.start_agent(cx),
        }
    }

    /// Git is done with its worktree: the agent can start there, or the result is complete.
    pub(in crate::worker) fn worktree_done(
        &mut self,
        cx: &mut Cx<'_>,
        done: Done,
        kept_as: Option<String>,
    ) -> Outcome {
        if let (Life::Over { result, .. }, Some(name)) = (&mut self.life, kept_as) {
            let words = "commits that only the reflogs of its worktree had are kept as";
            result.message.push_str(&format!("; {words} {name}"));
        }
        match (&mut self.life, done) {
            (Life::Preparing(launch), Done::Made(named)) => {
                launch.has_worktree = true;
                if let Some(commit) = named {
                    self.log_kept_commit(cx, &commit);
                }
                self.start_agent(cx)
            }
            (Life::Preparing(_), Done::NotMade(reason)) => {
                self.over(cx, Err(format!("its worktree could not be made: {reason}")))
            }
            // It was ended while the worktree was being created.
            (Life::Over { is_cleaning, .. }, Done::Made(named)) => {
                *is_cleaning = true;
                if let Some(commit) = named {
                    self.log_kept_commit(cx, &commit);
                }
                Outcome::CleanWorktree
            }
            (Life::Over { is_cleaning, .. }, Done::Removed) => {
                *is_cleaning = false;
                Outcome::Nothing
            }
            (Life::Over { is_cleaning, result }, Done::Gone) => {
                *is_cleaning = false;
                let path = cx.config.worktree_path(&self.id).unwrap_or_default();
                let words = "was removed or moved by something else";
                result.message.push_str(&format!("; its worktree {path} {words}"));
                Outcome::Nothing
            }
            (Life::Over { is_cleaning, result }, Done::Kept(reason)) => {
                *is_cleaning = false;
                let path = cx.config.worktree_path(&self.id).unwrap_or_default();
                result.message.push_str(&format!("; its worktree {path} was kept: {reason}"));
                Outcome::Nothing
            }
            _ => Outcome::Nothing,
        }
    }

    /// Its worktree was removed by somebody while it was away, and a commit that only that had has got
    /// a name.
    fn log_kept_commit(&mut self, cx: &mut Cx<'_>, commit: &str) {
        let reference = format!("{}{commit}", crate::worker::worktree::KEPT_COMMITS);
        let message = format!(
            "the worktree was removed by something else while the session was away; the commit {commit}, which no branch had, is kept as {reference}"
        );
        let message = LogMessage::CommitKept {
            message: message.into(),
            commit: commit.into(),
            reference: reference.into(),
        };
        self.log(cx, &message);
    }
}
