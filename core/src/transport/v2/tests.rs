//! A channel driven by hand: what it asks for, and what each answer leads to.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use core::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::base::limits::{STREAM_DEAD_AFTER, WORKER_HEARTBEAT_EVERY, WORKER_TOKEN_LIFE};
use crate::base::time::{Now, UnixTime};
use crate::contract::action::{Message, Method, Response, Target};
use crate::contract::event::{Head, IoError, IoErrorKind};
use crate::contract::machine::Step;
use crate::transport::Transport;
use crate::wire::last_line::LastLine;
use crate::wire::link_v1::ControlFrame;

struct Bench {
    fx: Effects<(), ()>,
    rng: Rng,
    channel: Channel,
    now: Now,
    actions: Vec<Action>,
    told: Vec<LinkEvent>,
}

/// A request that the channel has made.
struct Asked {
    op: OpId,
    path: String,
    credential: String,
    last_event_id: Option<String>,
    last_line: Option<String>,
    body: Value,
}

impl Asked {
    fn first(&self) -> u64 {
        self.body["first_sequence_num"].as_u64().expect("a number")
    }

    fn numbers(&self) -> Vec<u64> {
        let events = self.body["events"].as_array().expect("events");
        events.iter().filter_map(|event| event["payload"]["n"].as_u64()).collect()
    }
}

fn channel() -> Channel {
    Channel::new(
        "http://127.0.0.1:1/v1/code/sessions/session_1".to_owned(),
        Secret::from("item"),
        "run".to_owned(),
        BackoffConfig::default(),
        Rhythm::default(),
    )
}

impl Bench {
    fn new() -> Self {
        let mut bench = Self {
            fx: Effects::new(),
            rng: Rng::with_seed(1),
            channel: channel(),
            now: Now { mono: Instant::ORIGIN, wall: UnixTime::from_millis(1_000_000) },
            actions: Vec::new(),
            told: Vec::new(),
        };
        bench.fx.advance(bench.now);
        bench.channel.connect(&mut bench.fx, ());
        bench.settle();
        bench
    }

    fn settle(&mut self) {
        while let Step::Do(action) = self.fx.step(None) {
            if let Action::Cancel { op } = &action {
                self.actions.retain(|other| other.op() != *op);
            }
            self.actions.push(action);
        }
    }

    fn handle(&mut self, event: Event) {
        let Self { fx, rng, channel, told, .. } = self;
        if event.op().is_some_and(|op| fx.purpose(op).is_some()) {
            channel.handle(fx, rng, (), event, |event| told.push(event));
        }
        self.settle();
    }

    /// The next request, which is not waited for: it has to be there.
    #[track_caller]
    fn asked(&mut self, end: &str) -> Asked {
        let is_it = |action: &Action| match action {
            Action::Request { request, .. } => {
                request.url.split('?').next().is_some_and(|path| path.ends_with(end))
            }
            _ => false,
        };
        let at = self.actions.iter().position(is_it);
        let at = at.unwrap_or_else(|| panic!("no request to {end}: {:?}", self.actions));
        let Action::Request { op, request } = self.actions.remove(at) else { unreachable!() };
        let header = |name: &str| {
            let found = request.headers.iter().find(|(given, _)| *given == name);
            found.map(|(_, value)| value.reveal().to_owned())
        };
        assert_eq!(request.method == Method::Get, end == "/stream");
        Asked {
            op,
            path: request.url.clone(),
            credential: header("authorization").unwrap_or_default().replace("Bearer ", ""),
            last_event_id: header("last-event-id"),
            last_line: header("x-footbridge-last-line"),
            body: serde_json::from_slice(&request.body).unwrap_or(Value::Null),
        }
    }

    fn has_asked(&self, end: &str) -> bool {
        self.actions.iter().any(|action| match action {
            Action::Request { request, .. } => request.url.contains(end),
            _ => false,
        })
    }

    fn respond(&mut self, op: OpId, status: u16, body: &Value) {
        let body = Bytes::from(body.to_string());
        self.handle(Event::Response { op, response: Response { status, headers: vec![], body } });
    }

    fn refuse(&mut self, op: OpId, status: u16, kind: &str) {
        self.respond(op, status, &json!({"error": {"type": kind, "message": "no"}}));
    }

