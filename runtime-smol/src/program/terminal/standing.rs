//! What a terminal is to the session that it shows.

/// What a terminal is to the session that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum Standing {
    /// One of its viewers.
    Follows,
    /// A viewer that says nothing.
    LooksOn,
    /// The one that it began in: it ends with it, unless it is detached before.
    Owns,
}

impl Standing {
    /// What becomes of the session when somebody leaves.
    pub(super) const fn on_leaving(self) -> &'static str {
        match self {
            Self::Follows | Self::LooksOn => "leaves; the session continues",
            Self::Owns => "ends the agent; :detach leaves it running",
        }
    }
}
