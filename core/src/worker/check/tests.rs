//! The check driven by hand.

use alloc::borrow::ToOwned;
use alloc::vec;
use core::ops::{Deref, DerefMut};

use super::*;
use crate::base::id::OpId;
use crate::base::limits::{CHECK_AGENT_ANSWER, CHECK_AGENT_END, COMMAND_GRACE};
use crate::base::secret::Secret;
use crate::base::time::{Duration, Instant, Now};
use crate::contract::event::ExitStatus;
use crate::contract::event::{IoError, IoErrorKind};
use crate::testing::Hand;

const ERROR: &str = r#"{"error":{"type":"later"}}"#;
const NOON: &str = "Sat, 31 Jan 2026 12:00:00 GMT";

/// A check driven by hand.
struct Bench {
    hand: Hand<Check>,
}

impl Deref for Bench {
    type Target = Hand<Check>;

    fn deref(&self) -> &Hand<Check> {
        &self.hand
    }
}

impl DerefMut for Bench {
    fn deref_mut(&mut self) -> &mut Hand<Check> {
        &mut self.hand
    }
}

impl Bench {
    fn new(change: impl FnOnce(&mut CheckConfig)) -> Self {
        let agent = AgentProgram { program: "agent".to_owned(), args: vec![], env: vec![] };
        let mut config = CheckConfig {
            relay: BaseUrl::parse("https://relay.example").expect("a URL"),
            credential: Some(Credential::fixed(Secret::from("hunter2"))),
            directory: Some("/w".to_owned()),
            is_worktree_mode: false,
            state_directory: Some("/s".to_owned()),
            agent: Some(agent),
            agent_env_remove: vec![],
        };
        change(&mut config);
        let wall = UnixTime::from_http_date(NOON).expect("a date");
        let now = Now { mono: Instant::ORIGIN, wall };
        let mut hand = Hand::new(Check::new(config), now);
        hand.trees_ended = Some(0);
        Self { hand }
    }

    #[track_caller]
    fn handle(&mut self, event: Event) {
        self.hand.handle(event);
    }

    /// The last operation requested.
    fn op(&self) -> OpId {
        match self.actions.back().expect("an operation is requested") {
            Action::Request { op, .. }
            | Action::Open { op, .. }
            | Action::Run { op, .. }
            | Action::Save { op, .. }
            | Action::Load { op, .. }
            | Action::Remove { op, .. }
            | Action::Spawn { op, .. }
            | Action::Write { op, .. }
            | Action::CloseInput { op }
            | Action::Signal { op, .. } => *op,
            other => panic!("{other:?}"),
        }
    }

    fn respond(&mut self, status: u16, body: &'static str) {
        let headers = vec![("date".to_owned(), NOON.to_owned())];
        let response = Response { status, headers, body: Bytes::from_static(body.as_bytes()) };
        self.handle(Event::Response { op: self.op(), response });
    }

    fn fail(&mut self, kind: IoErrorKind) {
        let failure = IoError { kind, detail: "words".to_owned() };
        self.handle(Event::Failed { op: self.op(), failure });
    }

    fn ran(&mut self, code: i32, stderr: &'static str) {
        let stderr = Bytes::from_static(stderr.as_bytes());
        let status = ExitStatus::Code(code);
        self.handle(Event::Ran { op: self.op(), status, stdout: Bytes::new(), stderr });
    }

    fn channels_are_good(&mut self) {
        self.respond(404, ERROR);
        self.respond(404, ERROR);
        self.refuse_link(404, ERROR);
        self.respond(404, ERROR);
    }

    fn refuse_link(&mut self, status: u16, body: &'static str) {
        let body = Bytes::from_static(body.as_bytes());
        let response = Response { status, headers: vec![], body };
        self.handle(Event::Refused { op: self.op(), response });
    }

    fn state_is_good(&mut self) {
        self.handle(Event::Saved { op: self.op() });
        self.handle(Event::Removed { op: self.op() });
    }