    /// A proxy answers in place of the relay.
    fn page(&mut self, op: OpId, status: u16, html: &'static str) {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        let body = Bytes::from_static(html.as_bytes());
        self.handle(Event::Response { op, response: Response { status, headers, body } });
    }

    fn lose(&mut self, op: OpId) {
        let failure = IoError { kind: IoErrorKind::TimedOut, detail: String::new() };
        self.handle(Event::Failed { op, failure });
    }

    fn head(&mut self, op: OpId, status: u16) {
        let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
        self.handle(Event::Head { op, head: Head { status, headers } });
    }

    fn stream(&mut self, op: OpId, text: &str) {
        let message = Message::Binary(Bytes::copy_from_slice(text.as_bytes()));
        self.handle(Event::Received { op, message });
    }

    fn end(&mut self, op: OpId) {
        let failure = Some(IoError { kind: IoErrorKind::Disconnected, detail: String::new() });
        self.handle(Event::Closed { op, code: None, failure });
    }

    #[track_caller]
    fn bridge(&mut self, epoch: u64) {
        let asked = self.asked("/bridge");
        assert_eq!(asked.credential, "item");
        let jwt = format!("jwt{epoch}");
        let life = WORKER_TOKEN_LIFE.as_secs();
        let body = json!({"worker_jwt": jwt, "expires_in": life, "worker_epoch": epoch});
        self.respond(asked.op, 200, &body);
    }

    /// The stream is open, and the relay has said where it stands.
    #[track_caller]
    fn greet(&mut self, received: u64, from: u64) -> OpId {
        let op = self.asked("/stream").op;
        self.head(op, 200);
        self.stream(
            op,
            &format!(
                ": padding\n\nevent: resume\ndata: {{\"received\":{received},\"from\":{from}}}\n\n"
            ),
        );
        op
    }

    fn up() -> (Self, OpId) {
        let mut bench = Self::new();
        bench.bridge(1);
        let op = bench.greet(0, 0);
        assert_eq!(bench.told, [LinkEvent::Up]);
        bench.told.clear();
        (bench, op)
    }

    fn say(&mut self, n: u64) {
        let line = Text::from(format!("{{\"type\":\"x\",\"n\":{n}}}"));
        self.channel.send_line(&mut self.fx, (), line);
        self.settle();
    }

    fn done(&mut self) {
        self.channel.confirm_delivered(&mut self.fx, (), 0, 0);
        self.settle();
    }

    /// Lets time pass, with its deadlines.
    fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let at = self.channel.deadline().filter(|at| *at <= end).unwrap_or(end);
            let step = at.saturating_since(self.now.mono);
            self.now = Now { mono: self.now.mono + step, wall: self.now.wall + step };
            self.fx.advance(self.now);
            let is_due = self.channel.deadline().is_some_and(|due| due <= self.now.mono);
            if !is_due {
                return;
            }
            let event = self.channel.on_time(&mut self.fx, &mut self.rng, ());
            self.told.extend(event);
            self.settle();
        }
    }

    fn lines(&self) -> Vec<u64> {
        let number = |event: &LinkEvent| match event {
            LinkEvent::Line { number, .. } => Some(*number),
            _ => None,
        };
        self.told.iter().filter_map(number).collect()
    }
}

fn line(number: u64) -> String {
    format!("id: {number}\ndata: {{\"type\":\"user\",\"n\":{number}}}\n\n")
}

#[test]
fn it_bridges_opens_its_stream_and_sends_what_had_to_wait() {
    let mut bench = Bench::new();
    bench.say(1);
    assert!(!bench.has_asked("/events"), "nothing leaves before both sides know where they are");
    bench.bridge(1);
    let op = bench.greet(40, 7);
    assert_eq!(bench.told, [LinkEvent::Up]);
    let batch = bench.asked("/events");
    assert_eq!((batch.credential.as_str(), batch.first(), batch.numbers()), ("jwt1", 41, vec![1]));
    bench.stream(op, &line(8));
    assert_eq!(bench.lines(), [8]);
}

