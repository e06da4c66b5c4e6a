//! The conformance suite on plain threads. The suite itself is shared with the other runtime.

#[path = "../../runtime-smol/tests/conformance/suite/mod.rs"]
mod suite;

mod runtime {
    //! How this runtime runs a machine.

    use footbridge_blocking::{Driver, Host, HostOptions};
    use footbridge_core::contract::machine::Machine;

    use crate::suite::stage::Running;

    /// The program, up to the options of a worker.
    pub(crate) const WORKER: &[&str] = &[env!("CARGO_BIN_EXE_footbridge-worker")];

    /// Starts a machine in a thread of its own.
    pub(crate) fn start<M>(
        machine: M,
        on_notice: impl FnMut(M::Notice) + Send + 'static,
    ) -> Running<M>
    where
        M: Machine + Send + 'static,
        M::Command: Send,
    {
        let host = Host::new(HostOptions::default()).expect("a host");
        let (driver, handle) = Driver::new(host);
        let thread = std::thread::spawn(move || driver.run(machine, on_notice));
        Running { command: Box::new(move |command| handle.command(command)), thread }
    }
}
