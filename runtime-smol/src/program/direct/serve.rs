//! `footbridge direct serve`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use footbridge_cli::agent_line::{agent_program, require_program};
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::token::Sources;
use footbridge_cli::value::{Format, Level, SpawnMode};
use footbridge_cli::{print, random_hex, worker};
use footbridge_core::base::id::SessionId;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::direct::{Serve, ServeCommand, ServeConfig, ServeNotice};
use footbridge_core::peer::registry::Entry;
use footbridge_core::worker::AgentProgram;
use footbridge_smol::{Host, HostOptions, ProxySource, Supervision, block_on, drive};
use serde_json::json;
use smol::future::FutureExt;

use super::token_path;
use crate::program::args::direct::Serve as Args;
use crate::program::peers::{self, Presence};
use crate::program::presented::reached_from_elsewhere;
use crate::program::ready::local_url;
use crate::program::signals::{Ends, Urgency};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(30);

pub(super) fn run(args: &Args) -> Result<(), Error> {
    let log = EventLog::new("footbridge direct serve", args.common.level, Format::Text);
    let session = format!("session_{}", random_hex::<16>()?);
    let directory = footbridge_cli::directory(args.directory.as_deref().unwrap_or(Path::new(".")))?;
    let agent = agent_program(args.agent.as_deref())?;
    require_program(&agent, &directory, SpawnMode::SameDir)?;
    let (token, file, _removed) = token(args, &session)?;
    let peers = socket();
    let presence = Presence::new();
    let config = ServeConfig {
        listen: args.listen.to_string(),
        hosts: args.hosts.clone(),
        token,
        session: SessionId::new(&session).map_err(|error| Error::local(error.to_string()))?,
        run: random_hex::<16>()?,
        peers: peers.clone(),
        agent: command(agent, directory.clone(), &session),
        grace: GRACE,
    };
    let supervision = Supervision::Whole;
    let proxy = ProxySource::None;
    let host = Host::new(HostOptions { proxy, supervision, ..HostOptions::default() })?;
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen()?;
    let mut printed = Ok(());
    let driven = drive(Serve::new(config), host, asked, |notice| match notice {
        ServeNotice::Listening { address } => {
            printed = print(&ready(args, &address, &session, &file));
        }
        other => {
            report(log, &other);
            note(&presence, &other, &session, &directory, peers.as_deref());
        }
    });
    let ended = ends.forward(|urgency| {
        // One that has already ended takes no commands.
        let _ = commands.try_send(match urgency {
            Urgency::Clean | Urgency::Drain => ServeCommand::Shutdown,
            Urgency::ShutdownNow => ServeCommand::ShutdownNow,
        });
    });
    block_on(driven.or(ended))?;
    printed
}

/// Where other sessions leave messages, if the system allows such a path.
fn socket() -> Option<String> {
    let path = peers::directory().ok()?.join(format!("{}.sock", std::process::id()));
    // More than that, no system takes.
    path.into_os_string().into_string().ok().filter(|path| path.len() < 104)
}

/// What others see of this session.
fn note(
    presence: &Presence,
    notice: &ServeNotice,
    session: &str,
    directory: &str,
    socket: Option<&str>,
) {
    let Ok(session) = SessionId::new(session) else { return };
    presence.change(|entries| match notice {
        ServeNotice::AgentStarted { .. } if entries.is_empty() => {
            entries.push(entry(session, directory));
        }
        ServeNotice::Waiting { questions } => {
            for entry in entries {
                let is_waiting = *questions > 0;
                entry.status = if is_waiting { "waiting" } else { "running" }.to_owned();
                entry.waiting_for = is_waiting.then(|| "permission".to_owned());
            }
        }
        ServeNotice::Peers { failure: None } => {
            if entries.is_empty() {
                entries.push(entry(session, directory));
            }
            for entry in entries {
                entry.socket = socket.map(str::to_owned);
                entry.can_send = true;
            }
        }
        _ => {}
    });
}

fn entry(session_id: SessionId, directory: &str) -> Entry {
    Entry {
        session_id,
        bridge_session_id: None,
        socket: None,
        can_send: false,
        name: peers::name_of(directory),
        status: "running".to_owned(),
        waiting_for: None,
        worker_draining: false,
        directory: directory.to_owned(),
    }
}

fn report(log: EventLog, notice: &ServeNotice) {
    match notice {
        ServeNotice::Listening { .. } => {}
        ServeNotice::AgentStarted { pid } => {
            let words = format_args!("the agent is process {pid}");
            log.write(Level::Info, "agent_started", &[], words);
        }
        ServeNotice::Clients { connected } => {
            log.write(Level::Debug, "clients", &[], format_args!("{connected} connected"));
        }
        ServeNotice::Cut => {
            let words = format_args!("cut a client that was silent, too slow, or no client");
            log.write(Level::Warn, "cut", &[], words);
        }
        ServeNotice::Waiting { questions } => {
            log.write(Level::Debug, "waiting", &[], format_args!("{questions} questions are open"));
        }
        ServeNotice::Peers { failure: None } => {}
        ServeNotice::Peers { failure: Some(reason) } => {
            let words = format_args!("other sessions cannot leave messages here: {reason}");
            log.write(Level::Warn, "no_peers", &[], words);
        }
        ServeNotice::Survived { processes } => {
            let words = format_args!("could not end {}", processes.join(", "));
            log.write(Level::Warn, "survived", &[], words);
        }
    }
}

