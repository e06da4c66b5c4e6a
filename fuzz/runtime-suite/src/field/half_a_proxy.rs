//! A proxy in front of the relay does half of what it should: it names the relay by another name,
//! or passes no WebSocket.

use std::sync::Arc;

use footbridge_core::worker::WorkerNotice;

use crate::Runtime;
use crate::scenarios::stage::proxy::HeadRewrite;
use crate::scenarios::stage::warp::Clock;
use crate::scenarios::stage::worker::{config, script};
use crate::scenarios::stage::{Proxy, Relay, Worker};

/// Lets all lines pass but those with one of these names.
fn without(names: &'static [&'static str]) -> HeadRewrite {
    Arc::new(move |line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        (!names.contains(&name.as_str())).then(|| line.to_owned())
    })
}

/// The relay has no public URL either: it knows itself by the address that it listens on.
pub fn a_proxy_that_names_the_relay_by_its_own_address_or_not_at_all_passes_sessions<R: Runtime>() {
    let relay = Relay::behind_proxy();
    let own = format!("host: {}", relay.address);
    let renamed: HeadRewrite = Arc::new(move |line| {
        let is_host = line.to_ascii_lowercase().starts_with("host:");
        Some(if is_host { own.clone() } else { line.to_owned() })
    });
    for rewrite in [renamed, without(&["host"])] {
        let home = tempfile::tempdir().expect("a directory");
        let proxy = Proxy::to(&relay.address);
        proxy.rewrite_requests(rewrite);
        let worker = Worker::start::<R>(config(&proxy.address, home.path(), script("exec cat")));
        let session = relay.session();
        session.running();
        session.say("through");
        session.echo("through");
        let trace = worker.trace();
        assert!(trace.contains(&format!("ws://{}", proxy.address)), "{trace}");
        assert!(!trace.contains(&format!("ws://{}", relay.address)), "{trace}");
        worker.shut_down();
    }
}

/// With clocks that run twenty times as fast: a minute takes 3 s.
pub fn a_proxy_that_passes_no_upgrade_is_named_and_the_session_fails_instead_of_waiting<
    R: Runtime,
>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let proxy = Proxy::to(&relay.address);
    proxy.rewrite_requests(without(&["upgrade", "connection"]));
    let config = config(&proxy.address, home.path(), script("exec cat"));
    let worker = Worker::on::<R>(config, Clock::fast(20));
    let session = relay.session();
    worker.tells("what does not get through", |notice| {
        matches!(notice, WorkerNotice::SessionDisconnected { reason, .. }
            if reason.contains("no WebSocket gets through") && reason.contains("Upgrade"))
    });
    let result = session.result();
    assert_eq!(result["status"], "failed", "{result}");
    assert!(result["message"].as_str().is_some_and(|m| m.contains("WebSocket")), "{result}");
    worker.shut_down();
}
