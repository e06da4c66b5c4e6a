//! A person's credentials, as a machine holds them (T, E-10).

mod access;

pub use access::AccessToken;
pub(crate) use access::MAX_TOKEN_FILE_BYTES;
