//! A machine alone on a bench. Whatever it requests has to be something that a runtime can do,
//! within bounds; whatever it is told is something that a runtime could report.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::time::{Instant, Now, UnixTime};
use footbridge_core::contract::action::{Action, Method, ProcessSpec, Request, Response, Target};
use footbridge_core::contract::check::{Checker, ContractError, Operation};
use footbridge_core::contract::event::Event;
use footbridge_core::contract::machine::{Machine, Outcome, Step};

/// Steps after which a machine counts as one that never waits.
const MAX_STEPS: usize = 50_000;
/// Operations that were cancelled and may still be answered.
const MAX_LATE: usize = 16;

/// How much a machine may have in progress at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) operations: usize,
    /// Bytes put on one stream or into one pipe that have not been sent.
    pub(super) bytes: usize,
}

/// An open operation.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// What started it.
    pub(super) action: Action,
    /// How far it has come, according to the contract.
    pub(super) state: Operation,
    /// Sizes of what was sent or written and is still queued.
    sizes: VecDeque<usize>,
}

impl Open {
    /// An open stream, a running process.
    pub(super) const fn is_up(&self) -> bool {
        match self.state {
            Operation::Stream(stream) => stream.is_open,
            Operation::Process(process) => process.is_spawned,
            Operation::Listener { is_open } => is_open,
            Operation::Lock { is_held } => is_held,
            _ => false,
        }
    }

    /// Updates how far it has come; the oldest queued data leaves first.
    fn follow(&mut self, state: Operation, added: Option<usize>) {
        self.state = state;
        self.sizes.extend(added);
        let unconfirmed = match state {
            Operation::Stream(stream) => stream.unconfirmed,
            Operation::Process(process) => process.unconfirmed,
            _ => 0,
        };
        self.sizes.drain(..self.sizes.len().saturating_sub(unconfirmed));
    }
}

/// A machine, its open operations, and the time.
pub(super) struct Bench<M: Machine> {
    machine: M,
    limits: Limits,
    pub(super) now: Now,
    pub(super) open: BTreeMap<OpId, Open>,
    /// What was cancelled last, and may still be answered.
    pub(super) late: VecDeque<(OpId, Open)>,
    /// What it did since the last look.
    pub(super) fresh: Vec<Action>,
    /// Everything it did and reported.
    pub(super) record: Record,
    checker: Checker,
    deadline: Option<Instant>,
    /// What ended with the event being delivered: the machine may not know it yet.
    just_ended: Option<OpId>,
    /// Whether all of it is printed: `FUZZ_TRACE` is set.
    is_traced: bool,
}

/// Everything a machine did and reported. The same events have to give the same.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Record {
    pub(super) did: Vec<Action>,
    pub(super) told: Vec<String>,
    pub(super) outcome: Option<Outcome>,
}

impl<M: Machine> Bench<M>
where
    M::Notice: Debug,
{
    pub(super) fn new(machine: M, limits: Limits) -> Self {
        let wall = UnixTime::from_millis(1_767_225_600_000);
        let now = Now { mono: Instant::from_origin(Duration::from_secs(5)), wall };
        let mut bench = Self {
            machine,
            limits,
            now,
            open: BTreeMap::new(),
            late: VecDeque::new(),
            fresh: Vec::new(),
            record: Record::default(),
            checker: Checker::default(),
            deadline: None,
            just_ended: None,
            is_traced: std::env::var_os("FUZZ_TRACE").is_some(),
        };
        bench.handle(Event::Tick);
        bench
    }

    pub(super) const fn is_over(&self) -> bool {
        self.record.outcome.is_some()
    }

    /// Tells the machine something, and records how it reacts.
    pub(super) fn handle(&mut self, event: Event) {
        self.trace("<-", &event);
        if let Err(why) = self.note(&event) {
            panic!("no runtime reports {event:?}: {why}");
        }
        self.machine.handle(self.now, event);
        self.take_steps();
    }

    pub(super) fn command(&mut self, command: M::Command) {
        self.just_ended = None;
        self.machine.command(self.now, command);
        self.take_steps();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
        self.handle(Event::Tick);
    }

    /// Lets time pass until the machine's deadline, if it has one.
    pub(super) fn pass_to_deadline(&mut self) {
        let wait = self.deadline.map(|at| at.saturating_since(self.now.mono));
        self.pass(wait.unwrap_or(Duration::from_secs(1)));
    }

    fn take_steps(&mut self) {
        for _ in 0..MAX_STEPS {
            match self.machine.step() {
                Step::Do(action) => {
                    self.trace("->", &action);
                    if let Err(why) = self.take(&action) {
                        panic!("it asks for {action:?}: {why}");
                    }
                    self.fresh.push(action.clone());
                    self.record.did.push(action);
                }
                Step::Tell(notice) => {
                    self.trace("says", &notice);
                    self.record.told.push(format!("{notice:?}"));
                }
                Step::Wait(deadline) => {
                    assert!(deadline.is_none_or(|at| at > self.now.mono), "a busy loop");
                    assert!(!self.is_over(), "it waits after its end");
                    self.deadline = deadline;
                    return self.check_limits();
                }
                Step::Finished(outcome) => {
                    // A closed stream may still be on its way to its end.
                    let open = self.open.iter().find(|(_, open)| !open.state.is_ending());
                    assert!(open.is_none(), "it ends with {open:?}");
                    self.record.outcome = Some(outcome);
                    return;
                }
            }
        }
        panic!("it did not wait after {MAX_STEPS} steps");
    }

    fn trace(&self, way: &str, what: &dyn Debug) {
        if self.is_traced {
            eprintln!("{:?} {way} {what:?}", self.now.mono);
        }
    }

    fn check_limits(&self) {
        let Limits { operations, bytes } = self.limits;
        assert!(self.open.len() <= operations, "{} operations are open", self.open.len());
        for (op, open) in &self.open {
            let waiting: usize = open.sizes.iter().sum();
            assert!(waiting <= bytes, "{waiting} bytes wait at {op}");
        }
    }

    /// Accepts an event, if it is one that a runtime could deliver now.
    fn note(&mut self, event: &Event) -> Result<(), ContractError> {
        self.checker.event(event)?;
        self.just_ended = event.op().filter(|_| event.is_last());
        if let Some(op) = event.op() {
            self.follow(op, None);
        }
        Ok(())
    }

    /// Accepts an action, if it is allowed now.
    fn take(&mut self, action: &Action) -> Result<(), String> {
        legible(action)?;
        let op = action.op();
        if !action.is_start() && !self.open.contains_key(&op) && self.just_ended != Some(op) {
            return Err(String::from("there is no such operation"));
        }
        self.checker.action(action).map_err(|why| why.to_string())?;
        match action {
            Action::Cancel { .. } => {
                self.late.extend(self.open.remove(&op).map(|open| (op, open)));
                if self.late.len() > MAX_LATE {
                    self.late.pop_front();
                }
            }
            Action::Send { message, .. } => self.follow(op, Some(message.len())),
            Action::Write { data, .. } => self.follow(op, Some(data.len())),
            _ => {
                if let Some(state) = Operation::started_by(action) {
                    let (action, sizes) = (action.clone(), VecDeque::new());
                    self.open.insert(op, Open { action, state, sizes });
                }
                self.follow(op, None);
            }
        }
        Ok(())
    }

    /// Updates from the contract how far an operation has come, and whether it is over.
    fn follow(&mut self, op: OpId, added: Option<usize>) {
        match (self.open.get_mut(&op), self.checker.get(op)) {
            (Some(open), Some(state)) => open.follow(*state, added),
            (_, None) => drop(self.open.remove(&op)),
            (None, Some(_)) => {}
        }
    }
}

