//! What a relay presents to those who connect by TLS, and the addresses that it is reached by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use footbridge_cli::exit::Error;
use footbridge_cli::secret_file::check_private_key;
use footbridge_core::relay::Asset;
use footbridge_smol::Certificate;

use super::args::{Serve, Tls};
use super::assets::{ASSETS, TRUST};
use super::ready::{fitting_name, local_url, named_url, reachable};

/// A relay's certificate, and who has to trust what.
#[derive(Debug)]
pub(super) struct Presented {
    pub(super) certificate: Certificate,
    /// What clients that do not know the certificate are given, as a PEM file.
    pub(super) trusted_by: PathBuf,
    /// The name by which clients that check it reach the relay, unless they do by its address.
    pub(super) called: Option<String>,
    /// The relay's own authority, for those who are to trust it.
    authority: Option<String>,
    /// What the certificate was made from, if it is the relay's own.
    pub(super) own: Option<Own>,
}

/// What a certificate of the relay's own was made from.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// Where the relay keeps it.
    pub(super) data: PathBuf,
    pub(super) names: Vec<String>,
    /// Those besides the machine's own.
    pub(super) further: Vec<IpAddr>,
    /// All that it is for, or may not be for.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) made: SystemTime,
}

impl Presented {
    /// `None` for a relay that speaks plain HTTP. `data` is where it keeps what has to outlive it.
    pub(super) fn of(serve: &Serve, data: Option<&Path>) -> Result<Option<Self>, Error> {
        match &serve.tls {
            None => Ok(None),
            Some(Tls::Files { chain, key }) => {
                check_private_key(key)?;
                let certificate = Certificate { chain: chain.clone(), key: key.clone() };
                let called = certified_name(&certificate, serve.listen.ip())?;
                let trusted_by = std::path::absolute(chain).unwrap_or_else(|_| chain.clone());
                Ok(Some(Self { certificate, trusted_by, called, authority: None, own: None }))
            }
            Some(Tls::Own) => own(serve, data).map(Some),
        }
    }

    /// The page's files, with what has to be trusted among them.
    pub(super) fn assets(presented: Option<&Self>) -> &'static [Asset] {
        let Some(authority) = presented.and_then(|own| own.authority.as_deref()) else {
            return ASSETS;
        };
        // As long-lived as the program's own files.
        let bytes: &'static [u8] = Box::leak(authority.as_bytes().into());
        let content_type = "application/x-x509-ca-cert";
        let mut all = ASSETS.to_vec();
        all.push(TRUST);
        all.push(Asset { path: "/authority.crt", content_type, bytes, gzip: &[] });
        Box::leak(all.into_boxed_slice())
    }
}

/// The address by which this machine reaches a relay on this socket.
pub(super) fn own_url(presented: Option<&Presented>, listen: &str) -> String {
    match presented {
        None => local_url(listen, false),
        Some(Presented { called: None, .. }) => local_url(listen, true),
        Some(Presented { called: Some(name), .. }) => named_url(listen, name),
    }
}

/// The name by which clients that check the certificate reach this relay, unless they do by its
/// address.
fn certified_name(own: &Certificate, ip: IpAddr) -> Result<Option<String>, Error> {
    if own.is_for(reachable(ip))? {
        return Ok(None);
    }
    Ok(fitting_name(ip, &own.names()?).map(str::to_owned))
}

#[cfg(feature = "tls")]
fn own(serve: &Serve, data: Option<&Path>) -> Result<Presented, Error> {
    use footbridge_cli::value::Level;
    use footbridge_cli::worker::host_name;

    use super::own_certificate::{OwnCertificate, prepare};
    use super::relay_log::event_log;

    let data = data.ok_or_else(|| {
        Error::usage(
            "--own-certificate needs a place for its keys, which phones trust from then on: leave out --in-memory",
        )
    })?;
    let machine = host_name();
    let mut names = vec!["localhost".to_owned(), machine.clone()];
    if !machine.contains('.') {
        names.push(format!("{machine}.local"));
    }
    names.extend(serve.hosts.iter().cloned());
    let mut further = Vec::new();
    if let Some(url) = &serve.public_url {
        let host = url.host().trim_matches(['[', ']']).to_owned();
        match host.parse() {
            Ok(address) => further.push(address),
            Err(_) => names.push(host),
        }
    }
    names.sort();
    names.dedup();
    let addresses = [addresses(), further.clone()].concat();
    let made = prepare(data, &machine, &names, &addresses)?;
    let OwnCertificate { chain, key, authority, authority_pem, is_new } = made;
    if is_new {
        let words = format_args!(
            "made a certificate authority of its own, {}: whatever connects to this relay has to trust it, once. The page /trust says how",
            authority.display()
        );
        event_log(serve).write(Level::Info, "authority_made", &[], words);
    }
    let trusted_by = std::path::absolute(&authority).unwrap_or(authority);
    let certificate = Certificate { chain, key };
    let made = SystemTime::now();
    let own = Some(Own { data: data.to_owned(), names, further, addresses, made });
    Ok(Presented { certificate, trusted_by, called: None, authority: Some(authority_pem), own })
}

#[cfg(not(feature = "tls"))]
fn own(_: &Serve, _: Option<&Path>) -> Result<Presented, Error> {
    Err(Error::usage("this build has no TLS, which --own-certificate needs"))
}

/// All addresses of this machine, but those that only one link knows.
pub(super) fn addresses() -> Vec<IpAddr> {
    let mut found = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    for address in interfaces.filter_map(|interface| interface.address) {
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        found.extend(v4.or(v6).filter(|ip| !is_of_one_link(*ip) && !found.contains(ip)));
    }
    found
}

/// Whether an address needs the interface to be named beside it.
fn is_of_one_link(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// The addresses at which other machines reach a relay on this socket, the likeliest one first.
pub(super) fn reached_from_elsewhere(listen: &str, is_tls: bool) -> Vec<String> {
    let Ok(socket) = listen.parse::<SocketAddr>() else { return Vec::new() };
    let url = |ip| local_url(&SocketAddr::new(ip, socket.port()).to_string(), is_tls);
    if !socket.ip().is_unspecified() {
        return if socket.ip().is_loopback() { Vec::new() } else { vec![url(socket.ip())] };
    }
    let is_served = |ip: &IpAddr| socket.ip().is_ipv6() || ip.is_ipv4();
    let mut found: Vec<IpAddr> = addresses().into_iter().filter(|ip| !ip.is_loopback()).collect();
    found.retain(is_served);
    let way_out = way_out();
    found.sort_by_key(|ip| (Some(*ip) != way_out, !ip.is_ipv4()));
    found.into_iter().map(url).collect()
}

/// The address that this machine has in the network through which it reaches others. Nothing is sent.
fn way_out() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_listens_beyond_this_machine_is_reached_from_elsewhere() {
        for listen in ["127.0.0.1:80", "[::1]:80", "nonsense"] {
            assert_eq!(reached_from_elsewhere(listen, false), Vec::<String>::new(), "{listen}");
        }
        assert_eq!(reached_from_elsewhere("192.0.2.7:80", true), ["https://192.0.2.7:80"]);
        for url in reached_from_elsewhere("0.0.0.0:8787", true) {
            assert!(url.starts_with("https://") && url.ends_with(":8787"), "{url}");
            assert!(!url.contains("127.0.0.1") && !url.contains('['), "{url}");
        }
    }
}
