//! The open operations: routes actions to their threads, and passes on events still wanted.

use std::collections::HashMap;
use std::sync::Arc;

use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Signal, Target};
use footbridge_core::contract::event::{Event, IoError, IoErrorKind};

use crate::failure::{failure, io_failure};
use footbridge_supervision::Supervisor;

use crate::files::{Files, Job};
use crate::handshake::Offer;
use crate::host::Host;
use crate::http::{Exchange, Http};
use crate::inbox::Inbox;
use crate::lock::Lock;
use crate::mailbox::Outbox;
use crate::net::deadline_after;
use crate::process::{self, Process};
use crate::reaper;
use crate::run::{self, NoOrder, Task};
use crate::server::{AcceptSlot, Answer, Listen, Listener};
use crate::socket::{self, Sockets};
use crate::stdio;
use crate::stream;
use crate::threads::{SMALL_STACK, Threads};

/// The operations of one machine in progress.
pub(crate) struct Operations {
    open: HashMap<OpId, Operation>,
    outbox: Outbox,
    threads: Threads,
    http: Http,
    sockets: Sockets,
    files: Files,
    supervisor: Arc<Supervisor>,
    listen: Option<Listen>,
    is_reaping: bool,
}

enum Operation {
    Request(Exchange),
    Stream(Arc<Inbox<socket::Order>>),
    Process(Process),
    Run(Arc<Inbox<NoOrder>>),
    File,
    Lock(Lock),
    Listener(Listener),
    /// A request that is waited for, or not yet answered.
    Exchange(Arc<Inbox<Answer>>),
    EndTree,
    /// It failed before it began; its event is on the way.
    Failed,
}

impl Operation {
    fn cancel(&self) {
        match self {
            Self::Request(exchange) => exchange.cancel(),
            Self::Stream(inbox) => inbox.cancel(),
            Self::Process(process) => process.cancel(),
            Self::Run(inbox) => inbox.cancel(),
            Self::Lock(lock) => lock.release(),
            Self::Listener(listener) => listener.stop(),
            Self::Exchange(answers) => answers.cancel(),
            Self::File | Self::EndTree | Self::Failed => {}
        }
    }
}

impl Operations {
    pub(crate) fn new(outbox: Outbox, host: Host) -> Self {
        let Host { threads, http, sockets, supervision, listen } = host;
        Self {
            open: HashMap::new(),
            outbox,
            threads,
            http,
            sockets,
            files: Files::default(),
            supervisor: Arc::new(Supervisor::new(supervision)),
            listen,
            is_reaping: false,
        }
    }

