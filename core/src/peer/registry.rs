//! Which sessions there are on this machine: what processes have written down about
//! themselves, as long as they run.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::address::{Address, Scheme};
use crate::base::id::SessionId;

/// One process, and its sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its process id.
    pub pid: u32,
    /// When it started, as the system counts: another process that is given the same id has another.
    pub start: u64,
    /// Its sessions.
    #[serde(default)]
    pub sessions: Vec<Entry>,
}

/// One session of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub session_id: SessionId,
    /// Its id at a relay, if it has one.
    #[serde(default)]
    pub bridge_session_id: Option<SessionId>,
    /// Where it takes messages on this machine.
    #[serde(default)]
    pub socket: Option<String>,
    /// Whether it can be delivered from (B-2).
    #[serde(default)]
    pub can_send: bool,
    /// What it is called.
    #[serde(default)]
    pub name: String,
    /// `running`, or `waiting` for a person.
    #[serde(default)]
    pub status: String,
    /// What it waits for.
    #[serde(default)]
    pub waiting_for: Option<String>,
    /// Whether its worker takes no more sessions (W-9).
    #[serde(default)]
    pub worker_draining: bool,
    /// Where it works.
    #[serde(default)]
    pub directory: String,
}

impl Entry {
    /// Its own address, which an answer can be sent to: `None` while it has none.
    pub fn address(&self) -> Option<Address> {
        if let Some(socket) = &self.socket {
            return Some(Address { scheme: Scheme::Local, target: socket.clone() });
        }
        self.bridge_address()
    }

    /// So many questions of its agent wait for a person.
    pub fn waits(&mut self, questions: usize) {
        let is_waiting = questions > 0;
        self.status = if is_waiting { "waiting" } else { "running" }.to_owned();
        self.waiting_for = is_waiting.then(|| "permission".to_owned());
    }

    /// Its address at a relay, which an answer can be sent to from any machine.
    pub fn bridge_address(&self) -> Option<Address> {
        let bridge = self.bridge_session_id.as_ref()?;
        Some(Address { scheme: Scheme::Bridge, target: bridge.as_str().to_owned() })
    }
}

impl Record {
    /// Reads a file's content; `None` if it is no record.
    pub fn parse(file: &[u8]) -> Option<Self> {
        serde_json::from_slice(file).ok()
    }

    /// Whether the process that wrote it still runs. `start` is when the process that has its id now
    /// was started, if there is one.
    pub fn is_live(&self, start: Option<u64>) -> bool {
        start == Some(self.start)
    }

    /// When a process was started, from its `/proc/PID/stat`.
    pub fn start_in(stat: &[u8]) -> Option<u64> {
        field_in(stat, 19)?.parse().ok()
    }

    /// Which process has started it, or taken it over, from the same.
    pub fn parent_in(stat: &[u8]) -> Option<u32> {
        field_in(stat, 1)?.parse().ok()
    }
}

/// A field of a `/proc/PID/stat`, counted from the one after the name.
fn field_in(stat: &[u8], at: usize) -> Option<String> {
    // Its name may contain anything, brackets too.
    let text = String::from_utf8_lossy(stat);
    let (_, fields) = text.rsplit_once(") ")?;
    fields.split(' ').nth(at).map(|field| field.trim().to_owned())
}

/// What a process that was not told its session has come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descent<'r, F> {
    /// From no host of sessions.
    NoSession,
    /// From the only session of a host, whose record is in that file.
    Session(&'r F, &'r Entry),
    /// From one of several sessions of this host's process.
    OneOfSeveral(u32),
}

/// What the host of a session has started is no person. `ancestors` are the processes that it
/// descends from, the nearest first.
pub fn descent<'r, F>(records: &'r [(F, Record)], ancestors: &[u32]) -> Descent<'r, F> {
    for ancestor in ancestors {
        for (file, record) in records.iter().filter(|(_, record)| record.pid == *ancestor) {
            match &record.sessions[..] {
                [] => {}
                [entry] => return Descent::Session(file, entry),
                _ => return Descent::OneOfSeveral(record.pid),
            }
        }
    }
    Descent::NoSession
}

/// A session as others see it, however many addresses it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// The process that has it.
    pub pid: u32,
    /// What is known about it.
    #[serde(flatten)]
    pub entry: Entry,
    /// Its addresses, the nearest first.
    pub addresses: Vec<String>,
}

/// The sessions of these processes. One that is known under two addresses is one.
pub fn peers(records: impl IntoIterator<Item = Record>) -> Vec<Peer> {
    let mut peers: Vec<Peer> = Vec::new();
    for Record { pid, sessions, .. } in records {
        for entry in sessions {
            match peers.iter_mut().find(|peer| is_same(&peer.entry, &entry)) {
                Some(peer) => merge(peer, pid, entry),
                None => peers.push(Peer { pid, entry, addresses: Vec::new() }),
            }
        }
    }
    for peer in &mut peers {
        let local = peer.entry.socket.iter().map(|path| format!("uds:{path}"));
        let bridge = peer.entry.bridge_session_id.iter().map(|id| format!("bridge:{id}"));
        peer.addresses = local.chain(bridge).collect();
    }
    peers.sort_by(|a, b| (a.pid, &a.entry.session_id).cmp(&(b.pid, &b.entry.session_id)));
    peers
}

/// Whether both are the same session, by either id (I-1).
fn is_same(one: &Entry, other: &Entry) -> bool {
    let ids = |entry: &Entry| {
        let bridge = entry.bridge_session_id.clone();
        [Some(entry.session_id.clone()), bridge].into_iter().flatten().collect::<Vec<_>>()
    };
    let others = ids(other);
    ids(one).iter().any(|id| others.iter().any(|other| id.is_same_session(other)))
}

