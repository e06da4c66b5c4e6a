//! Addresses of sessions: two fields, and nothing else that would have to come along.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

/// How a message gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// By a socket on this machine.
    Local,
    /// By a relay.
    Bridge,
    /// Whoever has this name.
    Name,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How.
    pub scheme: Scheme,
    /// Whereto: a path, a session's id, a name.
    pub target: String,
}

impl Address {
    /// Reads an address. Everything that has no scheme and is no path is a name, a session's id too:
    /// names are anybody's to choose, and none may lead out of this machine by what it begins with.
    pub fn parse(text: &str) -> Self {
        let (scheme, target) = if let Some(path) = text.strip_prefix("uds:") {
            (Scheme::Local, path)
        } else if let Some(session) = text.strip_prefix("bridge:") {
            (Scheme::Bridge, session)
        } else if text.starts_with('/') {
            (Scheme::Local, text)
        } else {
            (Scheme::Name, text)
        };
        Self { scheme, target: target.to_owned() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.scheme {
            Scheme::Local => "uds:",
            Scheme::Bridge => "bridge:",
            Scheme::Name => "",
        };
        write!(f, "{prefix}{}", self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_leads_to() {
        use Scheme::{Bridge, Local, Name};
        for (text, scheme, target) in [
            ("uds:/run/a.sock", Local, "/run/a.sock"),
            ("/run/a.sock", Local, "/run/a.sock"),
            ("bridge:session_1", Bridge, "session_1"),
            ("session_1", Name, "session_1"),
            ("cse_1", Name, "cse_1"),
            ("session_manager", Name, "session_manager"),
            ("researcher", Name, "researcher"),
            ("Bridge:session_1", Name, "Bridge:session_1"),
            ("./a.sock", Name, "./a.sock"),
            ("", Name, ""),
        ] {
            let address = Address::parse(text);
            assert_eq!((address.scheme, &*address.target), (scheme, target), "{text}");
            let shown = alloc::format!("{address}");
            assert_eq!(Address::parse(&shown), address, "{text}");
        }
    }
}
