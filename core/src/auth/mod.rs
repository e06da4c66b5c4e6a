//! The credentials of a person and of their workers (T, E-10, Y-4).

mod access;
mod account_key;
pub(crate) mod proof;
mod worker_credential;

pub use access::AccessToken;
pub(crate) use access::MAX_TOKEN_FILE_BYTES;
pub(crate) use account_key::{AccountKey, keyed, mac};
pub use worker_credential::{MAX_CREDENTIAL_NAME_BYTES, worker_credential};
pub(crate) use worker_credential::{is_worker_credential, signed_again, worker_of};
