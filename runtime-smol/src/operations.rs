//! The open operations of one machine, and how each action starts or addresses one.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use async_signal::{Signal, Signals};
use footbridge_core::base::id::OpId;
use footbridge_core::contract::action::{Action, Answer as Body, Head, Request, Target};
use footbridge_core::contract::event::{Event, IoErrorKind};
use footbridge_core::store::Transaction;
use footbridge_supervision::Supervisor;
use smol::future::or;
use smol::stream::StreamExt;
use smol::{LocalExecutor, Task};

use crate::connect::Dialer;
use crate::failure::failure;
use crate::files::{self, Files};
use crate::handshake;
use crate::host::Host;
use crate::http::Client;
use crate::io::within;
use crate::mailbox::{Gate, Mail, Mailbox, Spawner};
use crate::process::{self, Input, Process};
use crate::server::{self, AcceptSlot, Answer, Listener};
use crate::shared::Shared;
use crate::socket::{self, Outgoing};
use crate::store::{self, StoreRunner};
use crate::{local, lock, stdio, stream, tls};

/// How long replies and closing handshakes may take after the machine has finished.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// One open operation. Dropping it stops its task.
enum Operation {
    /// A task that needs nothing more from the machine.
    Task {
        _task: Option<Task<()>>,
    },
    /// Queued behind others of its kind.
    Queued,
    Stream {
        _task: Option<Task<()>>,
        outgoing: Sender<Outgoing>,
        gate: Rc<Gate>,
    },
    /// A response that is read as it arrives.
    Incoming {
        _task: Option<Task<()>>,
        gate: Rc<Gate>,
    },
    Process(Process),
    Listener(Listener),
    Exchange(Sender<Answer>),
}

pub(crate) struct Operations {
    open: HashMap<OpId, Operation>,
    shared: Rc<Shared>,
    files: Files,
    store: Option<StoreRunner>,
    server_tls: Option<tls::Server>,
    /// Held by every connection of a client until its last reply is out.
    linger: Option<Sender<Infallible>>,
    lingering: Receiver<Infallible>,
    reaper: Option<Task<()>>,
}

impl Operations {
    pub(crate) fn new(
        host: Host,
        executor: &Rc<LocalExecutor<'static>>,
        mailbox: Sender<Mail>,
    ) -> Self {
        let (mailbox, spawner) = (Mailbox::new(mailbox), Spawner::new(executor));
        let dialer = Dialer::new(host.client_tls, host.proxies);
        let client = Client::new(dialer, spawner.clone());
        let store = host.store.map(|store| StoreRunner::start(store, &mailbox));
        if let Some(changes) = host.store_changes {
            store::listen(changes, &spawner, &mailbox);
        }
        let supervisor = Arc::new(Supervisor::new(host.supervision));
        let (linger, lingering) = async_channel::bounded(1);
        Self {
            open: HashMap::new(),
            files: Files::start(&spawner, &mailbox),
            shared: Rc::new(Shared { mailbox, spawner, client, supervisor }),
            store,
            server_tls: host.server_tls,
            linger: Some(linger),
            lingering,
            reaper: None,
        }
    }

    /// Takes a piece of mail, and delivers those of its events whose operation is still open.
    pub(crate) fn receive(&mut self, mail: Mail, mut deliver: impl FnMut(Event)) {
        if matches!(&mail, Mail::Event(Event::Stdout { .. } | Event::Exited { .. })) {
            self.shared.supervisor.reap_orphans();
        }
        match mail {
            Mail::Event(event) => {
                if event.op().is_none_or(|op| self.open.contains_key(&op)) {
                    deliver(event);
                }
            }
            Mail::Last(event) => self.last(event, &mut deliver),
            Mail::AllLast(events) => {
                events.into_iter().for_each(|event| self.last(event, &mut deliver));
            }
            Mail::Over(op) => drop(self.open.remove(&op)),
        }
    }

    fn last(&mut self, event: Event, deliver: &mut impl FnMut(Event)) {
        if event.op().is_some_and(|op| self.open.remove(&op).is_some()) {
            deliver(event);
        }
    }

    /// Hands over what gains from being handed over together, when the machine has nothing more to
    /// ask for. Delivers what is known at once, and returns whether that was anything.
    pub(crate) fn flush(&mut self, mut deliver: impl FnMut(Event)) -> bool {
        let events = self.store.as_mut().map(StoreRunner::submit).unwrap_or_default();
        let is_any = !events.is_empty();
        events.into_iter().for_each(|event| self.last(event, &mut deliver));
        is_any
    }

