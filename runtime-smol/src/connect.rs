//! Connecting to a server: its address, a proxy if there is one, TLS.

use std::fmt;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::contract::event::{IoError, IoErrorKind};
use http_body_util::Empty;
use hyper::header::{HOST, PROXY_AUTHORIZATION};
use hyper::{Method, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use smol::net::TcpStream;

use crate::failure::{about, about_http, failure};
use crate::io::{Connection, HyperIo, within};
use crate::tls;

/// How long one of a host's several addresses is tried before the next one.
const ADDRESS_LIMIT: Duration = Duration::from_secs(3);

/// Which server, and whether over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) is_tls: bool,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    pub(crate) fn of(url: &Uri) -> Result<Self, IoError> {
        let is_tls = match url.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(failure(IoErrorKind::Protocol, "not an absolute HTTP URL")),
        };
        let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(failure(IoErrorKind::Protocol, "a URL without a host"));
        }
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { is_tls, host: host.to_owned(), port })
    }

    /// The value of the `host` header: the port only if it is not the default.
    pub(crate) fn host_header(&self) -> String {
        let is_usual = self.port == if self.is_tls { 443 } else { 80 };
        let full = self.to_string();
        match full.rsplit_once(':') {
            Some((host, _)) if is_usual => host.to_owned(),
            _ => full,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Opens connections.
pub(crate) struct Dialer {
    tls: tls::Client,
    proxies: Option<Matcher>,
}

impl Dialer {
    pub(crate) const fn new(tls: tls::Client, proxies: Option<Matcher>) -> Self {
        Self { tls, proxies }
    }

    pub(crate) async fn dial(&self, origin: &Origin) -> Result<Connection, IoError> {
        let stream = match self.proxy(origin) {
            Some(proxy) => through(&proxy, origin).await?,
            None => connect(&origin.host, origin.port).await?,
        };
        if origin.is_tls {
            self.tls.connect(&origin.host, stream).await
        } else {
            Ok(Connection::Plain(stream))
        }
    }

    fn proxy(&self, origin: &Origin) -> Option<Intercept> {
        let scheme = if origin.is_tls { "https" } else { "http" };
        let target = format!("{scheme}://{origin}/").parse().ok()?;
        self.proxies.as_ref()?.intercept(&target)
    }
}

/// Connects to a host. An address needs no lookup, and so no thread.
async fn connect(host: &str, port: u16) -> Result<TcpStream, IoError> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => smol::net::resolve((host, port))
            .await
            .map_err(|error| failure(IoErrorKind::Dns, format_args!("{host}: {error}")))?,
    };
    let mut last = failure(IoErrorKind::Dns, format_args!("{host} has no address"));
    for (at, address) in addresses.iter().enumerate() {
        let attempt = TcpStream::connect(address);
        let is_last = at + 1 == addresses.len();
        let attempt =
            if is_last { Some(attempt.await) } else { within(ADDRESS_LIMIT, attempt).await };
        match attempt {
            Some(Ok(stream)) => {
                // Send small messages at once; without this they are merely slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Some(Err(error)) => last = about(format_args!("{host} ({address})"), &error),
            None => last = failure(IoErrorKind::TimedOut, format_args!("{host} ({address})")),
        }
    }
    Err(last)
}

/// Opens a tunnel through an HTTP proxy; `http:` targets get one too.
async fn through(proxy: &Intercept, origin: &Origin) -> Result<TcpStream, IoError> {
    let uri = proxy.uri();
    if uri.scheme_str() != Some("http") {
        let scheme = uri.scheme_str().unwrap_or("none");
        let detail =
            format!("the proxy for {origin}: only http: proxies are supported, not {scheme}:");
        return Err(failure(IoErrorKind::Other, detail));
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let stream = connect(host, uri.port_u16().unwrap_or(80)).await?;

    let name = format!("the proxy {host}");
    let mut request = hyper::Request::builder()
        .method(Method::CONNECT)
        .uri(origin.to_string())
        .header(HOST, origin.to_string());
    if let Some(credential) = proxy.basic_auth() {
        request = request.header(PROXY_AUTHORIZATION, credential);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| failure(IoErrorKind::Protocol, error))?;

    let handshake = hyper::client::conn::http1::handshake(HyperIo(Connection::Plain(stream)));
    let (mut sender, connection) = handshake.await.map_err(|error| about_http(&name, &error))?;
    let connection = async {
        let _ = connection.with_upgrades().await;
        pending().await
    };
    let tunnel = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| about_http(&name, &error))?;
        if !answer.status().is_success() {
            let detail = format!("{name} refused a tunnel to {origin}: {}", answer.status());
            return Err(failure(IoErrorKind::Refused, detail));
        }
        let upgraded = hyper::upgrade::on(answer).await;
        upgraded.map_err(|error| about_http(&name, &error))
    };
    let upgraded = smol::future::or(tunnel, connection).await?;
    match upgraded.downcast::<HyperIo>() {
        Ok(parts) if parts.read_buf.is_empty() => match parts.io.0 {
            Connection::Plain(stream) => Ok(stream),
            _ => Err(failure(IoErrorKind::Protocol, name)),
        },
        _ => Err(failure(
            IoErrorKind::Protocol,
            format_args!("{name} sent data before the tunnel was open"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_comes_from_the_url_and_omits_the_default_port() {
        let cases = [
            ("http://example.org/a?b", "example.org:80", "example.org", false),
            ("wss://example.org", "example.org:443", "example.org", true),
            ("https://example.org:8443/", "example.org:8443", "example.org:8443", true),
            ("ws://[::1]:80/x", "[::1]:80", "[::1]", false),
            ("ws://user:word@127.0.0.1:9/x", "127.0.0.1:9", "127.0.0.1:9", false),
        ];
        for (url, full, header, is_tls) in cases {
            let origin = Origin::of(&url.parse().expect("a URL")).expect(url);
            assert_eq!((origin.to_string().as_str(), origin.is_tls), (full, is_tls), "{url}");
            assert_eq!(origin.host_header(), header, "{url}");
        }
        for url in ["/path", "ftp://example.org/", "example.org:80"] {
            assert!(Origin::of(&url.parse().expect("a URL")).is_err(), "{url}");
        }
    }
}
