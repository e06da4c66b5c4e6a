//! One session's requests to its agent: each is open until the agent answers it, or until the log
//! says that nobody will.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use super::{Check, ensure};
use crate::base::limits::MAX_OPEN_REQUESTS;
use crate::store::{Entry, Origin};
use crate::wire::message::{Head, Kind};

#[derive(Default)]
pub(super) struct RequestsModel {
    /// By their line numbers.
    open: Vec<(u64, String)>,
    /// One that was given up although the agent could still answer it.
    early: Option<String>,
}

#[derive(Deserialize)]
struct Unanswered {
    request_ids: Vec<String>,
}

impl RequestsModel {
    /// Records an event. `lines` for the agent exist by then, and `given` of them have reached it.
    pub(super) fn record(&mut self, entry: &Entry, (lines, given): (u64, u64)) -> Check {
        let head = Head::parse(&entry.line).unwrap_or_default();
        let (kind, subtype) = (head.kind(), head.subtype.as_deref());
        match (entry.origin, kind, head.request_id) {
            (Origin::Viewer, Kind::ControlRequest, Some(id)) => {
                self.open.push((lines, id.into_owned()));
            }
            (Origin::Agent, Kind::ControlResponse, Some(id)) => {
                let at = self.open.iter().position(|(_, asked)| *asked == id);
                at.map(|at| self.open.remove(at));
            }
            (Origin::Relay, ..) if subtype == Some("requests_unanswered") => {
                let said = serde_json::from_str::<Unanswered>(entry.line.as_str());
                let said = said.map_err(|bad| format!("requests: {bad}: {:?}", entry.line))?;
                return self.give_up(&said.request_ids, given);
            }
            _ => {}
        }
        Ok(())
    }

    fn give_up(&mut self, said: &[String], given: u64) -> Check {
        let are_too_many = self.open.len() > MAX_OPEN_REQUESTS;
        let oldest: Vec<_> = self.open.drain(..said.len().min(self.open.len())).collect();
        ensure(oldest.iter().map(|(_, id)| id).eq(said), || {
            format!("requests: {said:?} were given up, but the oldest are {oldest:?}")
        })?;
        let early = oldest.into_iter().find(|(number, _)| *number > given);
        self.early = early.filter(|_| !are_too_many).map(|(_, id)| id);
        Ok(())
    }

    /// After the agent's exit: exactly the requests it was given are answered or given up.
    pub(super) fn check_exit(&self, given: u64) -> Check {
        let open = self.open.first().filter(|(number, _)| *number <= given);
        ensure(open.is_none(), || format!("requests: {open:?} is open, but no agent has it"))?;
        ensure(self.early.is_none(), || {
            format!("requests: {:?} was given up too early", self.early)
        })
    }

    /// After the session's end: none is open.
    pub(super) fn check_end(&mut self) -> Check {
        self.early = None;
        self.check_exit(u64::MAX)
    }
}
