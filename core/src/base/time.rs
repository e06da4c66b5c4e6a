//! Time as the machines see it: passed in with every call, never read from a clock (P-2).

use core::fmt;
use core::ops::Add;

pub use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A moment on a clock that never goes backwards, in nanoseconds since an origin of the runtime's
/// own choice. Deadlines are of this kind. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin itself.
    pub const ORIGIN: Self = Self(0);
    /// The last moment that can be represented.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The moment `elapsed` after the origin.
    pub fn from_origin(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after the origin this is.
    pub const fn since_origin(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// Whether two durations are so near each other that one time limit may be behind both.
pub fn is_near(one: Duration, other: Duration) -> bool {
    let (less, more) = (one.min(other), one.max(other));
    more - less <= (more / 5).max(Duration::from_secs(1))
}

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z. It may step in either direction, so
/// it is compared afresh on every call and never waited for.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, as tokens count them.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// Reads the date of an HTTP header: `Sat, 31 Jan 2026 12:00:00 GMT` (RFC 9110, 5.6.7). The
    /// two obsolete forms are not read.
    pub fn from_http_date(text: &str) -> Option<Self> {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (_, date) = text.trim().split_once(", ")?;
        let mut words = date.split(' ');
        let mut word = || words.next();
        let number = |text: &str, limit: u64| {
            let is_number = text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|number: &u64| is_number && *number <= limit)
        };
        let day = number(word()?, 31).filter(|day| *day > 0)?;
        let month = word()?;
        let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
        let year = number(word()?, 9999).filter(|year| *year >= 1970)?;
        let mut time = word()?.splitn(3, ':');
        let (hour, minute) = (number(time.next()?, 23)?, number(time.next()?, 59)?);
        // 60 is a leap second.
        let second = number(time.next()?, 60)?;
        if word()? != "GMT" || word().is_some() {
            return None;
        }
        let seconds =
            days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        Some(Self(seconds * 1000))
    }

    /// Reads RFC 3339 in UTC, as [`fmt::Display`] writes it: `2026-01-31T12:00:00.000Z`. Offsets
    /// other than `Z` are not read; digits beyond milliseconds are dropped.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let number = |text: &str, digits: usize, limit: u64| {
            let is_number = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|number: &u64| is_number && *number <= limit)
        };
        let mut date = date.splitn(3, '-');
        let year = number(date.next()?, 4, 9999).filter(|year| *year >= 1970)?;
        let month = number(date.next()?, 2, 12).filter(|month| *month > 0)?;
        let day = number(date.next()?, 2, 31).filter(|day| *day > 0)?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut time = time.splitn(3, ':');
        let (hour, minute) = (number(time.next()?, 2, 23)?, number(time.next()?, 2, 59)?);
        // 60 is a leap second.
        let second = number(time.next()?, 2, 60)?;
        number(fraction, fraction.len().clamp(1, 9), 999_999_999)?;
        let millis = fraction.bytes().chain(*b"000").take(3);
        let millis = millis.fold(0, |millis, digit| millis * 10 + u64::from(digit - b'0'));
        let seconds =
            days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
        // A leap second at the end of the last year would need a five-digit year.
        Some(Self(seconds * 1000 + millis)).filter(|time| time.0 < END_OF_9999)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        let millis = u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for UnixTime {
    /// RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, second) = (secs / 86_400, secs % 86_400);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// The first moment, in milliseconds since the epoch, that RFC 3339 cannot name.
const END_OF_9999: u64 = 253_402_300_800_000;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: u64 = 719_468;
/// Of 400 years.
const DAYS_IN_ERA: u64 = 146_097;

/// Days since 1970-01-01 of a date from 1970 on; the inverse of [`civil_from_days`].
const fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_IN_ERA + day_of_era - DAYS_TO_EPOCH
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last of its year.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day_of_era) = (days / DAYS_IN_ERA, days % DAYS_IN_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Both clocks, as a runtime reads them for one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and durations.
    pub mono: Instant,
    /// For token expiry and for dates that people read.
    pub wall: UnixTime,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn wall_time_reads_as_rfc_3339() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_225_600_001, "2026-01-01T00:00:00.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (millis, text) in cases {
            assert_eq!(UnixTime::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    fn rfc_3339_is_read_as_it_is_written() {
        for millis in [0, 951_782_399_999, 951_782_400_000, 1_767_225_600_001, 4_107_542_400_000] {
            let time = UnixTime::from_millis(millis);
            assert_eq!(UnixTime::from_rfc3339(&time.to_string()), Some(time));
        }
        let noon = UnixTime::from_rfc3339("2026-01-31T12:00:00Z").expect("a time");
        assert_eq!(noon.to_string(), "2026-01-31T12:00:00.000Z");
        let later = UnixTime::from_rfc3339("2026-01-31T12:00:00.1239999Z").expect("a time");
        assert_eq!(later.as_millis() - noon.as_millis(), 123);
        for no_time in [
            "",
            "Z",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00+01:00",
            "2026-1-31T12:00:00Z",
            "2026-13-31T12:00:00Z",
            "2026-01-00T12:00:00Z",
            "1969-01-31T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:00:00.Z",
            "2026-01-31T12:00:00.xZ",
            "2026-01-31T12:00:00.1234567890Z",
            "2026-01-31T12:00:00.é0Z",
            "9999-12-31T23:59:60Z",
        ] {
            assert_eq!(UnixTime::from_rfc3339(no_time), None, "{no_time}");
        }
    }

    #[test]
    fn the_date_of_an_http_header_reads_as_wall_time() {
        let cases = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"),
            ("Tue, 29 Feb 2000 23:59:59 GMT", "2000-02-29T23:59:59.000Z"),
            ("Sat, 31 Jan 2026 12:00:00 GMT", "2026-01-31T12:00:00.000Z"),
            ("Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.000Z"),
        ];
        for (header, text) in cases {
            let time = UnixTime::from_http_date(header).map(|time| time.to_string());
            assert_eq!(time.as_deref(), Some(text), "{header}");
        }
        for no_date in [
            "",
            "2026-01-31T12:00:00Z",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sat, 31 Jan 2026 12:00:00 CET",
            "Sat, 31 Jan 2026 12:00:00 GMT+1",
            "Sat, +1 Jan 2026 12:00:00 GMT",
            "Sat, 31 Jan 1969 12:00:00 GMT",
            "Sat, 31 Jan 2026 24:00:00 GMT",
            "Sat, 00 Jan 2026 12:00:00 GMT",
        ] {
            assert_eq!(UnixTime::from_http_date(no_date), None, "{no_date}");
        }
    }

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
        assert_eq!(Instant::ORIGIN.saturating_since(Instant::FAR_FUTURE), Duration::ZERO);
        assert_eq!(Instant::from_origin(Duration::MAX), Instant::FAR_FUTURE);
        assert_eq!(
            UnixTime::from_millis(u64::MAX) + Duration::MAX,
            UnixTime::from_millis(u64::MAX)
        );
    }
}
