//! Listeners on local sockets.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::clients::ListenLimits;
use footbridge_core::contract::event::Event;

use super::server::accept;
use crate::Runtime;
use crate::harness::{Driven, answer};

fn listen(driven: &mut Driven, path: &Path) -> OpId {
    let (address, limits) = (format!("unix:{}", path.display()), ListenLimits::default());
    driven.begin(|op| Action::Listen { op, address, limits })
}

pub fn a_listener_on_a_local_socket_is_its_owners_alone_and_goes_with_its_machine<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = directory.path().join("peers/s");
    let listener = listen(&mut driven, &path);
    assert!(matches!(driven.next(), Event::Listening { op, .. } if op == listener));
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a directory"))), (0o600, 0o700));
    let op = accept(&mut driven, listener);
    let mut client = UnixStream::connect(&path).expect("connected");
    let request = b"GET /x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    client.write_all(request).expect("written");
    assert_eq!(driven.asked(op).target, "/x");
    driven.act(Action::Reply { op, response: answer(200, "hello") });
    let mut text = String::new();
    client.read_to_string(&mut text).expect("text");
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("hello"), "{text}");
    driven.end();
    assert!(!path.exists());
}

pub fn a_socket_that_was_left_behind_is_replaced_and_one_in_use_or_no_socket_is_not<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let path = |name: &str| directory.path().join(name);
    drop(UnixListener::bind(path("left")).expect("a socket"));
    let op = listen(&mut driven, &path("left"));
    assert!(matches!(driven.next(), Event::Listening { op: of, .. } if of == op));
    let used = UnixListener::bind(path("used")).expect("a socket");
    let op = listen(&mut driven, &path("used"));
    driven.failed(op);
    std::fs::write(path("file"), "mine").expect("written");
    let op = listen(&mut driven, &path("file"));
    driven.failed(op);
    assert_eq!(std::fs::read_to_string(path("file")).expect("there"), "mine");
    drop(used);
    driven.end();
}