    /// Starts what an action asks for. It never waits: anything that takes time is a task's job.
    pub(crate) fn perform(&mut self, action: Action) {
        let shared = Rc::clone(&self.shared);
        match action {
            Action::Request { op, request } => self.request(op, request),
            Action::Open { op, target } => self.open_stream(op, target),
            Action::Send { op, message } => self.put(op, Outgoing::Message(message)),
            Action::Close { op, code } => {
                self.put(op, Outgoing::Close(code));
                if let Some(gate) = self.gate(op) {
                    gate.close();
                }
            }
            Action::Pause { op } => self.gate(op).into_iter().for_each(Gate::pause),
            Action::Resume { op } => self.gate(op).into_iter().for_each(Gate::resume),
            Action::Spawn { op, command } => {
                self.reap();
                let process = process::spawn(op, command, &self.shared);
                self.open.insert(op, Operation::Process(process));
            }
            Action::Write { op, data } => self.feed(op, Input::Data(data)),
            Action::CloseInput { op } => self.feed(op, Input::End),
            Action::Signal { op, signal } => {
                if let Some(Operation::Process(process)) = self.open.get(&op) {
                    process.signal(signal);
                }
            }
            Action::EndTree { op, process } => {
                let root = match self.open.get(&process) {
                    Some(Operation::Process(process)) => process.root(),
                    _ => None,
                };
                self.start(op, process::end_tree(op, process, root, shared));
            }
            Action::Run { op, command, timeout, limit } => {
                self.reap();
                self.start(op, process::run(op, command, timeout, limit, shared));
            }
            Action::Save { op, path, data } => self.file(op, files::Job::Save { path, data }),
            Action::Load { op, path, limit } => self.file(op, files::Job::Load { path, limit }),
            Action::Append { op, path, offset, data } => {
                self.file(op, files::Job::Append { path, offset, data });
            }
            Action::LoadEnd { op, path, limit } => {
                self.file(op, files::Job::LoadEnd { path, limit });
            }
            Action::Remove { op, path } => self.file(op, files::Job::Remove { path }),
            Action::List { op, path } => self.file(op, files::Job::List { path }),
            Action::Lock { op, path, patience } => {
                self.start(op, lock::hold(op, path, patience, shared));
            }
            Action::Listen { op, address, limits } => {
                let (tls, linger) = (self.server_tls.clone(), self.linger.clone());
                let listener = server::listen(op, address, limits, tls, linger, shared);
                self.open.insert(op, Operation::Listener(listener));
            }
            Action::Accept { op, listener } => self.accept(op, listener),
            Action::Vouch { op, standing } => self.advise(op, Answer::Vouch(standing)),
            Action::ReadBody { op, max_body, pace } => {
                self.advise(op, Answer::ReadBody { max_body, pace });
            }
            Action::Reply { op, response } => {
                // It was answered, or its client is gone: nothing follows either way.
                if let Some(Operation::Exchange(answer)) = self.open.remove(&op) {
                    let _ = answer.try_send(Answer::Reply(response));
                }
            }
            Action::ReplyStream { op, head, write_timeout } => {
                self.reply_stream(op, head, write_timeout);
            }
            Action::Upgrade { op, protocol, max_message } => {
                self.upgrade(op, protocol, max_message);
            }
            Action::Store { op, transaction } => self.store(op, transaction),
            Action::Cancel { op } => drop(self.open.remove(&op)),
        }
    }

    /// Lets replies and closing handshakes in progress reach their clients.
    pub(crate) async fn finish(&mut self) {
        self.open.clear();
        self.flush(drop);
        self.linger = None;
        self.shared.mailbox.close();
        // Nothing is ever sent there: it ends when the last connection drops its end.
        let _ = within(FINISH_LIMIT, self.lingering.recv()).await;
        if let Some(store) = &self.store {
            store.finish().await;
        }
    }

    fn start(&mut self, op: OpId, work: impl Future<Output = ()> + 'static) {
        let task = self.shared.spawner.spawn(work);
        self.open.insert(op, Operation::Task { _task: task });
    }

    fn request(&mut self, op: OpId, request: Request) {
        let shared = Rc::clone(&self.shared);
        match request.answer {
            Body::Whole { max_body } => self.start(op, async move {
                match shared.client.exchange(&request, max_body).await {
                    Ok(response) => {
                        shared.mailbox.last(Event::Response { op, response }).await;
                    }
                    Err(failure) => shared.mailbox.failed(op, failure).await,
                }
            }),
            Body::Stream { idle_timeout } => {
                let gate = Rc::new(Gate::default());
                let work = stream::read(op, request, idle_timeout, Rc::clone(&gate), shared);
                let task = self.shared.spawner.spawn(work);
                self.open.insert(op, Operation::Incoming { _task: task, gate });
            }
        }
    }