#[test]
fn batches_go_one_at_a_time_and_in_order() {
    let (mut bench, _) = Bench::up();
    for n in 1..=4 {
        bench.say(n);
    }
    let first = bench.asked("/events");
    assert_eq!(first.numbers(), [1]);
    assert!(!bench.has_asked("/events"));
    bench.respond(first.op, 200, &json!({"received": 1}));
    let second = bench.asked("/events");
    assert_eq!((second.first(), second.numbers()), (2, vec![2, 3, 4]));
    bench.respond(second.op, 200, &json!({"received": 3}));
    let third = bench.asked("/events");
    assert_eq!((third.first(), third.numbers()), (4, vec![4]), "what was not stored goes again");
    bench.respond(third.op, 200, &json!({"received": 4}));
    assert!(bench.channel.is_flushed());
}

#[test]
fn a_batch_whose_answer_is_lost_is_sent_again_under_the_same_numbers() {
    let (mut bench, _) = Bench::up();
    bench.say(1);
    let batch = bench.asked("/events");
    bench.say(2);
    bench.lose(batch.op);
    assert!(bench.told.is_empty(), "the stream is as good as before");
    bench.pass(Duration::from_secs(5));
    let again = bench.asked("/events");
    assert_eq!((again.first(), again.numbers()), (1, vec![1, 2]));
    bench.respond(again.op, 200, &json!({"received": 2}));
    assert!(bench.channel.is_flushed());
}

#[test]
fn a_stream_that_breaks_in_the_middle_of_an_event_goes_on_after_the_last_whole_one() {
    let (mut bench, op) = Bench::up();
    let second = line(2);
    let (begun, _) = second.split_at(second.len() - 3);
    bench.stream(op, &[&line(1), begun].concat());
    bench.done();
    let ack = bench.asked("/events");
    assert_eq!(ack.body["delivered"], 1);
    bench.end(op);
    assert!(matches!(&bench.told[..], [LinkEvent::Line { .. }, LinkEvent::Down { .. }]));
    bench.pass(Duration::from_secs(5));
    let again = bench.asked("/stream");
    assert_eq!(again.last_event_id.as_deref(), Some("1"));
    assert!(again.path.contains("from_sequence_num=1&"), "{}", again.path);
    bench.head(again.op, 200);
    bench.stream(again.op, "event: resume\ndata: {\"received\":0,\"from\":1}\n\n");
    bench.stream(again.op, &second);
    assert_eq!(bench.lines(), [1, 2]);
}

#[test]
fn an_event_that_comes_again_is_not_given_to_the_agent_again() {
    let (mut bench, op) = Bench::up();
    bench.stream(op, &[line(1), line(2)].concat());
    // None of them is in the agent's hands yet, so the relay is asked for all of them.
    bench.channel.confirm_delivered(&mut bench.fx, (), 2, 100);
    bench.end(op);
    bench.pass(Duration::from_secs(5));
    let op = bench.greet(0, 0);
    bench.stream(op, &[line(1), line(2), line(3)].concat());
    assert_eq!(bench.lines(), [1, 2, 3]);
}

