//! A text of one or several lines that is being typed.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation as _;

use super::keys::Key;
use super::limits::{HISTORY, INPUT_BYTES};
use super::line::columns;

/// What a key has done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edited {
    /// Something, or nothing that could be done.
    Taken,
    /// It is finished.
    Entered,
    /// The key is not for it.
    Untaken,
}

/// The text, the cursor in it, and what was typed before.
#[derive(Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// A boundary between characters.
    at: usize,
    /// The last one last.
    history: VecDeque<String>,
    /// How far back in it, and what was being typed.
    recalled: Option<(usize, String)>,
}

/// A row of the text as it is shown, and where in the text it begins.
pub(super) type Row = (usize, String);

impl Editor {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) const fn cursor(&self) -> usize {
        self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Gives the text, and is empty.
    pub(super) fn take(&mut self) -> String {
        (self.at, self.recalled) = (0, None);
        std::mem::take(&mut self.text)
    }

    pub(super) fn set(&mut self, text: String) {
        self.at = text.len();
        self.text = text;
    }

    /// Puts something in the place of what is between there and the cursor.
    pub(super) fn complete(&mut self, from: usize, with: &str) {
        self.text.replace_range(from..self.at, with);
        self.at = from + with.len();
    }

    /// Something that was said can be fetched back.
    pub(super) fn remember(&mut self, text: &str) {
        if text.len() > INPUT_BYTES || self.history.back().is_some_and(|last| last == text) {
            return;
        }
        self.history.push_back(text.to_owned());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// What was said before all that it knows of, the last one first.
    pub(super) fn remember_older<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        if self.recalled.is_none() {
            self.history.clear();
            for text in texts.take(HISTORY) {
                if self.history.front().is_none_or(|first| first != text) {
                    self.history.push_front(text.to_owned());
                }
            }
        }
    }

    fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() <= INPUT_BYTES {
            self.text.insert_str(self.at, text);
            self.at += text.len();
        }
    }

    fn before(&self) -> usize {
        let last = self.text[..self.at].grapheme_indices(true).next_back();
        last.map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        let next = self.text[self.at..].graphemes(true).next();
        self.at + next.map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let mut words = self.text[..self.at].unicode_word_indices();
        words.next_back().map_or(0, |(at, _)| at)
    }

    fn word_after(&self) -> usize {
        let next = self.text[self.at..].unicode_word_indices().next();
        next.map_or(self.text.len(), |(at, word)| self.at + at + word.len())
    }

    fn line_start(&self) -> usize {
        self.text[..self.at].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        self.text[self.at..].find('\n').map_or(self.text.len(), |at| self.at + at)
    }

    fn cut(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.at = from;
    }

    /// A key.
    pub(super) fn key(&mut self, key: &Key) -> Edited {
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            // What is pasted is not typed: nothing in it is a command to this terminal.
            Key::Paste(text) => {
                self.insert(&text.replace("\r\n", "\n").replace('\r', "\n"));
            }
            Key::Newline => self.insert("\n"),
            Key::Enter if self.text[..self.at].ends_with('\\') => {
                self.at -= 1;
                self.text.remove(self.at);
                self.insert("\n");
            }
            Key::Enter => return Edited::Entered,
            Key::Backspace => self.cut(self.before(), self.at),
            Key::Delete | Key::Ctrl('d') => self.cut(self.at, self.after()),
            Key::WordBackspace | Key::Ctrl('w') => self.cut(self.word_before(), self.at),
            Key::Ctrl('u') => self.cut(self.line_start(), self.at),
            Key::Ctrl('k') => self.cut(self.at, self.line_end()),
            Key::Left | Key::Ctrl('b') => self.at = self.before(),
            Key::Right | Key::Ctrl('f') => self.at = self.after(),
            Key::WordLeft => self.at = self.word_before(),
            Key::WordRight => self.at = self.word_after(),
            Key::Home | Key::Ctrl('a') => self.at = self.line_start(),
            Key::End | Key::Ctrl('e') => self.at = self.line_end(),
            Key::Up => self.up(),
            Key::Down => self.down(),
            Key::Ctrl('p') => self.recall_older(),
            Key::Ctrl('n') => self.recall_newer(),
            _ => return Edited::Untaken,
        }
        Edited::Taken
    }

    fn up(&mut self) {
        let start = self.line_start();
        if start == 0 {
            return self.recall_older();
        }
        let column = self.text[start..self.at].chars().count();
        self.at = start - 1;
        self.move_to_column(column);
    }

    fn down(&mut self) {
        let (start, end) = (self.line_start(), self.line_end());
        if end == self.text.len() {
            return self.recall_newer();
        }
        let column = self.text[start..self.at].chars().count();
        self.at = end + 1;
        self.move_to_column(column);
    }

    fn move_to_column(&mut self, column: usize) {
        let start = self.line_start();
        let line = &self.text[start..self.line_end()];
        self.at = start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    }

    fn recall_older(&mut self) {
        let back = self.recalled.as_ref().map_or(1, |(back, _)| back + 1);
        let Some(at) = self.history.len().checked_sub(back) else { return };
        let typed = self.recalled.take().map(|(_, typed)| typed);
        let typed = typed.unwrap_or_else(|| self.text.clone());
        self.set(self.history[at].clone());
        self.recalled = Some((back, typed));
    }

    fn recall_newer(&mut self) {
        let Some((back, typed)) = self.recalled.take() else { return };
        if back <= 1 {
            return self.set(typed);
        }
        self.set(self.history[self.history.len() + 1 - back].clone());
        self.recalled = Some((back - 1, typed));
    }

    /// Its rows in so many columns, and the row and column of the cursor.
    pub(super) fn rows(&self, width: usize) -> (Vec<Row>, (usize, usize)) {
        let width = width.max(2);
        let mut rows: Vec<Row> = vec![(0, String::new())];
        let (mut used, mut cursor) = (0, (0, 0));
        for (at, grapheme) in self.text.grapheme_indices(true) {
            let is_newline = grapheme.ends_with('\n');
            let shown = super::text::exact(grapheme);
            let needed = if is_newline { 0 } else { shown_columns(&shown) };
            if used + needed > width && used > 0 {
                rows.push((at, String::new()));
                used = 0;
            }
            if at == self.at {
                cursor = (rows.len() - 1, used);
            }
            if is_newline {
                rows.push((at + grapheme.len(), String::new()));
                used = 0;
                continue;
            }
            used += needed;
            if let Some((_, row)) = rows.last_mut() {
                row.push_str(&shown);
            }
        }
        if self.at == self.text.len() {
            if used >= width {
                rows.push((self.at, String::new()));
                used = 0;
            }
            cursor = (rows.len() - 1, used);
        }
        (rows, cursor)
    }
}

