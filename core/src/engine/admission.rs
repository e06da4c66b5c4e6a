//! Who may be connected: counts a listener's connections by standing and address, and names the one
//! that has to go when there are too many.
//!
//! A new connection always gets in, as a stranger's. If that is one too many, the oldest of the
//! address that has the most goes instead: whoever has a credential shows it at once, and is no
//! stranger from then on. So an address that opens connections without end takes only its own places.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv6Addr};

use crate::contract::clients::{ListenLimits, Standing};

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// The connections of a listener.
#[derive(Debug)]
pub struct Admission {
    limits: ListenLimits,
    next: u64,
    open: BTreeMap<ConnectionId, (Standing, IpAddr)>,
    /// Each standing's, by address; ids are in the order of arrival.
    by_standing: [BTreeMap<IpAddr, BTreeSet<ConnectionId>>; Standing::ALL.len()],
    totals: [usize; Standing::ALL.len()],
}

/// The address that counts: of IPv6, what one customer is usually given.
pub const fn counted_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        },
    }
}

impl Admission {
    /// No connections yet.
    pub const fn new(limits: ListenLimits) -> Self {
        const NONE: BTreeMap<IpAddr, BTreeSet<ConnectionId>> = BTreeMap::new();
        let by_standing = [NONE; Standing::ALL.len()];
        Self {
            limits,
            next: 0,
            open: BTreeMap::new(),
            by_standing,
            totals: [0; Standing::ALL.len()],
        }
    }

    /// A client has connected. Returns its connection, and the one that has to be closed for it.
    pub fn arrived(&mut self, address: IpAddr) -> (ConnectionId, Option<ConnectionId>) {
        let id = ConnectionId(self.next);
        self.next += 1;
        let address = counted_address(address);
        self.add(id, Standing::Stranger, address);
        (id, self.surplus(Standing::Stranger, address))
    }

    /// A client has shown who it is. Returns the connection that has to be closed for it.
    pub fn vouch(&mut self, id: ConnectionId, standing: Standing) -> Option<ConnectionId> {
        let (before, address) = *self.open.get(&id)?;
        if before == standing {
            return None;
        }
        self.remove(id);
        self.add(id, standing, address);
        self.surplus(standing, address)
    }

    /// A connection is over, or about to be.
    pub fn gone(&mut self, id: ConnectionId) {
        self.remove(id);
    }

    /// What is known about a client.
    pub fn standing(&self, id: ConnectionId) -> Standing {
        self.open.get(&id).map(|(standing, _)| *standing).unwrap_or_default()
    }

    fn add(&mut self, id: ConnectionId, standing: Standing, address: IpAddr) {
        self.open.insert(id, (standing, address));
        self.by_standing[standing as usize].entry(address).or_default().insert(id);
        self.totals[standing as usize] += 1;
    }

    fn remove(&mut self, id: ConnectionId) {
        let Some((standing, address)) = self.open.remove(&id) else { return };
        self.totals[standing as usize] -= 1;
        let addresses = &mut self.by_standing[standing as usize];
        if let Some(ids) = addresses.get_mut(&address) {
            ids.remove(&id);
            if ids.is_empty() {
                addresses.remove(&address);
            }
        }
    }

