//! How things look. Only the terminal's own sixteen colours: they are readable on its background.

use anstyle::{AnsiColor, Color, Style};

const fn fg(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

pub(super) const PLAIN: Style = Style::new();
pub(super) const STRONG: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const CODE: Style = fg(AnsiColor::Cyan);
pub(super) const HEADING: Style = fg(AnsiColor::Magenta).bold();
pub(super) const LINK: Style = fg(AnsiColor::Blue).underline();
pub(super) const ADDED: Style = fg(AnsiColor::Green);
pub(super) const REMOVED: Style = fg(AnsiColor::Red);
pub(super) const HUNK: Style = fg(AnsiColor::Cyan);
pub(super) const PERSON: Style = fg(AnsiColor::Blue).bold();
pub(super) const TOOL: Style = Style::new().bold();
pub(super) const GOOD: Style = fg(AnsiColor::Green);
pub(super) const WARN: Style = fg(AnsiColor::Yellow);
pub(super) const BAD: Style = fg(AnsiColor::Red);
pub(super) const ASK: Style = fg(AnsiColor::Yellow).bold();
pub(super) const KEY: Style = fg(AnsiColor::Yellow);
pub(super) const CHOSEN: Style = Style::new().invert();
