//! A worker whose relay, agents, git and disk respond with anything.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use footbridge_core::auth::Credential;
use footbridge_core::base::id::OpId;
use footbridge_core::base::limits::{LINK_WINDOW_BYTES, MAX_INBOUND_BYTES, MAX_LINE_BYTES};
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::{Action, Message, Method, Target};
use footbridge_core::contract::check::Operation;
use footbridge_core::contract::event::Event;
use footbridge_core::wire::link_v1::ControlFrame;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{AgentProgram, SpawnMode, Worker, WorkerCommand, WorkerConfig};

use super::answers::{self, goes_well};
use super::bench::{Bench, Limits, Open, Record};
use super::steps::{TOKEN, passes_time};
use crate::targets::input::Input;
use crate::targets::reach::reach;

/// Three sessions with a link, a process and some requests each; 1024 results of an earlier run.
const LIMITS: Limits = Limits {
    operations: 1200,
    bytes: if 2 * LINK_WINDOW_BYTES + MAX_LINE_BYTES > MAX_INBOUND_BYTES {
        2 * LINK_WINDOW_BYTES + MAX_LINE_BYTES
    } else {
        MAX_INBOUND_BYTES
    },
};

/// What kind of worker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    Plain,
    Worktrees,
    TokenFile,
}

pub(super) fn worker(variant: Variant) -> Bench<Worker> {
    let relay = BaseUrl::parse("https://relay.example").expect("a URL");
    let agent = AgentProgram { program: "agent".into(), args: vec![], env: vec![] };
    let token = match variant {
        Variant::TokenFile => Credential::from_file(Secret::from(TOKEN), "/token".into()),
        _ => Credential::fixed(Secret::from(TOKEN)),
    };
    let mut config = WorkerConfig::new(relay, token, "/p".into(), agent, 7);
    config.max_sessions = 3;
    config.state_directory = Some("/state".into());
    if variant == Variant::Worktrees {
        config.spawn_mode = SpawnMode::Worktree { root: "/state/worktrees".into() };
    }
    Bench::new(Worker::new(config), LIMITS)
}

/// A worker in its directory, with an access token that never changes.
pub fn worker_answers(data: &[u8]) {
    drive_alike(Variant::Plain, data);
}

/// A worker whose sessions have worktrees.
pub fn worker_worktrees(data: &[u8]) {
    drive_alike(Variant::Worktrees, data);
}

/// A worker that reads a newer token from a file.
pub fn worker_token_file(data: &[u8]) {
    drive_alike(Variant::TokenFile, data);
}

fn drive_alike(variant: Variant, data: &[u8]) {
    let record = drive(variant, data);
    if super::steps::is_checked_twice(data) {
        assert_eq!(record, drive(variant, data), "the same events, the same actions");
    }
}

fn drive(variant: Variant, data: &[u8]) -> Record {
    let mut bench = worker(variant);
    let mut relay = RelaysPart::default();
    let mut input = Input(data);
    while let Some(what) = input.byte() {
        for action in std::mem::take(&mut bench.fresh) {
            relay.saw(&action);
        }
        if bench.is_over() {
            reach("it ended");
            break;
        }
        if passes_time(&mut bench, what, &mut input) {
            continue;
        }
        if what == 31 && input.byte().is_some_and(|byte| byte < 64) {
            let command = input.choose(&[
                WorkerCommand::Shutdown,
                WorkerCommand::ShutdownNow,
                WorkerCommand::Drain { hand_over: false },
                WorkerCommand::HandOver,
            ]);
            bench.command(command);
            continue;
        }
        let Some((op, open)) = super::steps::pick(&bench, what, &mut input) else {
            bench.pass_to_deadline();
            continue;
        };
        let event = relay.answer(variant, op, &open, &mut input);
        bench.handle(event);
    }
    bench.record
}

/// The relay as the worker sees it: it counts each session's lines as a correct one would.
#[derive(Default)]
pub(super) struct RelaysPart {
    /// By link: where it leads, and whether its `resume` was sent.
    links: BTreeMap<OpId, (String, bool)>,
    /// By where links lead: lines that the worker has sent.
    taken: BTreeMap<String, u64>,
    /// Work that was handed out.
    given: u8,
}

impl RelaysPart {
    pub(super) const fn has_given(&self) -> bool {
        self.given > 0
    }

