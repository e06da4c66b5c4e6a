//! One session's client that has declared hooks (M-6): who it is, what it is asked, and what another
//! run of the agent is told.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Check, ensure};
use crate::base::text::Text;
use crate::store::{CallbackReply, NewMessage, OpenCallback, Sender, StoreError};

#[derive(Default)]
pub(super) struct CallbacksModel {
    /// The client that the agent's questions are for.
    answerer: Option<String>,
    /// What was declared last, unless that was taken back.
    hooks: Option<Text>,
    /// The number of the first line for the agent that declared any.
    first: u64,
    /// Whether a run of the agent has begun since that an earlier one was told.
    is_for_earlier_run: bool,
    /// The questions of the operation, and for whom they are.
    asked: Vec<(String, OpenCallback)>,
}

/// The hooks that a message declares.
fn hooks_of(message: &NewMessage) -> Option<Text> {
    let NewMessage { request_id, line, .. } = message;
    request_id.as_ref()?;
    let (_, rest) = line.as_str().split_once(r#""hooks":"#)?;
    // They are the last field of the request.
    Some(Text::from(String::from(rest.strip_suffix("}}")?)))
}

impl CallbacksModel {
    pub(super) fn answerer(&self) -> Option<&String> {
        self.answerer.as_ref()
    }

    /// Why messages may not be posted: only a client that is connected may declare hooks, and not in
    /// the place of another one that is.
    pub(super) fn denied(
        &self,
        messages: &[NewMessage],
        sender: Option<&Sender>,
    ) -> Option<StoreError> {
        let declared = messages.iter().filter_map(hooks_of);
        let mut counting =
            declared.filter(|hooks| self.answerer.is_some() || hooks.as_str() != "{}");
        counting.next()?;
        let is_there =
            |client: &String| sender.is_some_and(|sender| sender.connected.contains(client));
        let Some(Sender { client, .. }) = sender.filter(|sender| is_there(&sender.client)) else {
            return Some(StoreError::CallbacksUnanswerable);
        };
        let other = self.answerer.as_ref().filter(|answerer| *answerer != client);
        other.filter(|other| is_there(other)).map(|_| StoreError::CallbacksTaken)
    }

    /// A message was accepted as the line of this number.
    pub(super) fn posted(&mut self, message: &NewMessage, sender: Option<&Sender>, number: u64) {
        let Some((hooks, Sender { client, .. })) = hooks_of(message).zip(sender) else { return };
        let has_any = hooks.as_str() != "{}";
        if self.answerer.is_none() && !has_any {
            return;
        }
        if self.first == 0 {
            self.first = number;
        }
        self.answerer = has_any.then(|| client.clone());
        self.hooks = has_any.then_some(hooks);
    }

    /// The agent asks; `None` if nobody answers.
    pub(super) fn ask(&mut self, request_id: &str, seq: u64) -> Option<()> {
        let answerer = self.answerer.clone()?;
        self.asked.push((answerer, OpenCallback { request_id: request_id.into(), seq }));
        Some(())
    }

    /// The questions of an operation.
    pub(super) fn take_asked(&mut self) -> Vec<(String, OpenCallback)> {
        core::mem::take(&mut self.asked)
    }

    /// A link begins to serve an agent that is, or may be, another run; lines up to `acked` are not
    /// sent to it.
    pub(super) fn run_began(&mut self, is_named: bool, acked: u64) {
        self.is_for_earlier_run = self.hooks.is_some() && (!is_named || self.first <= acked);
    }

    /// What a new link is told.
    pub(super) fn check_declared(&self, told: Option<&Text>) -> Check {
        let hooks = self.hooks.as_ref().filter(|_| self.is_for_earlier_run);
        let is_so = match (hooks, told) {
            (Some(hooks), Some(told)) => told.as_str().contains(hooks.as_str()),
            (hooks, told) => hooks.is_none() && told.is_none(),
        };
        ensure(is_so, || format!("answers: another run was told {told:?}, expected {hooks:?}"))
    }
}

/// Whether an agent can read this answer to one that guards a tool.
pub(super) fn is_clear(reply: &CallbackReply) -> bool {
    !matches!(reply, CallbackReply::Response(json) if json.as_str().contains("unclear"))
}
