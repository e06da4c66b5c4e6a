//! What a service manager is told that asks for it by `NOTIFY_SOCKET` (sd_notify): that the program is
//! ready, what it does, that it stops, and now and then that it still runs.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// The variables by which a service manager speaks to this process, and to nothing that it starts: an
/// agent that said *ready* or *stopping* would say it for the worker.
pub const VARIABLES: [&str; 6] =
    [SOCKET, WATCHDOG, WATCHDOG_PID, "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"];

const SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG: &str = "WATCHDOG_USEC";
const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The service manager, if there is one that listens. What it is told never holds the program up, and
/// nothing depends on whether it arrives.
#[derive(Clone, Debug, Default)]
pub struct ServiceManager {
    socket: Option<Arc<Socket>>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Socket {
    from: UnixDatagram,
    to: SocketAddr,
}

impl ServiceManager {
    /// The one that started this program.
    pub fn from_environment() -> Self {
        Self::new(|name| env::var_os(name))
    }

    fn new(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(socket) = variable(SOCKET).as_deref().and_then(Socket::new) else {
            return Self::default();
        };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_for_us = match variable(WATCHDOG_PID) {
            Some(_) => number(WATCHDOG_PID) == Some(u64::from(std::process::id())),
            None => true,
        };
        let watchdog = number(WATCHDOG).filter(|usec| is_for_us && *usec > 0);
        let watchdog = watchdog.map(|usec| Duration::from_micros(usec) / 2);
        Self { socket: Some(Arc::new(socket)), watchdog }
    }

    /// How often it wants to be told that the program still runs: half of the time after which it would
    /// take it for dead.
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The program is ready, and does this.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The program does this.
    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", one_line(status)));
    }

    /// The program is not ready yet, for this reason, and needs this much longer.
    pub fn starting(&self, status: &str, longer: Duration) {
        let usec = longer.as_micros();
        self.tell(&format!("EXTEND_TIMEOUT_USEC={usec}\nSTATUS={}", one_line(status)));
    }

    /// The program ends.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=shutting down");
    }

    /// The program still runs.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, words: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.from.send_to_addr(words.as_bytes(), &socket.to);
        }
    }
}

impl Socket {
    /// `/run/…`, or `@…` for a name in the abstract namespace.
    fn new(name: &OsStr) -> Option<Self> {
        let to = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok()?,
            [b'/', ..] => SocketAddr::from_pathname(name).ok()?,
            _ => return None,
        };
        let from = UnixDatagram::unbound().ok()?;
        from.set_nonblocking(true).ok()?;
        Some(Self { from, to })
    }
}

/// A line break would begin another assignment.
fn one_line(words: &str) -> String {
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = socket.recv(&mut buffer).expect("a datagram");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn manager(socket: &str, watchdog: &[(&str, &str)]) -> ServiceManager {
        ServiceManager::new(|name| match name {
            SOCKET => Some(socket.into()),
            _ => watchdog.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
        })
    }

    #[test]
    fn a_service_manager_is_told_by_a_path_or_an_abstract_name() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("notify");
        let name = format!("footbridge-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        for (place, socket) in [
            (path.display().to_string(), UnixDatagram::bind(&path)),
            (format!("@{name}"), UnixDatagram::bind_addr(&address)),
        ] {
            let socket = socket.expect("bound");
            let manager = manager(&place, &[]);
            manager.ready("waits\nSTOPPING=1");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=waits STOPPING=1");
            manager.starting("the relay is away", Duration::from_secs(2));
            assert_eq!(heard(&socket), "EXTEND_TIMEOUT_USEC=2000000\nSTATUS=the relay is away");
            manager.alive();
            assert_eq!(heard(&socket), "WATCHDOG=1");
            manager.stopping();
            assert!(heard(&socket).starts_with("STOPPING=1\n"));
            assert_eq!(manager.watchdog(), None);
        }
    }

    #[test]
    fn a_watchdog_is_for_the_process_that_it_names() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("notify").display().to_string();
        let own = std::process::id().to_string();
        let half = Some(Duration::from_secs(1));
        for (variables, expected) in [
            (&[(WATCHDOG, "2000000")][..], half),
            (&[(WATCHDOG, "2000000"), (WATCHDOG_PID, &own)], half),
            (&[(WATCHDOG, "2000000"), (WATCHDOG_PID, "1")], None),
            (&[(WATCHDOG, "0")], None),
            (&[(WATCHDOG, "soon")], None),
        ] {
            assert_eq!(manager(&path, variables).watchdog(), expected, "{variables:?}");
        }
        // Nobody listens there; nothing waits or fails.
        manager(&path, &[]).ready("here");
        assert_eq!(manager("relative", &[(WATCHDOG, "2000000")]).watchdog(), None);
    }
}
