//! TLS using rustls, with one configuration for HTTP and WebSockets. Without the feature `tls`,
//! whatever asks for it fails and says so.

#[cfg(feature = "tls")]
pub(crate) use with::{Tls, TlsConnector, TlsStream};
#[cfg(not(feature = "tls"))]
pub(crate) use without::{Tls, TlsConnector, TlsStream};

#[cfg(feature = "tls")]
mod with {
    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::path::Path;
    use std::sync::Arc;

    use footbridge_core::contract::event::{IoError, IoErrorKind};
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, StreamOwned};
    use ureq::unversioned::transport::{
        Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
        TransportAdapter,
    };

    use crate::failure::failure;

    /// Whom to trust, and the protocol settings.
    #[derive(Clone, Debug)]
    pub(crate) struct Tls(Arc<ClientConfig>);

    impl Tls {
        /// Trusts the well-known authorities and the certificates in a PEM file. The error is for
        /// people.
        pub(crate) fn new(extra_ca: Option<&Path>) -> Result<Self, String> {
            let config = footbridge_trust::client_config(extra_ca).map_err(|error| {
                let path = extra_ca.unwrap_or(Path::new("this program")).display();
                format!("cannot read the certificates in {path}: {error}")
            })?;
            Ok(Self(Arc::new(config)))
        }

        fn connection(&self, host: &str) -> Result<ClientConnection, IoError> {
            let tls = |detail: String| failure(IoErrorKind::Tls, detail);
            let bare =
                host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let name =
                ServerName::try_from(bare.to_owned()).map_err(|e| tls(format!("{host}: {e}")))?;
            ClientConnection::new(Arc::clone(&self.0), name)
                .map_err(|e| tls(format!("{host}: {e}")))
        }

        /// TLS on a socket, in both directions. The handshake happens with the first bytes.
        pub(crate) fn wrap(&self, host: &str, socket: TcpStream) -> Result<TlsStream, IoError> {
            Ok(TlsStream(Box::new(StreamOwned::new(self.connection(host)?, socket))))
        }
    }

    /// A socket under TLS.
    pub(crate) struct TlsStream(Box<StreamOwned<ClientConnection, TcpStream>>);

    impl TlsStream {
        pub(crate) fn socket(&self) -> &TcpStream {
            &self.0.sock
        }

        /// Whether TLS has bytes of its own to send.
        pub(crate) fn wants_write(&self) -> bool {
            self.0.conn.wants_write()
        }
    }

    impl Read for TlsStream {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }

    impl Write for TlsStream {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.0.write(buf)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    /// The part of the HTTP client's chain that adds TLS if the URL calls for it.
    #[derive(Debug)]
    pub(crate) struct TlsConnector(pub(crate) Tls);

    impl<In: Transport> Connector<In> for TlsConnector {
        type Out = Either<In, TlsTransport>;

        fn connect(
            &self,
            details: &ConnectionDetails<'_>,
            chained: Option<In>,
        ) -> Result<Option<Self::Out>, ureq::Error> {
            let Some(transport) = chained else { return Ok(None) };
            if !details.needs_tls() || transport.is_tls() {
                return Ok(Some(Either::A(transport)));
            }
            let host = details.uri.host().unwrap_or_default();
            let mut connection =
                self.0.connection(host).map_err(|e| ureq::Error::Other(e.into()))?;
            let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
            socket.set_timeout(details.timeout);
            connection.complete_io(&mut socket)?;
            let config = details.config;
            let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
            let stream = StreamOwned::new(connection, socket);
            Ok(Some(Either::B(TlsTransport { buffers, stream })))
        }
    }

    /// A TLS connection of the HTTP client.
    pub(crate) struct TlsTransport {
        buffers: LazyBuffers,
        stream: StreamOwned<ClientConnection, TransportAdapter>,
    }

    impl Transport for TlsTransport {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(
            &mut self,
            amount: usize,
            timeout: NextTimeout,
        ) -> Result<(), ureq::Error> {
            self.stream.get_mut().set_timeout(timeout);
            self.stream.write_all(&self.buffers.output()[..amount])?;
            Ok(())
        }

        fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
            self.stream.get_mut().set_timeout(timeout);
            let amount = self.stream.read(self.buffers.input_append_buf())?;
            self.buffers.input_appended(amount);
            Ok(amount > 0)
        }

        fn is_open(&mut self) -> bool {
            self.stream.get_mut().get_mut().is_open()
        }

        fn is_tls(&self) -> bool {
            true
        }
    }

    impl std::fmt::Debug for TlsTransport {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("TlsTransport").finish_non_exhaustive()
        }
    }
}

#[cfg(not(feature = "tls"))]
mod without {
    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::path::Path;

    use footbridge_core::contract::event::{IoError, IoErrorKind};
    use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

    use crate::failure::failure;

    const MISSING: &str = "this program is built without TLS";

    #[derive(Clone, Debug)]
    pub(crate) struct Tls;

    impl Tls {
        pub(crate) fn new(extra_ca: Option<&Path>) -> Result<Self, String> {
            extra_ca.map_or(Ok(Self), |_| Err(MISSING.to_owned()))
        }

        pub(crate) fn wrap(&self, _: &str, _: TcpStream) -> Result<TlsStream, IoError> {
            Err(failure(IoErrorKind::Tls, MISSING))
        }
    }

    pub(crate) enum TlsStream {}

    impl TlsStream {
        pub(crate) fn socket(&self) -> &TcpStream {
            match *self {}
        }

        pub(crate) fn wants_write(&self) -> bool {
            match *self {}
        }
    }

    impl Read for TlsStream {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            match *self {}
        }
    }

    impl Write for TlsStream {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            match *self {}
        }

        fn flush(&mut self) -> io::Result<()> {
            match *self {}
        }
    }

    /// Leaves connections as they are: the HTTP client refuses `https:` over an insecure one.
    #[derive(Debug)]
    pub(crate) struct TlsConnector(pub(crate) Tls);

    impl<In: Transport> Connector<In> for TlsConnector {
        type Out = In;

        fn connect(
            &self,
            _: &ConnectionDetails<'_>,
            chained: Option<In>,
        ) -> Result<Option<In>, ureq::Error> {
            Ok(chained)
        }
    }
}
