//! A byte stream split into lines (M-1).

use alloc::vec::Vec;

use bytes::Bytes;

/// One line of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line without its line ending; never empty.
    Whole(Bytes),
    /// A line that was longer than the limit. It was not kept.
    TooLong {
        /// Its first bytes, for a report.
        beginning: Bytes,
        /// Its length in bytes, or the part that had arrived when the stream ended.
        bytes: usize,
    },
}

/// How much of an overlong line is kept for a report.
const BEGINNING_BYTES: usize = 200;

/// Splits chunks into lines. It holds at most one unfinished line, and never more than the limit.
#[derive(Debug)]
pub struct Splitter {
    limit: usize,
    partial: Vec<u8>,
    /// The length of the line so far, once it is too long.
    skipped: Option<usize>,
}

impl Splitter {
    /// Accepts lines of up to `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, partial: Vec::new(), skipped: None }
    }

    /// Adds a chunk and passes each line that it completes to `each`. A line that lies entirely
    /// within the chunk shares its memory.
    pub fn push(&mut self, mut chunk: Bytes, mut each: impl FnMut(Line)) {
        while let Some(at) = memchr::memchr(b'\n', &chunk) {
            let mut head = chunk.split_to(at + 1);
            head.truncate(at);
            self.complete(head, &mut each);
        }
        self.keep(&chunk);
    }

    /// Ends the stream: whatever is left is a line too.
    pub fn finish(&mut self, mut each: impl FnMut(Line)) {
        self.complete(Bytes::new(), &mut each);
    }

    /// Bytes of an unfinished line that are held.
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    fn keep(&mut self, more: &[u8]) {
        if let Some(skipped) = &mut self.skipped {
            *skipped += more.len();
            self.keep_beginning(more);
        } else if self.partial.len() + more.len() > self.limit {
            self.skipped = Some(self.partial.len() + more.len());
            self.keep_beginning(more);
            self.partial.truncate(BEGINNING_BYTES);
            self.partial.shrink_to_fit();
        } else {
            self.partial.extend_from_slice(more);
        }
    }

    fn keep_beginning(&mut self, more: &[u8]) {
        let room = BEGINNING_BYTES.saturating_sub(self.partial.len()).min(more.len());
        self.partial.extend_from_slice(more.get(..room).unwrap_or_default());
    }

    fn complete(&mut self, tail: Bytes, each: &mut impl FnMut(Line)) {
        let whole = if self.partial.is_empty() && self.skipped.is_none() && tail.len() <= self.limit
        {
            tail
        } else {
            self.keep(&tail);
            Bytes::from(core::mem::take(&mut self.partial))
        };
        if let Some(bytes) = self.skipped.take() {
            each(Line::TooLong { beginning: whole, bytes });
            return;
        }
        let end = whole.iter().rposition(|b| *b != b'\r').map_or(0, |at| at + 1);
        if end > 0 {
            let line = if end == whole.len() { whole } else { whole.slice(..end) };
            each(Line::Whole(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(limit: usize, chunks: &[&'static [u8]]) -> Vec<Line> {
        let mut splitter = Splitter::new(limit);
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::from_static(chunk), |line| lines.push(line));
            assert!(splitter.held() <= limit.max(BEGINNING_BYTES));
        }
        splitter.finish(|line| lines.push(line));
        lines
    }

    fn whole(text: &'static str) -> Line {
        Line::Whole(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn lines_come_out_the_same_however_the_stream_is_cut() {
        let stream: &[u8] = b"one\ntwo\r\n\n\nthree";
        for at in 0..stream.len() {
            let (a, b) = stream.split_at(at);
            assert_eq!(split(64, &[a, b]), [whole("one"), whole("two"), whole("three")], "{at}");
        }
    }

    #[test]
    fn a_line_over_the_limit_is_refused_without_being_held_and_the_next_one_goes_on() {
        let long: &'static [u8] = &[b'x'; 1000];
        let lines = split(999, &[b"ok\n", long, b"\nok\n"]);
        assert_eq!(lines.len(), 3);
        let Line::TooLong { beginning, bytes } = &lines[1] else { panic!("{lines:?}") };
        assert_eq!((beginning.len(), *bytes), (BEGINNING_BYTES, 1000));
        assert_eq!(lines[2], whole("ok"));
        assert_eq!(split(1000, &[long, b"\n"]).len(), 1);
        assert!(matches!(split(1000, &[long, b"\n"])[0], Line::Whole(_)));
    }

    #[test]
    fn the_beginning_of_a_refused_line_is_the_same_however_the_stream_is_cut() {
        let long: &'static [u8] = &[b'x'; 300];
        let whole = split(8, &[long]);
        for at in 0..long.len() {
            let (a, b) = long.split_at(at);
            assert_eq!(split(8, &[a, b]), whole, "{at}");
        }
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let mut splitter = Splitter::new(1 << 20);
        for _ in 0..64 {
            splitter.push(Bytes::from(alloc::vec![b'x'; 64 << 10]), |_| panic!("no line"));
        }
        assert!(splitter.held() <= BEGINNING_BYTES);
    }
}
