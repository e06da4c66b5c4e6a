//! What one session's agent asks people and clients (M-2, M-6), and what an answer has to lead to.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::callbacks::{CallbacksModel, is_clear};
use crate::base::text::Text;
use crate::store::{CallbackReply, Entry, Origin, PermissionReply, StoreError};
use crate::wire::message::{Head, Kind};

#[derive(Default)]
pub(super) struct QuestionsModel {
    by_id: BTreeMap<String, Question>,
    /// The ids of those that were the id of another question before.
    reused: BTreeSet<String>,
}

struct Question {
    /// The event that asked it.
    asked: u64,
    /// Whether it is for a client, and not for people.
    is_callback: bool,
    standing: Standing,
}

enum Standing {
    Open,
    /// By the event that closed it.
    Withdrawn {
        seq: u64,
    },
    Answered {
        seq: u64,
        reply: Reply,
    },
}

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Person(PermissionReply),
    Client(CallbackReply),
}

impl Question {
    const fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Open)
    }
}

/// The input of every question in a run.
const INPUT: &str = r#"{"asked":1}"#;

/// A reply with its input filled in: without one, it is the input of the question.
fn effective(reply: &PermissionReply) -> PermissionReply {
    match reply {
        PermissionReply::Allow { updated_input: None, further } => PermissionReply::Allow {
            updated_input: Some(Text::from(INPUT)),
            further: further.clone(),
        },
        other => other.clone(),
    }
}

impl QuestionsModel {
    /// Takes in an event of a session, which may be over.
    pub(super) fn record(&mut self, entry: &Entry, is_over: bool, clients: &mut CallbacksModel) {
        let head = Head::parse(&entry.line).unwrap_or_default();
        let kind = head.kind();
        let subtype = head.subtype.unwrap_or_default().into_owned();
        let Some(id) = head.request_id.map(Cow::into_owned) else { return };
        let is_withdrawn = match entry.origin {
            Origin::Agent => kind == Kind::ControlCancelRequest,
            Origin::Relay | Origin::Worker => {
                matches!(subtype.as_str(), "permission_withdrawn" | "callback_withdrawn")
            }
            Origin::Viewer => false,
        };
        let is_open = self.by_id.get(&id).is_some_and(Question::is_open);
        if is_withdrawn {
            if let Some(question) = self.by_id.get_mut(&id).filter(|_| is_open) {
                question.standing = Standing::Withdrawn { seq: entry.seq };
            }
            return;
        }
        let is_callback = subtype == "hook_callback";
        let asks = entry.origin == Origin::Agent && (is_callback || subtype == "can_use_tool");
        // A question asked after the session's end is never open.
        if !asks || is_open || is_over {
            return;
        }
        if is_callback && clients.ask(&id, entry.seq).is_none() {
            return;
        }
        let question = Question { asked: entry.seq, is_callback, standing: Standing::Open };
        if self.by_id.insert(id.clone(), question).is_some() {
            self.reused.insert(id);
        } else {
            self.reused.remove(&id);
        }
    }

    /// What was closed before the first event that is kept is forgotten.
    pub(super) fn forget(&mut self, first_seq: u64) {
        self.by_id.retain(|_, question| match question.standing {
            Standing::Open => true,
            Standing::Withdrawn { seq } | Standing::Answered { seq, .. } => seq >= first_seq,
        });
    }

    /// The open questions for people or for clients, in the order they were asked.
    pub(super) fn open(&self, of_clients: bool) -> Vec<(u64, &str)> {
        let open = self
            .by_id
            .iter()
            .filter(|(_, question)| question.is_open() && question.is_callback == of_clients);
        let mut open: Vec<_> = open.map(|(id, question)| (question.asked, id.as_str())).collect();
        open.sort_unstable();
        open
    }

