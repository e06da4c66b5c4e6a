//! The process at the terminal: prints what the host tells, and passes on what is typed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, IsTerminal as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use async_channel::{Receiver, Sender};
use footbridge_cli::exit::Error;
use footbridge_core::base::text::Text;
use footbridge_core::base::time::UnixTime;
use footbridge_core::remote::{Asked as Question, RemoteCommand, RemoteEvent};
use footbridge_core::wire::message::{Head, Kind};
use footbridge_core::wire::viewer::{Origin, PermissionPost};
use footbridge_smol::block_on;
use serde_json::{Value, json};
use smol::future::FutureExt as _;

use super::HOST_NAME;
use super::talk::{Asked, Bridge, Line, Told};
use crate::program::args::chat::Chat as Args;
use crate::program::attach::{answer, colon, question, said, shown};
use crate::program::pressed::{Pressed, Presses};

const HELP: &str = "  /detach       give the terminal back; the agent goes on, and viewers drive it
  /exit         end the agent and the session
  :mode MODE    default, acceptEdits, plan, …
  :model MODEL  another model
";

/// What happens.
enum Event {
    Typed(String),
    TypedEnd,
    Told(Line<Told>),
    /// The host's process has closed its output.
    HostEnd,
    Pressed(Pressed),
}

pub(super) fn run(ask: &Args) -> Result<(), Error> {
    let presses = Presses::listen()?;
    let mut host = start()?;
    let (events, happened) = async_channel::bounded(64);
    let input = host.stdin.take();
    if let Some(output) = host.stdout.take() {
        pass_on(
            output,
            events.clone(),
            |line| Line::parse(line).map(Event::Told),
            || Event::HostEnd,
        );
    }
    if let Some(errors) = host.stderr.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                eprintln!("{line}");
            }
        });
    }
    let typed = events.clone();
    pass_on(
        std::io::stdin(),
        typed,
        |line| Some(Event::Typed(line.to_owned())),
        || Event::TypedEnd,
    );
    let terminal = Terminal {
        input: RefCell::new(input),
        open: RefCell::default(),
        bridge: RefCell::default(),
        is_terminal: std::io::stdin().is_terminal(),
        has_input_ended: Cell::new(false),
        said: Cell::new(0),
        results: Cell::new(0),
        agent: ask.agent.clone().unwrap_or_else(|| "the shell agent".to_owned()),
    };
    let pressing = presses.forward(|pressed| {
        let _ = events.try_send(Event::Pressed(pressed));
    });
    let left = block_on(terminal.follow(&happened).or(pressing));
    terminal.input.borrow_mut().take();
    match left {
        Left::Detached => Ok(()),
        Left::Ended => conclude(&mut host),
    }
}

/// The same command line again, as the host: in a process group of its own, so that neither Ctrl-C nor
/// the end of the terminal reaches it.
fn start() -> Result<Child, Error> {
    let failed =
        |error: std::io::Error| Error::local(format!("cannot start the agent's host: {error}"));
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg0(HOST_NAME).args(std::env::args_os().skip(1)).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(failed)
}

/// The host has said on standard error why, if it has failed.
fn conclude(host: &mut Child) -> Result<(), Error> {
    let status = host
        .wait()
        .map_err(|error| Error::local(format!("cannot wait for the agent's host: {error}")))?;
    // What it has said may still be on its way to standard error.
    std::thread::sleep(std::time::Duration::from_millis(50));
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => Err(Error::local("the agent's host was killed")),
    }
}

/// Reads lines on a thread of its own, which may wait for ever.
fn pass_on(
    from: impl std::io::Read + Send + 'static,
    to: Sender<Event>,
    each: impl Fn(&str) -> Option<Event> + Send + 'static,
    end: impl FnOnce() -> Event + Send + 'static,
) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { break };
            if let Some(event) = each(&line)
                && to.send_blocking(event).is_err()
            {
                return;
            }
        }
        let _ = to.send_blocking(end());
    });
}

/// How the terminal was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Detached,
    Ended,
}

struct Terminal {
    input: RefCell<Option<ChildStdin>>,
    open: RefCell<VecDeque<Question>>,
    bridge: RefCell<Bridge>,
    is_terminal: bool,
    has_input_ended: Cell<bool>,
    /// Messages that were typed, and turns that have ended since.
    said: Cell<u64>,
    results: Cell<u64>,
    agent: String,
}

impl Terminal {
    async fn follow(&self, happened: &Receiver<Event>) -> Left {
        while let Ok(event) = happened.recv().await {
            match event {
                Event::Typed(line) => self.typed(&line),
                Event::TypedEnd if self.is_terminal => self.ask(Asked::End),
                Event::TypedEnd => {
                    self.has_input_ended.set(true);
                    self.leave_if_idle();
                }
                Event::Told(Line::Own(Told::Detached { session, turns, stored })) => {
                    print(&format!(
                        "· {turns} turns here, {stored} at the relay: the same\n· the agent goes on; footbridge attach {session} comes back to it\n"
                    ));
                    return Left::Detached;
                }
                Event::Told(line) => self.told(line),
                Event::HostEnd => return Left::Ended,
                Event::Pressed(Pressed::Once) => {
                    eprintln!("(interrupted; Ctrl-C again ends it)");
                    self.say(
                        &json!({"type": "control_request", "request": {"subtype": "interrupt"}}),
                    );
                }
                // Without its input the host ends in order.
                Event::Pressed(Pressed::Leave) => drop(self.input.borrow_mut().take()),
            }
        }
        Left::Ended
    }

