//! Bytes of a stream to what they say. A stream that was cut in the middle of an event says nothing of
//! that event: the next stream begins after the last whole one.

use bytes::Bytes;

use crate::base::limits::MAX_LINE_BYTES;
use crate::wire::code_session::StreamEvent;
use crate::wire::sse::{EventError, EventReader};

/// The longest line, with room for a `declared`.
const MAX_EVENT_BYTES: usize = MAX_LINE_BYTES + 1024;

/// Reads a stream.
#[derive(Debug)]
pub(super) struct Events {
    reader: EventReader,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { reader: EventReader::new(MAX_EVENT_BYTES) }
    }

    /// The next event of these bytes; `None` once they are used up.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Option<Result<StreamEvent, &'static str>> {
        let event = self.reader.next(bytes, StreamEvent::parse)?;
        Some(event.map_err(|error| match error {
            EventError::TooLong => "the relay sent an event that is longer than any line",
            EventError::Malformed => "the relay sent a malformed event",
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::Text;
    use crate::wire::code_session::StreamResume;
    use alloc::format;
    use alloc::vec::Vec;

    fn read(events: &mut Events, bytes: &[u8]) -> Vec<Result<StreamEvent, &'static str>> {
        let mut bytes = Bytes::copy_from_slice(bytes);
        core::iter::from_fn(|| events.next(&mut bytes)).collect()
    }

    fn line(number: u64, text: &'static str) -> StreamEvent {
        StreamEvent::Line { number, line: Text::from(text) }
    }

    #[test]
    fn a_stream_is_read_alike_wherever_it_is_cut_into_pieces() {
        let resume = StreamEvent::Resume(StreamResume { received: 2, from: 1 });
        let sent = [
            resume,
            line(2, "{\"a\":\"é\"}"),
            StreamEvent::Unknown,
            line(3, "{}"),
            StreamEvent::Stop,
        ];
        let stream: Vec<u8> =
            sent.iter().flat_map(|event| event.to_text().as_bytes().to_vec()).collect();
        let expected: Vec<_> =
            sent.into_iter().filter(|event| *event != StreamEvent::Unknown).map(Ok).collect();
        for at in 0..stream.len() {
            let mut events = Events::new();
            let mut all = read(&mut events, &stream[..at]);
            all.extend(read(&mut events, &stream[at..]));
            assert_eq!(all, expected, "cut at {at}");
        }
    }

    #[test]
    fn line_ends_of_all_kinds_comments_and_a_byte_order_mark_are_no_part_of_it() {
        let mut events = Events::new();
        let stream =
            "\u{feff}: hello\r\n\r\nid: 7\r\ndata: {}\r\n\r\nretry: 10\n\nid:8\rdata:[]\r\r";
        assert_eq!(read(&mut events, stream.as_bytes()), [Ok(line(7, "{}")), Ok(line(8, "[]"))]);
    }

    #[test]
    fn an_event_that_was_cut_off_says_nothing() {
        let mut events = Events::new();
        assert!(read(&mut events, b"id: 1\ndata: {\"type\"").is_empty());
    }

    #[test]
    fn what_never_ends_is_an_error_and_not_kept() {
        let mut events = Events::new();
        let chunk = format!("data: {}\n", "x".repeat(1 << 20));
        let results: Vec<_> = (0..10).flat_map(|_| read(&mut events, chunk.as_bytes())).collect();
        assert!(matches!(results.as_slice(), [Err(_), ..]), "{} results", results.len());
    }

    #[test]
    fn a_line_without_a_number_is_malformed() {
        let mut events = Events::new();
        assert!(matches!(&read(&mut events, b"data: {}\n\n")[..], [Err(_)]));
        assert!(matches!(&read(&mut events, b"id: x\ndata: {}\n\n")[..], [Err(_)]));
    }
}
