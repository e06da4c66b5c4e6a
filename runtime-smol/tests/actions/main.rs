//! Every action of the contract, carried out on real sockets, processes and files.

#[path = "../support/mod.rs"]
mod support;

mod driver;
mod files;
mod http;
mod process;
mod server;
mod socket;
