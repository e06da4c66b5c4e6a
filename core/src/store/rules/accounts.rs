//! Who may use a relay, and what ends with an account (Y-1).

use alloc::collections::BTreeSet;

use super::cx::{Answered, Cx};
use super::{audit, devices, environments, pushes};
use crate::store::committed::Answer;
use crate::store::record::AccountId;
use crate::store::tables::Tables;
use crate::wire::audit::AuditAction;

pub(super) fn end<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Answered {
    devices::end_all(cx, owner)?;
    environments::remove_all(cx, owner)?;
    pushes::remove_all(cx, owner)?;
    Ok(Answer::Done)
}

/// Writes down who has come and gone. Who was there before anybody noted it is not new.
pub(super) fn note<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    people: &[AccountId],
) -> Answered {
    let now: BTreeSet<_> = people.iter().cloned().collect();
    let Some(before) = cx.meta.people.replace(now.clone()) else { return Ok(Answer::Done) };
    for gone in before.difference(&now) {
        audit::person(cx, owner, gone, AuditAction::PersonRemoved)?;
    }
    for new in now.difference(&before) {
        audit::person(cx, owner, new, AuditAction::PersonAdded)?;
    }
    Ok(Answer::Done)
}
