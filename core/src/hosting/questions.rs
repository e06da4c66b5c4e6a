//! The questions that a session's agent waits to have answered (M-2, M-6).
//!
//! Those for a client have a time limit: when it is over, the agent is told what keeps a guarded tool
//! from running.
//!
//! Their ids are the agent's, who may use one again: for its next question, or from the start because
//! it has restarted. What the relay sends may then be about an earlier question with the same id, so
//! its answers name the line that asked. While a question is open, the same one again is a repeat, and
//! gets the same answer; a different one under its id makes both unanswerable, since nobody can know
//! which of them the agent would take an answer for.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::base::limits::{MAX_OPEN_CALLBACKS, MAX_OPEN_PERMISSIONS};
use crate::base::text::Text;
use crate::base::time::Instant;
use crate::wire::callback::{self, Callback};
use crate::wire::control::{self, FieldsOf};

/// The agent's questions that nobody has answered.
#[derive(Debug, Default)]
pub(crate) struct Questions {
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
    /// What it is if a client is asked, and until when it is waited for.
    callback: Option<(Callback, Instant)>,
}

/// An answer to an open question.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// How often the agent has to be told.
    pub(crate) times: usize,
    /// What the question is if a client was asked.
    pub(crate) callback: Option<Callback>,
}

/// A question that no client has answered in time, or can answer any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) id: String,
    pub(crate) callback: Callback,
    /// How often the agent has to be told.
    pub(crate) times: usize,
}

/// What a question is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// One to wait for an answer to.
    Open,
    /// One too many.
    TooMany,
    /// Different from another one that is open under its id. Neither is open any more, and each of
    /// so many has to be refused.
    Ambiguous { times: usize, callback: Option<Callback> },
}

impl Questions {
    pub(crate) const fn new() -> Self {
        Self { open: BTreeMap::new() }
    }

    /// The agent asks a question, on the line of this number: a person, or a client until then.
    pub(crate) fn ask(
        &mut self,
        id: String,
        line: u64,
        text: &Text,
        callback: Option<(Callback, Instant)>,
    ) -> Asked {
        let is_callback = callback.is_some();
        let digest = if is_callback { callback::digest(text.as_str()) } else { digest_of(text) };
        let alike = self.open.values().filter(|open| open.callback.is_some() == is_callback);
        let asked = alike.map(|question| question.times).sum::<usize>();
        let limit = if is_callback { MAX_OPEN_CALLBACKS } else { MAX_OPEN_PERMISSIONS };
        match self.open.get_mut(&id) {
            Some(open) if open.digest != digest => {
                let times = open.times + 1;
                let kinds = [open.callback, callback].map(|one| one.map(|(kind, _)| kind));
                self.open.remove(&id);
                Asked::Ambiguous { times, callback: Callback::of_pair(kinds) }
            }
            _ if asked >= limit => Asked::TooMany,
            Some(open) => {
                open.times += 1;
                Asked::Open
            }
            None => {
                self.open.insert(id, Question { line, digest, times: 1, callback });
                Asked::Open
            }
        }
    }

    /// How many a person could answer.
    pub(crate) fn of_people(&self) -> usize {
        self.open.values().filter(|question| question.callback.is_none()).count()
    }

    /// What an open question is if it is one to a client.
    pub(crate) fn callback(&self, id: &str) -> Option<Callback> {
        Some(self.open.get(id)?.callback?.0)
    }

    /// The agent no longer waits for an answer.
    pub(crate) fn cancel(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// There is an answer to the question that the line of this number asked; a relay of an earlier
    /// version does not say which. Returns `None` if the agent does not wait for it.
    pub(crate) fn answer(&mut self, id: &str, named: Option<u64>) -> Option<Reply> {
        let open = self.open.get(id)?;
        if named.is_some_and(|line| line != open.line) {
            return None;
        }
        let Question { times, callback, .. } = self.open.remove(id)?;
        Some(Reply { times, callback: callback.map(|(callback, _)| callback) })
    }

    /// When the next question to a client expires.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open.values().filter_map(|open| Some(open.callback?.1)).min()
    }