    pub(super) fn saw(&mut self, action: &Action) {
        match action {
            Action::Open { op, target: Target::WebSocket { url, .. } } => {
                self.links.insert(*op, (url.clone(), false));
            }
            Action::Send { op, message } => {
                let Some((url, _)) = self.links.get(op) else { return };
                let lines = match message {
                    Message::Text(text) => text.clone().lines().count() as u64,
                    Message::Binary(word) => {
                        match ControlFrame::parse(word).expect("a word of the core") {
                            ControlFrame::Report { .. } => 1,
                            _ => 0,
                        }
                    }
                };
                *self.taken.entry(url.clone()).or_default() += lines;
                if lines > 0 {
                    reach("lines left on a link");
                }
            }
            Action::Spawn { .. } => reach("an agent was started"),
            Action::Write { .. } => reach("an agent was written to"),
            Action::Save { path, .. } if path.contains("results") => reach("a result was kept"),
            Action::Save { .. } => reach("an MCP configuration was written"),
            Action::Load { path, .. } if path == "/token" => reach("the token was read again"),
            Action::Run { command, .. } if command.args.iter().any(|arg| arg == "add") => {
                reach("a worktree was made");
            }
            Action::Run { command, .. } if command.args.iter().any(|arg| arg == "remove") => {
                reach("a worktree was removed");
            }
            Action::Request { request, .. } if request.url.ends_with("/redispatch") => {
                reach("a new dispatch was asked for");
            }
            _ => {}
        }
    }

    pub(super) fn answer(
        &mut self,
        variant: Variant,
        op: OpId,
        open: &Open,
        input: &mut Input<'_>,
    ) -> Event {
        match (&open.action, &open.state) {
            (Action::Request { request, .. }, _) => {
                if !goes_well(input) {
                    return match input.byte().unwrap_or(0) % 3 {
                        0 => answers::failed(op, input),
                        _ => Event::Response { op, response: answers::bad_response(input) },
                    };
                }
                let body = self.body(&request.url, request.method, input);
                let status = if body.is_empty() { 204 } else { 200 };
                Event::Response { op, response: answers::json(status, &body) }
            }
            (_, Operation::Stream(stream)) if !stream.is_open => match goes_well(input) {
                true => Event::Opened { op },
                false if input.byte().is_some_and(|byte| byte < 128) => {
                    Event::Refused { op, response: answers::bad_response(input) }
                }
                false => answers::failed(op, input),
            },
            (_, Operation::Stream(stream)) => {
                answers::stream(op, stream, input, |input| self.message(op, input))
            }
            (_, Operation::Process(process)) => {
                answers::process(op, process, input, answers::lines)
            }
            (action, _) => answers::local(op, action, input, |input| words(variant, action, input)),
        }
    }

    /// How a correct relay responds.
    fn body(&mut self, url: &str, method: Method, input: &mut Input<'_>) -> String {
        match url.rsplit('/').next() {
            Some("bridge") => {
                r#"{"environment_id":"env_1","environment_secret":"env_1.s"}"#.to_owned()
            }
            Some("poll") if goes_well(input) => self.work(input),
            Some("poll") => String::new(),
            Some("heartbeat") => {
                let state = input.choose(&["running", "running", "running", "stopping"]);
                let extended = input.byte() != Some(1);
                let seconds = input.choose(&[60, 60, 0, u64::MAX]);
                format!(
                    r#"{{"lease_extended":{extended},"state":"{state}","lease_seconds":{seconds}}}"#
                )
            }
            _ if method == Method::Get => r#"{"status":"ok"}"#.to_owned(),
            _ => r#"{"state":"stopped"}"#.to_owned(),
        }
    }

