//! Work that comes by a stream.

use super::*;
use crate::base::limits::{STREAM_DEAD_AFTER, STREAM_GREETING};
use crate::contract::action::Request;
use crate::contract::event::Head;

/// A worker whose relay has streams of work; the operation of the first one.
fn streaming(change: impl FnOnce(&mut WorkerConfig)) -> (Bench, OpId, Request) {
    let mut bench = Bench::new(change);
    bench.answer_git();
    let (op, request) = bench.registered(true);
    (bench, op, request)
}

impl Bench {
    /// Answers the registration; what is asked for next.
    fn registered(&mut self, has_streams: bool) -> (OpId, Request) {
        let (register, _) = self.request("/bridge");
        let answer = format!(
            r#"{{"environment_id":"env_1","environment_secret":"s","work_stream":{has_streams}}}"#
        );
        self.respond(register, 200, &answer);
        self.asked()
    }

    /// What it asks for work with.
    #[track_caller]
    fn asked(&mut self) -> (OpId, Request) {
        self.take("a question for work", |action| match action {
            Action::Request { op, request } if is_stream(request) || is_poll(request) => {
                Some((*op, request.clone()))
            }
            _ => None,
        })
    }

    fn asks(&self) -> bool {
        self.actions.iter().any(|action| {
            matches!(action, Action::Request { request, .. } if is_stream(request) || is_poll(request))
        })
    }

    fn head(&mut self, op: OpId, status: u16, kind: &str) {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        self.handle(Event::Head { op, head: Head { status, headers } });
    }

    fn open_stream(&mut self, op: OpId) {
        self.head(op, 200, "text/event-stream");
        self.say(op, ":...\n\nevent: open\ndata: {}\n\n");
    }

    fn say(&mut self, op: OpId, text: &str) {
        self.handle(Event::Received { op, message: Message::Binary(Bytes::from(text.to_owned())) });
    }

    /// Time passes while nothing but signs of life comes.
    fn stays_alive(&mut self, op: OpId, time: Duration) {
        let end = self.now.mono + time;
        while self.now.mono < end {
            self.pass(Duration::from_secs(10));
            self.say(op, ":\n\n");
        }
    }

    fn cut(&mut self, op: OpId) {
        let failure = IoError { kind: IoErrorKind::Disconnected, detail: "d".to_owned() };
        self.handle(Event::Closed { op, code: None, failure: Some(failure) });
    }

    /// Waits until it asks for work again.
    fn waits_to_ask(&mut self) -> Duration {
        let mut waited = Duration::ZERO;
        while !self.asks() {
            waited += self.wait();
        }
        waited
    }
}

fn is_stream(request: &Request) -> bool {
    request.url.contains("/work/stream?")
}

fn is_poll(request: &Request) -> bool {
    request.url.ends_with("/work/poll")
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let found = request.headers.iter().find(|(header, _)| *header == name);
    found.map(|(_, value)| value.reveal())
}

