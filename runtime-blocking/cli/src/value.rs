//! The types of setting values: how they are written, and what is allowed.

mod lists;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use footbridge_core::wire::device::Scopes;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::TransportChoice;

pub use self::lists::{FileNames, Flags, Hosts, Relays, Variables};
use crate::duration;

/// Upper bound on a worker's number of concurrent sessions.
const MAX_SESSIONS: u32 = 1024;
/// The longest time accepted in milliseconds: a year.
const MAX_MILLIS: u64 = 365 * 24 * 60 * 60 * 1000;

/// The type of a value in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A path: in the file, relative to the file's directory.
    Path,
    /// A whole number.
    Integer,
    /// True or false.
    Switch,
    /// An array of text; elsewhere, its elements separated by commas.
    List,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text | Self::Path => "text in quotes",
            Self::Integer => "a whole number",
            Self::Switch => "true or false",
            Self::List => "a list of text in quotes, such as [\"A\", \"B\"]",
        })
    }
}

/// A type of value: parsed from text, and written as the same text again.
pub trait Value: Sized {
    /// Its type in the file.
    const KIND: Kind;

    /// Parses it; the error says what is allowed.
    fn parse(text: &str) -> Result<Self, String>;

    /// `None` if there is nothing to show.
    fn show(&self) -> Option<String>;
}

/// An absent value is a value too, but cannot be given.
impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(T::show)
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Switch;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is not true or false"))
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// An address with a port; the address defaults to loopback.
impl Value for SocketAddr {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        let loopback = |port: &str| {
            let port = port.parse().ok()?;
            Some(Self::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        };
        let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':'));
        port.map_or_else(|| text.parse().ok(), loopback).ok_or_else(|| {
            format!("{text:?} is not an address; use a form like 127.0.0.1:8787, [::1]:8787 or :0")
        })
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for BaseUrl {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for PathBuf {
    const KIND: Kind = Kind::Path;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("the path is empty".to_owned()) } else { Ok(text.into()) }
    }

    fn show(&self) -> Option<String> {
        Some(self.display().to_string())
    }
}

/// The name of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineName(pub String);

impl Value for MachineName {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        if (1..=200).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 200 bytes of text without control characters".to_owned())
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// A number of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u32);

/// A text that is taken as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainText(pub String);

impl Value for PlainText {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("it is empty".to_owned()),
            text if text.chars().any(|c| c.is_control() || c.is_whitespace()) => {
                Err(format!("{text:?} has spaces or control characters in it"))
            }
            text => Ok(Self(text.to_owned())),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

impl Value for Count {
    const KIND: Kind = Kind::Integer;

    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (1..=MAX_SESSIONS).contains(number));
        let number =
            number.ok_or_else(|| format!("{text:?} is not a number from 1 to {MAX_SESSIONS}"));
        number.map(Self)
    }

    fn show(&self) -> Option<String> {
        Some(self.0.to_string())
    }
}

/// A number of bytes as people write it: `500M`, `10G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// Powers of 1,024, the largest first.
const SIZE_UNITS: [(&str, u64); 4] =
    [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

impl Value for Size {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size; use a form like 500M or 10G");
        let unit =
            SIZE_UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
        let (number, unit) = unit.ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(*unit).filter(|size| *size > 0).map(Self).ok_or_else(wrong)
    }

    fn show(&self) -> Option<String> {
        let fits = SIZE_UNITS.iter().find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        Some(fits.map_or_else(
            || self.0.to_string(),
            |(unit, bytes)| format!("{}{unit}", self.0 / bytes),
        ))
    }
}

/// A duration as people write it: `30s`, `24h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Value for Span {
    const KIND: Kind = Kind::Text;

    fn parse(text: &str) -> Result<Self, String> {
        duration::parse(text).map(Self)
    }

    fn show(&self) -> Option<String> {
        Some(written(self.0))
    }
}

/// A duration in full, so that it can be parsed again: `1h30m`.
fn written(time: Duration) -> String {
    let mut rest = time.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    // People say 24h, but 90d.
    let days = usize::from(rest <= 86_400_000);
    let parts = units.into_iter().skip(days).map(|(unit, millis)| {
        let count = rest / millis;
        rest %= millis;
        if count == 0 { String::new() } else { format!("{count}{unit}") }
    });
    parts.collect()
}

/// A duration in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl Millis {
    /// An optional duration; `None`, meaning forever, becomes the longest.
    pub fn of(time: Option<Duration>) -> Self {
        Self(time.unwrap_or(Duration::from_millis(MAX_MILLIS)))
    }
}

impl Value for Millis {
    const KIND: Kind = Kind::Integer;

