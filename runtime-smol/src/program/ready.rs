//! What the program says once it is ready: an address for people, or one line of JSON.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use footbridge_core::secret::Secret;
use serde::Serialize;

use super::exit::Error;

/// The line that `--json` prints.
#[derive(Debug, Default, Serialize)]
pub(super) struct Ready<'a> {
    /// The relay's address, for `--relay`.
    pub(super) url: &'a str,
    /// The page's address, which holds the token in its fragment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<&'a str>,
    /// The access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<&'a str>,
    /// Address and port that the relay listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listen: Option<&'a str>,
    /// The environment that the worker has registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) environment_id: Option<&'a str>,
}

impl Ready<'_> {
    pub(super) fn print(&self) -> Result<(), Error> {
        let line = serde_json::to_string(self)
            .map_err(|error| Error::local(format!("cannot write JSON: {error}")))?;
        super::print(&(line + "\n"))
    }
}

/// The URL at which a listening socket is reached from this machine.
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

/// The page's URL. A fragment stays in the browser: no server and no log sees the token.
pub(super) fn page_url(base: &str, token: &Secret) -> String {
    format!("{base}/#token={}", token.reveal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_for_every_address_is_reached_by_the_loopback_one() {
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