/// The token's file, which goes with the server if it was made for it. Meanwhile it is locked, so that
/// others can tell it from one that a killed server has left.
struct Removed(Option<(PathBuf, Option<File>)>);

impl Removed {
    fn new(path: PathBuf) -> Self {
        let locked = File::open(&path).ok().filter(|file| file.try_lock().is_ok());
        Self(Some((path, locked)))
    }
}

impl Drop for Removed {
    fn drop(&mut self) {
        // What is left opens nothing any more.
        let _ = self.0.as_ref().map(|(path, _)| std::fs::remove_file(path));
    }
}

/// Nobody has a lock on a token that was only just made.
const JUST_MADE: Duration = Duration::from_secs(60);

/// Removes the tokens of servers that were killed: they open nothing any more.
fn sweep(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let tokens = entries.flatten().map(|entry| entry.path());
    for path in tokens.filter(|path| path.extension().is_some_and(|it| it == "token")) {
        let age = std::fs::symlink_metadata(&path).and_then(|found| found.modified());
        let age = age.ok().and_then(|modified| modified.elapsed().ok());
        let is_settled = age.is_some_and(|age| age > JUST_MADE);
        if is_settled && File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            // The next one tries again.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn token(args: &Args, session: &str) -> Result<(Secret, PathBuf, Removed), Error> {
    let path = match &args.common.token_file {
        Some(path) => path.clone(),
        None => token_path(session)?,
    };
    let sources = Sources { file: Some(path.clone()), ..Sources::default() };
    let token = sources.read_or_create()?.0;
    let removed = match &args.common.token_file {
        Some(_) => Removed(None),
        None => {
            path.parent().into_iter().for_each(sweep);
            Removed::new(path.clone())
        }
    };
    Ok((token, path, removed))
}

fn command(agent: AgentProgram, directory: String, session: &str) -> ProcessSpec {
    let AgentProgram { program, args, env } = agent;
    let mut env: Vec<(String, Secret)> =
        env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    env.push(("FOOTBRIDGE_SESSION_ID".to_owned(), Secret::from(session)));
    let env_remove = worker::withheld();
    ProcessSpec { program, args, env, env_remove, directory: Some(directory) }
}

fn ready(args: &Args, address: &str, session: &str, token_file: &Path) -> String {
    let place =
        |url: &str| format!("ws://{}/v1/direct/{session}", url.trim_start_matches("http://"));
    let server_url = local_url(address, false);
    let url = place(&server_url);
    if args.common.json {
        let ready = json!({
            "url": url,
            "server_url": server_url,
            "session_id": session,
            "token_file": token_file,
        });
        return format!("{ready}\n");
    }
    let named = match &args.common.token_file {
        Some(file) => format!(" --token-file {}", file.display()),
        None => String::new(),
    };
    let here = format!("Connect with\n\n    footbridge direct connect{named} {url}\n\n");
    let elsewhere = reached_from_elsewhere(address, false);
    elsewhere.first().map_or(here.clone(), |first| {
        let file = token_file.display();
        format!(
            "{here}and from another machine, which needs the token in {file}, with\n\n    footbridge direct connect --without-tls --token-file FILE {}\n\n",
            place(first)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_token_that_a_killed_server_has_left_goes_and_those_of_others_stay() {
        let home = tempfile::tempdir().expect("a directory");
        let make = |name: &str, seconds: u64| {
            let path = home.path().join(name);
            let file = File::create(&path).expect("a file");
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("set");
            path
        };
        let (left, fresh) = (make("a.token", 100), make("b.token", 1));
        let (other, used) = (make("c.txt", 100), make("d.token", 100));
        let held = Removed::new(used.clone());
        sweep(home.path());
        let are_there = [&left, &fresh, &other, &used].map(|path| path.exists());
        assert_eq!(are_there, [false, true, true, true]);
        drop(held);
        assert!(!used.exists());
    }

    #[test]
    fn the_address_that_is_shown_is_one_that_can_be_connected_to() {
        let args = |listen: &str| Args {
            agent: None,
            directory: None,
            listen: listen.parse().expect("an address"),
            hosts: Vec::new(),
            common: Default::default(),
        };
        let shown = ready(&args("127.0.0.1:0"), "127.0.0.1:7", "session_1", Path::new("/t"));
        assert!(shown.contains("connect ws://127.0.0.1:7/v1/direct/session_1\n"), "{shown}");
        assert!(!shown.contains("another machine"), "{shown}");
        let shown = ready(&args("192.0.2.7:0"), "192.0.2.7:7", "session_1", Path::new("/t"));
        assert!(shown.contains("--without-tls --token-file FILE ws://192.0.2.7:7/v1"), "{shown}");
        let shown = ready(&args("0.0.0.0:0"), "0.0.0.0:7", "session_1", Path::new("/t"));
        assert!(shown.contains("ws://127.0.0.1:7/") && !shown.contains("0.0.0.0"), "{shown}");
    }
}
