//! What a program provides for its machine's operations.

use std::fmt;
use std::path::PathBuf;

use async_channel::Receiver;
use footbridge_core::contract::event::IoError;
use footbridge_core::engine::proxies::{Proxies, ProxySource};
use footbridge_core::store::{Changes, Store};
use footbridge_supervision::Supervision;

use crate::certificate::{Certificate, CertificateReport};
use crate::tls;

/// The options of whoever runs the program.
#[derive(Default)]
pub struct HostOptions {
    /// A PEM file of certificate authorities to trust in addition to the well-known ones.
    pub extra_ca: Option<PathBuf>,
    /// The certificate that listeners present; without one, they speak plain HTTP.
    pub certificate: Option<Certificate>,
    /// Who is told what becomes of it.
    pub on_certificate: Option<CertificateReport>,
    /// Whether requests and streams go through an HTTP proxy.
    pub proxy: ProxySource,
    /// How thoroughly processes are supervised.
    pub supervision: Supervision,
    /// The store for store operations; without one they fail. It runs on a thread of its own,
    /// unless it says that it never waits.
    pub store: Option<Box<dyn Store>>,
    /// Changes that others make to that store, if others use it.
    pub store_changes: Option<Receiver<Changes>>,
}

/// What operations need: trust, identity, store.
pub struct Host {
    pub(crate) client_tls: tls::Client,
    pub(crate) server_tls: Option<tls::Server>,
    pub(crate) proxies: Proxies,
    pub(crate) supervision: Supervision,
    pub(crate) store: Option<Box<dyn Store>>,
    pub(crate) store_changes: Option<Receiver<Changes>>,
}

impl Host {
    /// Reads the files named by the options. The failure says which one is at fault.
    pub fn new(options: HostOptions) -> Result<Self, IoError> {
        Ok(Self {
            client_tls: tls::Client::new(options.extra_ca.as_deref())?,
            server_tls: options
                .certificate
                .map(|files| tls::Server::new(files, options.on_certificate))
                .transpose()?,
            proxies: Proxies::from_source(&options.proxy, |name| std::env::var(name).ok()),
            supervision: options.supervision,
            store: options.store,
            store_changes: options.store_changes,
        })
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("is_tls", &self.server_tls.is_some()).finish_non_exhaustive()
    }
}
