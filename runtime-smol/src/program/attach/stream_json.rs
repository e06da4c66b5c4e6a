//! `footbridge attach --stream-json`: stands in for an agent's program, so that an SDK drives a session
//! somewhere else.

use std::cell::Cell;
use std::ffi::OsString;
use std::num::NonZeroU8;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::{Error, ExitKind};
use footbridge_cli::value::Level;
use footbridge_cli::{print, random_hex};
use footbridge_core::base::id::{EnvironmentId, SessionId};
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::contract::event::ExitStatus;
use footbridge_core::engine::backoff::{BackoffConfig, Track};
use footbridge_core::remote::{
    RemoteConfig, RemoteNotice, StandIn, StandInCommand, StandInConfig, Start,
};
use footbridge_core::wire::viewer::CreateSession;
use footbridge_smol::{block_on, drive};
use serde_json::{Value, json};
use smol::future::FutureExt;

use super::agent_line::AgentLine;
use super::{Place, choose, config, log_connection, made};
use crate::program::args::attach::Wanted;
use crate::program::signals::Ends;
use crate::program::work;

/// What an SDK is told that its agent is: one that can do what this passes on.
const VERSION: &str = concat!("2.1.330 (footbridge ", env!("CARGO_PKG_VERSION"), ")\n");

/// Options that a session which is there already can still be given, and how it is asked for them.
const LATER: [(&str, &str, &str); 2] =
    [("model", "set_model", "model"), ("permission-mode", "set_permission_mode", "mode")];

pub(super) fn asks_version(args: &[OsString]) -> Result<bool, Error> {
    Ok(AgentLine::read(args)?.asks_version)
}

pub(super) fn print_version() -> Result<(), Error> {
    print(VERSION)
}

pub(super) fn run(
    place: &Place,
    wanted: &Wanted,
    args: &[OsString],
    log: EventLog,
) -> Result<(), Error> {
    let line = AgentLine::read(args)?;
    let resumed = line.resume.as_deref().filter(|id| id.starts_with("session_"));
    let named = match (&wanted.session, resumed) {
        (Some(session), _) => Some(session.clone()),
        (None, Some(id)) => {
            Some(SessionId::new(id).map_err(|error| Error::usage(format!("--resume: {error}")))?)
        }
        (None, None) => None,
    };
    let Servers { own: servers, others } = Servers::read(&line.mcp_configs)?;
    if others.is_some() && named.is_some() {
        not_passed(log, "mcp-config", "the session is there already");
    }
    for made::Made { session, relay } in made::left() {
        let words = format_args!(
            "{session} was made for a program whose footbridge was killed, and may still run: footbridge attach {session} --relay {relay} shows it, and :stop ends it there"
        );
        log.write(Level::Warn, "left_session", &[], words);
    }
    let is_own = named.is_none();
    let (session, opening) = match named {
        Some(session) => (session, opening(&line, log)),
        None => (created(place, wanted, &line, others.as_ref(), log)?, Vec::new()),
    };
    let _note = is_own.then(|| made::note(&session, &place.relay));
    let mut remote = config(place, session, wanted)?;
    // Who answers for hooks and MCP servers, known to nobody else.
    (remote.client, remote.backoff) = (Some(random_hex::<24>()?), backoff(&remote));
    remote.start = if is_own { Start::Beginning } else { Start::Now };
    let stand_in = StandInConfig {
        remote,
        is_own,
        shows_replays: line.shows_replays,
        shows_partials: line.shows_partials,
        servers,
        opening,
    };
    let host = work::host(&place.relay, &place.reach)?;
    let (commands, asked) = async_channel::unbounded();
    let failed = Cell::new(None);
    let ends = Ends::listen()?;
    let driven = drive(StandIn::new(stand_in), host, asked, |notice| {
        log_connection(log, &notice);
        match notice {
            RemoteNotice::Gap { after, resumes_after } => {
                let words = format_args!(
                    "events {} to {resumes_after} are not kept any more and were not passed on: read faster",
                    after + 1
                );
                log.write(Level::Error, "gap", &[], words);
            }
            RemoteNotice::AgentStderr { text } => log.pass_on("agent_stderr", &text),
            RemoteNotice::AgentFailed { status } => failed.set(code_of(status)),
            _ => {}
        }
    });
    let ended = ends.forward(|_| {
        // One that has ended already takes no commands.
        let _ = commands.try_send(StandInCommand::Shutdown);
    });
    block_on(driven.or(ended)).map_err(|error| {
        let Error { why, message } = Error::from(error);
        Error { why: failed.get().map_or(why, ExitKind::Agent), message }
    })
}

