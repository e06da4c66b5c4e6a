//! A mirror by hand: its file, its relay, and what fails of both.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::id::OpId;
use crate::base::secret::Secret;
use crate::base::time::Now;
use crate::contract::action::{Request, Response};
use crate::contract::event::IoErrorKind;
use crate::testing::{Hand, proof_of};

const TOKEN: &str = "an-access-token-of-a-person";

/// A mirror, with a file and a relay that do what they are asked.
struct Bench {
    hand: Hand<Mirror>,
    file: Vec<u8>,
    identity: Option<Bytes>,
    events: Vec<String>,
    first_seq: u64,
    is_ended: bool,
    /// How the next append fails, and how much of it is written.
    append_fails: Option<(IoErrorKind, usize)>,
    /// What the next requests get instead of an answer.
    refused: Option<(u16, &'static str)>,
    asked: Vec<String>,
}

fn event(seq: u64) -> String {
    format!(
        r#"{{"seq":{seq},"at":"2026-01-31T12:00:00.000Z","from":"agent","message":{{"n":{seq}}}}}"#
    )
}

fn started(credential: Credential) -> Hand<Mirror> {
    let config = MirrorConfig {
        relay: BaseUrl::parse("http://127.0.0.1:8787").expect("a URL"),
        credential,
        session: SessionId::new("session_1").expect("an id"),
        path: "/m".into(),
        seed: 7,
    };
    Hand::new(Mirror::new(config), Now::default())
}

impl Bench {
    fn new(events: u64) -> Self {
        Self::with(started(Credential::fixed(Secret::from(TOKEN))), events)
    }

    fn with(hand: Hand<Mirror>, events: u64) -> Self {
        Self {
            hand,
            file: Vec::new(),
            identity: None,
            events: (1..=events).map(event).collect(),
            first_seq: 1,
            is_ended: false,
            append_fails: None,
            refused: None,
            asked: Vec::new(),
        }
    }

    /// The mirror dies, and another one starts with what is in the file.
    fn restart(&mut self) {
        self.hand = started(Credential::fixed(Secret::from(TOKEN)));
    }

    /// Does all that is asked, until the mirror waits or has ended.
    fn run(&mut self) {
        while let Some(action) = self.hand.actions.pop_front() {
            let event = self.answer(action);
            self.hand.handle(event);
        }
    }

    fn answer(&mut self, action: Action) -> Event {
        let failed = |op, kind| Event::Failed { op, failure: IoError { kind, detail: "x".into() } };
        match action {
            Action::Load { op, path, .. } => {
                assert_eq!(path, "/m.mirror");
                Event::Loaded { op, data: self.identity.clone(), modified: None }
            }
            Action::LoadEnd { op, limit, .. } => {
                let start = self.file.len().saturating_sub(limit);
                let data = Bytes::copy_from_slice(&self.file[start..]);
                Event::EndLoaded { op, length: self.file.len() as u64, data }
            }
            Action::Save { op, data, .. } => {
                self.identity = Some(data);
                Event::Saved { op }
            }
            Action::Append { op, offset, data, .. } => {
                let Some(offset) = usize::try_from(offset).ok().filter(|at| *at <= self.file.len())
                else {
                    return failed(op, IoErrorKind::Other);
                };
                self.file.truncate(offset);
                if let Some((kind, part)) = self.append_fails.take() {
                    self.file.extend_from_slice(&data[..part.min(data.len())]);
                    return failed(op, kind);
                }
                self.file.extend_from_slice(&data);
                Event::Appended { op }
            }
            Action::Request { op, request } => self.respond(op, &request),
            other => panic!("not expected: {other:?}"),
        }
    }

