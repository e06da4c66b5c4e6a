//! What somebody does who wants a relay to serve nobody else. Each goes on until its process is killed.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use tungstenite::Message;

use crate::running::{Result, subscribe};

/// Another machine than the one whose worker and viewer are measured.
const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);
/// Of a body that the relay would take, all but one byte.
const BODY: usize = (8 << 20) - 1;
/// The largest control frame.
const PING: usize = 125;
/// How soon somebody comes back who was turned away.
const AGAIN: Duration = Duration::from_millis(250);

/// One kind of attack.
#[derive(Debug)]
pub struct Attack {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
    /// How many do it at once.
    pub clients: usize,
    /// What one client does until it is turned away.
    act: fn(&Target) -> Result<()>,
}

/// At whom it is aimed.
#[derive(Clone, Debug)]
pub struct Target {
    /// The relay's address and port.
    pub listen: String,
    /// A session of the person's to whom the attacker has the credential, where it takes one.
    pub session: String,
}

/// All of them.
pub const ALL: [Attack; 8] = [
    Attack {
        name: "half-bodies",
        what: "64 requests without a credential whose bodies never come",
        clients: 64,
        act: half_body,
    },
    Attack {
        name: "unread-pages",
        what: "1,000 connections that ask for a file again and again and read nothing",
        clients: 1000,
        act: unread_pages,
    },
    Attack {
        name: "large-bodies",
        what: "64 bodies of 8 MB without a credential",
        clients: 64,
        act: large_body,
    },
    Attack {
        name: "guesses",
        what: "8 connections that guess the token",
        clients: 8,
        act: guesses,
    },
    Attack {
        name: "connections",
        what: "8 that connect and hang up as fast as they can",
        clients: 8,
        act: connection,
    },
    Attack {
        name: "pings",
        what: "4 viewers that send pings and read nothing",
        clients: 4,
        act: pings,
    },
    Attack {
        name: "unread-log",
        what: "64 viewers of two lines of 6 MB who read nothing",
        clients: 64,
        act: unread_log,
    },
    Attack {
        name: "half-messages",
        what: "64 viewers that each send half of a message of 8 MB",
        clients: 64,
        act: half_message,
    },
];

impl Attack {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|attack| attack.name == name)
    }

    /// Attacks until the process is killed.
    pub fn go_on(&'static self, target: &Target) -> ! {
        for _ in 1..self.clients {
            let target = target.clone();
            let small = thread::Builder::new().stack_size(128 << 10);
            let _ = small.spawn(move || self.repeat(&target));
        }
        self.repeat(target)
    }

    fn repeat(&self, target: &Target) -> ! {
        loop {
            // Being turned away is what it is about.
            let _ = (self.act)(target);
            thread::sleep(AGAIN);
        }
    }
}

fn dial(target: &Target) -> Result<TcpStream> {
    let to: SocketAddr = target.listen.parse()?;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &FROM)?;
    connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

fn head(target: &Target, line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: {}\r\n{more}\r\n", target.listen)
}

/// Waits until the relay hangs up.
fn hold(mut stream: TcpStream) -> Result<()> {
    let mut answer = [0; 4096];
    while stream.read(&mut answer)? > 0 {}
    Ok(())
}

fn half_body(target: &Target) -> Result<()> {
    let mut stream = dial(target)?;
    let request = head(target, "POST /health", "content-length: 1000\r\n");
    stream.write_all(request.as_bytes())?;
    hold(stream)
}

fn unread_pages(target: &Target) -> Result<()> {
    let mut stream = dial(target)?;
    let request = head(target, "GET /app.css", "");
    loop {
        stream.write_all(request.as_bytes())?;
    }
}

fn large_body(target: &Target) -> Result<()> {
    let mut stream = dial(target)?;
    let length = format!("content-length: {}\r\ncontent-type: application/json\r\n", BODY + 1);
    stream.write_all(head(target, "POST /v1/sessions", &length).as_bytes())?;
    stream.write_all(&vec![b' '; BODY])?;
    hold(stream)
}

fn guesses(target: &Target) -> Result<()> {
    let mut stream = dial(target)?;
    let mut answer = [0; 4096];
    for guess in 0_u64.. {
        let shown = format!("authorization: Bearer guess-{guess:016x}\r\n");
        stream.write_all(head(target, "GET /v1/sessions", &shown).as_bytes())?;
        if stream.read(&mut answer)? == 0 {
            break;
        }
    }
    Ok(())
}

fn connection(target: &Target) -> Result<()> {
    loop {
        drop(dial(target)?);
    }
}

fn pings(target: &Target) -> Result<()> {
    let mut viewer = subscribe(&target.listen, &target.session)?;
    loop {
        viewer.send(Message::Ping(vec![0; PING].into()))?;
    }
}

fn unread_log(target: &Target) -> Result<()> {
    let viewer = subscribe(&target.listen, &target.session)?;
    let mut first = [0];
    loop {
        if viewer.get_ref().peek(&mut first)? == 0 {
            return Ok(());
        }
        // What has come stays unread, so only an error tells that the relay hung up.
        thread::sleep(Duration::from_millis(100));
        if viewer.get_ref().take_error()?.is_some() {
            return Ok(());
        }
    }
}

fn half_message(target: &Target) -> Result<()> {
    let mut viewer = subscribe(&target.listen, &target.session)?;
    // A masked text frame whose length is BODY, and half of it.
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend_from_slice(&(BODY as u64).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.resize(frame.len() + BODY / 2, b' ');
    viewer.get_mut().write_all(&frame)?;
    hold(viewer.get_ref().try_clone()?)
}
