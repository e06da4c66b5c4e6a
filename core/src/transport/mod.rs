//! How a session's lines travel between worker and relay.
//!
//! | module | part |
//! | --- | --- |
//! | [`v1`] | version 1: a WebSocket that is kept up, with lines numbered in both directions |
//! | [`outbox`] | what the relay has not acknowledged yet |
//! | [`dedupe`] | each uuid once (M-4) |

pub(crate) mod dedupe;
pub(crate) mod outbox;
pub(crate) mod v1;
