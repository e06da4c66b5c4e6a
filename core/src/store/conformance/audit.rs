//! The audit log: what has changed something is in it once, and what has not is not.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::ensure;
use crate::base::id::DeviceId;
use crate::base::limits::{AUDIT_KEPT_FOR, DEVICE_IDLE_LIFE};
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, Answer, Committed, Noted, RelayRun, RelayTime, StoreOp, StorePolicy, Transaction,
};
use crate::wire::audit::{Actor, ActorKind, AuditAction, AuditEntry};
use crate::wire::device::Scopes;

/// Entries that each account keeps here.
const KEPT: usize = 12;
const START: u64 = 1_767_225_600_000;

/// Runs random operations about devices with somebody behind them, and reads the audit log, page by
/// page. Returns what is wrong, if anything is.
///
/// # Errors
///
/// The promise that was broken, and by which operation.
pub fn check_audit(
    seed: u64,
    operations: usize,
    mut store: impl FnMut(Transaction) -> Committed,
) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let policy = Arc::new(StorePolicy { audit_entries: KEPT, ..StorePolicy::default() });
    let mut log: BTreeMap<String, Vec<AuditEntry>> = BTreeMap::new();
    let (mut running, mut devices) = (0, BTreeMap::<DeviceId, (String, UnixTime)>::new());
    for step in 0..operations {
        running += rng.u64(0..3_600);
        // Rarely, nothing happens for longer than entries are kept.
        running += if rng.u32(..50) == 0 { AUDIT_KEPT_FOR.as_secs() } else { 0 };
        let wall = UnixTime::from_millis(START + running * 1000);
        let at = RelayTime { wall, run: RelayRun(1), running: Duration::from_secs(running) };
        let person = ["alice", "bob"][rng.usize(..2)].to_owned();
        let owner = AccountId(person.clone());
        let name = format!("device_{}", rng.u32(..6));
        let id = DeviceId::new(&name).map_err(|bad| bad.to_string())?;
        let address = format!("192.0.2.{}", rng.u32(..9));
        let is_devices = rng.bool();
        let kind = if is_devices { ActorKind::Device } else { ActorKind::AccessToken };
        let by = Actor { kind, id: is_devices.then(|| name.clone()), address: address.clone() };
        let by = (rng.u32(..4) > 0).then(|| Box::new(by));
        let op = match rng.u32(..8) {
            0..2 => StoreOp::AddDevice {
                owner,
                id: id.clone(),
                name: "a machine".to_owned(),
                scopes: Scopes::WORK,
                address: address.clone(),
            },
            2 => StoreOp::RevokeDevice { owner, id: id.clone() },
            3 => StoreOp::Note { owner, noted: Noted::SignedIn },
            4 => StoreOp::Note { owner, noted: Noted::LogInApproved(id.clone()) },
            5 => StoreOp::ListDevices { owner },
            _ => {
                let (after, limit) = (rng.u64(..40), rng.usize(1..20));
                StoreOp::ReadAudit { owner, after, limit }
            }
        };
        let op = Box::new(op);
        let asked = Transaction { at, policy: policy.clone(), op: op.clone(), by: by.clone() };
        let outcome = store(asked);
        let own = log.entry(person.clone()).or_default();
        let mut expect = |by: Option<Actor>, action, device: Option<DeviceId>, detail| {
            let Some(by) = by else { return };
            let seq = own.last().map_or(0, |entry: &AuditEntry| entry.seq) + 1;
            let (environment_id, session_id, event, request_id) = (None, None, None, None);
            own.push(AuditEntry {
                seq,
                at: wall,
                by,
                action,
                device_id: device,
                environment_id,
                session_id,
                event,
                request_id,
                detail,
            });
        };
        let by = by.map(|by| *by);
        match &*op {
            StoreOp::AddDevice { .. } if !devices.contains_key(&id) => {
                // What nobody uses makes room, without anybody's doing.
                devices.retain(|_, (owner, used)| {
                    *owner != person || wall.saturating_since(*used) < DEVICE_IDLE_LIFE
                });
                devices.insert(id.clone(), (person, wall));
                let own = Actor { kind: ActorKind::Device, id: Some(name), address };
                let scopes = Some(Scopes::WORK.to_string());
                expect(Some(own), AuditAction::LoggedIn, Some(id), scopes);
            }
            StoreOp::RevokeDevice { .. }
                if devices.get(&id).is_some_and(|(owner, _)| *owner == person) =>
            {
                devices.remove(&id);
                let action =
                    if is_devices { AuditAction::LoggedOut } else { AuditAction::DeviceRevoked };
                expect(by, action, Some(id), None);
            }
            StoreOp::Note { noted: Noted::SignedIn, .. } => {
                expect(by, AuditAction::SignedIn, None, None);
            }
            StoreOp::Note { .. } => expect(by, AuditAction::LogInApproved, Some(id), None),
            StoreOp::ReadAudit { after, limit, .. } => {
                let surplus = own.len().saturating_sub(KEPT);
                let kept = own.get(surplus..).unwrap_or_default().iter();
                let is_recent =
                    |entry: &&AuditEntry| wall.saturating_since(entry.at) < AUDIT_KEPT_FOR;
                let kept: Vec<_> = kept
                    .filter(is_recent)
                    .filter(|entry| entry.seq > *after)
                    .take(*limit)
                    .cloned()
                    .collect();
                let last = own.last().map_or(0, |entry| entry.seq);
                let Ok(Answer::Audit(page)) = &outcome.answer else {
                    return Err(format!("seed {seed}, operation {step}: {:?}", outcome.answer));
                };
                ensure(page.last_seq == last, || {
                    format!("seed {seed}, operation {step}: the last is {}", page.last_seq)
                })?;
                // A page may end where entries begin that are not too old.
                let is_whole = page.entries == kept
                    || (!page.entries.is_empty() && kept.starts_with(&page.entries));
                ensure(is_whole, || {
                    format!("seed {seed}, operation {step}: {:?} is not {kept:?}", page.entries)
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}
