//! Whether a relay is up, and what it speaks.

use alloc::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{link_v1, viewer};

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

/// The answer to `GET /v1/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The program: `footbridge`.
    pub name: Cow<'static, str>,
    /// Its version.
    pub version: Cow<'static, str>,
    /// The WebSocket subprotocols that it speaks.
    #[serde(default)]
    pub protocols: Cow<'static, [Cow<'static, str>]>,
    /// How sessions can travel (C-4): `v1`, by a WebSocket; `v2`, by streams of events and batches.
    /// Missing: as `v1`.
    #[serde(default)]
    pub transports: Cow<'static, [Cow<'static, str>]>,
    /// How work can come to workers (E-2): `poll`; `stream`, as it comes. Missing: by polls.
    #[serde(default)]
    pub work: Cow<'static, [Cow<'static, str>]>,
}

impl Version {
    /// This version.
    pub const CURRENT: Self = Self {
        name: Cow::Borrowed("footbridge"),
        version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        protocols: Cow::Borrowed(&[
            Cow::Borrowed(link_v1::PROTOCOL),
            Cow::Borrowed(viewer::PROTOCOL),
        ]),
        transports: Cow::Borrowed(&[Cow::Borrowed("v1"), Cow::Borrowed("v2")]),
        work: Cow::Borrowed(&[Cow::Borrowed("poll"), Cow::Borrowed("stream")]),
    };
}
