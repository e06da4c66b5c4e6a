//! Ending everything that belongs to a tree.
//!
//! ```text
//!   look ──▶ stop what is new ──▶ look … until nothing is new ──▶ kill all ──▶ look … until none
//! ```
//!
//! What is stopped starts nothing more, so looking comes to an end even where processes start
//! others faster than they can be found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use footbridge_core::base::limits::MAX_NAMED_SURVIVORS;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::cgroup::Cgroup;
use super::proc::{self, Entry};

/// From the first look after the kill to the next one; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// So many looks in a row have to find nothing: one may have missed a process that was replaced by
/// another meanwhile.
const QUIET_LOOKS: usize = 3;

/// What belongs to a tree.
pub(super) struct Tree<'a> {
    /// Processes with a mark that this accepts.
    pub(super) mark: &'a str,
    /// Whether `mark` is the beginning of marks rather than a whole one.
    pub(super) is_prefix: bool,
    /// Its first process, by its id and start.
    pub(super) root: Option<(i32, u64)>,
    /// Its members inherit the session of whoever started it, but do not bring it with them.
    pub(super) outer_session: i32,
    /// Whether a process without any mark is one that has lost its parent, and that no other tree
    /// can claim.
    pub(super) is_orphan: &'a dyn Fn(&Entry) -> bool,
    /// A cgroup of its own.
    pub(super) cgroup: Option<&'a Cgroup>,
}

/// Kills all of it; returns what is left at the end of the time.
pub(super) fn end(tree: &Tree<'_>, limit: Duration) -> Ended {
    let deadline = Instant::now() + limit;
    let mut seen = Seen::default();
    let mut quiet = 0;
    while quiet < QUIET_LOOKS && Instant::now() < deadline {
        let before = seen.members.len();
        tree.members(&mut seen, |member, is_new| {
            if is_new {
                signal(member, Signal::STOP);
            }
        });
        quiet = if seen.members.len() == before { quiet + 1 } else { 0 };
    }
    let had_group = tree.cgroup.is_some_and(Cgroup::kill);
    if seen.members.is_empty() && !had_group {
        return Ended::default();
    }
    let count = seen.members.len().max(1);
    let mut pause = FIRST_PAUSE;
    let mut quiet = 0;
    loop {
        let members = tree.members(&mut seen, |member, _| signal(member, Signal::KILL));
        let is_empty = members.is_empty() && !tree.cgroup.is_some_and(Cgroup::is_populated);
        quiet = if is_empty { quiet + 1 } else { 0 };
        if quiet == QUIET_LOOKS || Instant::now() >= deadline {
            let survivors = members.iter().take(MAX_NAMED_SURVIVORS).map(Entry::shown).collect();
            return Ended { count, survivors };
        }
        if !is_empty {
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// How many there were, about.
    pub(super) count: usize,
    /// What is left, by id and name.
    pub(super) survivors: Vec<String>,
}

/// What has been found out so far, about processes by their id and start.
#[derive(Default)]
struct Seen {
    /// Whether the mark is the tree's, and whether there is any.
    marks: BTreeMap<(i32, u64), (bool, bool)>,
    /// Who has been a member once. Killing one leaves its children without what made them members.
    members: BTreeSet<(i32, u64)>,
}

impl Tree<'_> {
    fn is_marked(&self, words: &[String]) -> bool {
        words.iter().any(|word| match self.is_prefix {
            true => word.starts_with(self.mark),
            false => word == self.mark,
        })
    }

    /// All of it that lives, except this process. Each is handed to `found` as soon as it is found,
    /// because some do not live long, and with whether it was not found before.
    fn members(&self, seen: &mut Seen, mut found: impl FnMut(&Entry, bool)) -> Vec<Entry> {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let mut others = BTreeMap::new();
        let mut members = BTreeSet::new();
        for entry in proc::all().filter(|entry| entry.pid != own && !entry.is_dead) {
            let key = (entry.pid, entry.start);
            let (is_ours, has_any) = *seen.marks.entry(key).or_insert_with(|| {
                let words = proc::marks(entry.pid);
                (self.is_marked(&words), !words.is_empty())
            });
            let is_orphan = !has_any && (self.is_orphan)(&entry);
            let is_known = seen.members.contains(&key);
            if is_known || is_ours || is_orphan || self.root == Some(key) {
                found(&entry, seen.members.insert(key));
                members.insert(entry.pid);
            }
            others.insert(entry.pid, entry);
        }
        // Children of members, and whoever is in a session that a member has begun.
        loop {
            let sessions: BTreeSet<_> = members
                .iter()
                .filter_map(|pid| others.get(pid))
                .map(|member| member.session)
                .filter(|session| *session > 0 && *session != self.outer_session)
                .collect();
            let before = members.len();
            for (pid, entry) in &others {
                let belongs = members.contains(&entry.parent) || sessions.contains(&entry.session);
                if belongs && members.insert(*pid) {
                    found(entry, seen.members.insert((*pid, entry.start)));
                }
            }
            if members.len() == before {
                break;
            }
        }
        members.into_iter().filter_map(|pid| others.remove(&pid)).collect()
    }
}

/// Signals the process that was found, and never another one that has its id now.
fn signal(entry: &Entry, signal: Signal) {
    let Some(pid) = Pid::from_raw(entry.pid) else { return };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if Entry::read(entry.pid).is_some_and(|now| now.start == entry.start) {
        // It may be gone, or somebody else's; the next look says which.
        let _ = pidfd_send_signal(process, signal);
    }
}
