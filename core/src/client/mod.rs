//! The HTTP client side, shared by every machine that sends requests to a relay.
//!
//! ```text
//!   worker_api ──▶ request ──▶ Action::Request ──▶ … ──▶ Event ──▶ answer ──▶ a shape of the wire
//!                                                                    │
//!                                                                    └──▶ error: what to do about it
//! ```

mod answer;
pub(crate) mod code_session;
pub(crate) mod device;
mod device_call;
mod error;
mod foreign;
pub(crate) mod gate;
mod log_in;
pub(crate) mod log_pages;
mod proof;
mod request;
mod retry_after;
mod sign_in;
mod token_retry;
pub mod viewer_api;
pub mod worker_api;

pub use answer::answer;
pub use device::TokenError;
pub use device_call::{AskAsDevice, DeviceAnswer, DeviceCall, Holder};
pub use error::{ApiError, ErrorClass, RequestError};
pub use foreign::ForeignAnswer;
pub use log_in::{DeviceLogIn, LogInConfig, LogInNotice};
pub use proof::{ask_for_proof, proved};
pub(crate) use retry_after::RetryAfter;
pub use sign_in::AskForCode;
pub use token_retry::TokenRetry;
