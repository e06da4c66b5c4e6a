//! A mirror on a simulated disk that tears what is written, whose process dies at any moment, and
//! whose relay comes and goes: whatever happened, its file ends as the log.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use footbridge_core::auth::Credential;
use footbridge_core::base::id::{OpId, SessionId};
use footbridge_core::base::secret::Secret;
use footbridge_core::base::time::Now;
use footbridge_core::contract::action::{Action, Request, Response};
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};
use footbridge_core::contract::machine::{Machine, MachineError, Step};
use footbridge_core::mirror::{Mirror, MirrorConfig};
use footbridge_core::wire::url::BaseUrl;

use crate::ids::Address;
use crate::sim::disk::Disk;

const FILE: &str = "/m";
const EVENTS: u64 = 40;

/// Whether it is the machine itself, or one that trusts the end of its file.
#[derive(Clone, Copy, PartialEq)]
enum Twin {
    None,
    TrustsTheEnd,
}

struct World {
    rng: Rng,
    disk: Disk,
    events: Vec<String>,
    first_seq: u64,
    now: Now,
    twin: Twin,
}

impl World {
    fn new(seed: u64, twin: Twin) -> Self {
        let mut rng = Rng::with_seed(seed);
        let events = (1..=EVENTS).map(|seq| {
            let text = "x".repeat(rng.usize(..200));
            format!(
                r#"{{"seq":{seq},"at":"2026-01-31T12:00:00.000Z","from":"agent","message":"{text}"}}"#
            )
        });
        let events = events.collect();
        let disk = Disk::new(seed);
        Self { rng, disk, events, first_seq: 1, now: Now::default(), twin }
    }

    /// One life, which ends after so many actions unless the mirror ends before. Returns whether it did.
    fn live(&mut self, mut actions: u32) -> Result<bool, MachineError> {
        let mut mirror = Mirror::new(MirrorConfig {
            relay: BaseUrl::parse("https://relay.example").expect("a URL"),
            credential: Credential::fixed(Secret::from("an-access-token")),
            session: SessionId::new("session_1").expect("an id"),
            path: FILE.to_owned(),
            seed: self.rng.u64(..),
        });
        let mut queue = VecDeque::new();
        // What it took for whole at its start although it was torn.
        let mut trusted = None;
        loop {
            match mirror.step() {
                Step::Do(action) => queue.push_back(action),
                Step::Tell(_) => {}
                Step::Finished(outcome) => {
                    return outcome.map(|()| true);
                }
                Step::Wait(deadline) => {
                    let Some(mut action) = queue.pop_front() else {
                        let at = deadline.expect("it waits for something");
                        let pause = at.saturating_since(self.now.mono);
                        self.now.mono = self.now.mono + pause;
                        mirror.handle(self.now, Event::Tick);
                        continue;
                    };
                    if self.twin == Twin::TrustsTheEnd
                        && let Action::Append { offset, .. } = &mut action
                    {
                        let torn = || self.disk.length(FILE).saturating_sub(*offset);
                        *offset += *trusted.get_or_insert_with(torn);
                    }
                    actions = actions.saturating_sub(1);
                    if actions == 0 {
                        self.die_in(action);
                        return Ok(false);
                    }
                    let event = self.perform(action);
                    mirror.handle(self.now, event);
                }
            }
        }
    }

    const fn from(op: OpId) -> Address {
        Address { party: 1, life: 0, op }
    }

    fn perform(&mut self, action: Action) -> Event {
        let op = action.op();
        if let Action::Request { request, .. } = &action {
            return self.respond(op, request);
        }
        self.disk.is_full = self.rng.u32(..20) == 0;
        let wait = Duration::from_millis(3);
        let (number, _) = self.disk.ask(Duration::ZERO, Self::from(op), action, wait);
        self.disk.happen(number).expect("a file").1
    }

    /// What is under way when it dies has happened, or not, or half of it has.
    fn die_in(&mut self, action: Action) {
        self.disk.is_full = false;
        if !matches!(action, Action::Request { .. }) {
            let from = Self::from(action.op());
            self.disk.ask(Duration::ZERO, from, action, Duration::from_millis(3));
            self.disk.abandon(1, false);
        }
    }

    fn respond(&mut self, op: OpId, request: &Request) -> Event {
        let failed = || Event::Failed {
            op,
            failure: IoError { kind: IoErrorKind::Refused, detail: String::new() },
        };
        if request.url.contains("/proof") {
            // Whether it proves anything is tested elsewhere.
            return match proof(&request.url) {
                Some(body) if self.rng.u32(..10) > 0 => answer(op, body),
                _ => failed(),
            };
        }
        if self.rng.u32(..10) == 0 {
            return failed();
        }
        let last_seq = self.events.len() as u64;
        let Some((_, after)) = request.url.split_once("after=") else {
            return answer(op, format!(r#"{{"state":"ended","last_seq":{last_seq}}}"#));
        };
        let after: u64 = after.parse().expect("a number");
        let from = usize::try_from(after.max(self.first_seq - 1)).expect("small");
        let count = self.rng.usize(1..6);
        let events: Vec<_> = self.events.iter().skip(from).take(count).cloned().collect();
        let (events, first_seq) = (events.join(","), self.first_seq);
        let page =
            format!(r#"{{"events":[{events}],"first_seq":{first_seq},"last_seq":{last_seq}}}"#);
        answer(op, page)
    }
}

fn answer(op: OpId, body: String) -> Event {
    Event::Response { op, response: Response { status: 200, headers: vec![], body: body.into() } }
}

/// The proof of whoever knows the access token.
fn proof(url: &str) -> Option<String> {
    footbridge_core::testing::proof_of("an-access-token", url)
}

/// Lives through up to 60 deaths; the file's bytes at the end.
fn run(seed: u64, twin: Twin) -> Result<(String, Bytes), MachineError> {
    let mut world = World::new(seed, twin);
    for _ in 0..60 {
        let actions = world.rng.u32(1..25);
        if world.live(actions)? {
            break;
        }
    }
    let is_over = world.live(u32::MAX)?;
    assert!(is_over, "without a death it ends");
    let log = world.events.iter().map(|event| format!("{event}\n")).collect();
    Ok((log, world.disk.content(FILE)))
}

#[test]
fn whenever_it_dies_its_file_ends_as_the_log() {
    for seed in 0..500 {
        let (log, file) = run(seed, Twin::None).expect("only the session's end ends it");
        assert_eq!(String::from_utf8_lossy(&file), log, "seed {seed}");
    }
}

#[test]
fn one_that_trusts_the_end_of_its_file_is_caught() {
    let is_caught =
        |seed: &u64| run(*seed, Twin::TrustsTheEnd).map_or(true, |(log, file)| file != log);
    let caught = (0..100).filter(is_caught).count();
    assert!(caught > 50, "only {caught} of 100");
}
