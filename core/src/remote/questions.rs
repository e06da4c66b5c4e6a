//! The agent's questions: those to a person, and those to this client (M-2, M-6).
//!
//! While what has happened before is still being told, nobody is asked: most of those questions are
//! answered a few events later.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::notice::{Asked, RemoteNotice, Withdrawal};
use crate::base::limits::{MAX_OPEN_PERMISSIONS, MAX_REMOTE_CALLBACKS};
use crate::base::text::Text;
use crate::wire::control::request_of;
use crate::wire::message::Head;
use crate::wire::viewer::Question;

/// Whether the program knows of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Untold,
    Told,
    /// An answer of this viewer is on its way.
    Answering,
}

/// The open questions.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<String, (Asked, State)>,
    /// Questions to a client, by their events.
    callbacks: BTreeMap<u64, Text>,
    /// The events of those that the program was told of.
    told: BTreeSet<u64>,
    is_live: bool,
    /// Up to here, events are missing.
    gap_until: u64,
}

impl Questions {
    /// What had happened before is told again, from where the last connection broke.
    pub(super) const fn disconnected(&mut self) {
        self.is_live = false;
    }

    pub(super) const fn gap(&mut self, resumes_after: u64) {
        self.gap_until = resumes_after;
    }

    /// Whether this event asks a person.
    pub(super) fn is_question(head: &Head) -> bool {
        head.kind == "control_request" && head.subtype.as_deref() == Some("can_use_tool")
    }

    /// The agent asks a person.
    pub(super) fn asked(
        &mut self,
        seq: u64,
        head: &Head,
        message: &Text,
        tell: &mut Vec<RemoteNotice>,
    ) {
        #[derive(Deserialize)]
        struct Request<'a> {
            #[serde(borrow, default)]
            tool_use_id: Option<Cow<'a, str>>,
        }
        let Some(request_id) = head.request_id.as_deref().map(String::from) else { return };
        if self.open.get(&request_id).is_some_and(|(asked, _)| asked.message == *message) {
            // A repeat: one answer is for both.
            return;
        }
        let request = request_of::<Request<'_>>(message.as_str());
        let tool_use_id = request.and_then(|request| request.tool_use_id).map(Cow::into_owned);
        let tool_name = head.tool_name.clone().unwrap_or_default().into_owned();
        let asked = Asked {
            request_id: request_id.clone(),
            seq,
            tool_use_id,
            tool_name,
            message: message.clone(),
        };
        while self.open.len() >= MAX_OPEN_PERMISSIONS {
            let oldest = self.open.iter().min_by_key(|(_, (asked, _))| asked.seq);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            self.open.remove(&oldest);
        }
        let state = if self.is_live { State::Told } else { State::Untold };
        if state == State::Told {
            tell.push(RemoteNotice::PermissionAsked(asked.clone()));
        }
        self.open.insert(request_id, (asked, state));
    }

    /// A question is closed, by an event.
    pub(super) fn closed(
        &mut self,
        request_id: &str,
        why: Withdrawal,
        tell: &mut Vec<RemoteNotice>,
    ) {
        match self.open.get(request_id) {
            // What the relay answers to this viewer's answer says whose counted.
            Some((_, State::Answering)) if why == Withdrawal::Answered => {}
            Some(_) => self.withdraw(request_id, why, tell),
            None => {}
        }
    }

    fn withdraw(&mut self, request_id: &str, why: Withdrawal, tell: &mut Vec<RemoteNotice>) {
        let Some((asked, state)) = self.open.remove(request_id) else { return };
        if state != State::Untold {
            let Asked { request_id, seq, tool_use_id, .. } = asked;
            tell.push(RemoteNotice::PermissionWithdrawn { request_id, seq, tool_use_id, why });
        }
    }

    /// This viewer answers it.
    pub(super) fn answering(&mut self, request_id: &str) {
        if let Some((_, state)) = self.open.get_mut(request_id) {
            *state = State::Answering;
        }
    }

    /// Its answer counted.
    pub(super) fn answered(&mut self, request_id: &str) {
        self.open.remove(request_id);
    }

    /// Its answer did not count, because the question is closed.
    pub(super) fn answered_elsewhere(
        &mut self,
        request_id: &str,
        why: Withdrawal,
        tell: &mut Vec<RemoteNotice>,
    ) {
        self.withdraw(request_id, why, tell);
    }

    /// Its answer was not taken, and the question is still open.
    pub(super) fn not_answered(&mut self, request_id: &str) {
        if let Some((_, state)) = self.open.get_mut(request_id) {
            *state = State::Told;
        }
    }

    /// The event that asked, of a question that is open.
    pub(super) fn seq_of(&self, request_id: &str) -> Option<u64> {
        self.open.get(request_id).map(|(asked, _)| asked.seq)
    }

    /// All that had happened is told by now. `pending` are the questions that the relay says are open.
    pub(super) fn live(&mut self, pending: &[Question], tell: &mut Vec<RemoteNotice>) {
        self.is_live = true;
        // What closed these may be among the missing events.
        let gap_until = core::mem::take(&mut self.gap_until);
        let is_pending = |asked: &Asked| {
            pending.iter().any(|it| it.request_id == asked.request_id && it.seq == asked.seq)
        };
        let lost = self.open.values().map(|(asked, _)| asked);
        let lost = lost.filter(|asked| asked.seq <= gap_until && !is_pending(asked));
        let lost: Vec<_> = lost.map(|asked| asked.request_id.clone()).collect();
        for request_id in lost {
            let reason = "it was closed while this viewer was away".to_owned();
            self.withdraw(&request_id, Withdrawal::Withdrawn { reason }, tell);
        }
        let mut untold: Vec<_> = self.open.values_mut().collect();
        untold.retain(|(_, state)| *state == State::Untold);
        untold.sort_by_key(|(asked, _)| asked.seq);
        for (asked, state) in untold {
            *state = State::Told;
            tell.push(RemoteNotice::PermissionAsked(asked.clone()));
        }
    }

    /// The agent asks a client; maybe this one.
    pub(super) fn callback(&mut self, seq: u64, message: &Text) {
        self.callbacks.insert(seq, message.clone());
        while self.callbacks.len() > MAX_REMOTE_CALLBACKS {
            self.callbacks.pop_first();
        }
    }

    /// It is this one.
    pub(super) fn callback_asked(
        &mut self,
        request_id: &str,
        seq: u64,
        tell: &mut Vec<RemoteNotice>,
    ) {
        let Some(message) = self.callbacks.remove(&seq) else { return };
        if self.told.insert(seq) {
            while self.told.len() > MAX_REMOTE_CALLBACKS {
                self.told.pop_first();
            }
            let request_id = request_id.to_owned();
            tell.push(RemoteNotice::CallbackAsked { request_id, seq, message });
        }
    }
}
