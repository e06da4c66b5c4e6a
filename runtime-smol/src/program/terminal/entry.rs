//! One thing of a transcript, and what it looks like.

use std::rc::Rc;

use anstyle::Style;
use footbridge_core::wire::viewer::Stage;
use serde_json::Value;

use super::diff::patch;
use super::limits::{FOLDED_DIFF, FOLDED_LINES};
use super::line::{Flow, Line, Span, count, flows};
use super::style::{ADDED, BAD, CHOSEN, DIM, GOOD, PERSON, PLAIN, REMOVED, TOOL, WARN};
use super::text::printed;
use super::{markdown, tools};

/// What it is.
#[derive(Debug)]
pub(super) enum Kind {
    /// What a person has said.
    Said(Said),
    /// What the agent says, in Markdown.
    Spoke(String),
    /// What it thinks.
    Thought(String),
    /// A tool that it uses.
    Call(Call),
    /// The result of a call that is not in the transcript.
    Result {
        /// The call.
        id: String,
        /// Its result.
        outcome: Outcome,
    },
    /// Anything else that people should know.
    Note {
        /// In words, on one or several lines.
        text: String,
        /// How it looks.
        style: Style,
    },
}

/// A message of a person.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) sending: Sending,
}

/// How far a message of this terminal has come on its way to the relay.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sending {
    OnItsWay,
    Stored,
    /// It was typed where the agent is.
    AtTheAgent,
    Failed(String),
}

/// A tool that the agent uses.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) tool: String,
    pub(super) input: Value,
    /// What a person has answered, in words.
    pub(super) verdict: Option<String>,
    pub(super) outcome: Option<Outcome>,
}

/// What came of a call.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) text: String,
    pub(super) is_error: bool,
    /// The change that it made to a file.
    pub(super) patch: Value,
}

/// How it is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) width: usize,
    pub(super) is_open: bool,
    pub(super) is_chosen: bool,
    /// How far a person's message has come.
    pub(super) stage: Stage,
}

/// A thing of a transcript.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Whether it is a sub-agent's.
    pub(super) is_nested: bool,
    /// Whether a person has unfolded it.
    pub(super) is_open: bool,
    cache: Option<(View, Rc<[Line]>)>,
}

impl Entry {
    pub(super) const fn new(kind: Kind, is_nested: bool) -> Self {
        Self { kind, is_nested, is_open: false, cache: None }
    }

    pub(super) fn note(text: impl Into<String>, style: Style) -> Self {
        Self::new(Kind::Note { text: text.into(), style }, false)
    }

    /// Something of it has changed.
    pub(super) fn changed(&mut self) {
        self.cache = None;
    }

    /// Whether there is more of it than is shown.
    pub(super) const fn is_foldable(&self) -> bool {
        matches!(self.kind, Kind::Call(_) | Kind::Thought(_) | Kind::Result { .. })
    }

    /// Roughly what it takes.
    pub(super) fn bytes(&self) -> usize {
        const BASE: usize = 200;
        let outcome = |outcome: &Outcome| outcome.text.len() + tools::bytes(&outcome.patch);
        BASE + match &self.kind {
            Kind::Said(said) => said.text.len(),
            Kind::Spoke(text) | Kind::Thought(text) | Kind::Note { text, .. } => text.len(),
            Kind::Call(call) => {
                tools::bytes(&call.input) + call.outcome.as_ref().map_or(0, outcome)
            }
            Kind::Result { outcome: result, .. } => outcome(result),
        }
    }

