//! Connecting to a server: its address, a proxy if there is one, TLS.

use std::fmt;
use std::future::{pending, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use async_io::Timer;
use bytes::Bytes;
use footbridge_core::contract::action::Reach;
use footbridge_core::contract::event::{IoError, IoErrorKind};
use footbridge_core::engine::dial::Dial;
use footbridge_core::engine::proxies::{Proxies, Proxy, tunnel_error, unreachable};
use http_body_util::Empty;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Uri};
use smol::net::TcpStream;

use crate::failure::{about, about_http, failure};
use crate::io::{Connection, HyperIo};
use crate::tls;

/// Which server, whether over TLS, and whether it may be one of this network's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) is_tls: bool,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) reach: Reach,
}

impl Origin {
    pub(crate) fn of(url: &Uri, reach: Reach) -> Result<Self, IoError> {
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
        Ok(Self { is_tls, host: host.to_owned(), port, reach })
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
    proxies: Proxies,
}

impl Dialer {
    pub(crate) const fn new(tls: tls::Client, proxies: Proxies) -> Self {
        Self { tls, proxies }
    }

    pub(crate) async fn dial(&self, origin: &Origin) -> Result<Connection, IoError> {
        let Origin { is_tls, host, port, reach } = origin;
        let proxy = self.proxies.of(*is_tls, host, *port);
        let proxy = proxy.map_err(|error| failure(IoErrorKind::Other, error))?;
        let stream = match proxy {
            Some(proxy) => through(proxy, origin).await?,
            None => connect(host, *port, *reach).await?,
        };
        if *is_tls { self.tls.connect(host, stream).await } else { Ok(Connection::Plain(stream)) }
    }
}

/// Connects to a host, by the first of its addresses that answers. An address needs no lookup, and
/// so no thread.
async fn connect(host: &str, port: u16, reach: Reach) -> Result<TcpStream, IoError> {
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => smol::net::resolve((host, port))
            .await
            .map_err(|error| failure(IoErrorKind::Dns, format_args!("{host}: {error}")))?,
    };
    if addresses.is_empty() {
        return Err(failure(IoErrorKind::Dns, format_args!("{host} has no address")));
    }
    let addresses = reach.narrow(host, addresses);
    let addresses = addresses.map_err(|why| failure(IoErrorKind::Unreachable, why))?;
    let stream = dial(host, addresses).await?;
    // Send small messages at once; without this they are merely slower.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Tries addresses side by side.
async fn dial(host: &str, addresses: Vec<SocketAddr>) -> Result<TcpStream, IoError> {
    let (mut dial, begun) = (Dial::new(addresses), Instant::now());
    let mut attempts: Vec<Attempt<'_>> = Vec::new();
    loop {
        while let Some(address) = dial.next(begun.elapsed()) {
            attempts.push(Box::pin(async move {
                let attempt = TcpStream::connect(address).await;
                attempt.map_err(|error| about(format_args!("{host} ({address})"), &error))
            }));
        }
        let ended = async { Some(any(&mut attempts).await) };
        let due = async {
            match dial.due() {
                Some(at) => Timer::at(begun + at).await,
                None => pending().await,
            };
            None
        };
        match smol::future::or(ended, due).await {
            None => {}
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => {
                let has_hope = dial.failed();
                if !has_hope {
                    return Err(error);
                }
            }
        }
    }
}

type Attempt<'a> = Pin<Box<dyn Future<Output = Result<TcpStream, IoError>> + 'a>>;

/// The end of the first attempt that ends, which is taken out.
async fn any(attempts: &mut Vec<Attempt<'_>>) -> Result<TcpStream, IoError> {
    poll_fn(|cx| {
        for at in 0..attempts.len() {
            if let Poll::Ready(ended) = attempts[at].as_mut().poll(cx) {
                drop(attempts.swap_remove(at));
                return Poll::Ready(ended);
            }
        }
        Poll::Pending
    })
    .await
}

/// Opens a tunnel through an HTTP proxy; `http:` targets get one too.
async fn through(proxy: &Proxy, origin: &Origin) -> Result<TcpStream, IoError> {
    let stream = connect(&proxy.host, proxy.port, Reach::Anywhere).await;
    let stream = stream.map_err(|error| unreachable(Some(proxy), error))?;
    let target = origin.to_string();
    let name = format!("the proxy {proxy}");
    let mut request =
        hyper::Request::builder().method(Method::CONNECT).uri(&target).header(HOST, &target);
    if let Some(credential) = &proxy.authorization {
        let value = HeaderValue::from_str(credential.reveal());
        let mut value = value.map_err(|error| failure(IoErrorKind::Protocol, error))?;
        value.set_sensitive(true);
        request = request.header(PROXY_AUTHORIZATION, value);
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
        if let Some(detail) = tunnel_error(proxy, &target, answer.status().as_u16()) {
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
    use footbridge_runtime_suite::harness::Hole;
    use std::net::TcpListener;
    use std::time::Duration;

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
            let origin = Origin::of(&url.parse().expect("a URL"), Reach::Anywhere).expect(url);
            assert_eq!((origin.to_string().as_str(), origin.is_tls), (full, is_tls), "{url}");
            assert_eq!(origin.host_header(), header, "{url}");
        }
        for url in ["/path", "ftp://example.org/", "example.org:80"] {
            assert!(Origin::of(&url.parse().expect("a URL"), Reach::Anywhere).is_err(), "{url}");
        }
    }

    /// An address at which somebody listens, and one of the other family that swallows everything.
    fn pair(alive: &str, dead: &str) -> (TcpListener, [SocketAddr; 2], Hole) {
        let listener = TcpListener::bind(alive).expect("a port");
        let alive = listener.local_addr().expect("bound");
        let dead = SocketAddr::new(dead.parse().expect("an address"), alive.port());
        (listener, [dead, alive], Hole::at(dead))
    }

    #[test]
    fn an_address_that_swallows_everything_costs_a_quarter_of_a_second() {
        for (alive, dead) in
            [("127.0.0.1:0", "::1"), ("[::1]:0", "127.0.0.1"), ("127.0.0.1:0", "127.0.0.2")]
        {
            let (_listener, addresses, _hole) = pair(alive, dead);
            let began = Instant::now();
            let stream = smol::block_on(dial("host", addresses.to_vec())).expect("one answers");
            assert_eq!(stream.peer_addr().expect("connected"), addresses[1]);
            let took = began.elapsed();
            assert!(
                took >= Duration::from_millis(240) && took < Duration::from_secs(2),
                "{took:?}"
            );
        }
    }

    #[test]
    fn a_refused_address_costs_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let alive = listener.local_addr().expect("bound");
        let refused = SocketAddr::new([127, 0, 0, 3].into(), alive.port());
        let addresses = [refused, alive];
        let began = Instant::now();
        let stream = smol::block_on(dial("host", addresses.to_vec())).expect("one answers");
        assert_eq!(stream.peer_addr().expect("connected"), alive);
        assert!(began.elapsed() < Duration::from_millis(240));
    }
}
