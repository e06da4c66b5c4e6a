//! A worker reads arbitrary bytes while everything else goes well: its relay's responses, results
//! kept by an earlier run, and git's output.

use bytes::Bytes;
use footbridge_core::base::id::{OpId, SessionId};
use footbridge_core::contract::action::{Action, Response};
use footbridge_core::contract::check::Operation;
use footbridge_core::contract::event::{Event, ExitStatus};
use footbridge_core::worker::Worker;

use super::answers;
use super::bench::{Bench, Open};
use super::worker::{RelaysPart, Variant, worker};
use crate::targets::input::Input;
use crate::targets::reach::reach;

/// Steps within which a worker gets to anything that it does at all.
const STEPS: usize = 120;

/// A worker for which everything goes well.
struct Run {
    bench: Bench<Worker>,
    relay: RelaysPart,
    variant: Variant,
}

impl Run {
    /// Runs until the worker requests something, and returns that operation.
    fn until(variant: Variant, wanted: impl Fn(&Action) -> bool) -> (Self, OpId) {
        let mut run = Self { bench: worker(variant), relay: RelaysPart::default(), variant };
        for _ in 0..STEPS {
            let found = run.bench.open.iter().find(|(_, open)| wanted(&open.action));
            if let Some((op, _)) = found {
                let op = *op;
                return (run, op);
            }
            run.go_on();
        }
        panic!("the worker never requests it");
    }

    /// One more thing goes well.
    fn go_on(&mut self) {
        for action in std::mem::take(&mut self.bench.fresh) {
            self.relay.saw(&action);
        }
        // There is one item of work, so that the worker can proceed.
        let is_held = |action: &Action| {
            self.relay.has_given()
                && matches!(action, Action::Request { request, .. } if request.url.ends_with("/poll"))
        };
        let is_due = |open: &Open| match open.state {
            Operation::Once(_) => !is_held(&open.action),
            _ => !open.is_up(),
        };
        let next = self.bench.open.iter().find(|(_, open)| is_due(open));
        match next.map(|(op, open)| (*op, open.clone())) {
            Some((op, open)) => {
                let event = self.relay.answer(self.variant, op, &open, &mut Input(&[]));
                self.bench.handle(event);
            }
            None => self.bench.pass_to_deadline(),
        }
    }
}

/// A text in place of a secret: no identifier may look like that.
const SECRET: &str = "hunter2!";

/// The responses to each kind of request. Unless it is a refusal, a response is never shown,
/// because it may contain secrets.
pub fn api_answers(data: &[u8]) {
    const REQUESTS: [&str; 5] = ["/bridge", "/poll", "/ack", "/heartbeat", "/stop"];
    const STATUS: [u16; 12] = [200, 200, 200, 201, 400, 401, 404, 409, 410, 429, 500, 503];
    let mut input = Input(data);
    let path = input.choose(&REQUESTS);
    let status = input.choose(&STATUS);
    let (mut run, op) = Run::until(
        Variant::Plain,
        |action| matches!(action, Action::Request { request, .. } if request.url.ends_with(path)),
    );
    let body = String::from_utf8_lossy(input.0).replace('$', SECRET);
    let before = run.bench.record.told.len();
    let headers = vec![("retry-after".into(), "7".into())];
    let response = Response { status, headers, body: Bytes::from(body) };
    run.bench.handle(Event::Response { op, response });
    for _ in 0..4 {
        if !run.bench.is_over() {
            run.go_on();
        }
    }
    let told = run.bench.record.told.get(before..).unwrap_or_default();
    if !told.iter().any(|told| told.contains("not what a relay gives")) {
        reach("an answer was understood");
    }
    if status < 300 {
        assert!(told.iter().all(|told| !told.contains(SECRET)), "a secret shows: {told:?}");
        let outcome = format!("{:?}", run.bench.record.outcome);
        assert!(!outcome.contains(SECRET), "a secret shows: {outcome}");
    }
}