    fn respond(&mut self, op: OpId, request: &Request) -> Event {
        let (_, path) = request.url.split_once(":8787").expect("at the relay");
        self.asked.push(path.split(['?', '&']).next().unwrap_or_default().to_owned());
        let has_token = request.headers.iter().any(|(name, _)| *name == "authorization");
        assert_ne!(has_token, path.starts_with("/v1/proof"));
        let (status, body) = match self.refused {
            Some((0, _)) => {
                let failure = IoError { kind: IoErrorKind::Refused, detail: "x".into() };
                return Event::Failed { op, failure };
            }
            Some((status, kind)) => {
                let body = format!(r#"{{"error":{{"type":"{kind}","message":"no"}}}}"#);
                (status, if kind.is_empty() { "<html>".into() } else { body })
            }
            None => (200, self.good_answer(path)),
        };
        let response = Response { status, headers: Vec::new(), body: Bytes::from(body) };
        Event::Response { op, response }
    }

    fn good_answer(&self, path: &str) -> String {
        let part = |name: &str| {
            let (_, query) = path.split_once('?').expect("a query");
            let part = query.split('&').find_map(|part| part.strip_prefix(name));
            part.expect("it is there").to_owned()
        };
        let last_seq = self.events.len() as u64;
        if let Some(proof) = proof_of(TOKEN, path) {
            return proof;
        }
        if path == "/v1/sessions/session_1" {
            let state = if self.is_ended { "ended" } else { "running" };
            return format!(r#"{{"state":"{state}","last_seq":{last_seq}}}"#);
        }
        let after: u64 = part("after=").parse().expect("a number");
        let from = after.max(self.first_seq - 1);
        // Three at a time.
        let events = self.events.iter().skip(usize::try_from(from).expect("small")).take(3);
        let events = events.cloned().collect::<Vec<_>>().join(",");
        format!(r#"{{"events":[{events}],"first_seq":{},"last_seq":{last_seq}}}"#, self.first_seq)
    }

    #[track_caller]
    fn has_all(&self) {
        let all: String = self.events.iter().map(|event| format!("{event}\n")).collect();
        assert_eq!(String::from_utf8_lossy(&self.file), all);
    }

    #[track_caller]
    fn fault(&self) -> MachineError {
        self.hand.outcome.clone().expect("it has ended").expect_err("with an error")
    }
}

#[test]
fn it_copies_the_log_as_it_grows_and_ends_with_the_session() {
    let mut bench = Bench::new(7);
    bench.run();
    bench.has_all();
    assert_eq!(bench.hand.notices[0], MirrorNotice::Started { seq: 0, cut: 0 });
    assert_eq!(bench.hand.wait(), MIRROR_POLL);
    bench.run();
    assert!(bench.hand.wait() > MIRROR_POLL, "nothing new: it looks less often");
    bench.events.extend((8..=9).map(event));
    bench.run();
    bench.has_all();
    assert_eq!(bench.hand.wait(), MIRROR_POLL, "and at once more often");
    bench.is_ended = true;
    bench.events.push(event(10));
    bench.run();
    bench.has_all();
    assert_eq!(bench.hand.outcome, Some(Ok(())));
    assert_eq!(bench.hand.notices.last(), Some(&MirrorNotice::Ended { seq: 10 }));
}

#[test]
fn one_that_was_cut_anywhere_goes_on_at_the_exact_place() {
    let mut whole = Bench::new(5);
    whole.run();
    for cut in 0..=whole.file.len() {
        let mut bench = Bench::new(8);
        (bench.file, bench.identity) = (whole.file[..cut].to_vec(), whole.identity.clone());
        bench.run();
        bench.has_all();
    }
}

#[test]
fn what_another_party_wrote_into_the_file_is_not_touched() {
    let mut bench = Bench::new(3);
    bench.file = b"notes\n".to_vec();
    bench.run();
    assert!(bench.fault().message.contains("no mirror"), "{}", bench.fault());
    let mut bench = Bench::new(3);
    bench.run();
    bench.file = b"notes\n".to_vec();
    bench.restart();
    bench.run();
    assert_eq!(bench.fault().kind, MachineErrorKind::Local);
    assert_eq!(bench.file, b"notes\n");
    let mut bench = Bench::new(3);
    bench.run();
    let other = BaseUrl::parse("https://other.example").expect("a URL");
    bench.identity =
        Some(Identity::new(&other, &SessionId::new("session_1").expect("id")).to_file());
    bench.restart();
    bench.run();
    assert!(bench.fault().message.contains("https://other.example"), "{}", bench.fault());
}

#[test]
fn another_log_under_the_same_name_is_not_appended() {
    let mut bench = Bench::new(3);
    bench.run();
    bench.events.pop();
    bench.restart();
    bench.run();
    assert!(bench.fault().message.contains("set back"), "{}", bench.fault());

    let mut bench = Bench::new(3);
    bench.run();
    bench.events[2] = event(3).replace("\"n\"", "\"other\"");
    bench.events.push(event(4));
    let before = bench.file.clone();
    bench.restart();
    bench.run();
    assert!(bench.fault().message.contains("another log"), "{}", bench.fault());
    assert_eq!(bench.file, before);

    // While it runs, if the relay was away.
    let mut bench = Bench::new(3);
    bench.run();
    bench.refused = Some((0, ""));
    bench.hand.wait();
    bench.run();
    (bench.refused, bench.events[2]) = (None, event(3).replace("\"n\"", "\"other\""));
    bench.hand.wait();
    bench.run();
    assert!(bench.fault().message.contains("another log"), "{}", bench.fault());
}

#[test]
fn what_the_relay_no_longer_keeps_is_a_line_of_its_own() {
    let mut bench = Bench::new(2);
    bench.run();
    bench.events.extend((3..=9).map(event));
    bench.first_seq = 6;
    bench.hand.wait();
    bench.run();
    let text = String::from_utf8(bench.file.clone()).expect("UTF-8");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[2], r#"{"type":"gap","after":2,"resumes_after":5}"#);
    assert_eq!((lines.len(), lines[3]), (2 + 1 + 4, &*event(6)));
    let gap = MirrorNotice::Gap { after: 2, resumes_after: 5 };
    assert!(bench.hand.notices.contains(&gap));
    // A restart between the gap and what follows.
    bench.file.truncate(text.find(&event(6)).expect("there"));
    bench.restart();
    bench.run();
    assert_eq!(String::from_utf8(bench.file).expect("UTF-8"), text);
}

#[test]
fn a_relay_that_is_away_for_a_day_is_waited_for_and_that_is_said_once() {
    let mut bench = Bench::new(3);
    bench.run();
    let mut away = Duration::ZERO;
    for refused in [(0, ""), (502, ""), (503, "unavailable"), (200, ""), (401, "x"), (404, "x")] {
        bench.refused = Some(refused);
        for _ in 0..400 {
            away += bench.hand.wait();
            bench.run();
        }
    }
    assert!(away > Duration::from_secs(24 * 60 * 60), "{away:?}");
    let said = |n: &&MirrorNotice| matches!(n, MirrorNotice::RelayFailing { .. });
    assert_eq!(bench.hand.notices.iter().filter(said).count(), 1);
    bench.refused = None;
    bench.events.push(event(4));
    bench.hand.wait();
    bench.run();
    bench.has_all();
    assert_eq!(bench.hand.notices.iter().filter(|n| **n == MirrorNotice::RelayBack).count(), 1);
}

#[test]
fn a_refusal_of_the_relay_itself_ends_it_and_says_what_to_do() {
    for (status, kind, expected) in [
        (401, "authentication_failed", MachineErrorKind::Unauthorized),
        (403, "permission_denied", MachineErrorKind::Forbidden),
        (404, "session_unknown", MachineErrorKind::NotFound),
    ] {
        let mut bench = Bench::new(3);
        bench.run();
        bench.refused = Some((status, kind));
        bench.hand.wait();
        bench.run();
        assert_eq!(bench.fault().kind, expected);
        assert!(!bench.fault().message.contains(TOKEN));
        bench.has_all();
    }
}

#[test]
fn a_disk_that_is_full_is_said_once_and_loses_nothing() {
    for part in [0, 1, 10, 80, 100, 10_000] {
        let mut bench = Bench::new(5);
        bench.append_fails = Some((IoErrorKind::Full, part));
        bench.run();
        for _ in 0..20 {
            bench.append_fails = Some((IoErrorKind::Full, part));
            bench.hand.wait();
            bench.run();
        }
        let said = |n: &&MirrorNotice| matches!(n, MirrorNotice::DiskFailing { .. });
        assert_eq!(bench.hand.notices.iter().filter(said).count(), 1);
        bench.append_fails = None;
        bench.hand.wait();
        bench.run();
        bench.has_all();
        assert!(bench.hand.notices.contains(&MirrorNotice::DiskBack));
    }
}

#[test]
fn a_file_that_somebody_cuts_or_removes_meanwhile_is_made_whole_again() {
    for left in [0, 100, 200] {
        let mut bench = Bench::new(5);
        bench.run();
        bench.file.truncate(left);
        bench.events.push(event(6));
        bench.hand.wait();
        bench.run();
        bench.hand.wait();
        bench.run();
        bench.has_all();
    }
}

#[test]
fn a_log_in_is_refreshed_once_and_kept() {
    let kept = |name: &str| {
        format!(
            r#"{{"relay":"http://127.0.0.1:8787","access_token":"access-{name}","refresh_token":"{TOKEN}","refresh_key":"key"}}"#
        )
    };
    let log_in = crate::auth::LogIn::parse(kept("1").as_bytes()).expect("a log-in");
    let mut bench = Bench::with(started(Credential::from_log_in(log_in, "/l".into())), 3);
    bench.run();
    bench.refused = Some((401, "token_expired"));
    bench.hand.wait();
    let Some(action) = bench.hand.actions.pop_front() else { panic!("it asks") };
    let event = bench.answer(action);
    bench.hand.handle(event);
    let (lock, path) = bench.hand.lock();
    assert_eq!(path, "/l.lock");
    let Some(Action::Load { op, path, .. }) = bench.hand.actions.pop_front() else { panic!() };
    assert_eq!(path, "/l");
    let data = Some(Bytes::from(kept("1")));
    bench.hand.handle(Event::Loaded { op, data, modified: None });
    let Some(Action::Request { op, request }) = bench.hand.actions.pop_front() else { panic!() };
    assert!(request.url.ends_with("/v1/oauth/token"));
    let body = r#"{"access_token":"access-2","token_type":"Bearer","refresh_token":"refresh-2"}"#;
    let response = Response { status: 200, headers: Vec::new(), body: Bytes::from(body) };
    bench.hand.handle(Event::Response { op, response });
    let Some(Action::Save { op, path, data }) = bench.hand.actions.pop_front() else { panic!() };
    assert!(path == "/l" && String::from_utf8_lossy(&data).contains("access-2"));
    bench.hand.handle(Event::Saved { op });
    let released = bench.hand.actions.pop_front();
    assert_eq!(released, Some(Action::Cancel { op: lock }));
    bench.refused = None;
    bench.run();
    bench.has_all();
    assert_eq!(bench.hand.outcome, None);
}

#[test]
fn whoever_has_the_relays_port_now_is_shown_no_credential() {
    let mut bench = Bench::new(1);
    bench.run();
    bench.refused = Some((200, ""));
    bench.hand.wait();
    bench.run();
    bench.asked.clear();
    for _ in 0..5 {
        bench.hand.wait();
        bench.run();
    }
    assert!(bench.asked.iter().all(|path| path == "/v1/proof"), "{:?}", bench.asked);
}

#[test]
fn it_stops_when_it_is_told_to() {
    let mut bench = Bench::new(1);
    bench.run();
    bench.hand.command(MirrorCommand::Stop);
    assert_eq!(bench.hand.outcome, Some(Ok(())));
}