/// Who has the socket knows it best.
fn merge(peer: &mut Peer, pid: u32, other: Entry) {
    let bridge = peer.entry.bridge_session_id.take().or_else(|| other.bridge_session_id.clone());
    if peer.entry.socket.is_none() && other.socket.is_some() {
        (peer.pid, peer.entry) = (pid, other);
    }
    peer.entry.bridge_session_id = bridge;
}

/// How a message gets to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a socket of this machine.
    Socket(String),
    /// By the relay that has it.
    Relay(SessionId),
}

/// How a message gets to this address; the error says what to try. Only a `bridge:` address leads to a
/// session that nobody on this machine has.
pub fn resolve(address: &Address, peers: &[Peer]) -> Result<Way, String> {
    let found: Vec<&Peer> = peers
        .iter()
        .filter(|peer| match address.scheme {
            Scheme::Local => peer.entry.socket.as_deref() == Some(&*address.target),
            Scheme::Bridge => peer.entry.bridge_session_id.as_ref().is_some_and(|id| {
                SessionId::new(&address.target).is_ok_and(|it| it.is_same_session(id))
            }),
            Scheme::Name => peer.entry.name == address.target,
        })
        .collect();
    match (&found[..], address.scheme) {
        // One that is not written down may be there all the same.
        ([], Scheme::Local) => Ok(Way::Socket(address.target.clone())),
        ([], Scheme::Bridge) => SessionId::new(&address.target)
            .map(Way::Relay)
            .map_err(|error| format!("{address} is no session's address: {error}")),
        ([], Scheme::Name) => {
            Err(format!("no session on this machine is {address}; footbridge ps shows them"))
        }
        ([one], _) => {
            let Entry { socket, bridge_session_id, .. } = &one.entry;
            let at_relay = || bridge_session_id.clone().map(Way::Relay);
            socket.clone().map(Way::Socket).or_else(at_relay).ok_or_else(|| {
                format!("{address} takes no messages yet: it has no socket, and is on no relay")
            })
        }
        (several, _) => {
            let all: Vec<&str> =
                several.iter().flat_map(|peer| &peer.addresses).map(String::as_str).collect();
            Err(format!("{address} names several sessions: {}", all.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, bridge: Option<&str>, socket: Option<&str>) -> Entry {
        Entry {
            session_id: SessionId::new(id).expect("an id"),
            bridge_session_id: bridge.map(|id| SessionId::new(id).expect("an id")),
            socket: socket.map(str::to_owned),
            can_send: true,
            name: "a".into(),
            status: "running".into(),
            waiting_for: None,
            worker_draining: false,
            directory: "/w".into(),
        }
    }

    fn record(pid: u32, sessions: Vec<Entry>) -> Record {
        Record { pid, start: 1, sessions }
    }

    #[test]
    fn a_session_under_two_addresses_is_shown_once() {
        let all = peers([
            record(1, Vec::from([entry("session_x", Some("cse_y"), None)])),
            record(
                2,
                Vec::from([entry("session_y", None, Some("/s")), entry("session_z", None, None)]),
            ),
        ]);
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].pid, &all[0].addresses[..]),
            (2, &["uds:/s".to_owned(), "bridge:cse_y".to_owned()][..])
        );
    }

    #[test]
    fn a_record_ends_with_its_process_even_if_another_one_has_its_id() {
        let record = record(7, Vec::new());
        assert!(record.is_live(Some(1)));
        assert!(!record.is_live(Some(2)), "its id was given to another");
        assert!(!record.is_live(None));
        let stat = b"7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        assert_eq!(Record::start_in(stat), Some(4711));
        assert_eq!(Record::start_in(b"7 (a"), None);
    }

    #[test]
    fn what_a_host_has_started_is_its_sessions_or_one_of_them() {
        let one = || entry("session_1", None, Some("/one"));
        let two = || entry("session_2", None, Some("/two"));
        let records = [
            ("none", record(5, Vec::new())),
            ("one", record(6, Vec::from([one()]))),
            ("two", record(7, Vec::from([one(), two()]))),
        ];
        assert_eq!(descent(&records, &[3, 5]), Descent::NoSession);
        assert_eq!(descent(&records, &[3, 5, 6, 7]), Descent::Session(&"one", &one()));
        assert_eq!(descent(&records, &[7, 6]), Descent::OneOfSeveral(7));
        assert_eq!(Record::parent_in(b"9 (a ) b) S 4711 1 1"), Some(4711));
    }

    #[test]
    fn an_address_leads_to_one_session_or_says_why_not() {
        let all = peers([record(
            1,
            Vec::from([
                entry("session_1", Some("session_9"), Some("/one")),
                Entry { name: "b".into(), ..entry("session_2", None, None) },
                Entry { name: "session_1".into(), ..entry("session_3", None, Some("/three")) },
                Entry { name: "c".into(), ..entry("session_4", Some("session_8"), None) },
            ]),
        )]);
        let to = |text: &str| resolve(&Address::parse(text), &all);
        let socket = |path: &str| Ok(Way::Socket(path.into()));
        let relay = |id: &str| Ok(Way::Relay(SessionId::new(id).expect("an id")));
        assert_eq!(to("uds:/one"), socket("/one"));
        assert_eq!(to("/elsewhere"), socket("/elsewhere"));
        assert_eq!(to("bridge:cse_9"), socket("/one"), "it is nearer than the relay");
        assert_eq!(to("a"), socket("/one"));
        assert_eq!(to("session_1"), socket("/three"), "a bare id is a name (A-1)");
        assert_eq!(to("bridge:session_2"), relay("session_2"), "nobody here is that at a relay");
        assert_eq!(to("c"), relay("session_8"));
        assert!(to("session_9").is_err() && to("b").is_err() && to("bridge:?").is_err());
    }
}
