//! The runtime against real sockets, processes and files.

mod driver;
mod files;
mod http;
mod process;
mod run;
mod socket;
mod stage;
