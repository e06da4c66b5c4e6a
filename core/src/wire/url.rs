//! The relay's base URL, and the URLs built from it (S-2).

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::base::id::SessionId;

/// A relay's URL: `http` or `https`, a host, optionally a port and a path prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    is_tls: bool,
    /// Host, port and path prefix, without a slash at the end.
    rest: String,
    is_localhost: bool,
}

/// Why a text is not a base URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is missing, or a different one.
    #[error("{url:?} is no relay URL: it must begin with http:// or https://")]
    Scheme {
        /// The text.
        url: String,
    },
    /// The host is missing or invalid.
    #[error("{url:?} is no relay URL: after the scheme there must be a host, then perhaps :port")]
    Host {
        /// The text.
        url: String,
    },
    /// It has a part that a base URL cannot have.
    #[error("{url:?} is no relay URL: it must not have {part}")]
    Part {
        /// The text, without the parts that may be secret.
        url: String,
        /// The part.
        part: &'static str,
    },
    /// Credentials would be sent in the clear.
    #[error(
        "{url:?} is not safe: a relay on another host must be reached by https://, or by a tunnel to this one"
    )]
    Insecure {
        /// The text.
        url: String,
    },
}

impl BaseUrl {
    /// Reads a base URL. Trailing slashes do not matter. Plain `http` is only for this very host.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let text = url.trim();
        let scheme = |prefix: &str| {
            let head = text.get(..prefix.len())?;
            if head.eq_ignore_ascii_case(prefix) { text.get(prefix.len()..) } else { None }
        };
        let (is_tls, rest) = match (scheme("https://"), scheme("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(UrlError::Scheme { url: shown(text) }),
        };
        let rest = rest.trim_end_matches('/');
        for (mark, part) in
            [('@', "a user name or password"), ('?', "a query"), ('#', "a fragment")]
        {
            if rest.contains(mark) {
                // Anything before an @ or after the other two may be a credential.
                let scheme = if is_tls { "https://…" } else { "http://…" };
                return Err(UrlError::Part { url: scheme.to_owned(), part });
            }
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let host = host_of(authority).ok_or_else(|| UrlError::Host { url: shown(text) })?;
        let path = rest.get(authority.len()..).unwrap_or_default();
        if !path.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UrlError::Part {
                url: shown(text),
                part: "spaces or non-ASCII characters",
            });
        }
        let is_localhost = is_localhost(host);
        if !is_tls && !is_localhost {
            return Err(UrlError::Insecure { url: shown(text) });
        }
        Ok(Self { is_tls, rest: rest.to_owned(), is_localhost })
    }

    /// The host, without a port; an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        self.rest.split('/').next().and_then(host_of).unwrap_or_default()
    }

    /// Whether it names this very host.
    pub const fn is_localhost(&self) -> bool {
        self.is_localhost
    }

    /// The URL of a path below it, which begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// The URL of a WebSocket at a path below it.
    pub fn web_socket(&self, path: &str) -> String {
        let scheme = if self.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}{path}", self.rest)
    }

    /// Whether a URL, of a WebSocket too, is below it.
    pub fn is_base_of(&self, url: &str) -> bool {
        let below = url.split_once("://").and_then(|(_, rest)| rest.strip_prefix(&*self.rest));
        below.is_some_and(|below| below.is_empty() || below.starts_with(['/', '?']))
    }

    /// A session's ingress in version 1 (S-2).
    pub fn session_ingress(&self, session: &SessionId) -> String {
        // This host uses plain `ws` unless its own URL says TLS, and always path version 2.
        let (scheme, version) = match (self.is_localhost, self.is_tls) {
            (true, false) => ("ws", "v2"),
            (true, true) => ("wss", "v2"),
            (false, _) => ("wss", "v1"),
        };
        format!("{scheme}://{}/{version}/session_ingress/ws/{session}", self.rest)
    }

    /// A code session in version 2 (S-2).
    pub fn code_session(&self, session: &SessionId) -> String {
        self.join(&format!("/v1/code/sessions/{session}"))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.rest)
    }
}

/// The beginning of a text that a person typed.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`; `None` if it is none of them.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, port)
    } else {
        let at = authority.find(':').unwrap_or(authority.len());
        let (host, port) = authority.split_at(at);
        let is_label = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if host.is_empty() || !host.bytes().all(is_label) {
            return None;
        }
        (host, port)
    };
    match port.strip_prefix(':') {
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
            port.parse::<u16>().ok().filter(|port| *port != 0).map(|_| host)
        }
        None if port.is_empty() => Some(host),
        _ => None,
    }
}

/// This very host, not a name that merely contains it (S-2).
fn is_localhost(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_urls_follow_the_host() {
        let session = SessionId::new("session_1").expect("valid");
        let cases = [
            ("http://localhost:8787", "ws://localhost:8787/v2/session_ingress/ws/session_1"),
            ("HTTP://127.0.0.1:1/", "ws://127.0.0.1:1/v2/session_ingress/ws/session_1"),
            ("http://[::1]:8787//", "ws://[::1]:8787/v2/session_ingress/ws/session_1"),
            ("https://localhost", "wss://localhost/v2/session_ingress/ws/session_1"),
            (
                "https://relay.example/base/",
                "wss://relay.example/base/v1/session_ingress/ws/session_1",
            ),
            (
                "https://localhost.evil.example",
                "wss://localhost.evil.example/v1/session_ingress/ws/session_1",
            ),
        ];
        for (base, url) in cases {
            let base = BaseUrl::parse(base).expect("valid");
            assert_eq!(base.session_ingress(&session), url);
        }
        let base = BaseUrl::parse("https://relay.example/").expect("valid");
        assert_eq!(base.code_session(&session), "https://relay.example/v1/code/sessions/session_1");
    }

    #[test]
    fn plain_http_is_only_for_this_host() {
        for url in [
            "http://relay.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "http://127.0.0.1.nip.io",
        ] {
            assert!(matches!(BaseUrl::parse(url), Err(UrlError::Insecure { .. })), "{url}");
        }
    }

    #[test]
    fn anything_but_a_url_is_rejected_with_a_reason() {
        for url in ["", "relay.example", "ftp://x", "ws://x", "https:/x", "http:"] {
            assert!(matches!(BaseUrl::parse(url), Err(UrlError::Scheme { .. })), "{url}");
        }
        for url in [
            "https://",
            "https:///x",
            "https://a b",
            "https://x:",
            "https://x:0",
            "https://x:65536",
            "https://x:1x",
            "https://[::1",
            "https://[x]",
            "https://[::1]x",
            "https://é",
        ] {
            assert!(matches!(BaseUrl::parse(url), Err(UrlError::Host { .. })), "{url}");
        }
        for url in ["https://x?a", "https://x#a", "https://me:hunter2@x", "https://x/a b"] {
            let error = BaseUrl::parse(url).expect_err(url);
            assert!(matches!(error, UrlError::Part { .. }), "{url}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let error = BaseUrl::parse("https://me:hunter2@x").expect_err("refused");
        assert!(!format!("{error}").contains("hunter2"), "{error}");
    }
}
