//! A session's transcript: its entries in order, their folds, and which of them a screen shows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;

use footbridge_core::base::text::Text;
use footbridge_core::remote::RemoteEvent;
use footbridge_core::wire::viewer::{Origin, Receipts, Stage};

use super::entry::{Entry, Kind, Outcome, Said, Sending, View};
use super::limits::{ENTRIES, TRANSCRIPT_BYTES};
use super::line::Line;
use super::reading::{self, Reading};
use super::style::{BAD, DIM};
use super::text::{bounded, one_line, prose};
use crate::program::attach::transcript::gap as gap_in_words;

/// The event, and which of its entries.
type Key = (u64, u32);

/// What is being written stands after all that was said,
const LIVE: u64 = u64::MAX - 1;
/// and what is on its way to the relay after that.
const OWN: u64 = u64::MAX;

/// Whether older events can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Older {
    Unasked,
    Asked,
    /// No more than what is there.
    Full,
}

/// The transcript.
#[derive(Debug)]
pub(super) struct Transcript {
    entries: BTreeMap<Key, Entry>,
    bytes: usize,
    calls: HashMap<String, Key>,
    orphans: HashMap<String, Key>,
    /// Open questions and the calls that they are about.
    asked: HashMap<String, String>,
    /// Messages of this terminal that are not stored yet, oldest first.
    own: VecDeque<Key>,
    next_own: u32,
    receipts: Receipts,
    /// The first event that is in it; `None` until there is one.
    first: Option<u64>,
    last: u64,
    first_kept: u64,
    older: Older,
    /// What stands at the top; `None` follows the end.
    top: Option<(Key, usize)>,
    /// What stood at the top of the last frame, and the entries that it showed.
    shown: Option<(Key, usize)>,
    shown_last: Option<Key>,
    chosen: Option<Key>,
    is_all_open: bool,
    width: usize,
}

