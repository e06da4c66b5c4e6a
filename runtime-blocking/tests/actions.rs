//! Every action of the contract that needs no server, on threads.

mod runtime;

footbridge_runtime_suite::action_tests!(crate::runtime::Threads: client, client_only, proxy);
#[cfg(feature = "tls")]
footbridge_runtime_suite::action_tests!(crate::runtime::Threads: tls);
