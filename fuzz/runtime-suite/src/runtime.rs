//! What a runtime says of itself to be tried.

use std::path::PathBuf;
use std::thread::JoinHandle;

use footbridge_core::contract::machine::{Machine, Outcome};

/// One runtime.
pub trait Runtime {
    /// The command line of its worker's program, up to the options: `footbridge work`. The agent is
    /// the same program's command `agent`.
    const WORKER: &'static [&'static str];

    /// Runs a machine in a thread of its own.
    fn start<M>(
        machine: M,
        host: HostSpec,
        on_notice: impl FnMut(M::Notice) + Send + 'static,
    ) -> Running<M>
    where
        M: Machine + Send + 'static,
        M::Command: Send;

    /// Reads what `host` names and runs nothing; the error as a person sees it.
    fn try_host(host: HostSpec) -> Result<(), String>;
}

/// What a case wants of the host that its machine runs on. A runtime ignores what it has no ability
/// for: it is asked for no case that needs it.
#[derive(Clone, Debug, Default)]
pub struct HostSpec {
    /// A PEM file of authorities to trust beside the well-known ones.
    pub extra_ca: Option<PathBuf>,
    /// The way out; without it there is no proxy, whatever the environment says.
    pub proxy: Option<String>,
    /// What listeners identify themselves with.
    pub certificate: Option<Certificate>,
}

/// PEM files of a server's chain and key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain, the server's own certificate first.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A machine that a runtime runs.
#[expect(missing_debug_implementations, reason = "a closure and a thread")]
pub struct Running<M: Machine> {
    /// Gives it a command. One that has ended takes none, and that is fine.
    pub command: Box<dyn Fn(M::Command) + Send>,
    /// The thread that it runs in.
    pub thread: JoinHandle<Outcome>,
}