    /// As lines.
    pub(super) fn lines(&mut self, view: View) -> Rc<[Line]> {
        if let Some((known, lines)) = &self.cache
            && *known == view
        {
            return Rc::clone(lines);
        }
        let indent = if self.is_nested { 4 } else { 0 };
        let inner = View { width: view.width.saturating_sub(indent).max(2), ..view };
        let mut lines = match &self.kind {
            Kind::Said(said) => said.lines(inner),
            Kind::Spoke(text) => spaced(markdown::lines(text, inner.width)),
            Kind::Thought(text) => thought(text, inner),
            Kind::Call(call) => call.lines(inner),
            Kind::Result { outcome, .. } => outcome.lines("", inner),
            Kind::Note { text, style } => note(text, *style, inner.width),
        };
        if indent > 0 && view.width > 2 * indent {
            for line in &mut lines {
                line.spans.insert(0, Span::new(" ".repeat(indent), PLAIN));
            }
        }
        let lines: Rc<[Line]> = lines.into();
        self.cache = Some((view, Rc::clone(&lines)));
        lines
    }

    /// Forgets what it looked like.
    pub(super) fn forget(&mut self) {
        self.cache = None;
    }
}

/// With an empty line before it.
fn spaced(mut lines: Vec<Line>) -> Vec<Line> {
    lines.insert(0, Line::default());
    lines
}

fn rendered(flows: &[Flow], width: usize) -> Vec<Line> {
    flows.iter().flat_map(|flow| flow.lines(width)).collect()
}

fn note(text: &str, style: Style, width: usize) -> Vec<Line> {
    let lines = flows(text, |line| match line.split_once(' ') {
        Some((mark, rest)) if matches!(mark, "·" | "!" | "—" | "?") => {
            Flow::words(rest, style).after(&format!("{mark} "), style)
        }
        _ => Flow::words(line, style).behind("  ", PLAIN),
    });
    rendered(&lines, width)
}

fn thought(text: &str, view: View) -> Vec<Line> {
    let style = DIM.italic();
    let mark_style = if view.is_chosen { CHOSEN } else { style };
    if !view.is_open {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let line =
            Flow::of(vec![Span::new("✻", mark_style), Span::new(format!(" {first}"), style)]);
        let whole = line.lines(usize::MAX / 2);
        return spaced(whole.into_iter().map(|line| line.cut(view.width)).collect());
    }
    let mut lines = vec![Line::new("✻ thinking", mark_style)];
    let flows = flows(text, |line| Flow::words(line, style).behind("  ", PLAIN));
    lines.extend(rendered(&flows, view.width));
    spaced(lines)
}

impl Said {
    fn lines(&self, view: View) -> Vec<Line> {
        let mut all = flows(&self.text, |line| Flow::words(line, PLAIN));
        for (at, flow) in all.iter_mut().enumerate() {
            *flow = flow.clone().after(if at == 0 { "> " } else { "  " }, PERSON);
        }
        let words = match (&self.sending, view.stage) {
            (Sending::Failed(why), _) => Some((format!("not sent: {why}"), BAD)),
            (Sending::OnItsWay, _) => Some(("on its way".to_owned(), DIM)),
            (Sending::AtTheAgent, _) => None,
            (_, Stage::Stored) => Some(("waits for its machine".to_owned(), DIM)),
            (_, Stage::Sent) => Some(("sent to its machine".to_owned(), DIM)),
            (_, Stage::WithWorker) => Some(("waits for the agent".to_owned(), DIM)),
            (_, Stage::Delivered) => Some(("given to the agent".to_owned(), DIM)),
            _ => None,
        };
        if let Some((words, style)) = words {
            all.push(Flow::words(words, style).after("  ", PLAIN));
        }
        spaced(rendered(&all, view.width))
    }
}

impl Call {
    /// Whether it changes a file.
    fn is_change(&self) -> bool {
        matches!(self.tool.as_str(), "Edit" | "Write" | "MultiEdit" | "NotebookEdit")
    }

