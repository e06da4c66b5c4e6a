//! Events of a log that follow each other, as one row.
//!
//! A row for each event would cost SQLite more than the event itself. What one transaction adds to
//! a session's log makes a chunk, cut where it grows large, so that one event is read, and the
//! oldest are dropped, without touching much else.
//!
//! ```text
//!   sizes: what each event counts for (varint …)
//!   body:  version, then of each event: milliseconds since the one before (zigzag varint),
//!          origin, bytes of the line (varint), the line
//! ```
//!
//! Numbers are LEB128 varints. An event's own number is not in it: they count from the chunk's.

use bytes::Bytes;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::UnixTime;
use footbridge_core::store::{Entry, LogRow, Origin, TableError};

use crate::body::damaged;

/// The form that is written, and the only one that there has been.
const VERSION: u8 = 1;
/// A chunk is not made longer than this, but for one event that is.
const MAX_BYTES: usize = 64 << 10;
/// Nor does it hold more events.
const MAX_EVENTS: usize = 256;

/// Events as one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) sizes: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// When its last event was stored.
    at: u64,
}

impl Chunk {
    pub(crate) const fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Whether an event still goes in.
    pub(crate) fn has_room_for(&self, row: &LogRow) -> bool {
        self.body.is_empty()
            || self.body.len() + row.entry.line.len() <= MAX_BYTES
                && self.last - self.first < MAX_EVENTS as u64 - 1
    }

    pub(crate) fn push(&mut self, row: &LogRow) {
        // Everything that an event is, by name: what is added to it must be added here, too, in a
        // new version.
        let LogRow { entry: Entry { seq, at, origin, line }, size } = row;
        if self.body.is_empty() {
            self.first = *seq;
            self.body.push(VERSION);
        }
        debug_assert!(self.last == 0 || *seq == self.last + 1, "events follow each other");
        self.last = *seq;
        let at = at.as_millis();
        put_number(&mut self.sizes, *size as u64);
        put_number(&mut self.body, zigzag(at.wrapping_sub(self.at).cast_signed()));
        self.at = at;
        self.body.push(match origin {
            Origin::Agent => 0,
            Origin::Viewer => 1,
            Origin::Worker => 2,
            Origin::Relay => 3,
        });
        put_number(&mut self.body, line.len() as u64);
        self.body.extend_from_slice(line.as_bytes());
    }

    pub(crate) fn sum(&self) -> u32 {
        sum(&self.sizes, &self.body)
    }
}

/// The checksum of a chunk.
fn sum(sizes: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(sizes);
    hasher.update(body);
    hasher.finalize()
}

/// Reads the events of a chunk, in order. `what` names its log, for people.
pub(crate) struct Events<'a> {
    seq: u64,
    at: u64,
    sizes: &'a [u8],
    body: Bytes,
    what: &'a str,
}

impl<'a> Events<'a> {
    pub(crate) fn of(
        first: u64,
        expected: u32,
        sizes: &'a [u8],
        body: Vec<u8>,
        what: &'a str,
    ) -> Result<Self, TableError> {
        let mut events = Self { seq: first, at: 0, sizes, body: body.into(), what };
        if sum(sizes, &events.body) != expected {
            return Err(events.damaged("has changed since it was written"));
        }
        let version = events.byte()?;
        if version != VERSION {
            return Err(events.damaged(&format!("has the unknown form {version}")));
        }
        Ok(events)
    }

    fn damaged(&self, how: &str) -> TableError {
        damaged(format!("the log of {} from event {} {how}", self.what, self.seq))
    }

    fn take(&mut self, count: usize) -> Result<Bytes, TableError> {
        if count > self.body.len() {
            return Err(self.damaged("is cut off"));
        }
        Ok(self.body.split_to(count))
    }

    fn byte(&mut self) -> Result<u8, TableError> {
        let byte = self.take(1)?;
        Ok(byte.first().copied().unwrap_or_default())
    }

    fn number(&mut self) -> Result<u64, TableError> {
        let mut rest = &self.body[..];
        let number = take_number(&mut rest).ok_or_else(|| self.damaged("is cut off"))?;
        let used = self.body.len() - rest.len();
        self.take(used)?;
        Ok(number)
    }

