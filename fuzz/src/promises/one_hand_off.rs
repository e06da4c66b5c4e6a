//! Promise 2: At most one hand-off to an agent's stdin for each message, whatever is restarted meanwhile.

use std::collections::BTreeSet;

use super::{Promise, line_id};
use crate::clock::Time;
use crate::fact::Fact;

#[derive(Default)]
pub(crate) struct OneHandOff {
    handed: BTreeSet<(String, String)>,
}

impl Promise for OneHandOff {
    fn name(&self) -> &'static str {
        "one hand-off"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        if let Fact::HandedOff { session, line, .. } = fact
            && line.contains("\"user\"")
            && let Some(uuid) = line_id(line, "uuid")
            && !self.handed.insert((session.clone(), uuid.clone()))
        {
            return Err(format!("{uuid} of {session} was handed to an agent twice"));
        }
        Ok(())
    }
}
