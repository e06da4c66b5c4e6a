//! How a runtime could respond to an operation: mostly as the machine hopes, so that it gets far,
//! and now and then with anything else that the contract allows.

use bytes::Bytes;
use footbridge_core::base::id::OpId;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::{Action, Message, Response};
use footbridge_core::contract::check::{Process, Stream};
use footbridge_core::contract::event::{Event, ExitStatus, IoError, IoErrorKind, Output};

use crate::targets::input::Input;

/// Whether things go as hoped: four times out of five, and always once the bytes are used up.
pub(super) fn goes_well(input: &mut Input<'_>) -> bool {
    input.byte().is_none_or(|byte| byte >= 52)
}

pub(super) fn failure(input: &mut Input<'_>) -> IoError {
    const KINDS: [IoErrorKind; 6] = [
        IoErrorKind::Disconnected,
        IoErrorKind::TimedOut,
        IoErrorKind::Refused,
        IoErrorKind::TooLarge,
        IoErrorKind::Full,
        IoErrorKind::NotFound,
    ];
    IoError { kind: input.choose(&KINDS), detail: String::from("fuzz") }
}

pub(super) fn failed(op: OpId, input: &mut Input<'_>) -> Event {
    Event::Failed { op, failure: failure(input) }
}

/// An HTTP answer with a JSON body.
pub(super) fn json(status: u16, body: &str) -> Response {
    let headers = vec![("content-type".into(), "application/json".into())];
    Response { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}

/// An HTTP answer that nobody hoped for.
pub(super) fn bad_response(input: &mut Input<'_>) -> Response {
    const STATUS: [u16; 13] = [401, 403, 404, 404, 409, 410, 429, 500, 503, 200, 204, 302, 999];
    const TYPES: [&str; 7] = [
        "token_expired",
        "environment_unknown",
        "session_unknown",
        "work_unknown",
        "lease_lost",
        "session_ended",
        "unavailable",
    ];
    const RETRY_AFTER: [&str; 4] = ["1", "0", "soon", "99999999999999999999"];
    let status = input.choose(&STATUS);
    let mut response = match input.byte().unwrap_or(0) % 4 {
        0 => json(status, &String::from_utf8_lossy(input.some())),
        1 => json(status, input.choose(&["", "{}", "null", "[", "<html>"])),
        _ => {
            let kind = input.choose(&TYPES);
            json(status, &format!(r#"{{"error":{{"type":"{kind}","message":"no"}}}}"#))
        }
    };
    response.headers.push(("retry-after".into(), input.choose(&RETRY_AFTER).into()));
    response
}

/// How many of the oldest waiting items have been sent.
fn some_of(waiting: usize, input: &mut Input<'_>) -> usize {
    1 + usize::from(input.byte().unwrap_or(255)) % waiting.max(1)
}

/// An open stream: data is sent, messages arrive, or it ends.
pub(super) fn stream(
    op: OpId,
    stream: &Stream,
    input: &mut Input<'_>,
    message: impl FnOnce(&mut Input<'_>) -> Message,
) -> Event {
    if stream.is_closing && goes_well(input) {
        return Event::Closed { op, code: Some(1000), failure: None };
    }
    match input.byte().unwrap_or(0) {
        0..=8 => {
            let code = Some(input.choose(&[1000, 1001, 1006, 4404, 4409, 4429]));
            Event::Closed { op, code, failure: None }
        }
        9..=12 => Event::Closed { op, code: None, failure: Some(failure(input)) },
        13..=70 if stream.unconfirmed > 0 => {
            Event::Sent { op, messages: some_of(stream.unconfirmed, input) }
        }
        // What was read before the pause may still arrive.
        _ => Event::Received { op, message: message(input) },
    }
}

/// A process: it starts, reads and prints, and exits.
pub(super) fn process(
    op: OpId,
    process: &Process,
    input: &mut Input<'_>,
    output: impl FnOnce(&mut Input<'_>) -> Bytes,
) -> Event {
    if process.has_ended() {
        return Event::Tick;
    }
    if !process.is_spawned {
        return if goes_well(input) { Event::Spawned { op, pid: 7 } } else { failed(op, input) };
    }
    let is_open = |output| match output {
        Output::Stdout => !process.is_stdout_ended,
        Output::Stderr => !process.is_stderr_ended,
    };
    let ending = |input: &mut Input<'_>| match input.byte().unwrap_or(0) % 3 {
        0 if is_open(Output::Stdout) => Event::OutputEnded { op, output: Output::Stdout },
        1 if is_open(Output::Stderr) => Event::OutputEnded { op, output: Output::Stderr },
        _ if !process.has_exited => {
            let status = input.choose(&[
                ExitStatus::Code(0),
                ExitStatus::Code(3),
                ExitStatus::Signal(9),
                ExitStatus::Code(-1),
            ]);
            Event::Exited { op, status }
        }
        _ => Event::Tick,
    };
    match input.byte().unwrap_or(0) {
        0..=20 => ending(input),
        21..=24 if !process.is_input_closed => Event::InputClosed { op },
        25..=100 if process.unconfirmed > 0 => {
            Event::Written { op, writes: some_of(process.unconfirmed, input) }
        }
        101..=115 if is_open(Output::Stderr) => {
            Event::Stderr { op, data: Bytes::copy_from_slice(input.some()) }
        }
        _ if is_open(Output::Stdout) => Event::Stdout { op, data: output(input) },
        _ => ending(input),
    }
}

/// A file, a directory or a command, whose contents come from `words`.
pub(super) fn local(
    op: OpId,
    action: &Action,
    input: &mut Input<'_>,
    words: impl FnOnce(&mut Input<'_>) -> Bytes,
) -> Event {
    let is_well = goes_well(input);
    match action {
        Action::Save { .. } if is_well => Event::Saved { op },
        Action::Remove { .. } if is_well => Event::Removed { op },
        Action::Append { .. } if is_well => Event::Appended { op },
        Action::LoadEnd { .. } if is_well => {
            let data = words(input);
            Event::EndLoaded { op, length: data.len() as u64, data }
        }
        Action::Load { .. } if is_well => {
            Event::Loaded { op, data: Some(words(input)), modified: None }
        }
        Action::Load { .. } if input.byte().is_some_and(|byte| byte < 128) => {
            Event::Loaded { op, data: None, modified: None }
        }
        Action::List { .. } if is_well => {
            let names = ["w1.json", "work_2.json", "../x.json", "y", ".json", "w9.json.tmp"];
            Event::Listed { op, names: names.map(String::from).to_vec() }
        }
        // Most worktrees are on a branch.
        Action::Run { command, .. }
            if is_well
                && command.args.iter().any(|arg| arg == "symbolic-ref")
                && input.byte().is_none_or(|byte| byte < 200) =>
        {
            let stdout = Bytes::from_static(b"refs/heads/topic\n");
            Event::Ran { op, status: ExitStatus::Code(0), stdout, stderr: Bytes::new() }
        }
        Action::Run { limit, .. } if is_well => {
            let mut stdout = words(input);
            stdout.truncate(*limit);
            Event::Ran { op, status: ExitStatus::Code(0), stdout, stderr: Bytes::new() }
        }
        Action::Run { .. } if input.byte().is_some_and(|byte| byte < 200) => {
            const COMPLAINTS: [&str; 4] = [
                "",
                "fatal: not a git repository",
                "fatal: Unable to create '/r/.git/index.lock': File exists.",
                "error: one\nhint: two\n",
            ];
            let stderr = Bytes::from_static(input.choose(&COMPLAINTS).as_bytes());
            Event::Ran { op, status: ExitStatus::Code(128), stdout: Bytes::new(), stderr }
        }
        _ => failed(op, input),
    }
}

/// A line of a conversation, from either side.
pub(super) fn lines(input: &mut Input<'_>) -> Bytes {
    const LINES: [&str; 9] = [
        "{\"type\":\"user\",\"uuid\":\"u\"}\n{\"type\":\"x\"}\n",
        "{\"type\":\"user\",\"uuid\":\"v\",\"message\":{\"role\":\"user\",\"content\":\"ls\"}}\n",
        "{\"type\":\"control_request\",\"request_id\":\"q\",\"request\":{\"subtype\":\"can_use_tool\",\"tool_name\":\"Bash\",\"input\":{}}}\n",
        "{\"type\":\"control_request\",\"request_id\":\"r\",\"request\":{\"subtype\":\"interrupt\"}}\n",
        "{\"type\":\"control_response\",\"response\":{\"subtype\":\"success\",\"request_id\":\"q\",\"response\":{\"behavior\":\"allow\",\"updatedInput\":{}}}}\n",
        "{\"type\":\"control_response\",\"response\":{\"subtype\":\"error\",\"request_id\":\"q\",\"error\":\"no\"}}\n",
        "{\"type\":\"control_cancel_request\",\"request_id\":\"q\"}\n",
        "{\"type\":\"result\",\"subtype\":\"success\"}\n",
        "no JSON\r\n\n[",
    ];
    match input.byte().unwrap_or(0) {
        0..=24 => Bytes::copy_from_slice(input.some()),
        _ => Bytes::from_static(input.choose(&LINES).as_bytes()),
    }
}

/// The same as a text message.
pub(super) fn text(input: &mut Input<'_>) -> Message {
    Message::Text(Text::from(String::from_utf8_lossy(&lines(input)).into_owned()))
}
