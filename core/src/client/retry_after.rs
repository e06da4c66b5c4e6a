//! `Retry-After` (RFC 9110, 10.2.3): when a relay, or a proxy in front of it, may be asked again.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use crate::base::limits::MAX_RETRY_AFTER;
use crate::base::time::UnixTime;
use crate::contract::action::Response;

/// When to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    /// After a while.
    Pause(Duration),
    /// At a given time of day.
    Date(UnixTime),
}

impl RetryAfter {
    /// Reads it from a refusal; `None` if it is missing or malformed.
    pub(crate) fn of(response: &Response) -> Option<Self> {
        let text = response.header("retry-after")?.trim();
        let pause = text.parse().ok().map(|seconds| Self::Pause(Duration::from_secs(seconds)));
        pause.or_else(|| UnixTime::from_http_date(text).map(Self::Date))
    }

    /// How long that is from now, capped at the longest wait that is believed.
    pub(crate) fn pause(self, now: UnixTime) -> Duration {
        self.asked(now).min(MAX_RETRY_AFTER)
    }

    /// In words for people, to follow why a request failed.
    pub(super) fn in_words(self, now: UnixTime) -> String {
        let (asked, kept) = (self.asked(now), self.pause(now));
        let words = format!("it asks for a pause of {} s", asked.as_secs());
        if asked > kept {
            format!("{words}, {} s of which are kept", kept.as_secs())
        } else {
            words
        }
    }

    fn asked(self, now: UnixTime) -> Duration {
        match self {
            Self::Pause(pause) => pause,
            Self::Date(date) => date.saturating_since(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::vec;
    use bytes::Bytes;

    #[test]
    fn it_is_read_as_seconds_or_a_date_and_capped_at_two_minutes() {
        let now = UnixTime::from_http_date("Sat, 31 Jan 2026 12:00:00 GMT").expect("a date");
        let cases = [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("99999999999", Some(120)),
            ("Sat, 31 Jan 2026 12:00:20 GMT", Some(20)),
            ("Sat, 31 Jan 2026 11:00:00 GMT", Some(0)),
            ("Sun, 31 Jan 2027 12:00:00 GMT", Some(120)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
        ];
        for (header, seconds) in cases {
            let headers = vec![("retry-after".to_owned(), header.to_owned())];
            let response = Response { status: 429, headers, body: Bytes::new() };
            let pause = RetryAfter::of(&response).map(|at| at.pause(now).as_secs());
            assert_eq!(pause, seconds, "{header}");
        }
    }

    #[test]
    fn a_person_is_told_how_much_of_the_pause_is_kept() {
        let words = |seconds| {
            RetryAfter::Pause(Duration::from_secs(seconds)).in_words(UnixTime::from_millis(0))
        };
        assert_eq!(words(7), "it asks for a pause of 7 s");
        assert_eq!(words(3600), "it asks for a pause of 3600 s, 120 s of which are kept");
    }
}
