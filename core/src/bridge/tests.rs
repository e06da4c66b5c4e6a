//! The bridge driven by hand: what it requests, and what each answer leads to.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;

use super::*;
use crate::auth::Credential;
use crate::base::id::OpId;
use crate::base::limits::{BRIDGE_WAITING_BYTES, OUTBOX_HIGH_WATER_BYTES};
use crate::base::secret::Secret;
use crate::contract::action::{Message, Request, Response, Target};
use crate::contract::event::ExitStatus;
use crate::testing::Hand;
use crate::wire::link_v1::ControlFrame;
use crate::wire::url::BaseUrl;
use alloc::collections::BTreeMap;

/// A bridge that is driven by hand, with its state files.
struct Bench {
    hand: Hand<Bridge>,
    files: BTreeMap<String, Bytes>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut BridgeConfig)) -> Self {
        Self::on(BTreeMap::new(), change)
    }

    fn on(files: BTreeMap<String, Bytes>, change: impl FnOnce(&mut BridgeConfig)) -> Self {
        let relay = BaseUrl::parse("http://127.0.0.1:1").expect("a URL");
        let credential = Credential::fixed(Secret::from("token"));
        let mut config = BridgeConfig::new(relay, credential, "/w".to_owned(), 42);
        config.pid = 7;
        change(&mut config);
        let mut bench = Self { hand: Hand::new(Bridge::new(config), Now::default()), files };
        bench.settle();
        for _ in 0..2 {
            let op = bench.hand.take("a git question", |action| match action {
                Action::Run { op, .. } => Some(*op),
                _ => None,
            });
            let status = ExitStatus::Code(1);
            bench.handle(Event::Ran { op, status, stdout: Bytes::new(), stderr: Bytes::new() });
        }
        bench
    }

    /// Reads and writes its files.
    fn settle(&mut self) {
        loop {
            let at = self.hand.actions.iter().position(|action| {
                matches!(
                    action,
                    Action::Load { .. }
                        | Action::Save { .. }
                        | Action::Remove { .. }
                        | Action::List { .. }
                )
            });
            let event = match at.and_then(|at| self.hand.actions.remove(at)) {
                Some(Action::Load { op, path, .. }) => {
                    Event::Loaded { op, data: self.files.get(&path).cloned(), modified: None }
                }
                Some(Action::Save { op, path, data }) => {
                    self.files.insert(path, data);
                    Event::Saved { op }
                }
                Some(Action::Remove { op, path }) => {
                    self.files.remove(&path);
                    Event::Removed { op }
                }
                Some(Action::List { op, .. }) => Event::Listed { op, names: Vec::new() },
                _ => return,
            };
            self.hand.handle(event);
        }
    }

    #[track_caller]
    fn handle(&mut self, event: Event) {
        self.hand.handle(event);
        self.settle();
    }

    #[track_caller]
    fn command(&mut self, command: BridgeCommand) {
        self.hand.command(command);
        self.settle();
    }

    fn publish(&mut self, line: &str) {
        self.command(BridgeCommand::Publish(Text::from(line.to_owned())));
    }

    #[track_caller]
    fn request(&mut self, path: &str) -> (OpId, Request) {
        self.hand.take(path, |action| match action {
            Action::Request { op, request } if request.url.ends_with(path) => {
                Some((*op, request.clone()))
            }
            _ => None,
        })
    }

    fn has_request(&self, path: &str) -> bool {
        let is_it = |action: &Action| matches!(action, Action::Request { request, .. } if request.url.ends_with(path));
        self.hand.actions.iter().any(is_it)
    }

    fn wait_for(&mut self, path: &str) {
        for _ in 0..9 {
            if self.has_request(path) {
                return;
            }
            self.hand.wait();
        }
    }

    fn respond(&mut self, op: OpId, status: u16, body: &str) {
        let body = Bytes::from(body.to_owned());
        self.handle(Event::Response { op, response: Response { status, headers: vec![], body } });
    }

    /// Registers; these sessions of an earlier run have not ended.
    fn register(&mut self, sessions: &str) -> Request {
        let (op, request) = self.request("/bridge");
        let answer = r#"{"environment_id":"env_1","environment_secret":"s","sessions":"#;
        self.respond(op, 200, &format!("{answer}[{sessions}]}}"));
        request
    }

    /// Its session is made.
    fn create(&mut self, session: &str) -> Request {
        let (op, request) = self.request("/v1/sessions");
        self.respond(op, 201, &format!(r#"{{"id":"{session}"}}"#));
        request
    }

    /// Its work is dispatched, and its link is up; the link.
    fn link(&mut self, session: &str, fence: u64) -> OpId {
        let poll = self.request("/work/poll").0;
        self.respond(poll, 200, &item(session, fence));
        let ack = self.request("/ack").0;
        self.respond(ack, 200, "{}");
        self.connect(0, 0)
    }

    fn open(&mut self) -> OpId {
        self.hand.take("open", |action| match action {
            Action::Open { op, target: Target::WebSocket { .. } } => Some(*op),
            _ => None,
        })
    }

    fn connect(&mut self, received: u64, from: u64) -> OpId {
        let link = self.open();
        self.handle(Event::Opened { op: link });
        self.frame(link, &ControlFrame::Resume { received, from, window: None });
        link
    }

    /// Connected, with nothing sent but its `system/init`.
    fn connected(change: impl FnOnce(&mut BridgeConfig)) -> (Self, OpId) {
        let mut bench = Self::new(change);
        bench.register("");
        bench.create("session_1");
        let link = bench.link("session_1", 1);
        (bench, link)
    }

    fn frame(&mut self, link: OpId, frame: &ControlFrame) {
        let message = Message::Binary(frame.to_bytes());
        self.handle(Event::Received { op: link, message });
    }

    fn line(&mut self, link: OpId, line: &str) {
        let message = Message::Text(Text::from(line.to_owned()));
        self.handle(Event::Received { op: link, message });
    }

    /// The lines that were sent on a link, without what is the link's own or the worker's.
    fn sent(&mut self, link: OpId) -> Vec<String> {
        let mut sent = Vec::new();
        self.hand.actions.retain(|action| match action {
            Action::Send { op, message: Message::Text(text) } if *op == link => {
                sent.push(text.as_str().to_owned());
                false
            }
            _ => true,
        });
        sent
    }

    fn acks(&mut self, link: OpId) -> Vec<String> {
        let mut acks = Vec::new();
        self.hand.actions.retain(|action| match action {
            Action::Send { op, message: Message::Binary(bytes) } if *op == link => {
                let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
                if text.contains(r#""ack""#) {
                    acks.push(text);
                }
                false
            }
            _ => true,
        });
        acks
    }

    fn incoming(&mut self) -> Vec<Incoming> {
        let mut incoming = Vec::new();
        self.hand.notices.retain(|notice| match notice {
            BridgeNotice::Incoming(line) => {
                incoming.push(line.clone());
                false
            }
            _ => true,
        });
        incoming
    }

    fn snapshot(&self) -> Snapshot {
        let last = self.hand.notices.iter().rev().find_map(|notice| match notice {
            BridgeNotice::Snapshot(snapshot) => Some((**snapshot).clone()),
            _ => None,
        });
        last.unwrap_or_default()
    }

    fn handle_bound(&self) -> Handle {
        let bound = self.hand.notices.iter().rev().find_map(|notice| match notice {
            BridgeNotice::Bound(handle) => Some(handle.clone()),
            _ => None,
        });
        bound.expect("a handle")
    }

    fn sign(&mut self, handle: &Handle) -> Result<String, NotSigned> {
        let handle = handle.clone();
        let (to, body) = ("uds:/s".to_owned(), "hi".to_owned());
        self.command(BridgeCommand::Sign { handle, to, message_id: "m".to_owned(), body });
        match self.hand.notices.pop() {
            Some(BridgeNotice::Signed(envelope)) => Ok(envelope.from),
            Some(BridgeNotice::NotSigned { why, .. }) => Err(why),
            other => panic!("{other:?}"),
        }
    }
}

fn item(session: &str, fence: u64) -> String {
    let secret = URL_SAFE_NO_PAD.encode(r#"{"version":1,"session_ingress_token":"t"}"#);
    format!(
        r#"{{"id":"work_{fence}","type":"work","environment_id":"env_1","state":"leased",
            "data":{{"type":"session","id":"{session}"}},"secret":"{secret}","fence":{fence},
            "lease_seconds":60}}"#
    )
}

