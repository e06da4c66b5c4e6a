//! What viewers asked of the agent of one session, and it has not answered yet (M-3).
//!
//! Each is answered by the agent, or the log says that it never will be: because the agent that had
//! it is gone, because its session has ended, or because too many came after it.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base::limits::MAX_OPEN_REQUESTS;

/// Requests by the numbers of their lines for the agent, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    open: VecDeque<(u64, String)>,
}

impl Requests {
    /// Adds one. Gives back the oldest, if that is one too many.
    pub(super) fn ask(&mut self, number: u64, request_id: String) -> Option<String> {
        self.open.push_back((number, request_id));
        if self.open.len() <= MAX_OPEN_REQUESTS {
            return None;
        }
        self.open.pop_front().map(|(_, request_id)| request_id)
    }

    /// The agent has answered it. Of several with one name it is the oldest.
    pub(super) fn answer(&mut self, request_id: &str) {
        if let Some(at) = self.open.iter().position(|(_, id)| id == request_id) {
            self.open.remove(at);
        }
    }

    /// Those whose lines have numbers up to this one: nobody will answer them any more.
    pub(super) fn give_up(&mut self, until: u64) -> Vec<String> {
        let gone = self.open.iter().take_while(|(number, _)| *number <= until).count();
        self.open.drain(..gone).map(|(_, request_id)| request_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn the_oldest_is_given_up_when_too_many_are_open() {
        let mut requests = Requests::default();
        for number in 1..=MAX_OPEN_REQUESTS as u64 {
            assert_eq!(requests.ask(number, format!("r{number}")), None);
        }
        assert_eq!(requests.ask(1000, "new".to_string()), Some("r1".to_string()));
        requests.answer("r2");
        assert_eq!(requests.ask(1001, "newer".to_string()), None);
    }

    #[test]
    fn what_was_answered_is_not_given_up() {
        let mut requests = Requests::default();
        for (number, id) in [(1, "a"), (2, "b"), (4, "b"), (5, "c")] {
            requests.ask(number, id.to_string());
        }
        requests.answer("b");
        requests.answer("unknown");
        assert_eq!(requests.give_up(4), ["a", "b"]);
        assert_eq!(requests.give_up(4), [""; 0]);
        assert_eq!(requests.give_up(u64::MAX), ["c"]);
    }
}
