//! The audit log: who did what, written with the change itself, so that neither is there without the
//! other (Y-9).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::cx::{Answered, Cx};
use crate::base::id::{DeviceId, EnvironmentId, SessionId};
use crate::base::limits::{AUDIT_KEPT_FOR, MAX_AUDIT_DETAIL_BYTES};
use crate::base::text::is_hidden;
use crate::store::committed::{Answer, Changes};
use crate::store::record::{AccountId, PushSignIn};
use crate::store::rows::ANSWER_LINK_NAME;
use crate::store::tables::{TableError, Tables};
use crate::store::transaction::{CallbackReply, NewMessage, Noted, PermissionReply, StoreOp};
use crate::wire::audit::{Actor, ActorKind, AuditAction, AuditEntry, AuditPage};
use crate::wire::message::Head;

/// What was done, before it has a number.
#[derive(Default)]
struct Done<'a> {
    device: Option<&'a DeviceId>,
    environment: Option<&'a EnvironmentId>,
    session: Option<&'a SessionId>,
    event: Option<u64>,
    request_id: Option<&'a str>,
    detail: Option<String>,
}

const fn behavior(reply: &PermissionReply) -> &'static str {
    match reply {
        PermissionReply::Allow { .. } => "allow",
        PermissionReply::Deny { .. } => "deny",
    }
}

/// Most entries that one addition removes because of their age, so that none takes long.
const REMOVED_AT_ONCE: u64 = 64;

