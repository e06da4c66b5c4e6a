//! Browsers that are sent notifications (Y-7).

use alloc::boxed::Box;

use super::conversation::own;
use super::cx::{Answered, Cx};
use crate::base::id::{DeviceId, PushId, SessionId};
use crate::base::limits::{MAX_PUSH_SUBSCRIPTIONS, MAX_REQUEST_HEAD_BYTES};
use crate::store::committed::{Answer, StoreError};
use crate::store::record::{AccountId, PushSignIn, PushSubscription, PushTargets};
use crate::store::rows::Standing;
use crate::store::tables::{TableError, Tables};
use crate::wire::audit::AuditAction;

pub(super) fn add<T: Tables>(cx: &mut Cx<'_, T>, new: &PushSubscription) -> Answered {
    let mut subscription = new.clone();
    match cx.tables.push(&new.id)? {
        Some(known) => subscription.created_at = known.created_at,
        None => {
            make_room(cx, &new.owner)?;
            cx.done.push(AuditAction::PushAdded);
        }
    }
    cx.tables.put_push(subscription.clone())?;
    Ok(Answer::Push(Box::new(subscription)))
}

/// Forgets those whose sign-in is over, and, of too many, those that were made first.
fn make_room<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Result<(), TableError> {
    let mut known = cx.tables.pushes(owner)?;
    known.sort_by_key(|push| push.created_at);
    let surplus = (known.len() + 1).saturating_sub(MAX_PUSH_SUBSCRIPTIONS);
    for (at, push) in known.iter().enumerate() {
        if at < surplus || is_over(cx, push) {
            cx.tables.delete_push(&push.id)?;
        }
    }
    Ok(())
}

/// Whether its sign-in has ended by itself.
fn is_over<T>(cx: &Cx<'_, T>, push: &PushSubscription) -> bool {
    matches!(push.sign_in, PushSignIn::Person { until: Some(until), .. } if until <= cx.wall)
}

pub(super) fn list<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Answered {
    let mut known = cx.tables.pushes(owner)?;
    known.retain(|push| !is_over(cx, push));
    Ok(Answer::Pushes(known))
}

pub(super) fn remove<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId, id: &PushId) -> Answered {
    let known = cx.tables.push(id)?.filter(|push| push.owner == *owner);
    let known = known.ok_or(StoreError::PushUnknown)?;
    cx.tables.delete_push(&known.id)?;
    cx.done.push(AuditAction::PushRemoved);
    Ok(Answer::Done)
}

/// Forgets all browsers of an account.
pub(super) fn remove_all<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
) -> Result<(), TableError> {
    let known = cx.tables.pushes(owner)?;
    known.iter().try_for_each(|push| cx.tables.delete_push(&push.id))
}

/// With a device go the browsers that it has named.
pub(super) fn remove_of_device<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    device: &DeviceId,
) -> Result<(), TableError> {
    for push in cx.tables.pushes(owner)? {
        if matches!(&push.sign_in, PushSignIn::Device(of) if of == device) {
            cx.tables.delete_push(&push.id)?;
        }
    }
    Ok(())
}

/// Largest tool input that is read for a notification, in bytes.
const MAX_INPUT_BYTES: usize = MAX_REQUEST_HEAD_BYTES;

pub(super) fn targets<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    session: &SessionId,
    request_id: Option<&str>,
) -> Answered {
    let session = own(cx, owner, session)?.session;
    let mut subscriptions = cx.tables.pushes(owner)?;
    subscriptions.retain(|push| !is_over(cx, push));
    let mut input = None;
    if let Some(request_id) = request_id
        && !subscriptions.is_empty()
        && let Some(row) = cx.tables.question(&session.id, request_id)?
        && let Standing::Open { input: asked, .. } = row.standing
        && asked.len() <= MAX_INPUT_BYTES
    {
        input = Some(asked);
    }
    let machine = cx.tables.environment(&session.environment)?;
    let machine = machine.map(|row| row.environment.registration.machine_name);
    let targets = PushTargets { subscriptions, machine, session, input };
    Ok(Answer::PushTargets(Box::new(targets)))
}
