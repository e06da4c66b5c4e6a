//! Which session: a new one, or one of those that there are.

use std::io::Write as _;

use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::seed;
use footbridge_cli::value::Level;
use footbridge_core::base::id::{EnvironmentId, SessionId};
use footbridge_core::base::text::without_hidden;
use footbridge_core::engine::backoff::{BackoffConfig, Track};
use footbridge_core::remote::{Lobby, LobbyAnswer, LobbyCall, LobbyConfig};
use footbridge_core::wire::session::SessionState;
use footbridge_core::wire::viewer::{CreateSession, EnvironmentView, SessionView};
use footbridge_smol::{block_on, drive};

use super::{Place, is_terminal};
use crate::program::args::attach::Wanted;
use crate::program::work;

/// How long somebody at a terminal waits for an answer that may still come.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// One call, and its answer.
pub(in crate::program) fn call(
    place: &Place,
    log: EventLog,
    call: LobbyCall,
) -> Result<LobbyAnswer, Error> {
    let retrying = |reason: &str| {
        log.write(Level::Warn, "retrying", &[], format_args!("{reason}; trying again"));
    };
    block_on(asked(place, call, retrying))
}

/// The same, beside other things.
pub(in crate::program) async fn asked(
    place: &Place,
    call: LobbyCall,
    retrying: impl Fn(&str),
) -> Result<LobbyAnswer, Error> {
    let mut backoff = BackoffConfig::default();
    let pause = Track { give_up: Some(PATIENCE), ..backoff.general };
    (backoff.connection, backoff.general) = (pause, pause);
    let config = LobbyConfig {
        relay: place.relay.clone(),
        credential: place.credential.clone(),
        call,
        backoff,
        seed: seed()?,
    };
    let host = work::host(&place.relay, &place.reach)?;
    let (_commands, asked) = async_channel::bounded(1);
    let mut answered = None;
    let driven = drive(Lobby::new(config), host, asked, |answer| match answer {
        LobbyAnswer::Retrying { reason } => retrying(&reason),
        answer => answered = Some(answer),
    });
    driven.await?;
    answered.ok_or_else(|| Error::local("the relay did not answer"))
}

/// The session that is wanted, if none was named.
pub(super) fn session(
    place: &Place,
    log: EventLog,
    wanted: &Wanted,
    is_json: bool,
) -> Result<SessionId, Error> {
    if wanted.is_new {
        let environment_id = match &wanted.environment {
            Some(environment) => environment.clone(),
            None => environment(place, log)?,
        };
        let title = wanted.title.clone();
        return created(place, log, CreateSession::new(environment_id, title));
    }
    let LobbyAnswer::Sessions(sessions) = call(place, log, LobbyCall::Sessions)? else {
        return Err(Error::local("the relay did not list its sessions"));
    };
    let sessions: Vec<_> =
        sessions.into_iter().filter(|one| one.state != SessionState::Ended).collect();
    if sessions.is_empty() {
        return Err(Error::usage(
            "no session runs there: make one with footbridge attach --new, or name one that has ended",
        ));
    }
    if is_json || !is_terminal() {
        let ids: Vec<_> = sessions.iter().map(line).collect();
        return Err(Error::usage(format!("name a session, or give --new:{}", ids.join(","))));
    }
    pick(&sessions)
}

/// Makes a session.
pub(super) fn created(
    place: &Place,
    log: EventLog,
    body: CreateSession,
) -> Result<SessionId, Error> {
    match call(place, log, LobbyCall::Create(body))? {
        LobbyAnswer::Session(session) => Ok(session.id.into_owned()),
        _ => Err(Error::local("the relay did not say which session it has made")),
    }
}

/// The only environment that is online and takes sessions, or the only one of those that has room.
pub(super) fn environment(place: &Place, log: EventLog) -> Result<EnvironmentId, Error> {
    let LobbyAnswer::Environments(all) = call(place, log, LobbyCall::Environments)? else {
        return Err(Error::local("the relay did not list its environments"));
    };
    let is_there = |one: &&EnvironmentView<'_>| one.online && one.takes_sessions();
    let online: Vec<_> = all.iter().filter(is_there).collect();
    let has_room = |one: &&EnvironmentView<'_>| {
        !one.draining
            && u32::try_from(one.active_sessions).is_ok_and(|active| active < one.max_sessions)
    };
    let with_room: Vec<_> = online.iter().copied().filter(has_room).collect();
    match (&online[..], &with_room[..]) {
        ([one], _) | (_, [one]) => Ok(one.id.clone().into_owned()),
        ([], _) => Err(Error::usage("no machine is online there: start footbridge work on one")),
        _ => {
            let names: Vec<_> = online.iter().map(|one| described(one)).collect();
            let names = names.join(",");
            Err(Error::usage(format!("several are online, name one with --environment:{names}")))
        }
    }
}

fn described(environment: &EnvironmentView<'_>) -> String {
    let EnvironmentView { id, machine_name, directory, draining, .. } = environment;
    let state = if *draining { "  (takes no more sessions)" } else { "" };
    without_hidden(&format!("  {id}  {machine_name}:{directory}{state}"))
}

fn line(session: &SessionView<'_>) -> String {
    let title = session.title.as_deref().unwrap_or("(no title)");
    let state = match (session.state, session.pending_permissions.is_empty(), session.working) {
        _ if session.worker_draining => "waits: its machine takes no more sessions",
        (SessionState::Queued | SessionState::Starting, ..) => "starting",
        (_, false, _) => "waits for you",
        (_, _, true) => "working",
        _ => "your turn",
    };
    without_hidden(&format!("  {}  {state}  {title}", session.id))
}

fn pick(sessions: &[SessionView<'_>]) -> Result<SessionId, Error> {
    let mut stdout = std::io::stdout().lock();
    for (at, session) in sessions.iter().enumerate() {
        let _ = writeln!(stdout, "{:3}{}", at + 1, line(session));
    }
    loop {
        let _ = write!(stdout, "Which one? ").and_then(|()| stdout.flush());
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        if !read.is_ok_and(|bytes| bytes > 0) {
            return Err(Error::usage("no session was chosen"));
        }
        let number = answer.trim().parse::<usize>().ok();
        let chosen = number.and_then(|number| sessions.get(number.checked_sub(1)?));
        if let Some(session) = chosen {
            return Ok(session.id.clone().into_owned());
        }
    }
}