    /// As far as the agent, with everything fine.
    fn at_agent() -> Self {
        let mut bench = Self::new(|_| {});
        bench.respond(200, r#"{"status":"ok"}"#);
        bench.respond(200, r#"{"environments":[]}"#);
        bench.channels_are_good();
        bench.ran(0, "");
        bench.state_is_good();
        let op = bench.op();
        bench.handle(Event::Spawned { op, pid: 7 });
        bench
    }

    fn prints(&mut self, line: &'static str) {
        self.handle(Event::Stdout { op: self.op(), data: Bytes::from_static(line.as_bytes()) });
    }

    fn exits(&mut self, status: ExitStatus) {
        let op = self.op();
        for output in
            [crate::contract::event::Output::Stdout, crate::contract::event::Output::Stderr]
        {
            self.handle(Event::OutputEnded { op, output });
        }
        self.handle(Event::Exited { op, status });
    }

    fn wait(&mut self) -> Duration {
        let at = self.deadline.expect("something to wait for");
        let time = at.saturating_since(self.now.mono);
        self.now.mono = at;
        self.handle(Event::Tick);
        time
    }

    #[track_caller]
    fn found(&self, what: &str) -> &Finding {
        &self.notices.iter().find(|checked| checked.what == what).expect("it was checked").finding
    }

    #[track_caller]
    fn failed(&self, what: &str) -> (MachineErrorKind, &str) {
        match self.found(what) {
            Finding::Failed { kind, reason } => {
                assert!(!reason.contains("hunter2"), "{reason}");
                (*kind, reason)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn everything_is_tried_once_and_in_order_and_nothing_is_registered() {
    let mut bench = Bench::at_agent();
    bench.prints(concat!(
        r#"{"type":"control_response","response":{"subtype":"success","request_id":"footbridge-check"}}"#,
        "\n"
    ));
    assert!(matches!(bench.actions.back(), Some(Action::CloseInput { .. })));
    bench.exits(ExitStatus::Code(0));
    let order: Vec<_> = bench.notices.iter().map(|checked| checked.what).collect();
    assert_eq!(
        order,
        ["relay", "clock", "token", "poll", "call", "link", "stream", "git", "state", "agent"]
    );
    assert!(bench.notices.iter().all(|checked| matches!(checked.finding, Finding::Ok(_))));
    assert!((bench.outcome == Some(Ok(()))));
    for action in &bench.actions {
        if let Action::Request { request, .. } = action
            && request.method != crate::contract::action::Method::Get
        {
            assert!(request.url.ends_with("/v1/environments/check/work/check/heartbeat"));
            assert!(request.headers.iter().all(|(name, _)| *name != "authorization"));
        }
    }
}

#[test]
fn an_unreachable_relay_does_not_end_the_check() {
    let mut bench = Bench::new(|_| {});
    bench.fail(IoErrorKind::Refused);
    assert_eq!(bench.failed("relay").0, MachineErrorKind::GaveUp);
    assert!(matches!(bench.found("token"), Finding::Skipped(_)));
    bench.ran(0, "");
    bench.state_is_good();
    bench.fail(IoErrorKind::NotFound);
    assert_eq!(bench.failed("agent").0, MachineErrorKind::Local);
    assert!((bench.outcome == Some(Ok(()))));
}

#[test]
fn something_else_that_answers_is_not_mistaken_for_a_relay() {
    use MachineErrorKind::GaveUp;
    let cases = [
        (404, "<html>", GaveUp),
        (200, "<html>", GaveUp),
        (503, "", GaveUp),
        (200, r#"{"status":"ill"}"#, GaveUp),
    ];
    for (status, body, kind) in cases {
        let mut bench = Bench::new(|_| {});
        bench.respond(status, body);
        assert_eq!(bench.failed("relay").0, kind, "{status} {body}");
    }
}

#[test]
fn a_token_that_the_relay_refuses_is_reported_as_a_run_would_fail() {
    for (status, kind) in [
        (401, MachineErrorKind::Unauthorized),
        (403, MachineErrorKind::Forbidden),
        (404, MachineErrorKind::NotFound),
        (503, MachineErrorKind::GaveUp),
    ] {
        let mut bench = Bench::new(|_| {});
        bench.respond(200, r#"{"status":"ok"}"#);
        bench.respond(status, ERROR);
        assert_eq!(bench.failed("token").0, kind, "{status}");
    }
}

#[test]
fn a_refused_token_is_tried_once_more_with_what_its_file_holds_now() {
    for (second, is_fine) in [(200, true), (401, false)] {
        let mut bench = Bench::new(|config| {
            let token = Credential::from_file(Secret::from("old"), "/token".to_owned());
            config.credential = Some(token);
        });
        bench.respond(200, r#"{"status":"ok"}"#);
        bench.respond(401, ERROR);
        let op = bench.op();
        bench.handle(Event::Loaded {
            op,
            data: Some(Bytes::from_static(b"new\n")),
            modified: None,
        });
        let Some(Action::Request { request, .. }) = bench.actions.back() else { panic!() };
        assert_eq!(request.headers[0].1.reveal(), "Bearer new");
        bench.respond(second, if second == 200 { "{}" } else { ERROR });
        assert_eq!(matches!(bench.found("token"), Finding::Ok(_)), is_fine, "{second}");
    }
}

#[test]
fn a_clock_that_is_off_by_more_than_a_minute_is_reported() {
    let here = UnixTime::from_http_date(NOON).expect("a date");
    for (seconds, is_good) in [(0, true), (60, true), (61, false), (86_400, false)] {
        let later = here + Duration::from_secs(seconds);
        for (relay, here) in [(here, later), (later, here)] {
            let finding = clock(Some(relay), here);
            assert_eq!(matches!(finding, Finding::Ok(_)), is_good, "{finding:?}");
        }
    }
    assert!(matches!(clock(None, here), Finding::Skipped(_)));
}

#[test]
fn git_is_needed_only_for_worktrees() {
    for is_worktree_mode in [false, true] {
        let mut bench = Bench::new(|config| config.is_worktree_mode = is_worktree_mode);
        bench.fail(IoErrorKind::Refused);
        bench.fail(IoErrorKind::NotFound);
        let is_failed = matches!(bench.found("git"), Finding::Failed { .. });
        assert_eq!(is_failed, is_worktree_mode);
    }
    let mut bench = Bench::new(|config| config.is_worktree_mode = true);
    bench.fail(IoErrorKind::Refused);
    bench.ran(0, "");
    bench.ran(128, "fatal: not a git repository\n");
    assert!(bench.failed("git").1.contains("not a git repository"));
}

#[test]
fn without_a_directory_what_needs_one_is_skipped() {
    let mut bench = Bench::new(|config| config.directory = None);
    bench.fail(IoErrorKind::Refused);
    bench.state_is_good();
    assert!(matches!(bench.found("git"), Finding::Skipped(_)));
    assert!(matches!(bench.found("agent"), Finding::Skipped(_)));
    assert!((bench.outcome == Some(Ok(()))));
}

#[test]
fn a_state_directory_that_cannot_be_written_to_is_reported() {
    let mut bench = Bench::new(|_| {});
    bench.fail(IoErrorKind::Refused);
    bench.ran(0, "");
    bench.fail(IoErrorKind::Denied);
    assert!(bench.failed("state").1.contains("/s cannot be written to: not permitted"));
    let mut bench = Bench::new(|config| config.state_directory = None);
    bench.fail(IoErrorKind::Refused);
    bench.ran(0, "");
    assert!(bench.failed("state").1.contains("HOME"));
}

#[test]
fn an_agent_has_to_answer_initialize_in_whatever_way() {
    let mut silent = Bench::at_agent();
    assert_eq!(silent.wait(), CHECK_AGENT_ANSWER);
    assert_eq!(silent.wait(), CHECK_AGENT_END, "it does not exit at the end of its input");
    assert_eq!(silent.wait(), COMMAND_GRACE, "nor by SIGTERM");
    silent.exits(ExitStatus::Signal(9));
    let (kind, reason) = silent.failed("agent");
    assert_eq!(kind, MachineErrorKind::Local);
    assert!(reason.contains("has not answered initialize within 20 s"), "{reason}");
    assert!((silent.outcome == Some(Ok(()))));

    let mut brief = Bench::at_agent();
    brief.exits(ExitStatus::Code(0));
    let reason = brief.failed("agent").1;
    assert!(reason.contains("ended with exit code 0 before it had answered"), "{reason}");

    let mut refusing = Bench::at_agent();
    refusing.prints(concat!(
        r#"{"type":"control_response","response":{"subtype":"error","request_id":"footbridge-check"}}"#,
        "\n"
    ));
    refusing.exits(ExitStatus::Code(1));
    assert!(matches!(refusing.found("agent"), Finding::Ok(_)), "any answer will do");

    let mut failing = Bench::at_agent();
    let data = Bytes::from_static(b"not logged in\n");
    failing.handle(Event::Stderr { op: failing.op(), data });
    failing.exits(ExitStatus::Code(1));
    let reason = failing.failed("agent").1;
    assert!(reason.ends_with("exit code 1 before it had answered initialize: not logged in"));

    let mut garbled = Bench::at_agent();
    garbled.prints("Welcome!\n");
    garbled.exits(ExitStatus::Code(0));
    assert!(garbled.failed("agent").1.contains("not stream-json messages"));
}

#[test]
fn a_channel_that_does_not_reach_the_relay_is_named() {
    const PAGE: &str = "<html><title>Gateway</title></html>";
    for broken in ["poll", "call", "link"] {
        let mut bench = Bench::new(|config| config.credential = None);
        bench.respond(200, r#"{"status":"ok"}"#);
        for channel in ["poll", "call"] {
            let body = if channel == broken { PAGE } else { ERROR };
            bench.respond(404, body);
        }
        bench.refuse_link(404, if broken == "link" { PAGE } else { ERROR });
        let (kind, reason) = bench.failed(broken);
        assert_eq!(kind, MachineErrorKind::GaveUp);
        assert!(reason.contains("does not reach the relay") && reason.contains("Gateway"));
        for fine in ["poll", "call", "link"].into_iter().filter(|channel| *channel != broken) {
            assert!(matches!(bench.found(fine), Finding::Ok(_)), "{fine}");
        }
    }
}

#[test]
fn a_stream_that_does_not_get_through_is_named_and_a_run_can_do_without() {
    let old = r#"{"error":{"type":"not_found","message":"no such path"}}"#;
    for (answer, why) in [("<html><title>Gateway</title></html>", "Gateway"), (old, "version 2")] {
        let mut bench = Bench::new(|config| config.credential = None);
        bench.respond(200, r#"{"status":"ok"}"#);
        bench.respond(404, ERROR);
        bench.respond(404, ERROR);
        bench.refuse_link(404, ERROR);
        bench.respond(404, answer);
        let Finding::Skipped(said) = bench.found("stream") else { panic!("{answer}") };
        assert!(said.contains(why) && said.contains("travel as version 1"), "{said}");
    }
}

#[test]
fn a_proxy_that_passes_no_upgrade_is_named_with_what_it_has_to_pass() {
    let mut bench = Bench::new(|config| config.credential = None);
    bench.respond(200, r#"{"status":"ok"}"#);
    bench.respond(404, ERROR);
    bench.respond(404, ERROR);
    bench.refuse_link(426, ERROR);
    assert!(bench.failed("link").1.contains("headers Upgrade and Connection"));
}

fn beside_a_worker() -> Bench {
    let relay = BaseUrl::parse("https://relay.example").expect("a URL");
    let agent = AgentProgram { program: "agent".to_owned(), args: vec![], env: vec![] };
    let token = Credential::fixed(Secret::from("hunter2"));
    let config = WorkerConfig::new(relay, token, "/w".to_owned(), agent, 1);
    let mut hand = Hand::new(Check::beside(&config), Now::default());
    hand.trees_ended = Some(0);
    Bench { hand }
}

#[test]
fn only_websockets_and_the_agent_are_tried_beside_a_worker() {
    let mut bench = beside_a_worker();
    bench.refuse_link(426, ERROR);
    assert!(bench.failed("link").1.contains("WebSocket"));
    bench.fail(IoErrorKind::NotFound);
    assert!(bench.failed("agent").1.contains("agent cannot be started"));
    assert_eq!(bench.outcome, Some(Ok(())));
}

#[test]
fn beside_a_worker_only_what_it_would_meet_later_is_said() {
    let answers: [fn(&mut Bench); 3] = [
        |bench| bench.refuse_link(404, ERROR),
        |bench| bench.refuse_link(503, "<html>"),
        |bench| bench.fail(IoErrorKind::Refused),
    ];
    for answer in answers {
        let mut bench = beside_a_worker();
        answer(&mut bench);
        bench.fail(IoErrorKind::NotFound);
        assert_eq!(bench.notices.len(), 1, "{:?}", bench.notices);
    }
}
