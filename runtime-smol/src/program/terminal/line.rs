//! Lines with styles, and text that is wrapped to a width.

use std::borrow::Cow;

use anstyle::Style;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::limits::GRAPHEME_BYTES;
use super::style::PLAIN;

/// Text in one style. It is shown as it is: whatever somebody else wrote has been through
/// [`text`](super::text).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) style: Style,
}

/// One line of a screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) spans: Vec<Span>,
}

/// Where a text may be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaks {
    /// Between words, if there are any.
    Words,
    /// Anywhere: each column counts.
    Anywhere,
}

/// One line of text, of any length, and what stands before it and before each of its further lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) first: Vec<Span>,
    pub(super) rest: Vec<Span>,
    pub(super) spans: Vec<Span>,
    pub(super) breaks: Breaks,
}

/// Columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.graphemes(true).map(columns).sum()
}

/// Columns of one character with what combines with it.
pub(super) fn columns(grapheme: &str) -> usize {
    if grapheme.len() > GRAPHEME_BYTES { 1 } else { grapheme.width().min(2) }
}

/// A character with more that combines with it than any writing has is shown as one that is unknown.
fn bounded(grapheme: &str) -> &str {
    if grapheme.len() > GRAPHEME_BYTES { "\u{fffd}" } else { grapheme }
}

impl Span {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }
}

impl Line {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Self {
        Self { spans: vec![Span::new(text, style)] }
    }

    pub(super) fn width(&self) -> usize {
        self.spans.iter().map(|span| width(&span.text)).sum()
    }

    /// Adds text in a style.
    pub(super) fn push(&mut self, text: &str, style: Style) {
        match self.spans.last_mut() {
            Some(last) if last.style == style => last.text.push_str(text),
            _ => self.spans.push(Span::new(text, style)),
        }
    }

    pub(super) fn extend(&mut self, spans: &[Span]) {
        for span in spans {
            self.push(&span.text, span.style);
        }
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    /// The same, at most this wide.
    pub(super) fn cut(self, columns_left: usize) -> Self {
        if self.width() <= columns_left {
            return self;
        }
        let mut cut = Self::default();
        let mut left = columns_left.saturating_sub(1);
        for span in &self.spans {
            for grapheme in span.text.graphemes(true) {
                let needed = columns(grapheme);
                if needed > left {
                    if columns_left > 0 {
                        cut.push("…", span.style);
                    }
                    return cut;
                }
                left -= needed;
                cut.push(bounded(grapheme), span.style);
            }
        }
        cut
    }
}

impl Flow {
    /// Text that is broken between words.
    pub(super) fn words(text: impl Into<String>, style: Style) -> Self {
        Self::of(vec![Span::new(text, style)])
    }

    pub(super) const fn of(spans: Vec<Span>) -> Self {
        Self { first: Vec::new(), rest: Vec::new(), spans, breaks: Breaks::Words }
    }

    /// Code and the like, which is broken anywhere.
    pub(super) fn code(text: impl Into<String>, style: Style) -> Self {
        Self { breaks: Breaks::Anywhere, ..Self::words(text, style) }
    }

    /// With something before its first line, and as much space before the others.
    pub(super) fn after(mut self, mark: &str, style: Style) -> Self {
        self.first.insert(0, Span::new(mark, style));
        self.rest.insert(0, Span::new(" ".repeat(width(mark)), PLAIN));
        self
    }

    /// With something before all its lines.
    pub(super) fn behind(mut self, mark: &str, style: Style) -> Self {
        self.first.insert(0, Span::new(mark, style));
        self.rest.insert(0, Span::new(mark, style));
        self
    }

    /// As lines, each at most this wide.
    pub(super) fn lines(&self, most: usize) -> Vec<Line> {
        let indent: usize = self.first.iter().map(|span| width(&span.text)).sum();
        // On a screen that is too narrow, what stands before a line is left out.
        let is_tight = indent + 4 > most;
        let room = if is_tight { most.max(2) } else { most - indent };
        let bodies = self.wrapped(room);
        let with_prefix = |(at, body): (usize, Line)| {
            let mut line = Line::default();
            if !is_tight {
                line.extend(if at == 0 { &self.first } else { &self.rest });
            }
            line.extend(&body.spans);
            line
        };
        bodies.into_iter().enumerate().map(with_prefix).collect()
    }

