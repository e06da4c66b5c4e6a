//! `footbridge up`: a relay and a worker for a directory, in one process.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use async_channel::{Receiver, Sender};
use footbridge_core::auth::Credential;
use footbridge_core::base::id::EnvironmentId;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::machine::Outcome;
use footbridge_core::relay::{Relay, RelayCommand, RelayNotice};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{Worker, WorkerCommand, WorkerConfig, WorkerNotice};
use footbridge_smol::{Host, HostOptions, ProxySource, Supervision, block_on, drive};
use smol::future::{FutureExt, zip};

use footbridge_cli::args::Work;
use footbridge_cli::health::{self, Page};
use footbridge_cli::observers::Observers;
use footbridge_cli::service_manager::ServiceManager;
use footbridge_cli::{place, worker};

use super::args::Serve;
use super::peers::Presence;
use super::presented::{Presented, own_url};
use super::ready::page_url;
use super::relay_status::RelayStatus;
use super::signals::{Ends, Urgency};
use super::whereabouts::Noted;
use super::{certified, credential, data, relay, relay_log, users, watchdog, work};
use footbridge_cli::event_log::EventLog;
use footbridge_cli::exit::Error;
use footbridge_cli::ready::Ready;
use footbridge_cli::token::Sources;

pub(super) fn run(serve: &Serve, args: &Work) -> Result<(), Error> {
    relay_log::event_log(serve).unknown_variables(&serve.reports.unknown_variables);
    let sources = Sources::of(&serve.reports);
    let directory = data::directory(serve)?;
    let presented = Presented::of(serve, directory.as_deref())?;
    let kept = data::open(serve)?;
    // Its worker holds nothing of the person's.
    let name = args.name.clone().unwrap_or_else(worker::host_name);
    let credential = credential::of_up(&kept.token, &name)?;
    let token_file = kept.token_file.clone();
    let noted = Noted::new(kept.directory.as_deref());
    relay_log::log_token_file(relay_log::event_log(serve), token_file.as_deref());
    // All of this comes before listening, so that a wrong option is reported first. The public URL
    // is for others: the worker next to the relay connects to it directly, past any proxy.
    let mut listen = serve.listen;
    if listen.port() == 0 {
        // The port is not known yet, and no URL has this one.
        listen.set_port(1);
    }
    let base = base_url(presented.as_ref(), &listen.to_string())?;
    let access = Credential::fixed(credential);
    let (config, _lock) =
        worker::prepare(base, access, args, sources.state_directory().as_deref())?;
    let log = EventLog::of_service("worker", serve.reports.level, serve.reports.format);
    let observers = Observers::new(log, ServiceManager::from_environment());
    let relay_status = RelayStatus::default();
    serve_health(log, serve, &observers, &relay_status)?;
    worker::end_strays(log);
    let _presence = place::settle(log, &config, args.name.is_some());
    let host = || {
        let extra_ca = presented.as_ref().map(|presented| presented.trusted_by.clone());
        let (proxy, supervision) = (ProxySource::None, Supervision::Whole);
        Host::new(HostOptions { extra_ca, proxy, supervision, ..HostOptions::default() })
    };
    let trial = work::trial(&config, host()?, log);
    let public_url = serve.public_url.as_ref().map(ToString::to_string);
    let (people, owner) = (kept.directory.clone(), relay::owner(kept.token.clone()));
    let (relay, relay_host) = relay::build(serve, public_url, kept, presented.as_ref())?;
    let worker_host = host()?;
    let ends = Ends::listen_with_drain()?;
    let hand_over = args.hand_over;
    let up = Up {
        serve,
        presented: presented.as_ref(),
        hand_over,
        token_file,
        noted,
        ready: RefCell::default(),
        observers,
        relay_status,
        relay: Line::new(),
        worker: Line::new(),
        end: RefCell::default(),
    };
    let (listening, listens) = async_channel::bounded(1);
    let both = async {
        let serving = up.serve(relay, relay_host, listening);
        zip(serving, up.work(config, worker_host, listens)).await;
    };
    let watched = watchdog::keep(up.observers.manager());
    let log = relay_log::event_log(serve);
    let people = users::watch(people, owner, log, |command| up.relay.put(command));
    let certified = certified::follow(log, presented.as_ref(), |command| up.relay.put(command));
    let followed = people.or(certified);
    block_on(
        both.or(trial).or(followed).or(ends.forward(|urgency| up.signal(urgency))).or(watched),
    );
    up.end.into_inner().map_or(Ok(()), Err)
}

