//! The relay's address, once it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use footbridge_core::base::secret::Secret;

/// The URL for reaching a listening socket from this machine.
pub(super) fn local_url(listen: &str, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    let address = listen.parse::<SocketAddr>().map_or_else(
        |_| listen.to_owned(),
        |address| SocketAddr::new(reachable(address.ip()), address.port()).to_string(),
    );
    format!("{scheme}://{address}")
}

/// The address to connect to from this machine, for a socket that listens on this one.
pub(super) const fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    }
}

/// The same as [`local_url`] for a relay whose certificate is for this name.
pub(super) fn named_url(listen: &str, name: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(address) => format!("https://{name}:{}", address.port()),
        Err(_) => local_url(listen, true),
    }
}

/// Which of a certificate's names leads to a socket on this address, as far as can be told.
pub(super) fn fitting_name(ip: IpAddr, names: &[String]) -> Option<&str> {
    let is_local = |name: &&String| name.as_str() == "localhost";
    let own = names.iter().find(is_local).filter(|_| reachable(ip).is_loopback());
    let named = || names.iter().find(|name| !is_local(name) && !name.contains('*'));
    own.or_else(named).map(String::as_str)
}

/// The page's URL, with a code that signs one browser in. A fragment stays in the browser: no server
/// and no log sees the code, and once it is used it is worth nothing.
pub(super) fn page_url(base: &str, code: &Secret) -> String {
    format!("{base}/#code={}", code.reveal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_with_a_certificate_is_called_by_a_name_that_it_covers() {
        let (everywhere, own) = (IpAddr::from([0, 0, 0, 0]), IpAddr::from([127, 0, 0, 1]));
        let elsewhere = IpAddr::from([192, 0, 2, 1]);
        for (ip, names, name) in [
            (everywhere, &[][..], None),
            (everywhere, &["*.example"], None),
            (everywhere, &["*.example", "relay.example"], Some("relay.example")),
            (own, &["relay.example", "localhost"], Some("localhost")),
            (elsewhere, &["localhost", "relay.example"], Some("relay.example")),
            (elsewhere, &["localhost"], None),
        ] {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(fitting_name(ip, &names), name, "{ip} {names:?}");
        }
        assert_eq!(named_url("0.0.0.0:8443", "relay.example"), "https://relay.example:8443");
    }

    #[test]
    fn a_socket_on_every_address_is_reached_through_loopback() {
        for (listen, is_tls, url) in [
            ("127.0.0.1:80", false, "http://127.0.0.1:80"),
            ("0.0.0.0:8787", false, "http://127.0.0.1:8787"),
            ("[::]:8787", true, "https://[::1]:8787"),
            ("192.0.2.1:443", true, "https://192.0.2.1:443"),
        ] {
            assert_eq!(local_url(listen, is_tls), url);
        }
    }
}
