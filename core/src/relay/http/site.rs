//! Under which names a relay is reached, and which pages may speak to it.
//!
//! A page of somebody else's can have its own name resolve to this machine, and then reads from the
//! relay as if it were its own (DNS rebinding); but it cannot choose the `Host` that its browser
//! sends. And it can open a WebSocket to any host, but cannot hide its `Origin`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use super::error::ApiError;
use super::request::only;
use crate::base::limits::MAX_SHOWN_HOST_CHARS;
use crate::base::text::is_hidden;
use crate::contract::event::IncomingRequest;
use crate::relay::config::RelayConfig;
use crate::wire::error::ErrorType;

/// What a relay is called.
#[derive(Debug)]
pub(crate) struct Site {
    /// In lower case.
    names: Vec<String>,
    /// Those for which its certificate is by now, in lower case.
    certified: Vec<String>,
    /// `https://relay.example:8443`
    public_origin: Option<String>,
    is_behind_proxy: bool,
}

impl Site {
    pub(crate) fn new(config: &RelayConfig) -> Self {
        let public_origin = config.public_url.as_deref().map(origin_of);
        let public_host = public_origin.as_deref().and_then(|origin| {
            let (_, authority) = origin.split_once("://")?;
            Some(host_of(authority)?.to_string())
        });
        let names = config.hosts.iter().map(|name| name.to_ascii_lowercase()).chain(public_host);
        let is_behind_proxy = config.is_behind_proxy;
        let (names, certified) = (names.collect(), Vec::new());
        Self { names, certified, public_origin, is_behind_proxy }
    }

    /// What listens on this machine without a public URL, and is known by these names too.
    pub(crate) fn local(names: &[String]) -> Self {
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { names, certified: Vec::new(), public_origin: None, is_behind_proxy: false }
    }

    /// Its certificate was replaced by one for these names.
    pub(crate) fn set_certified(&mut self, names: &[String]) {
        self.certified = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    }

    /// Refuses a request under a foreign name, or from a foreign page.
    pub(crate) fn check(&self, request: &IncomingRequest) -> Result<(), ApiError> {
        let host = only(request, "host")
            .map_err(|()| ApiError::invalid("a request needs exactly one Host header"))?;
        // A proxy that speaks HTTP/1.0 may send none.
        let is_missing = host.is_none() && self.is_behind_proxy;
        let host = host.or(is_missing.then_some(""));
        let host = host.ok_or_else(|| ApiError::invalid("a request needs a Host header"))?;
        let host = host.to_ascii_lowercase();
        if !is_missing && !host_of(&host).is_some_and(|name| self.is_known(name)) {
            let shown = shown(&host);
            let message = format!(
                "this relay is not known by the name {shown:?}: if it should be, start it with --public-url or with --allow-host"
            );
            return Err(ApiError::new(421, ErrorType::HostUnknown, &message));
        }
        let origin = only(request, "origin")
            .map_err(|()| ApiError::invalid("a request can have only one Origin header"))?;
        match origin {
            Some(origin) if !self.is_own(&origin.to_ascii_lowercase(), &host, request.is_tls) => {
                let message = "pages of other sites may not use this relay";
                Err(ApiError::new(403, ErrorType::OriginRefused, message))
            }
            _ => Ok(()),
        }
    }

    /// The host of its public URL, if that promises TLS.
    pub(crate) fn public_tls_host(&self) -> Option<&str> {
        self.public_origin.as_deref()?.strip_prefix("https://")
    }

    fn is_known(&self, host: &str) -> bool {
        // A name cannot be made to look like an address, so an address is what was asked for: one of
        // this machine's, or one that leads here through a tunnel.
        is_address(host) || host == "localhost" || self.is_named(host)
    }

    fn is_named(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.names.iter().chain(&self.certified).any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => name == host,
        })
    }

    fn is_own(&self, origin: &str, host: &str, is_tls: bool) -> bool {
        if self.public_origin.as_deref() == Some(origin) {
            return true;
        }
        let Some((scheme, authority)) = origin.split_once("://") else { return false };
        // Behind a proxy its public name is that of one page alone: other ports and schemes of that host
        // are somebody else's.
        let public = self.public_origin.as_deref().and_then(|own| own.split_once("://"));
        let public_host = public.and_then(|(_, own)| host_of(own));
        if self.is_behind_proxy && public_host.is_some() && host_of(authority) == public_host {
            return false;
        }
        let is_scheme = match scheme {
            "https" => is_tls || self.is_behind_proxy,
            "http" => !is_tls,
            _ => false,
        };
        // A proxy may have replaced the Host by its own name for this relay.
        let is_site = (authority == host && !host.is_empty())
            || (self.is_behind_proxy && host_of(authority).is_some_and(|name| self.is_named(name)));
        is_scheme && is_site
    }
}

/// The value of a header; fails if there are several.
/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (is_port && !host.is_empty()).then_some(host)
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// The origin of a URL, as browsers write it.
fn origin_of(url: &str) -> String {
    let url = url.to_ascii_lowercase();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", &url));
    let authority = rest.split('/').next().unwrap_or_default();
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    format!("{scheme}://{}", authority.strip_suffix(default_port).unwrap_or(authority))
}

