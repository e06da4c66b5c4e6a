//! `footbridge work`: a worker for a relay.

use footbridge_cli::args::{RelayArgs, Work};
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::observers::Observers;
use footbridge_cli::ready::Ready;
use footbridge_cli::service_manager::ServiceManager;
use footbridge_cli::value::Level;
use footbridge_cli::{left_session, place, worker};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{
    Check, LeftSession, PointerSearch, PointerSearchConfig, Worker, WorkerCommand, WorkerConfig,
    WorkerNotice,
};
use footbridge_smol::{Host, HostOptions, ProxySource, Supervision, block_on, drive};
use smol::future::FutureExt;

use super::peers::Presence;
use super::signals::{Ends, Urgency};
use super::watchdog;

pub(super) fn run(relay: &BaseUrl, reach: &RelayArgs, mut work: Work) -> Result<(), Error> {
    let log = EventLog::of_service("worker", reach.reports.level, reach.reports.format);
    log.unknown_variables(&reach.reports.unknown_variables);
    let found = look_for_left_session(left_session::search(relay, reach, &work)?)?;
    left_session::settle(log, relay, &mut work, found)?;
    let (config, _lock) = worker::remote(relay, reach, &work)?;
    log.write(Level::Info, "starting", &[], format_args!("{} at {relay}", config.directory));
    worker::warn_of_access_token(log, &config);
    worker::end_strays(log);
    let _presence = place::settle(log, &config, work.name.is_some());
    let host = host(relay, reach)?;
    let observers = Observers::new(log, ServiceManager::from_environment());
    observers.serve(work.health)?;
    let (commands, asked) = async_channel::unbounded();
    let ends = Ends::listen_with_drain()?;
    let mut ready = reach.reports.json.then_some(());
    let mut printed = Ok(());
    let trial = trial(&config, self::host(relay, reach)?, log);
    let (presence, place) = (Presence::new(), config.directory.clone());
    let driven = drive(Worker::new(config), host, asked, |notice| {
        observers.note(&notice);
        presence.note(&notice, &place);
        if let WorkerNotice::Registered { environment, .. } = &notice
            && ready.take().is_some()
        {
            let url = relay.to_string();
            let environment_id = Some(environment.as_str());
            printed = Ready { url: &url, environment_id, ..Ready::default() }.print();
            if printed.is_err() {
                let _ = commands.try_send(WorkerCommand::Shutdown);
            }
        }
    });
    let ended = ends.forward(|urgency| {
        // A worker that has already ended takes no commands.
        let _ = commands.try_send(command(urgency, work.hand_over));
    });
    block_on(driven.or(ended).or(trial).or(watchdog::keep(observers.manager())))?;
    printed
}

fn look_for_left_session(search: PointerSearchConfig) -> Result<Vec<LeftSession>, Error> {
    let host = Host::new(HostOptions { proxy: ProxySource::None, ..HostOptions::default() })?;
    let (_commands, asked) = async_channel::bounded(1);
    let mut found = Vec::new();
    block_on(drive(PointerSearch::new(search), host, asked, |left| found.push(left)))?;
    Ok(found)
}

/// Tries the agent and WebSockets beside a worker, says what is wrong, and never ends.
pub(super) fn trial<T>(
    config: &WorkerConfig,
    host: Host,
    log: EventLog,
) -> impl Future<Output = T> + use<T> {
    let check = Check::beside(config);
    let (_commands, asked) = async_channel::bounded(1);
    async move {
        // It ends well, whatever it has found.
        let _ = drive(check, host, asked, |tried| worker::log_trial(log, &tried)).await;
        std::future::pending().await
    }
}

/// What a worker for this relay runs on.
pub(super) fn host(relay: &BaseUrl, reach: &RelayArgs) -> Result<Host, Error> {
    // No proxy leads back to this machine.
    let proxy = if relay.is_localhost() { ProxySource::None } else { ProxySource::Environment };
    let extra_ca = reach.ca_file.clone();
    let supervision = Supervision::Whole;
    Ok(Host::new(HostOptions { extra_ca, proxy, supervision, ..HostOptions::default() })?)
}

/// What a signal asks of a worker.
pub(super) const fn command(urgency: Urgency, hand_over: bool) -> WorkerCommand {
    match urgency {
        Urgency::Drain => WorkerCommand::Drain { hand_over },
        Urgency::Clean if hand_over => WorkerCommand::HandOver,
        Urgency::Clean => WorkerCommand::Shutdown,
        Urgency::ShutdownNow => WorkerCommand::ShutdownNow,
    }
}
