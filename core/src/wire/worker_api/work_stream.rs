//! Work as it comes (E-2): Server-Sent Events, from a relay to a worker.

use alloc::format;
use alloc::string::String;

use super::work::WorkItem;
use crate::base::text::Text;
use crate::wire::to_text;

/// What a relay says on a stream of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkStreamEvent {
    /// First of all: it is open.
    Open,
    /// A work item, still as JSON, and its number among those that were given under the same key.
    Work {
        /// Its number: the first one is 1.
        number: u64,
        /// The item.
        item: String,
    },
    /// The stream ends because it has brought what it was to, or lasted as long as it was to.
    End,
    /// Of a later version, to be ignored.
    Unknown,
}

impl WorkStreamEvent {
    /// From the name, the id and the data of an event; `None` if it is malformed.
    pub fn parse(name: &str, id: Option<&str>, data: String) -> Option<Self> {
        Some(match name {
            "open" => Self::Open,
            "work" => Self::Work { number: id?.parse().ok()?, item: data },
            "end" => Self::End,
            _ => Self::Unknown,
        })
    }

    /// An item as it is written to a stream.
    pub fn work(number: u64, item: &WorkItem) -> Text {
        // JSON that is written here has no line breaks.
        Text::from(format!("id: {number}\nevent: work\ndata: {}\n\n", to_text(item).as_str()))
    }

    /// As it is written to a stream; an unknown one is a comment.
    pub fn to_text(&self) -> Text {
        Text::from(match self {
            Self::Open => String::from("event: open\ndata: {}\n\n"),
            Self::Work { number, item } => format!("id: {number}\nevent: work\ndata: {item}\n\n"),
            Self::End => String::from("event: end\ndata: {}\n\n"),
            Self::Unknown => String::from(":\n\n"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sse::EventReader;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use bytes::Bytes;

    #[test]
    fn events_are_read_as_they_were_written_wherever_they_are_cut() {
        let item = String::from(r#"{"id":"work_1"}"#);
        let sent = [
            WorkStreamEvent::Open,
            WorkStreamEvent::Unknown,
            WorkStreamEvent::Work { number: 7, item },
            WorkStreamEvent::End,
        ];
        let stream: String =
            sent.iter().map(|event| event.to_text().as_str().to_string()).collect();
        let expected: Vec<_> =
            sent.into_iter().filter(|event| *event != WorkStreamEvent::Unknown).map(Ok).collect();
        for at in 0..stream.len() {
            let mut reader = EventReader::new(1000);
            let mut read = Vec::new();
            for part in [&stream[..at], &stream[at..]] {
                let mut bytes = Bytes::copy_from_slice(part.as_bytes());
                read.extend(core::iter::from_fn(|| {
                    reader.next(&mut bytes, WorkStreamEvent::parse)
                }));
            }
            assert_eq!(read, expected, "cut at {at}");
        }
    }

    #[test]
    fn an_item_has_a_number_and_what_is_not_known_is_ignored() {
        assert_eq!(WorkStreamEvent::parse("work", None, String::new()), None);
        assert_eq!(WorkStreamEvent::parse("work", Some("x"), String::new()), None);
        let later = WorkStreamEvent::parse("later", None, String::new());
        assert_eq!(later, Some(WorkStreamEvent::Unknown));
    }
}
