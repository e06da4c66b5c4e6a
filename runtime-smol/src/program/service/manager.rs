//! The service managers, and what they are told about users and places.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use footbridge_cli::exit::Error;
use rustix::process::geteuid;

use super::definition::{Owner, Service};

/// Where programs are if nobody says.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    Systemd,
    OpenRc,
    /// That of OpenWrt.
    Procd,
}

impl Manager {
    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "systemd" => Ok(Self::Systemd),
            "openrc" => Ok(Self::OpenRc),
            "procd" => Ok(Self::Procd),
            _ => Err(Error::usage(format!("--manager: {name:?} is not systemd, openrc or procd"))),
        }
    }

    pub(super) fn of_this_machine() -> Self {
        let is_there = |path: &str| Path::new(path).exists();
        if is_there("/run/systemd/system") {
            Self::Systemd
        } else if is_there("/sbin/procd") {
            Self::Procd
        } else if is_there("/run/openrc") || is_there("/sbin/openrc-run") {
            Self::OpenRc
        } else {
            Self::Systemd
        }
    }

    /// The file that defines a service.
    pub(super) fn place(self, service: &Service) -> Result<PathBuf, Error> {
        let name = &service.name;
        Ok(match (self, &service.owner) {
            (Self::Systemd, Owner::Person) => {
                user_units()?.join(format!("systemd/user/{name}.service"))
            }
            (Self::Systemd, Owner::System(_)) => {
                PathBuf::from(format!("/etc/systemd/system/{name}.service"))
            }
            (Self::OpenRc | Self::Procd, _) => PathBuf::from(format!("/etc/init.d/{name}")),
        })
    }

    /// The mode of that file.
    pub(super) const fn mode(self) -> u32 {
        match self {
            Self::Systemd => 0o644,
            Self::OpenRc | Self::Procd => 0o755,
        }
    }

    /// What a person does next.
    pub(super) fn next_steps(self, service: &Service) -> String {
        let name = &service.name;
        match (self, &service.owner) {
            (Self::Systemd, Owner::Person) => format!(
                "start it, now and with every login:\n  systemctl --user daemon-reload && systemctl --user enable --now {name}\n\
                 let it run without a login, too:\n  loginctl enable-linger\n"
            ),
            (Self::Systemd, Owner::System(_)) => format!(
                "start it, now and with the system:\n  systemctl daemon-reload && systemctl enable --now {name}\n"
            ),
            (Self::OpenRc, _) => format!(
                "start it, now and with the system:\n  rc-update add {name} && rc-service {name} start\n"
            ),
            (Self::Procd, _) => format!(
                "start it, now and with the system:\n  service {name} enable && service {name} start\n"
            ),
        }
    }
}

fn user_units() -> Result<PathBuf, Error> {
    let configured = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty());
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config"));
    configured
        .map(PathBuf::from)
        .or_else(home)
        .ok_or_else(|| Error::local("nowhere to write the unit because HOME is not set: set it"))
}

/// The person who asks, unless that is root.
pub(super) fn person() -> Option<String> {
    let of = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
    let name = if geteuid().is_root() { of("SUDO_USER") } else { of("USER") };
    name.filter(|name| name != "root")
}

/// Where programs are found here: each directory once, and only those that are there and mean the same
/// from anywhere.
pub(super) fn search_path(path: Option<OsString>) -> String {
    let path = path.unwrap_or_else(|| USUAL_PATH.into());
    let mut found: Vec<String> = Vec::new();
    for place in std::env::split_paths(&path) {
        let Some(text) = place.to_str().filter(|text| !text.contains(char::is_control)) else {
            continue;
        };
        if place.is_absolute() && place.is_dir() && !found.iter().any(|other| other == text) {
            found.push(text.to_owned());
        }
    }
    if found.is_empty() { USUAL_PATH.to_owned() } else { found.join(":") }
}
