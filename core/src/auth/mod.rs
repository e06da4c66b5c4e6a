//! The credentials of a person and of their workers (T, E-10, Y-4).

mod account_key;
mod credential;
mod log_in;
pub(crate) mod proof;
pub mod refresh;
mod refresh_lock;
mod worker_credential;

pub(crate) use account_key::{AccountKey, keyed, mac};
pub use credential::Credential;
pub(crate) use credential::MAX_TOKEN_FILE_BYTES;
pub use log_in::LogIn;
pub(crate) use refresh_lock::RefreshLock;
pub use worker_credential::{MAX_CREDENTIAL_NAME_BYTES, worker_credential};
pub(crate) use worker_credential::{is_worker_credential, signed_again, worker_of};