    /// A work item: mostly a new one, for one of a few sessions.
    fn work(&mut self, input: &mut Input<'_>) -> String {
        const SECRETS: [&str; 7] = [
            "",
            "",
            r#","mcp_config":{"mcpServers":{}}"#,
            r#","sources":[{"type":"git_repository","git_info":{"type":"github","repo":"a/b","ref":"main"}}]"#,
            r#","claude_code_args":{"model":"m","--x":"y"},"environment_variables":{"A":"b"}"#,
            r#","use_code_sessions":true"#,
            r#","api_base_url":"http://127.0.0.1:9","auth":[{"type":"a","token":"t"}]"#,
        ];
        if input.byte().is_none_or(|byte| byte >= 40) {
            self.given = self.given.wrapping_add(1);
        }
        let work = self.given;
        let session = input.byte().unwrap_or(0) % 4;
        let (kind, of) = match input.byte().unwrap_or(255) {
            0..=12 => ("healthcheck", format!("work_{work}")),
            13..=16 => ("later", String::from("x")),
            _ => ("session", format!("session_{session}")),
        };
        let more = match input.byte().unwrap_or(255) {
            0..=12 => format!(",{}", String::from_utf8_lossy(input.some())),
            _ => input.choose(&SECRETS).to_owned(),
        };
        let token = input.choose(&["t", "t", "sk-ant-si-x", "a\\r\\nb"]);
        let secret = format!(
            r#"{{"version":1,"session_ingress_token":"{token}","api_base_url":null{more}}}"#
        )
        .replace(r#""api_base_url":null,"api_base_url""#, r#""api_base_url""#);
        let secret = URL_SAFE_NO_PAD.encode(secret);
        let fence = input.choose(&[1, 2, u64::MAX]);
        format!(
            r#"{{"id":"work_{work}","type":"work","environment_id":"env_1","data":{{"type":"{kind}","id":"{of}"}},"secret":"{secret}","fence":{fence},"lease_seconds":60}}"#
        )
    }

    fn message(&mut self, op: OpId, input: &mut Input<'_>) -> Message {
        const WORDS: [&str; 8] = [
            r#"{"type":"resume","received":0,"from":0,"window":18446744073709551615}"#,
            r#"{"type":"resume","received":18446744073709551615,"from":18446744073709551615}"#,
            r#"{"type":"resume","received":0,"from":18446744073709551614}"#,
            r#"{"type":"ack","received":18446744073709551615}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"pong"}"#,
            r#"{"type":"stop"}"#,
            r#"{"type":"report","message":{"type":"footbridge","subtype":"agent_exited"}}"#,
        ];
        let word = |word: &ControlFrame| Message::Binary(word.to_bytes());
        if let Some((url, is_resumed)) = self.links.get_mut(&op)
            && goes_well(input)
        {
            let received = self.taken.get(url).copied().unwrap_or(0);
            if !std::mem::replace(is_resumed, true) {
                reach("a session's link came up");
                return word(&ControlFrame::Resume { received, from: 0, window: None });
            }
            return match input.byte().unwrap_or(0) % 4 {
                0 => word(&ControlFrame::Ack { received }),
                1 => word(&ControlFrame::Ping),
                _ => answers::text(input),
            };
        }
        match input.byte().unwrap_or(0) % 3 {
            0 => Message::Binary(Bytes::copy_from_slice(input.some())),
            1 => answers::text(input),
            _ => Message::Binary(Bytes::from_static(input.choose(&WORDS).as_bytes())),
        }
    }
}

/// What git prints, and what is in files.
fn words(variant: Variant, action: &Action, input: &mut Input<'_>) -> Bytes {
    if !goes_well(input) {
        return Bytes::copy_from_slice(input.some());
    }
    let text = match action {
        Action::Load { path, .. } if path == "/token" => {
            let tokens = ["another-token\n", TOKEN, "", "two\nlines", "x y"];
            return Bytes::from_static(input.choose(&tokens).as_bytes());
        }
        Action::Load { path, .. } => {
            let work = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
            format!(
                r#"{{"relay":"https://relay.example","environment_id":"env_1","environment_secret":"s","work_id":"{work}","stop":{{"fence":1,"force":true}}}}"#
            )
        }
        Action::Run { command, .. } if variant == Variant::Worktrees => {
            let is = |word: &str| command.args.iter().any(|arg| arg == word);
            match () {
                () if is("list") => String::from(
                    "worktree /p\nHEAD 1\n\nworktree /state/worktrees/session_2\nHEAD 1\nlocked footbridge 77\n\nworktree /state/worktrees/session_3\nHEAD 1\n",
                ),
                () if is("--show-scope") => {
                    let names = ["", "", "", "local\0filter.x.clean\ny\0"];
                    format!("{}command\0core.hookspath\n/dev/null\0", input.choose(&names))
                }
                () if is("--stage") => {
                    let part = "H 160000 c1 0\tpart\0";
                    input.choose(&["", "", part, "S 100644 c1 0\ta\0", "?"]).to_owned()
                }
                () if is("ls-files") => {
                    input.choose(&["", "", "target/a\0", ".env\0", "part/\0"]).to_owned()
                }
                () if is("for-each-ref") => String::from("refs/heads/footbridge/session_5\n"),
                () if is("--absolute-git-dir") => input
                    .choose(&["/p/.git/worktrees/x", "/p/.git/worktrees/x/modules/part"])
                    .to_owned(),
                () if is("status") || is("rev-list") => {
                    input.choose(&["", "", "", " M file"]).to_owned()
                }
                () => input.choose(&["0123abcd", "main", "sub/", ""]).to_owned(),
            }
        }
        _ => String::from("main\n"),
    };
    Bytes::from(text)
}