fn work(number: u64, n: u32) -> String {
    let item = item(n, r#"{"version":1,"session_ingress_token":"t"}"#).replace('\n', " ");
    format!("id: {number}\nevent: work\ndata: {item}\n\n")
}

#[test]
fn work_comes_by_a_stream_where_the_relay_offers_one() {
    let (mut bench, stream, request) = streaming(|_| {});
    assert_eq!(request.url, "http://127.0.0.1:1/v1/environments/env_1/work/stream?room=32");
    assert_eq!(header(&request, "accept"), Some("text/event-stream"));
    assert_eq!(header(&request, "last-event-id"), Some("0"));
    assert_eq!(header(&request, "prefer"), Some("wait=50"));
    bench.open_stream(stream);
    // Two at once, cut somewhere, and one later.
    let both = work(1, 1) + &work(2, 2);
    bench.say(stream, &both[..100]);
    assert!(!bench.has_request("/ack"));
    bench.say(stream, &both[100..]);
    for n in [1, 2] {
        let (ack, _) = bench.request(&format!("/work/work_{n}/ack"));
        bench.respond(ack, 200, "{}");
    }
    bench.stays_alive(stream, Duration::from_secs(20));
    bench.say(stream, &work(3, 3));
    assert!(bench.has_request("/work/work_3/ack") && !bench.asks());
    let spawned = bench.actions.iter().filter(|a| matches!(a, Action::Spawn { .. })).count();
    assert_eq!(spawned, 2);
}

#[test]
fn it_polls_where_the_relay_offers_none_or_its_owner_wants_so() {
    for (choice, has_streams, polls) in [
        (WorkBy::Auto, false, true),
        (WorkBy::Auto, true, false),
        (WorkBy::Poll, true, true),
        (WorkBy::Stream, false, false),
    ] {
        let mut bench = Bench::new(|config| config.work_by = choice);
        bench.answer_git();
        let (_, request) = bench.registered(has_streams);
        assert_eq!(is_poll(&request), polls, "{choice:?} {has_streams}");
    }
}

#[test]
fn what_was_on_a_stream_that_was_cut_is_asked_for_again_and_nothing_else() {
    let (mut bench, stream, first) = streaming(|_| {});
    bench.open_stream(stream);
    bench.say(stream, &work(1, 1));
    let half = work(2, 2);
    bench.say(stream, &half[..half.len() - 5]);
    bench.cut(stream);
    let waited = bench.waits_to_ask();
    assert!(waited <= Duration::from_secs(2), "{waited:?}");
    let (stream, again) = bench.asked();
    assert_eq!(header(&again, "idempotency-key"), header(&first, "idempotency-key"));
    assert_eq!(header(&again, "last-event-id"), Some("1"));
    assert!(again.url.ends_with("room=31"), "{}", again.url);
    bench.open_stream(stream);
    // What it has is dropped, should it come again.
    bench.say(stream, &(work(1, 1) + &half));
    assert!(bench.has_request("/work/work_2/ack"));
    let acks = bench.actions.iter().filter(
        |action| matches!(action, Action::Request { request, .. } if request.url.ends_with("/ack")),
    );
    assert_eq!(acks.count(), 2, "of each item one");
}

#[test]
fn no_more_than_there_is_room_for_is_asked_for_and_the_end_of_a_session_makes_room() {
    let (mut bench, stream, request) = streaming(|config| config.max_sessions = 2);
    assert!(request.url.ends_with("room=2"), "{}", request.url);
    bench.open_stream(stream);
    bench.say(stream, &(work(1, 1) + &work(2, 2)));
    assert!(!bench.asks(), "it is at capacity");
    // The relay ends the stream in order, and nobody has to prove anything because of it.
    bench.say(stream, "event: end\ndata: {}\n\n");
    bench.handle(Event::Closed { op: stream, code: None, failure: None });
    let (ack, _) = bench.request("/work/work_1/ack");
    bench.respond(ack, 200, "{}");
    let agent = bench.take("spawn", |action| match action {
        Action::Spawn { op, .. } => Some(*op),
        _ => None,
    });
    bench.handle(Event::Spawned { op: agent, pid: 7 });
    bench.exit(agent, ExitStatus::Code(0));
    let (_, request) = bench.asked();
    assert!(request.url.ends_with("room=1") && header(&request, "last-event-id") == Some("2"));
}

#[test]
fn a_stream_that_has_lasted_as_long_as_it_was_to_is_followed_by_another_at_once() {
    let (mut bench, stream, _) = streaming(|_| {});
    bench.open_stream(stream);
    bench.stays_alive(stream, Duration::from_secs(50));
    bench.say(stream, "event: end\ndata: {}\n\n");
    let (next, request) = bench.asked();
    assert!(is_stream(&request) && next != stream);
    assert!(bench.notices.iter().all(|notice| !matches!(notice, WorkerNotice::Retrying { .. })));
    bench.open_stream(next);
    // One whose relay ends it at once does not make it ask in a busy loop.
    bench.say(next, "event: end\ndata: {}\n\n");
    assert!(!bench.asks());
    assert_eq!(bench.waits_to_ask(), Duration::from_secs(1));
}

#[test]
fn a_stream_that_is_held_back_is_found_out_and_polls_take_its_place_without_a_loss() {
    let (mut bench, stream, request) = streaming(|_| {});
    let key = header(&request, "idempotency-key").expect("a key").to_owned();
    bench.head(stream, 200, "text/event-stream");
    assert_eq!(bench.waits_to_ask(), STREAM_GREETING);
    assert!(bench.cancels(stream));
    let (question, request) = bench.asked();
    assert!(is_poll(&request));
    assert_eq!(header(&request, "prefer"), Some("wait=0"), "it is answered at once");
    // What was on the stream has the key of the item that is to come next.
    assert_eq!(header(&request, "idempotency-key"), Some(&*format!("{key}-1")));
    bench.respond(question, 200, &item(1, r#"{"version":1,"session_ingress_token":"t"}"#));
    assert!(bench.has_request("/work/work_1/ack"));
    let said = bench.notices.iter().find_map(|notice| match notice {
        WorkerNotice::WorkByPolls { reason, for_now } => Some((reason.clone(), *for_now)),
        _ => None,
    });
    let (reason, for_now) = said.expect("it says so");
    assert!(reason.contains("must not buffer") && for_now == Duration::from_secs(60), "{reason}");
    let began = bench.now.mono;
    loop {
        let (poll, request) = bench.asked();
        if is_stream(&request) {
            break;
        }
        assert_eq!(header(&request, "idempotency-key"), Some(&*format!("{key}-2")));
        bench.pass(Duration::from_secs(20));
        bench.respond(poll, 204, "");
    }
    assert_eq!(bench.now.mono.saturating_since(began), for_now);
}

#[test]
fn a_relay_that_is_away_says_nothing_about_streams() {
    let (mut bench, stream, _) = streaming(|_| {});
    // The network swallows everything, then a proxy answers in the relay's place.
    bench.fail(stream, IoErrorKind::TimedOut);
    bench.waits_to_ask();
    let (question, request) = bench.asked();
    assert!(is_poll(&request));
    bench.fail(question, IoErrorKind::TimedOut);
    for _ in 0..5 {
        bench.waits_to_ask();
        let (op, request) = bench.asked();
        match is_stream(&request) {
            true => bench.head(op, 502, "text/html"),
            false => bench.respond(op, 502, "<html>"),
        }
    }
    for _ in 0..2 {
        bench.waits_to_ask();
        let (op, request) = bench.asked();
        if is_stream(&request) {
            bench.open_stream(op);
            let is_calm = |n: &WorkerNotice| !matches!(n, WorkerNotice::WorkByPolls { .. });
            assert!(bench.notices.iter().all(is_calm));
            assert!(bench.notices.contains(&WorkerNotice::Recovered));
            return;
        }
        bench.respond(op, 503, "<html>");
    }
    panic!("it asks for no stream");
}

#[test]
fn a_refusal_of_a_stream_means_what_a_polls_means() {
    for (status, kind, leads_to) in [
        (401, "authentication_failed", "/bridge"),
        (404, "environment_unknown", "/bridge"),
        (403, "permission_denied", "/environments/env_1/stop"),
        (410, "environment_gone", "/bridge"),
    ] {
        let (mut bench, stream, _) = streaming(|_| {});
        bench.head(stream, status, "application/json");
        let (question, request) = bench.asked();
        assert!(is_poll(&request), "{status}");
        bench.refuse(question, status, kind);
        assert!(bench.has_request(leads_to), "{status} {kind}");
        if leads_to == "/bridge" {
            let (_, request) = bench.registered(true);
            assert!(is_stream(&request), "{status}: it was not the stream's fault");
        }
    }
}

#[test]
fn a_pause_that_the_relay_asks_for_is_kept_before_anything_else_is_asked() {
    for status in [429, 503] {
        let (mut bench, stream, _) = streaming(|_| {});
        let headers = vec![("retry-after".to_owned(), "40".to_owned())];
        bench.handle(Event::Head { op: stream, head: Head { status, headers } });
        assert!(!bench.asks());
        assert!(bench.waits_to_ask() >= Duration::from_secs(40), "{status}");
    }
}

#[test]
fn why_a_stream_is_refused_for_now_is_said_if_it_comes_in_time() {
    let body = r#"{"error":{"type":"store_failed","message":"its disk is full"}}"#;
    for comes in [true, false] {
        let (mut bench, stream, _) = streaming(|_| {});
        bench.head(stream, 503, "application/json");
        bench.say(stream, &body[..20]);
        if comes {
            bench.say(stream, &body[20..]);
            bench.handle(Event::Closed { op: stream, code: None, failure: None });
        } else {
            assert_eq!(bench.wait(), STREAM_GREETING);
            assert!(bench.cancels(stream));
        }
        let reasons = bench.notices.iter().filter_map(|notice| match notice {
            WorkerNotice::Retrying { reason, .. } => Some(reason.contains("its disk is full")),
            _ => None,
        });
        assert_eq!(reasons.collect::<Vec<_>>(), [comes]);
        bench.waits_to_ask();
    }
}

#[test]
fn a_stream_that_falls_silent_is_dead_after_a_stated_time() {
    let (mut bench, stream, _) = streaming(|_| {});
    bench.open_stream(stream);
    bench.stays_alive(stream, Duration::from_secs(10));
    assert_eq!(bench.wait(), STREAM_DEAD_AFTER);
    assert!(bench.cancels(stream));
    bench.waits_to_ask();
    let (_, request) = bench.asked();
    assert!(is_stream(&request), "they get through, and this one is dead");
}

#[test]
fn streams_that_a_proxy_cuts_at_a_steady_age_are_asked_to_end_before_that() {
    let (mut bench, mut stream, _) = streaming(|_| {});
    for _ in 0..2 {
        bench.open_stream(stream);
        bench.stays_alive(stream, Duration::from_secs(30));
        bench.cut(stream);
        bench.waits_to_ask();
        let (next, request) = bench.asked();
        assert!(is_stream(&request));
        stream = next;
        if header(&request, "prefer") == Some("wait=22") {
            return;
        }
    }
    panic!("it still asks for as long");
}

#[test]
fn streams_that_break_off_early_again_and_again_are_given_up_for_now() {
    let (mut bench, mut stream, _) = streaming(|_| {});
    for _ in 0..2 {
        bench.open_stream(stream);
        bench.pass(Duration::from_secs(2));
        bench.cut(stream);
        bench.waits_to_ask();
        let (next, request) = bench.asked();
        stream = next;
        if is_poll(&request) {
            bench.respond(stream, 204, "");
            let by_polls = |n: &WorkerNotice| matches!(n, WorkerNotice::WorkByPolls { .. });
            return assert!(bench.notices.iter().any(by_polls));
        }
    }
    panic!("it still asks for streams");
}

#[test]
fn whoever_wants_streams_alone_is_told_why_none_comes_and_in_the_end_that_it_gives_up() {
    let (mut bench, mut op, _) = streaming(|config| config.work_by = WorkBy::Stream);
    let began = bench.now.mono;
    while bench.outcome.is_none() && !bench.has_request("/environments/env_1/stop") {
        bench.head(op, 404, "text/html");
        let (question, request) = bench.asked();
        assert!(is_poll(&request));
        bench.respond(question, 204, "");
        if bench.has_request("/environments/env_1/stop") {
            break;
        }
        bench.waits_to_ask();
        let (next, request) = bench.asked();
        assert!(is_stream(&request));
        op = next;
    }
    assert!(bench.now.mono.saturating_since(began) >= Duration::from_secs(590));
    let (stop, _) = bench.request("/environments/env_1/stop");
    bench.respond(stop, 200, "{}");
    let fault = bench.hand.outcome.expect("an end").expect_err("a fault");
    assert_eq!(fault.kind, MachineErrorKind::GaveUp);
    assert!(fault.message.contains("take work by a stream"), "{}", fault.message);
}

#[test]
fn streams_that_begin_and_break_off_put_off_giving_up() {
    let (mut bench, mut op, _) = streaming(|config| config.work_by = WorkBy::Stream);
    let began = bench.now.mono;
    let mut longest = Duration::ZERO;
    while bench.now.mono.saturating_since(began) < Duration::from_secs(1800) {
        bench.open_stream(op);
        bench.pass(Duration::from_secs(2));
        bench.cut(op);
        longest = longest.max(bench.waits_to_ask());
        let (mut next, request) = bench.asked();
        if is_poll(&request) {
            bench.respond(next, 204, "");
            longest = longest.max(bench.waits_to_ask());
            (next, _) = bench.asked();
        }
        op = next;
    }
    assert!(longest >= Duration::from_secs(15), "{longest:?}");
}

#[test]
fn a_relay_that_is_away_does_not_count_against_streams() {
    let (mut bench, mut op, _) = streaming(|config| config.work_by = WorkBy::Stream);
    for _ in 0..2 {
        bench.head(op, 404, "text/html");
        let (question, _) = bench.asked();
        bench.respond(question, 204, "");
        bench.waits_to_ask();
        (op, _) = bench.asked();
        let away = bench.now.mono;
        while bench.now.mono.saturating_since(away) < Duration::from_secs(400) {
            let failure = IoError { kind: IoErrorKind::Refused, detail: "d".to_owned() };
            bench.handle(Event::Failed { op, failure });
            bench.waits_to_ask();
            (op, _) = bench.asked();
        }
    }
    bench.head(op, 404, "text/html");
    let (question, _) = bench.asked();
    bench.respond(question, 204, "");
    bench.waits_to_ask();
    assert!(is_stream(&bench.asked().1));
}

#[test]
fn a_sleep_makes_it_open_another_stream_at_once() {
    let (mut bench, stream, _) = streaming(|_| {});
    bench.open_stream(stream);
    bench.now.wall = bench.now.wall + Duration::from_secs(3600);
    bench.handle(Event::Tick);
    assert!(bench.cancels(stream));
    assert!(is_stream(&bench.asked().1));
}

#[test]
fn what_the_relay_may_not_send_ends_the_stream_and_takes_nothing() {
    for bad in [
        work(2, 2),
        "event: work\ndata: {}\n\n".to_owned(),
        work(1, 1).replace("session_1", "../../admin"),
        "id: 1\nevent: work\ndata: <html>\n\n".to_owned(),
    ] {
        let (mut bench, stream, _) = streaming(|_| {});
        bench.open_stream(stream);
        bench.say(stream, &bad);
        assert!(bench.cancels(stream) && !bench.has_request("/ack"), "{bad}");
        bench.waits_to_ask();
        let (_, request) = bench.asked();
        assert_eq!(header(&request, "last-event-id"), Some("0"), "{bad}");
    }
}

#[test]
fn a_shutdown_and_a_drain_take_nothing_more_from_a_stream() {
    for command in [WorkerCommand::Shutdown, WorkerCommand::Drain { hand_over: false }] {
        let (mut bench, stream, _) = streaming(|_| {});
        bench.open_stream(stream);
        bench.hand.command(command);
        assert!(bench.cancels(stream), "{command:?}");
        assert!(!bench.asks());
    }
}
