//! Systems other than Linux: a process's group is all that can be ended.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use footbridge_core::base::id::OpId;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{Strays, Supervision, mark};

pub(crate) fn intercept() -> Option<ExitCode> {
    None
}

/// Ends nothing: what an earlier run left behind cannot be found.
pub fn end_strays() -> Strays {
    Strays::default()
}

pub(crate) fn give(_: &UnixStream, _: &OwnedFd) -> io::Result<()> {
    Ok(())
}

#[derive(Debug)]
pub(crate) struct Trees;

impl Trees {
    pub(crate) fn new(_: Supervision) -> Self {
        Self
    }

    pub(crate) fn is_launching(&self) -> bool {
        false
    }

    pub(crate) fn command(&self, _: OpId, program: &Path, args: &[String]) -> Command {
        let mut command = Command::new(program);
        command.args(args);
        command
    }

    pub(crate) fn mark(&self, tree: OpId, command: &mut Command) {
        let own = format!("{}.{}", std::process::id(), tree.get());
        command.env(mark::VARIABLE, mark::value(&own));
    }

    pub(crate) fn mark_command(&self, command: &mut Command) {
        command.env(mark::VARIABLE, mark::value(&format!("{}.command", std::process::id())));
    }

    pub(crate) fn spawn<C>(&self, spawn: impl FnOnce() -> io::Result<(C, u32)>) -> io::Result<C> {
        spawn().map(|(child, _)| child)
    }

    pub(crate) fn reaped(&self, _: u32) {}

    pub(crate) fn abandon(&self, _: OpId) {}

    pub(crate) fn end_tree(&self, _: OpId, root: Option<u32>) -> Vec<String> {
        let group = root.and_then(|root| i32::try_from(root).ok()).and_then(Pid::from_raw);
        if let Some(group) = group {
            // A group that is gone is not an error.
            let _ = kill_process_group(group, Signal::KILL);
        }
        Vec::new()
    }

    pub(crate) const fn reap_orphans(&self) -> Option<Duration> {
        None
    }
}
