//! A host's files: each is replaced atomically, or not at all.

use std::collections::BTreeMap;

use bytes::Bytes;
use footbridge_core::action::Action;
use footbridge_core::event::{Event, Failure, FailureKind};

/// The files of one host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, Bytes>,
    /// Nothing more can be written.
    pub(crate) is_full: bool,
    /// Nothing can be read.
    pub(crate) is_unreadable: bool,
}

impl Disk {
    /// Carries out an action on files, and says what came of it; `None` if it is none.
    pub(crate) fn carry_out(&mut self, action: &Action) -> Option<Event> {
        let failed = |op, kind| {
            let failure = Failure { kind, detail: String::from("the simulated disk says no") };
            Some(Event::Failed { op, failure })
        };
        match action {
            Action::Save { op, .. } if self.is_full => failed(*op, FailureKind::Full),
            Action::Save { op, path, data } => {
                self.files.insert(path.clone(), data.clone());
                Some(Event::Saved { op: *op })
            }
            Action::Load { op, .. } | Action::List { op, .. } if self.is_unreadable => {
                failed(*op, FailureKind::Other)
            }
            Action::Load { op, path, limit } => {
                let data = self.files.get(path).cloned();
                if data.as_ref().is_some_and(|data| data.len() > *limit) {
                    return failed(*op, FailureKind::TooLarge);
                }
                Some(Event::Loaded { op: *op, data })
            }
            Action::Remove { op, path } => {
                self.files.remove(path);
                Some(Event::Removed { op: *op })
            }
            Action::List { op, path } => {
                let names = self.files.keys().filter_map(|file| {
                    let name = file.strip_prefix(path.as_str())?.strip_prefix('/')?;
                    (!name.contains('/')).then(|| name.to_owned())
                });
                Some(Event::Listed { op: *op, names: names.collect() })
            }
            _ => None,
        }
    }

    /// Cuts a file short, or fills it with rubbish.
    pub(crate) fn spoil(&mut self, rng: &mut fastrand::Rng) {
        let at = rng.usize(..self.files.len().max(1));
        if let Some(data) = self.files.values_mut().nth(at) {
            *data = if rng.bool() { data.slice(..data.len() / 2) } else { Bytes::from("{rubbish") };
        }
    }
}