/// Writes down what an operation has changed, if a person or their device has asked for it.
pub(super) fn note<T: Tables>(
    cx: &mut Cx<'_, T>,
    by: Option<&Actor>,
    op: &StoreOp,
    answer: &Answer,
) -> Result<(), TableError> {
    let Some(by) = by else { return Ok(()) };
    let is_new = has_changed(&cx.changes);
    match op {
        StoreOp::Note { owner, noted } => {
            let (action, device) = match noted {
                Noted::SignedIn => (AuditAction::SignedIn, None),
                Noted::SignInCodeMade => (AuditAction::SignInCodeMade, None),
                Noted::LogInApproved(device) => (AuditAction::LogInApproved, Some(device)),
                Noted::LogInDenied => (AuditAction::LogInDenied, None),
            };
            add(cx, owner, by, action, Done { device, ..Done::default() })
        }
        StoreOp::RevokeDevice { owner, id } if is_new => {
            let is_own = by.kind == ActorKind::Device && by.id.as_deref() == Some(id.as_str());
            let action = if is_own { AuditAction::LoggedOut } else { AuditAction::DeviceRevoked };
            add(cx, owner, by, action, Done { device: Some(id), ..Done::default() })
        }
        StoreOp::TrustDevice { owner, id, .. } => {
            let device = Some(id);
            add_all(cx, owner, by, || Done { device, ..Done::default() })
        }
        StoreOp::RegisterEnvironment { owner, device, .. } => {
            let Answer::Registered { environment, .. } = answer else { return Ok(()) };
            let (device, environment) = (device.as_ref(), Some(&environment.id));
            let done = Done { device, environment, ..Done::default() };
            add(cx, owner, by, AuditAction::EnvironmentRegistered, done)
        }
        StoreOp::CreateSession { owner, environment, .. } if is_new => {
            let Answer::Session(session) = answer else { return Ok(()) };
            let (session, environment) = (Some(&session.id), Some(environment));
            let done = Done { session, environment, ..Done::default() };
            add(cx, owner, by, AuditAction::SessionCreated, done)
        }
        StoreOp::CreateCodeSession { owner, device, .. } if is_new => {
            let Answer::Session(session) = answer else { return Ok(()) };
            let (session, environment) = (Some(&session.id), Some(&session.environment));
            let done = Done { session, environment, device: device.as_ref(), ..Done::default() };
            add(cx, owner, by, AuditAction::SessionCreated, done)
        }
        StoreOp::ChangeSession { owner, id, .. } | StoreOp::DeleteSession { owner, id } => {
            let session = Some(id);
            add_all(cx, owner, by, || Done { session, ..Done::default() })
        }
        StoreOp::AskHealthcheck { owner, id, .. } => {
            let environment = Some(id);
            add_all(cx, owner, by, || Done { environment, ..Done::default() })
        }
        StoreOp::AddPush { subscription } => {
            let device = match &subscription.sign_in {
                PushSignIn::Device(device) => Some(device),
                PushSignIn::Person { .. } => None,
            };
            let id = &subscription.id;
            add_all(cx, &subscription.owner, by, || Done {
                device,
                detail: Some(id.to_string()),
                ..Done::default()
            })
        }
        StoreOp::RemovePush { owner, id } => {
            add_all(cx, owner, by, || Done { detail: Some(id.to_string()), ..Done::default() })
        }
        StoreOp::RequestStop { owner, id } if is_new => {
            let done = Done { session: Some(id), ..Done::default() };
            add(cx, owner, by, AuditAction::SessionStopped, done)
        }
        StoreOp::AskWorktree { owner, session, post, .. } if is_new => {
            let detail = serde_json::to_value(post.action).ok();
            let detail = detail.and_then(|name| name.as_str().map(String::from));
            let done = Done { session: Some(session), detail, ..Done::default() };
            add(cx, owner, by, AuditAction::WorktreeAsked, done)
        }
        StoreOp::AnswerPermission { owner, session, request_id, reply, .. } if is_new => {
            let Answer::Answered { seq } = answer else { return Ok(()) };
            let done = answered(session, *seq, request_id, behavior(reply));
            add(cx, owner, by, AuditAction::PermissionAnswered, done)
        }
        StoreOp::MakeAnswerLink { owner, session, request_id, link, .. } => {
            let name = link.digest.get(..ANSWER_LINK_NAME).unwrap_or_default().to_owned();
            add_all(cx, owner, by, || Done {
                session: Some(session),
                request_id: Some(request_id),
                detail: Some(name.clone()),
                ..Done::default()
            })
        }
        StoreOp::AnswerByLink { session, reply, .. } if is_new => {
            let Answer::Answered { seq } = answer else { return Ok(()) };
            let Some(row) = cx.tables.session(session)? else { return Ok(()) };
            let done = Done {
                session: Some(session),
                event: Some(*seq),
                detail: Some(behavior(reply).to_owned()),
                ..Done::default()
            };
            add(cx, &row.session.owner, by, AuditAction::PermissionAnswered, done)
        }
        StoreOp::AnswerCallback { owner, session, request_id, reply, .. } if is_new => {
            let Answer::Answered { seq } = answer else { return Ok(()) };
            let detail = match reply {
                CallbackReply::Response(_) => "response",
                CallbackReply::Error(_) => "error",
            };
            let done = answered(session, *seq, request_id, detail);
            add(cx, owner, by, AuditAction::CallbackAnswered, done)
        }
        StoreOp::Post { owner, session, messages, .. } if is_new => {
            let Answer::Posted(accepted) = answer else { return Ok(()) };
            let event = accepted.last().map(|accepted| accepted.seq);
            for (action, detail) in sent(messages) {
                let detail = Some(detail);
                let done = Done { session: Some(session), event, detail, ..Done::default() };
                add(cx, owner, by, action, done)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// An entry for each thing that the rule says it has done.
fn add_all<'a, T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    by: &Actor,
    done: impl Fn() -> Done<'a>,
) -> Result<(), TableError> {
    core::mem::take(&mut cx.done)
        .into_iter()
        .try_for_each(|action| add(cx, owner, by, action, done()))
}

fn answered<'a>(session: &'a SessionId, event: u64, request_id: &'a str, detail: &str) -> Done<'a> {
    let (event, detail) = (Some(event), Some(detail.to_owned()));
    Done { session: Some(session), event, request_id: Some(request_id), detail, ..Done::default() }
}

/// Whether anything is different now: what is asked for again, because an answer was lost, changes
/// nothing.
fn has_changed(changes: &Changes) -> bool {
    !changes.entries.is_empty()
        || !changes.sessions.is_empty()
        || !changes.sessions_gone.is_empty()
        || !changes.environments_gone.is_empty()
        || !changes.devices_gone.is_empty()
}

/// What a post does: one entry for its messages, one for its control requests, one if it interrupts.
fn sent(messages: &[NewMessage]) -> Vec<(AuditAction, String)> {
    let mut done = Vec::new();
    let (requests, words): (Vec<_>, Vec<_>) =
        messages.iter().partition(|message| message.request_id.is_some());
    if !words.is_empty() {
        done.push((AuditAction::MessagesSent, words.len().to_string()));
    }
    let subtypes = requests.iter().map(|request| {
        let head = Head::parse(&request.line).ok();
        head.and_then(|head| head.subtype).unwrap_or_default().into_owned()
    });
    let (interrupts, others): (Vec<_>, Vec<_>) =
        subtypes.partition(|subtype| subtype == "interrupt");
    if !others.is_empty() {
        done.push((AuditAction::ControlSent, others.join(" ")));
    }
    if !interrupts.is_empty() {
        done.push((AuditAction::Interrupted, interrupts.len().to_string()));
    }
    done
}

/// A device has its first tokens.
pub(super) fn logged_in<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    device: &DeviceId,
    address: &str,
    scopes: &str,
) -> Result<(), TableError> {
    let detail = Some(scopes.to_owned());
    let done = Done { device: Some(device), detail, ..Done::default() };
    add(cx, owner, &by_device(device, address), AuditAction::LoggedIn, done)
}

/// A refresh token was used twice.
pub(super) fn reused<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    device: &DeviceId,
    address: &str,
) -> Result<(), TableError> {
    let done = Done { device: Some(device), ..Done::default() };
    add(cx, owner, &by_device(device, address), AuditAction::RefreshTokenReused, done)
}

/// Whoever runs the relay has let somebody in, or out.
pub(super) fn person<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    person: &AccountId,
    action: AuditAction,
) -> Result<(), TableError> {
    let by = Actor { kind: ActorKind::Program, id: None, address: String::new() };
    let detail = Some(person.name().to_owned());
    add(cx, owner, &by, action, Done { detail, ..Done::default() })
}

