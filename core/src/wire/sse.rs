//! Server-Sent Events: bytes to the events that they say. A stream that was cut in the middle of an event
//! says nothing of that event.

use alloc::string::String;
use core::num::NonZeroUsize;

use bytes::Bytes;
use sse_core::{SseDecoder, SseEvent};

/// Reads a stream of events.
#[derive(Debug)]
pub(crate) struct EventReader {
    decoder: SseDecoder,
}

/// Why something on a stream is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventError {
    /// It is longer than any of them; it is not kept.
    TooLong,
    /// It does not say what its name promises.
    Malformed,
}

impl EventReader {
    /// For events of at most so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = NonZeroUsize::new(limit).unwrap_or(NonZeroUsize::MIN);
        Self { decoder: SseDecoder::with_limit(limit) }
    }

    /// The next event of these bytes, as `parse` reads its name, its id and its data; `None` once they
    /// are used up.
    pub(crate) fn next<T>(
        &mut self,
        bytes: &mut Bytes,
        parse: impl FnOnce(&str, Option<&str>, String) -> Option<T>,
    ) -> Option<Result<T, EventError>> {
        loop {
            let message = match self.decoder.next(bytes)? {
                Ok(SseEvent::Message(message)) => message,
                Ok(_) => continue,
                Err(_) => return Some(Err(EventError::TooLong)),
            };
            let event = parse(&message.event, message.last_event_id.as_deref(), message.data);
            return Some(event.ok_or(EventError::Malformed));
        }
    }
}