    /// Takes out the one too many after one was added: of its address, or of the one with the most.
    fn surplus(&mut self, standing: Standing, address: IpAddr) -> Option<ConnectionId> {
        let limits = self.limits.of(standing);
        let addresses = &self.by_standing[standing as usize];
        let of_address = addresses.get(&address)?;
        let crowded = if of_address.len() > limits.per_address {
            of_address
        } else if self.totals[standing as usize] > limits.total {
            addresses.values().max_by_key(|ids| ids.len())?
        } else {
            return None;
        };
        let oldest = *crowded.first()?;
        self.remove(oldest);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::contract::clients::{ConnectionLimits, Pace};

    fn admission(total: usize, per_address: usize) -> Admission {
        let reading = Pace { grace: Duration::from_secs(1), bytes_per_second: 1 };
        let limits = ConnectionLimits { total, per_address, reading };
        let all = ListenLimits::default();
        Admission::new(ListenLimits { strangers: limits, workers: limits, people: limits, ..all })
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_that_opens_too_many_loses_its_own_oldest() {
        let mut admission = admission(100, 2);
        let (other, _) = admission.arrived(address(9));
        let (first, _) = admission.arrived(address(1));
        let (second, none) = admission.arrived(address(1));
        assert_eq!(none, None);
        assert_eq!(admission.arrived(address(1)).1, Some(first));
        assert_eq!(admission.arrived(address(1)).1, Some(second));
        assert_eq!(admission.vouch(other, Standing::Person), None, "it is still there");
    }

    #[test]
    fn of_many_addresses_the_one_with_the_most_makes_room() {
        let mut admission = admission(5, 4);
        let (worker, _) = admission.arrived(address(1));
        let flood: Vec<_> = (0..4).map(|_| admission.arrived(address(2)).0).collect();
        assert_eq!(admission.arrived(address(3)).1, Some(flood[0]));
        assert_eq!(admission.arrived(address(4)).1, Some(flood[1]));
        assert_eq!(admission.vouch(worker, Standing::Worker), None);
        assert_eq!(admission.standing(worker), Standing::Worker);
        assert_eq!(admission.standing(flood[1]), Standing::Stranger);
    }

    #[test]
    fn strangers_do_not_take_the_places_of_those_who_are_known() {
        let mut admission = admission(3, 3);
        let known: Vec<_> = (0..3)
            .map(|_| {
                let (id, _) = admission.arrived(address(1));
                assert_eq!(admission.vouch(id, Standing::Worker), None);
                id
            })
            .collect();
        for _ in 0..1000 {
            let (_, closed) = admission.arrived(address(1));
            assert!(closed.is_none_or(|closed| !known.contains(&closed)));
        }
        let (late, _) = admission.arrived(address(2));
        assert_eq!(admission.vouch(late, Standing::Worker), Some(known[0]), "a fair share");
    }

    #[test]
    fn one_customers_addresses_count_as_one() {
        let a: IpAddr = "2001:db8:1:2::1".parse().expect("an address");
        let b: IpAddr = "2001:db8:1:2:ffff::2".parse().expect("an address");
        let c: IpAddr = "2001:db8:1:3::1".parse().expect("an address");
        assert_eq!(counted_address(a), counted_address(b));
        assert_ne!(counted_address(a), counted_address(c));
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(counted_address(mapped), address(1));
    }

    proptest! {
        #[test]
        fn no_limit_is_ever_exceeded(steps in prop::collection::vec((0..4u8, 0..5u8, 0..60usize), 0..400)) {
            let mut admission = admission(7, 3);
            let mut open = Vec::new();
            for (what, from, which) in steps {
                let id = open.get(which % open.len().max(1)).copied();
                let closed = match (what, id) {
                    (0 | 1, _) | (_, None) => {
                        let (id, closed) = admission.arrived(address(from));
                        open.push(id);
                        closed
                    }
                    (2, Some(id)) => admission.vouch(id, Standing::ALL[usize::from(from) % 3]),
                    (_, Some(id)) => {
                        admission.gone(id);
                        Some(id)
                    }
                };
                open.retain(|id| Some(*id) != closed);
                prop_assert_eq!(admission.open.len(), open.len());
                for standing in Standing::ALL {
                    let addresses = &admission.by_standing[standing as usize];
                    let total: usize = addresses.values().map(BTreeSet::len).sum();
                    prop_assert_eq!(total, admission.totals[standing as usize]);
                    prop_assert!(total <= 7 && addresses.values().all(|ids| ids.len() <= 3));
                }
            }
        }
    }
}
