//! What a JWT says of itself, read without checking who signed it (T-2).
//!
//! A client needs to know when a token runs out, not whether it is genuine: that is for the relay,
//! which checks its own ([`relay`](crate::relay)). So everything that is not a readable JWT is *none*.

use serde::Deserialize;
use serde_json::value::RawValue;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::base::limits::MAX_JWT_BYTES;
use crate::base::time::{Duration, UnixTime};

/// The prefix of session tokens.
pub const SESSION_TOKEN_PREFIX: &str = "sk-ant-si-";

/// As lenient as the libraries that other issuers use: padded or not.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The times in a JWT; each may be missing, or of a kind that nobody can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JwtTimes {
    /// When it was issued (`iat`), by its issuer's clock.
    pub issued_at: Option<UnixTime>,
    /// When it runs out (`exp`), likewise.
    pub expires_at: Option<UnixTime>,
}

impl JwtTimes {
    /// Reads the times of a token: three parts, of which the middle one is the base64url of a JSON
    /// object. `None` for anything else, and for what is longer than [`MAX_JWT_BYTES`].
    pub fn of(token: &str) -> Option<Self> {
        if token.len() > MAX_JWT_BYTES {
            return None;
        }
        let token = token.strip_prefix(SESSION_TOKEN_PREFIX).unwrap_or(token);
        let mut parts = token.split('.');
        let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
        if payload.is_empty() || parts.next().is_some() {
            return None;
        }
        let payload = BASE64URL.decode(payload).ok()?;
        // Serde would take an array's elements for the fields.
        payload.trim_ascii_start().starts_with(b"{").then_some(())?;
        let Payload { iat, exp } = serde_json::from_slice(&payload).ok()?;
        Some(Self { issued_at: iat.and_then(numeric_date), expires_at: exp.and_then(numeric_date) })
    }

    /// How long it is valid in all, if it says both.
    pub fn life(&self) -> Option<Duration> {
        Some(self.expires_at?.saturating_since(self.issued_at?))
    }
}

/// Whatever else is in there is of no concern.
#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    iat: Option<&'a RawValue>,
    #[serde(borrow, default)]
    exp: Option<&'a RawValue>,
}

/// A number of seconds since 1970, which may have a fraction (RFC 7519, 2).
fn numeric_date(json: &RawValue) -> Option<UnixTime> {
    let text = json.get();
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(seconds) || !is_digits(fraction) {
        return None;
    }
    let seconds: u64 = seconds.parse().ok()?;
    Some(UnixTime::from_millis(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use base64::engine::general_purpose::{URL_SAFE as PADDED, URL_SAFE_NO_PAD};

    fn jwt(payload: &str) -> String {
        format!("eyJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(payload))
    }

    const fn at(seconds: u64) -> Option<UnixTime> {
        Some(UnixTime::from_millis(seconds * 1000))
    }

    #[test]
    fn the_times_of_a_token_are_read_with_or_without_its_prefix_and_padding() {
        let payload = r#"{"sub":"session_1","iat":100,"exp":200,"role":"worker"}"#;
        let times = JwtTimes { issued_at: at(100), expires_at: at(200) };
        let padded = format!("e30.{}.x", PADDED.encode(payload));
        for token in [jwt(payload), format!("sk-ant-si-{}", jwt(payload)), padded] {
            assert_eq!(JwtTimes::of(&token), Some(times), "{token}");
        }
        assert_eq!(times.life(), Some(Duration::from_secs(100)));
        // Neither the header nor the signature is looked at.
        let unsigned = format!(".{}.", URL_SAFE_NO_PAD.encode(payload));
        assert_eq!(JwtTimes::of(&unsigned), Some(times));
    }

    #[test]
    fn a_time_that_is_no_point_in_time_is_missing_and_the_rest_is_read() {
        let cases = [
            ("200.75", at(200)),
            ("0", at(0)),
            ("18446744073709551615", Some(UnixTime::from_millis(u64::MAX))),
            ("18446744073709551616", None),
            ("-1", None),
            ("1e9", None),
            ("\"200\"", None),
            ("null", None),
            ("true", None),
            ("[200]", None),
            ("{\"exp\":200}", None),
        ];
        for (exp, expected) in cases {
            let times = JwtTimes::of(&jwt(&format!(r#"{{"exp":{exp},"iat":7}}"#)));
            let times = times.expect("it is a JWT");
            assert_eq!((times.expires_at, times.issued_at), (expected, at(7)), "{exp}");
        }
        let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for payload in ["{}", " {}\n", &format!("{{\"exp\":{nested},\"x\":{nested}}}")] {
            assert_eq!(JwtTimes::of(&jwt(payload)), Some(JwtTimes::default()));
        }
    }

    #[test]
    fn anything_else_is_none() {
        let good = jwt(r#"{"exp":200}"#);
        let nested = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        let cases = [
            String::new(),
            String::from("."),
            String::from(".."),
            String::from("a..b"),
            String::from("sk-ant-si-"),
            String::from("sk-ant-si-..."),
            format!("{good}.more"),
            good.replace('.', " "),
            String::from("e30.e30"),
            String::from("e30.not base64.x"),
            String::from("e30.\u{e9}.x"),
            jwt(""),
            jwt("null"),
            jwt("7"),
            jwt("\"exp\""),
            jwt("{\"exp\":200"),
            jwt("{\"exp\":200}{}"),
            jwt(&nested),
            jwt(&format!("{{\"exp\":{nested}}}")),
            jwt("[1,2]"),
            "x".repeat(1 << 20),
            jwt(&"x".repeat(1 << 20)),
            format!("{}.{}.{}", "x".repeat(1 << 19), "e30", "x".repeat(1 << 19)),
        ];
        for token in cases {
            let shown: String = token.chars().take(60).collect();
            assert_eq!(JwtTimes::of(&token), None, "{shown}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(head in ".{0,8}", payload: alloc::vec::Vec<u8>, tail in ".{0,8}") {
            let _ = JwtTimes::of(&format!("{head}.{}.{tail}", URL_SAFE_NO_PAD.encode(&payload)));
            let _ = JwtTimes::of(&String::from_utf8_lossy(&payload));
        }
    }
}
