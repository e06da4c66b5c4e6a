//! What a relay says to the person who has started it: where its page is, on this machine and on a
//! phone (Y-8).

use std::io::IsTerminal as _;

use fast_qr::QRBuilder;
use footbridge_cli::exit::Error;
use footbridge_cli::print;
use footbridge_core::base::secret::Secret;

use super::ready::page_url;

/// Light modules around a code, which readers need.
const QUIET_ZONE: usize = 2;
/// Addresses that are shown beside the first one.
const MAX_OTHERS: usize = 3;

/// Where a page is, with a code that signs one browser in.
#[derive(Debug)]
pub(super) struct Invitation<'a> {
    /// For a browser on this machine.
    pub(super) here: &'a str,
    /// For others, the likeliest one first.
    pub(super) elsewhere: &'a [String],
    pub(super) code: &'a Secret,
    /// Whether a phone has to trust the relay's own authority first.
    pub(super) has_own_authority: bool,
}

impl Invitation<'_> {
    /// Prints it: for a terminal as a person reads it, and otherwise one address a line, the first one
    /// for this machine.
    pub(super) fn print(&self) -> Result<(), Error> {
        let out = std::io::stdout();
        if out.is_terminal() {
            return print(&self.text(qr_here));
        }
        let all = std::iter::once(self.here).chain(self.elsewhere.iter().map(String::as_str));
        print(&all.map(|url| page_url(url, self.code) + "\n").collect::<String>())
    }

    fn text(&self, draw: impl Fn(&str) -> Option<String>) -> String {
        let here = page_url(self.here, self.code);
        let Some((first, others)) = self.elsewhere.split_first() else {
            return format!(
                "\n  Open the page:  {here}\n\n  The address signs one browser in, within ten minutes. footbridge sign-in prints\n  another one; footbridge help phone says how a phone gets here.\n\n"
            );
        };
        let phone = page_url(first, self.code);
        let mut text = format!("\n  On this machine:  {here}\n  On a phone:       {phone}\n");
        for other in others.iter().take(MAX_OTHERS) {
            text += &format!("                    {}\n", page_url(other, self.code));
        }
        if self.has_own_authority {
            text += &format!(
                "\n  The phone warns until it trusts this relay: {first}/trust says how.\n"
            );
        }
        text += "\n";
        text += &draw(&phone).unwrap_or_default();
        text += "\n  The address signs one browser in, within ten minutes; footbridge sign-in prints\n  another one.\n\n";
        text
    }
}

/// Whether a terminal may be written to in colour (<https://no-color.org>).
pub(super) fn in_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A text as a QR code for the terminal on standard output; `None` if it is too wide for that, or too long.
pub(super) fn qr_here(text: &str) -> Option<String> {
    let columns = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col);
    let fits = |code: &String| match columns {
        Some(columns @ 1..) => width(code) <= usize::from(columns),
        // It does not say.
        _ => true,
    };
    qr(text, in_colour()).filter(fits)
}

/// Columns of a code that was drawn.
fn width(code: &str) -> usize {
    let is_drawn = |c: &char| matches!(c, '█' | '▀' | '▄' | ' ');
    code.lines().next().map_or(0, |line| line.chars().filter(is_drawn).count())
}

/// A text as a QR code; `None` if it is too long for one. In colour, it is black on white whatever the
/// terminal's colours are; without, it is right on a dark terminal.
pub(super) fn qr(text: &str, in_colour: bool) -> Option<String> {
    let code = QRBuilder::new(text).build().ok()?;
    let size = code.size;
    let is_dark = |x: usize, y: usize| {
        let at = |n: usize| n.checked_sub(QUIET_ZONE).filter(|n| *n < size);
        at(x).zip(at(y)).is_some_and(|(x, y)| code[y][x].value())
    };
    let all = size + 2 * QUIET_ZONE;
    let (begin, end) = if in_colour { ("\x1b[30;107m", "\x1b[0m") } else { ("", "") };
    let mut drawn = String::new();
    for y in (0..all).step_by(2) {
        drawn += "  ";
        drawn += begin;
        for x in 0..all {
            let (above, below) = (is_dark(x, y), is_dark(x, y + 1));
            // Half a character high: what is drawn is dark in colour, and light without.
            drawn += match (above == in_colour, below == in_colour) {
                (true, true) => "█",
                (true, false) => "▀",
                (false, true) => "▄",
                (false, false) => " ",
            };
        }
        drawn += end;
        drawn += "\n";
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation<'a>(elsewhere: &'a [String], code: &'a Secret) -> Invitation<'a> {
        Invitation { here: "http://127.0.0.1:1", elsewhere, code, has_own_authority: true }
    }

    #[test]
    fn a_relay_for_this_machine_alone_says_where_to_read_on() {
        let text = invitation(&[], &Secret::new("c".to_owned())).text(|text| qr(text, true));
        assert!(text.contains("http://127.0.0.1:1/#code=c"), "{text}");
        assert!(text.contains("help phone") && !text.contains('█'), "{text}");
    }

    #[test]
    fn a_relay_that_a_phone_can_reach_shows_a_code_for_it() {
        let elsewhere = ["https://192.168.1.7:1".to_owned(), "https://[fd00::1]:1".to_owned()];
        let text = invitation(&elsewhere, &Secret::new("c".to_owned())).text(|text| qr(text, true));
        for part in ["https://192.168.1.7:1/#code=c", "https://[fd00::1]:1/#code=c", "/trust", "█"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() < 100), "{text}");
    }

    #[test]
    fn a_code_has_a_quiet_zone_whether_in_colour_or_not() {
        let dark = qr("https://relay.example/#code=fbcode-0123456789", false).expect("it fits");
        let first = dark.lines().next().expect("a line").trim_start();
        assert!(first.chars().all(|c| c == '█'), "{first}");
        let colour = qr("https://relay.example/#code=fbcode-0123456789", true).expect("it fits");
        let first = colour.lines().next().expect("a line");
        assert!(first.contains("\x1b[30;107m") && !first.contains('█'), "{first}");
        assert!(qr(&"x".repeat(5000), true).is_none());
    }
}