    pub(crate) fn next(&mut self) -> Result<Option<LogRow>, TableError> {
        if self.body.is_empty() {
            return Ok(None);
        }
        self.at = self.at.wrapping_add(unzigzag(self.number()?).cast_unsigned());
        let origin = match self.byte()? {
            0 => Origin::Agent,
            1 => Origin::Viewer,
            2 => Origin::Worker,
            3 => Origin::Relay,
            _ => return Err(self.damaged("has an unknown origin")),
        };
        let len = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let line = self.take(len)?;
        let line = Text::from_utf8(line).map_err(|_| self.damaged("is not text"))?;
        let size = take_number(&mut self.sizes).ok_or_else(|| self.damaged("has no size"))?;
        let (seq, at) = (self.seq, UnixTime::from_millis(self.at));
        self.seq += 1;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(Some(LogRow { entry: Entry { seq, at, origin, line }, size }))
    }
}

/// What each event of a chunk counts for, in bytes.
pub(crate) fn sizes_of(mut sizes: &[u8]) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || take_number(&mut sizes))
        .map(|size| usize::try_from(size).unwrap_or(usize::MAX))
}

const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn take_number(from: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0u64, 0);
    loop {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seq: u64, at: u64, origin: Origin, line: String) -> LogRow {
        let (at, line) = (UnixTime::from_millis(at), Text::from(line));
        let size = line.len() + 128;
        LogRow { entry: Entry { seq, at, origin, line }, size }
    }

    fn read(chunk: &Chunk) -> Result<Vec<LogRow>, TableError> {
        let body = chunk.body.clone();
        let mut events = Events::of(chunk.first, chunk.sum(), &chunk.sizes, body, "s")?;
        let mut rows = Vec::new();
        while let Some(row) = events.next()? {
            rows.push(row);
        }
        Ok(rows)
    }

    #[test]
    fn events_are_read_as_they_were_written_whatever_the_clock_did() {
        let origins = [Origin::Agent, Origin::Viewer, Origin::Worker, Origin::Relay];
        let times = [5, 1_800_000_000_000, 1_700_000_000_000, u64::MAX, 0];
        let mut rows = Vec::new();
        for (n, at) in times.into_iter().enumerate() {
            let line = "ü".repeat(n * 100);
            rows.push(row(n as u64 + 7, at, origins[n % origins.len()], line));
        }
        let mut chunk = Chunk::default();
        rows.iter().for_each(|row| chunk.push(row));
        assert_eq!((chunk.first, chunk.last), (7, 11));
        assert_eq!(read(&chunk), Ok(rows.clone()));
        let sizes: Vec<_> = rows.iter().map(|row| row.size).collect();
        assert_eq!(sizes_of(&chunk.sizes).collect::<Vec<_>>(), sizes);
    }

    #[test]
    fn a_chunk_takes_what_fits_and_one_event_always() {
        let mut chunk = Chunk::default();
        let long = row(1, 0, Origin::Agent, "x".repeat(2 * MAX_BYTES));
        assert!(chunk.has_room_for(&long));
        chunk.push(&long);
        assert!(!chunk.has_room_for(&row(2, 0, Origin::Agent, String::new())));
        let mut chunk = Chunk::default();
        let short = |seq| row(seq, 0, Origin::Agent, String::new());
        let count = (1..).take_while(|seq| {
            let fits = chunk.has_room_for(&short(*seq));
            if fits {
                chunk.push(&short(*seq));
            }
            fits
        });
        assert_eq!(count.count(), MAX_EVENTS);
    }

    #[test]
    fn damage_is_found_wherever_it_is() {
        let mut chunk = Chunk::default();
        (1..4).for_each(|seq| chunk.push(&row(seq, seq, Origin::Agent, "line".into())));
        let sum = chunk.sum();
        for at in 0..chunk.body.len() {
            let mut body = chunk.body.clone();
            body[at] ^= 1;
            let error = Events::of(1, sum, &chunk.sizes, body, "session_1").err();
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("the log of session_1 from event 1 has changed"), "{error}");
        }
        // What a checksum does not see, because it was written so.
        for at in 0..chunk.body.len() {
            let mut cut = chunk.clone();
            cut.body.truncate(at);
            let _ = read(&cut);
            let mut bent = chunk.clone();
            bent.body[at] = 0xff;
            let _ = read(&bent);
        }
    }
}