impl Transcript {
    pub(super) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            bytes: 0,
            calls: HashMap::new(),
            orphans: HashMap::new(),
            asked: HashMap::new(),
            own: VecDeque::new(),
            next_own: 0,
            receipts: Receipts::default(),
            first: None,
            last: 0,
            first_kept: 1,
            older: Older::Unasked,
            top: None,
            shown: None,
            shown_last: None,
            chosen: None,
            is_all_open: false,
            width: 80,
        }
    }

    /// An event, of any age.
    pub(super) fn take(&mut self, event: &RemoteEvent) {
        let RemoteEvent { seq, from, message, .. } = event;
        self.first = Some(self.first.map_or(*seq, |first| first.min(*seq)));
        self.last = self.last.max(*seq);
        self.read(*seq, *from, message);
        self.trim();
    }

    fn read(&mut self, seq: u64, from: Origin, message: &Text) {
        let mut part = 0;
        for reading in reading::read(from, message) {
            match reading {
                Reading::Entry(entry) => {
                    self.insert((seq, part), entry);
                    part += 1;
                }
                Reading::Result { id, outcome, is_nested } => {
                    self.result((seq, part), id, outcome, is_nested);
                    part += 1;
                }
                Reading::Delta { text, is_thought } => self.delta(&text, is_thought),
                Reading::Whole => self.remove((LIVE, 0)),
                Reading::Asked { request_id, tool_use_id } => {
                    self.asked.insert(request_id, tool_use_id);
                    if self.asked.len() > ENTRIES {
                        self.asked.clear();
                    }
                }
                Reading::Answered { request_id, words } => {
                    self.answered((seq, part), &request_id, words);
                }
            }
        }
    }

    fn insert(&mut self, key: Key, mut entry: Entry) {
        if let Kind::Call(call) = &mut entry.kind {
            self.calls.insert(call.id.clone(), key);
            let orphan = self.orphans.remove(&call.id).and_then(|key| self.taken(key));
            if let Some(Entry { kind: Kind::Result { outcome, .. }, .. }) = orphan {
                call.outcome = Some(outcome);
            }
        }
        self.bytes += entry.bytes();
        if let Some(before) = self.entries.insert(key, entry) {
            self.bytes -= before.bytes();
        }
    }

    fn taken(&mut self, key: Key) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.bytes -= entry.bytes();
        match &entry.kind {
            Kind::Call(call) if self.calls.get(&call.id) == Some(&key) => {
                self.calls.remove(&call.id);
            }
            Kind::Result { id, .. } => {
                self.orphans.remove(id);
            }
            _ => {}
        }
        Some(entry)
    }

    fn remove(&mut self, key: Key) {
        drop(self.taken(key));
    }

    fn change(&mut self, key: Key, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.entries.get_mut(&key) {
            self.bytes -= entry.bytes();
            change(entry);
            entry.changed();
            self.bytes += entry.bytes();
        }
    }

    fn result(&mut self, key: Key, id: String, outcome: Outcome, is_nested: bool) {
        match self.calls.get(&id) {
            Some(call) => self.change(*call, |entry| {
                if let Kind::Call(call) = &mut entry.kind {
                    call.outcome = Some(outcome);
                }
            }),
            None => {
                self.orphans.insert(id.clone(), key);
                self.insert(key, Entry::new(Kind::Result { id, outcome }, is_nested));
            }
        }
    }

    fn delta(&mut self, text: &str, is_thought: bool) {
        let key = (LIVE, 0);
        let fits = match self.entries.get(&key).map(|entry| &entry.kind) {
            Some(Kind::Spoke(_)) => !is_thought,
            Some(Kind::Thought(_)) => is_thought,
            _ => false,
        };
        if !fits {
            let empty = String::new();
            let kind = if is_thought { Kind::Thought(empty) } else { Kind::Spoke(empty) };
            self.insert(key, Entry::new(kind, false));
        }
        self.change(key, |entry| {
            if let Kind::Spoke(all) | Kind::Thought(all) = &mut entry.kind {
                all.push_str(&if is_thought { prose(text) } else { text.to_owned() });
                if let std::borrow::Cow::Owned(shorter) = bounded(all) {
                    *all = shorter;
                }
            }
        });
    }

    fn answered(&mut self, key: Key, request_id: &str, words: String) {
        let id = self.asked.remove(request_id).unwrap_or_default();
        match self.calls.get(&id) {
            Some(call) => self.change(*call, |entry| {
                if let Kind::Call(call) = &mut entry.kind {
                    call.verdict = Some(words);
                }
            }),
            None => {
                self.insert(key, Entry::note(format!("· a question was answered: {words}"), DIM));
            }
        }
    }

    /// Something that only this terminal says.
    pub(super) fn note(&mut self, text: String, style: anstyle::Style) {
        self.next_own += 1;
        let key = (self.last, u32::MAX / 2 + self.next_own);
        self.insert(key, Entry::note(text, style));
    }

    /// A message of this terminal is on its way.
    pub(super) fn said(&mut self, text: &str) {
        let key = (OWN, self.next_own);
        self.next_own += 1;
        let said = Said { text: prose(&bounded(text)), sending: Sending::OnItsWay };
        self.insert(key, Entry::new(Kind::Said(said), false));
        self.own.push_back(key);
        self.follow();
    }

    /// The first of these is stored, as this event.
    pub(super) fn stored(&mut self, seq: u64) {
        let Some(mut entry) = self.own.pop_front().and_then(|key| self.taken(key)) else { return };
        if let Kind::Said(said) = &mut entry.kind {
            said.sending = Sending::Stored;
        }
        entry.changed();
        self.last = self.last.max(seq);
        self.insert((seq, 0), entry);
    }

    /// The first of these is not sent.
    pub(super) fn failed(&mut self, why: &str) {
        let Some(key) = self.own.pop_front() else { return };
        let why = one_line(why);
        self.change(key, |entry| {
            if let Kind::Said(said) = &mut entry.kind {
                said.sending = Sending::Failed(why);
            }
        });
    }

    /// Messages that are not stored yet.
    pub(super) fn on_their_way(&self) -> usize {
        self.own.len()
    }

    /// How far what was sent has come.
    pub(super) const fn receipts(&mut self, receipts: Receipts) {
        self.receipts = receipts;
    }

    /// Messages of people that the agent has not seen yet.
    pub(super) fn unseen(&self) -> usize {
        let from = (self.receipts.seen + 1, 0);
        let later = self.entries.range(from..(LIVE, 0));
        let is_sent = |entry: &Entry| matches!(&entry.kind, Kind::Said(said) if !matches!(said.sending, Sending::AtTheAgent));
        later.filter(|(_, entry)| is_sent(entry)).count()
    }

    /// What persons have said, the last one first.
    pub(super) fn sayings(&self) -> impl Iterator<Item = &str> {
        self.entries.values().rev().filter_map(|entry| match &entry.kind {
            Kind::Said(said) => Some(said.text.as_str()),
            _ => None,
        })
    }

    /// The first event that the log still has.
    pub(super) fn first_kept(&mut self, seq: u64) {
        self.first_kept = self.first_kept.max(seq);
    }

    /// Nothing was written to the end that now is.
    pub(super) fn nothing_is_written(&mut self) {
        self.remove((LIVE, 0));
    }

    pub(super) fn gap(&mut self, after: u64, resumes_after: u64) {
        if self.entries.is_empty() {
            self.first_kept(resumes_after + 1);
            return;
        }
        let text = format!("· {}", gap_in_words(after, resumes_after));
        self.insert((resumes_after, 0), Entry::note(text, BAD));
        self.last = self.last.max(resumes_after);
    }

    /// Older events have come.
    pub(super) fn older(&mut self, events: &[RemoteEvent], after: u64, first_kept: u64) {
        self.older = Older::Unasked;
        self.first_kept(first_kept);
        for RemoteEvent { seq, from, message, .. } in events {
            self.read(*seq, *from, message);
        }
        // Also if none of them is shown.
        let first = self.first.unwrap_or(u64::MAX);
        self.first = Some(first.min(after + 1));
        self.nothing_is_written();
    }

    /// They could not be had.
    pub(super) const fn no_older(&mut self) {
        self.older = Older::Unasked;
    }

    /// The event before which older ones are to be asked for, if they are wanted and there are any.
    pub(super) fn wants_older(&mut self) -> Option<u64> {
        let is_at_top = match (self.top, self.shown) {
            // A screen is not full yet.
            (None, shown) => shown.is_none_or(|shown| self.is_first(shown)),
            (Some(top), _) => self.is_first(top),
        };
        let first = self.first?;
        if !is_at_top || self.older != Older::Unasked || first <= self.first_kept {
            return None;
        }
        if self.bytes > TRANSCRIPT_BYTES / 4 * 3 || self.entries.len() > ENTRIES / 4 * 3 {
            self.older = Older::Full;
            let words = format!(
                "· a terminal keeps no more than this: see what is before event {first} with --plain"
            );
            self.insert((0, 0), Entry::note(words, DIM));
            return None;
        }
        self.older = Older::Asked;
        Some(first)
    }

    fn is_first(&self, (key, line): (Key, usize)) -> bool {
        line == 0 && self.entries.keys().next().is_none_or(|first| key <= *first)
    }

    fn is_last(&self, key: Key) -> bool {
        self.entries.keys().next_back() == Some(&key)
    }

    /// Whether older events are being fetched.
    pub(super) fn is_fetching(&self) -> bool {
        self.older == Older::Asked
    }

    /// Forgets the oldest of what is too much.
    fn trim(&mut self) {
        while self.bytes > TRANSCRIPT_BYTES || self.entries.len() > ENTRIES {
            let Some(key) = self.entries.keys().next().copied() else { return };
            self.remove(key);
            if key.0 < LIVE {
                let next = self.entries.keys().next().map_or(key.0, |next| next.0);
                self.first = Some(next.min(self.last + 1).max(key.0));
            }
        }
    }

    fn stage(&self, key: Key) -> Stage {
        if key.0 >= LIVE { Stage::Seen } else { self.receipts.stage(key.0) }
    }

    fn lines(&mut self, key: Key) -> Rc<[Line]> {
        let stage = self.stage(key);
        let (width, is_all_open) = (self.width, self.is_all_open);
        let is_chosen = self.chosen == Some(key);
        match self.entries.get_mut(&key) {
            Some(entry) => {
                let is_open = entry.is_open != is_all_open;
                entry.lines(View { width, is_open, is_chosen, stage })
            }
            None => Rc::new([]),
        }
    }

    /// The lines that a screen of this size shows.
    pub(super) fn frame(&mut self, width: usize, height: usize) -> Vec<Line> {
        self.width = width;
        let mut all = Vec::with_capacity(height);
        let mut drawn = BTreeSet::new();
        self.shown = None;
        if let Some((top, skipped)) = self.top {
            let keys: Vec<_> =
                self.entries.range(top..).map(|(key, _)| *key).take(height + 1).collect();
            let mut is_end = keys.is_empty();
            for key in keys {
                let lines = self.lines(key);
                let skipped = if key == top { skipped.min(lines.len()) } else { 0 };
                self.shown.get_or_insert((key, skipped));
                drawn.insert(key);
                let room = height - all.len();
                all.extend(lines[skipped..].iter().take(room).cloned());
                is_end = lines.len() - skipped <= room && self.is_last(key);
                if all.len() >= height {
                    break;
                }
            }
            if is_end {
                self.top = None;
            }
        }
        if self.top.is_none() {
            all.clear();
            let mut rows = VecDeque::with_capacity(height);
            let mut keys =
                self.entries.keys().rev().copied().take(height + 1).collect::<Vec<_>>().into_iter();
            while let (true, Some(key)) = (rows.len() < height, keys.next()) {
                let lines = self.lines(key);
                let skipped = lines.len().saturating_sub(height - rows.len());
                for line in lines[skipped..].iter().rev() {
                    rows.push_front(line.clone());
                }
                self.shown = Some((key, skipped));
                drawn.insert(key);
            }
            all.extend(rows);
        }
        self.shown_last = drawn.last().copied();
        for (key, entry) in &mut self.entries {
            if !drawn.contains(key) {
                entry.forget();
            }
        }
        all
    }

    /// Whether it shows the end.
    pub(super) const fn is_following(&self) -> bool {
        self.top.is_none()
    }

    /// Shows the end, and what comes.
    pub(super) const fn follow(&mut self) {
        self.top = None;
        self.chosen = None;
    }

    /// Shows what is above.
    pub(super) fn scroll_up(&mut self, mut lines: usize) {
        let Some((mut key, mut line)) = self.top.or(self.shown) else { return };
        while lines > line {
            let Some(before) = self.entries.range(..key).next_back().map(|(key, _)| *key) else {
                line = 0;
                lines = 0;
                break;
            };
            lines -= line;
            key = before;
            line = self.lines(key).len();
        }
        self.top = Some((key, line.saturating_sub(lines)));
    }

    /// Shows what is below.
    pub(super) fn scroll_down(&mut self, mut lines: usize) {
        let Some((mut key, mut line)) = self.top else { return };
        loop {
            let rest = self.lines(key).len().saturating_sub(line);
            if lines < rest {
                break;
            }
            lines -= rest;
            let next = (key.0, key.1.saturating_add(1));
            let Some(after) = self.entries.range(next..).next().map(|(key, _)| *key) else {
                return self.follow();
            };
            (key, line) = (after, 0);
        }
        self.top = Some((key, line + lines));
    }

    /// Unfolds everything, or folds it again.
    pub(super) fn fold_all(&mut self) {
        self.is_all_open = !self.is_all_open;
        for entry in self.entries.values_mut() {
            entry.is_open = false;
        }
    }

    /// Chooses the card before the one that is chosen, or the last one on the screen.
    pub(super) fn choose_before(&mut self) -> bool {
        let from = match (self.chosen, self.shown_last) {
            (Some(chosen), _) => chosen,
            (None, Some(last)) => (last.0, last.1.saturating_add(1)),
            (None, None) => return false,
        };
        let before = self.entries.range(..from).rev().find(|(_, entry)| entry.is_foldable());
        self.choose(before.map(|(key, _)| *key))
    }

    /// Chooses the one after it.
    pub(super) fn choose_after(&mut self) -> bool {
        let Some(chosen) = self.chosen else { return false };
        let from = (chosen.0, chosen.1.saturating_add(1));
        let after = self.entries.range(from..).find(|(_, entry)| entry.is_foldable());
        self.choose(after.map(|(key, _)| *key))
    }

    fn choose(&mut self, key: Option<Key>) -> bool {
        let Some(key) = key else { return false };
        self.chosen = Some(key);
        let is_shown = self.shown.is_some_and(|(top, skipped)| {
            (top < key || (top == key && skipped == 0))
                && self.shown_last.is_some_and(|last| key < last)
        });
        let is_last = self.shown_last == Some(key) && self.is_following();
        if !is_shown && !is_last {
            self.top = Some((key, 0));
        }
        true
    }

    /// Unfolds the one that is chosen, or folds it.
    pub(super) fn fold_chosen(&mut self) {
        let Some(key) = self.chosen else { return };
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.is_open = !entry.is_open;
            // What it was unfolded for stays in view.
            self.top = Some((key, 0));
        }
    }

    pub(super) const fn choose_none(&mut self) {
        self.chosen = None;
    }

    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