    /// Starts an action without waiting for it. Returns the failure of one that cannot begin.
    pub(crate) fn perform(&mut self, action: Action) -> Option<Event> {
        let (op, started) = match action {
            Action::Request { op, request } => {
                let outbox = self.outbox.clone();
                let started = self.http.start(op, request, outbox, &mut self.threads);
                (op, started.map(Operation::Request))
            }
            Action::Open { op, target } => (op, self.open(op, target).map(Operation::Stream)),
            Action::Spawn { op, command } => {
                self.reap_orphans();
                // Forget groups that have died out before adding one more.
                self.open.retain(|_, operation| !is_over(operation));
                let outbox = self.outbox.clone();
                let started =
                    Process::start(op, command, outbox, &mut self.threads, &self.supervisor);
                (op, started.map(Operation::Process))
            }
            Action::EndTree { op, process } => (op, self.end_tree(op, process)),
            Action::Run { op, command, timeout, limit } => {
                let task = Task { command, timeout, limit };
                let started =
                    run::start(op, task, self.outbox.clone(), &mut self.threads, &self.supervisor);
                (op, started.map(Operation::Run))
            }
            Action::Save { op, path, data } => (op, self.file(op, Job::Save { path, data })),
            Action::Load { op, path, limit } => (op, self.file(op, Job::Load { path, limit })),
            Action::Append { op, path, offset, data } => {
                (op, self.file(op, Job::Append { path, offset, data }))
            }
            Action::LoadEnd { op, path, limit } => {
                (op, self.file(op, Job::LoadEnd { path, limit }))
            }
            Action::Remove { op, path } => (op, self.file(op, Job::Remove { path })),
            Action::List { op, path } => (op, self.file(op, Job::List { path })),
            Action::Lock { op, path, patience } => {
                let lock = Lock::take(op, path, patience, self.outbox.clone(), &mut self.threads);
                (op, lock.map(Operation::Lock))
            }
            Action::Listen { op, address, limits } => {
                let opened = self.listen.ok_or_else(no_server).and_then(|listen| {
                    listen(op, address, limits, self.outbox.clone(), &self.threads)
                });
                (op, opened.map(Operation::Listener))
            }
            Action::Accept { op, listener } => (op, self.accept(op, listener)),
            Action::Upgrade { op, protocol, max_message } => {
                // Without a request, there is nothing to answer.
                let Some(Operation::Exchange(answers)) = self.open.remove(&op) else { return None };
                (op, upgrade(&answers, protocol, max_message).map(Operation::Stream))
            }
            Action::ReplyStream { op, .. } => {
                let Some(Operation::Exchange(answers)) = self.open.remove(&op) else { return None };
                answers.cancel();
                let detail = "this runtime cannot stream answers; use footbridge-smol";
                self.open.insert(op, Operation::Failed);
                let failure = Some(failure(IoErrorKind::Other, detail));
                return Some(Event::Closed { op, code: None, failure });
            }
            Action::Store { op, .. } => (op, Err(no_server())),
            action => {
                self.order(action);
                return None;
            }
        };
        match started {
            Ok(operation) => {
                self.open.insert(op, operation);
                None
            }
            Err(failure) => {
                self.open.insert(op, Operation::Failed);
                Some(Event::Failed { op, failure })
            }
        }
    }

    /// From now on, orphans that come to this process are reaped as they exit.
    fn reap_orphans(&mut self) {
        if !std::mem::replace(&mut self.is_reaping, true) {
            let (supervisor, end) = (Arc::clone(&self.supervisor), self.threads.end());
            // Without it they are reaped when something else happens.
            let work = move || drop(reaper::run(&supervisor, &end));
            let _ = self.threads.spawn("reap", SMALL_STACK, work);
        }
    }

    /// Kills all that a process has started, in a thread: it takes a few looks at all processes.
    fn end_tree(&mut self, op: OpId, process: OpId) -> Result<Operation, IoError> {
        let group = match self.open.get(&process) {
            Some(Operation::Process(process)) => Some(process.group()),
            _ => None,
        };
        let (supervisor, outbox) = (Arc::clone(&self.supervisor), self.outbox.clone());
        let work = move || {
            let survivors =
                supervisor.end_tree(process, group.as_ref().and_then(|group| group.leader()));
            if let Some(group) = group {
                group.signal(Signal::Kill);
            }
            // Nobody is listening any more, so there is nothing left to do.
            let _ = outbox.post(Event::TreeEnded { op, survivors });
        };
        let started = self.threads.spawn("end tree", SMALL_STACK, work);
        started.map(|()| Operation::EndTree).map_err(|error| io_failure("no thread", &error))
    }

    fn open(&mut self, op: OpId, target: Target) -> Result<Arc<Inbox<socket::Order>>, IoError> {
        let outbox = self.outbox.clone();
        match target {
            Target::WebSocket { url, headers, protocol, timeout, max_message } => {
                let deadline = deadline_after(timeout);
                let offer = Offer { url, headers, protocol, max_message, deadline };
                self.sockets.start(op, offer, outbox, &mut self.threads)
            }
            Target::Local { path, timeout } => {
                stdio::start_local(op, path, timeout, outbox, &mut self.threads)
            }
            Target::Stdio => stdio::start(op, outbox, &mut self.threads),
        }
    }

    fn file(&mut self, op: OpId, job: Job) -> Result<Operation, IoError> {
        self.files.start(op, job, &self.outbox, &mut self.threads).map(|()| Operation::File)
    }

