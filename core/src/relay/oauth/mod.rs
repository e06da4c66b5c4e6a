//! Logging in without a browser on the machine (T-6), as RFC 8628 says.
//!
//! ```text
//!   device                              relay                             person, at the page
//!     POST …/device_authorization ──▶  device code, user code
//!     shows the user code and the page's address  · · · · · · · · · · · ▶  opens it
//!     POST …/token ──▶ authorization_pending         GET, POST …/device ◀── approves
//!     POST …/token ──▶ access token, refresh token
//!          │
//!          └── POST …/token with the refresh token ──▶ the next two; one that was used before
//!                                                      ends the device
//! ```
//!
//! Log-ins that wait are kept in memory: whoever is in the middle of one when the relay restarts
//! begins again. Devices are in the store.

mod approval;
mod forms;
mod grants;
mod refusal;
mod waiting;

pub(super) use approval::{
    answer as answer_log_in, audit, decided, devices, revoke, show, who_am_i,
};
pub(super) use forms::decoded;
pub(super) use grants::{
    begin, give_back, granted, is_grant, metadata, refused as refused_grant, token,
};
pub(super) use refusal::store_failed;
pub(super) use waiting::LogIns;
