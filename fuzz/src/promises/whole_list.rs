//! Promise 3, for the list of sessions: read page by page, it has every session that existed when
//! the reading began, and none twice.

use std::collections::{BTreeMap, BTreeSet};

use super::Promise;
use crate::fact::Fact;
use crate::ids::PartyId;
use crate::nodes::viewer::notice::ViewerNotice;
use crate::sim::clock::Time;

#[derive(Default)]
pub(crate) struct WholeList {
    /// What the relay says it has stored, and which of it is the viewers' own.
    stored: BTreeSet<String>,
    made: BTreeSet<String>,
    /// What existed when a viewer began to read.
    began: BTreeMap<PartyId, (u32, BTreeSet<String>)>,
    /// Ended sessions may be forgotten at any time.
    keeps_little: bool,
}

impl Promise for WholeList {
    fn name(&self) -> &'static str {
        "whole list"
    }

    fn see(&mut self, _: Time, fact: &Fact) -> Result<(), String> {
        let (viewer, notice) = match fact {
            Fact::KeepsLittle => {
                self.keeps_little = true;
                return Ok(());
            }
            Fact::Made { session } => {
                self.stored.insert(session.clone());
                return Ok(());
            }
            Fact::StoreLost => {
                self.stored.clear();
                self.made.clear();
                // A reading may continue across the loss, and need not show what is gone.
                self.began.values_mut().for_each(|(_, began)| began.clear());
                return Ok(());
            }
            Fact::Viewed { viewer, notice } => (viewer, notice),
            _ => return Ok(()),
        };
        match notice {
            ViewerNotice::Created { session, .. } if self.stored.contains(session) => {
                self.made.insert(session.clone());
            }
            ViewerNotice::Gone { session } => {
                self.made.remove(session);
                self.began.values_mut().for_each(|(_, began)| {
                    began.remove(session);
                });
            }
            ViewerNotice::Listing => {
                // Of several concurrent readings, the oldest list counts for all.
                let began = self.began.entry(*viewer).or_insert_with(|| (0, self.made.clone()));
                began.0 += 1;
            }
            ViewerNotice::Listed { sessions, is_all } => {
                let listed: BTreeSet<_> = sessions.iter().cloned().collect();
                if listed.len() < sessions.len() {
                    return Err(format!("a session is listed twice: {sessions:?}"));
                }
                let Some((readings, began)) = self.began.get_mut(viewer) else { return Ok(()) };
                *readings -= 1;
                let is_last = *readings == 0;
                let began = began.clone();
                if is_last {
                    self.began.remove(viewer);
                }
                if *is_all
                    && !self.keeps_little
                    && let Some(missing) = began.difference(&listed).next()
                {
                    return Err(format!("{missing} is missing from a list of all sessions"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
