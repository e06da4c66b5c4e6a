//! Durations as people write them: `30s`, `1h30m`, `250ms`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Parses a duration; the error says what one looks like.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration; use a form like 30s, 10m, 24h or 1h30m");
    let mut rest = text;
    let mut millis = 0u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let part = number.checked_mul(factor).ok_or_else(wrong)?;
        millis = millis.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    if millis == 0 { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
}

/// Formats a duration briefly, for people: `24h`, `1h 30m`, `2.5s`, `80ms`.
pub fn shown(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (seconds, minutes, hours) = (millis / 1000, millis / 60_000, millis / 3_600_000);
    match () {
        () if millis < 1_000 => format!("{millis}ms"),
        () if seconds < 10 && millis % 1000 >= 100 => format!("{seconds}.{}s", millis % 1000 / 100),
        () if seconds < 60 => format!("{seconds}s"),
        () if minutes < 60 && seconds % 60 == 0 => format!("{minutes}m"),
        () if minutes < 60 => format!("{minutes}m {}s", seconds % 60),
        () if minutes % 60 == 0 => format!("{hours}h"),
        () => format!("{hours}h {}m", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_as_people_write_them() {
        for (text, millis) in [
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "30",
            "s",
            "0s",
            "-1s",
            "1.5h",
            "1 h",
            "5w",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("30s"), "{error}");
        }
    }

    #[test]
    fn durations_are_shown_briefly() {
        for (millis, text) in [
            (80, "80ms"),
            (2_560, "2.5s"),
            (30_200, "30s"),
            (90_000, "1m 30s"),
            (600_000, "10m"),
            (86_400_000, "24h"),
            (5_400_000, "1h 30m"),
        ] {
            assert_eq!(shown(Duration::from_millis(millis)), text);
        }
    }
}
