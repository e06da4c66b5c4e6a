//! The HTTP client's connections: to a server or to the proxy before it, and then TLS.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Weak};
use std::time::Duration;

use footbridge_core::contract::event::IoError;
use footbridge_core::engine::proxies::{Proxies, Proxy, unreachable};
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle, Transport,
};

use crate::net::{self, deadline_after};

/// A URL's host without brackets, and its port.
pub(crate) fn place(uri: &Uri) -> (&str, u16) {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let default = if is_tls(uri) { 443 } else { 80 };
    (host, uri.port_u16().unwrap_or(default))
}

fn is_tls(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("https" | "wss"))
}

/// The proxy on the way to a URL.
pub(crate) fn proxy_of<'p>(proxies: &'p Proxies, uri: &Uri) -> Result<Option<&'p Proxy>, IoError> {
    let (host, port) = place(uri);
    let proxy = proxies.of(is_tls(uri), host, port);
    proxy.map_err(|error| {
        crate::failure::failure(footbridge_core::contract::event::IoErrorKind::Other, error)
    })
}

/// What a proxy is asked to connect to: an IPv6 address in brackets.
pub(crate) fn target(uri: &Uri) -> String {
    let (host, port) = place(uri);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The first part of the HTTP client's chain. Names have been looked up: the proxy's, if there is
/// one.
#[derive(Debug)]
pub(crate) struct Dialer(pub(crate) Arc<Proxies>);

impl Connector<()> for Dialer {
    type Out = Line;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Line>, Error> {
        let own = |error: IoError| Error::Other(error.into());
        let limit = details.timeout.not_zero();
        let deadline = deadline_after(limit.map_or(Duration::from_secs(3600), |limit| *limit));
        let addresses: Vec<_> = details.addrs.iter().copied().collect();
        let proxy = proxy_of(&self.0, details.uri).map_err(own)?;
        let stream = net::connect_to::<()>(&addresses, deadline, None)
            .map_err(|error| own(unreachable(proxy, error)))?;
        let stream = match (stream, proxy) {
            (Some(stream), Some(proxy)) => {
                net::tunnel::<()>(stream, proxy, &target(details.uri), deadline, None)
                    .map_err(own)?
            }
            (stream, _) => stream,
        };
        // Nothing cancels it before it is registered.
        let Some(stream) = stream else { return Err(Error::ConnectionFailed) };
        stream.set_nonblocking(false)?;
        let stream = Arc::new(stream);
        (details.register_shutdown)(Arc::downgrade(&stream) as Weak<dyn ShutdownHandle>)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Line { stream, buffers }))
    }
}

/// A connection of the HTTP client.
#[derive(Debug)]
pub(crate) struct Line {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|limit| *limit))?;
        let sent = (&*self.stream).write_all(&self.buffers.output()[..amount]);
        sent.map_err(|error| timed(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|limit| *limit))?;
        let amount = loop {
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.map_err(|error| timed(error, timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        let is_quiet = |stream: &TcpStream| {
            stream.set_nonblocking(true)?;
            let read = (&*stream).read(&mut [0]);
            stream.set_nonblocking(false)?;
            read
        };
        // One that has ended, or says something that nobody asked for, is of no use.
        matches!(is_quiet(&self.stream), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A socket's own time limit, as the library knows it.
fn timed(error: std::io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            Error::Timeout(timeout.reason)
        }
        _ => Error::Io(error),
    }
}
