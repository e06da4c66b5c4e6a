//! What a driver needs from the computer that the program runs on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use footbridge_core::contract::machine::{MachineError, MachineErrorKind};
use footbridge_core::engine::proxies::{Proxies, ProxySource};
use footbridge_supervision::Supervision;

use crate::http::{Http, Way};
use crate::server::{self, Listen};
use crate::socket::Sockets;
use crate::threads::Threads;
use crate::tls::Tls;

/// The options of a [`Host`]; the default suits most.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// A PEM file of certificates to trust in addition to the well-known authorities.
    pub extra_ca: Option<PathBuf>,
    /// Whether requests and streams go through an HTTP proxy.
    pub proxy: ProxySource,
    /// How thoroughly processes are supervised.
    pub supervision: Supervision,
}

/// What a driver needs from the computer that the program runs on.
pub struct Host {
    pub(crate) threads: Threads,
    pub(crate) http: Http,
    pub(crate) sockets: Sockets,
    pub(crate) supervision: Supervision,
    pub(crate) listen: Option<Listen>,
}

impl Host {
    /// Reads the files named by the options. Fails with [`MachineErrorKind::Local`].
    pub fn new(options: HostOptions) -> Result<Self, MachineError> {
        let HostOptions { extra_ca, proxy, supervision } = options;
        let local = |message: String| MachineError { kind: MachineErrorKind::Local, message };
        let tls = Tls::new(extra_ca.as_deref()).map_err(local)?;
        let proxies = Arc::new(Proxies::from_source(&proxy, |name| std::env::var(name).ok()));
        let way = Way { tls, proxies };
        let (http, sockets) = (Http::new(way.clone()), Sockets::new(way));
        let threads = Threads::new().map_err(|error| local(format!("no eventfd: {error}")))?;
        Ok(Self { threads, http, sockets, supervision, listen: None })
    }

    /// It can also serve clients, as [`direct::Serve`](footbridge_core::direct::Serve) does: HTTP
    /// requests and WebSockets, without TLS, streamed answers or a store.
    #[must_use]
    pub fn with_server(self) -> Self {
        Self { listen: Some(server::listen), ..self }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}
