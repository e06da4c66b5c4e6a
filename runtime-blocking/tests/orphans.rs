//! What a killed worker leaves behind, on threads.

mod runtime;

footbridge_runtime_suite::orphan_tests!(crate::runtime::Threads);
