//! Values that are lists, separated by commas.

use std::net::IpAddr;

use footbridge_core::wire::url::BaseUrl;

use super::{Kind, Value};

/// Names of environment variables; `NAME*` for all that begin so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables(pub Vec<String>);

impl Value for Variables {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let is_char = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = |name: &str| name.strip_suffix('*').unwrap_or(name).chars().all(is_char);
        let name = |name: &str| is_name(name).then(|| name.to_owned());
        listed(text, name).map(Self).map_err(|wrong| {
            format!(
                "{wrong:?} is not the name of a variable; use only A-Z, a-z, 0-9 and _, perhaps a * at the end, and no value"
            )
        })
    }

    fn show(&self) -> Option<String> {
        shown(&self.0)
    }
}

/// Names of an agent's flags, with or without their dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags(pub Vec<String>);

impl Value for Flags {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let is_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let flag = |flag: &str| {
            let name = flag.strip_prefix("--").unwrap_or(flag);
            let is_name = !name.is_empty() && !name.starts_with('-') && name.chars().all(is_char);
            is_name.then(|| name.to_owned())
        };
        listed(text, flag).map(Self).map_err(|wrong| {
            format!(
                "{wrong:?} is not the name of a flag; write it as in --settings, without a value"
            )
        })
    }

    fn show(&self) -> Option<String> {
        shown(&self.0)
    }
}

/// Names of files and directories; `*NAME` for all that end so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNames(pub Vec<String>);

impl Value for FileNames {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let name = |name: &str| {
            let rest = name.strip_prefix('*').unwrap_or(name);
            (!rest.contains(['/', '*'])).then(|| name.to_owned())
        };
        listed(text, name).map(Self).map_err(|wrong| {
            format!(
                "{wrong:?} is not the name of a file or directory; use one like out or *.log, without a path"
            )
        })
    }

    fn show(&self) -> Option<String> {
        shown(&self.0)
    }
}

/// Names of hosts; `*.` stands for one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(pub Vec<String>);

impl Value for Hosts {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let host = |host: &str| {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let is_char = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
            // Colons are for addresses of IPv6 only.
            let is_host = !name.is_empty()
                && name.bytes().all(is_char)
                && (!name.contains(':') || name.parse::<IpAddr>().is_ok());
            is_host.then(|| host.to_owned())
        };
        listed(text, host).map(Self).map_err(|wrong| {
            format!(
                "{wrong:?} is not the name of a host; use a form like relay.example, without scheme and port"
            )
        })
    }

    fn show(&self) -> Option<String> {
        shown(&self.0)
    }
}

/// Addresses of relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relays(pub Vec<BaseUrl>);

impl Value for Relays {
    const KIND: Kind = Kind::List;

    fn parse(text: &str) -> Result<Self, String> {
        let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
        let urls = urls.map(|url| BaseUrl::parse(url).map_err(|error| error.to_string()));
        urls.collect::<Result<_, _>>().map(Self)
    }

    fn show(&self) -> Option<String> {
        shown(&self.0.iter().map(BaseUrl::to_string).collect::<Vec<_>>())
    }
}

/// A list separated by commas; `None` if it is empty.
fn shown(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(","))
}

/// What a list separated by commas names; the error is the first that cannot be read.
fn listed<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, &str> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| read(name).ok_or(name)).collect()
}
