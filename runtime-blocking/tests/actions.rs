//! Every action of the contract that this runtime carries out, on threads.

mod runtime;

footbridge_runtime_suite::action_tests!(crate::runtime::Threads: client, server, proxy);
footbridge_runtime_suite::action_tests!(crate::runtime::Clients: client_only);
#[cfg(feature = "tls")]
footbridge_runtime_suite::action_tests!(crate::runtime::Threads: tls);
