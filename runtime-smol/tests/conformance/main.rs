//! The conformance suite on smol. The suite itself is shared with the other runtime.

mod runtime;
mod suite;
