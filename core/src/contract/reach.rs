//! How far a request may go: what a person's browser names must not lead into the relay's own network.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which servers a [`Request`](super::http::Request) may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Any: its URL is the owner's own choice.
    #[default]
    Anywhere,
    /// Those in the public internet: somebody else has chosen the URL.
    Public,
}

impl Reach {
    /// Whether a server at this address may be reached.
    pub fn allows(self, address: IpAddr) -> bool {
        self == Self::Anywhere || is_public(address)
    }

    /// Which of a host's addresses may be tried. A runtime asks when it has looked them up, so that no
    /// name can change in between.
    ///
    /// # Errors
    ///
    /// In words, if none may be.
    pub fn narrow(
        self,
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, String> {
        let allowed: Vec<_> =
            addresses.into_iter().filter(|address| self.allows(address.ip())).collect();
        if allowed.is_empty() {
            return Err(format!("{host} has no public address, and only those may be reached"));
        }
        Ok(allowed)
    }
}

/// Whether an address belongs to the public internet (RFC 6890, and what embeds one address in
/// another).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // This network, loopback, multicast, and what is reserved.
        (0 | 127 | 224.., _, _) => true,
        (100, 64..=127, _) | (192, 0, 0 | 2) | (192, 88, 99) => true,
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => address.is_private() || address.is_link_local(),
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, _, _, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        (0, 0) => address.to_ipv4_mapped().is_some_and(is_public_v4),
        // Behind a translator (RFC 6052), and 6to4.
        (0x64, 0xff9b) => (c, d) == (0, 0) && embedded(g, h),
        (0x2002, _) => embedded(b, c),
        // Protocols of their own, such as Teredo, and documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(address: &str) -> bool {
        Reach::Public.allows(address.parse().expect("an address"))
    }

    #[test]
    fn no_address_of_a_network_of_ones_own_is_public() {
        for own in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "2002:a00:1::",
            "2001:0:808:808::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_allowed(own), "{own}");
            assert!(Reach::Anywhere.allows(own.parse().expect("an address")), "{own}");
        }
    }

    #[test]
    fn the_rest_is_public_also_in_another_form() {
        for public in [
            "8.8.8.8",
            "100.63.255.255",
            "172.32.0.1",
            "192.167.1.1",
            "223.255.255.254",
            "2a00:1450:4001::200e",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_allowed(public), "{public}");
        }
    }

    #[test]
    fn of_several_addresses_only_the_public_ones_are_tried() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let both = [address("10.0.0.1:443"), address("8.8.8.8:443")];
        assert_eq!(Reach::Public.narrow("host", both), Ok(alloc::vec![both[1]]));
        assert_eq!(Reach::Anywhere.narrow("host", both), Ok(both.to_vec()));
        let refused = Reach::Public.narrow("host", [both[0]]).expect_err("private");
        assert!(refused.contains("host has no public address"), "{refused}");
    }
}
