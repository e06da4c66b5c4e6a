//! The questions of `AskUserQuestion`, each with its choices and room for words of one's own.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::editor::{Edited, Editor};
use super::keys::Key;
use super::line::{Flow, Line, Span};
use super::style::{ASK, CHOSEN, DIM, GOOD, KEY, PLAIN, STRONG};
use super::text::{exact, one_line};

/// More than an agent asks in good faith: beyond these, its input is shown as it is.
const QUESTIONS: usize = 20;
const OPTIONS: usize = 50;

#[derive(Debug)]
struct Item {
    question: String,
    header: String,
    /// Labels, and what they mean.
    options: Vec<(String, String)>,
    is_multiple: bool,
    chosen: BTreeSet<usize>,
    own: String,
}

/// The questions, and which one is being answered.
#[derive(Debug)]
pub(super) struct Choices {
    input: Value,
    items: Vec<Item>,
    at: usize,
    cursor: usize,
    words: Option<Editor>,
}

/// What a key has done.
#[derive(Debug)]
pub(super) enum Choosing {
    Taken,
    Untaken,
    /// All are answered: the changed input.
    Done(Option<Box<RawValue>>),
}

impl Choices {
    /// `None` if it cannot be asked as what it should be.
    pub(super) fn of(input: &Value) -> Option<Self> {
        let all = input["questions"].as_array()?;
        if all.is_empty() || all.len() > QUESTIONS {
            return None;
        }
        let items: Vec<Item> = all.iter().map(item).collect::<Option<_>>()?;
        let names: BTreeSet<_> = items.iter().map(|item| &item.question).collect();
        // Answers go by the text of their questions.
        if names.len() != items.len() {
            return None;
        }
        Some(Self { input: input.clone(), items, at: 0, cursor: 0, words: None })
    }

    /// Whether words are being typed.
    pub(super) const fn is_typing(&self) -> bool {
        self.words.is_some()
    }

    /// The row and column of the cursor, counted from the last line, if words are typed.
    pub(super) fn lines(&self, width: usize) -> (Vec<Line>, Option<(usize, usize)>) {
        let item = &self.items[self.at];
        let mut lines = Vec::new();
        let mut head = vec![Span::new("? ", ASK)];
        if self.items.len() > 1 {
            head.push(Span::new(format!("{}/{} ", self.at + 1, self.items.len()), DIM));
        }
        if !item.header.is_empty() {
            head.push(Span::new(format!("[{}] ", one_line(&item.header)), DIM));
        }
        head.push(Span::new(one_line(&item.question), STRONG));
        lines.extend(Flow::of(head).lines(width));
        for (at, (label, about)) in item.options.iter().enumerate() {
            let is_chosen = item.chosen.contains(&at);
            let mark = match (item.is_multiple, is_chosen) {
                (true, true) => "☑",
                (true, false) => "☐",
                (false, true) => "●",
                (false, false) => "○",
            };
            let number = if at < 9 { format!("{} ", at + 1) } else { "  ".to_owned() };
            let style = if at == self.cursor && !self.is_typing() { CHOSEN } else { PLAIN };
            let mut spans = vec![Span::new(format!("{mark} {}", one_line(label)), style)];
            if !about.is_empty() {
                spans.push(Span::new(format!("  {}", one_line(about)), DIM));
            }
            lines.extend(Flow::of(spans).after(&number, KEY).lines(width));
        }
        let mut cursor = None;
        match &self.words {
            Some(editor) => {
                let room = width.saturating_sub(2).max(2);
                let (rows, (row, column)) = editor.rows(room);
                cursor = Some((lines.len() + row, column + 2));
                for (_, row) in rows {
                    lines.push(Line { spans: vec![Span::new("› ", KEY), Span::new(row, PLAIN)] });
                }
            }
            None if !item.own.is_empty() => {
                let own = Flow::words(exact(&item.own), GOOD).after("› ", KEY);
                lines.extend(own.lines(width));
            }
            None => {}
        }
        (lines, cursor)
    }

