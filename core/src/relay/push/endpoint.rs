//! Where a browser's push service takes messages. A browser's page names it, so the relay could be made
//! to call anything: only `https`, and only servers in the public internet, unless the relay's owner
//! says otherwise.

use alloc::string::{String, ToString};
use core::net::IpAddr;

use crate::base::limits::MAX_PUSH_ENDPOINT_BYTES;
use crate::contract::http::Reach;
use crate::wire::url::BaseUrl;

/// A URL at a push service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Scheme, host, and port: for whom a request to it is signed.
    pub(super) origin: String,
    /// The host, for people.
    pub(super) host: String,
}

impl Endpoint {
    /// Reads one; the error says what is wrong with it.
    pub(super) fn parse(url: &str, reach: Reach) -> Result<Self, &'static str> {
        if url.len() > MAX_PUSH_ENDPOINT_BYTES {
            return Err("the endpoint is longer than those of push services");
        }
        if !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains('#') {
            return Err("the endpoint is not a URL");
        }
        let (scheme, rest) = url.split_once("://").ok_or("the endpoint is not a URL")?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default().to_ascii_lowercase();
        let authority = authority.strip_suffix(":443").unwrap_or(&authority);
        let origin = [scheme, "://", authority].concat();
        let base = BaseUrl::parse(&origin)
            .map_err(|_| "the endpoint must begin with https:// and the name of a push service")?;
        let is_plain = !scheme.eq_ignore_ascii_case("https");
        let is_private = base.is_localhost() || !may_be_public(host_of(authority), reach);
        if reach == Reach::Public && (is_plain || is_private) {
            return Err("the endpoint must be https:, and not in this relay's own network");
        }
        Ok(Self { origin: base.to_string(), host: host_of(authority).to_string() })
    }
}

/// A host, or an address without its brackets.
fn host_of(authority: &str) -> &str {
    let bare = authority.strip_prefix('[').and_then(|rest| rest.split(']').next());
    bare.unwrap_or_else(|| authority.split(':').next().unwrap_or_default())
}

/// A name is looked up, and its addresses looked at, when something is sent there.
fn may_be_public(host: &str, reach: Reach) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => reach.allows(address),
        // Some systems read these as addresses too: 2130706433, 0x7f.1.
        Err(_) => {
            let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
            host.contains('.') && !last.starts_with(|c: char| c.is_ascii_digit())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_of_push_services_are_taken() {
        for (url, origin) in [
            ("https://fcm.googleapis.com/fcm/send/a:b-_c", "https://fcm.googleapis.com"),
            (
                "https://updates.push.services.mozilla.com/wpush/v2/gA",
                "https://updates.push.services.mozilla.com",
            ),
            (
                "https://wns2-par02p.notify.windows.com/w/?token=BQ%3d",
                "https://wns2-par02p.notify.windows.com",
            ),
            ("https://web.push.apple.com:443/Q", "https://web.push.apple.com"),
            ("https://Push.Example:8443/x", "https://push.example:8443"),
            ("https://8.8.8.8/x", "https://8.8.8.8"),
        ] {
            let endpoint = Endpoint::parse(url, Reach::Public);
            assert_eq!(endpoint.map(|endpoint| endpoint.origin).as_deref(), Ok(origin), "{url}");
        }
    }

    #[test]
    fn nothing_else_is() {
        let long = ["https://push.example/", &"x".repeat(3000)].concat();
        for url in [
            "",
            "push.example",
            "http://push.example/x",
            "ftp://push.example/x",
            "https://",
            "https://user@push.example/x",
            "https://push.example/x#y",
            "https://push.example/x y",
            "https://localhost/x",
            "http://localhost:1/x",
            "https://127.0.0.1/x",
            "https://10.0.0.1:8443/x",
            "https://[::1]/x",
            "https://[fd00::1]/x",
            "https://169.254.169.254/latest",
            "https://2130706433/x",
            "https://0x7f.1/x",
            "https://127.1/x",
            "https://router/x",
            &long,
        ] {
            assert!(Endpoint::parse(url, Reach::Public).is_err(), "{url}");
        }
    }

    #[test]
    fn an_owner_can_allow_a_service_of_their_own() {
        for url in
            ["https://10.0.0.1/x", "http://127.0.0.1:9/x", "http://localhost/x", "https://router/x"]
        {
            assert!(Endpoint::parse(url, Reach::Anywhere).is_ok(), "{url}");
        }
        assert!(Endpoint::parse("http://10.0.0.1/x", Reach::Anywhere).is_err(), "in the clear");
    }
}
