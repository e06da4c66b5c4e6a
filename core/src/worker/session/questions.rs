//! The questions that a session's agent waits to have answered (M-2).
//!
//! Their ids are the agent's, who may use one again: for its next question, or from the start because
//! it has restarted. What the relay sends may then be about an earlier question with the same id, so
//! its answers name the line that asked. While a question is open, the same one again is a repeat, and
//! gets the same answer; a different one under its id makes both unanswerable, since nobody can know
//! which of them the agent would take an answer for.

use alloc::collections::BTreeMap;
use alloc::string::String;

use sha2::{Digest, Sha256};

use crate::base::limits::MAX_OPEN_PERMISSIONS;
use crate::base::text::Text;
use crate::wire::control::{self, FieldsOf};

/// The agent's questions that nobody has answered.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<String, Question>,
}

#[derive(Debug)]
struct Question {
    /// The line that asked it first, counted from the first one of this link.
    line: u64,
    /// What it asks.
    digest: [u8; 32],
    /// How often it was asked.
    times: usize,
}

/// What a question is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// One to wait for an answer to.
    Open,
    /// One too many.
    TooMany,
    /// Different from another one that is open under its id. Neither is open any more, and each of
    /// so many has to be refused.
    Ambiguous { times: usize },
}

impl Questions {
    pub(super) const fn new() -> Self {
        Self { open: BTreeMap::new() }
    }

    /// The agent asks a question, on the line of this number.
    pub(super) fn ask(&mut self, id: String, line: u64, text: &Text) -> Asked {
        let digest = digest_of(text);
        let asked = self.open.values().map(|question| question.times).sum::<usize>();
        match self.open.get_mut(&id) {
            Some(open) if open.digest != digest => {
                let times = open.times + 1;
                self.open.remove(&id);
                Asked::Ambiguous { times }
            }
            _ if asked >= MAX_OPEN_PERMISSIONS => Asked::TooMany,
            Some(open) => {
                open.times += 1;
                Asked::Open
            }
            None => {
                self.open.insert(id, Question { line, digest, times: 1 });
                Asked::Open
            }
        }
    }

    /// The agent no longer waits for an answer.
    pub(super) fn cancel(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// There is an answer to the question that the line of this number asked; a relay of an earlier
    /// version does not say which. Returns how often the agent has to be told, unless it does not
    /// wait for it.
    pub(super) fn answer(&mut self, id: &str, named: Option<u64>) -> Option<usize> {
        let open = self.open.get(id)?;
        if named.is_some_and(|line| line != open.line) {
            return None;
        }
        Some(self.open.remove(id)?.times)
    }

    /// The agent is gone.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// What tells questions apart: the tool and its input.
fn digest_of(line: &Text) -> [u8; 32] {
    let request = control::request_of::<FieldsOf<'_>>(line.as_str()).unwrap_or_default();
    let mut digest = Sha256::new();
    for name in ["tool_name", "input"] {
        digest.update(request.get(name).map_or("", |field| field.get()));
        digest.update([0]);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn ask(questions: &mut Questions, id: &str, line: u64, command: &str) -> Asked {
        let input = format!(r#"{{"command":"{command}"}}"#);
        let request = format!(r#"{{"tool_name":"Bash","input":{input}}}"#);
        questions.ask(id.into(), line, &Text::from(format!(r#"{{"request":{request}}}"#)))
    }

    #[test]
    fn an_id_that_is_used_again_is_that_of_a_new_question() {
        let mut questions = Questions::new();
        ask(&mut questions, "1", 1, "ls");
        assert_eq!(questions.answer("1", Some(1)), Some(1));
        assert_eq!(questions.answer("1", Some(1)), None, "it was answered");
        assert_eq!(ask(&mut questions, "1", 5, "rm"), Asked::Open);
        assert_eq!(questions.answer("1", Some(1)), None, "that was about the first one");
        assert_eq!(questions.answer("1", Some(5)), Some(1));
        ask(&mut questions, "1", 9, "ls");
        questions.cancel("1");
        ask(&mut questions, "1", 11, "rm");
        assert_eq!(questions.answer("1", Some(9)), None, "it came too late");
        assert_eq!(questions.answer("1", None), Some(1), "an earlier relay does not say");
    }

    #[test]
    fn the_same_question_again_gets_the_same_answer_and_another_one_makes_both_unanswerable() {
        let mut questions = Questions::new();
        for line in 1..4 {
            assert_eq!(ask(&mut questions, "1", line, "ls"), Asked::Open);
        }
        assert_eq!(questions.answer("1", Some(1)), Some(3));
        for line in 4..6 {
            assert_eq!(ask(&mut questions, "1", line, "ls"), Asked::Open);
        }
        assert_eq!(ask(&mut questions, "1", 6, "rm"), Asked::Ambiguous { times: 3 });
        assert_eq!(questions.answer("1", Some(4)), None);
    }

    #[test]
    fn no_more_than_so_many_are_open_however_they_are_named() {
        let mut questions = Questions::new();
        for line in 0..MAX_OPEN_PERMISSIONS as u64 {
            let id = format!("{}", line % 7);
            assert_eq!(ask(&mut questions, &id, line, "ls"), Asked::Open);
        }
        assert_eq!(ask(&mut questions, "new", 999, "ls"), Asked::TooMany);
        assert_eq!(ask(&mut questions, "0", 999, "ls"), Asked::TooMany);
        questions.cancel("0");
        assert_eq!(ask(&mut questions, "new", 999, "ls"), Asked::Open);
    }
}