fn shown(host: &str) -> String {
    host.chars().filter(|c| !is_hidden(*c)).take(MAX_SHOWN_HOST_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::action::Method;
    use crate::contract::event::Body;

    fn status(site: &Site, is_tls: bool, headers: &[(&str, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let request = IncomingRequest {
            method: Method::Get,
            target: "/".into(),
            headers: headers.collect(),
            body: Body::Whole(bytes::Bytes::new()),
            is_tls,
            peer: IpAddr::from([127, 0, 0, 1]),
        };
        site.check(&request).map_or_else(|error| error.status, |()| 200)
    }

    fn site(listen: &str, change: impl FnOnce(&mut RelayConfig)) -> Site {
        let mut config = RelayConfig::new(listen.into());
        change(&mut config);
        Site::new(&config)
    }

    #[test]
    fn a_relay_answers_only_under_its_own_names() {
        let local = site("127.0.0.1:8787", |_| {});
        let own = site("192.0.2.7:8443", |config| {
            config.public_url = Some("https://Relay.Example:8443/x".into());
            config.hosts = alloc::vec!["Other.example".into(), "*.wild.example".into()];
        });
        let any = site("0.0.0.0:8443", |_| {});
        for (host, statuses) in [
            ("127.0.0.1:8787", [200; 3]),
            ("127.9.9.9", [200; 3]),
            ("LOCALHOST:1", [200; 3]),
            ("[::1]:8787", [200; 3]),
            ("192.0.2.7", [200; 3]),
            ("192.0.2.8:80", [200; 3]),
            ("relay.example.:8443", [421, 200, 421]),
            ("other.example", [421, 200, 421]),
            ("a.wild.example", [421, 200, 421]),
            ("a.b.wild.example", [421, 421, 421]),
            ("evil.example:8787", [421; 3]),
            ("localhost.evil.example", [421; 3]),
            ("127.0.0.1.evil.example", [421; 3]),
            ("", [421; 3]),
            ("localhost:x", [421; 3]),
            ("[::1", [421; 3]),
        ] {
            let got = [&local, &own, &any].map(|site| status(site, false, &[("host", host)]));
            assert_eq!(got, statuses, "{host}");
        }
        assert_eq!(status(&local, false, &[]), 400, "no Host");
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(status(&local, false, &twice), 400, "two of them");
    }

    #[test]
    fn a_relay_is_known_by_the_names_of_the_certificate_that_took_the_place_of_its_first() {
        let mut site = site("127.0.0.1:8787", |config| config.hosts.push("first.example".into()));
        assert_eq!(status(&site, true, &[("host", "second.example")]), 421);
        site.set_certified(&["Second.example".into()]);
        for host in ["first.example", "second.example"] {
            assert_eq!(status(&site, true, &[("host", host)]), 200, "{host}");
        }
    }

    #[test]
    fn a_proxy_may_leave_the_host_out_but_not_the_origin_of_another_site_pass() {
        let proxied = site("127.0.0.1:8787", |config| {
            config.public_url = Some("https://relay.example".into());
            config.hosts = alloc::vec!["other.example".into()];
            config.is_behind_proxy = true;
        });
        assert_eq!(status(&proxied, false, &[]), 200);
        assert_eq!(status(&proxied, false, &[("host", "")]), 421, "an empty one is one");
        for (origin, expected) in [
            ("https://other.example", 200),
            ("https://relay.example", 200),
            ("https://evil.example", 403),
            ("http://relay.example", 403),
            ("https://relay.example:444", 403),
            ("https://relay.example:x", 403),
            ("https://", 403),
            ("null", 403),
        ] {
            assert_eq!(status(&proxied, false, &[("origin", origin)]), expected, "{origin}");
            let host = ("host", "relay.example");
            if origin != "https://other.example" {
                let got = status(&proxied, false, &[host, ("origin", origin)]);
                assert_eq!(got, expected, "{origin}");
            }
        }
    }

    #[test]
    fn only_its_own_page_may_speak_to_a_relay() {
        let local = site("127.0.0.1:8787", |_| {});
        let proxied = site("127.0.0.1:8787", |config| {
            config.public_url = Some("https://relay.example".into());
            config.is_behind_proxy = true;
        });
        for (origin, host, is_tls, statuses) in [
            ("http://127.0.0.1:8787", "127.0.0.1:8787", false, [200, 200]),
            ("http://localhost:8787", "127.0.0.1:8787", false, [403, 403]),
            ("http://127.0.0.1:3000", "127.0.0.1:8787", false, [403, 403]),
            ("https://127.0.0.1:8787", "127.0.0.1:8787", true, [200, 200]),
            ("http://127.0.0.1:8787", "127.0.0.1:8787", true, [403, 403]),
            ("https://relay.example", "127.0.0.1:8787", false, [403, 200]),
            ("https://relay.example", "relay.example", false, [421, 200]),
            ("https://evil.example", "127.0.0.1:8787", false, [403, 403]),
            ("null", "127.0.0.1:8787", false, [403, 403]),
            ("", "127.0.0.1:8787", false, [403, 403]),
            ("file://127.0.0.1:8787", "127.0.0.1:8787", false, [403, 403]),
        ] {
            let headers = [("host", host), ("origin", origin)];
            let got = [&local, &proxied].map(|site| status(site, is_tls, &headers));
            assert_eq!(got, statuses, "{origin} to {host}");
        }
        let twice = [
            ("host", "localhost"),
            ("origin", "http://localhost"),
            ("origin", "https://evil.example"),
        ];
        assert_eq!(status(&local, false, &twice), 400);
    }
}
