//! The relay.
#![doc = include_str!("http.md")]
pub mod store;
