//! The relay's address, once it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use footbridge_core::base::secret::Secret;

/// The URL for reaching a listening socket from this machine.
pub(super) fn local_url(listen: &str, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    let address = listen.parse::<SocketAddr>().map_or_else(
        |_| listen.to_owned(),
        |mut address| {
            match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
                _ => {}
            }
            address.to_string()
        },
    );
    format!("{scheme}://{address}")
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
