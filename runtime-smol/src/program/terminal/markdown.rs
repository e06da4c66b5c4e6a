//! Markdown as lines with styles. Nothing that an agent writes is HTML here, or a command.

use anstyle::Style;
use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::line::{Flow, Line, Span, width};
use super::style::{CODE, DIM, HEADING, LINK, PLAIN, STRONG};
use super::text::prose;

/// How deep blocks may be nested and still be indented.
const DEPTH: usize = 8;

/// As lines of this width.
pub(super) fn lines(markdown: &str, most: usize) -> Vec<Line> {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer = Writer { most, ..Writer::default() };
    for event in Parser::new_ext(markdown, options) {
        writer.event(event);
    }
    writer.flush();
    writer.lines
}

/// A block that others can be in.
#[derive(Debug)]
enum Outer {
    Quote,
    /// A list, and the number of its next item.
    List(Option<u64>),
    /// An item, and what is still to be put before it.
    Item {
        mark: Option<String>,
        indent: usize,
    },
}

#[derive(Debug, Default)]
struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<Vec<Span>>>,
}

#[derive(Debug, Default)]
struct Writer {
    most: usize,
    lines: Vec<Line>,
    outer: Vec<Outer>,
    styles: Vec<Style>,
    spans: Vec<Span>,
    /// The text of a block of code.
    code: Option<String>,
    /// Where links lead, and where their text begins.
    links: Vec<(String, usize)>,
    table: Option<Table>,
    needs_blank: bool,
}