    fn wrapped(&self, room: usize) -> Vec<Line> {
        let mut graphemes = Vec::new();
        for span in &self.spans {
            for grapheme in span.text.graphemes(true) {
                graphemes.push((bounded(grapheme), columns(grapheme), span.style));
            }
        }
        let mut lines = Vec::new();
        let (mut from, mut used, mut space) = (0, 0, None);
        let mut at = 0;
        while let Some(&(grapheme, needed, _)) = graphemes.get(at) {
            if used + needed > room && at > from {
                let is_space = grapheme == " ";
                let end = match (self.breaks, space) {
                    (Breaks::Words, _) if is_space => at,
                    (Breaks::Words, Some(space)) => space,
                    _ => at,
                };
                let is_space = |(text, ..): &(&str, usize, Style)| *text == " ";
                let shown = match self.breaks {
                    Breaks::Words => {
                        let spaces =
                            graphemes[from..end].iter().rev().take_while(|one| is_space(one));
                        end - spaces.count()
                    }
                    Breaks::Anywhere => end,
                };
                lines.push(line_of(&graphemes[from..shown]));
                from = end;
                if self.breaks == Breaks::Words {
                    while graphemes.get(from).is_some_and(|(text, ..)| *text == " ") {
                        from += 1;
                    }
                }
                (at, used, space) = (from, 0, None);
                continue;
            }
            if grapheme == " " && at > from {
                space = Some(at);
            }
            used += needed;
            at += 1;
        }
        lines.push(line_of(graphemes.get(from..).unwrap_or_default()));
        lines
    }
}

fn line_of(graphemes: &[(&str, usize, Style)]) -> Line {
    let mut line = Line::default();
    for (text, _, style) in graphemes {
        line.push(text, *style);
    }
    line
}

/// A text of several lines, each a flow of its own.
pub(super) fn flows(text: &str, make: impl Fn(&str) -> Flow) -> Vec<Flow> {
    text.trim_end_matches('\n').split('\n').map(make).collect()
}

/// A number of things in words.
pub(super) fn count(number: usize, one: &str) -> Cow<'static, str> {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {one}{s}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(flow: &Flow, most: usize) -> Vec<String> {
        flow.lines(most).iter().map(Line::text).collect()
    }

    #[test]
    fn words_are_kept_whole_where_they_fit_and_wide_characters_take_two_columns() {
        let flow = Flow::words("one two  three", PLAIN).after("- ", PLAIN);
        assert_eq!(wrapped(&flow, 9), ["- one two", "  three"]);
        assert_eq!(wrapped(&flow, 7), ["- one", "  two", "  three"]);
        assert_eq!(wrapped(&Flow::words("abcdefgh", PLAIN), 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped(&Flow::words("日本語です", PLAIN), 5), ["日本", "語で", "す"]);
        assert_eq!(wrapped(&Flow::words("👍🏽 👩", PLAIN), 3), ["👍🏽", "👩"]);
        assert_eq!(wrapped(&Flow::code("a  b", PLAIN), 2), ["a ", " b"]);
        assert_eq!(wrapped(&Flow::words("", PLAIN), 5), [""]);
    }

    #[test]
    fn nothing_is_wider_than_a_screen_however_narrow() {
        let text = "x👩‍👩‍👧 zalgo\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} ends";
        for most in 2..12 {
            let flow = Flow::words(text, PLAIN).behind("│ ", PLAIN).behind("    ", PLAIN);
            for line in flow.lines(most) {
                assert!(line.width() <= most, "{most}: {:?}", line.text());
            }
            assert!(Line::new(text, PLAIN).cut(most).width() <= most);
        }
    }
}