    fn parse(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (1..=MAX_MILLIS).contains(number));
        let wrong = || format!("{text:?} is not a number of milliseconds from 1 to {MAX_MILLIS}");
        number.map(|number| Self(Duration::from_millis(number))).ok_or_else(wrong)
    }

    fn show(&self) -> Option<String> {
        Some(self.0.as_millis().to_string())
    }
}

/// `a, b or c`.
fn one_of(words: &[&str]) -> String {
    match words {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        words => words.concat(),
    }
}

/// A setting that is one of a few words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl Value for $name {
            const KIND: Kind = Kind::Text;

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("{text:?} is not {}", one_of(&[$($word),*]))),
                }
            }

            fn show(&self) -> Option<String> {
                Some(self.word().to_owned())
            }
        }
    };
}

words! {
    /// Where sessions run (W-5).
    SpawnMode:
    /// All in the one directory.
    #[default]
    SameDir = "same-dir",
    /// Each in its own git worktree.
    Worktree = "worktree",
    /// Just one; the worker ends with it.
    SingleSession = "single-session",
}

words! {
    /// How sessions travel (C-4).
    Transport:
    /// As the relay says.
    #[default]
    Auto = "auto",
    /// By a WebSocket each.
    V1 = "v1",
    /// By plain requests and a stream of events each.
    V2 = "v2",
}

impl From<Transport> for TransportChoice {
    fn from(transport: Transport) -> Self {
        match transport {
            Transport::Auto => Self::Auto,
            Transport::V1 => Self::V1,
            Transport::V2 => Self::V2,
        }
    }
}

words! {
    /// Where log-ins are kept (T-1).
    Secrets:
    /// In files that only their owner can read.
    #[default]
    File = "file",
    /// In the system's keyring.
    Keyring = "keyring",
}

words! {
    /// By what work comes (E-2).
    WorkBy:
    /// By a stream where the relay offers one and it gets through, or else by polls.
    #[default]
    Auto = "auto",
    /// By a stream.
    Stream = "stream",
    /// By polls.
    Poll = "poll",
}

impl From<WorkBy> for footbridge_core::worker::WorkBy {
    fn from(by: WorkBy) -> Self {
        match by {
            WorkBy::Auto => Self::Auto,
            WorkBy::Stream => Self::Stream,
            WorkBy::Poll => Self::Poll,
        }
    }
}

words! {
    /// What a relay demands a trusted device for (D-3).
    DemandTrust:
    /// Nothing.
    #[default]
    Off = "off",
    /// Answering agents' questions.
    Answer = "answer",
    /// Starting, stopping and steering sessions.
    Drive = "drive",
    /// Both.
    Both = "answer,drive",
}

impl From<DemandTrust> for Option<Scopes> {
    fn from(demanded: DemandTrust) -> Self {
        match demanded {
            DemandTrust::Off => None,
            DemandTrust::Answer => Scopes::parse("answer"),
            DemandTrust::Drive => Scopes::parse("drive"),
            DemandTrust::Both => Some(Scopes::ANSWER_AND_DRIVE),
        }
    }
}

words! {
    /// How much is logged to stderr; each level includes those before it.
    Level:
    /// What went wrong.
    Error = "error",
    /// Problems that may pass.
    Warn = "warn",
    /// What changes.
    #[default]
    Info = "info",
    /// Every event.
    Debug = "debug",
}

words! {
    /// How it is logged.
    Format:
    /// A line of text.
    #[default]
    Text = "text",
    /// One JSON object per line.
    Json = "json",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T: Value>(text: &str) -> String {
        T::parse(text).err().expect(text)
    }

    #[test]
    fn a_wrong_value_is_refused_with_what_is_allowed() {
        let cases = [
            (refusal::<bool>("maybe"), "\"maybe\" is not true or false"),
            (refusal::<SocketAddr>("example.org:1"), "127.0.0.1:8787"),
            (refusal::<SocketAddr>(":99999"), "127.0.0.1:8787"),
            (refusal::<BaseUrl>("example.org"), "http://"),
            (refusal::<BaseUrl>("http://example.org"), "not safe"),
            (refusal::<PathBuf>(""), "the path is empty"),
            (refusal::<MachineName>(""), "1 to 200 bytes"),
            (refusal::<Count>("0"), "from 1 to 1024"),
            (refusal::<Span>("5"), "\"5\" is not a duration"),
            (refusal::<Millis>("0"), "\"0\" is not a number of milliseconds"),
            (refusal::<Variables>("A=B"), "not the name of a variable"),
            (refusal::<SpawnMode>("tree"), "same-dir, worktree or single-session"),
            (refusal::<Transport>("v3"), "auto, v1 or v2"),
            (refusal::<Level>("loud"), "error, warn, info or debug"),
            (refusal::<Format>("xml"), "text or json"),
        ];
        for (refusal, expected) in cases {
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
