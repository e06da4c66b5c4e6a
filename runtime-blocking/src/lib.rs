//! Footbridge's machines on plain threads: no async, no event loop but the machine's own.
//!
//! ```text
//!                    ┌───────────────────────── Driver::run ─────────────────────────┐
//!   Handle ─────────▶│                                                               │
//!    (commands)      │   mailbox ──▶ Machine::handle ──▶ Machine::step ──▶ actions ──┼──┐
//!                    └──────▲────────────────────────────────────────────────────────┘  │
//!                           │ events                                                    │ orders
//!   ┌───────────────────────┴───────────────────────────────────────────────────────────▼──┐
//!   │ one thread for each: HTTP exchange · WebSocket · stdio · process · run · file queue   │
//!   └──────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The loop waits for nothing but its mailbox, which is bounded: threads with events wait while it
//! is full, and so, through their sockets and pipes, does whoever feeds them. Orders go the other
//! way, through a queue with an eventfd per operation, and never wait. A thread spends its life in
//! `poll`, on its descriptors and that eventfd.
//!
//! | module | carries out |
//! | --- | --- |
//! | [`driver`] | the loop |
//! | `http` | `Request` |
//! | `socket` | `Open` of a WebSocket, `Send`, `Close`, `Pause`, `Resume` |
//! | `stdio` | the same for the program's own stdin and stdout |
//! | `process` | `Spawn`, `Write`, `CloseInput`, `Signal` |
//! | `run` | `Run` |
//! | `files` | `Save`, `Load`, `Remove`, `List` |
//! | `server` | `Listen`, `Accept`, `Vouch`, `ReadBody`, `Reply`, `Upgrade` |
//!
//! The program `footbridge-worker` runs the worker and the shell agent on it. What it shares with
//! the other runtime's program is in the package `footbridge-cli`.
//!
//! Below them: `host` (what they need of the computer), `mailbox` (events and commands to the loop),
//! `inbox` (orders from it, and waiting for them), `operations` (the open operations), `threads`; `net`,
//! `transport`, `tls` and `handshake` (from a URL to a connection), `group` (process groups), `failure`
//! (errors as the core has them).
//!
//! A host serves clients if it is asked to ([`Host::with_server`]): enough for one session that is served
//! directly. What a relay needs beyond that (TLS, `ReplyStream`, `Store`) is not supported: such an
//! operation fails at once, and so does any of a server on a host that was not asked to.
//!
//! It needs Linux 5.4 or later (eventfd, and pidfds to wait on). A program that shows the `log`
//! records of its libraries must leave out tungstenite's at level `trace`: they hold the headers of
//! the handshake, and so credentials (T-5).
//!
//! ```no_run
//! use footbridge_blocking::{Driver, Host, HostOptions};
//! # fn example<M: footbridge_core::contract::machine::Machine<Command = char, Notice = String>>(machine: M)
//! # -> Result<(), footbridge_core::contract::machine::MachineError> {
//! let host = Host::new(HostOptions::default())?;
//! let (driver, handle) = Driver::new(host);
//! std::thread::spawn(move || handle.command('q'));
//! driver.run(machine, |notice| println!("{notice}"))
//! # }
//! ```

pub mod driver;

mod failure;
mod files;
mod group;
mod handshake;
mod host;
mod http;
mod inbox;
mod lock;
mod mailbox;
mod net;
mod operations;
mod process;
mod reaper;
mod run;
mod server;
mod socket;
mod stdio;
mod stream;
mod threads;
mod tls;
mod transport;

pub use driver::Driver;
pub use footbridge_core::engine::proxies::ProxySource;
pub use footbridge_supervision::Supervision;
pub use host::{Host, HostOptions};
pub use mailbox::Handle;
