//! The clients of a served agent, and whom of them a line concerns.

/// Names a client for as long as its agent runs.
pub(crate) type ClientKey = u64;

/// Whom a line concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    All,
    Only(ClientKey),
    Except(ClientKey),
}

impl Audience {
    pub(crate) fn includes(self, client: ClientKey) -> bool {
        match self {
            Self::All => true,
            Self::Only(one) => one == client,
            Self::Except(one) => one != client,
        }
    }
}
