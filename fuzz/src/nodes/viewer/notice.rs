//! What a viewer has seen and done.

use std::collections::BTreeMap;

/// One thing that a viewer has seen or done.
#[derive(Clone, Debug)]
pub(crate) enum ViewerNotice {
    /// A session was created under a key.
    Created { key: String, session: String, title: Option<String> },
    /// A message was accepted.
    Accepted { session: String, uuid: String, seq: u64 },
    /// A message was refused for good.
    Rejected { session: String, uuid: String },
    /// It answers a permission question.
    Answering { session: String, request_id: String, is_allow: bool },
    /// It answers a hook that guards a tool. `is_allow`: the tool may run.
    HookAnswering { session: String, request_id: String, is_allow: bool },
    /// Its answer counts.
    Answered { session: String, request_id: String, body: String },
    /// Another answer counts.
    Conflict { session: String, request_id: String, answer: String },
    /// The question can no longer be answered.
    Withdrawn { session: String, request_id: String },
    /// An event of a session's log.
    Event { session: String, after: u64, seq: u64, from: String, message: String },
    /// Events that are no longer kept.
    Gap { session: String, after: u64, from: u64, resumes_after: u64 },
    /// A subscription to a session has received its first message.
    Subscribed { session: String },
    /// It no longer has one, or did not get one. `is_full`: the relay says that there is no room.
    Unsubscribed { session: String, is_full: bool },
    /// A session as the relay describes it.
    View(View),
    /// What viewers sent to a session has come further.
    Receipts { session: String, receipts: Receipts },
    /// The relay does not know a session, or no longer does.
    Gone { session: String },
    /// A request to an agent was accepted. `is_named`: it has a uuid too.
    Requested { session: String, request_id: String, is_named: bool, seq: u64 },
    /// It starts listing all sessions, page by page.
    Listing,
    /// The sessions on those pages: all, or those of one environment.
    Listed { sessions: Vec<String>, is_all: bool },
    /// A subscription to everything starts over.
    OverviewBegins,
    /// That subscription reports a session's state.
    InOverview { session: String, state: String },
    /// What that subscription, if any, has reported so far, next to what a list says.
    Compared {
        what: Listed,
        told: Option<BTreeMap<String, String>>,
        listed: BTreeMap<String, String>,
    },
    /// An environment as the relay describes it; whether it has an open healthcheck.
    Environment { id: String, is_online: bool, has_room: bool, is_waiting: bool },
}

/// What a list contains.
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
    /// The status of its result, once it has ended.
    pub(crate) result: Option<String>,
    pub(crate) title: Option<String>,
    /// How far what viewers sent has come, if it says so.
    pub(crate) receipts: Option<Receipts>,
}

/// How far what viewers sent has come, as numbers of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Receipts {
    pub(crate) delivered: u64,
    pub(crate) seen: u64,
}