    fn accept(&self, op: OpId, listener: OpId) -> Result<Operation, IoError> {
        let Some(Operation::Listener(listener)) = self.open.get(&listener) else {
            let is_server = self.listen.is_some();
            let closed = || failure(IoErrorKind::NotFound, "the listener is closed");
            return Err(if is_server { closed() } else { no_server() });
        };
        let answers = Arc::new(Inbox::new().map_err(|error| io_failure("no eventfd", &error))?);
        listener.admit(AcceptSlot { op, answers: Arc::clone(&answers) });
        Ok(Operation::Exchange(answers))
    }

    /// Passes an order to an open operation; otherwise does nothing.
    fn order(&mut self, action: Action) {
        let send = |op, order| {
            if let Some(Operation::Stream(inbox)) = self.open.get(&op) {
                inbox.push(order);
            }
        };
        let answer = |op, order| {
            if let Some(Operation::Request(exchange)) = self.open.get(&op) {
                exchange.order(order);
            }
        };
        let answer_client = |op, answer| {
            if let Some(Operation::Exchange(answers)) = self.open.get(&op) {
                answers.push(answer);
            }
        };
        let process = |op, order| {
            if let Some(Operation::Process(process)) = self.open.get(&op) {
                process.order(order);
            }
        };
        match action {
            Action::Send { op, message } => send(op, socket::Order::Send(message)),
            Action::Close { op, code } => send(op, socket::Order::Close(code)),
            Action::Pause { op } => {
                answer(op, stream::Order::Pause);
                send(op, socket::Order::Pause);
                process(op, process::Order::Pause);
            }
            Action::Resume { op } => {
                answer(op, stream::Order::Resume);
                send(op, socket::Order::Resume);
                process(op, process::Order::Resume);
            }
            Action::Vouch { op, standing } => answer_client(op, Answer::Vouch(standing)),
            Action::ReadBody { op, max_body, pace } => {
                answer_client(op, Answer::ReadBody { max_body, pace });
            }
            Action::Reply { op, response } => {
                // It was answered, or its client is gone: nothing follows either way.
                if let Some(Operation::Exchange(answers)) = self.open.remove(&op) {
                    answers.push(Answer::Reply(response));
                }
            }
            Action::Write { op, data } => process(op, process::Order::Write(data)),
            Action::CloseInput { op } => process(op, process::Order::CloseInput),
            Action::Signal { op, signal } => {
                if let Some(Operation::Process(process)) = self.open.get(&op) {
                    process.signal(signal);
                }
            }
            Action::Cancel { op } => {
                if let Some(operation) = self.open.remove(&op) {
                    operation.cancel();
                }
            }
            action => unreachable!("{action:?} is not an order to an operation"),
        }
    }

    /// Whether an event is still wanted: its operation is open. The last one closes it.
    pub(crate) fn admit(&mut self, event: &Event) -> bool {
        let Some(op) = event.op() else { return true };
        let Some(operation) = self.open.get_mut(&op) else { return false };
        if let Operation::Process(process) = operation {
            process.note(event);
            self.supervisor.reap_orphans();
        }
        if event.is_last() || is_over(operation) {
            self.open.remove(&op);
        }
        true
    }

    /// Cancels whatever is open, and waits for all threads.
    pub(crate) fn end(self) {
        self.open.values().for_each(Operation::cancel);
        self.threads.join();
    }
}

/// A request becomes a stream.
fn upgrade(
    answers: &Inbox<Answer>,
    protocol: Option<String>,
    max_message: usize,
) -> Result<Arc<Inbox<socket::Order>>, IoError> {
    let orders = Inbox::new().map(Arc::new).map_err(|error| {
        answers.cancel();
        io_failure("no eventfd", &error)
    })?;
    answers.push(Answer::Upgrade { protocol, max_message, orders: Arc::clone(&orders) });
    Ok(orders)
}

fn no_server() -> IoError {
    let detail = "this program cannot serve clients; run the relay on footbridge-smol";
    failure(IoErrorKind::Other, detail)
}

fn is_over(operation: &Operation) -> bool {
    matches!(operation, Operation::Process(process) if process.is_over())
}