/// One address for both.
fn serve_health(
    log: EventLog,
    serve: &Serve,
    observers: &Observers,
    status: &RelayStatus,
) -> Result<(), Error> {
    let (observers, status) = (observers.clone(), status.clone());
    health::start(log, serve.health, move |path| match path {
        "/metrics" => Some(Page::metrics(status.metrics() + &observers.metrics())),
        _ => observers.page(path),
    })
}

/// How the worker next to the relay reaches it.
fn base_url(presented: Option<&Presented>, listen: &str) -> Result<BaseUrl, Error> {
    let url = BaseUrl::parse(&own_url(presented, listen));
    url.map_err(|_| {
        Error::usage(format!(
            "--listen {listen}: the worker next to the relay has to reach it without TLS, so this must be a loopback address, 0.0.0.0 or [::]; or use --own-certificate"
        ))
    })
}

/// Sends commands to one machine.
struct Line<C> {
    commands: Sender<C>,
    asked: Receiver<C>,
}

impl<C> Line<C> {
    fn new() -> Self {
        let (commands, asked) = async_channel::unbounded();
        Self { commands, asked }
    }

    /// A machine that has ended takes no commands, and that is fine.
    fn put(&self, command: C) {
        let _ = self.commands.try_send(command);
    }
}

/// Both machines, and why they end: neither outlives the other.
struct Up<'a> {
    serve: &'a Serve,
    presented: Option<&'a Presented>,
    hand_over: bool,
    token_file: Option<PathBuf>,
    noted: Noted,
    observers: Observers,
    relay_status: RelayStatus,
    /// The relay's socket and the worker's environment, once there is one.
    ready: RefCell<Option<(String, EnvironmentId)>>,
    relay: Line<RelayCommand>,
    worker: Line<WorkerCommand>,
    /// The first thing that went wrong.
    end: RefCell<Option<Error>>,
}

impl Up<'_> {
    async fn serve(&self, relay: Relay, host: Host, listening: Sender<String>) {
        let log = relay_log::event_log(self.serve);
        let outcome = drive(relay, host, self.relay.asked.clone(), |notice| {
            relay_log::log_notice(log, &notice);
            self.relay_status.note(&notice);
            match notice {
                RelayNotice::Listening { address } => {
                    let _ = listening.try_send(address);
                }
                RelayNotice::SignInCode { code } => {
                    if let Err(error) = self.announce(&code) {
                        self.fail(error);
                    }
                }
                _ => {}
            }
        });
        self.note(outcome.await);
        listening.close();
        self.worker.put(WorkerCommand::ShutdownNow);
    }

    async fn work(&self, mut config: WorkerConfig, host: Host, listens: Receiver<String>) {
        // A relay that never starts listening has ended, and says why.
        let Ok(listen) = listens.recv().await else { return };
        match base_url(self.presented, &listen) {
            Ok(base) => config.relay = base,
            Err(error) => {
                self.fail(error);
                return self.relay.put(RelayCommand::Shutdown);
            }
        }
        let (presence, place) = (Presence::new(), config.directory.clone());
        let worker = Worker::new(config);
        let outcome = drive(worker, host, self.worker.asked.clone(), |notice| {
            self.observers.note(&notice);
            presence.note(&notice, &place);
            if let WorkerNotice::Registered { environment, .. } = &notice
                && self.ready.borrow().is_none()
            {
                *self.ready.borrow_mut() = Some((listen.clone(), environment.clone()));
                self.relay.put(RelayCommand::MakeSignInCode);
            }
        });
        self.note(outcome.await);
        self.relay.put(RelayCommand::Shutdown);
    }

    fn announce(&self, code: &Secret) -> Result<(), Error> {
        let ready = self.ready.borrow();
        let Some((listen, environment)) = &*ready else { return Ok(()) };
        let own = own_url(self.presented, listen);
        let place = relay::Place::of(self.serve, self.presented, listen, own);
        self.noted.write(&place.whereabouts);
        if !self.serve.reports.json {
            return place.announce(code);
        }
        let page = page_url(&place.whereabouts.page, code);
        Ready {
            url: &place.whereabouts.url,
            page: Some(&page),
            token_file: self.token_file.as_deref().and_then(Path::to_str),
            listen: Some(listen),
            environment_id: Some(environment.as_str()),
        }
        .print()
    }

    /// Only the worker is signalled, however urgent: its results must reach the relay, which ends
    /// once the worker has.
    fn signal(&self, urgency: Urgency) {
        self.worker.put(work::command(urgency, self.hand_over));
    }

    fn note(&self, outcome: Outcome) {
        if let Err(fault) = outcome {
            self.end.borrow_mut().get_or_insert(fault.into());
        }
    }

    fn fail(&self, error: Error) {
        self.end.borrow_mut().get_or_insert(error);
        self.worker.put(WorkerCommand::Shutdown);
    }
}
