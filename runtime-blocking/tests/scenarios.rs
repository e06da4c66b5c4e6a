//! Whole scenarios, on threads.

mod runtime;

footbridge_runtime_suite::scenario_tests!(crate::runtime::Threads);