    fn lines(&self, view: View) -> Vec<Line> {
        let (mark, style) = match &self.outcome {
            None => ("○", WARN),
            Some(outcome) if outcome.is_error => ("●", BAD),
            Some(_) => ("●", GOOD),
        };
        let mark_style = if view.is_chosen { CHOSEN } else { style };
        let mut head = Line::default();
        head.push(mark, mark_style);
        head.push(" ", PLAIN);
        head.push(&tools::name(&self.tool), TOOL);
        head.push(&format!(" {}", tools::summary(&self.tool, &self.input)), PLAIN);
        let mut lines = vec![Line::default(), head.cut(view.width)];
        if let Some(verdict) = &self.verdict {
            lines.extend(Flow::words(verdict, DIM).after("  ", PLAIN).lines(view.width));
        }
        let inner = view.width.saturating_sub(4).max(2);
        let body = self.body(view.is_open);
        let most = if self.is_change() { FOLDED_DIFF } else { FOLDED_LINES };
        let body = rendered(&body, inner);
        lines.extend(folded(body, most, view).into_iter().map(indented));
        if let Some(outcome) = &self.outcome {
            lines.extend(outcome.lines_of(self, view));
        }
        lines
    }

    /// Its input, as far as its head does not say it.
    fn body(&self, is_open: bool) -> Vec<Flow> {
        let applied = self.outcome.as_ref().and_then(|outcome| patch(&outcome.patch));
        if let Some(flows) = applied {
            return flows;
        }
        // Whoever is asked about a change sees it where they are asked.
        if self.is_change() && self.outcome.is_none() && !is_open {
            return Vec::new();
        }
        let mut all = tools::whole(&self.tool, &self.input);
        match self.tool.as_str() {
            // Its first line says which file.
            "Edit" | "Write" | "MultiEdit" if !is_open => {
                all.remove(0);
                all
            }
            "TodoWrite" => all,
            _ if is_open => all,
            _ => Vec::new(),
        }
    }
}

impl Outcome {
    fn lines(&self, tool: &str, view: View) -> Vec<Line> {
        let style = if self.is_error { BAD } else { DIM };
        let text = printed(&self.text);
        let inner = view.width.saturating_sub(4).max(2);
        let folded_to =
            tools::folded_result(tool, &text).filter(|_| !view.is_open && !self.is_error);
        let lines = match folded_to {
            Some(words) if words.is_empty() => Vec::new(),
            Some(words) => vec![Line::new(words, style)],
            None if text.trim().is_empty() => vec![Line::new("(nothing)", style)],
            None => rendered(&flows(&text, |line| Flow::words(line, style)), inner),
        };
        let lines = folded(lines, FOLDED_LINES, view);
        let with_mark = lines.into_iter().enumerate().map(|(at, mut line)| {
            let mark = if at == 0 { "  ⎿ " } else { "    " };
            line.spans.insert(0, Span::new(mark, DIM));
            line
        });
        with_mark.collect()
    }

    fn lines_of(&self, call: &Call, view: View) -> Vec<Line> {
        // What it has changed says more.
        if call.is_change() && !self.is_error && !view.is_open {
            return Vec::new();
        }
        self.lines(&call.tool, view)
    }
}

fn indented(mut line: Line) -> Line {
    line.spans.insert(0, Span::new("    ", PLAIN));
    line
}

/// No more than a few lines, unless it is unfolded.
fn folded(mut lines: Vec<Line>, most: usize, view: View) -> Vec<Line> {
    if view.is_open || lines.len() <= most + 1 {
        return lines;
    }
    let more = lines.len() - most;
    let added = lines[most..].iter().filter(|line| starts(line, ADDED)).count();
    let removed = lines[most..].iter().filter(|line| starts(line, REMOVED)).count();
    lines.truncate(most);
    let changed = match (added, removed) {
        (0, 0) => String::new(),
        (added, removed) => format!(", +{added} −{removed}"),
    };
    let words = format!("… {}{changed}", count(more, "more line"));
    lines.push(Line::new(words, DIM).cut(view.width.saturating_sub(4).max(2)));
    lines
}

fn starts(line: &Line, style: Style) -> bool {
    line.spans.iter().any(|span| span.style == style)
}