impl Writer {
    fn style(&self) -> Style {
        self.styles.iter().fold(PLAIN, |all, one| {
            let all = all.effects(all.get_effects() | one.get_effects());
            all.fg_color(one.get_fg_color().or(all.get_fg_color()))
        })
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&prose(&text)),
                None => self.push(&text),
            },
            Event::Code(text) => {
                self.styles.push(CODE);
                self.push(&text);
                self.styles.pop();
            }
            Event::Html(text) | Event::InlineHtml(text) => {
                for (at, line) in text.split('\n').enumerate() {
                    if at > 0 {
                        self.flush();
                    }
                    self.push(line);
                }
            }
            Event::SoftBreak | Event::HardBreak if self.table.is_some() => self.push(" "),
            Event::SoftBreak | Event::HardBreak => self.flush_line(),
            Event::Rule => {
                self.begin_block();
                self.lines.push(Line::new("─".repeat(self.most.min(40)), DIM));
                self.needs_blank = true;
            }
            Event::TaskListMarker(is_done) => self.push(if is_done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn push(&mut self, text: &str) {
        // After it was parsed: an entity may be any character.
        let style = self.style();
        self.spans.push(Span::new(prose(text), style));
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.begin_block(),
            Tag::Heading { level, .. } => {
                self.begin_block();
                self.styles.push(if level <= HeadingLevel::H2 { HEADING } else { STRONG });
            }
            Tag::BlockQuote(_) => {
                self.begin_block();
                self.outer.push(Outer::Quote);
            }
            Tag::CodeBlock(kind) => {
                self.begin_block();
                if let CodeBlockKind::Fenced(language) = kind
                    && !language.is_empty()
                {
                    self.spans.push(Span::new(prose(&language), DIM));
                    self.flush();
                }
                self.code = Some(String::new());
            }
            Tag::List(first) => {
                let is_outermost = !self.outer.iter().any(|one| matches!(one, Outer::List(_)));
                self.flush();
                if is_outermost {
                    self.begin_block();
                }
                self.needs_blank = false;
                self.outer.push(Outer::List(first));
            }
            Tag::Item => {
                self.flush();
                self.needs_blank = false;
                let mark = match self.outer.last_mut() {
                    Some(Outer::List(Some(number))) => {
                        *number += 1;
                        format!("{}. ", *number - 1)
                    }
                    _ => "• ".to_owned(),
                };
                let indent = width(&mark);
                self.outer.push(Outer::Item { mark: Some(mark), indent });
            }
            Tag::Emphasis => self.styles.push(Style::new().italic()),
            Tag::Strong => self.styles.push(STRONG),
            Tag::Strikethrough => self.styles.push(Style::new().strikethrough()),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.links.push((prose(&dest_url), self.spans.len()));
                self.styles.push(LINK);
            }
            Tag::Table(alignments) => {
                self.begin_block();
                self.table = Some(Table { alignments, rows: Vec::new() });
            }
            Tag::TableHead => {
                self.styles.push(STRONG);
                self.new_row();
            }
            Tag::TableRow => self.new_row(),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => {
                self.flush();
                self.needs_blank = true;
            }
            TagEnd::Heading(_) => {
                self.flush();
                self.styles.pop();
                self.needs_blank = true;
            }
            TagEnd::BlockQuote(_) => {
                self.flush();
                self.outer.pop();
                self.needs_blank = true;
            }
            TagEnd::CodeBlock => self.end_code(),
            TagEnd::List(_) => {
                self.flush();
                self.outer.pop();
                self.needs_blank = !self.outer.iter().any(|one| matches!(one, Outer::List(_)));
            }
            TagEnd::Item => {
                self.flush();
                self.outer.pop();
                self.needs_blank = false;
            }
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough => {
                self.styles.pop();
            }
            TagEnd::Link | TagEnd::Image => {
                self.styles.pop();
                self.end_link();
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.spans);
                if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(cell);
                }
            }
            TagEnd::TableHead => {
                self.styles.pop();
            }
            TagEnd::Table => self.end_table(),
            TagEnd::HtmlBlock => self.flush(),
            _ => {}
        }
    }

    /// A link says where it leads, unless that is what it says.
    fn end_link(&mut self) {
        let Some((url, from)) = self.links.pop() else { return };
        let shown: String = self.spans.iter().skip(from).map(|span| span.text.as_str()).collect();
        if !url.is_empty() && shown.trim_end_matches('/') != url.trim_end_matches('/') {
            self.spans.push(Span::new(format!(" ({url})"), DIM));
        }
    }

    fn end_code(&mut self) {
        let code = self.code.take().unwrap_or_default();
        for line in code.trim_end_matches('\n').split('\n') {
            let flow = Flow::code(line, CODE).behind("  ", PLAIN);
            self.write(flow);
        }
        self.needs_blank = true;
    }

    fn new_row(&mut self) {
        if let Some(table) = &mut self.table {
            table.rows.push(Vec::new());
        }
    }

    fn begin_block(&mut self) {
        self.flush();
        if self.needs_blank && !self.lines.is_empty() {
            let mut blank = Line::default();
            for outer in &self.outer {
                if let Outer::Quote = outer {
                    blank.push("│", DIM);
                }
            }
            self.lines.push(blank);
        }
        self.needs_blank = false;
    }

    /// Ends a line inside a paragraph.
    fn flush_line(&mut self) {
        if self.spans.is_empty() {
            self.spans.push(Span::new("", PLAIN));
        }
        self.flush();
    }

    fn flush(&mut self) {
        if self.spans.is_empty() {
            return;
        }
        let flow = Flow::of(std::mem::take(&mut self.spans));
        // What a link's text was counted from is gone.
        for (_, from) in &mut self.links {
            *from = 0;
        }
        self.write(flow);
    }

    /// Writes a line of text behind what it is in.
    fn write(&mut self, mut flow: Flow) {
        let outer = self.outer.iter_mut().rev().take(DEPTH);
        for one in outer {
            match one {
                Outer::Quote => flow = flow.behind("│ ", DIM),
                Outer::List(_) => {}
                Outer::Item { mark, indent } => {
                    flow = match mark.take() {
                        Some(mark) => flow.after(&mark, DIM),
                        None => flow.behind(&" ".repeat(*indent), PLAIN),
                    };
                }
            }
        }
        self.lines.extend(flow.lines(self.most));
    }

    fn end_table(&mut self) {
        let Some(Table { alignments, rows }) = self.table.take() else { return };
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let cell_width = |cell: &Vec<Span>| cell.iter().map(|span| width(&span.text)).sum();
        let natural: Vec<usize> = (0..columns)
            .map(|at| rows.iter().filter_map(|row| row.get(at)).map(cell_width).max().unwrap_or(0))
            .collect();
        let borders = 3 * columns.saturating_sub(1);
        let widths = shares(&natural, self.most.saturating_sub(borders));
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<Vec<Line>> = widths
                .iter()
                .enumerate()
                .map(|(at, room)| Flow::of(row.get(at).cloned().unwrap_or_default()).lines(*room))
                .collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or_default();
            for down in 0..height {
                let mut line = Line::default();
                for (at, cell) in cells.iter().enumerate() {
                    if at > 0 {
                        line.push(" │ ", DIM);
                    }
                    let part = cell.get(down).cloned().unwrap_or_default();
                    let space = widths[at].saturating_sub(part.width());
                    let before = match alignments.get(at) {
                        Some(Alignment::Right) => space,
                        Some(Alignment::Center) => space / 2,
                        _ => 0,
                    };
                    line.push(&" ".repeat(before), PLAIN);
                    line.extend(&part.spans);
                    if at + 1 < widths.len() {
                        line.push(&" ".repeat(space - before), PLAIN);
                    }
                }
                self.lines.push(line);
            }
            if number == 0 {
                let rule: Vec<_> = widths.iter().map(|room| "─".repeat(*room)).collect();
                self.lines.push(Line::new(rule.join("─┼─"), DIM));
            }
        }
        self.needs_blank = true;
    }
}

