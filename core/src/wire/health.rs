//! Whether a relay is up.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The answer to `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: Cow<'static, str>,
}

impl Health {
    /// All is well.
    pub const OK: Self = Self { status: Cow::Borrowed("ok") };
}