/// What a program ends with that stands in for an agent which has ended so: after a signal, as a shell
/// says it.
fn code_of(status: ExitStatus) -> Option<NonZeroU8> {
    let code = match status {
        ExitStatus::Code(code) => u8::try_from(code),
        ExitStatus::Signal(signal) => u8::try_from(signal.saturating_add(128)),
    };
    code.ok().and_then(NonZeroU8::new)
}

/// A program waits for its agent, but not for ever.
fn backoff(remote: &RemoteConfig) -> BackoffConfig {
    let give_up = BackoffConfig::default().connection.give_up;
    let within = |track: Track| Track { give_up, ..track };
    BackoffConfig {
        connection: within(remote.backoff.connection),
        general: within(remote.backoff.general),
    }
}

/// The MCP servers of a command line.
#[derive(Debug, Default)]
struct Servers {
    /// The names of those that are in the program itself.
    own: Vec<String>,
    /// All others, as the agent's configuration has them.
    others: Option<Value>,
}

impl Servers {
    /// From configurations that are JSON, or the names of files.
    fn read(configs: &[String]) -> Result<Self, Error> {
        let mut servers = Self::default();
        for config in configs {
            let json = match config.trim_start().starts_with('{') {
                true => config.clone(),
                false => std::fs::read_to_string(config)
                    .map_err(|error| Error::usage(format!("--mcp-config {config}: {error}")))?,
            };
            let config: Value = serde_json::from_str(&json)
                .map_err(|error| Error::usage(format!("--mcp-config: {error}")))?;
            for (name, server) in config["mcpServers"].as_object().into_iter().flatten() {
                if server["type"] == "sdk" {
                    servers.own.push(name.clone());
                } else {
                    let others = servers.others.get_or_insert_with(|| json!({"mcpServers": {}}));
                    others["mcpServers"][name] = server.clone();
                }
            }
        }
        Ok(servers)
    }
}

/// What a session that is there already is asked for first. What it cannot be given is named.
fn opening(line: &AgentLine, log: EventLog) -> Vec<Text> {
    let mut opening = Vec::new();
    for (name, value) in &line.flags {
        let later = LATER.iter().find(|(option, ..)| option == name);
        match later {
            Some((_, subtype, field)) => {
                let request = json!({"subtype": subtype, *field: value});
                let line = json!({"type": "control_request", "request": request});
                opening.push(Text::from(line.to_string()));
            }
            // SDKs give this to every agent.
            None if name == "system-prompt" && value.is_empty() => {}
            None if matches!(&**name, "setting-sources" | "replay-user-messages") => {}
            None => not_passed(log, name, "the session is there already"),
        }
    }
    opening
}

fn not_passed(log: EventLog, name: &str, why: &str) {
    let words = format_args!("--{name} is not passed on: {why}");
    log.write(Level::Warn, "option_refused", &[], words);
}

/// Makes a session for the program.
fn created(
    place: &Place,
    wanted: &Wanted,
    line: &AgentLine,
    others: Option<&Value>,
    log: EventLog,
) -> Result<SessionId, Error> {
    let environment_id: EnvironmentId = match &wanted.environment {
        Some(environment) => environment.clone(),
        None => choose::environment(place, log)?,
    };
    let mut create = CreateSession::new(environment_id, wanted.title.clone());
    for (name, value) in &line.flags {
        if name == "setting-sources" && value.is_empty() {
            // SDKs ask for it without being asked; its owner's settings guard that machine.
            not_passed(log, name, "the agent keeps to the settings of its machine");
            continue;
        }
        create.claude_code_args.insert(name.clone(), value.clone());
    }
    if let Some(id) = &line.resume {
        create.claude_code_args.insert("resume".to_owned(), id.clone());
    }
    create.mcp_config = others.map(|others| Secret::new(others.to_string()));
    choose::created(place, log, create)
}
