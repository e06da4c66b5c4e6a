//! The protocol of Footbridge as pure state machines: events in, actions out.
//!
//! This crate holds every decision and does nothing itself: it has no clock, no socket, no file,
//! no thread and no random source. A *runtime* feeds it events and carries out its actions; the
//! same events in the same order give the same actions, byte for byte.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod action;
pub mod agent;
pub mod backoff;
mod effects;
pub mod event;
pub mod id;
pub mod limits;
pub mod machine;
pub mod relay;
pub mod secret;
pub mod time;
mod timer;
mod transport;
pub mod wire;
pub mod worker;
