//! Whole scenarios, on smol.

mod runtime;

footbridge_runtime_suite::scenario_tests!(crate::runtime::Smol);
