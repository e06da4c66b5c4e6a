//! Footbridge on [smol](https://docs.rs/smol): carries out what the machines of
//! [`footbridge_core`] ask for and reports the results to them.
//!
//! ```text
//!             commands ─────────┐        ┌──────────── notices
//!                               ▼        │
//!   ┌─────────┐  step()   ┌───────────────────┐   perform()   ┌────────────────────┐
//!   │ machine │ ────────▶ │    drive (loop)   │ ────────────▶ │ a task for each    │
//!   │ (core)  │ ◀──────── │ mailbox, deadline │ ◀──────────── │ operation: socket, │
//!   └─────────┘  handle() └───────────────────┘    mailbox    │ process, file …    │
//!                                                             └────────────────────┘
//! ```
//!
//! No protocol decisions are made here. Everything runs on one thread, next to the one that waits
//! for sockets and timers; files, name lookups and standard input use a small thread pool while
//! they are in use.
//!
//! ```
//! use footbridge_core::contract::machine::Machine;
//! use footbridge_smol::{Host, HostOptions, block_on, drive};
//!
//! fn run<M: Machine<Notice = String>>(machine: M) -> Result<(), Box<dyn std::error::Error>> {
//!     let host = Host::new(HostOptions::default())?;
//!     let (_commands, asked) = async_channel::unbounded();
//!     block_on(drive(machine, host, asked, |notice| println!("{notice}")))?;
//!     Ok(())
//! }
//! ```

mod connect;
mod driver;
mod failure;
mod files;
mod handshake;
mod host;
mod http;
mod io;
mod local;
mod lock;
mod mailbox;
mod operations;
mod process;
mod server;
mod shared;
mod socket;
mod stdio;
mod store;
mod stream;
mod tls;

pub use driver::{block_on, drive};
pub use footbridge_core::engine::proxies::ProxySource;
pub use footbridge_supervision::Supervision;
pub use host::{Host, HostOptions};
pub use tls::Certificate;
