//! Every action of the contract, carried out on real sockets, processes and files.

#[path = "../support/mod.rs"]
mod support;

mod driver;
mod files;
mod http;
mod process;
mod proxy;
mod server;
mod socket;
mod stdio;
mod store;
#[cfg(feature = "tls")]
mod tls;
