//! What the relay's clients request, and what a worker is given.

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    Register,
    Poll,
    Ack,
    Heartbeat,
    StopWork,
    Redispatch,
    Deregister,
    Attach,
    Create,
    Message,
    Permission,
    Interrupt,
    StopSession,
    Read,
    Watch,
    Overview,
    Healthcheck,
    Other,
}

/// What a worker received with an item.
#[derive(Clone, Debug)]
pub(in crate::targets::machines) struct Lease {
    pub(in crate::targets::machines) environment: String,
    pub(in crate::targets::machines) environment_secret: String,
    pub(in crate::targets::machines) work: String,
    pub(in crate::targets::machines) session: String,
    pub(in crate::targets::machines) token: String,
    pub(in crate::targets::machines) fence: u64,
}
