//! What a service is, for any service manager.

use std::fs;
use std::path::PathBuf;

use footbridge_cli::exit::Error;

/// The first line of all that is written, by which it is known again.
pub(super) const MARK: &str = "Made by footbridge service";

/// A service, for any service manager.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Service {
    /// What it is called.
    pub(super) name: String,
    pub(super) role: Role,
    /// The program and its arguments, which mean the same from anywhere.
    pub(super) program: String,
    pub(super) args: Vec<String>,
    /// Whose service it is.
    pub(super) owner: Owner,
    /// Where programs are found: agents are where their owner's shell finds them.
    pub(super) path: String,
}

/// What a service does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    /// Only a relay.
    Relay {
        /// Where it keeps its data, if not in the state directory.
        data: Option<PathBuf>,
        /// Whether its port is one that only root may listen on.
        is_port_low: bool,
    },
    /// A worker, or a relay and a worker.
    Worker {
        /// Where sessions run.
        directory: PathBuf,
        /// How long it takes to stop at most, in seconds.
        stops_within: u64,
    },
}

/// Whose a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The person's, and runs with their other programs.
    Person,
    /// The system's, and runs as this user.
    System(User),
}

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    /// Its home directory, if it is known here.
    pub(super) home: Option<PathBuf>,
}

impl User {
    /// Any user but root, for whom nothing would be out of bounds.
    pub(super) fn named(name: String) -> Result<Self, Error> {
        if name == "root" {
            return Err(Error::usage("--run-as: a service does not run as root"));
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let home = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(&name)).then(|| fields.nth(4)).flatten().map(PathBuf::from)
        });
        Ok(Self { name, home })
    }

    /// Fails if there is no such user here.
    pub(super) fn require(&self) -> Result<(), Error> {
        if self.home.is_some() {
            return Ok(());
        }
        let name = &self.name;
        Err(Error::local(format!(
            "there is no user {name} here: make one, such as with useradd --system --user-group --create-home --home-dir /var/lib/{name} {name}, or name another one with --run-as"
        )))
    }
}