    fn typed(&self, line: &str) {
        match line.trim() {
            "" => {}
            "/detach" | ":detach" => self.ask(Asked::Detach),
            "/exit" | "/quit" | ":quit" | ":exit" => self.ask(Asked::End),
            ":help" => print(HELP),
            command if command.starts_with(':') => {
                if let Some(RemoteCommand::Send(line)) = colon(&command[1..]) {
                    self.pass(line.as_str());
                }
            }
            line => {
                let answered = self.open.borrow().front().and_then(|it| answer(it, line));
                match answered {
                    Some(post) => {
                        self.open.borrow_mut().pop_front();
                        self.say(&response(post));
                        self.ask_next();
                    }
                    None => {
                        self.said.set(self.said.get() + 1);
                        self.pass(said(line).as_str());
                    }
                }
            }
        }
    }

    fn ask_next(&self) {
        if let Some(next) = self.open.borrow().front() {
            print(&question(next));
        }
    }

    fn told(&self, line: Line<Told>) {
        match line {
            Line::Agent(line) => self.agent(line),
            Line::Viewer(line) => print(&event(Origin::Viewer, line)),
            Line::Program(line) => print(&event(Origin::Worker, line)),
            Line::Own(Told::Started) => {
                print(&format!("· {}; /detach, /exit, :help\n", self.agent));
            }
            Line::Own(Told::Bridge(bridge)) => self.bridge(bridge),
            Line::Own(Told::SessionChanged { now, lines_missing }) => {
                let missing = match lines_missing {
                    0 => String::new(),
                    lines => format!(", without its first {lines} lines"),
                };
                print(&format!("· the relay had lost the session; it is {now} now{missing}\n"));
            }
            Line::Own(Told::SessionEnded { reason }) => {
                print(&format!("· no longer shared: {reason}; the conversation goes on here\n"));
            }
            Line::Own(Told::Unshown(lines)) => print(&format!("· {lines} lines were not shown\n")),
            Line::Own(Told::NotDetached { reason }) => {
                print(&format!("· not detached: {reason}\n"));
            }
            Line::Own(Told::Detached { .. }) => {}
        }
    }

    fn agent(&self, line: String) {
        let text = Text::from(line.clone());
        let head = Head::parse(&text).unwrap_or_default();
        match (head.kind(), head.request_id) {
            (Kind::ControlRequest, Some(request_id)) => {
                let asked = Question {
                    request_id,
                    seq: 0,
                    tool_use_id: None,
                    tool_name: head.tool_name.unwrap_or_default(),
                    message: text,
                };
                let is_first = self.open.borrow().is_empty();
                if is_first {
                    print(&question(&asked));
                }
                self.open.borrow_mut().push_back(asked);
            }
            (Kind::ControlCancelRequest, Some(request_id)) => {
                let is_front =
                    self.open.borrow().front().is_some_and(|it| it.request_id == request_id);
                let before = self.open.borrow().len();
                self.open.borrow_mut().retain(|asked| asked.request_id != request_id);
                if self.open.borrow().len() < before {
                    print("· that question is over: it was answered elsewhere, or taken back\n");
                }
                if is_front {
                    self.ask_next();
                }
            }
            _ => {
                print(&event(Origin::Agent, line));
                if head.kind == "result" {
                    self.results.set(self.results.get() + 1);
                    self.leave_if_idle();
                }
            }
        }
    }

    fn bridge(&self, bridge: Bridge) {
        let before = self.bridge.replace(bridge.clone());
        let page = bridge.page.unwrap_or_default();
        if bridge.is_connected && !before.is_connected {
            let session = bridge.session.unwrap_or_default();
            print(&format!("· shared as {session}: {page}\n"));
        } else if !bridge.is_connected
            && before.error.is_none()
            && let Some(error) = bridge.error
        {
            print(&format!("· not connected to the relay: {error}\n"));
        }
    }

    /// Everything from a pipe has had its turn.
    fn leave_if_idle(&self) {
        if self.has_input_ended.get() && self.results.get() >= self.said.get() {
            self.ask(Asked::End);
        }
    }

    fn ask(&self, what: Asked) {
        self.write(&Line::Own(what));
    }

    fn say(&self, message: &Value) {
        self.pass(&message.to_string());
    }

    fn pass(&self, line: &str) {
        self.write(&Line::<Asked>::Agent(line.to_owned()));
    }

    fn write(&self, line: &Line<Asked>) {
        let mut input = self.input.borrow_mut();
        // A host that has ended is seen by its output.
        if let Some(pipe) = &mut *input
            && writeln!(pipe, "{}", line.to_text()).is_err()
        {
            *input = None;
        }
    }
}

/// A message as people read it.
fn event(from: Origin, line: String) -> String {
    let at = UnixTime::from_millis(0);
    shown(&RemoteEvent { seq: 0, at, from, message: Text::from(line) })
}

/// An answer as the agent reads it.
fn response(post: PermissionPost) -> Value {
    let PermissionPost { request_id, behavior, updated_input, message, interrupt, further, .. } =
        post;
    let mut response = serde_json::Map::new();
    for (name, value) in further {
        response.insert(name, serde_json::from_str(value.get()).unwrap_or_default());
    }
    response.insert("behavior".to_owned(), serde_json::to_value(behavior).unwrap_or_default());
    if let Some(input) = updated_input {
        let input = serde_json::from_str(input.get()).unwrap_or_default();
        response.insert("updatedInput".to_owned(), input);
    }
    if let Some(message) = message {
        response.insert("message".to_owned(), message.into());
    }
    if interrupt {
        response.insert("interrupt".to_owned(), true.into());
    }
    json!({"type": "control_response", "response": {"subtype": "success", "request_id": request_id, "response": response}})
}

fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // A terminal that is gone ends this process by its signal.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
