//! Hosts with several addresses, of which some swallow what is sent to them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::{Duration, Instant};

use footbridge_core::contract::event::IoErrorKind;

use crate::Runtime;
use crate::harness::{Driven, Hole};

/// The two addresses of `localhost`, as a network has them where IPv6 is set up and leads nowhere.
const BOTH: [&str; 2] = ["[::1]", "127.0.0.1"];

/// A port at which one of the addresses answers `hi` and the other one is a hole; `None` where
/// `localhost` has only one.
fn half_dead(dead: &str, alive: &str) -> Option<(u16, Hole)> {
    let listener = TcpListener::bind(format!("{alive}:0")).ok()?;
    let port = listener.local_addr().expect("bound").port();
    let dead: SocketAddr = format!("{dead}:{port}").parse().expect("an address");
    let hole = Hole::at(dead);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            // A client may have chosen another connection.
            if stream.read(&mut request).is_ok_and(|n| n > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
            }
        }
    });
    Some((port, hole))
}

fn has_both() -> bool {
    let addresses = ("localhost", 1).to_socket_addrs().expect("localhost");
    let is_v4: Vec<_> = addresses.map(|address| address.is_ipv4()).collect();
    is_v4.contains(&true) && is_v4.contains(&false)
}

pub fn an_address_that_swallows_everything_delays_a_connection_by_a_moment_only<R: Runtime>() {
    if !has_both() {
        return;
    }
    for [dead, alive] in [BOTH, [BOTH[1], BOTH[0]]] {
        let (port, _hole) = half_dead(dead, alive).expect("both");
        let mut driven = Driven::start::<R>();
        let began = Instant::now();
        let op = driven.get(&format!("http://localhost:{port}/"));
        assert_eq!(driven.response(op).body.as_ref(), b"hi");
        let took = began.elapsed();
        assert!(took < Duration::from_millis(1500), "{dead} is dead: {took:?}");
        driven.end();
    }
}

pub fn a_host_of_which_no_address_answers_fails_within_the_time_limit<R: Runtime>() {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let port = TcpListener::bind(any).expect("a port").local_addr().expect("bound").port();
    let _hole = Hole::at(SocketAddr::new(any.ip(), port));
    let mut driven = Driven::start::<R>();
    let began = Instant::now();
    let op = driven.get_within(&format!("http://127.0.0.1:{port}/"), Duration::from_secs(1));
    let failure = driven.failed(op);
    assert_eq!(failure.kind, IoErrorKind::TimedOut, "{failure}");
    assert!(began.elapsed() < Duration::from_secs(4));
    driven.end();
}
