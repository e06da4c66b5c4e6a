//! What a viewer has seen and done.

use std::collections::BTreeMap;

/// One thing that a viewer has seen or done.
#[derive(Clone, Debug)]
pub(crate) enum ViewerNotice {
    /// A session was made under a key.
    Created { key: String, session: String, title: Option<String> },
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
    /// A subscription to a session has brought its first message.
    Subscribed { session: String },
    /// It has none any more, or did not get one. `is_full`: because there is no place, as the relay says.
    Unsubscribed { session: String, is_full: bool },
    /// A session as the relay describes it.
    View(View),
    /// The relay does not know a session (any more).
    Gone { session: String },
    /// Something was asked of an agent, and accepted. `is_named`: by a uuid too.
    Requested { session: String, request_id: String, is_named: bool, seq: u64 },
    /// It begins to name all sessions, page by page.
    Listing,
    /// The sessions that those pages named: all, or those of one environment.
    Listed { sessions: Vec<String>, is_all: bool },
    /// A subscription to everything begins anew.
    OverviewBegins,
    /// That subscription says where a session stands.
    InOverview { session: String, state: String },
    /// What that subscription has told by now, if there is one, beside what a list says.
    Compared {
        what: Listed,
        told: Option<BTreeMap<String, String>>,
        listed: BTreeMap<String, String>,
    },
    /// An environment as the relay describes it; whether an open healthcheck waits there.
    Environment { id: String, is_online: bool, has_room: bool, is_waiting: bool },
}

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listed {
    Environments,
    Sessions,
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
    pub(crate) title: Option<String>,
}
