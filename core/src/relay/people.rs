//! Who may use a relay, where that changes while it runs (Y-1).
//!
//! Each person has an account, and what they have done belongs to it: environments, sessions, devices,
//! browsers, their part of the audit log. An account's name is never used again for somebody else, because
//! what tells accounts apart is more than that.

use alloc::string::String;
use alloc::vec::Vec;

use super::close;
use super::config::AccessToken;
use super::cx::{Cx, RETRY_AFTER_FAILURE};
use super::http::error::ApiError;
use super::parts::Parts;
use super::pending::Pending;
use super::purpose::Timer;
use crate::store::{AccountId, StoreOp};

/// Lets these people in and nobody else. A token that could be guessed lets nobody in.
pub(super) fn set(parts: &mut Parts, cx: &mut Cx, mut people: Vec<AccessToken>, gone: Vec<String>) {
    people.retain(|person| person.check().is_ok());
    if people.is_empty() {
        return;
    }
    let accounts: Vec<_> = people.iter().map(|known| AccountId(known.person.clone())).collect();
    if let Some(owner) = accounts.first().cloned() {
        cx.store(Pending::Forgotten, StoreOp::NotePeople { owner, people: accounts });
    }
    let mut over = cx.shared.authority.set_accounts(people);
    over.extend(gone.into_iter().map(AccountId));
    over.retain(|owner| !cx.shared.authority.knows(owner));
    over.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    over.dedup();
    for owner in over {
        for op in cx.shared.devices.ops_of_person(&owner) {
            cx.refuse(op, &ApiError::unauthenticated());
            parts.close(cx, op, close::REVOKED);
        }
        end(cx, owner);
    }
}

fn end(cx: &mut Cx, owner: AccountId) {
    cx.store(Pending::EndAccount { owner: owner.clone() }, StoreOp::EndAccount { owner });
}

/// The store has failed to end what an account has: until it has, the secrets of its environments and
/// the tokens of its sessions would go on opening them.
pub(super) fn end_later(cx: &mut Cx, owner: AccountId) {
    cx.shared.ending.push(owner);
    cx.engine.set_timer(Timer::EndAccounts, RETRY_AFTER_FAILURE);
}

pub(super) fn on_timer(cx: &mut Cx) {
    for owner in core::mem::take(&mut cx.shared.ending) {
        // They may be back.
        if !cx.shared.authority.knows(&owner) {
            end(cx, owner);
        }
    }
}