    fn reply_stream(&mut self, op: OpId, head: Head, write_timeout: Duration) {
        let Some(Operation::Exchange(answer)) = self.open.remove(&op) else { return };
        let (writer, body) = stream::Writer::new();
        let _ = answer.try_send(Answer::Stream(head, body));
        let (outgoing, queue) = async_channel::unbounded();
        let work = writer.write(op, queue, write_timeout, Rc::clone(&self.shared));
        let task = self.shared.spawner.spawn(work);
        self.open.insert(op, Operation::Stream { _task: task, outgoing, gate: Rc::default() });
    }

    fn open_stream(&mut self, op: OpId, target: Target) {
        let (outgoing, queue) = async_channel::unbounded();
        let gate = Rc::new(Gate::default());
        let shared = Rc::clone(&self.shared);
        let task = match target {
            Target::WebSocket { url, headers, protocol, timeout, max_message } => {
                let target = handshake::Target { url, headers, protocol, timeout, max_message };
                let work = socket::open(op, target, queue, Rc::clone(&gate), shared);
                self.shared.spawner.spawn(work)
            }
            Target::Local { path, timeout } => {
                let work = local::open(op, (path, timeout), queue, Rc::clone(&gate), shared);
                self.shared.spawner.spawn(work)
            }
            Target::Stdio => {
                let work = stdio::open(op, queue, Rc::clone(&gate), shared);
                self.shared.spawner.spawn(work)
            }
        };
        self.open.insert(op, Operation::Stream { _task: task, outgoing, gate });
    }

    fn put(&self, op: OpId, outgoing: Outgoing) {
        if let Some(Operation::Stream { outgoing: queue, .. }) = self.open.get(&op) {
            let _ = queue.try_send(outgoing);
        }
    }

    fn feed(&self, op: OpId, input: Input) {
        if let Some(Operation::Process(process)) = self.open.get(&op) {
            process.feed(input);
        }
    }

    fn gate(&self, op: OpId) -> Option<&Gate> {
        match self.open.get(&op)? {
            Operation::Stream { gate, .. } | Operation::Incoming { gate, .. } => Some(gate),
            Operation::Process(process) => Some(&process.gate),
            _ => None,
        }
    }

    fn file(&mut self, op: OpId, job: files::Job) {
        self.open.insert(op, Operation::Queued);
        self.files.put(op, job);
    }

    fn store(&mut self, op: OpId, transaction: Transaction) {
        let Some(store) = &mut self.store else {
            return self.fail(op, IoErrorKind::Other, "this program was started without a store");
        };
        store.put(op, transaction);
        self.open.insert(op, Operation::Queued);
    }

    /// Says something to an exchange that does not end it.
    fn advise(&self, op: OpId, answer: Answer) {
        if let Some(Operation::Exchange(exchange)) = self.open.get(&op) {
            let _ = exchange.try_send(answer);
        }
    }

    fn accept(&mut self, op: OpId, listener: OpId) {
        let Some(Operation::Listener(listener)) = self.open.get(&listener) else {
            return self.fail(op, IoErrorKind::NotFound, "the listener is closed");
        };
        let (answer, answered) = async_channel::unbounded();
        listener.admit(AcceptSlot { op, answered });
        self.open.insert(op, Operation::Exchange(answer));
    }

    fn upgrade(&mut self, op: OpId, protocol: Option<String>, max_message: usize) {
        let Some(Operation::Exchange(answer)) = self.open.remove(&op) else { return };
        let (switch, switched) = async_channel::bounded(1);
        let _ = answer.try_send(Answer::Upgrade { protocol, switch });
        let (outgoing, queue) = async_channel::unbounded();
        let gate = Rc::new(Gate::default());
        let shared = Rc::clone(&self.shared);
        let work = socket::adopt(op, switched, max_message, queue, Rc::clone(&gate), shared);
        let task = self.shared.spawner.spawn(work);
        self.open.insert(op, Operation::Stream { _task: task, outgoing, gate });
    }

    fn fail(&mut self, op: OpId, kind: IoErrorKind, detail: &'static str) {
        let shared = Rc::clone(&self.shared);
        self.start(op, async move { shared.mailbox.failed(op, failure(kind, detail)).await });
    }

    /// Reaps exited children on this executor instead of on a thread of its own, and the orphans that
    /// have come to this process as they exit.
    fn reap(&mut self) {
        if self.reaper.is_none() {
            let mut driver = Box::pin(async_process::driver());
            // It must be running before the first child, or a thread is started instead.
            let _ = driver.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let shared = Rc::clone(&self.shared);
            let orphans = async move {
                // Without the signal they are reaped when something else happens.
                if let Ok(mut exits) = Signals::new([Signal::Child]) {
                    while exits.next().await.is_some() {
                        while let Some(pause) = shared.supervisor.reap_orphans() {
                            Timer::after(pause).await;
                        }
                    }
                }
                pending().await
            };
            self.reaper = self.shared.spawner.spawn(async { match or(driver, orphans).await {} });
        }
    }
}
