//! Promise 17: Once a session was bridged again, nothing that is said under an earlier epoch is accepted.

use std::collections::BTreeMap;

use super::Promise;
use crate::fact::Fact;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct OneEpoch {
    newest: BTreeMap<String, u64>,
}

impl Promise for OneEpoch {
    fn name(&self) -> &'static str {
        "one epoch"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            // Epochs begin anew with another store.
            Fact::StoreLost => self.newest.clear(),
            Fact::Bridged { session, epoch } => {
                let newest = self.newest.entry(session.clone()).or_default();
                if epoch <= newest {
                    return Err(format!("{session} was given epoch {epoch} after {newest}"));
                }
                *newest = *epoch;
            }
            Fact::AcceptedUnder { session, epoch } => {
                let newest = self.newest.get(session).copied().unwrap_or_default();
                if *epoch < newest {
                    return Err(format!(
                        "{session} was bridged with epoch {newest}, and epoch {epoch} is accepted"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