/// A result kept by an earlier run: any bytes, or what was written, partly changed.
pub fn spool_files(data: &[u8]) {
    let mut input = Input(data);
    let is_raw = input.byte().is_some_and(|byte| byte % 2 == 1);
    let written = spooled();
    let file = if is_raw {
        input.0.to_vec()
    } else {
        let mut file = written.to_vec();
        while let (Some(at), Some(byte)) = (input.byte(), input.byte()) {
            let at = usize::from(at) % file.len();
            file[at] = byte;
        }
        file
    };
    let is_unchanged = file == written;
    let (mut run, op) = Run::until(
        Variant::Plain,
        |action| matches!(action, Action::Load { path, .. } if path.ends_with("/w1.json")),
    );
    run.bench.fresh.clear();
    run.bench.handle(Event::Loaded { op, data: Some(Bytes::from(file)), modified: None });
    let is_reported = |action: &Action| match action {
        Action::Request { request, .. } => {
            assert!(request.url.starts_with("https://relay.example/v1/"), "{}", request.url);
            assert!(request.url.ends_with("/work/w1/stop"), "{}", request.url);
            true
        }
        Action::Remove { path, .. } => {
            assert_eq!(path, "/state/results/w1.json");
            false
        }
        other => panic!("a file leads to {other:?}"),
    };
    let reports = run.bench.fresh.iter().filter(|action| is_reported(action)).count();
    assert!(!is_unchanged || reports == 1, "what was kept is reported");
    if reports > 0 {
        reach("a result was reported");
    }
}

/// What a worker saves of a result before it reports it.
fn spooled() -> Bytes {
    let item = r#"{"id":"w1","type":"work","environment_id":"env_1","data":{"type":"session","id":"s"},"secret":"?","fence":3}"#;
    let (mut run, op) = Run::until(
        Variant::Plain,
        |action| matches!(action, Action::Request { request, .. } if request.url.ends_with("/poll")),
    );
    run.bench.fresh.clear();
    run.bench.handle(Event::Response { op, response: answers::json(200, item) });
    let saved = run.bench.fresh.iter().find_map(|action| match action {
        Action::Save { path, data, .. } if path.ends_with("/w1.json") => Some(data.clone()),
        _ => None,
    });
    saved.expect("a result that cannot be run is kept")
}

/// Git's output for each command of a worker whose sessions have worktrees. Only a session's own
/// worktree is ever removed.
pub fn git_outputs(data: &[u8]) {
    const QUESTIONS: [&str; 8] = [
        "symbolic-ref",
        "remote.origin.url",
        "--show-prefix",
        "HEAD^{commit}",
        "list",
        "add",
        "status",
        "rev-list",
    ];
    let mut input = Input(data);
    let question = input.choose(&QUESTIONS);
    let code = input.choose(&[0, 0, 0, 1]);
    let (mut run, op) = Run::until(
        Variant::Worktrees,
        |action| matches!(action, Action::Run { command, .. } if command.args.iter().any(|arg| arg == question)),
    );
    let words = Bytes::copy_from_slice(input.0);
    let (stdout, stderr) = if code == 0 { (words, Bytes::new()) } else { (Bytes::new(), words) };
    let status = ExitStatus::Code(code);
    run.bench.handle(Event::Ran { op, status, stdout, stderr });
    for _ in 0..12 {
        if !run.bench.is_over() {
            run.go_on();
        }
    }
    for action in &run.bench.record.did {
        let Action::Run { command, .. } = action else { continue };
        let args: Vec<_> = command.args.iter().map(String::as_str).collect();
        if let [_, _, "worktree", "remove" | "unlock", path] = *args {
            let name = path.strip_prefix("/state/worktrees/").expect("below the root");
            assert!(SessionId::new(name).is_ok(), "{name:?}");
            reach("a worktree was removed");
        }
    }
}
