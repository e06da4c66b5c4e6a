//! Local sockets, as byte streams.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Message, Target};
use footbridge_core::contract::event::{Event, IoErrorKind};

use crate::Runtime;
use crate::harness::Driven;

fn open(driven: &mut Driven, path: &Path) -> OpId {
    let path = path.to_str().expect("text").to_owned();
    let target = Target::Local { path, timeout: Duration::from_secs(5) };
    driven.begin(|op| Action::Open { op, target })
}

/// A stream to a peer that is this test.
fn connected(driven: &mut Driven, directory: &Path) -> (OpId, UnixStream) {
    let listener = UnixListener::bind(directory.join("s")).expect("a socket");
    let op = open(driven, &directory.join("s"));
    let (peer, _) = listener.accept().expect("a connection");
    driven.opened(op);
    (op, peer)
}

/// What arrives, until the end of it.
fn all(driven: &Driven) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match driven.next() {
            Event::Received { message: Message::Binary(data), .. } if data.is_empty() => {
                return bytes;
            }
            Event::Received { message: Message::Binary(data), .. } => {
                bytes.extend_from_slice(&data);
            }
            Event::Sent { .. } => {}
            other => panic!("unexpected: {other:?}"),
        }
    }
}

pub fn a_local_socket_is_a_byte_stream_in_both_directions<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let (op, mut peer) = connected(&mut driven, directory.path());
    let long = Bytes::from(vec![b'x'; 300_000]);
    driven.act(Action::Send { op, message: Message::Binary(long.clone()) });
    let mut read = vec![0; long.len()];
    peer.read_exact(&mut read).expect("all of it");
    assert!(read == long);
    peer.write_all(&read).expect("written");
    peer.shutdown(std::net::Shutdown::Write).expect("shut down");
    assert!(all(&driven) == long);
    // The other direction stays open.
    driven.act(Action::Send { op, message: Message::Binary(Bytes::from_static(b"more")) });
    driven.act(Action::Close { op, code: 0 });
    let mut rest = String::new();
    peer.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "more");
    while !matches!(driven.next(), Event::Closed { failure: None, .. }) {}
    driven.end();
}

pub fn what_came_before_the_other_side_went_away_is_read<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let (op, mut peer) = connected(&mut driven, directory.path());
    driven.act(Action::Pause { op });
    peer.write_all(b"the answer").expect("written");
    drop(peer);
    driven.act(Action::Resume { op });
    assert_eq!(all(&driven), b"the answer");
    driven.act(Action::Cancel { op });
    driven.end();
}

pub fn what_came_before_a_message_could_not_be_sent_is_read<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let (op, mut peer) = connected(&mut driven, directory.path());
    driven.act(Action::Pause { op });
    peer.write_all(b"the answer").expect("written");
    drop(peer);
    driven.act(Action::Send { op, message: Message::Binary(Bytes::from_static(b"too late")) });
    driven.act(Action::Resume { op });
    assert_eq!(all(&driven), b"the answer");
    driven.act(Action::Cancel { op });
    driven.end();
}

pub fn a_local_socket_that_is_not_there_or_not_listened_to_fails<R: Runtime>() {
    let (mut driven, directory) = (Driven::start::<R>(), tempfile::tempdir().expect("a directory"));
    let op = open(&mut driven, &directory.path().join("none"));
    driven.fails_with(op, IoErrorKind::NotFound);
    drop(UnixListener::bind(directory.path().join("left")).expect("a socket"));
    let op = open(&mut driven, &directory.path().join("left"));
    driven.fails_with(op, IoErrorKind::Refused);
    let op = open(&mut driven, &directory.path().join("x".repeat(200)));
    driven.failed(op);
    driven.end();
}
