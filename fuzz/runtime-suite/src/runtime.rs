//! What a runtime provides in order to be tested.

use std::path::PathBuf;
use std::thread::JoinHandle;

use footbridge_core::contract::machine::{Machine, Outcome};

/// One runtime.
pub trait Runtime {
    /// The command line of its worker's program, up to the options: `footbridge work`. The agent is
    /// the same program's command `agent`.
    const WORKER: &'static [&'static str];

    /// Runs a machine on its own thread.
    fn start<M>(
        machine: M,
        host: HostSpec,
        on_notice: impl FnMut(M::Notice) + Send + 'static,
    ) -> Running<M>
    where
        M: Machine + Send + 'static,
        M::Command: Send;

    /// Reads what `host` names but runs nothing; returns the error as people see it.
    fn try_host(host: HostSpec) -> Result<(), String>;
}

/// What a case needs from its machine's host. A runtime ignores what it has no ability for: it runs
/// no case that needs it.
#[derive(Clone, Debug, Default)]
pub struct HostSpec {
    /// A PEM file of authorities to trust in addition to the well-known ones.
    pub extra_ca: Option<PathBuf>,
    /// The proxy; without it there is none, whatever the environment says.
    pub proxy: Option<String>,
    /// The certificate that listeners present.
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
    /// Sends it a command. One that has ended takes none, and that is fine.
    pub command: Box<dyn Fn(M::Command) + Send>,
    /// The thread that it runs on.
    pub thread: JoinHandle<Outcome>,
}
