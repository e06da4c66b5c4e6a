//! A worker machine run by the runtime under test.

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use footbridge_core::auth::Credential;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::machine::Outcome;
use footbridge_core::engine::backoff::Track;
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::worker::{
    AgentProgram, TransportChoice, WorkBy, Worker as Machine, WorkerCommand, WorkerConfig,
    WorkerNotice,
};

use super::api::TOKEN;
use super::until;
use super::warp::{Clock, Warped};
use crate::{HostSpec, Running, Runtime};

/// A running worker.
pub(crate) struct Worker {
    running: Running<Warped<Machine>>,
    notices: Arc<Mutex<Vec<WorkerNotice>>>,
    trace: Arc<Mutex<String>>,
}

thread_local! {
    /// How the workers that this test starts let sessions travel.
    static TRANSPORT: Cell<TransportChoice> = const { Cell::new(TransportChoice::Auto) };
    /// By what their work comes: by polls, of which many scenarios know when they are made.
    static WORK_BY: Cell<WorkBy> = const { Cell::new(WorkBy::Poll) };
}

/// Runs a scenario whose workers speak version 2.
pub(crate) fn over_version_2(scenario: impl FnOnce()) {
    TRANSPORT.set(TransportChoice::V2);
    scenario();
}

/// Runs a scenario whose workers take their work by a stream.
pub(crate) fn by_stream(scenario: impl FnOnce()) {
    WORK_BY.set(WorkBy::Auto);
    scenario();
}

/// A worker's configuration with short delays, and this machine's name in no variable.
pub(crate) fn config(address: &str, directory: &Path, agent: AgentProgram) -> WorkerConfig {
    let relay = BaseUrl::parse(&format!("http://{address}")).expect("a URL");
    let directory = directory.to_str().expect("text").to_owned();
    let token = Credential::fixed(Secret::from(TOKEN));
    let mut config = WorkerConfig::new(relay, token, directory, agent, 1);
    let pause = |initial, cap| Track {
        initial: Duration::from_millis(initial),
        cap: Duration::from_millis(cap),
        give_up: Some(Duration::from_secs(600)),
    };
    config.backoff.connection = pause(20, 100);
    config.backoff.general = pause(10, 50);
    config.stop_work_base_delay = Duration::from_millis(20);
    config.shutdown_grace = Duration::from_secs(5);
    config.transport = TRANSPORT.get();
    config.work_by = WORK_BY.get();
    config
}

/// The built-in agent.
pub(crate) fn shell_agent<R: Runtime>(args: &[&str]) -> AgentProgram {
    let args = [&["agent"], args].concat();
    AgentProgram {
        program: R::WORKER[0].to_owned(),
        args: args.into_iter().map(str::to_owned).collect(),
        env: Vec::new(),
    }
}

/// An agent that is a script.
pub(crate) fn script(script: &str) -> AgentProgram {
    let args = ["-c", script].map(str::to_owned).to_vec();
    AgentProgram { program: "sh".to_owned(), args, env: Vec::new() }
}

impl Worker {
    pub(crate) fn start<R: Runtime>(config: WorkerConfig) -> Self {
        Self::on::<R>(config, Clock::default())
    }

    /// One whose clocks differ from the computer's.
    pub(crate) fn on<R: Runtime>(config: WorkerConfig, clock: Clock) -> Self {
        let notices: Arc<Mutex<Vec<WorkerNotice>>> = Arc::default();
        let told = Arc::clone(&notices);
        let machine = Warped::new(Machine::new(config), clock);
        let trace = machine.trace();
        let running = R::start(machine, HostSpec::default(), move |notice| {
            told.lock().expect("no panic").push(notice);
        });
        Self { running, notices, trace }
    }

    pub(crate) fn command(&self, command: WorkerCommand) {
        (self.running.command)(command);
    }

    /// All its notices so far.
    pub(crate) fn notices(&self) -> Vec<WorkerNotice> {
        self.notices.lock().expect("no panic").clone()
    }

    /// Waits for a notice.
    #[track_caller]
    pub(crate) fn tells(&self, what: &str, is: impl Fn(&WorkerNotice) -> bool) -> WorkerNotice {
        until(what, || self.notices().into_iter().find(&is))
    }

    /// Waits until it has registered this many times.
    #[track_caller]
    pub(crate) fn registers(&self, times: usize) {
        let is = |notice: &WorkerNotice| matches!(notice, WorkerNotice::Registered { .. });
        until("it registers", || {
            (self.notices().iter().filter(|n| is(n)).count() >= times).then_some(())
        });
    }

    /// Everything that went in and out, as `Debug` shows it.
    pub(crate) fn trace(&self) -> String {
        let mut trace = self.trace.lock().expect("no panic").clone();
        for notice in self.notices() {
            let _ = writeln!(trace, "{notice:?}");
        }
        trace
    }

    /// Waits until it ends.
    #[track_caller]
    pub(crate) fn ends(self) -> Outcome {
        until("the worker ends", || self.running.thread.is_finished().then_some(()));
        self.running.thread.join().expect("no panic in the worker")
    }

    /// Ends it cleanly.
    #[track_caller]
    pub(crate) fn shut_down(self) {
        self.command(WorkerCommand::Shutdown);
        assert_eq!(self.ends(), Ok(()));
    }
}
