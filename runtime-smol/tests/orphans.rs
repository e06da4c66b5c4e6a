//! What a killed worker leaves behind, on smol.

mod runtime;

footbridge_runtime_suite::orphan_tests!(crate::runtime::Smol);