    /// What a person's answer to a question has to lead to.
    pub(super) fn expected(
        &self,
        id: &str,
        asked_at: Option<u64>,
        reply: &PermissionReply,
    ) -> Expected {
        let known = self.by_id.get(id).filter(|question| !question.is_callback);
        let Some(Question { asked, standing, .. }) = known else { return Expected::Unknown };
        if asked_at.is_some_and(|seq| seq != *asked) {
            return Expected::Withdrawn;
        }
        if asked_at.is_none() && self.reused.contains(id) {
            let is_open = matches!(standing, Standing::Open);
            return Expected::Ambiguous(is_open.then_some(*asked));
        }
        standing.expected(&Reply::Person(effective(reply)))
    }

    /// What a client's answer has to lead to, which may not be the one that is asked.
    pub(super) fn expected_of_client(
        &self,
        (id, asked_at): (&str, u64),
        is_for_client: bool,
        reply: &CallbackReply,
    ) -> Expected {
        let known = self.by_id.get(id).filter(|question| question.is_callback);
        let Some(Question { asked, standing, .. }) = known else { return Expected::Unknown };
        if asked_at != *asked {
            return Expected::Withdrawn;
        }
        if !is_for_client {
            return Expected::NotYours;
        }
        if !is_clear(reply) {
            return Expected::Unclear;
        }
        standing.expected(&Reply::Client(reply.clone()))
    }

    pub(super) fn answered(&mut self, id: &str, seq: u64, reply: Reply) {
        if let Some(question) = self.by_id.get_mut(id) {
            let reply = match reply {
                Reply::Person(reply) => Reply::Person(effective(&reply)),
                reply @ Reply::Client(_) => reply,
            };
            question.standing = Standing::Answered { seq, reply };
        }
    }

    /// The ids of the questions for people or for clients, open or not.
    pub(super) fn ids(&self, of_clients: bool) -> impl Iterator<Item = &String> {
        let own = self.by_id.iter().filter(move |(_, own)| own.is_callback == of_clients);
        own.map(|(id, _)| id)
    }

    /// The event that asked the last question under an id.
    pub(super) fn asked_at(&self, id: &str) -> Option<u64> {
        self.by_id.get(id).map(|question| question.asked)
    }
}

impl Standing {
    fn expected(&self, reply: &Reply) -> Expected {
        match self {
            Self::Open => Expected::First,
            Self::Withdrawn { .. } => Expected::Withdrawn,
            Self::Answered { seq, reply: given } if given == reply => Expected::Same(*seq),
            Self::Answered { .. } => Expected::Conflict,
        }
    }
}

/// What an answer to a question has to lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    First,
    Same(u64),
    Conflict,
    Withdrawn,
    /// The event of the one that is open.
    Ambiguous(Option<u64>),
    Unknown,
    /// It is for another client.
    NotYours,
    /// The agent could not read it.
    Unclear,
}

impl Expected {
    /// Whether this error says so, to whoever gave this reply.
    pub(super) const fn is_said_by(self, error: &StoreError, reply: &Reply) -> bool {
        match (self, reply) {
            (Self::Conflict, Reply::Person(_)) => {
                matches!(error, StoreError::PermissionConflict { .. })
            }
            (Self::Withdrawn, Reply::Person(_)) => matches!(error, StoreError::PermissionWithdrawn),
            (Self::Unknown, Reply::Person(_)) => matches!(error, StoreError::PermissionUnknown),
            (Self::Conflict, Reply::Client(_)) => {
                matches!(error, StoreError::CallbackConflict { .. })
            }
            (Self::Withdrawn, Reply::Client(_)) => matches!(error, StoreError::CallbackWithdrawn),
            (Self::Unknown, Reply::Client(_)) => matches!(error, StoreError::CallbackUnknown),
            (Self::NotYours, _) => matches!(error, StoreError::CallbackNotYours),
            (Self::Unclear, _) => matches!(error, StoreError::CallbackUnclear { .. }),
            _ => false,
        }
    }
}
