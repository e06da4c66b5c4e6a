//! The check of a worker's needs, with anything at all as the result of its attempts.

use bytes::Bytes;
use footbridge_core::auth::Credential;
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::MAX_LINE_BYTES;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::Action;
use footbridge_core::contract::check::Operation;
use footbridge_core::contract::event::Event;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{AgentProgram, Check, CheckConfig};

use super::answers::{self, goes_well};
use super::bench::{Bench, Limits, Open, Record};
use super::steps::{TOKEN, is_checked_twice, passes_time, pick};
use crate::targets::input::Input;
use crate::targets::reach::reach;

/// It tries one thing after the other, and writes one line to an agent.
const LIMITS: Limits = Limits { operations: 1, bytes: MAX_LINE_BYTES };

/// A check of a worker's needs, whatever it finds.
pub fn self_check(data: &[u8]) {
    let record = drive(data);
    if is_checked_twice(data) {
        assert_eq!(record, drive(data), "the same events, the same actions");
    }
}

fn drive(data: &[u8]) -> Record {
    let mut input = Input(data);
    let has = input.byte().unwrap_or(255);
    let given = |bit: u8, text: &str| (has & 1 << bit != 0).then(|| text.to_owned());
    let agent = AgentProgram { program: "agent".into(), args: vec![], env: vec![] };
    let config = CheckConfig {
        relay: BaseUrl::parse("https://relay.example").expect("a URL"),
        credential: given(0, TOKEN).map(|token| Credential::fixed(Secret::new(token))),
        directory: given(1, "/p"),
        is_worktree_mode: has & 4 != 0,
        state_directory: given(3, "/state"),
        agent: given(4, "agent").map(|_| agent),
        agent_env_remove: vec!["SECRET".into()],
    };
    let mut bench = Bench::new(Check::new(config), LIMITS);
    while let Some(what) = input.byte() {
        if bench.is_over() {
            break;
        }
        if passes_time(&mut bench, what, &mut input) {
            continue;
        }
        let Some((op, open)) = pick(&bench, what, &mut input) else {
            bench.pass_to_deadline();
            continue;
        };
        let event = event(op, &open, &mut input);
        bench.handle(event);
    }
    if bench.is_over() {
        reach("it told all it found");
    }
    // Git's output is shown, and a fuzzer will eventually print the token.
    let is_given_away = String::from_utf8_lossy(data).contains("somebody");
    let shows = bench.record.told.iter().any(|told| told.contains(TOKEN));
    assert!(is_given_away || !shows, "a secret shows");
    bench.record
}

fn event(op: OpId, open: &Open, input: &mut Input<'_>) -> Event {
    const DATES: [&str; 4] =
        ["Thu, 01 Jan 2026 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:00 GMT", "soon", ""];
    match (&open.action, &open.state) {
        (Action::Request { .. }, _) if goes_well(input) => {
            let bodies = [r#"{"status":"ok"}"#, r#"{"status":"ok"}"#, r#"{"status":"ill"}"#, "[]"];
            let mut response = answers::json(200, input.choose(&bodies));
            response.headers.push(("date".into(), input.choose(&DATES).into()));
            Event::Response { op, response }
        }
        (Action::Request { .. }, _) => {
            if input.byte().is_some_and(|byte| byte < 80) {
                return answers::failed(op, input);
            }
            let mut response = answers::bad_response(input);
            let date = String::from_utf8_lossy(input.some()).into_owned();
            response.headers.push(("date".into(), date));
            Event::Response { op, response }
        }
        (_, Operation::Process(process)) => answers::process(op, process, input, output),
        (action, _) => answers::local(op, action, input, |input| match goes_well(input) {
            true => Bytes::from_static(b"git version 2.47.0\n"),
            false => Bytes::copy_from_slice(input.some()),
        }),
    }
}

fn output(input: &mut Input<'_>) -> Bytes {
    const ANSWER: &str = "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"footbridge-check\",\"response\":{}}}\n";
    match input.byte().unwrap_or(0) {
        0..=120 => {
            reach("the agent answered");
            Bytes::from_static(ANSWER.as_bytes())
        }
        _ => answers::lines(input),
    }
}
