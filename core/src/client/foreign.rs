//! Answers that no relay gave (E-9): the page of a proxy, a captive portal, a server under
//! maintenance. Whatever their status, they say nothing about what was asked for.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::retry_after::RetryAfter;
use crate::base::limits::MAX_FOREIGN_CHARS;
use crate::base::text::is_hidden;
use crate::contract::action::Response;

/// An answer that is not one a relay gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignAnswer {
    status: u16,
    /// What it is, without anything of a body that may hold secrets.
    what: String,
    retry_after: Option<RetryAfter>,
}

impl fmt::Display for ForeignAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl ForeignAnswer {
    /// Describes an answer whose body is not a relay's.
    pub(super) fn of(response: &Response) -> Self {
        let status = response.status;
        let from = origin(response);
        let what = match status {
            407 => {
                let realm = header(response, "proxy-authenticate");
                let realm = realm.map_or_else(String::new, |realm| format!(" for {realm}"));
                format!(
                    "a proxy on the way{from} asks for a name and a password{realm} (HTTP 407); put them into HTTPS_PROXY: http://NAME:PASSWORD@PROXY:PORT"
                )
            }
            300..=399 => {
                let place = header(response, "location").map(|place| site_of(&place));
                let place = place.unwrap_or_else(|| String::from("another place"));
                format!(
                    "HTTP {status} leads to {place}, which a relay never does{from}; does this network want you to sign in, or is the relay's address another one?"
                )
            }
            _ => format!(
                "HTTP {status} is not from the relay: {}{from}; a proxy, or a network that wants you to sign in, has answered in its place",
                body_of(response)
            ),
        };
        Self { status, what, retry_after: RetryAfter::of(response) }
    }

    /// Describes an answer with a good status, and with a body of another shape.
    pub(crate) fn unreadable(status: u16, reason: &str) -> Self {
        let what = format!("the answer is not what a relay gives ({reason})");
        Self { status, what, retry_after: None }
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status
    }

    pub(super) const fn retry_after(&self) -> Option<RetryAfter> {
        self.retry_after
    }
}

/// Who says that it has answered: ` (server: squid/5.7, via: 1.1 gate)`.
fn origin(response: &Response) -> String {
    let names = ["server", "via"]
        .into_iter()
        .filter_map(|name| header(response, name).map(|value| format!("{name}: {value}")));
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() { names } else { format!(" ({names})") }
}

fn header(response: &Response, name: &str) -> Option<String> {
    response.header(name).map(shown).filter(|value| !value.is_empty())
}

/// Only where a redirect leads: the rest of its address may hold secrets.
fn site_of(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else {
        return String::from("another path");
    };
    let site = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let site = site.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{site}")
}

/// What kind of body it is; of a page, its title.
fn body_of(response: &Response) -> String {
    let body = &response.body;
    if body.is_empty() {
        return String::from("it has no body");
    }
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let is_page = ["<html", "<!doctype"].iter().any(|sign| lower.contains(sign));
    if !is_page {
        let size = body.len();
        return format!("its body is no error of a relay ({size} bytes)");
    }
    let title = lower.find("<title").and_then(|at| {
        let from = at + lower.get(at..)?.find('>')? + 1;
        let length = lower.get(from..)?.find("</title")?;
        let title = shown(text.get(from..from + length)?);
        (!title.is_empty()).then_some(title)
    });
    title.map_or_else(|| String::from("it is a web page"), |title| format!("a web page, {title:?}"))
}

/// A stranger's words, fit for a part of one line.
fn shown(words: &str) -> String {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !is_hidden(*c)).take(MAX_FOREIGN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use alloc::string::ToString;
    use bytes::Bytes;

    fn words(status: u16, headers: &[(&str, &str)], body: &str) -> String {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let body = Bytes::copy_from_slice(body.as_bytes());
        ForeignAnswer::of(&Response { status, headers, body }).to_string()
    }

    #[test]
    fn it_says_who_has_answered_in_the_relays_place() {
        let portal = "<!DOCTYPE html><HTML><head><TITLE>\n Airport\tWi-Fi </TITLE></head>hunter2";
        for (status, headers, body, expected) in [
            (403, &[("server", "squid/5.7")][..], portal, "\"Airport Wi-Fi\" (server: squid/5.7)"),
            (404, &[], "<html>hunter2", "it is a web page"),
            (401, &[("via", "1.1 gate")], r#"{"secret":"hunter2"}"#, "(via: 1.1 gate)"),
            (503, &[], "", "it has no body"),
            (
                302,
                &[("location", "https://portal.example/?hunter2")],
                "",
                "https://portal.example,",
            ),
            (302, &[("location", "https://a:hunter2@portal.example")], "", "//portal.example,"),
            (301, &[("location", "/login?hunter2")], "", "another path"),
            (407, &[("proxy-authenticate", "Basic realm=\"corp\"")], "", "realm=\"corp\""),
            (407, &[("via", "1.1 gate")], "<html>", "HTTPS_PROXY"),
            (404, &[], "<title></title><html></titleİ", "it is a web page"),
            (404, &[], "<html><title><b>x", "it is a web page"),
        ] {
            let words = words(status, headers, body);
            assert!(words.contains(expected), "{words}");
            assert!(words.contains(&format!("HTTP {status}")), "{words}");
            assert!(!words.contains("hunter2"), "{words}");
        }
    }

    #[test]
    fn a_strangers_words_are_short_and_of_one_line() {
        let long = "x\u{202e}\r\n".repeat(2 * MAX_FOREIGN_CHARS);
        let words = words(403, &[("server", &long)], &format!("<html><title>{long}</title>"));
        assert!(words.len() < 4 * MAX_FOREIGN_CHARS + 200, "{words}");
        assert!(!words.contains(['\n', '\r', '\u{202e}']), "{words}");
    }
}
