//! What viewers request, and what they receive.
//!
//! When written, each shape borrows from what the relay holds, so that sending copies nothing. When
//! read from JSON it owns its content, except for the message of an event, which stays in place.

mod answer_link;
mod environment;
mod event;
mod frame;
mod post;
mod receipt;
mod session;
mod sign_in;

pub use answer_link::{AnswerLink, AnswerLinkPost, LinkedAnswer, LinkedQuestion};
pub use environment::{EnvironmentList, EnvironmentView, HealthcheckView};
pub use event::{EventPage, EventView, Origin, write_page};
pub use frame::{OverviewFrame, SessionFrame, ViewerAlive};
pub use post::{
    Behavior, CallbackPost, CallbackReceipt, ChangeSession, CreateSession, InterruptReceipt,
    MessageReceipt, PermissionPost, PermissionReceipt, PostMessages, PostReceipt,
};
pub use receipt::{FailedReceipts, Receipt, ReceiptList, Receipts, Stage};
pub use session::{Activity, Question, SessionList, SessionView};
pub use sign_in::{SignInCode, SignedIn};

/// The WebSocket subprotocol of viewers.
pub const PROTOCOL: &str = "footbridge.viewer.v1";
