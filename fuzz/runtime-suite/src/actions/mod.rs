//! Every action of the contract, carried out on real sockets, processes and files.

pub mod addresses;
pub mod client_only;
pub mod driver;
pub mod files;
pub mod http;
pub mod http_stream;
pub mod local;
pub mod local_server;
pub mod process;
pub mod process_io;
pub mod proxy;
pub mod run;
pub mod server;
pub mod server_stream;
pub mod socket;
pub mod socket_opening;
pub mod socket_pair;
pub mod socket_raw;
pub mod stdio;
pub mod tls;
pub mod tls_pair;
pub mod trees;
