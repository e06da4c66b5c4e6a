//! The worker itself.

use std::thread::Builder;

use footbridge_blocking::{Driver, Host, HostOptions, ProxySource, Supervision};
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

use super::signals;

/// Enough for a machine's loop.
const STACK_BYTES: usize = 256 << 10;

pub(super) fn run(relay: &BaseUrl, reach: &RelayArgs, mut work: Work) -> Result<(), Error> {
    let log = EventLog::of_service("worker", reach.reports.level, reach.reports.format);
    let found = look_for_left_session(left_session::search(relay, reach, &work)?)?;
    left_session::settle(log, relay, &mut work, found)?;
    let (config, _lock) = worker::remote(relay, reach, &work)?;
    log.write(Level::Info, "starting", &[], format_args!("{} at {relay}", config.directory));
    worker::warn_of_access_token(log, &config);
    worker::end_strays(log);
    let _presence = place::settle(log, &config, work.name.is_some());
    let host = || {
        // No proxy leads back to this machine.
        let proxy = if relay.is_localhost() { ProxySource::None } else { ProxySource::Environment };
        let (extra_ca, supervision) = (reach.ca_file.clone(), Supervision::Whole);
        Host::new(HostOptions { extra_ca, proxy, supervision })
    };
    trial(&config, host()?, log)?;
    let observers = Observers::new(log, ServiceManager::from_environment());
    observers.serve(work.health)?;
    let (mut driver, handle) = Driver::new(host()?);
    if let Some(every) = observers.manager().watchdog() {
        let manager = observers.manager().clone();
        driver = driver.with_pulse(every, move || manager.alive());
    }
    let commands = handle.clone();
    let clean = if work.hand_over { WorkerCommand::HandOver } else { WorkerCommand::Shutdown };
    let drain = Some(WorkerCommand::Drain { hand_over: work.hand_over });
    signals::forward(drain, clean, WorkerCommand::ShutdownNow, move |command| {
        commands.command(command);
    })?;
    let mut is_to_be_said = reach.reports.json;
    let mut printed = Ok(());
    driver.run(Worker::new(config), |notice| {
        observers.note(&notice);
        if let WorkerNotice::Registered { environment, .. } = &notice
            && std::mem::take(&mut is_to_be_said)
        {
            let url = relay.to_string();
            let environment_id = Some(environment.as_str());
            printed = Ready { url: &url, environment_id, ..Ready::default() }.print();
            if printed.is_err() {
                // This is the machine's own loop, which would wait for itself.
                let handle = handle.clone();
                std::thread::spawn(move || handle.command(WorkerCommand::Shutdown));
            }
        }
    })?;
    printed
}

fn look_for_left_session(search: PointerSearchConfig) -> Result<Vec<LeftSession>, Error> {
    let (driver, _handle) = Driver::new(Host::new(HostOptions::default())?);
    let mut found = Vec::new();
    driver.run(PointerSearch::new(search), |left| found.push(left))?;
    Ok(found)
}

/// Tries the agent and WebSockets in a thread beside the worker, and says what is wrong.
fn trial(config: &WorkerConfig, host: Host, log: EventLog) -> Result<(), Error> {
    let check = Check::beside(config);
    let (driver, _handle) = Driver::new(host);
    let work = move || {
        // It ends well, whatever it has found.
        let _ = driver.run(check, |tried| worker::log_trial(log, &tried));
    };
    let thread = Builder::new().name("agent trial".to_owned()).stack_size(STACK_BYTES);
    let started = thread.spawn(work);
    started.map(drop).map_err(|error| Error::local(format!("no thread: {error}")))
}
