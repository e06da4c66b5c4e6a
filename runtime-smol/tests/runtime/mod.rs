//! This runtime, adapted to the suite for all runtimes.

use footbridge_core::contract::machine::Machine;
use footbridge_runtime_suite::{HostSpec, Running, Runtime};
use footbridge_smol::{Certificate, Host, HostOptions, ProxySource, block_on, drive};

/// Machines on smol.
pub(crate) struct Smol;

impl Runtime for Smol {
    const WORKER: &'static [&'static str] = &[env!("CARGO_BIN_EXE_footbridge"), "work"];

    fn start<M>(
        machine: M,
        host: HostSpec,
        on_notice: impl FnMut(M::Notice) + Send + 'static,
    ) -> Running<M>
    where
        M: Machine + Send + 'static,
        M::Command: Send,
    {
        start_on(machine, move || options(host), on_notice)
    }

    fn try_host(host: HostSpec) -> Result<(), String> {
        Host::new(options(host)).map(drop).map_err(|error| error.to_string())
    }
}

/// Runs a machine on a host created on its own thread.
pub(crate) fn start_on<M>(
    machine: M,
    options: impl FnOnce() -> HostOptions + Send + 'static,
    on_notice: impl FnMut(M::Notice) + Send + 'static,
) -> Running<M>
where
    M: Machine + Send + 'static,
    M::Command: Send,
{
    let (commands, asked) = async_channel::unbounded();
    let thread = std::thread::spawn(move || {
        let host = Host::new(options()).expect("a host");
        block_on(drive(machine, host, asked, on_notice))
    });
    // A machine that has ended takes no command.
    Running { command: Box::new(move |command| drop(commands.try_send(command))), thread }
}

fn options(host: HostSpec) -> HostOptions {
    let HostSpec { extra_ca, proxy, certificate } = host;
    HostOptions {
        extra_ca,
        certificate: certificate.map(|files| Certificate { chain: files.chain, key: files.key }),
        proxy: proxy.map_or(ProxySource::None, ProxySource::At),
        ..HostOptions::default()
    }
}
