//! Devices: a walk of their own, with a model that says what each answer has to be.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::ensure;
use crate::base::id::DeviceId;
use crate::base::limits::{MAX_DEVICES_PER_PERSON, TRUST_AFTER_LOG_IN};
use crate::base::time::UnixTime;
use crate::store::{
    AccountId, Answer, Committed, DeviceGrant, RelayRun, RelayTime, StoreError, StoreOp,
    StorePolicy, Transaction,
};
use crate::wire::device::Scopes;

#[derive(Clone)]
struct Known {
    owner: AccountId,
    generation: u64,
    key: Option<String>,
    used: UnixTime,
    created: UnixTime,
    /// The number of its enrolment as a trusted one.
    trust: Option<u64>,
}

type Model = BTreeMap<DeviceId, Known>;

/// Runs random operations about devices against a store: each refresh token works once, and an old
/// one ends its device. Returns what is wrong, if anything is.
///
/// # Errors
///
/// The promise that was broken, and by which operation.
pub fn check_devices(
    seed: u64,
    operations: usize,
    mut store: impl FnMut(Transaction) -> Committed,
) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut model, policy) = (Model::new(), Arc::new(StorePolicy::default()));
    for step in 0..operations {
        let number = step as u64;
        let wall = UnixTime::from_millis(1_767_225_600_000 + number * 1000);
        let at = RelayTime { wall, run: RelayRun(1), running: Duration::from_secs(number) };
        let op = operation(&mut rng, &model);
        let transaction =
            Transaction { at, policy: policy.clone(), op: Box::new(op.clone()), by: None };
        let outcome = store(transaction);
        observe(&mut model, wall, &op, &outcome)
            .map_err(|broken| format!("seed {seed}, operation {step} ({op:?}): {broken}"))?;
    }
    Ok(())
}

fn id(number: u32) -> DeviceId {
    match DeviceId::new(&format!("device_{number}")) {
        Ok(id) => id,
        Err(bad) => unreachable!("it is made of plain characters: {bad}"),
    }
}

/// More than one person may have.
const IDS: u32 = 260;

fn operation(rng: &mut fastrand::Rng, model: &Model) -> StoreOp {
    let known = rng.usize(..model.len().max(1));
    let known = model.iter().nth(known).filter(|_| rng.u32(..20) > 0);
    let any = id(rng.u32(..IDS));
    let (id, known) = known.map_or((any.clone(), None), |(id, known)| (id.clone(), Some(known)));
    let owner = AccountId(["alice", "bob"][rng.usize(..2)].to_owned());
    let key = rng.bool().then(|| format!("key_{}", rng.u32(..3)));
    match rng.u32(..20) {
        0..8 => StoreOp::AddDevice {
            owner,
            id: any,
            name: "a machine".to_owned(),
            scopes: Scopes::WORK,
            address: "::1".to_owned(),
        },
        8..16 => {
            let newest = known.map_or(1, |known| known.generation);
            let generation = if rng.u32(..6) > 0 { newest } else { newest.saturating_sub(1) };
            StoreOp::RefreshDevice { id, generation, key, address: "::1".to_owned() }
        }
        16 => StoreOp::CheckDevice { id, epoch: rng.u64(1..3) },
        17 => StoreOp::ListDevices { owner },
        18 => StoreOp::TrustDevice { owner, id, name: "a trusted one".to_owned() },
        _ => StoreOp::RevokeDevice { owner, id },
    }
}

fn observe(
    model: &mut Model,
    wall: UnixTime,
    op: &StoreOp,
    outcome: &Committed,
) -> Result<(), String> {
    let Committed { answer, changes } = outcome;
    let gone = &changes.devices_gone;
    let unknown = Err(StoreError::DeviceUnknown);
    let is_granted = |id: &DeviceId, expected: u64| match answer {
        Ok(Answer::Granted(grant)) => {
            let DeviceGrant { device, generation, .. } = &**grant;
            device.id == *id && *generation == expected
        }
        _ => false,
    };
    let mut expected_gone = None;
    let holds = match op {
        StoreOp::AddDevice { owner, id, .. } => match model.get(id).cloned() {
            Some(known) if known.owner == *owner && known.generation == 1 => is_granted(id, 1),
            Some(_) => *answer == unknown,
            None => {
                let own = model.iter().filter(|(_, known)| known.owner == *owner);
                if own.clone().count() >= MAX_DEVICES_PER_PERSON {
                    let oldest = own.min_by_key(|(_, known)| known.used);
                    expected_gone = oldest.map(|(id, _)| id.clone());
                }
                let new = Known {
                    owner: owner.clone(),
                    generation: 1,
                    key: None,
                    used: wall,
                    created: wall,
                    trust: None,
                };
                model.insert(id.clone(), new);
                is_granted(id, 1)
            }
        },
        StoreOp::RefreshDevice { id, generation, key, .. } => match model.get_mut(id) {
            None => *answer == unknown,
            Some(known) if *generation == known.generation => {
                (known.generation, known.key, known.used) = (generation + 1, key.clone(), wall);
                is_granted(id, generation + 1)
            }
            Some(known)
                if generation + 1 == known.generation && key.is_some() && *key == known.key =>
            {
                is_granted(id, known.generation)
            }
            Some(_) => {
                expected_gone = Some(id.clone());
                *answer == Ok(Answer::RefreshReused)
            }
        },
        StoreOp::TrustDevice { owner, id, .. } => {
            match model.get_mut(id).filter(|known| known.owner == *owner) {
                None => *answer == unknown,
                Some(known) if wall.saturating_since(known.created) >= TRUST_AFTER_LOG_IN => {
                    *answer == Err(StoreError::TrustTooLate)
                }
                Some(known) => {
                    known.trust = Some(known.trust.unwrap_or_default() + 1);
                    is_granted(id, known.generation)
                }
            }
        }
        StoreOp::CheckDevice { id, epoch } => {
            let is_there = model.contains_key(id) && *epoch == 1;
            let checked =
                Ok(Answer::Checked { trust: model.get(id).and_then(|known| known.trust) });
            *answer == if is_there { checked } else { unknown }
        }
        StoreOp::ListDevices { owner } => {
            let own = model.iter().filter(|(_, known)| known.owner == *owner).map(|(id, _)| id);
            let Ok(Answer::Devices(listed)) = answer else { return Err(format!("{answer:?}")) };
            listed.iter().map(|device| &device.id).eq(own)
        }
        StoreOp::RevokeDevice { owner, id } => {
            if model.get(id).is_some_and(|known| known.owner == *owner) {
                expected_gone = Some(id.clone());
                *answer == Ok(Answer::Done)
            } else {
                *answer == unknown
            }
        }
        _ => false,
    };
    ensure(holds, || format!("it answers {answer:?}"))?;
    let expected: Vec<_> = expected_gone.into_iter().collect();
    ensure(*gone == expected, || format!("{gone:?} went, and not {expected:?}"))?;
    for id in &expected {
        model.remove(id);
    }
    Ok(())
}
