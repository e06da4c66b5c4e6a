//! A host's files. A file is replaced atomically, or not at all, at some time between the asking
//! and the answer. Whoever dies in between never learns which of what was asked has happened: what
//! was asked of one file happens in order, and of several files in any.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};

use crate::ids::{Address, PartyId};
use crate::names::TOKEN_FILE;
use crate::sim::clock::Time;

/// The files of one host.
#[derive(Debug)]
pub(crate) struct Disk {
    files: BTreeMap<String, Bytes>,
    /// What was requested and has not happened yet, in the order of the requests.
    pending: BTreeMap<u64, Pending>,
    asked: u64,
    /// Which operation has taken which lock.
    pub(crate) locks: BTreeMap<String, Address>,
    pub(crate) rng: Rng,
    /// Nothing more can be written.
    pub(crate) is_full: bool,
    /// Nothing can be read.
    pub(crate) is_unreadable: bool,
}

/// An operation in progress.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) from: Address,
    action: Action,
    happens: Time,
    /// When it is known to be durable.
    pub(crate) answered: Time,
}

/// Separates the disks' random draws from the world's.
const STREAM: u64 = 0x6469_736b;

impl Disk {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            files: BTreeMap::new(),
            pending: BTreeMap::new(),
            asked: 0,
            locks: BTreeMap::new(),
            rng: Rng::with_seed(seed ^ STREAM),
            is_full: false,
            is_unreadable: false,
        }
    }

    /// Accepts an operation on files that takes this long; returns its number, and when it happens.
    pub(crate) fn ask(
        &mut self,
        at: Time,
        from: Address,
        action: Action,
        wait: Time,
    ) -> (u64, Time) {
        let own = self.pending.values().filter(|other| path_of(&other.action) == path_of(&action));
        let earliest = own.map(|other| other.happens).max().unwrap_or(at);
        let happens = (at + wait.mul_f64(self.rng.f64())).max(earliest);
        self.asked += 1;
        let answered = happens.max(at + wait);
        self.pending.insert(self.asked, Pending { from, action, happens, answered });
        (self.asked, happens)
    }

    /// An operation happens, unless its party died before.
    pub(crate) fn happen(&mut self, number: u64) -> Option<(Pending, Event)> {
        let pending = self.pending.remove(&number)?;
        let event = self.carry_out(&pending.action)?;
        Some((pending, event))
    }

    /// A party died: of what it waits for some has happened, or will; of the rest, if the disk is
    /// bad, something is left that is no file of anybody's. Says whether there is any of that.
    pub(crate) fn abandon(&mut self, party: PartyId, is_bad: bool) -> bool {
        let (own, rest) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(_, pending)| pending.from.party == party);
        self.pending = rest;
        let (mut is_torn, mut lost) = (false, BTreeSet::new());
        for Pending { action, .. } in BTreeMap::into_values(own) {
            let path = path_of(&action).to_owned();
            if !lost.contains(&path) && self.rng.bool() {
                self.carry_out(&action);
            } else if let Action::Append { offset, data, .. } = &action
                && lost.insert(path.clone())
            {
                // It is no replacement: whoever dies in the middle leaves any part of it.
                let part = data.slice(..self.rng.usize(..=data.len()));
                self.append(&path, *offset, &part);
            } else if let Action::Save { data, .. } = &action
                && is_bad
                && lost.insert(path.clone())
                && self.rng.bool()
            {
                self.files.insert(path, data.slice(..self.rng.usize(..=data.len())));
                is_torn = true;
            } else {
                lost.insert(path);
            }
        }
        is_torn
    }

    /// Carries out an action on files and returns the result; `None` if it is not one.
    fn carry_out(&mut self, action: &Action) -> Option<Event> {
        let failed = |op, kind| {
            let failure = IoError { kind, detail: String::from("simulated disk failure") };
            Some(Event::Failed { op, failure })
        };
        match action {
            Action::Save { op, .. } if self.is_full => failed(*op, IoErrorKind::Full),
            Action::Save { op, path, data } => {
                self.files.insert(path.clone(), data.clone());
                Some(Event::Saved { op: *op })
            }
            Action::Append { op, path, offset, data } if self.is_full => {
                // What fits is written.
                self.append(path, *offset, &data.slice(..data.len() / 2));
                failed(*op, IoErrorKind::Full)
            }
            Action::Append { op, path, offset, data } => match self.append(path, *offset, data) {
                true => Some(Event::Appended { op: *op }),
                false => failed(*op, IoErrorKind::Other),
            },
            Action::Load { op, .. } | Action::LoadEnd { op, .. } | Action::List { op, .. }
                if self.is_unreadable =>
            {
                failed(*op, IoErrorKind::Other)
            }
            Action::Load { op, path, limit } => {
                let data = self.files.get(path).cloned();
                if data.as_ref().is_some_and(|data| data.len() > *limit) {
                    return failed(*op, IoErrorKind::TooLarge);
                }
                Some(Event::Loaded { op: *op, data, modified: None })
            }
            Action::LoadEnd { op, path, limit } => {
                let data = self.files.get(path).cloned().unwrap_or_default();
                let start = data.len().saturating_sub(*limit);
                let length = data.len() as u64;
                Some(Event::EndLoaded { op: *op, length, data: data.slice(start..) })
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

    /// Cuts a file and writes after that; not if it is shorter.
    fn append(&mut self, path: &str, offset: u64, data: &[u8]) -> bool {
        let file = self.files.entry(path.to_owned()).or_default();
        let kept = usize::try_from(offset).ok().and_then(|offset| file.get(..offset));
        let Some(kept) = kept else { return false };
        *file = [kept, data].concat().into();
        true
    }

    /// What is in a file, seen from outside of every party.
    #[cfg(test)]
    pub(crate) fn content(&self, path: &str) -> Bytes {
        self.files.get(path).cloned().unwrap_or_default()
    }

    /// How long it is.
    #[cfg(test)]
    pub(crate) fn length(&self, path: &str) -> u64 {
        self.content(path).len() as u64
    }

    /// Writes a file from outside of every party.
    pub(crate) fn put(&mut self, path: &str, data: Bytes) {
        self.files.insert(path.to_owned(), data);
    }

    /// Removes a file from outside of every party.
    pub(crate) fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// Truncates every file that `is_meant` selects.
    pub(crate) fn tear(&mut self, is_meant: impl Fn(&str) -> bool) {
        for (_, data) in self.files.iter_mut().filter(|(path, _)| is_meant(path)) {
            *data = data.slice(..data.len() / 2);
        }
    }

    /// Truncates a file that a party has written, or fills it with garbage.
    pub(crate) fn spoil(&mut self, rng: &mut Rng) {
        let own = self.files.iter_mut().filter(|(path, _)| *path != TOKEN_FILE);
        let mut own: Vec<_> = own.map(|(_, data)| data).collect();
        let at = rng.usize(..own.len().max(1));
        if let Some(data) = own.get_mut(at) {
            **data =
                if rng.bool() { data.slice(..data.len() / 2) } else { Bytes::from("{rubbish") };
        }
    }
}

/// The file or directory that an action is about.
fn path_of(action: &Action) -> &str {
    match action {
        Action::Save { path, .. }
        | Action::Load { path, .. }
        | Action::Append { path, .. }
        | Action::LoadEnd { path, .. }
        | Action::Remove { path, .. }
        | Action::List { path, .. } => path,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use footbridge_core::base::id::OpId;
    use std::num::NonZeroU64;
    use std::time::Duration;

    const FIRST: OpId = OpId::new(NonZeroU64::MIN);
    const FROM: Address = Address { party: 1, life: 0, op: FIRST };
    const WAIT: Duration = Duration::from_millis(3);

    fn save(path: &str, data: &'static str) -> Action {
        Action::Save { op: FIRST, path: path.to_owned(), data: Bytes::from(data) }
    }

    #[test]
    fn operations_on_one_file_happen_in_order_and_before_they_are_answered() {
        for seed in 0..200 {
            let mut disk = Disk::new(seed);
            let at = Duration::from_secs(1);
            let asked: Vec<_> =
                ["a", "b", "c"].map(|data| disk.ask(at, FROM, save("f", data), WAIT)).into();
            assert!(asked.is_sorted_by_key(|(_, happens)| *happens), "seed {seed}");
            for (number, happens) in asked {
                let (pending, event) = disk.happen(number).expect("it is in progress");
                assert!(happens >= at && happens <= pending.answered);
                assert!(matches!(event, Event::Saved { .. }));
            }
            assert_eq!(disk.files["f"], "c");
        }
    }

    #[test]
    fn a_crash_keeps_a_prefix_of_each_files_writes_in_any_combination() {
        let mut met = BTreeSet::new();
        for seed in 0..200 {
            let mut disk = Disk::new(seed);
            for (path, data) in [("f", "1"), ("g", "1"), ("f", "2"), ("g", "2")] {
                disk.ask(Duration::ZERO, FROM, save(path, data), WAIT);
            }
            assert!(!disk.abandon(FROM.party, false), "nothing is torn on a good disk");
            assert!(disk.pending.is_empty());
            let shown = |path| disk.files.get(path).map_or(0, |data| data[0] - b'0');
            met.insert((shown("f"), shown("g")));
        }
        assert_eq!(met.len(), 9, "{met:?}");
    }

    #[test]
    fn only_a_bad_disk_leaves_half_a_file() {
        let torn = (0..200).filter(|seed| {
            let mut disk = Disk::new(*seed);
            disk.ask(Duration::ZERO, FROM, save("f", "0123456789"), WAIT);
            let is_torn = disk.abandon(FROM.party, true);
            assert!(is_torn || disk.files.values().all(|data| data.len() == 10));
            is_torn
        });
        assert!((20..100).contains(&torn.count()));
    }
}
