//! Credentials of a person, as a machine keeps them (T, E-10).

mod access;

pub use access::AccessToken;
pub(crate) use access::MAX_TOKEN_FILE_BYTES;
