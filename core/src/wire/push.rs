//! Notifications (Y-7): what a browser posts of its push subscription, and what comes back.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::id::PushId;
use crate::base::time::UnixTime;
use crate::wire::rfc3339;

/// The answer to `GET /v1/push/key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushKey<'a> {
    /// The relay's public key (RFC 8292): an uncompressed point of P-256, base64url.
    pub key: Cow<'a, str>,
}

/// The keys of a subscription, as a browser gives them (RFC 8291): base64url. `Debug` hides them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushKeys {
    /// The browser's public key.
    pub p256dh: String,
    /// What it shares with whoever may send to it.
    pub auth: String,
}

impl fmt::Debug for PushKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushKeys(hidden)")
    }
}

/// The body of `POST /v1/push/subscriptions`: a browser's `PushSubscription`, its name, and what its
/// person wants to be told. Posting the same endpoint again changes the rest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPost {
    /// Where its push service takes messages: whoever knows this URL can send to it.
    pub endpoint: String,
    /// Its keys.
    pub keys: PushKeys,
    /// What the browser calls itself.
    #[serde(default)]
    pub name: String,
    /// What it is told.
    #[serde(default)]
    pub preferences: PushPreferences,
}

impl fmt::Debug for PushPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushPost({} bytes)", self.endpoint.len())
    }
}

/// What a browser is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPreferences {
    /// When it is told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
    /// The machines, by name, of which it is told nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted: Vec<String>,
}

/// A time of each day, in minutes since midnight; it may span midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// Its first minute.
    pub from: u16,
    /// The minute after its last.
    pub until: u16,
    /// How far east of UTC the person is, in minutes.
    pub offset: i16,
}

/// Minutes of a day.
const DAY: i64 = 24 * 60;

impl QuietHours {
    /// Whether there is such a time.
    pub const fn is_proper(&self) -> bool {
        self.from < 1440 && self.until < 1440 && self.offset.unsigned_abs() <= 16 * 60
    }

    /// Whether it is that time now.
    pub fn holds(&self, now: UnixTime) -> bool {
        self.left(now).is_some()
    }

    /// How much of that time is left, if it is that time now.
    pub fn left(&self, now: UnixTime) -> Option<Duration> {
        let minutes = i64::try_from(now.as_secs() / 60).unwrap_or(0) + i64::from(self.offset);
        let minute = minutes.rem_euclid(DAY);
        let (from, until) = (i64::from(self.from), i64::from(self.until));
        let is_quiet = if from <= until {
            (from..until).contains(&minute)
        } else {
            minute >= from || minute < until
        };
        let minutes = u64::try_from((until - minute).rem_euclid(DAY)).unwrap_or(0);
        is_quiet.then(|| Duration::from_secs((minutes * 60).saturating_sub(now.as_secs() % 60)))
    }
}

/// A subscription as its person sees it: nothing in it sends anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushView<'a> {
    /// Its name in the interface.
    pub id: PushId,
    /// What the browser calls itself.
    #[serde(default)]
    pub name: Cow<'a, str>,
    /// The host of its push service.
    #[serde(default)]
    pub service: Cow<'a, str>,
    /// What it is told.
    #[serde(default)]
    pub preferences: Cow<'a, PushPreferences>,
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub created_at: UnixTime,
}

/// The answer to `GET /v1/push/subscriptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushList<'a> {
    /// By id.
    #[serde(default)]
    pub subscriptions: Vec<PushView<'a>>,
}

/// The answer to a test: what the push service has said to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTested<'a> {
    /// Whether it has taken the message; that it arrives, only the browser can say.
    pub accepted: bool,
    /// The status that it answered with; 0 if it did not.
    pub status: u16,
    /// What went wrong, and what to try.
    #[serde(default)]
    pub detail: Cow<'a, str>,
}

/// What is sent to a browser, encrypted for it alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PushMessage<'a> {
    /// A session waits for its person, or has failed.
    Waits(PushWaits<'a>),
    /// What waited while it was quiet, and still does.
    Waited(PushWaited<'a>),
    /// What was told no longer counts: it was answered, or seen, elsewhere.
    Over {
        /// The notification to close.
        tag: Cow<'a, str>,
        /// Questions that still wait, in all sessions.
        waiting: usize,
    },
    /// Somebody tries whether messages arrive.
    Test {
        /// Repeated in the page's request.
        nonce: Cow<'a, str>,
    },
}

/// What waited for a person during quiet hours that are over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushWaited<'a> {
    /// What the notification is known by.
    pub tag: Cow<'a, str>,
    /// How many questions wait for an answer.
    #[serde(default)]
    pub questions: usize,
    /// In how many sessions it is the person's turn.
    #[serde(default)]
    pub turns: usize,
    /// How many sessions have failed.
    #[serde(default)]
    pub failed: usize,
    /// The session, if all of it is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Cow<'a, str>>,
    /// Questions that wait, in all sessions.
    pub waiting: usize,
}

/// What a session waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushWaits<'a> {
    /// For what.
    pub what: PushWhat,
    /// What the notification is known by: one for each question.
    pub tag: Cow<'a, str>,
    /// The session.
    pub session: Cow<'a, str>,
    /// Its title, or the beginning of it.
    pub title: Cow<'a, str>,
    /// The machine that it runs on.
    pub machine: Cow<'a, str>,
    /// The event that asks; 0 if none does.
    pub seq: u64,
    /// The question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Cow<'a, str>>,
    /// The tool that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Cow<'a, str>>,
    /// What the tool is to do, or the beginning of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'a, str>>,
    /// Whether `detail` is all that there is to know, so that it can be answered where it is shown.
    #[serde(default)]
    pub whole: bool,
    /// Questions that wait, in all sessions.
    pub waiting: usize,
}

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushWhat {
    /// The agent has asked something.
    Question,
    /// Its turn has ended.
    Turn,
    /// The session has ended, and not well.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64, minute: u64) -> UnixTime {
        UnixTime::from_millis((20_000 * 24 * 60 + hour * 60 + minute) * 60_000)
    }

    #[test]
    fn quiet_hours_are_those_of_the_persons_own_clock_and_may_span_midnight() {
        let night = QuietHours { from: 22 * 60, until: 7 * 60, offset: 120 };
        for (hour, minute, quiet) in
            [(19, 59, false), (20, 0, true), (23, 0, true), (4, 59, true), (5, 0, false)]
        {
            assert_eq!(night.holds(at(hour, minute)), quiet, "{hour}:{minute} UTC");
        }
        assert_eq!(
            night.left(UnixTime::from_millis(((21 * 60 + 30) * 60 + 7) * 1000)),
            Some(Duration::from_secs((7 * 60 + 30) * 60 - 7))
        );
        let lunch = QuietHours { from: 12 * 60, until: 13 * 60, offset: -300 };
        assert!(lunch.holds(at(17, 0)) && !lunch.holds(at(18, 0)) && !lunch.holds(at(12, 30)));
        let never = QuietHours { from: 60, until: 60, offset: 0 };
        assert!(!never.holds(at(1, 0)));
        assert!(!QuietHours { from: 1440, ..never }.is_proper());
    }
}
