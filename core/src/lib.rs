//! The protocol of Footbridge as pure state machines: events in, actions out.
//!
//! This crate makes every decision and performs no I/O: it has no clock, no socket, no file,
//! no thread and no source of randomness. A *runtime* feeds it events and carries out its actions.
//! The same events in the same order give the same actions, byte for byte, so a seed replays a
//! whole run.
//!
//! ```text
//!            events: what happened                actions: what to do
//!   ┌─────────┐    Response, Received, Exited …   ┌─────────┐
//!   │ runtime │ ────────────────────────────────▶ │ machine │ ───┐
//!   │ (sockets│                                   │ (this   │    │ step()
//!   │ & files)│ ◀──────────────────────────────── │  crate) │ ◀──┘ until Wait
//!   └─────────┘    Request, Open, Spawn …         └─────────┘
//! ```
//!
//! # The machines
//!
//! | machine | role |
//! | --- | --- |
//! | [`worker::Worker`] | registers an environment, takes work, runs sessions |
//! | [`worker::Check`] | tries everything a worker would need, and registers nothing |
//! | [`relay::Relay`] | the server in the middle; [its HTTP interface](relay) |
//! | [`bridge::Bridge`] | a program that exposes its own session to viewers |
//! | [`chat::Chat`] | one agent in a conversation with a terminal and with viewers |
//! | [`direct::Serve`], [`direct::Connect`] | one session without a relay |
//! | [`peer::deliver::Deliver`] | sends a message to another session on this machine |
//! | [`mirror::Mirror`] | keeps a copy of a session's log in a file |
//! | [`remote::Remote`] | a viewer of one session: sees it, speaks in it, answers its questions |
//! | [`agents::shell::Agent`] | the built-in shell agent on stdin and stdout |
//!
//! Each of them is a [`contract::machine::Machine`]; [`contract::action`] and [`contract::event`]
//! are their whole vocabulary.
//!
//! # Reading order
//!
//! [`contract`] (the loop, the vocabulary, and the rules of order), [`base::time`] (why every call
//! passes the time in), then [`worker`] from its first file to its last, with [`wire`] for the
//! shapes you meet on the way. [`base::limits`] names every bound.
//!
//! # Writing a runtime
//!
//! A runtime is one loop. What it has to get right:
//!
//! - Take steps until [`Step::Wait`](contract::machine::Step::Wait): the deadline is not visible
//!   any earlier.
//! - Start each action without waiting for it to finish. Its answers carry its
//!   [`OpId`](base::id::OpId); the table in [contract] says which answers it gets, and which of
//!   them is the last.
//! - Keep one operation's events, and one stream's messages, in order. The other rules of order are
//!   on the same page, and [`contract::check`] has them as code.
//! - After [`Cancel`](contract::action::Action::Cancel), an answer that is still on its way may be
//!   delivered: the machine drops it.
//! - Read both clocks for every call. They may be coarse; they must not be made up.
//!
//! This drives a worker by hand, as a runtime would, up to its first request:
//!
//! ```
//! use std::time::Duration;
//! use bytes::Bytes;
//! use footbridge_core::contract::action::Action;
//! use footbridge_core::auth::Credential;
//! use footbridge_core::contract::event::{Event, ExitStatus};
//! use footbridge_core::contract::machine::{Machine, Step};
//! use footbridge_core::base::secret::Secret;
//! use footbridge_core::base::time::{Instant, Now, UnixTime};
//! use footbridge_core::wire::url::BaseUrl;
//! use footbridge_core::worker::{AgentProgram, Worker, WorkerConfig};
//!
//! let relay = BaseUrl::parse("https://relay.example")?;
//! let agent = AgentProgram { program: "my-agent".into(), args: vec![], env: vec![] };
//! let token = Credential::fixed(Secret::from("token"));
//! let config = WorkerConfig::new(relay, token, "/project".into(), agent, 7);
//! let mut worker = Worker::new(config);
//!
//! let mut now = Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(1_767_225_600_000) };
//! let request = loop {
//!     match worker.step() {
//!         // First it asks git about the directory. Ours is not a repository.
//!         Step::Do(Action::Run { op, command, .. }) => {
//!             assert_eq!(command.program, "git");
//!             now.mono = now.mono + Duration::from_millis(3);
//!             let (status, nothing) = (ExitStatus::Code(1), Bytes::new());
//!             worker.handle(now, Event::Ran { op, status, stdout: nothing.clone(), stderr: nothing });
//!         }
//!         // Then it registers.
//!         Step::Do(Action::Request { request, .. }) => break request,
//!         Step::Do(other) => panic!("unexpected: {other:?}"),
//!         Step::Tell(notice) => println!("{notice:?}"),
//!         Step::Wait(_) => unreachable!("it has work to do"),
//!         Step::Finished(outcome) => panic!("{outcome:?}"),
//!     }
//! };
//! assert_eq!(request.url, "https://relay.example/v1/environments/bridge");
//!
//! // Nothing else is queued, and the only thing left to wait for is the answer.
//! assert_eq!(worker.step(), Step::Wait(None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod agents;
pub mod auth;
pub mod base;
pub mod bridge;
pub mod chat;
pub mod client;
pub mod contract;
pub mod direct;
pub mod engine;
mod hosting;
pub mod mirror;
pub mod peer;
pub mod relay;
pub mod remote;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transport;
pub mod wire;
pub mod worker;
