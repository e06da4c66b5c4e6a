//! TLS for clients and servers, using rustls with ring. Without the feature `tls`, whatever asks
//! for it fails and says so.

use std::net::IpAddr;

use footbridge_core::contract::event::IoError;
use footbridge_core::relay::Rs256;

use crate::certificate::Certificate;
#[cfg(feature = "tls")]
pub(crate) use with::{Client, Server};
#[cfg(not(feature = "tls"))]
pub(crate) use without::{Client, Server};

impl Certificate {
    /// The names that it is for, in lower case or with `*` for one label.
    pub fn names(&self) -> Result<Vec<String>, IoError> {
        Server::names(&self.chain)
    }

    /// Whether it is for this address.
    pub fn is_for(&self, address: IpAddr) -> Result<bool, IoError> {
        Server::is_for(&self.chain, address)
    }
}

/// What checks signatures by RSA (PKCS #1 1.5, SHA-256), with a DER `RSAPublicKey`, if this build can.
pub fn rs256() -> Option<Rs256> {
    #[cfg(feature = "tls")]
    return Some(with::rs256);
    #[cfg(not(feature = "tls"))]
    None
}

#[cfg(feature = "tls")]
mod with {
    use std::net::IpAddr;
    use std::path::Path;
    use std::sync::Arc;

    use footbridge_core::contract::event::{IoError, IoErrorKind};
    use footbridge_trust::{GivenError, client_config};
    use futures_rustls::pki_types::{ServerName, alg_id};
    use futures_rustls::rustls::ServerConfig;
    use futures_rustls::rustls::crypto::ring;
    use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream};
    use smol::net::TcpStream;

    use crate::certificate::{Certificate, CertificateReport};
    use crate::failure::{about, failure};
    use crate::io::Connection;
    use crate::served::{Served, unusable, with_own};

    /// By what checks certificates.
    pub(super) fn rs256(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let all = ring::default_provider().signature_verification_algorithms.all;
        // Of those that take these signatures, this is the one for keys of any usual size.
        let mut fitting = all.iter().filter(|one| {
            one.signature_alg_id() == alg_id::RSA_PKCS1_SHA256
                && one.public_key_alg_id() == alg_id::RSA_ENCRYPTION
        });
        fitting.any(|one| one.verify_signature(key, message, signature).is_ok())
    }

    /// Whom a client trusts.
    pub(crate) struct Client(TlsConnector);

    impl Client {
        pub(crate) fn new(extra_ca: Option<&Path>) -> Result<Self, IoError> {
            let config = client_config(extra_ca).map_err(|error| given(extra_ca, &error))?;
            Ok(Self(TlsConnector::from(Arc::new(config))))
        }

        /// Performs the TLS handshake with a server, which must present a certificate for `host`.
        pub(crate) async fn connect(
            &self,
            host: &str,
            stream: TcpStream,
        ) -> Result<Connection, IoError> {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|error| failure(IoErrorKind::Tls, format_args!("{host}: {error}")))?;
            let stream = self.0.connect(name, stream).await;
            let stream = stream.map_err(|error| about(host, &error))?;
            Ok(Connection::Tls(Box::new(TlsStream::Client(stream))))
        }
    }

    /// A server's certificate and key.
    #[derive(Clone)]
    pub(crate) struct Server(TlsAcceptor);

    impl Server {
        pub(crate) fn new(
            files: Certificate,
            report: Option<CertificateReport>,
        ) -> Result<Self, IoError> {
            let served = Arc::new(Served::new(files, report)?);
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|error| failure(IoErrorKind::Tls, error))?
                .with_no_client_auth()
                .with_cert_resolver(served);
            Ok(Self(TlsAcceptor::from(Arc::new(config))))
        }

        pub(super) fn names(chain: &Path) -> Result<Vec<String>, IoError> {
            with_own(chain, |own| own.valid_dns_names().map(str::to_owned).collect())
        }

        pub(super) fn is_for(chain: &Path, address: IpAddr) -> Result<bool, IoError> {
            let name = ServerName::IpAddress(address.into());
            with_own(chain, |own| own.verify_is_valid_for_subject_name(&name).is_ok())
        }

        pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<Connection> {
            let stream = self.0.accept(stream).await?;
            Ok(Connection::Tls(Box::new(TlsStream::Server(stream))))
        }
    }

    /// What is wrong with the certificates that a client was given.
    fn given(path: Option<&Path>, error: &GivenError) -> IoError {
        let path = path.unwrap_or(Path::new("the certificates"));
        match error {
            GivenError::Unreadable(error) => about(path.display(), error),
            GivenError::Unusable(why) => unusable(path, why),
        }
    }
}

#[cfg(not(feature = "tls"))]
mod without {
    use std::net::IpAddr;
    use std::path::Path;

    use footbridge_core::contract::event::{IoError, IoErrorKind};
    use smol::net::TcpStream;

    use crate::certificate::{Certificate, CertificateReport};
    use crate::failure::failure;
    use crate::io::Connection;

    fn missing() -> IoError {
        failure(IoErrorKind::Tls, "this program was built without TLS (cargo feature `tls`)")
    }

    pub(crate) struct Client;

    impl Client {
        pub(crate) fn new(extra_ca: Option<&Path>) -> Result<Self, IoError> {
            extra_ca.map_or(Ok(Self), |_| Err(missing()))
        }

        pub(crate) async fn connect(&self, _: &str, _: TcpStream) -> Result<Connection, IoError> {
            Err(missing())
        }
    }

    #[derive(Clone)]
    pub(crate) enum Server {}

    impl Server {
        pub(crate) fn new(_: Certificate, _: Option<CertificateReport>) -> Result<Self, IoError> {
            Err(missing())
        }

        pub(super) fn names(_: &Path) -> Result<Vec<String>, IoError> {
            Err(missing())
        }

        pub(super) fn is_for(_: &Path, _: IpAddr) -> Result<bool, IoError> {
            Err(missing())
        }

        pub(crate) async fn accept(&self, _: TcpStream) -> std::io::Result<Connection> {
            match *self {}
        }
    }
}
