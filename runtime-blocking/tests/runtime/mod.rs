//! This runtime, adapted to the suite for all runtimes.

use footbridge_blocking::{Driver, Host, HostOptions, ProxySource};
use footbridge_core::contract::machine::Machine;
use footbridge_runtime_suite::{HostSpec, Running, Runtime};

/// Machines on threads, which may serve clients or not.
pub(crate) struct OnThreads<const SERVES: bool>;

/// Those that may.
pub(crate) type Threads = OnThreads<true>;

/// Those that may not.
#[allow(dead_code, reason = "not every test program needs it")]
pub(crate) type Clients = OnThreads<false>;

impl<const SERVES: bool> Runtime for OnThreads<SERVES> {
    const WORKER: &'static [&'static str] = &[env!("CARGO_BIN_EXE_footbridge-worker")];

    fn start<M>(
        machine: M,
        host: HostSpec,
        on_notice: impl FnMut(M::Notice) + Send + 'static,
    ) -> Running<M>
    where
        M: Machine + Send + 'static,
        M::Command: Send,
    {
        let host = Host::new(options(host)).expect("a host");
        let host = if SERVES { host.with_server() } else { host };
        let (driver, handle) = Driver::new(host);
        let thread = std::thread::spawn(move || driver.run(machine, on_notice));
        Running { command: Box::new(move |command| handle.command(command)), thread }
    }

    fn try_host(host: HostSpec) -> Result<(), String> {
        Host::new(options(host)).map(drop).map_err(|error| error.to_string())
    }
}

fn options(host: HostSpec) -> HostOptions {
    let HostSpec { extra_ca, proxy, .. } = host;
    let proxy = proxy.map_or(ProxySource::None, ProxySource::At);
    HostOptions { extra_ca, proxy, ..HostOptions::default() }
}