fn by_device(device: &DeviceId, address: &str) -> Actor {
    let id = Some(device.as_str().to_owned());
    Actor { kind: ActorKind::Device, id, address: address.to_owned() }
}

fn add<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    by: &Actor,
    action: AuditAction,
    done: Done<'_>,
) -> Result<(), TableError> {
    let Done { device, environment, session, event, request_id, detail } = done;
    let seq = cx.tables.last_audit(owner)? + 1;
    let entry = AuditEntry {
        seq,
        at: cx.wall,
        by: by.clone(),
        action,
        device_id: device.cloned(),
        environment_id: environment.cloned(),
        session_id: session.cloned(),
        event,
        request_id: request_id.map(shown),
        detail: detail.as_deref().map(shown),
    };
    cx.tables.put_audit(owner, entry)?;
    let surplus = seq.saturating_sub(cx.policy.audit_entries as u64);
    let until = surplus.max(expired(cx, owner)?);
    if until > 0 {
        cx.tables.trim_audit(owner, until)?;
    }
    Ok(())
}

/// What others have chosen, and can be shown.
fn shown(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    match plain.char_indices().find(|(at, c)| at + c.len_utf8() > MAX_AUDIT_DETAIL_BYTES) {
        Some((at, _)) => format!("{}…", plain.get(..at).unwrap_or_default()),
        None => plain,
    }
}

/// The last of the oldest entries that are too old; 0 if none is.
fn expired<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Result<u64, TableError> {
    let oldest = cx.tables.audit(owner, 0, 1)?;
    if !oldest.iter().any(|entry| is_old(cx, entry)) {
        return Ok(0);
    }
    let oldest = cx.tables.audit(owner, 0, REMOVED_AT_ONCE as usize)?;
    let old = oldest.iter().take_while(|entry| is_old(cx, entry));
    Ok(old.last().map_or(0, |entry| entry.seq))
}

fn is_old<T>(cx: &Cx<'_, T>, entry: &AuditEntry) -> bool {
    cx.wall.saturating_since(entry.at) >= AUDIT_KEPT_FOR
}

/// Entries of an account, oldest first. What is too old is not shown, even if it is still there.
pub(super) fn read<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    after: u64,
    limit: usize,
) -> Answered {
    let last_seq = cx.tables.last_audit(owner)?;
    let (mut after, mut entries) = (after, Vec::new());
    // Of those that are too old, a page may be full.
    while entries.is_empty() {
        entries = cx.tables.audit(owner, after, limit)?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        entries.retain(|entry| !is_old(cx, entry));
    }
    Ok(Answer::Audit(AuditPage { entries, last_seq }))
}
