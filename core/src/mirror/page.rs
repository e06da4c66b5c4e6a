//! A page of a log, taken apart into the lines of a file: the bytes of each event as they were served.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::base::limits::MIRROR_APPEND_BYTES;
use crate::wire::viewer::EventView;

/// What is written at once, and where the file is then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) lines: Bytes,
    /// The last event in it.
    pub(super) seq: u64,
}

/// What a page adds to a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) pieces: VecDeque<Piece>,
    /// Events that the relay no longer keeps: the last one before them, and the last of them.
    pub(super) gap: Option<(u64, u64)>,
    /// The last event of the log.
    pub(super) last_seq: u64,
}

/// Why a page adds nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageError {
    /// It is none.
    Unreadable(String),
    /// The log ends before the file does.
    Shorter { last_seq: u64 },
    /// The file's last event is another one in the log.
    Different,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
    first_seq: u64,
    last_seq: u64,
}

/// The line that stands for events which are no longer kept, as on the stream of events.
pub(super) fn gap_line(after: u64, resumes_after: u64) -> String {
    format!("{{\"type\":\"gap\",\"after\":{after},\"resumes_after\":{resumes_after}}}\n")
}

/// Reads a page that was asked for. `after` is the last event in the file. If `last` has its line,
/// the page was asked for from one event earlier, so that both can be compared.
pub(super) fn read(json: &str, after: u64, last: Option<&[u8]>) -> Result<Page, PageError> {
    let unreadable = |error: serde_json::Error| {
        PageError::Unreadable(format!("JSON of another shape, at column {}", error.column()))
    };
    let RawPage { events, first_seq, last_seq } = serde_json::from_str(json).map_err(unreadable)?;
    if last_seq < after {
        return Err(PageError::Shorter { last_seq });
    }
    let mut page = Page { last_seq, ..Page::default() };
    let (mut lines, mut seq) = (Vec::new(), after);
    for raw in events {
        let event: EventView<'_> = serde_json::from_str(raw.get()).map_err(unreadable)?;
        if event.seq == after
            && let Some(last) = last
        {
            let is_same =
                serde_json::from_slice::<EventView<'_>>(last).is_ok_and(|ours| ours == event);
            if !is_same {
                return Err(PageError::Different);
            }
            continue;
        }
        if event.seq != seq + 1 {
            if seq != after || event.seq <= seq || event.seq != first_seq {
                let reason = format!("event {} follows event {seq}", event.seq);
                return Err(PageError::Unreadable(reason));
            }
            let resumes_after = event.seq - 1;
            page.gap = Some((after, resumes_after));
            lines.extend_from_slice(gap_line(after, resumes_after).as_bytes());
        }
        if !lines.is_empty() && lines.len() + raw.get().len() >= MIRROR_APPEND_BYTES {
            let seq = event.seq - 1;
            page.pieces.push_back(Piece { lines: core::mem::take(&mut lines).into(), seq });
        }
        seq = event.seq;
        let start = lines.len();
        lines.extend_from_slice(raw.get().as_bytes());
        // Between the parts of a JSON object a line may end, but not in a file of lines.
        lines[start..].iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
        lines.push(b'\n');
    }
    if seq == after && first_seq > after + 1 && first_seq > last_seq {
        // Nothing is left of the log.
        page.gap = Some((after, last_seq));
        lines.extend_from_slice(gap_line(after, last_seq).as_bytes());
        seq = last_seq;
    }
    if !lines.is_empty() {
        page.pieces.push_back(Piece { lines: lines.into(), seq });
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, message: &str) -> String {
        format!(
            r#"{{"seq":{seq},"at":"2026-01-31T12:00:00.000Z","from":"agent","message":{message}}}"#
        )
    }

    fn page(events: &[String], first_seq: u64, last_seq: u64) -> String {
        format!(
            r#"{{"events":[{}],"first_seq":{first_seq},"last_seq":{last_seq}}}"#,
            events.join(",")
        )
    }

    fn text(page: &Page) -> String {
        let all: Vec<u8> = page.pieces.iter().flat_map(|piece| piece.lines.to_vec()).collect();
        String::from_utf8(all).expect("UTF-8")
    }

    #[test]
    fn each_event_is_a_line_of_the_bytes_that_were_served() {
        let odd = r#"{ "b" : 1,"a":"ü\u00fc" }"#;
        let with_more = event(2, odd).replace("\"seq\":2", "\"seq\": 2,\"new\":[1,\n2]");
        let read =
            read(&page(&[event(1, "{}"), with_more.clone()], 1, 9), 0, None).expect("a page");
        assert_eq!(text(&read), format!("{}\n{}\n", event(1, "{}"), with_more.replace('\n', " ")));
        assert_eq!((read.pieces[0].seq, read.last_seq, read.gap), (2, 9, None));
    }

    #[test]
    fn what_is_no_longer_kept_is_a_line_of_its_own() {
        let some = read(&page(&[event(7, "{}")], 7, 7), 3, None).expect("a page");
        assert_eq!(text(&some), format!("{}{}\n", gap_line(3, 6), event(7, "{}")));
        assert_eq!((some.gap, some.pieces[0].seq), (Some((3, 6)), 7));
        let none = read(&page(&[], 8, 7), 3, None).expect("a page");
        assert_eq!((text(&none), none.pieces[0].seq), (gap_line(3, 7), 7));
        let nothing_new = read(&page(&[], 1, 3), 3, None).expect("a page");
        assert!(nothing_new.pieces.is_empty());
    }

    #[test]
    fn a_hole_or_a_repeat_within_a_page_is_refused() {
        for seqs in [&[5_u64, 7][..], &[5, 5], &[3], &[4, 5], &[6]] {
            let events: Vec<_> = seqs.iter().map(|seq| event(*seq, "{}")).collect();
            let read = read(&page(&events, 1, 9), 4, None);
            assert!(matches!(read, Err(PageError::Unreadable(_))), "{seqs:?}: {read:?}");
        }
    }

    #[test]
    fn another_log_is_recognised_by_its_end_or_by_the_last_event() {
        assert_eq!(read(&page(&[], 1, 3), 4, None), Err(PageError::Shorter { last_seq: 3 }));
        let (ours, theirs) = (event(4, r#"{"a":1}"#), event(4, r#"{"a":2}"#));
        let asked = |served: &str, ours: &str| {
            read(&page(&[served.into(), event(5, "{}")], 1, 5), 4, Some(ours.as_bytes()))
        };
        assert_eq!(asked(&theirs, &ours), Err(PageError::Different));
        assert_eq!(asked(&ours, &ours).map(|page| text(&page)), Ok(event(5, "{}") + "\n"));
        let newer = ours.replace("\"from\"", "\"new\":1,\"from\"");
        assert!(asked(&newer, &ours).is_ok(), "a newer relay may add a field");
        // It is no longer kept, so nobody can compare.
        let gone = read(&page(&[event(9, "{}")], 9, 9), 4, Some(ours.as_bytes())).expect("a page");
        assert_eq!(gone.gap, Some((4, 8)));
    }

    #[test]
    fn pieces_are_bounded_and_a_large_event_is_one_of_its_own() {
        let large = format!("\"{}\"", "x".repeat(MIRROR_APPEND_BYTES));
        let small = format!("\"{}\"", "y".repeat(MIRROR_APPEND_BYTES / 3));
        let messages = [&small, &small, &small, &large, &small];
        let events: Vec<_> =
            messages.iter().zip(1..).map(|(message, seq)| event(seq, message)).collect();
        let read = read(&page(&events, 1, 5), 0, None).expect("a page");
        let seqs: Vec<_> = read.pieces.iter().map(|piece| piece.seq).collect();
        assert_eq!(seqs, [2, 3, 4, 5]);
        assert_eq!(
            text(&read),
            events.iter().map(|event| event.clone() + "\n").collect::<String>()
        );
    }
}
