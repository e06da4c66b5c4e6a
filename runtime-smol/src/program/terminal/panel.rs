//! The open questions: one of them is shown, whole, above its answers.

use std::time::Duration;

use footbridge_core::remote::Asked;
use footbridge_core::wire::viewer::PermissionPost;

use super::keys::Key;
use super::limits::{ARRIVAL_GUARD, QUESTION_GUARD};
use super::line::{Line, Span};
use super::question::{Answering, Question};
use super::style::{ASK, CHOSEN, DIM, KEY, PLAIN};

/// The questions, oldest first.
#[derive(Debug, Default)]
pub(super) struct Panel {
    questions: Vec<Question>,
    at: usize,
    /// Answers that are on their way.
    answering: Vec<Question>,
    /// Lines that there was room for.
    room: usize,
    /// Whether there were more.
    is_long: bool,
    /// Whether some of those were not drawn, because the window has no room for them.
    is_cut: bool,
}

/// How many lines there are for the question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Height {
    /// It takes no more than these.
    pub(super) most: usize,
    /// And no more than these can be seen.
    pub(super) drawn: usize,
}

/// What a key has done.
#[derive(Debug)]
pub(super) enum Pressed {
    Taken,
    Untaken,
    /// It cannot be done, for this reason.
    No(&'static str),
    /// The question has only just come: the key is part of what a person was typing.
    Early,
    Answer(PermissionPost),
}

/// How a question came to have the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It appeared, while nothing stood in the input.
    ByItself,
    /// A person went to it, or has answered the one before.
    ByKey,
}

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) lines: Vec<Line>,
    /// Row and column.
    pub(super) cursor: Option<(usize, usize)>,
}

impl Panel {
    pub(super) fn is_open(&self) -> bool {
        !self.questions.is_empty()
    }

    pub(super) fn count(&self) -> usize {
        self.questions.len()
    }

    pub(super) fn asked(&mut self, asked: Asked) {
        let is_known = |question: &Question| {
            question.asked.request_id == asked.request_id && question.asked.seq == asked.seq
        };
        if !self.questions.iter().any(is_known) {
            self.questions.push(Question::new(asked));
        }
    }

    /// Whether it was open here.
    pub(super) fn withdrawn(&mut self, request_id: &str) -> bool {
        let before = self.questions.len() + self.answering.len();
        self.questions.retain(|question| question.asked.request_id != request_id);
        self.answering.retain(|question| question.asked.request_id != request_id);
        self.at = self.at.min(self.questions.len().saturating_sub(1));
        before > self.questions.len() + self.answering.len()
    }

    /// Its answer was stored.
    pub(super) fn answered(&mut self, request_id: &str) {
        self.answering.retain(|question| question.asked.request_id != request_id);
    }

    /// Its answer was not sent: it is open again.
    pub(super) fn not_answered(&mut self, request_id: &str) {
        let found = self.answering.iter().position(|one| one.asked.request_id == request_id);
        if let Some(at) = found {
            let question = self.answering.remove(at);
            self.questions.insert(0, question);
            self.at = 0;
        }
    }

    /// Answers that are not stored yet.
    pub(super) fn on_their_way(&self) -> usize {
        self.answering.len()
    }

    fn current(&mut self) -> Option<&mut Question> {
        self.questions.get_mut(self.at)
    }

