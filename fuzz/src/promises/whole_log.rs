//! Promise 3: A viewer's log has no holes: each event follows the one before, or a gap says which
//! are no longer kept; and all viewers see the same event under the same number.

use std::collections::BTreeMap;

use super::Promise;
use crate::fact::Fact;
use crate::ids::PartyId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct WholeLog {
    logs: BTreeMap<String, BTreeMap<u64, (String, String)>>,
    last: BTreeMap<(PartyId, String), u64>,
}

impl Promise for WholeLog {
    fn name(&self) -> &'static str {
        "whole log"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        let Fact::Viewed { viewer, notice } = fact else { return Ok(()) };
        match notice {
            ViewerNotice::Event { session, after, seq, from, message } => {
                if *seq != after + 1 {
                    return Err(format!("{session}: {seq} came after {after}"));
                }
                self.last.insert((*viewer, session.clone()), *seq);
                let log = self.logs.entry(session.clone()).or_default();
                let event = (from.clone(), message.clone());
                match log.get(seq) {
                    Some(known) if *known != event => {
                        return Err(format!("{session}: {seq} is {known:?} and {event:?}"));
                    }
                    Some(_) => {}
                    None => {
                        log.insert(*seq, event);
                    }
                }
            }
            ViewerNotice::Gap { session, after, from, resumes_after }
                if from != after || resumes_after <= from =>
            {
                return Err(format!(
                    "{session}: a gap from {from} to {resumes_after} after {after}"
                ));
            }
            _ => {}
        }
        Ok(())
    }
}
