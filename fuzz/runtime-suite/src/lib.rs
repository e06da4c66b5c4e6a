//! What every runtime must do, tested with real sockets, processes, files and git.
//!
//! Three suites, each written once and run by each runtime's own tests:
//!
//! - [`actions`]: each action of the contract, and each way it can go wrong;
//! - [`scenarios`]: the worker, as a machine and as a program, with the real relay;
//! - [`field`]: what people have met outside, one file each; run with the scenarios.
//!
//! A case is a function over a [`Runtime`]. [`action_tests!`] and [`scenario_tests!`] make one
//! `#[test]` of each, so every case has its own name and runs in any order. Cases that not every
//! runtime supports are selected by ability:
//!
//! | ability | what it needs |
//! | --- | --- |
//! | `client` | what every runtime has: requests, streams, processes, files |
//! | `client_only` | no server: how such a runtime responds when asked for one |
//! | `tls` | `https:` and `wss:` |
//! | `server` | `Listen`, `Accept`, `Reply`, `Upgrade` |
//! | `server_stream` | `ReplyStream` |
//! | `tls_server` | a listener with a certificate, and TLS as a client |
//! | `proxy` | requests through an HTTP proxy |
//!
//! ```text
//! struct Mine;
//! impl footbridge_runtime_suite::Runtime for Mine { … }
//! footbridge_runtime_suite::action_tests!(crate::Mine: client, tls);
//! ```

#[expect(missing_docs, reason = "the name of a case says it")]
pub mod actions;
mod cases;
#[expect(missing_docs, reason = "the name of a case says it")]
pub mod field;
pub mod harness;
mod runtime;
#[expect(missing_docs, reason = "the name of a case says it")]
pub mod scenarios;

pub use runtime::{Certificate, HostSpec, Running, Runtime};