/// Whether an action's values are valid: on a request line, in a header, in a system call.
fn legible(action: &Action) -> Result<(), String> {
    match action {
        Action::Request { request, .. } => legible_request(request),
        Action::Open { target: Target::WebSocket { url, headers, timeout, .. }, .. } => {
            legible_url(url, ["ws://", "wss://"])?;
            legible_headers(headers)?;
            within(*timeout)
        }
        Action::Spawn { command, .. } => legible_command(command),
        // What git printed goes back to git, and git may print anything.
        Action::Run { timeout, .. } => within(*timeout),
        Action::Save { path, .. }
        | Action::Load { path, .. }
        | Action::Append { path, .. }
        | Action::LoadEnd { path, .. }
        | Action::Remove { path, .. }
        | Action::Lock { path, .. }
        | Action::List { path, .. } => {
            let is_plain = path.starts_with('/') && !path.contains('\0');
            let leaves = path.split('/').any(|part| part == "..");
            if is_plain && !leaves { Ok(()) } else { Err(format!("the path is {path:?}")) }
        }
        Action::Reply { response, .. } => legible_response(response),
        _ => Ok(()),
    }
}

fn within(timeout: Duration) -> Result<(), String> {
    let longest = Duration::from_secs(60 * 60);
    if timeout.is_zero() || timeout > longest { Err(format!("{timeout:?}")) } else { Ok(()) }
}

fn legible_request(request: &Request) -> Result<(), String> {
    if !matches!(request.method, Method::Get | Method::Post | Method::Put) {
        return Err(String::from("no such request is sent"));
    }
    legible_url(&request.url, ["http://", "https://"])?;
    legible_headers(&request.headers)?;
    within(request.timeout)
}

fn legible_url(url: &str, schemes: [&str; 2]) -> Result<(), String> {
    let has_scheme = schemes.iter().any(|scheme| url.starts_with(scheme));
    if has_scheme && url.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(format!("the URL is {url:?}"))
    }
}

fn legible_headers(headers: &[(&'static str, Secret)]) -> Result<(), String> {
    for (name, value) in headers {
        if name.bytes().any(|b| b.is_ascii_uppercase())
            || matches!(*name, "host" | "content-length")
        {
            return Err(format!("the header {name}"));
        }
        legible_value(value.reveal()).map_err(|why| format!("the header {name} {why}"))?;
    }
    Ok(())
}

/// The value of a header (RFC 9110, 5.5): visible ASCII, spaces and tabs; a line break in it would
/// begin another header.
fn legible_value(value: &str) -> Result<(), &'static str> {
    if value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
        Ok(())
    } else {
        Err("holds what no header can carry")
    }
}

fn legible_command(command: &ProcessSpec) -> Result<(), String> {
    let env = command.env.iter().flat_map(|(name, value)| [name.as_str(), value.reveal()]);
    let mut texts = command.args.iter().map(String::as_str).chain(env);
    if texts.any(|text| text.contains('\0')) {
        return Err(String::from("a text of the command holds a NUL"));
    }
    match command.env.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
        Some((name, _)) => Err(format!("the variable {name:?}")),
        None if command.program.is_empty() => Err(String::from("the program has no name")),
        None => Ok(()),
    }
}

fn legible_response(response: &Response) -> Result<(), String> {
    if !(200..600).contains(&response.status) {
        return Err(String::from("no such status is answered"));
    }
    for (name, value) in &response.headers {
        if name.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_control()) {
            return Err(format!("the header {name:?}"));
        }
        legible_value(value).map_err(|why| format!("the header {name} {why}"))?;
    }
    Ok(())
}
