//! Links that answer one question, once (Y-9): whoever has one can say *allow* or *deny* to it, and do
//! nothing else. They are kept with their question, and go when it closes.

use alloc::boxed::Box;

use super::conversation::{Conversation, own};
use super::cx::{Answered, Cx};
use super::permissions;
use super::questions::known;
use crate::base::id::SessionId;
use crate::base::limits::MAX_ANSWER_LINKS;
use crate::store::committed::{Answer, LinkedQuestion, StoreError};
use crate::store::record::AccountId;
use crate::store::rows::{AnswerLinkRow, QuestionRow, Standing};
use crate::store::tables::{TableError, Tables};
use crate::store::transaction::PermissionReply;
use crate::wire::audit::AuditAction;

/// Tools whose questions have answers of their own, so that a mere *allow* says nothing.
const TAKE_MORE: [&str; 1] = ["AskUserQuestion"];

pub(super) fn make<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    session: &SessionId,
    (request_id, asked_at): (&str, Option<u64>),
    link: &AnswerLinkRow,
) -> Answered {
    let conversation = Conversation::of(own(cx, owner, session)?);
    let row = known(cx, &conversation, request_id)?.filter(|row| row.callback.is_none());
    let mut row = row.ok_or(StoreError::PermissionUnknown)?;
    let Standing::Open { .. } = row.standing else {
        return Err(StoreError::PermissionWithdrawn.into());
    };
    if asked_at.is_none() && row.is_reused {
        return Err(StoreError::PermissionAmbiguous { open: Some(row.question.seq) }.into());
    }
    if asked_at.is_some_and(|seq| seq != row.question.seq) {
        return Err(StoreError::PermissionWithdrawn.into());
    }
    if TAKE_MORE.contains(&&*row.question.tool_name) {
        return Err(StoreError::AnswerLinkUnfit.into());
    }
    row.links.retain(|known| known.expires_at > cx.wall && known.digest != link.digest);
    let surplus = (row.links.len() + 1).saturating_sub(MAX_ANSWER_LINKS);
    row.links.drain(..surplus);
    row.links.push(link.clone());
    cx.tables.put_question(session, row)?;
    cx.done.push(AuditAction::AnswerLinkMade);
    Ok(Answer::Done)
}

pub(super) fn read<T: Tables>(cx: &mut Cx<'_, T>, session: &SessionId, digest: &str) -> Answered {
    let (conversation, row, link) = find(cx, session, digest)?.ok_or(StoreError::AnswerLinkOver)?;
    let Standing::Open { input, .. } = row.standing else {
        return Err(StoreError::AnswerLinkOver.into());
    };
    let linked = LinkedQuestion {
        session: session.clone(),
        title: conversation.row.session.title.clone(),
        tool_name: row.question.tool_name,
        input,
        expires_at: link.expires_at,
    };
    Ok(Answer::LinkedQuestion(Box::new(linked)))
}

pub(super) fn answer<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    digest: &str,
    reply: &PermissionReply,
) -> Answered {
    let (mut conversation, row, _) =
        find(cx, session, digest)?.ok_or(StoreError::AnswerLinkOver)?;
    let (id, seq) = (row.question.request_id, row.question.seq);
    let answer = permissions::answer(cx, &mut conversation, &id, Some(seq), reply)?;
    conversation.save(cx)?;
    Ok(answer)
}

type Found = (Conversation, QuestionRow, AnswerLinkRow);

/// A link that still works, and the open question that it is for.
fn find<T: Tables>(
    cx: &mut Cx<'_, T>,
    session: &SessionId,
    digest: &str,
) -> Result<Option<Found>, TableError> {
    let Some(row) = cx.tables.session(session)? else { return Ok(None) };
    for question in &row.session.pending {
        let Some(asked) = cx.tables.question(session, &question.request_id)? else { continue };
        let link = asked.links.iter().find(|link| link.digest == digest).cloned();
        let Some(link) = link else { continue };
        let is_its_maker_gone = match &link.device {
            Some(device) => cx.tables.device(device)?.is_none(),
            None => false,
        };
        let works = link.expires_at > cx.wall && !is_its_maker_gone;
        return Ok(works.then(|| (Conversation::of(row), asked, link)));
    }
    Ok(None)
}