    /// The question, in at most so many lines.
    pub(super) fn frame(
        &mut self,
        now: Duration,
        width: usize,
        height: Height,
        is_focused: bool,
    ) -> Shown {
        let Height { most: height, drawn } = height;
        let (at, count) = (self.at, self.questions.len());
        let Some(question) = self.current() else { return Shown::default() };
        question.appeared.get_or_insert(now);
        let mut head = Line::default();
        let mark = if is_focused { ASK } else { DIM };
        head.push("━━ ", mark);
        head.push(&question.title(), ASK);
        if count > 1 {
            head.push(&format!(" ({} of {count}, ← → for others)", at + 1), DIM);
        }
        head.push(" ", PLAIN);
        let rest = width.saturating_sub(head.width());
        head.push(&"━".repeat(rest), mark);
        let (body, mut cursor) = question.body(width);
        let (answers, answer_cursor) = question.answers(width);
        let room = height.saturating_sub(answers.len() + 1).max(1);
        let hidden = body.len().saturating_sub(room);
        // Without the line that says how much more there is.
        let room = if hidden > 0 { room.saturating_sub(1).max(1) } else { room };
        let most = body.len().saturating_sub(room);
        question.scrolled = question.scrolled.min(most);
        let length = 1 + room.min(body.len()) + usize::from(hidden > 0) + answers.len();
        // The line above it may be missing, and nothing else.
        let is_cut = length > height || length > drawn + 1;
        if question.scrolled == most && !is_cut {
            question.is_seen = true;
        }
        let from = question.scrolled;
        let mut lines = vec![head.cut(width)];
        lines.extend(body.iter().skip(from).take(room).cloned());
        if hidden > 0 {
            let below = most - from;
            let words = match below {
                0 => "— its end; PgUp for what is above".to_owned(),
                below => format!("↓ {below} more lines: PgDn, or End for the end"),
            };
            lines.push(Line::new(words, KEY).cut(width));
        }
        cursor = cursor.and_then(|(row, column)| Some((row.checked_sub(from)? + 1, column)));
        let below = lines.len();
        lines.extend(answers);
        cursor = answer_cursor.map(|(row, column)| (row + below, column)).or(cursor);
        if !is_focused {
            let words = Span::new(" Tab answers ", CHOSEN);
            lines.push(Line { spans: vec![words] });
        }
        lines.truncate(height.max(1));
        (self.room, self.is_long, self.is_cut) = (room, hidden > 0, is_cut);
        Shown { lines, cursor: cursor.filter(|_| is_focused) }
    }

    /// A key while it has the focus.
    pub(super) fn key(&mut self, now: Duration, key: &Key, came: Came) -> Pressed {
        let (room, count, is_long) = (self.room.max(2) - 1, self.questions.len(), self.is_long);
        let Some(question) = self.questions.get_mut(self.at) else { return Pressed::Untaken };
        if !question.is_typing() {
            match key {
                Key::Char(' ') if is_long && !question.is_seen => {
                    question.scrolled = question.scrolled.saturating_add(room);
                    return Pressed::Taken;
                }
                // The transcript's, where all of the question is in view.
                Key::PageDown
                | Key::PageUp
                | Key::ScrollDown
                | Key::ScrollUp
                | Key::End
                | Key::Home
                    if !is_long =>
                {
                    return Pressed::Untaken;
                }
                Key::PageDown => {
                    question.scrolled = question.scrolled.saturating_add(room);
                    return Pressed::Taken;
                }
                Key::ScrollDown => {
                    question.scrolled = question.scrolled.saturating_add(1);
                    return Pressed::Taken;
                }
                Key::ScrollUp => {
                    question.scrolled = question.scrolled.saturating_sub(1);
                    return Pressed::Taken;
                }
                Key::PageUp => {
                    question.scrolled = question.scrolled.saturating_sub(room);
                    return Pressed::Taken;
                }
                Key::End => {
                    question.scrolled = usize::MAX;
                    return Pressed::Taken;
                }
                Key::Home => {
                    question.scrolled = 0;
                    return Pressed::Taken;
                }
                Key::Right | Key::Char(']') if count > 1 => {
                    self.at = (self.at + 1) % count;
                    return Pressed::Taken;
                }
                Key::Left | Key::Char('[') if count > 1 => {
                    self.at = (self.at + count - 1) % count;
                    return Pressed::Taken;
                }
                _ => {}
            }
        }
        let guard = match came {
            Came::ByItself => ARRIVAL_GUARD,
            Came::ByKey => QUESTION_GUARD,
        };
        let is_new = question.appeared.is_none_or(|at| now < at + guard);
        if is_new && !question.is_typing() {
            if came == Came::ByItself && matches!(key, Key::Char(_) | Key::Paste(_)) {
                return Pressed::Early;
            }
            // Whoever goes on typing has not read it.
            question.appeared = Some(now);
            return Pressed::No("the question has just appeared: press the key again");
        }
        match question.key(key) {
            Answering::Taken => Pressed::Taken,
            Answering::Untaken => Pressed::Untaken,
            Answering::Unseen if self.is_cut => Pressed::No(
                "the window is too small to show what is asked: make it larger, or deny it",
            ),
            Answering::Unseen => Pressed::No(
                "there is more of it: PgDn or End shows the rest, then it can be allowed",
            ),
            Answering::Answer(answer) => {
                let question = self.questions.remove(self.at);
                self.answering.push(question);
                self.at = self.at.min(self.questions.len().saturating_sub(1));
                Pressed::Answer(answer)
            }
        }
    }
}