    /// What its keys do.
    pub(super) fn hint(&self) -> &'static str {
        match (&self.words, self.items[self.at].is_multiple) {
            (Some(_), _) => "Enter takes these words · Esc back",
            (None, true) => "numbers choose · o own words · Enter goes on · n refuses",
            (None, false) => "a number answers · o own words · n refuses",
        }
    }

    pub(super) fn key(&mut self, key: &Key) -> Choosing {
        if let Some(editor) = &mut self.words {
            if *key == Key::Esc {
                self.words = None;
            } else if editor.key(key) == Edited::Entered {
                let own = editor.take();
                self.words = None;
                let item = &mut self.items[self.at];
                own.trim().clone_into(&mut item.own);
                if !item.own.is_empty() {
                    if !item.is_multiple {
                        item.chosen.clear();
                    }
                    return self.next();
                }
            }
            return Choosing::Taken;
        }
        let item = &mut self.items[self.at];
        let count = item.options.len();
        match key {
            Key::Char(c @ '1'..='9') => {
                let at = *c as usize - '1' as usize;
                if at < count {
                    return self.pick(at);
                }
            }
            Key::Up if count > 0 => self.cursor = (self.cursor + count - 1) % count,
            Key::Down if count > 0 => self.cursor = (self.cursor + 1) % count,
            Key::Char(' ') if count > 0 && item.is_multiple => return self.pick(self.cursor),
            Key::Enter if item.is_multiple => {
                if !item.chosen.is_empty() || !item.own.is_empty() {
                    return self.next();
                }
            }
            Key::Enter if count > 0 => return self.pick(self.cursor),
            Key::Char('o') | Key::Enter => {
                let mut editor = Editor::default();
                editor.set(item.own.clone());
                self.words = Some(editor);
            }
            Key::Left | Key::Backspace if self.at > 0 => {
                self.at -= 1;
                self.cursor = 0;
            }
            _ => return Choosing::Untaken,
        }
        Choosing::Taken
    }

    fn pick(&mut self, at: usize) -> Choosing {
        self.cursor = at;
        let item = &mut self.items[self.at];
        if item.is_multiple {
            if !item.chosen.remove(&at) {
                item.chosen.insert(at);
            }
            return Choosing::Taken;
        }
        item.chosen = BTreeSet::from([at]);
        item.own.clear();
        self.next()
    }

    fn next(&mut self) -> Choosing {
        if self.at + 1 < self.items.len() {
            self.at += 1;
            self.cursor = 0;
            return Choosing::Taken;
        }
        let answers = self.items.iter().map(|item| {
            let labels = item.chosen.iter().filter_map(|at| item.options.get(*at));
            let own = Some(item.own.as_str()).filter(|own| !own.is_empty());
            let all = labels.map(|(label, _)| label.as_str()).chain(own).collect::<Vec<_>>();
            (item.question.clone(), Value::from(all.join(", ")))
        });
        let answers: serde_json::Map<_, _> = answers.collect();
        let mut input = self.input.clone();
        input["answers"] = Value::Object(answers);
        Choosing::Done(to_raw_value(&input).ok())
    }
}

fn item(value: &Value) -> Option<Item> {
    let options = value["options"].as_array().map(Vec::as_slice).unwrap_or_default();
    let options = options.iter().map(|option| {
        let about = option["description"].as_str().unwrap_or_default();
        Some((option["label"].as_str()?.to_owned(), about.to_owned()))
    });
    let options: Vec<_> = options.collect::<Option<_>>()?;
    if options.len() > OPTIONS {
        return None;
    }
    Some(Item {
        question: value["question"].as_str().filter(|text| !text.trim().is_empty())?.to_owned(),
        header: value["header"].as_str().unwrap_or_default().to_owned(),
        options,
        is_multiple: value["multiSelect"] == true,
        chosen: BTreeSet::new(),
        own: String::new(),
    })
}