#[test]
fn at_a_relay_that_was_set_back_it_bridges_again_and_goes_on_with_what_both_sides_have() {
    let (mut bench, op) = Bench::up();
    bench.say(1);
    let batch = bench.asked("/events");
    bench.respond(batch.op, 200, &json!({"received": 1}));
    bench.stream(op, &[line(1), line(2)].concat());
    bench.done();
    let ack = bench.asked("/events");
    bench.respond(ack.op, 200, &json!({"received": 1}));
    bench.end(op);
    bench.told.clear();
    bench.pass(Duration::from_secs(5));
    let again = bench.asked("/stream");
    let mark = LastLine { number: 2, mark: LastLine::mark_of(br#"{"type":"user","n":2}"#) };
    assert_eq!(again.last_line, Some(mark.to_string()));
    bench.head(again.op, 409);
    let why = bench.asked("/heartbeat");
    assert_eq!(why.last_line, Some(mark.to_string()), "it tells what it has as it was");
    bench.refuse(why.op, 409, "relay_set_back");
    let [LinkEvent::SetBack(_), LinkEvent::Down { reason, .. }] = &bench.told[..] else {
        panic!("{:?}", bench.told)
    };
    assert!(reason.contains("set back to an earlier state"), "{reason}");
    bench.told.clear();
    bench.pass(Duration::from_secs(5));
    bench.bridge(1);
    let op = bench.greet(0, 0);
    let batch = bench.asked("/events");
    assert_eq!((batch.first(), batch.numbers()), (1, vec![1]), "what it lacks goes again");
    assert_eq!(batch.body["delivered"], 0);
    bench.stream(op, &[line(1), line(3).replace("id: 3", "id: 2")].concat());
    assert_eq!(bench.lines(), [2], "the first is known, and of the second it knows another");
}

#[test]
fn a_line_that_is_left_out_is_noticed() {
    let (mut bench, op) = Bench::up();
    bench.stream(op, &[line(1), line(3)].concat());
    assert_eq!(bench.lines(), [1]);
    assert!(matches!(bench.told.last(), Some(LinkEvent::Down { .. })));
}

#[test]
fn expired_credentials_are_replaced_and_what_was_not_acknowledged_goes_again() {
    let (mut bench, _) = Bench::up();
    bench.say(1);
    let batch = bench.asked("/events");
    bench.refuse(batch.op, 401, "token_expired");
    bench.bridge(2);
    bench.greet(0, 0);
    let again = bench.asked("/events");
    assert_eq!((again.credential.as_str(), again.numbers()), ("jwt2", vec![1]));
    assert_eq!(again.body["worker_epoch"], 2);
    assert!(bench.told.is_empty(), "its session need not know");
}

#[test]
fn a_stream_that_is_refused_is_asked_about_before_anything_is_concluded() {
    let mut bench = Bench::new();
    bench.bridge(1);
    let stream = bench.asked("/stream");
    bench.head(stream.op, 401);
    let pulse = bench.asked("/heartbeat");
    bench.refuse(pulse.op, 401, "token_expired");
    bench.bridge(2);
    let stream = bench.asked("/stream");
    bench.head(stream.op, 403);
    let pulse = bench.asked("/heartbeat");
    bench.respond(pulse.op, 200, &json!({"state": "running"}));
    let Some(LinkEvent::Down { reason, .. }) = bench.told.last() else { panic!("nothing") };
    assert!(reason.contains("403") && reason.contains("on the way"), "{reason}");
}

/// A gate answers so in the place of a relay that could not prove who it is.
#[test]
fn a_stream_that_was_held_back_in_vain_is_tried_again() {
    for (status, kind, again) in
        [(503, "unavailable", "/stream"), (401, "authentication_failed", "/bridge")]
    {
        let mut bench = Bench::new();
        bench.bridge(1);
        let stream = bench.asked("/stream");
        bench.refuse(stream.op, status, kind);
        bench.pass(Duration::from_secs(5));
        assert!(bench.has_asked(again), "{status}: {:?}", bench.actions);
    }
}

#[test]
fn a_refused_session_token_is_for_the_session_to_replace() {
    let mut bench = Bench::new();
    let asked = bench.asked("/bridge");
    bench.refuse(asked.op, 401, "token_expired");
    assert!(matches!(&bench.told[..], [LinkEvent::Refused(refusal)] if refusal.is_unauthorized()));
    bench.pass(Duration::from_secs(60));
    assert!(!bench.has_asked("/bridge"), "it waits");
    let url = "http://127.0.0.1:1/v1/code/sessions/session_1".to_owned();
    bench.channel.renew(&mut bench.fx, (), url, Secret::from("item"));
    bench.settle();
    bench.bridge(1);
    bench.greet(0, 0);
}

#[test]
fn whoever_is_superseded_yields_for_good_within_one_answer() {
    for late in [true, false] {
        let (mut bench, op) = Bench::up();
        bench.say(1);
        if late {
            let batch = bench.asked("/events");
            bench.refuse(batch.op, 409, "epoch_superseded");
        } else {
            bench.stream(op, "event: close\ndata: {\"code\":4408}\n\n");
        }
        assert_eq!(bench.told, [LinkEvent::LeaseLost]);
        assert!(bench.channel.is_over());
        bench.actions.clear();
        bench.pass(Duration::from_secs(3600));
        assert!(bench.actions.is_empty(), "{:?}", bench.actions);
    }
}

#[test]
fn a_bridge_of_its_own_that_arrived_late_or_twice_is_not_somebody_else() {
    let (mut bench, op) = Bench::up();
    bench.say(1);
    let batch = bench.asked("/events");
    bench.refuse(batch.op, 409, "epoch_repeated");
    bench.bridge(3);
    let again = bench.greet(0, 0);
    assert_ne!(op, again);
    assert_eq!(bench.asked("/events").numbers(), [1]);
    bench.stream(again, "event: close\ndata: {\"code\":1000}\n\n");
    assert!(matches!(&bench.told[..], [LinkEvent::Down { .. }]), "another stream of the epoch");
    bench.pass(Duration::from_secs(5));
    bench.greet(0, 0);
}

#[test]
fn credentials_are_renewed_before_they_run_out_and_the_old_stream_serves_until_then() {
    let (mut bench, mut op) = Bench::up();
    let (mut sent, mut came, mut epoch) = (0, 0, 1);
    let begun = bench.now.mono;
    while bench.now.mono < begun + WORKER_TOKEN_LIFE * 11 {
        bench.pass(Duration::from_secs(9));
        if bench.has_asked("/bridge") {
            // The relay closes what is under the old epoch before its answer arrives.
            bench.stream(op, "event: close\ndata: {\"code\":1000}\n\n");
            epoch += 1;
            bench.bridge(epoch);
            op = bench.greet(sent, came);
        }
        came += 1;
        bench.stream(op, &line(came));
        bench.done();
        sent += 1;
        bench.say(sent);
        while bench.has_asked("/events") || bench.has_asked("/heartbeat") {
            if bench.has_asked("/heartbeat") {
                let pulse = bench.asked("/heartbeat");
                bench.respond(pulse.op, 200, &json!({"state": "running"}));
                continue;
            }
            let batch = bench.asked("/worker/events");
            assert_eq!(batch.credential, format!("jwt{epoch}"));
            let stored = batch.first() - 1 + batch.numbers().len() as u64;
            bench.respond(batch.op, 200, &json!({"received": stored}));
        }
    }
    assert!(epoch >= 11, "{epoch}");
    assert_eq!(bench.lines(), (1..=came).collect::<Vec<_>>());
    assert!(bench.told.iter().all(|event| matches!(event, LinkEvent::Line { .. })));
    assert!(bench.channel.is_flushed());
    assert_eq!(bench.channel.acked(), sent);
}

#[test]
fn a_refresh_that_fails_leaves_what_still_counts() {
    let (mut bench, op) = Bench::up();
    let end = bench.now.mono + WORKER_TOKEN_LIFE;
    let mut tries = 0;
    while bench.now.mono < end {
        bench.pass(Duration::from_secs(5));
        bench.stream(op, ":\n\n");
        if bench.has_asked("/bridge") {
            let asked = bench.asked("/bridge");
            bench.lose(asked.op);
            tries += 1;
        }
        if bench.has_asked("/heartbeat") {
            let pulse = bench.asked("/heartbeat");
            bench.respond(pulse.op, 200, &json!({"state": "running"}));
        }
    }
    assert!(tries >= 3, "{tries}");
    assert!(bench.told.is_empty(), "{:?}", bench.told);
    // The relay has carried them out all the same.
    bench.say(1);
    let batch = bench.asked("/worker/events");
    bench.refuse(batch.op, 409, "epoch_repeated");
    bench.bridge(7);
    bench.greet(0, 0);
    assert!(bench.told.is_empty(), "it did not yield to itself");
}

#[test]
fn a_stream_that_falls_silent_without_closing_is_found_in_half_a_minute() {
    let (mut bench, op) = Bench::up();
    bench.stream(op, ":\n\n");
    let since = bench.now.mono;
    while bench.told.is_empty() {
        bench.pass(Duration::from_secs(1));
        if bench.has_asked("/heartbeat") {
            let pulse = bench.asked("/heartbeat");
            bench.respond(pulse.op, 200, &json!({"state": "running"}));
        }
    }
    assert_eq!(bench.now.mono.saturating_since(since), STREAM_DEAD_AFTER);
    assert!(matches!(&bench.told[..], [LinkEvent::Down { .. }]));
}

#[test]
fn a_proxy_that_buffers_is_found_and_named_in_ten_seconds() {
    let mut bench = Bench::new();
    bench.bridge(1);
    let op = bench.asked("/stream").op;
    bench.head(op, 200);
    let since = bench.now.mono;
    while bench.told.is_empty() {
        bench.pass(Duration::from_secs(1));
    }
    assert_eq!(bench.now.mono.saturating_since(since), STREAM_GREETING);
    let [LinkEvent::Down { reason, .. }] = &bench.told[..] else { panic!("{:?}", bench.told) };
    assert!(reason.contains("proxy") && reason.contains("buffer"), "{reason}");
}

#[test]
fn a_worker_that_has_nothing_to_say_shows_that_it_is_there() {
    let (mut bench, op) = Bench::up();
    bench.pass(WORKER_HEARTBEAT_EVERY);
    let pulse = bench.asked("/heartbeat");
    assert_eq!(pulse.body["worker_epoch"], 1);
    bench.respond(pulse.op, 200, &json!({"state": "stopping"}));
    assert_eq!(bench.told, [LinkEvent::Stop]);
    bench.stream(op, "event: stop\ndata: {}\n\n");
    assert_eq!(bench.told.len(), 2);
}

#[test]
fn a_line_that_waits_for_the_agent_is_reported_as_being_here() {
    let (mut bench, op) = Bench::up();
    bench.stream(op, &line(1));
    bench.channel.confirm_delivered(&mut bench.fx, (), 1, 10);
    bench.settle();
    assert!(!bench.has_asked("/events"));
    bench.pass(Duration::from_secs(1));
    let held = bench.asked("/events");
    assert_eq!((&held.body["delivered"], &held.body["with_worker"]), (&json!(0), &json!(1)));
    bench.respond(held.op, 200, &json!({"received": 0}));
    bench.done();
    assert_eq!(bench.asked("/events").body["delivered"], 1);
}

#[test]
fn what_was_declared_before_comes_as_a_line_without_a_number() {
    let (mut bench, op) = Bench::up();
    bench.stream(op, "event: declared\ndata: {\"type\":\"control_request\"}\n\n");
    assert!(
        matches!(&bench.told[..], [LinkEvent::Declared(line)] if line.as_str().contains("control"))
    );
}

#[test]
fn a_relay_that_has_lost_lines_is_told_from_where_on_they_are_held_and_gets_them() {
    let (mut bench, op) = Bench::up();
    bench.say(1);
    let batch = bench.asked("/events");
    bench.respond(batch.op, 200, &json!({"received": 1}));
    bench.say(2);
    // It was put back to a time before the first.
    let batch = bench.asked("/events");
    bench.respond(batch.op, 200, &json!({"received": 0}));
    assert!(matches!(&bench.told[..], [LinkEvent::Down { .. }]));
    bench.pass(Duration::from_secs(5));
    let again = bench.asked("/stream");
    assert!(again.path.ends_with("holds_after=0"), "{}", again.path);
    assert_ne!(again.op, op);
    bench.head(again.op, 200);
    bench.stream(again.op, "event: resume\ndata: {\"received\":0,\"from\":0}\n\n");
    let batch = bench.asked("/events");
    assert_eq!((batch.first(), batch.numbers()), (1, vec![1, 2]));
}

#[test]
fn after_a_sleep_it_does_not_trust_its_stream() {
    let (mut bench, op) = Bench::up();
    bench.channel.wake(&mut bench.fx, ());
    bench.settle();
    assert!(bench.actions.contains(&Action::Cancel { op }));
    bench.greet(0, 0);
    assert!(bench.told.is_empty());
}

#[test]
fn it_gives_up_after_ten_minutes_of_nothing_but_failures() {
    let mut bench = Bench::new();
    let begun = bench.now.mono;
    while !matches!(bench.told.last(), Some(LinkEvent::GaveUp { .. })) {
        if bench.has_asked("/bridge") {
            let asked = bench.asked("/bridge");
            bench.lose(asked.op);
        }
        bench.pass(Duration::from_secs(5));
    }
    assert!(bench.now.mono.saturating_since(begun) >= Duration::from_secs(600));
    assert!(bench.channel.is_over());
}

#[test]
fn whoever_yields_is_not_brought_back_by_a_refresh_that_was_under_way() {
    for ends_by in ["batch", "stream"] {
        let (mut bench, op) = Bench::up();
        let mut refresh = None;
        while refresh.is_none() {
            bench.pass(Duration::from_secs(9));
            bench.stream(op, ":\n\n");
            refresh = bench.has_asked("/bridge").then(|| bench.asked("/bridge"));
            if bench.has_asked("/heartbeat") {
                let pulse = bench.asked("/heartbeat");
                bench.respond(pulse.op, 200, &json!({"state": "running"}));
            }
        }
        let refresh = refresh.expect("it is under way");
        match ends_by {
            "batch" => {
                bench.say(1);
                let batch = bench.asked("/worker/events");
                bench.refuse(batch.op, 409, "epoch_superseded");
            }
            _ => bench.stream(op, "event: close\ndata: {\"code\":4408}\n\n"),
        }
        assert_eq!(bench.told, [LinkEvent::LeaseLost]);
        assert!(bench.actions.contains(&Action::Cancel { op: refresh.op }), "{ends_by}");
        bench.respond(
            refresh.op,
            200,
            &json!({"worker_jwt": "jwt9", "expires_in": 3600, "worker_epoch": 9}),
        );
        bench.pass(Duration::from_secs(3600));
        assert!(bench.channel.is_over() && !bench.has_asked("/stream"), "{ends_by}");
    }
}

#[test]
fn a_relay_that_refuses_what_it_issues_is_not_asked_in_a_loop() {
    let mut bench = Bench::new();
    let mut bridges = 0;
    for _ in 0..60 {
        bench.pass(Duration::from_secs(1));
        while bench.has_asked("/bridge") && bridges < 1000 {
            bridges += 1;
            bench.bridge(bridges);
            let stream = bench.asked("/stream");
            bench.head(stream.op, 401);
            let pulse = bench.asked("/heartbeat");
            bench.refuse(pulse.op, 401, "token_expired");
        }
    }
    assert!((4..20).contains(&bridges), "{bridges} bridges in a minute");
    let told = bench.told.iter().find_map(|event| match event {
        LinkEvent::Down { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(told.is_some_and(|reason| reason.contains("just issued")), "{:?}", bench.told);
}

#[test]
fn a_proxy_that_takes_less_than_a_batch_gets_smaller_ones() {
    let (mut bench, op) = Bench::up();
    let pad = "x".repeat(10_000);
    for n in 1..=90 {
        let line = Text::from(format!("{{\"type\":\"x\",\"n\":{n},\"pad\":\"{pad}\"}}"));
        bench.channel.send_line(&mut bench.fx, (), line);
    }
    bench.settle();
    let (mut stored, mut refused) = (0, 0);
    while stored < 90 {
        bench.pass(Duration::from_secs(1));
        bench.stream(op, ":\n\n");
        if !bench.has_asked("/worker/events") {
            continue;
        }
        let batch = bench.asked("/worker/events");
        let lines = batch.numbers().len() as u64;
        assert_eq!(batch.first(), stored + 1);
        if lines > 12 {
            refused += 1;
            bench.page(batch.op, 413, "<html><h1>413 Request Entity Too Large</h1></html>");
        } else {
            stored += lines;
            bench.respond(batch.op, 200, &json!({"received": stored}));
        }
        assert!(refused < 10, "{lines} lines in one batch");
    }
    assert!(refused > 0 && bench.channel.is_flushed());
}

/// A channel that may be replaced, behind something that lets no stream through.
fn falls_back(between: impl Fn(&mut Bench)) -> (Bench, Transport) {
    let mut bench = Bench::new();
    bench.channel = core::mem::replace(&mut bench.channel, channel())
        .or_else_by(Some("ws://127.0.0.1:1/v2/session_ingress/ws/session_1".to_owned()));
    bench.say(1);
    let report = RawValue::from_string("{\"type\":\"footbridge\"}".to_owned()).expect("JSON");
    bench.channel.send_report(&mut bench.fx, (), report);
    bench.bridge(1);
    between(&mut bench);
    let channel = core::mem::replace(&mut bench.channel, channel());
    (bench, Transport::V2(Box::new(channel)))
}

#[test]
fn what_a_proxy_holds_back_twice_goes_on_as_version_1_with_all_that_was_to_be_sent() {
    // None is a head that is held back as well.
    for status in [Some(200), Some(403), Some(502), None] {
        let (mut bench, mut transport) = falls_back(|bench| {
            for _ in 0..2 {
                let mut waits = 0;
                while !bench.has_asked("/stream") && waits < 60 {
                    bench.pass(Duration::from_secs(1));
                    waits += 1;
                }
                let stream = bench.asked("/stream");
                match status {
                    Some(status) => bench.head(stream.op, status),
                    None => {
                        let (kind, detail) = (IoErrorKind::TimedOut, "no answer".to_owned());
                        let failure = IoError { kind, detail };
                        bench.handle(Event::Failed { op: stream.op, failure });
                    }
                }
                if status == Some(200) {
                    bench.pass(STREAM_GREETING);
                } else {
                    let pulse = bench.asked("/heartbeat");
                    bench.respond(pulse.op, 200, &json!({"state": "running"}));
                }
            }
        });
        let mut events = Vec::new();
        let event = transport.on_time(&mut bench.fx, &mut bench.rng, ());
        events.extend(event);
        bench.settle();
        let [LinkEvent::FellBack { reason }] = &events[..] else {
            panic!("{status:?}: {events:?}")
        };
        assert!(reason.contains("on the way"), "{reason}");
        assert_eq!(transport.version(), super::super::Version::V1);
        let open = bench.actions.iter().find_map(|action| match action {
            Action::Open { op, target: Target::WebSocket { url, .. } } => Some((*op, url.clone())),
            _ => None,
        });
        let (op, url) = open.expect("a link is opened");
        assert!(url.ends_with("/session_ingress/ws/session_1"), "{url}");
        bench.actions.clear();
        transport.handle(&mut bench.fx, &mut bench.rng, (), Event::Opened { op }, |_| {});
        let resume = ControlFrame::Resume { received: 40, from: 0, window: None };
        let message = Message::Binary(resume.to_bytes());
        transport.handle(
            &mut bench.fx,
            &mut bench.rng,
            (),
            Event::Received { op, message },
            |_| {},
        );
        bench.settle();
        let sent = bench.actions.iter().filter_map(|action| match action {
            Action::Send { message: Message::Text(line), .. } => Some(line.as_str().to_owned()),
            Action::Send { message: Message::Binary(frame), .. } => {
                Some(String::from_utf8(frame.to_vec()).expect("text"))
            }
            _ => None,
        });
        let sent: Vec<_> = sent.collect();
        assert!(sent.iter().any(|sent| sent.contains("\"n\":1")), "{sent:?}");
        let report = |sent: &&String| sent.contains("report") && sent.contains("footbridge");
        assert_eq!(sent.iter().filter(report).count(), 1, "{sent:?}");
        assert_eq!(transport.last_number(), 42);
    }
}

#[test]
fn one_that_may_not_be_replaced_goes_on_trying() {
    let mut bench = Bench::new();
    bench.bridge(1);
    for _ in 0..4 {
        while !bench.has_asked("/stream") {
            bench.pass(Duration::from_secs(1));
        }
        let stream = bench.asked("/stream");
        bench.head(stream.op, 502);
        let pulse = bench.asked("/heartbeat");
        bench.respond(pulse.op, 200, &json!({"state": "running"}));
    }
    assert!(bench.told.iter().all(|event| matches!(event, LinkEvent::Down { .. })));
}

#[test]
fn a_page_in_the_relays_place_is_no_relay_without_version_2_unless_it_stays() {
    for stays in [true, false] {
        let mut bench = Bench::new();
        bench.channel = core::mem::replace(&mut bench.channel, channel())
            .or_else_by(Some("ws://127.0.0.1:1/v2/session_ingress/ws/session_1".to_owned()));
        for second in 0..60 {
            if bench.has_asked("/bridge") {
                let asked = bench.asked("/bridge");
                let is_restarting = !stays && second > 20;
                let status = if is_restarting { 503 } else { 404 };
                bench.page(asked.op, status, "<html>default backend</html>");
            }
            bench.pass(Duration::from_secs(1));
        }
        assert_eq!(bench.channel.falls_back(), stays);
    }
}

#[test]
fn silence_is_an_obstacle_only_while_requests_are_answered() {
    for answers in [true, false] {
        let mut bench = Bench::new();
        bench.channel = core::mem::replace(&mut bench.channel, channel())
            .or_else_by(Some("ws://127.0.0.1:1/v2/session_ingress/ws/session_1".to_owned()));
        bench.bridge(1);
        for _ in 0..2 {
            while !bench.has_asked("/stream") {
                bench.pass(Duration::from_secs(1));
            }
            bench.greet(0, 0);
            for _ in 0..30 {
                bench.pass(Duration::from_secs(1));
                if bench.has_asked("/heartbeat") {
                    let pulse = bench.asked("/heartbeat");
                    match answers {
                        true => bench.respond(pulse.op, 200, &json!({"state": "running"})),
                        false => bench.lose(pulse.op),
                    }
                }
            }
        }
        assert_eq!(bench.channel.falls_back(), answers);
    }
}
