//! Log-ins, and what each may do (Y-9).

use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::base::id::DeviceId;
use crate::base::secret::{self, Secret};
use crate::base::time::UnixTime;
use crate::wire::rfc3339;

/// One thing that a device may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// See machines and sessions, and read them.
    Watch,
    /// Answer an agent's questions.
    Answer,
    /// Start and stop sessions, and say something in them.
    Drive,
    /// Register machines that sessions run on.
    Work,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Watch, Self::Answer, Self::Drive, Self::Work];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Answer => "answer",
            Self::Drive => "drive",
            Self::Work => "work",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a device may do. As text, the names, with spaces between them (RFC 6749, 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// What a machine needs that serves sessions and does nothing else.
    pub const WORK: Self = Self(Scope::Work.bit());
    /// What a relay may demand a trusted device for (D-3).
    pub const ANSWER_AND_DRIVE: Self = Self(Scope::Answer.bit() | Scope::Drive.bit());
    /// Everything.
    pub const ALL: Self = Self(0b1111);

    /// Reads the names; `None` if one is not known, or there is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scopes = 0;
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            scopes |= Scope::ALL.iter().find(|scope| scope.as_str() == name)?.bit();
        }
        (scopes != 0).then_some(Self(scopes))
    }

    /// Whether this is among them. Whoever may answer or drive sees what it is about.
    pub const fn allow(self, scope: Scope) -> bool {
        let enough = match scope {
            Scope::Watch => Scope::Watch.bit() | Scope::Answer.bit() | Scope::Drive.bit(),
            Scope::Answer | Scope::Drive | Scope::Work => scope.bit(),
        };
        self.0 & enough != 0
    }

    /// Whether exactly this is among them, and not merely implied.
    pub const fn name(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether all of these are among others.
    pub const fn are_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Scope::ALL.iter().filter(|scope| self.0 & scope.bit() != 0);
        for (at, scope) in own.enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{}", scope.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A scope of a later version is not known here, and so not granted.
        let known = text.split(' ').filter_map(Self::parse);
        let known = known.reduce(|all, one| Self(all.0 | one.0));
        known.ok_or_else(|| serde::de::Error::custom("no scope in it is known"))
    }
}

/// A device, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView<'a> {
    /// Its id.
    pub id: DeviceId,
    /// What it calls itself.
    pub name: Cow<'a, str>,
    /// What it may do.
    pub scope: Scopes,
    /// When it logged in.
    #[serde(with = "rfc3339")]
    pub created_at: UnixTime,
    /// When it last had its token refreshed.
    #[serde(with = "rfc3339")]
    pub last_used_at: UnixTime,
    /// Where it did so from.
    pub address: Cow<'a, str>,
    /// Since when it is trusted, if it is (D).
    #[serde(default, with = "rfc3339::optional")]
    pub trusted_at: Option<UnixTime>,
}

/// What a device is enrolled with as a trusted one (D-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustPost {
    /// What people see as its name.
    pub display_name: String,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusted {
    /// Which device it is.
    pub device_id: DeviceId,
    /// What it shows from now on, as `X-Trusted-Device-Token`.
    #[serde(serialize_with = "secret::reveal", deserialize_with = "secret::bearer")]
    pub device_token: Secret,
}

/// The path at which a device is enrolled.
pub const TRUST_PATH: &str = "/api/auth/trusted_devices";
/// The header in which it shows that it is trusted (D-2).
pub const TRUST_HEADER: &str = "x-trusted-device-token";

/// The devices of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Devices<'a> {
    /// By id.
    pub devices: Vec<DeviceView<'a>>,
}

/// Who a credential is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoAmI {
    /// The person.
    pub account: String,
    /// Whether others use the relay as well, so that it matters who this is.
    #[serde(default)]
    pub shared: bool,
    /// What it may do.
    pub scope: Scopes,
    /// The device, if it is one's.
    #[serde(default)]
    pub device_id: Option<DeviceId>,
}

/// A log-in that waits, for the person who is asked to approve it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogInView<'a> {
    /// What the device calls itself.
    pub name: Cow<'a, str>,
    /// What it asks to be allowed.
    pub scope: Scopes,
    /// Where it is.
    pub address: Cow<'a, str>,
}

/// What a person says to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogInAnswer {
    /// It may.
    Approve,
    /// It may not.
    Deny,
}

/// The person's answer, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerLogIn {
    /// The code that the device shows.
    pub user_code: String,
    /// What they say.
    pub answer: LogInAnswer,
}

/// The letters of user codes: no vowels, so that no code is a word, and none that look alike
/// (RFC 8628, 6.1).
pub const USER_CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many of them a code has.
pub const USER_CODE_LENGTH: usize = 8;

/// A user code as it is compared: however it was typed.
pub fn plain_user_code(typed: &str) -> Option<String> {
    let letters = typed.chars().filter(|c| !c.is_whitespace() && *c != '-');
    let letters = letters.map(|c| c.to_ascii_uppercase()).take(USER_CODE_LENGTH + 1);
    let plain: String = letters.collect();
    let is_code =
        plain.len() == USER_CODE_LENGTH && plain.bytes().all(|b| USER_CODE_LETTERS.contains(&b));
    is_code.then_some(plain)
}

/// A user code as it is shown: in two halves.
pub fn shown_user_code(plain: &str) -> String {
    match plain.split_at_checked(USER_CODE_LENGTH / 2) {
        Some((first, second)) => [first, second].join("-"),
        None => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn scopes_are_read_and_written_as_names_with_spaces() {
        for (text, written) in [
            ("work", Some("work")),
            ("drive watch", Some("watch drive")),
            (" answer  answer ", Some("answer")),
            ("watch answer drive work", Some("watch answer drive work")),
            ("", None),
            ("work,watch", None),
            ("work everything", None),
        ] {
            assert_eq!(Scopes::parse(text).map(|s| s.to_string()).as_deref(), written, "{text}");
        }
        let known: Scopes = serde_json::from_str(r#""fly work""#).expect("one is known");
        assert_eq!(known, Scopes::WORK);
        assert!(serde_json::from_str::<Scopes>(r#""fly""#).is_err());
    }

    #[test]
    fn what_a_worker_holds_cannot_see_answer_or_drive() {
        let allowed = |text| {
            let scopes = Scopes::parse(text).expect("scopes");
            Scope::ALL.map(|scope| scopes.allow(scope))
        };
        assert_eq!(allowed("work"), [false, false, false, true]);
        assert_eq!(allowed("watch"), [true, false, false, false]);
        assert_eq!(allowed("answer"), [true, true, false, false]);
        assert_eq!(allowed("drive"), [true, false, true, false]);
        assert!(Scopes::WORK.are_within(Scopes::ALL) && !Scopes::ALL.are_within(Scopes::WORK));
    }

    #[test]
    fn a_user_code_is_the_same_however_it_is_typed() {
        for typed in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht ", "WDJBMJHT"] {
            assert_eq!(plain_user_code(typed).as_deref(), Some("WDJBMJHT"), "{typed}");
        }
        assert_eq!(shown_user_code("WDJBMJHT"), "WDJB-MJHT");
        for typed in ["", "WDJB", "WDJB-MJHTX", "WDJB-MJHA", "WDJB-MJH\u{e9}"] {
            assert_eq!(plain_user_code(typed), None, "{typed}");
        }
    }
}
