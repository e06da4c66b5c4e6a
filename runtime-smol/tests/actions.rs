//! Every action of the contract, on smol.

mod runtime;

footbridge_runtime_suite::action_tests!(crate::runtime::Smol: client, server, server_stream, proxy);
#[cfg(feature = "tls")]
footbridge_runtime_suite::action_tests!(crate::runtime::Smol: tls, tls_server);
