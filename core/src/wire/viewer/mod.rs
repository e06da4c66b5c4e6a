//! What viewers ask, and what they are told.
//!
//! Each shape borrows from whatever the relay holds, so that telling a viewer copies nothing; read
//! from JSON, it owns what it holds, but for the message of an event, which stays in its place.

mod environment;
mod event;
mod frame;
mod post;
mod session;

pub use environment::{EnvironmentList, EnvironmentView, HealthcheckView};
pub use event::{EventPage, EventView, Origin, write_page};
pub use frame::{OverviewFrame, SessionFrame};
pub use post::{
    Behavior, CreateSession, InterruptReceipt, MessageReceipt, PermissionPost, PermissionReceipt,
    PostMessages, PostReceipt,
};
pub use session::{Question, SessionList, SessionView};

/// The WebSocket subprotocol of viewers.
pub const PROTOCOL: &str = "footbridge.viewer.v1";