    /// Takes off the questions that no client has answered in time.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let mut expired = Vec::new();
        self.open.retain(|id, open| match open.callback {
            Some((callback, until)) if until <= now => {
                expired.push(Expired { id: id.clone(), callback, times: open.times });
                false
            }
            _ => true,
        });
        expired
    }

    /// Takes off all questions to a client.
    pub(crate) fn take_callbacks(&mut self) -> Vec<Expired> {
        let mut taken = Vec::new();
        self.open.retain(|id, open| match open.callback {
            Some((callback, _)) => {
                taken.push(Expired { id: id.clone(), callback, times: open.times });
                false
            }
            None => true,
        });
        taken
    }

    /// The agent is gone.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }
}

/// What tells people's questions apart: the tool and its input.
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
    use crate::base::time::Duration;
    use alloc::format;

    fn ask(questions: &mut Questions, id: &str, line: u64, command: &str) -> Asked {
        let input = format!(r#"{{"command":"{command}"}}"#);
        let request = format!(r#"{{"tool_name":"Bash","input":{input}}}"#);
        questions.ask(id.into(), line, &Text::from(format!(r#"{{"request":{request}}}"#)), None)
    }

    #[allow(clippy::unnecessary_wraps, reason = "as it is compared")]
    const fn told(times: usize) -> Option<Reply> {
        Some(Reply { times, callback: None })
    }

    #[test]
    fn an_id_that_is_used_again_is_that_of_a_new_question() {
        let mut questions = Questions::new();
        ask(&mut questions, "1", 1, "ls");
        assert_eq!(questions.answer("1", Some(1)), told(1));
        assert_eq!(questions.answer("1", Some(1)), None, "it was answered");
        assert_eq!(ask(&mut questions, "1", 5, "rm"), Asked::Open);
        assert_eq!(questions.answer("1", Some(1)), None, "that was about the first one");
        assert_eq!(questions.answer("1", Some(5)), told(1));
        ask(&mut questions, "1", 9, "ls");
        questions.cancel("1");
        ask(&mut questions, "1", 11, "rm");
        assert_eq!(questions.answer("1", Some(9)), None, "it came too late");
        assert_eq!(questions.answer("1", None), told(1), "an earlier relay does not say");
    }

    #[test]
    fn the_same_question_again_gets_the_same_answer_and_another_one_makes_both_unanswerable() {
        let mut questions = Questions::new();
        for line in 1..4 {
            assert_eq!(ask(&mut questions, "1", line, "ls"), Asked::Open);
        }
        assert_eq!(questions.answer("1", Some(1)), told(3));
        for line in 4..6 {
            assert_eq!(ask(&mut questions, "1", line, "ls"), Asked::Open);
        }
        assert_eq!(
            ask(&mut questions, "1", 6, "rm"),
            Asked::Ambiguous { times: 3, callback: None }
        );
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

    #[test]
    fn what_no_client_answers_expires_and_a_mixed_pair_under_one_id_lets_no_tool_run() {
        let at = |seconds| Instant::from_origin(Duration::from_secs(seconds));
        let hook = |n: u64| {
            Text::from(format!(r#"{{"request":{{"subtype":"hook_callback","input":{n}}}}}"#))
        };
        let mut questions = Questions::new();
        let guard = Some((Callback::Guard, at(60)));
        assert_eq!(questions.ask("1".into(), 1, &hook(1), guard), Asked::Open);
        assert_eq!(questions.ask("1".into(), 2, &hook(1), guard), Asked::Open);
        let other = Some((Callback::Other, at(5)));
        assert_eq!(questions.ask("2".into(), 3, &hook(2), other), Asked::Open);
        ask(&mut questions, "3", 4, "ls");
        assert_eq!((questions.deadline(), questions.expire(at(4))), (Some(at(5)), Vec::new()));
        let expired = questions.expire(at(60));
        let names = expired.iter().map(|one| (one.id.as_str(), one.callback, one.times));
        let expected = [("1", Callback::Guard, 2), ("2", Callback::Other, 1)];
        assert_eq!(names.collect::<Vec<_>>(), expected);
        assert_eq!((questions.deadline(), questions.answer("1", None)), (None, None));
        let asked = questions.ask("3".into(), 5, &hook(3), guard);
        assert_eq!(asked, Asked::Ambiguous { times: 2, callback: Some(Callback::Guard) });
    }
}
