//! Forms: `application/x-www-form-urlencoded`, as OAuth has it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::refusal::Refusal;
use crate::contract::event::{Body, IncomingRequest};
use crate::relay::http::request::only;
use crate::wire::oauth::OAuthErrorType::InvalidRequest;

/// The fields of a request.
#[derive(Debug)]
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) fn of(request: &IncomingRequest) -> Result<Self, Refusal> {
        let kind = only(request, "content-type").ok().flatten().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let words = "send a form: content-type: application/x-www-form-urlencoded";
            return Err(Refusal::new(InvalidRequest, words));
        }
        let Body::Whole(body) = &request.body else {
            return Err(Refusal::new(InvalidRequest, "the form is too large"));
        };
        let mut fields = BTreeMap::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let (name, value) =
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                return Err(Refusal::new(InvalidRequest, "the form is not UTF-8"));
            };
            // Sent without a value, it counts as left out (RFC 6749, 3.2).
            if !value.is_empty() && fields.insert(name, value).is_some() {
                return Err(Refusal::new(InvalidRequest, "a field is there twice"));
            }
        }
        Ok(Self(fields))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::missing(name))
    }
}

/// A value as it stands in a form or a query; `None` if it is no text.
pub(in crate::relay) fn decoded(text: &[u8]) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(*rest.next()?)? << 4 | digit(*rest.next()?)?,
            plain => *plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_what_is_no_text_is_refused() {
        for (text, expected) in [
            ("a+b%20c", Some("a b c")),
            ("urn%3Aietf%3aparams", Some("urn:ietf:params")),
            ("%C3%bc", Some("\u{fc}")),
            ("", Some("")),
            ("%", None),
            ("%4", None),
            ("%zz", None),
            ("%ff", None),
        ] {
            assert_eq!(decoded(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }
}
