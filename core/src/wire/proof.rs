//! How a relay proves that it knows a credential.

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// The answer to `GET /v1/proof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// A keyed hash of the nonce that was asked with.
    pub proof: String,
}
