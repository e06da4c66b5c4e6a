//! What a viewer has seen and done.

/// One thing that a viewer has seen or done.
#[derive(Clone, Debug)]
pub(crate) enum ViewerNotice {
    /// A session was made under a key.
    Created { key: String, session: String },
    /// A message was accepted.
    Accepted { session: String, uuid: String, seq: u64 },
    /// A message was refused for good.
    Rejected { session: String, uuid: String },
    /// It asks for a permission to be given or not.
    Answering { session: String, request_id: String, is_allow: bool },
    /// Its answer counts.
    Answered { session: String, request_id: String, body: String },
    /// Another answer counts.
    Conflict { session: String, request_id: String, answer: String },
    /// The question cannot be answered any more.
    Withdrawn { session: String, request_id: String },
    /// An event of a session's log.
    Event { session: String, after: u64, seq: u64, from: String, message: String },
    /// Events that are no longer kept.
    Gap { session: String, after: u64, from: u64, resumes_after: u64 },
    /// A session as the relay describes it.
    View(View),
    /// The relay does not know a session (any more).
    Gone { session: String },
}

/// A session as the relay describes it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) session: String,
    pub(crate) state: String,
    pub(crate) is_connected: bool,
    pub(crate) pending: Vec<String>,
    pub(crate) last_seq: u64,
    /// The status of what came of it, once it has ended.
    pub(crate) result: Option<String>,
}
