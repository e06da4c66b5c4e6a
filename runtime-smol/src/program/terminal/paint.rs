//! A frame as bytes for a terminal: only the rows that have changed.

use std::io::Write as _;

use anstyle::Style;
use footbridge_core::base::text::is_hidden;

use super::line::Line;

/// What is on a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::program) struct Frame {
    pub(super) lines: Vec<Line>,
    /// Row and column, if there is one.
    pub(super) cursor: Option<(usize, usize)>,
}

/// Which styles a terminal gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::program) enum Colours {
    All,
    /// Bold and the like, and no colour (`NO_COLOR`).
    None,
}

/// What a terminal shows already.
#[derive(Debug)]
pub(in crate::program) struct Painter {
    colours: Colours,
    shown: Frame,
    is_known: bool,
}

impl Painter {
    pub(in crate::program) fn new(colours: Colours) -> Self {
        Self { colours, shown: Frame::default(), is_known: false }
    }

    /// What is shown is not known any more: all of it is painted again.
    pub(in crate::program) const fn forget(&mut self) {
        self.is_known = false;
    }

    /// What turns what is shown into this frame; empty if that is nothing.
    pub(in crate::program) fn paint(&mut self, frame: Frame) -> Vec<u8> {
        if self.is_known && frame == self.shown {
            return Vec::new();
        }
        let mut out = Vec::new();
        // All of it at once, where that is understood; without a cursor that jumps.
        out.extend_from_slice(b"\x1b[?2026h\x1b[?25l");
        if !self.is_known {
            out.extend_from_slice(b"\x1b[0m\x1b[2J");
        }
        let rows = frame.lines.len().max(self.shown.lines.len());
        for row in 0..rows {
            let (new, old) = (frame.lines.get(row), self.shown.lines.get(row));
            if self.is_known && new == old {
                continue;
            }
            // Erased first: after a row that is full, a cursor stands on its last character. Writing
            // to a Vec cannot fail.
            let _ = write!(out, "\x1b[{};1H\x1b[0m\x1b[K", row + 1);
            if let Some(line) = new {
                self.line(line, &mut out);
            }
        }
        if let Some((row, column)) = frame.cursor {
            let _ = write!(out, "\x1b[{};{}H\x1b[?25h", row + 1, column + 1);
        }
        out.extend_from_slice(b"\x1b[?2026l");
        (self.shown, self.is_known) = (frame, true);
        out
    }

    fn line(&self, line: &Line, out: &mut Vec<u8>) {
        for span in &line.spans {
            let style = match self.colours {
                Colours::All => span.style,
                Colours::None => Style::new().effects(span.style.get_effects()),
            };
            let _ = write!(out, "{style}");
            // The last of several guards: nothing but this file commands a terminal.
            let safe = span.text.chars().map(|c| if is_hidden(c) { '?' } else { c });
            let _ = write!(out, "{}{style:#}", safe.collect::<String>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::style::BAD;
    use super::*;

    fn frame(lines: &[&str]) -> Frame {
        let lines = lines.iter().map(|line| Line::new(*line, BAD)).collect();
        Frame { lines, cursor: None }
    }

    #[test]
    fn only_rows_that_changed_are_written_and_nothing_but_styles_and_places() {
        let mut painter = Painter::new(Colours::All);
        let first = painter.paint(frame(&["one", "two"]));
        let first = String::from_utf8(first).expect("text");
        assert!(
            first.contains("one") && first.contains("\x1b[2;1H\x1b[0m\x1b[K\x1b[31mtwo\x1b[0m"),
            "{first:?}"
        );
        assert!(painter.paint(frame(&["one", "two"])).is_empty());
        let second =
            String::from_utf8(painter.paint(frame(&["one", "2\x1b]52;c;x\x07"]))).expect("text");
        assert!(!second.contains("one") && second.contains("2?]52;c;x?"), "{second:?}");
        painter.forget();
        assert!(String::from_utf8_lossy(&painter.paint(frame(&["one"]))).contains("one"));
        let mut plain = Painter::new(Colours::None);
        assert!(!String::from_utf8_lossy(&plain.paint(frame(&["one"]))).contains("\x1b[31m"));
    }
}
