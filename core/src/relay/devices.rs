//! What devices do at the moment: requests that wait until the store has said that their device is
//! still there, and what has to end when it no longer is (Y-9).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::bodies::Admitted;
use crate::base::id::{DeviceId, OpId};
use crate::store::AccountId;
use crate::wire::device::Scopes;

/// A device, as its access token describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acting {
    pub(super) device: DeviceId,
    pub(super) scopes: Scopes,
}

/// By the exchange or stream that is a device's.
#[derive(Default)]
pub(super) struct Devices {
    /// Requests whose device is being looked up.
    asking: BTreeMap<OpId, Admitted>,
    acting: BTreeMap<OpId, Acting>,
    /// Whose each exchange or stream of a person is.
    people: BTreeMap<OpId, AccountId>,
}

impl Devices {
    /// A device makes a request.
    pub(super) fn begin(&mut self, op: OpId, acting: Acting, admitted: Admitted) {
        self.acting.insert(op, acting);
        self.asking.insert(op, admitted);
    }

    /// A person makes a request.
    pub(super) fn belongs(&mut self, op: OpId, owner: AccountId) {
        self.people.insert(op, owner);
    }

    /// Its device is still there. Returns the request, if its client is.
    pub(super) fn confirmed(&mut self, op: OpId) -> Option<Admitted> {
        self.asking.remove(&op)
    }

    /// The device that makes this request, if one does.
    pub(super) fn of(&self, op: OpId) -> Option<&Acting> {
        self.acting.get(&op)
    }

    /// An exchange was answered, or what it became is over.
    pub(super) fn over(&mut self, op: OpId) {
        self.asking.remove(&op);
        self.acting.remove(&op);
        self.people.remove(&op);
    }

    /// All that a person does.
    pub(super) fn ops_of_person(&self, owner: &AccountId) -> Vec<OpId> {
        let own = self.people.iter().filter(|(_, known)| *known == owner);
        own.map(|(op, _)| *op).collect()
    }

    /// All that a device does.
    pub(super) fn ops_of(&self, device: &DeviceId) -> Vec<OpId> {
        let own = self.acting.iter().filter(|(_, acting)| acting.device == *device);
        own.map(|(op, _)| *op).collect()
    }
}