fn said(n: u32) -> String {
    format!(r#"{{"type":"assistant","n":{n}}}"#)
}

const QUESTION: &str = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{}}}"#;
const ANSWER: &str = r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"allow"}}}"#;

#[test]
fn a_program_becomes_a_session_that_begins_with_its_init_and_what_waited() {
    let mut bench = Bench::new(|config| {
        config.title = Some("mine".to_owned());
        config.init = Some(Init { model: "m".to_owned(), ..Init::default() });
    });
    bench.publish(&said(1));
    let body = String::from_utf8(bench.register("").body.to_vec()).expect("JSON");
    assert!(
        body.contains(r#""worker_type":"footbridge_bridge""#)
            && body.contains(r#""max_sessions":1"#)
    );
    let created = bench.create("session_1");
    let body = String::from_utf8(created.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""environment_id":"env_1""#) && body.contains(r#""title":"mine""#));
    assert!(created.headers.iter().any(|(name, _)| *name == "idempotency-key"));
    assert_eq!(bench.snapshot().state, BridgeState::Ready);
    let link = bench.link("session_1", 1);
    let sent = bench.sent(link);
    assert!(sent[0].contains(r#""subtype":"init""#) && sent[0].contains(r#""model":"m""#));
    assert!(sent[0].contains(r#""session_id":"session_1""#), "{sent:?}");
    assert_eq!(sent[1..], [said(1)]);
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.state, BridgeState::Connected);
    assert!(snapshot.session_active.is_active() && snapshot.can_send.is_allowed());
    assert_eq!(snapshot.page.as_deref(), Some("http://127.0.0.1:1/#/session/session_1"));
    assert!(snapshot.is_enabled() && snapshot.error().is_none());
}

#[test]
fn work_that_comes_before_its_session_is_known_is_taken_once_it_is() {
    let mut bench = Bench::new(|_| {});
    bench.register("");
    let poll = bench.request("/work/poll").0;
    bench.respond(poll, 200, &item("session_1", 1));
    assert!(!bench.has_request("/ack"), "it may be somebody else's");
    bench.create("session_1");
    let ack = bench.request("/ack").0;
    bench.respond(ack, 200, "{}");
    bench.connect(0, 0);
    assert_eq!(bench.snapshot().state, BridgeState::Connected);
}

#[test]
fn no_process_is_started_and_the_session_of_somebody_else_is_not_run() {
    let mut bench = Bench::new(|_| {});
    bench.register("");
    bench.create("session_1");
    let poll = bench.request("/work/poll").0;
    bench.respond(poll, 200, &item("session_9", 3));
    let ack = bench.request("/ack").0;
    bench.respond(ack, 200, "{}");
    let (stop, request) = bench.request("/work/work_3/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains("one program's own session"), "{body}");
    bench.respond(stop, 200, "{}");
    bench.link("session_1", 4);
    assert_eq!(bench.snapshot().state, BridgeState::Connected);
    let spawned = bench.hand.actions.iter().find(|it| matches!(it, Action::Spawn { .. }));
    assert_eq!(spawned, None);
}

#[test]
fn a_viewers_message_comes_once_and_is_acknowledged_once_the_program_has_it() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.acks(link);
    let line = r#"{"type":"user","uuid":"U","message":{"content":"hi"}}"#;
    bench.line(link, line);
    let came = bench.incoming();
    assert_eq!((came.len(), came[0].line.as_str(), &came[0].what), (1, line, &What::Message));
    assert_eq!(bench.acks(link), [""; 0], "it is not in the program's hands");
    bench.command(BridgeCommand::Taken { lines: 1 });
    assert_eq!(bench.acks(link).len(), 1);
    bench.line(link, line);
    assert_eq!(bench.incoming(), [], "it has had that");
    // What it has published itself is its own when it comes back (M-4).
    bench.publish(r#"{"type":"user","uuid":"V","message":{}}"#);
    bench.line(link, r#"{"type":"user","uuid":"V","message":{}}"#);
    assert_eq!(bench.incoming(), []);
    bench.frame(link, &ControlFrame::Ack { received: 4 });
    assert!(!bench.acks(link).is_empty(), "once the relay knows about the one that came twice");
}

#[test]
fn a_question_is_answered_once_and_not_after_it_was_withdrawn() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.publish(QUESTION);
    assert_eq!(bench.snapshot().open_questions, 1);
    bench.line(link, ANSWER);
    bench.line(link, ANSWER);
    let came = bench.incoming();
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].what, What::Answer { request_id: "P".to_owned() });
    assert_eq!(bench.snapshot().open_questions, 0);
    // Answered here: whoever answers there is late.
    bench.publish(QUESTION);
    bench.publish(r#"{"type":"control_cancel_request","request_id":"P"}"#);
    bench.line(link, ANSWER);
    assert_eq!(bench.incoming(), []);
}

#[test]
fn what_a_program_does_not_support_is_answered_for_it() {
    let (mut bench, link) = Bench::connected(|config| {
        config.answers = Answers::Only(vec!["interrupt".to_owned()]);
        let commands = vec!["/help".to_owned()];
        config.init = Some(Init { commands, ..Init::default() });
    });
    bench.sent(link);
    let ask = |subtype: &str| {
        format!(
            r#"{{"type":"control_request","request_id":"{subtype}","request":{{"subtype":"{subtype}"}}}}"#
        )
    };
    for subtype in ["interrupt", "initialize", "set_model"] {
        bench.line(link, &ask(subtype));
    }
    let came = bench.incoming();
    let (request_id, subtype) = ("interrupt".to_owned(), "interrupt".to_owned());
    assert_eq!(came.len(), 1);
    assert_eq!(came[0].what, What::Request { request_id, subtype });
    let sent = bench.sent(link);
    assert!(sent[0].contains("/help") && sent[0].contains(r#""request_id":"initialize""#));
    assert!(sent[1].contains("does not support") && sent[1].contains("set_model"), "{sent:?}");
}

#[test]
fn what_is_said_before_the_history_waits_behind_it() {
    let (mut bench, link) = Bench::connected(|config| config.awaits_history = true);
    bench.sent(link);
    bench.publish(&said(3));
    assert_eq!(bench.sent(link), [""; 0]);
    assert!(!bench.snapshot().is_flushed && !bench.snapshot().can_send.is_allowed());
    assert!(bench.snapshot().session_active.is_active(), "that is another fact");
    let history = [said(1), said(2)].map(Text::from);
    bench.command(BridgeCommand::History(Vec::from(history)));
    assert_eq!(bench.sent(link), [said(1), said(2), said(3)]);
    assert!(bench.snapshot().can_send.is_allowed());
    bench.command(BridgeCommand::History(vec![Text::from(said(9))]));
    assert_eq!(bench.sent(link), [""; 0], "there is one history");
}

#[test]
fn a_break_is_seen_and_nothing_is_lost_or_said_twice() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.sent(link);
    bench.publish(&said(1));
    bench.frame(link, &ControlFrame::Ack { received: 2 });
    bench.publish(&said(2));
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    let snapshot = bench.snapshot();
    assert!(matches!(snapshot.state, BridgeState::Reconnecting { .. }));
    assert!(!snapshot.session_active.is_active() && !snapshot.can_send.is_allowed());
    assert!(snapshot.error().is_some());
    bench.publish(&said(3));
    bench.hand.wait();
    // The relay has its first three: what the worker says of itself, the init, and the first line.
    let again = bench.connect(3, 0);
    assert_eq!(bench.sent(again), [said(2), said(3)]);
    assert_eq!(bench.snapshot().state, BridgeState::Connected);
}

#[test]
fn turns_are_counted_here_and_there() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.publish(r#"{"type":"result","subtype":"success"}"#);
    bench.publish(r#"{"type":"result","subtype":"success"}"#);
    assert_eq!((bench.snapshot().turns, bench.snapshot().turns_stored), (2, 0));
    bench.frame(link, &ControlFrame::Ack { received: 3 });
    assert_eq!((bench.snapshot().turns, bench.snapshot().turns_stored), (2, 1));
    bench.frame(link, &ControlFrame::Ack { received: 4 });
    assert_eq!((bench.snapshot().turns, bench.snapshot().turns_stored), (2, 2));
}

#[test]
fn an_ordinary_teardown_reports_a_result_stops_the_work_and_deregisters() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.publish(&said(1));
    bench.command(BridgeCommand::Teardown);
    assert!(!bench.snapshot().can_send.is_allowed());
    bench.frame(link, &ControlFrame::Ack { received: 4 });
    bench.hand.take("a close", |action| matches!(action, Action::Close { .. }).then_some(()));
    let (stop, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"completed""#), "{body}");
    bench.respond(stop, 200, "{}");
    let leave = bench.request("/v1/environments/env_1/stop").0;
    bench.respond(leave, 200, "{}");
    assert_eq!(bench.hand.outcome, Some(Ok(())));
}

#[test]
fn what_is_published_after_a_deadline_and_before_its_timer_is_no_wait_in_the_past() {
    let (mut bench, link) = Bench::connected(|_| {});
    let deadline = bench.hand.deadline.expect("a heartbeat, or a ping");
    bench.hand.now.mono = deadline + Duration::from_millis(1);
    bench.command(BridgeCommand::Reachable(true));
    assert!(bench.hand.deadline.is_none_or(|next| next > deadline));
    bench.frame(link, &ControlFrame::Ping);
}

#[test]
fn an_agent_that_was_killed_is_reported_as_that() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.publish(&said(1));
    bench.command(BridgeCommand::Over(ExitStatus::Signal(9)));
    bench.frame(link, &ControlFrame::Ack { received: 4 });
    bench.hand.take("a close", |action| matches!(action, Action::Close { .. }).then_some(()));
    let (_, request) = bench.request("/work/work_1/stop");
    let body = String::from_utf8(request.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""status":"failed""#) && body.contains(r#""signal":9"#), "{body}");
}

#[test]
fn a_perpetual_teardown_sends_no_result_stops_nothing_closes_nothing_and_is_taken_up_again() {
    let perpetual = |config: &mut BridgeConfig| {
        config.teardown = Teardown::Perpetual;
        config.state_directory = Some("/state".to_owned());
        config.keeps_pointer = true;
    };
    let mut bench = Bench::new(perpetual);
    let registered = bench.register("");
    let body = String::from_utf8(registered.body.to_vec()).expect("JSON");
    assert!(body.contains(r#""worker_type":"footbridge_assistant""#), "{body}");
    bench.create("session_1");
    let link = bench.link("session_1", 1);
    bench.files.remove("/w/bridge-pointer.json").expect("a pointer");
    bench.command(BridgeCommand::Teardown);
    assert!(bench.files.contains_key("/w/bridge-pointer.json"), "it is refreshed");
    bench.frame(link, &ControlFrame::Ack { received: 3 });
    assert_eq!(bench.hand.outcome, Some(Ok(())));
    assert!(!bench.has_request("/stop"));
    assert!(!bench.hand.actions.iter().any(|action| matches!(action, Action::Close { .. })));

    let mut bench = Bench::on(bench.files, perpetual);
    let body = String::from_utf8(bench.register(r#""session_1""#).body.to_vec()).expect("JSON");
    assert!(body.contains(r#""environment_id":"env_1""#), "{body}");
    assert!(!bench.has_request("/v1/sessions"), "it has one");
    let link = bench.link("session_1", 2);
    let sent = bench.sent(link);
    assert!(sent[0].contains(r#""subtype":"init""#), "{sent:?}");
    bench.line(link, r#"{"type":"user","uuid":"U","message":{}}"#);
    assert_eq!(bench.incoming().last().map(|it| it.what.clone()), Some(What::Message));
}

#[test]
fn what_the_next_run_goes_on_from_is_on_the_disk_before_a_bridge_ends() {
    let mut bench = Bench::new(|config| {
        config.teardown = Teardown::Perpetual;
        config.state_directory = Some("/state".to_owned());
        config.keeps_pointer = true;
    });
    bench.register("");
    bench.create("session_1");
    let link = bench.link("session_1", 1);
    bench.files.remove("/w/bridge-pointer.json").expect("a pointer");
    // From here on, the disk is slow.
    bench.hand.command(BridgeCommand::Teardown);
    let message = Message::Binary(ControlFrame::Ack { received: 3 }.to_bytes());
    bench.hand.handle(Event::Received { op: link, message });
    assert_eq!(bench.hand.outcome, None, "its pointer is not there yet");
    bench.settle();
    assert!(bench.files.contains_key("/w/bridge-pointer.json"));
    assert_eq!(bench.hand.outcome, Some(Ok(())));
}

#[test]
fn a_session_that_ended_before_its_work_came_is_followed_by_another() {
    let perpetual = |config: &mut BridgeConfig| {
        config.teardown = Teardown::Perpetual;
        config.state_directory = Some("/state".to_owned());
    };
    let mut bench = Bench::new(perpetual);
    bench.register("");
    bench.create("session_1");
    bench.link("session_1", 1);
    let mut bench = Bench::on(bench.files, perpetual);
    bench.register(r#""session_1""#);
    let before = bench.handle_bound();
    let poll = bench.request("/work/poll").0;
    bench.respond(poll, 204, "");
    assert!(!bench.has_request("/work/poll"), "it asks first whether there is work to come");
    bench.wait_for("/bridge");
    bench.register(r#""session_1""#);
    assert!(!bench.has_request("/v1/sessions"), "it is still there");
    let poll = bench.request("/work/poll").0;
    bench.respond(poll, 204, "");
    bench.wait_for("/bridge");
    bench.register("");
    bench.create("session_2");
    bench.link("session_2", 2);
    assert_eq!(bench.sign(&before), Err(NotSigned::Stale));
    let now = bench.handle_bound();
    assert_eq!(bench.sign(&now).as_deref(), Ok("bridge:session_2"));
}

/// A session that the relay has lost is followed by another one, and everybody who holds the old id is
/// told (I-2).
#[test]
fn a_lost_session_is_followed_by_another_with_the_same_content() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.publish(&said(1));
    bench.publish(QUESTION);
    let before = bench.handle_bound();
    assert_eq!(bench.sign(&before).as_deref(), Ok("bridge:session_1"));
    lose(&mut bench, link);
    assert_eq!(bench.sign(&before), Err(NotSigned::Stale), "nobody knows what comes next");
    bench.create("session_2");
    assert!(bench.hand.notices.iter().any(|notice| matches!(
        notice,
        BridgeNotice::SessionChanged { before, now, lines_missing: 0 }
            if before.as_str() == "session_1" && now.as_str() == "session_2"
    )));
    let link = bench.link("session_2", 2);
    let sent = bench.sent(link);
    assert!(sent[0].contains(r#""subtype":"init""#));
    assert_eq!(sent[1..], [said(1), QUESTION.to_owned()], "the question is still open");
    // A permission that was given for the session before: it says nothing in the name of this one.
    assert_eq!(bench.sign(&before), Err(NotSigned::Stale));
    let now = bench.handle_bound();
    assert_eq!(bench.sign(&now).as_deref(), Ok("bridge:session_2"));
    bench.command(BridgeCommand::Reachable(false));
    assert_eq!(bench.sign(&now), Err(NotSigned::CannotSend));
}

/// The relay has forgotten everything: it refuses the link, the lease and the environment.
fn lose(bench: &mut Bench, link: OpId) {
    let gone = r#"{"error":{"type":"session_unknown","message":"m"}}"#;
    bench.handle(Event::Closed { op: link, code: None, failure: None });
    bench.hand.wait();
    let open = bench.open();
    let body = Bytes::from(gone);
    let response = Response { status: 404, headers: vec![], body };
    bench.handle(Event::Refused { op: open, response });
}

#[test]
fn into_a_mirror_nothing_comes_and_it_says_that_it_has_started() {
    let (mut bench, link) = Bench::connected(|config| config.direction = Direction::Outbound);
    assert!(bench.hand.notices.contains(&BridgeNotice::MirrorInitialized));
    assert_eq!(MIRROR_INITIALIZED, "Mirror initialized");
    bench.sent(link);
    bench.publish(&said(1));
    assert_eq!(bench.sent(link), [said(1)]);
    bench.acks(link);
    bench.line(link, r#"{"type":"user","uuid":"U","message":{}}"#);
    assert_eq!((bench.incoming(), bench.acks(link)), (vec![], vec![]));
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.state, BridgeState::Connected);
    assert!(!snapshot.session_active.is_active() && !snapshot.can_send.is_allowed());
}

#[test]
fn a_program_that_is_ended_by_a_viewer_is_told_and_leaves_in_order() {
    let (mut bench, link) = Bench::connected(|_| {});
    bench.frame(link, &ControlFrame::Stop);
    bench.frame(link, &ControlFrame::Ack { received: 3 });
    let ended = bench.hand.notices.iter().find_map(|notice| match notice {
        BridgeNotice::SessionEnded { reason } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(ended.as_deref(), Some("a person ended it"));
    assert!(matches!(bench.snapshot().state, BridgeState::Failed { .. }));
    let stop = bench.request("/work/work_1/stop").0;
    bench.respond(stop, 200, "{}");
    let leave = bench.request("/v1/environments/env_1/stop").0;
    bench.respond(leave, 200, "{}");
    assert_eq!(bench.hand.outcome, Some(Ok(())));
}

#[test]
fn while_the_relay_is_behind_lines_wait_here_and_the_program_is_asked_to_pause() {
    let (mut bench, link) = Bench::connected(|_| {});
    let big = |n: u32| format!(r#"{{"type":"assistant","n":{n},"x":"{}"}}"#, "x".repeat(1 << 20));
    let most = u32::try_from((BRIDGE_WAITING_BYTES + OUTBOX_HIGH_WATER_BYTES) >> 20).expect("few");
    for n in 0..most + 2 {
        bench.publish(&big(n));
    }
    let behind =
        |bench: &Bench, is_behind| bench.hand.notices.contains(&BridgeNotice::Behind(is_behind));
    assert!(behind(&bench, true) && !behind(&bench, false));
    let mut came = 0;
    let mut received = 1;
    while came < most + 3 {
        let sent = bench.sent(link);
        assert!(!sent.is_empty(), "it goes on as the relay does");
        for line in sent {
            assert!(came == 0 || line.starts_with(&big(came - 1)[..30]), "in order: {came}");
            came += 1;
            received += 1;
        }
        bench.frame(link, &ControlFrame::Ack { received });
    }
    assert!(behind(&bench, false));
}

#[test]
fn without_a_relay_it_says_so_and_still_ends_at_once() {
    let mut bench = Bench::new(|_| {});
    let op = bench.request("/bridge").0;
    let failure = crate::contract::event::IoError {
        kind: crate::contract::event::IoErrorKind::Refused,
        detail: "d".to_owned(),
    };
    bench.handle(Event::Failed { op, failure });
    assert!(matches!(bench.snapshot().state, BridgeState::Reconnecting { .. }));
    bench.publish(&said(1));
    bench.command(BridgeCommand::Teardown);
    assert_eq!(bench.hand.outcome, Some(Ok(())));
}
