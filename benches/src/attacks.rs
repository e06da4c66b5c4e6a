//! What somebody does who wants a relay to serve nobody else. Each goes on until its process is killed.
//!
//! All clients of an attack share one thread. A thousand threads would take the processor from whoever
//! is measured by their number alone, and it would look as if the relay had been slow.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor, Timer};

use crate::running::{Result, subscribe};

/// Another machine than the one whose worker and viewer are measured.
const FROM: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0);
/// Of a body that the relay would take, all but one byte.
const BODY: usize = (8 << 20) - 1;
/// The largest control frame.
const PING: u8 = 125;
/// What is written at once by who asks again and again, in bytes.
const ASKED_AT_ONCE: usize = 64 << 10;
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
    act: Act,
}

/// What one client does until it is turned away.
#[derive(Clone, Copy, Debug)]
enum Act {
    HalfBody,
    UnreadPages,
    LargeBody,
    Guesses,
    Connection,
    Pings,
    UnreadLog,
    HalfMessage,
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
        act: Act::HalfBody,
    },
    Attack {
        name: "unread-pages",
        what: "1,000 connections that ask for a file again and again and read nothing",
        clients: 1000,
        act: Act::UnreadPages,
    },
    Attack {
        name: "large-bodies",
        what: "64 bodies of 8 MB without a credential",
        clients: 64,
        act: Act::LargeBody,
    },
    Attack {
        name: "guesses",
        what: "8 connections that guess the token",
        clients: 8,
        act: Act::Guesses,
    },
    Attack {
        name: "connections",
        what: "8 that connect and hang up as fast as they can",
        clients: 8,
        act: Act::Connection,
    },
    Attack {
        name: "pings",
        what: "4 viewers that send pings and read nothing",
        clients: 4,
        act: Act::Pings,
    },
    Attack {
        name: "unread-log",
        what: "64 viewers of two lines of 6 MB who read nothing",
        clients: 64,
        act: Act::UnreadLog,
    },
    Attack {
        name: "half-messages",
        what: "64 viewers that each send half of a message of 8 MB",
        clients: 64,
        act: Act::HalfMessage,
    },
];

impl Attack {
    /// The one of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|attack| attack.name == name)
    }

    /// Attacks until the process is killed.
    pub fn go_on(&self, target: Target) -> ! {
        let (target, act) = (Rc::new(target), self.act);
        let clients = LocalExecutor::new();
        for _ in 0..self.clients {
            let target = Rc::clone(&target);
            clients.spawn(async move { act.repeat(&target).await }).detach();
        }
        smol::block_on(clients.run(std::future::pending()))
    }
}

impl Act {
    async fn repeat(self, target: &Target) {
        loop {
            // Being turned away is what it is about.
            let _ = self.once(target).await;
            Timer::after(AGAIN).await;
        }
    }

    async fn once(self, target: &Target) -> Result<()> {
        match self {
            Self::HalfBody => half_body(target).await,
            Self::UnreadPages => unread_pages(target).await,
            Self::LargeBody => large_body(target).await,
            Self::Guesses => guesses(target).await,
            Self::Connection => connection(target).await,
            Self::Pings => pings(target).await,
            Self::UnreadLog => unread_log(target).await,
            Self::HalfMessage => half_message(target).await,
        }
    }
}

async fn dial(target: &Target) -> Result<Async<TcpStream>> {
    let to: SocketAddr = target.listen.parse()?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&socket, &FROM)?;
    match connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = Async::new(TcpStream::from(socket))?;
    stream.writable().await?;
    if let Some(error) = stream.get_ref().take_error()? {
        return Err(error.into());
    }
    Ok(stream)
}

/// A viewer of the session that the attacker may see.
fn viewer(target: &Target) -> Result<Async<TcpStream>> {
    let viewer = subscribe(&target.listen, &target.session)?;
    Ok(Async::new(viewer.get_ref().try_clone()?)?)
}

fn head(target: &Target, line: &str, more: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: {}\r\n{more}\r\n", target.listen)
}

/// Waits until the relay hangs up.
async fn hold(mut stream: Async<TcpStream>) -> Result<()> {
    let mut answer = [0; 4096];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

async fn half_body(target: &Target) -> Result<()> {
    let mut stream = dial(target).await?;
    let request = head(target, "POST /health", "content-length: 1000\r\n");
    stream.write_all(request.as_bytes()).await?;
    hold(stream).await
}

async fn unread_pages(target: &Target) -> Result<()> {
    let mut stream = dial(target).await?;
    let request = head(target, "GET /app.css", "");
    let requests = request.repeat(ASKED_AT_ONCE / request.len());
    loop {
        stream.write_all(requests.as_bytes()).await?;
    }
}

async fn large_body(target: &Target) -> Result<()> {
    let mut stream = dial(target).await?;
    let length = format!("content-length: {}\r\ncontent-type: application/json\r\n", BODY + 1);
    stream.write_all(head(target, "POST /v1/sessions", &length).as_bytes()).await?;
    stream.write_all(&vec![b' '; BODY]).await?;
    hold(stream).await
}

async fn guesses(target: &Target) -> Result<()> {
    let mut stream = dial(target).await?;
    let mut answer = [0; 4096];
    for guess in 0_u64.. {
        let shown = format!("authorization: Bearer guess-{guess:016x}\r\n");
        stream.write_all(head(target, "GET /v1/sessions", &shown).as_bytes()).await?;
        if stream.read(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(())
}

async fn connection(target: &Target) -> Result<()> {
    loop {
        drop(dial(target).await?);
    }
}

async fn pings(target: &Target) -> Result<()> {
    let mut viewer = viewer(target)?;
    // Masked by zeros.
    let mut frame = vec![0x89, 0x80 | PING, 0, 0, 0, 0];
    frame.resize(frame.len() + usize::from(PING), 0);
    let frames = frame.repeat(ASKED_AT_ONCE / frame.len());
    loop {
        viewer.write_all(&frames).await?;
    }
}

async fn unread_log(target: &Target) -> Result<()> {
    let viewer = viewer(target)?;
    // What has come stays unread, so only an error tells that the relay hung up.
    while viewer.get_ref().take_error()?.is_none() {
        Timer::after(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn half_message(target: &Target) -> Result<()> {
    let mut viewer = viewer(target)?;
    // A masked text frame whose length is BODY, and half of it.
    let mut frame = vec![0x81, 0x80 | 127];
    frame.extend_from_slice(&(BODY as u64).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.resize(frame.len() + BODY / 2, b' ');
    viewer.write_all(&frame).await?;
    hold(viewer).await
}