/// Widths of columns that together take no more than there is: the widest give way first.
fn shares(natural: &[usize], room: usize) -> Vec<usize> {
    let mut most = natural.iter().copied().max().unwrap_or_default();
    while most > 2 && natural.iter().map(|one| (*one).min(most)).sum::<usize>() > room {
        most -= 1;
    }
    natural.iter().map(|one| (*one).min(most).max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(markdown: &str, most: usize) -> String {
        let lines = lines(markdown, most);
        lines.iter().map(|line| line.text().trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn every_kind_of_block_reads_as_what_it_is() {
        let markdown = "# Title\n\nSome **bold** and `code`,\na [link](https://a.example).\n\n- one\n- two\n  1. deep\n- [x] done\n\n> said\n> again\n\n```rust\nfn main() {}\n\nlet x;\n```\n---\nend <b>no HTML</b>";
        let expected = "Title\n\nSome bold and code,\na link (https://a.example).\n\n• one\n• two\n  1. deep\n• ☑ done\n\n│ said\n│ again\n\nrust\n  fn main() {}\n\n  let x;\n\n────────────────────────────────────────\n\nend <b>no HTML</b>\n";
        assert_eq!(text(markdown, 60), expected);
    }

    #[test]
    fn a_table_fits_any_width() {
        let markdown = "| name | what it is |\n|---|--:|\n| a | a rather long description |\n";
        assert_eq!(
            text(markdown, 40),
            "name │                what it is\n─────┼──────────────────────────\na    │ a rather long description\n"
        );
        for most in 8..30 {
            for line in lines(markdown, most) {
                assert!(line.width() <= most, "{most}: {}", line.text());
            }
        }
    }

    #[test]
    fn a_link_cannot_hide_where_it_leads_and_nothing_commands_the_terminal() {
        assert_eq!(
            text("[https://good.example](https://bad.example/&#27;]0;x)", 80),
            "https://good.example (https://bad.example/␛]0;x)\n"
        );
        assert_eq!(text("<https://a.example>", 80), "https://a.example\n");
        assert_eq!(text("a&#27;[2J &#x202e;b", 80), "a␛[2J <U+202E>b\n");
    }

    #[test]
    fn what_is_still_streaming_is_shown_as_far_as_it_has_come() {
        let whole = "Look:\n\n```sh\nls -la\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |";
        for end in 0..whole.len() {
            let _ = text(&whole[..end], 20);
        }
        assert_eq!(text("```sh\nls", 20), "sh\n  ls\n");
    }
}
