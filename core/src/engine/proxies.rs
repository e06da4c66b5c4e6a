//! Through which HTTP proxy a connection goes out, as `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY` say. A proxy is asked for a tunnel (`CONNECT`) to every target, TLS or not.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::io_error::IoError;
use crate::base::secret::Secret;

/// A proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The value of `proxy-authorization`.
    pub authorization: Option<Secret>,
}

/// What says which proxies a program uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxySource {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Directly, whatever the environment says.
    None,
    /// Through the proxy at this `http:` URL.
    At(String),
}

/// The proxies of a program, and what is reached without them.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Setting>,
    https: Option<Setting>,
    except: Vec<Exception>,
}

/// A proxy as it was set, or why it cannot be used.
type Setting = Result<Proxy, ProxyError>;

/// A proxy that cannot be used. The words do not repeat its URL, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proxy that {source_name} names cannot be used: {reason}")]
pub struct ProxyError {
    source_name: String,
    reason: String,
}

/// What is reached without a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    /// A name and all below it.
    Domain(String, Option<u16>),
    /// Addresses with the same beginning of so many bits.
    Network(IpAddr, u8, Option<u16>),
}

impl Proxies {
    /// As `source` says; `variable` reads one of the environment.
    pub fn from_source(source: &ProxySource, variable: impl Fn(&str) -> Option<String>) -> Self {
        match source {
            ProxySource::Environment => Self::from_variables(variable),
            ProxySource::None => Self::none(),
            ProxySource::At(url) => Self::all(url),
        }
    }

    /// As variables say, each by its name in upper or lower case.
    pub fn from_variables(value: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let either = value(name).or_else(|| value(&name.to_ascii_lowercase()));
            either.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let setting = |name: &str| value(name).map(|url| parse(name, &url));
        let any = || setting("ALL_PROXY");
        let except = value("NO_PROXY").unwrap_or_default();
        Self {
            http: setting("HTTP_PROXY").or_else(any),
            https: setting("HTTPS_PROXY").or_else(any),
            except: except.split([',', ' ']).filter_map(Exception::parse).collect(),
        }
    }

    /// This one for everything.
    pub fn all(url: &str) -> Self {
        let setting = Some(parse("the program", url));
        Self { http: setting.clone(), https: setting, except: Vec::new() }
    }

    /// None at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// The proxy for a target; its host is a name or an address, without brackets.
    pub fn of(&self, is_tls: bool, host: &str, port: u16) -> Result<Option<&Proxy>, ProxyError> {
        let setting = if is_tls { &self.https } else { &self.http };
        let Some(setting) = setting else { return Ok(None) };
        if self.except.iter().any(|exception| exception.covers(host, port)) {
            return Ok(None);
        }
        setting.as_ref().map(Some).map_err(Clone::clone)
    }
}

/// Reads `[http://][name[:password]@]host[:port][/]`.
fn parse(source: &str, url: &str) -> Setting {
    let refuse = |reason: String| ProxyError { source_name: source.to_owned(), reason };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if !scheme.eq_ignore_ascii_case("http") {
        let scheme: String = scheme.chars().filter(char::is_ascii_alphanumeric).take(10).collect();
        return Err(refuse(format!("only http: proxies are supported, not {scheme}:")));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (credential, place) = match authority.rsplit_once('@') {
        Some((credential, place)) => (Some(credential), place),
        None => (None, authority),
    };
    let (host, port) =
        host_and_port(place).ok_or_else(|| refuse("its address is invalid".into()))?;
    let authorization = credential.map(|credential| {
        let (name, password) = credential.split_once(':').unwrap_or((credential, ""));
        let plain = [&decoded(name)[..], b":", &decoded(password)].concat();
        Secret::new(format!("Basic {}", STANDARD.encode(plain)))
    });
    Ok(Proxy { host, port: port.unwrap_or(80), authorization })
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(place: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':').or(port.is_empty().then_some(""))?)
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let is_clean = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
    let port = match port {
        "" => None,
        port => Some(port.parse().ok()?),
    };
    (!host.is_empty() && host.bytes().all(is_clean)).then(|| (host.to_owned(), port))
}

/// Percent-encoding undone.
fn decoded(text: &str) -> Vec<u8> {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "*" {
            return Some(Self::All);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Network(address, 128, None));
        }
        if let Some((address, bits)) = text.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse(), bits.parse())
        {
            return Some(Self::Network(address, bits, None));
        }
        let (host, port) = host_and_port(text)?;
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Network(address, 128, port));
        }
        let name = host.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Domain(name, port))
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Domain(name, only) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                let is_below = host.strip_suffix(name.as_str());
                let is_named = is_below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                is_named && only.is_none_or(|only| only == port)
            }
            Self::Network(network, bits, only) => {
                let is_inside = host.parse().is_ok_and(|address| begins(address, *network, *bits));
                is_inside && only.is_none_or(|only| only == port)
            }
        }
    }
}