fn shown_columns(text: &str) -> usize {
    text.graphemes(true).map(columns).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(editor: &mut Editor, text: &str) {
        for c in text.chars() {
            editor.key(&Key::Char(c));
        }
    }

    #[test]
    fn it_edits_as_people_expect() {
        let mut editor = Editor::default();
        typed(&mut editor, "one two 👍🏽");
        editor.key(&Key::Backspace);
        editor.key(&Key::Ctrl('w'));
        assert_eq!(editor.text(), "one ");
        editor.key(&Key::Home);
        editor.key(&Key::Delete);
        editor.key(&Key::WordRight);
        editor.key(&Key::Paste("A\r\nB\rC".to_owned()));
        assert_eq!(editor.text(), "neA\nB\nC ");
        editor.key(&Key::Up);
        editor.key(&Key::Ctrl('k'));
        assert_eq!(editor.text(), "neA\nB\nC ");
        editor.key(&Key::Ctrl('u'));
        assert_eq!(editor.text(), "neA\n\nC ");
        editor.key(&Key::End);
        typed(&mut editor, "\\");
        assert_eq!(editor.key(&Key::Enter), Edited::Taken);
        assert_eq!(editor.text(), "neA\n\n\nC ");
        assert_eq!(editor.key(&Key::Enter), Edited::Entered);
    }

    #[test]
    fn what_was_said_is_fetched_back_and_what_was_being_typed_is_not_lost() {
        let mut editor = Editor::default();
        editor.remember_older(["three", "two", "two", "one"].into_iter());
        typed(&mut editor, "dra");
        let mut seen = Vec::new();
        for key in [Key::Up, Key::Up, Key::Up, Key::Up, Key::Down, Key::Down, Key::Down] {
            editor.key(&key);
            seen.push(editor.text().to_owned());
        }
        assert_eq!(seen, ["three", "two", "one", "one", "two", "three", "dra"]);
    }

    #[test]
    fn rows_are_as_wide_as_there_is_room() {
        let mut editor = Editor::default();
        editor.set("日本語\nab".to_owned());
        let (rows, cursor) = editor.rows(4);
        let rows: Vec<_> = rows.iter().map(|(at, row)| (*at, row.as_str())).collect();
        assert_eq!(rows, [(0, "日本"), (6, "語"), (10, "ab")]);
        assert_eq!(cursor, (2, 2));
        editor.set("abcd".to_owned());
        assert_eq!(editor.rows(4).1, (1, 0));
    }
}
