//! Starting processes, and ending everything that they started (W-12): what both runtimes share.
//!
//! ```text
//!   worker ─────── pipe ──────▶ guard          ends everything with the worker's mark
//!     │ child subreaper         (own session)  once the worker is gone, however it went
//!     │
//!     ├─▶ launch ──exec──▶ agent ──▶ tools, in groups and sessions of their own
//!     │   parent-death signal,  │
//!     │   cgroup                └─▶ orphans, which come back to the worker
//! ```
//!
//! A process is started with a *mark* in its environment that names the worker, its run and the
//! process; whatever it starts inherits it. Ending a process means: stop everything that belongs to
//! it, look again until nothing new is found, kill all of it, and look again until nothing is left.
//! What belongs to it is found by its cgroup, its descent, its session, and its mark.
//!
//! | | [`Supervision::Marks`] | [`Supervision::Whole`] |
//! | --- | --- | --- |
//! | for | a program that embeds a runtime | Footbridge's programs |
//! | changes this process | no | it adopts orphans, and reaps what it did not start |
//! | starts this program again | no | to launch an agent, and once as the guard |
//! | an agent's end ends its tools | yes, by descent, session and mark | also by cgroup, where that can be written |
//! | a tool without a mark whose parent is gone | is missed | is ended with the last session |
//! | the sudden death of this process | ends nothing | ends everything |
//!
//! Only Linux has all of this. Elsewhere a process's group is killed, and nothing else.

mod explain;
mod mark;
mod prepare;
mod signals;

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(not(target_os = "linux"))]
use elsewhere as system;
#[cfg(target_os = "linux")]
use linux as system;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::contract::event::IoError;

pub use system::end_strays;

/// Why a program cannot be started, if its file shows that: it is not there, or may not be run.
pub fn why_not(spec: &ProcessSpec) -> Option<IoError> {
    explain::why_not(spec)
}

/// How thoroughly processes are supervised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supervision {
    /// By marks alone: nothing about this process changes.
    #[default]
    Marks,
    /// By everything that the system offers. This process becomes a child subreaper and reaps every
    /// child that this package did not start, so it must start none in another way; and its `main`
    /// must begin with [`intercept`].
    Whole,
}

/// What came of looking for processes that an earlier run left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// How many were ended.
    pub ended: usize,
    /// Those that could not be, each by its id and name.
    pub survivors: Vec<String>,
}

/// Says for which worker this process starts what it starts: [`end_strays`] ends only what earlier
/// runs of the same one have left. To be called before a [`Supervisor`] is made.
pub fn set_owner(name: &str) {
    mark::set_owner(name);
}

/// Makes signals what they are by default, and carries out the hidden commands that this package
/// starts its own program with. To be called first in `main`; returns `None` for every other command
/// line.
pub fn intercept() -> Option<ExitCode> {
    signals::settle();
    system::intercept()
}

/// Everything that one runtime starts.
#[derive(Debug)]
pub struct Supervisor {
    system: system::Trees,
}

/// What to start: the command, and its stdin.
#[derive(Debug)]
pub struct Prepared {
    /// The command; its stdin is `stdin`, its other streams are for the runtime to set.
    pub command: Command,
    /// To be set as its stdin.
    pub stdin: Stdio,
    /// What is to be done once it has been started.
    pub launch: Launch,
}

/// The rest of a start.
#[derive(Debug)]
pub struct Launch {
    program: String,
    stdin: OwnedFd,
    gift: Option<Gift>,
}

/// The launched program's stdin, on its way to it.
#[derive(Debug)]
struct Gift {
    control: UnixStream,
    stdin: OwnedFd,
}

/// A process that has been started.
#[derive(Debug)]
pub struct Started {
    /// The other end of its stdin.
    pub stdin: OwnedFd,
    /// Reads to its end once the program runs; anything that comes before says why it does not.
    /// `None` if that is known already.
    pub control: Option<UnixStream>,
}

