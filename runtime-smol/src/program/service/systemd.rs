//! A service as a unit of systemd.
//!
//! A relay starts no programs and needs nothing but its data and its sockets, so nearly everything else
//! is taken from it. A worker's agents are a person's tools: what would break them (running code that
//! they have just made, namespaces of their own) stays allowed, and the file system is read-only except
//! where they work.

use std::fmt::Write as _;
use std::path::Path;

use super::definition::{MARK, Owner, Role, Service};

/// For any service, with or without root's help.
const COMMON: &str = "\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
";

/// For any service of the system.
const SYSTEM: &str = "\
ProtectSystem=strict
PrivateTmp=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
";

/// For a relay.
const RELAY: &str = "\
UMask=0077
LimitNOFILE=8192
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
";

/// For a relay of the system: its data and settings are where those of a system are.
const SYSTEM_RELAY: &str = "\
StateDirectory=footbridge
StateDirectoryMode=0700
Environment=XDG_STATE_HOME=/var/lib XDG_CONFIG_HOME=/etc
PrivateDevices=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
";

/// For a worker: it ends all that its agents start by itself, with a control group for each session; one
/// agent that needs too much memory does not take the others with it.
const WORKER: &str = "\
Delegate=yes
OOMPolicy=continue
";

pub(super) fn unit(service: &Service) -> String {
    let Service { name, role, program, args, owner, path } = service;
    let what = match role {
        Role::Relay { .. } => "Footbridge relay".to_owned(),
        Role::Worker { directory, .. } => format!("Footbridge in {}", escaped(directory)),
    };
    let mut unit = format!(
        "# {MARK}. To change it: systemctl edit {name}\n[Unit]\nDescription={what}\n\
         Documentation=man:footbridge(1)\n"
    );
    if matches!(owner, Owner::System(_)) {
        unit += "Wants=network-online.target\nAfter=network-online.target\n";
    }
    let words: Vec<_> = [program].into_iter().chain(args).map(|word| argument(word)).collect();
    // A string takes whatever is written to it.
    let _ = write!(
        unit,
        "\n[Service]\nType=notify\nExecStart={}\nRestart=on-failure\nRestartSec=5\n\
         # A wrong command line or credential does not get better by itself.\n\
         RestartPreventExitStatus=2 3\nWatchdogSec=60\nKillMode=mixed\n",
        words.join(" ")
    );
    match role {
        Role::Relay { .. } => unit += "TimeoutStopSec=30\n",
        Role::Worker { directory, stops_within } => {
            let directory = escaped(directory);
            let _ = write!(unit, "TimeoutStopSec={stops_within}\nWorkingDirectory={directory}\n");
            unit += "# Where agents and the programs that they use are found.\n";
            let _ = writeln!(unit, "Environment={}", quoted(&format!("PATH={path}")));
            unit += WORKER;
        }
    }
    unit.push('\n');
    unit += COMMON;
    if let Owner::System(user) = owner {
        let _ = writeln!(unit, "User={}", user.name);
        unit += SYSTEM;
    }
    match (role, owner) {
        (Role::Relay { data, is_port_low }, _) => {
            unit += RELAY;
            let is_system = matches!(owner, Owner::System(_));
            if is_system {
                unit += SYSTEM_RELAY;
                if let Some(data) = data {
                    let _ = writeln!(unit, "ReadWritePaths={}", path_of(data));
                }
                unit += match needs_home(service) {
                    true => "ProtectHome=read-only\n",
                    false => "ProtectHome=yes\n",
                };
                unit += match is_port_low {
                    true => {
                        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n\
                         AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
                    }
                    false => "CapabilityBoundingSet=\n",
                };
            }
        }
        (Role::Worker { directory, .. }, Owner::System(user)) => {
            unit += "CapabilityBoundingSet=\n\
                     # Agents keep files of their own in their user's home directory.\n";
            let home = user.home.as_deref().filter(|home| *home != Path::new("/"));
            let homes = home.map(|home| format!("-{}", escaped(home)));
            let places: Vec<_> = [path_of(directory)]
                .into_iter()
                .chain(homes.map(|home| quoted_raw(&home)))
                .collect();
            let _ = writeln!(unit, "ReadWritePaths={}", places.join(" "));
        }
        (Role::Worker { .. }, Owner::Person) => {}
    }
    let target = match owner {
        Owner::Person => "default.target",
        Owner::System(_) => "multi-user.target",
    };
    let _ = write!(unit, "\n[Install]\nWantedBy={target}\n");
    unit
}

/// Whether something that a relay reads or writes is in a home directory.
fn needs_home(service: &Service) -> bool {
    let is_home = |text: &str| {
        let path = text.split_once('=').map_or(text, |(_, value)| value);
        ["/home/", "/root/", "/run/user/"].iter().any(|home| path.starts_with(home))
    };
    is_home(&service.program) || service.args.iter().any(|arg| is_home(arg))
}

/// A word of a command line.
fn argument(word: &str) -> String {
    let word = word.replace('$', "$$");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%$".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.replace('%', "%%");
    }
    quoted(&word)
}

/// In quotes.
fn quoted(word: &str) -> String {
    quoted_raw(&word.replace('%', "%%"))
}

fn quoted_raw(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

fn path_of(path: &Path) -> String {
    quoted_raw(&escaped(path))
}

/// A path where nothing is quoted.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace('%', "%%")
}
