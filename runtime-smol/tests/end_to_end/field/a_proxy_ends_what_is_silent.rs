//! A proxy between browser and relay that ends each connection on which nothing has come for three
//! seconds.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::STATE;
use crate::support::page::{Page, hook};
use crate::support::poll;
use crate::support::program::Program;

const LIMIT: Duration = Duration::from_secs(3);

/// When each WebSocket that is open was opened, and how many there were.
#[derive(Default)]
struct Sockets {
    open: Vec<(usize, Instant)>,
    count: usize,
}

fn proxy(relay: &str) -> (String, Arc<Mutex<Sockets>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address").to_string();
    let (relay, sockets) = (relay.to_owned(), Arc::new(Mutex::new(Sockets::default())));
    let shared = Arc::clone(&sockets);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(relay) = TcpStream::connect(&relay) else { continue };
            let sockets = Arc::clone(&shared);
            thread::spawn(move || pass(&client, &relay, &sockets));
        }
    });
    (address, sockets)
}

fn pass(client: &TcpStream, relay: &TcpStream, sockets: &Mutex<Sockets>) {
    let end = || {
        let _ = client.shutdown(Shutdown::Both);
        let _ = relay.shutdown(Shutdown::Both);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            copy(client, relay);
            end();
        });
        relay.set_read_timeout(Some(LIMIT)).expect("a limit");
        let number = copy_back(relay, client, sockets);
        end();
        if let Some(number) = number {
            sockets.lock().expect("no panic").open.retain(|(other, _)| *other != number);
        }
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}

/// The same, for what the relay sends. Returns the WebSocket's number, if it is one.
fn copy_back(
    mut relay: &TcpStream,
    mut client: &TcpStream,
    sockets: &Mutex<Sockets>,
) -> Option<usize> {
    let mut buffer = [0; 16 << 10];
    let mut number = None;
    while let Ok(count @ 1..) = relay.read(&mut buffer) {
        if number.is_none() && buffer[..count].starts_with(b"HTTP/1.1 101") {
            let mut sockets = sockets.lock().expect("no panic");
            sockets.count += 1;
            number = Some(sockets.count);
            let opened = (sockets.count, Instant::now());
            sockets.open.push(opened);
        }
        if client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    number
}

#[test]
fn the_page_stays_connected_through_a_proxy_that_ends_what_is_silent() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = Program::up(&directory, &[]);
    let (address, sockets) = proxy(program.listen());
    let mut page = Page::open(&program.page().replace(program.listen(), &address));
    page.click(&hook("new-session"));
    page.see(STATE);
    // The overview's and the session's.
    let settled = poll(|| {
        let sockets = sockets.lock().expect("no panic");
        let of_age = |since: Instant| since.elapsed() > 3 * LIMIT;
        let settled = sockets.open.iter().filter(|(_, since)| of_age(*since)).count();
        (settled >= 2).then_some(sockets.count)
    });
    let count = settled.expect("two connections that outlive the proxy's patience");
    assert!(count <= 8, "two to learn it, for each: there were {count}");
    page.assert_no_complaints();
}