/// Whether two addresses of the same family have the same first bits.
fn begins(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let apart = one.to_bits() ^ other.to_bits();
            apart.leading_zeros() >= bits.min(32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let apart = one.to_bits() ^ other.to_bits();
            apart.leading_zeros() >= bits.min(128)
        }
        _ => false,
    }
}

impl fmt::Display for Proxy {
    /// Without its credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A failure to reach what a connection is made to: it says so if that is a proxy, since people look
/// for the fault at the server that they have named.
pub fn unreachable(proxy: Option<&Proxy>, failure: IoError) -> IoError {
    let Some(proxy) = proxy else { return failure };
    let detail = format!("the proxy {proxy}, on the way to the relay: {}", failure.detail);
    IoError { detail, ..failure }
}

/// The request for a tunnel to `host:port`, with an IPv6 address in brackets.
pub fn connect_request(proxy: &Proxy, target: &str) -> Secret {
    let authorization = proxy
        .authorization
        .as_ref()
        .map_or_else(String::new, |value| format!("proxy-authorization: {}\r\n", value.reveal()));
    Secret::new(format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{authorization}\r\n"))
}

/// What a proxy has answered: the status of its tunnel, as the error to show if it is none.
pub fn tunnel_error(proxy: &Proxy, target: &str, status: u16) -> Option<String> {
    let advice = match status {
        200..=299 => return None,
        407 => {
            "; it asks for a name and a password: put them into its URL, http://NAME:PASSWORD@PROXY:PORT"
        }
        _ => "",
    };
    Some(format!("the proxy {proxy} refused a tunnel to {target}: HTTP {status}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn with(variables: &'static [(&'static str, &'static str)]) -> Proxies {
        Proxies::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn via(proxies: &Proxies, is_tls: bool, host: &str) -> String {
        match proxies.of(is_tls, host, 443) {
            Ok(proxy) => proxy.map_or_else(String::new, ToString::to_string),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_is_for_the_rest() {
        let all = with(&[("ALL_PROXY", "gate:1")]);
        let each = with(&[("https_proxy", "http://s:2/"), ("HTTP_PROXY", "h"), ("ALL_PROXY", "x")]);
        let empty = with(&[("HTTPS_PROXY", " ")]);
        for (proxies, https, http) in
            [(all, "gate:1", "gate:1"), (each, "s:2", "h:80"), (empty, "", ""), (with(&[]), "", "")]
        {
            assert_eq!((&*via(&proxies, true, "r"), &*via(&proxies, false, "r")), (https, http));
        }
    }

    #[test]
    fn what_no_proxy_names_is_reached_without_one() {
        let proxies = with(&[
            ("ALL_PROXY", "gate"),
            ("no_proxy", "localhost, .corp.example,other.example:8443,10.0.0.0/8,::1,192.0.2.7"),
        ]);
        for (host, is_direct) in [
            ("localhost", true),
            ("corp.example", true),
            ("Relay.Corp.Example.", true),
            ("notcorp.example", false),
            ("other.example", false),
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("::1", true),
            ("::2", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
        ] {
            assert_eq!(via(&proxies, true, host).is_empty(), is_direct, "{host}");
        }
        assert!(matches!(proxies.of(true, "other.example", 8443), Ok(None)));
        assert_eq!(via(&with(&[("ALL_PROXY", "gate"), ("NO_PROXY", "*")]), true, "any"), "");
    }

    #[test]
    fn a_proxys_credential_is_decoded_and_never_shown() {
        let proxies = Proxies::all("http://me:w%6frd%@[fd00::1]:3128/");
        let proxy = proxies.of(true, "r", 443).expect("good").expect("one").clone();
        assert_eq!(proxy.authorization.as_ref().map(Secret::reveal), Some("Basic bWU6d29yZCU="));
        assert_eq!(proxy.to_string(), "[fd00::1]:3128");
        let request = connect_request(&proxy, "r:443");
        assert!(request.reveal().starts_with("CONNECT r:443 HTTP/1.1\r\nhost: r:443\r\nproxy-a"));
        let shown = format!("{proxies:?} {request:?}");
        assert!(!shown.contains("word") && !shown.contains("bWU6"), "{shown}");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_said_and_not_passed_by() {
        for url in
            ["socks5://me:hunter2@gate:1", "https://hunter2@gate", "http://hunter2@:1", "a:b:c"]
        {
            let proxies =
                Proxies::from_variables(|name| (name == "HTTPS_PROXY").then(|| url.to_owned()));
            let error = proxies.of(true, "r", 443).expect_err(url).to_string();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("hunter2"), "{error}");
        }
        assert!(via(&Proxies::all("socks5://gate"), true, "r").contains("not socks5:"));
    }

    #[test]
    fn a_refused_tunnel_names_the_proxy_and_what_it_asks_for() {
        let proxies = Proxies::all("gate:1");
        let proxy = proxies.of(true, "r", 443).expect("good").expect("one");
        assert_eq!(tunnel_error(proxy, "r:443", 200), None);
        let error = tunnel_error(proxy, "r:443", 407).expect("refused");
        assert!(error.contains("the proxy gate:1") && error.contains("NAME:PASSWORD"), "{error}");
    }
}
