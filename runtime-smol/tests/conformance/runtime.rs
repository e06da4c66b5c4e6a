//! How this runtime runs a machine.

use std::thread::JoinHandle;

use footbridge_core::contract::machine::{Machine, Outcome};
use footbridge_smol::{Host, HostOptions, Proxy, block_on, drive};

use crate::suite::stage::Running;

/// The program, up to the options of a worker.
pub(crate) const WORKER: &[&str] = &[env!("CARGO_BIN_EXE_footbridge"), "work"];

/// Starts a machine in a thread of its own.
pub(crate) fn start<M>(machine: M, on_notice: impl FnMut(M::Notice) + Send + 'static) -> Running<M>
where
    M: Machine + Send + 'static,
    M::Command: Send,
{
    let (commands, asked) = async_channel::unbounded();
    let thread: JoinHandle<Outcome> = std::thread::spawn(move || {
        let options = HostOptions { proxy: Proxy::None, ..HostOptions::default() };
        let host = Host::new(options).expect("a host");
        block_on(drive(machine, host, asked, on_notice))
    });
    // A machine that has ended takes no command.
    Running { command: Box::new(move |command| drop(commands.try_send(command))), thread }
}
