//! Devices: log-ins that were approved, and which refresh token of each is in use (T-6, Y-9).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use super::cx::{Answered, Cx};
use super::{audit, environments, pushes};
use crate::base::id::DeviceId;
use crate::base::limits::{DEVICE_IDLE_LIFE, MAX_DEVICES_PER_PERSON, TRUST_AFTER_LOG_IN};
use crate::store::committed::{Answer, DeviceGrant, StoreError};
use crate::store::record::{AccountId, Device, Trust};
use crate::store::rows::DeviceRow;
use crate::store::tables::{TableError, Tables};
use crate::wire::audit::AuditAction;
use crate::wire::device::Scopes;

/// A device that was approved.
pub(super) struct New<'a> {
    pub(super) owner: &'a AccountId,
    pub(super) id: &'a DeviceId,
    pub(super) name: &'a str,
    pub(super) scopes: Scopes,
    pub(super) address: &'a str,
}

pub(super) fn add<T: Tables>(cx: &mut Cx<'_, T>, new: &New<'_>) -> Answered {
    if let Some(known) = cx.tables.device(new.id)? {
        // The answer was lost; but not if the tokens have been used.
        let is_same = known.device.owner == *new.owner && known.generation == FIRST;
        return if is_same { Ok(granted(&known)) } else { Err(StoreError::DeviceUnknown.into()) };
    }
    make_room(cx, new.owner)?;
    let device = Device {
        id: new.id.clone(),
        owner: new.owner.clone(),
        name: String::from(new.name),
        scopes: new.scopes,
        created_at: cx.wall,
        last_used_at: cx.wall,
        address: String::from(new.address),
        trust: None,
    };
    let row = DeviceRow { device, epoch: FIRST, generation: FIRST, refreshed_by: None };
    let answer = granted(&row);
    cx.tables.put_device(row)?;
    audit::logged_in(cx, new.owner, new.id, new.address, &format!("{}", new.scopes))?;
    Ok(answer)
}

/// The first epoch, and the first refresh token.
const FIRST: u64 = 1;

/// Forgets devices that nobody uses, and, of too many, those that were not used for the longest.
fn make_room<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Result<(), TableError> {
    let mut devices = cx.tables.devices(owner)?;
    devices.sort_by_key(|device| device.last_used_at);
    let surplus = (devices.len() + 1).saturating_sub(MAX_DEVICES_PER_PERSON);
    for (at, device) in devices.iter().enumerate() {
        if at < surplus || is_idle(cx, device) {
            end(cx, device)?;
        }
    }
    Ok(())
}

fn is_idle<T>(cx: &Cx<'_, T>, device: &Device) -> bool {
    cx.wall.saturating_since(device.last_used_at) >= DEVICE_IDLE_LIFE
}

pub(super) fn refresh<T: Tables>(
    cx: &mut Cx<'_, T>,
    id: &DeviceId,
    generation: u64,
    key: Option<&str>,
    address: &str,
) -> Answered {
    let known = cx.tables.device(id)?.filter(|known| !is_idle(cx, &known.device));
    let mut known = known.ok_or(StoreError::DeviceUnknown)?;
    let is_repeated = generation.checked_add(1) == Some(known.generation)
        && key.is_some()
        && known.refreshed_by.as_deref() == key;
    if is_repeated {
        return Ok(granted(&known));
    }
    // A store that was restored from a copy may be behind what it has issued; that is genuine all
    // the same.
    if generation < known.generation {
        end(cx, &known.device)?;
        audit::reused(cx, &known.device.owner, id, address)?;
        return Ok(Answer::RefreshReused);
    }
    known.generation = generation.saturating_add(1);
    known.refreshed_by = key.map(String::from);
    known.device.last_used_at = cx.wall;
    known.device.address = String::from(address);
    let answer = granted(&known);
    cx.tables.put_device(known)?;
    Ok(answer)
}

pub(super) fn check<T: Tables>(cx: &mut Cx<'_, T>, id: &DeviceId, epoch: u64) -> Answered {
    let known = cx.tables.device(id)?.filter(|known| known.epoch == epoch);
    let known = known.ok_or(StoreError::DeviceUnknown)?;
    Ok(Answer::Checked { trust: known.device.trust.map(|trust| trust.number) })
}

/// Only soon after it has logged in: whoever finds a log-in later gains no trust by it (D-3).
pub(super) fn trust<T: Tables>(
    cx: &mut Cx<'_, T>,
    owner: &AccountId,
    id: &DeviceId,
    name: &str,
) -> Answered {
    let known = cx.tables.device(id)?.filter(|known| known.device.owner == *owner);
    let mut known = known.ok_or(StoreError::DeviceUnknown)?;
    if cx.wall.saturating_since(known.device.created_at) >= TRUST_AFTER_LOG_IN {
        return Err(StoreError::TrustTooLate.into());
    }
    let number = known.device.trust.map_or(FIRST, |before| before.number.saturating_add(1));
    known.device.trust = Some(Trust { number, at: cx.wall });
    known.device.name = String::from(name);
    cx.done.push(AuditAction::DeviceTrusted);
    let answer = granted(&known);
    cx.tables.put_device(known)?;
    Ok(answer)
}

pub(super) fn list<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Answered {
    Ok(Answer::Devices(cx.tables.devices(owner)?))
}

pub(super) fn revoke<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId, id: &DeviceId) -> Answered {
    let known = cx.tables.device(id)?.filter(|known| known.device.owner == *owner);
    let known = known.ok_or(StoreError::DeviceUnknown)?;
    end(cx, &known.device)?;
    Ok(Answer::Done)
}

/// Ends all devices of an account.
pub(super) fn end_all<T: Tables>(cx: &mut Cx<'_, T>, owner: &AccountId) -> Result<(), TableError> {
    let devices = cx.tables.devices(owner)?;
    devices.iter().try_for_each(|device| end(cx, device))
}

/// Ends a device, with what it has registered.
fn end<T: Tables>(cx: &mut Cx<'_, T>, device: &Device) -> Result<(), TableError> {
    environments::remove_of_device(cx, &device.owner, &device.id)?;
    pushes::remove_of_device(cx, &device.owner, &device.id)?;
    cx.tables.delete_device(&device.id)?;
    cx.changes.devices_gone.push(device.id.clone());
    Ok(())
}

fn granted(row: &DeviceRow) -> Answer {
    let DeviceRow { device, epoch, generation, .. } = row;
    let (device, epoch, generation) = (device.clone(), *epoch, *generation);
    Answer::Granted(Box::new(DeviceGrant { device, epoch, generation }))
}
