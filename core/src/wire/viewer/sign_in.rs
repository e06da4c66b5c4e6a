//! How a browser gets a credential of its own.

use serde::{Deserialize, Serialize};

use crate::base::secret::{self, Secret};
use crate::base::time::UnixTime;
use crate::wire::rfc3339;

/// A code that signs one browser in, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInCode {
    /// The code.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    pub code: Secret,
    /// When it stops working.
    #[serde(with = "rfc3339")]
    pub expires_at: UnixTime,
}

/// A browser's own credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The credential.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    pub token: Secret,
    /// When it stops working.
    #[serde(with = "rfc3339")]
    pub expires_at: UnixTime,
}
