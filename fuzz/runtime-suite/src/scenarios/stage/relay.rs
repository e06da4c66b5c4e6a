//! The real relay, on a thread, which can be killed and restarted.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use footbridge_core::base::secret::Secret;
use footbridge_core::relay::{AccessToken, Relay as Machine, RelayConfig, RelayKeys, RelayNotice};
use footbridge_core::store::{MemoryStore, Store};
use footbridge_smol::{Host, HostOptions, block_on, drive};
use smol::future::FutureExt;

use super::api::{Api, Session, TOKEN};
use super::{PATIENCE, until};

/// What a relay is started with.
#[derive(Clone, Copy)]
struct Spec {
    lease: Duration,
    ack: Duration,
    is_behind_proxy: bool,
    /// Whether it asks workers for version 2.
    use_code_sessions: bool,
    /// How long what a worker shows in version 2 is valid, if not as long as usual.
    worker_token_life: Option<Duration>,
}

impl Default for Spec {
    fn default() -> Self {
        // Work that was handed out but not acknowledged does not return by itself during a test.
        let (lease, ack) = (Duration::from_secs(60), Duration::from_secs(600));
        Self {
            lease,
            ack,
            is_behind_proxy: false,
            use_code_sessions: false,
            worker_token_life: None,
        }
    }
}

/// A listening relay.
pub(crate) struct Relay {
    pub(crate) address: String,
    pub(crate) api: Api,
    spec: Spec,
    killed: Option<(async_channel::Sender<()>, JoinHandle<()>)>,
}

impl Relay {
    pub(crate) fn start() -> Self {
        Self::of(Spec::default())
    }

    /// One that is told that all of its clients come through a proxy.
    pub(crate) fn behind_proxy() -> Self {
        Self::of(Spec { is_behind_proxy: true, ..Spec::default() })
    }

    /// One that asks its workers for version 2.
    pub(crate) fn with_code_sessions() -> Self {
        Self::of(Spec { use_code_sessions: true, ..Spec::default() })
    }

    /// One whose workers' credentials last this long, in version 2.
    pub(crate) fn with_worker_tokens(life: Duration) -> Self {
        Self::of(Spec { worker_token_life: Some(life), ..Spec::default() })
    }

    /// One whose leases last this long; whole seconds.
    pub(crate) fn with_lease(lease: Duration) -> Self {
        Self::of(Spec { lease, ..Spec::default() })
    }

    /// One whose leases last this long, and must have been acknowledged within this time, which is
    /// not longer.
    pub(crate) fn with_times(lease: Duration, ack: Duration) -> Self {
        Self::of(Spec { lease, ack, ..Spec::default() })
    }

    fn of(spec: Spec) -> Self {
        let (address, killed) = serve(&own_address(), spec);
        let api = Api::new(format!("http://{address}"));
        Self { address, api, spec, killed: Some(killed) }
    }

    pub(crate) fn session(&self) -> Session<'_> {
        self.api.session()
    }

    /// Ends it as a power cut would: nobody is notified, nothing is kept.
    pub(crate) fn kill(&mut self) {
        if let Some((killed, thread)) = self.killed.take() {
            drop(killed);
            thread.join().expect("no panic in the relay");
        }
    }

    /// A new one in its place, which knows nothing of the past.
    pub(crate) fn restart(&mut self) {
        self.kill();
        // A process that is just being started may hold the socket of the one before, until it
        // becomes another program.
        until("the port is free", || TcpListener::bind(&self.address).ok());
        let (_, killed) = serve(&self.address, self.spec);
        self.killed = Some(killed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.kill();
        }
    }
}

/// A loopback address that no other relay has. On 127.0.0.1, a port that is free for a moment while
/// a relay restarts may be taken by any connection.
fn own_address() -> String {
    static TAKEN: AtomicU8 = AtomicU8::new(1);
    let (id, nth) = (std::process::id(), TAKEN.fetch_add(1, Ordering::Relaxed));
    format!("127.{}.{}.{nth}:0", 1 + id % 254, id / 254 % 256)
}

fn serve(listen: &str, spec: Spec) -> (String, (async_channel::Sender<()>, JoinHandle<()>)) {
    static STARTED: AtomicU8 = AtomicU8::new(1);
    let started = STARTED.fetch_add(1, Ordering::Relaxed);
    let mut config = RelayConfig::new(listen.to_owned());
    config.access_tokens =
        vec![AccessToken { person: "owner".to_owned(), token: Secret::from(TOKEN) }];
    config.policy.lease_time = spec.lease;
    config.policy.ack_time = spec.ack;
    config.is_behind_proxy = spec.is_behind_proxy;
    config.use_code_sessions = spec.use_code_sessions;
    config.worker_token_life = spec.worker_token_life.unwrap_or(config.worker_token_life);
    let keys = RelayKeys::new([started; 32], [!started; 32]);
    let relay = Machine::new(config, &keys).expect("a good configuration");
    let (killed, kill) = async_channel::bounded::<()>(1);
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let store: Option<Box<dyn Store>> = Some(Box::new(MemoryStore::new()));
        let host = Host::new(HostOptions { store, ..HostOptions::default() }).expect("a host");
        let (_commands, asked) = async_channel::unbounded();
        let relay = drive(relay, host, asked, |notice| {
            if let RelayNotice::Listening { address } = notice {
                let _ = tell.send(address);
            }
        });
        let relay = async { relay.await.expect("the relay keeps running") };
        // Dropping the sender is the signal.
        block_on(relay.or(async { while kill.recv().await.is_ok() {} }));
    });
    let address = told.recv_timeout(PATIENCE).expect("it listens");
    (address, (killed, thread))
}
