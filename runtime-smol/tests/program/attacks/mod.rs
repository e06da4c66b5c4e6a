//! Attacks on a relay, in small: what a stranger can do from outside. `SECURITY.md` says what each
//! may cost.

mod connections;
mod credentials;
mod pages;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Ready, ready};
use crate::running::{PATIENCE, Running, footbridge};

/// A relay with nothing on disk, and a person who uses it.
struct Target {
    program: Running,
    relay: Ready,
    address: SocketAddr,
}

impl Target {
    fn start(home: &Path) -> Self {
        let args = ["up", "--listen", ":0", "--json", "--in-memory", "--name", "test"];
        let mut program = Running::start(footbridge(home).args(args));
        let relay = ready(&mut program);
        let address = relay.url.trim_start_matches("http://").parse().expect("an address");
        Self { program, relay, address }
    }

    /// A stranger's connection, which has sent this.
    fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        // What is refused may be closed before all of it was sent.
        let _ = stream.write_all(text.as_bytes());
        stream
    }

    /// The answer to this, up to the end of its connection.
    fn answer(&self, text: &str) -> String {
        let mut answer = Vec::new();
        let _ = self.send(text).read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn host(&self) -> String {
        format!("host: {}\r\n", self.address)
    }

    /// A session runs, and does what it is told.
    fn works(&self) {
        let session = self.relay.new_session();
        self.relay.send(&session, "echo it works");
        self.relay.allow(&session);
        self.relay.event(&session, |message| message["type"] == "result");
        let (status, stopped) =
            self.relay.call("POST", &format!("/v1/sessions/{session}/stop"), &json!({}));
        assert_eq!(status, 200, "{stopped}");
    }

    /// The most memory that it has ever held, in bytes.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.program.pid()));
        let status = status.expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes << 10
    }
}

/// Whether the other side has ended a connection.
fn is_over(stream: &mut TcpStream) -> bool {
    let mut some = [0; 4096];
    stream.set_nonblocking(true).expect("set");
    let read = stream.read(&mut some);
    stream.set_nonblocking(false).expect("set");
    match read {
        Ok(bytes) => bytes == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// A connection from another address of this machine.
fn from(last: u8, to: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last), 0)).expect("an address");
    connect(&socket, &to).expect("it listens");
    TcpStream::from(socket)
}

/// A JSON body that is no more than that.
const EMPTY: Value = Value::Null;
