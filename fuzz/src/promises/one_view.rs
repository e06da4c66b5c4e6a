//! Promise 4, for environments and sessions: the subscription to everything comes to agree with the
//! lists, it never takes back the end of a session, and a title does not change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Promise, parsed};
use crate::fact::Fact;
use crate::ids::PartyId;
use crate::nodes::viewer::notice::{Listed, ViewerNotice};
use crate::sim::clock::Time;

/// A change takes no longer to reach a live subscription: 45 s until a dead one is noticed, and the
/// time that a store and its answer may take.
const BOUND: Duration = Duration::from_secs(120);

/// What the subscription and the list say about one thing; none if they do not mention it.
type Both = (Option<String>, Option<String>);

#[derive(Default)]
pub(crate) struct OneView {
    /// Since when a viewer has been told two different things.
    differs: BTreeMap<(PartyId, Listed, String), (Both, Time)>,
    ended: BTreeSet<(PartyId, String)>,
    titles: BTreeMap<String, String>,
    /// Sessions created without a title, and their first user message.
    untitled: BTreeSet<String>,
    first: BTreeMap<String, (u64, String)>,
    has_gap: BTreeSet<String>,
}

impl Promise for OneView {
    fn name(&self) -> &'static str {
        "one view"
    }

    fn see(&mut self, at: Time, fact: &Fact) -> Result<(), String> {
        match fact {
            // Its clocks do not show for how long it has been told something.
            Fact::Slept { party } => self.forget(*party),
            Fact::StoreLost => self.differs.clear(),
            Fact::Viewed { viewer, notice } => return self.viewed(at, *viewer, notice),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, _: Time) -> Result<(), String> {
        for session in self.untitled.difference(&self.has_gap) {
            let (Some(title), Some((_, text))) =
                (self.titles.get(session), self.first.get(session))
            else {
                continue;
            };
            if title != text {
                return Err(format!("{session} has the title {title:?}, but began with {text:?}"));
            }
        }
        Ok(())
    }
}

impl OneView {
    fn forget(&mut self, viewer: PartyId) {
        self.differs.retain(|(of, ..), _| *of != viewer);
    }

    fn viewed(&mut self, at: Time, viewer: PartyId, notice: &ViewerNotice) -> Result<(), String> {
        match notice {
            ViewerNotice::OverviewBegins => {
                self.forget(viewer);
                self.ended.retain(|(of, _)| *of != viewer);
            }
            ViewerNotice::InOverview { session, state } => {
                let key = (viewer, session.clone());
                if state == "ended" {
                    self.ended.insert(key);
                } else if self.ended.contains(&key) {
                    return Err(format!("{session} was reported as ended, and then as {state}"));
                }
            }
            ViewerNotice::Compared { what, told: Some(told), listed } => {
                return self.compare(at, viewer, *what, told, listed);
            }
            ViewerNotice::Compared { told: None, .. } => self.forget(viewer),
            ViewerNotice::Created { session, title, .. } => match title {
                Some(title) => return self.title(session, title),
                None => {
                    self.untitled.insert(session.clone());
                }
            },
            ViewerNotice::View(view) => {
                if let Some(title) = &view.title {
                    return self.title(&view.session, title);
                }
            }
            ViewerNotice::Gap { session, .. } => {
                self.has_gap.insert(session.clone());
            }
            ViewerNotice::Event { session, seq, from, message, .. } if from == "viewer" => {
                if let Some(text) = text_of(message) {
                    let first = self.first.entry(session.clone()).or_insert((*seq, text.clone()));
                    if *seq < first.0 {
                        *first = (*seq, text);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn compare(
        &mut self,
        at: Time,
        viewer: PartyId,
        what: Listed,
        told: &BTreeMap<String, String>,
        listed: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let ids: BTreeSet<_> = told.keys().chain(listed.keys()).cloned().collect();
        self.differs.retain(|(of, kind, id), _| {
            (*of, *kind) != (viewer, what) || told.get(id) != listed.get(id)
        });
        for id in ids {
            let both = (told.get(&id).cloned(), listed.get(&id).cloned());
            if both.0 == both.1 {
                continue;
            }
            let known = self.differs.entry((viewer, what, id.clone()));
            let (known, since) = known.or_insert_with(|| (both.clone(), at));
            if *known != both {
                (*known, *since) = (both, at);
            } else if *since + BOUND < at {
                return Err(format!("{id}: told {:?}, but the list says {:?}", both.0, both.1));
            }
        }
        Ok(())
    }

    fn title(&mut self, session: &str, title: &str) -> Result<(), String> {
        let known = self.titles.entry(session.to_owned()).or_insert_with(|| title.to_owned());
        if known == title {
            return Ok(());
        }
        Err(format!("{session} has the titles {known:?} and {title:?}"))
    }
}

/// The text of a user message.
fn text_of(message: &str) -> Option<String> {
    let message = parsed(message);
    if message["type"] != "user" {
        return None;
    }
    let content = &message["message"]["content"];
    let text = content.as_str().or_else(|| content[0]["text"].as_str())?;
    Some(text.to_owned())
}
