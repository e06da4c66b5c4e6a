//! One session's way to the relay.
//!
//! | module | part |
//! | --- | --- |
//! | [`v1`] | version 1: a WebSocket that is kept up, with lines counted in both directions |
//! | [`outbox`] | what was said and is not yet known to be safe |
//! | [`dedupe`] | each uuid once (M-4) |

pub(crate) mod dedupe;

pub(crate) mod outbox;
pub(crate) mod v1;