impl Supervisor {
    /// Nothing is started yet.
    pub fn new(supervision: Supervision) -> Self {
        Self { system: system::Trees::new(supervision) }
    }

    /// Prepares a process that is the root of a tree, in a group of its own.
    pub fn prepare(&self, tree: OpId, spec: &ProcessSpec) -> Result<Prepared, IoError> {
        prepare::check_directory(spec)?;
        explain::check(spec)?;
        let not_started = |error| prepare::no_pipes(&spec.program, &error);
        let (reader, writer) = io::pipe().map_err(not_started)?;
        let mut command = self.system.command(tree, &prepare::program_of(spec), &spec.args);
        prepare::set(&mut command, spec);
        self.system.mark(tree, &mut command);
        command.process_group(0);
        let program = spec.program.clone();
        let (stdin, gift) = if self.system.is_launching() {
            let (control, child) = UnixStream::pair().map_err(not_started)?;
            let gift = Gift { control, stdin: reader.into() };
            (Stdio::from(OwnedFd::from(child)), Some(gift))
        } else {
            (Stdio::from(reader), None)
        };
        Ok(Prepared { command, stdin, launch: Launch { program, stdin: writer.into(), gift } })
    }

    /// Prepares a short command of the program's own, in a group of its own and in no tree. It has a
    /// mark, so that it is ended if this process dies suddenly: what it does must not happen long
    /// after.
    pub fn prepare_command(&self, spec: &ProcessSpec) -> Result<Command, IoError> {
        prepare::check_directory(spec)?;
        explain::check(spec)?;
        let mut command = Command::new(prepare::program_of(spec));
        command.args(&spec.args).process_group(0);
        prepare::set(&mut command, spec);
        self.system.mark_command(&mut command);
        Ok(command)
    }

    /// Starts a prepared command, and notes the child as one that somebody waits for. `spawn` must
    /// let go of the command before it returns.
    pub fn spawn<C>(
        &self,
        spec: &ProcessSpec,
        spawn: impl FnOnce() -> io::Result<(C, u32)>,
    ) -> Result<C, IoError> {
        self.system.spawn(spawn).map_err(|error| explain::not_started(spec, &error))
    }

    /// A child of [`spawn`](Self::spawn) has been reaped.
    pub fn reaped(&self, pid: u32) {
        self.system.reaped(pid);
    }

    /// A prepared process does not run.
    pub fn abandon(&self, tree: OpId) {
        self.system.abandon(tree);
    }

    /// Kills a process and everything that it started, and returns what is left, each by its id and
    /// name. `root` is the process itself, if it has not been reaped. Takes a few milliseconds if
    /// there is nothing left, and a few seconds at most.
    pub fn end_tree(&self, tree: OpId, root: Option<u32>) -> Vec<String> {
        self.system.end_tree(tree, root)
    }

    /// Reaps orphans that have come to this process and have exited. Cheap: to be called whenever
    /// something has happened. Returns how long it has to be until the next look, if the last one was
    /// only just now and this is none.
    pub fn reap_orphans(&self) -> Option<Duration> {
        self.system.reap_orphans()
    }
}

impl Launch {
    /// The process was started.
    pub fn proceed(self) -> Result<Started, IoError> {
        let Self { program, stdin, gift } = self;
        let control = match gift {
            None => None,
            Some(Gift { control, stdin }) => {
                let sent = system::give(&control, &stdin);
                sent.map_err(|error| prepare::no_pipes(&program, &error))?;
                Some(control)
            }
        };
        Ok(Started { stdin, control })
    }
}

/// Why a program does not run, from what came on [`Started::control`]; `None` if it does.
pub fn refusal(spec: &ProcessSpec, received: &[u8]) -> Option<IoError> {
    let code = i32::from_ne_bytes(received.try_into().ok()?);
    Some(explain::not_started(spec, &io::Error::from_raw_os_error(code)))
}

/// How many bytes [`refusal`] needs.
pub const REFUSAL_BYTES: usize = size_of::<i32>();
