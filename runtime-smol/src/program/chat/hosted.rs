//! The host's process, as the process at the terminal has it.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use footbridge_cli::exit::Error;
use footbridge_core::wire::viewer::PermissionPost;
use footbridge_smol::block_on;
use serde_json::{Value, json};
use smol::future::FutureExt as _;

use super::HOST_NAME;
use super::talk::{Asked, Line, Told};

/// Lines of it that wait to be looked at.
const UNREAD: usize = 64;
/// How long its last words may take once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is heard of it.
pub(super) enum Heard {
    Line(Line<Told>),
    /// A line of its standard error.
    Error(String),
    /// It has closed its output.
    End,
}

/// The process.
pub(super) struct Hosted {
    child: Child,
    input: RefCell<Option<ChildStdin>>,
}

impl Hosted {
    /// The same command line again, as the host: in a process group of its own, so that neither Ctrl-C nor
    /// the end of the terminal reaches it.
    pub(super) fn start() -> Result<(Self, Receiver<Heard>), Error> {
        let failed =
            |error: std::io::Error| Error::local(format!("cannot start the agent's host: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg0(HOST_NAME).args(std::env::args_os().skip(1)).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let (sender, heard) = async_channel::bounded(UNREAD);
        if let Some(errors) = child.stderr.take() {
            let each = |line: &str| Some(Heard::Error(line.to_owned()));
            pass_on(errors, sender.clone(), each, None);
        }
        if let Some(output) = child.stdout.take() {
            pass_on(output, sender, |line| Line::parse(line).map(Heard::Line), Some(Heard::End));
        }
        let input = RefCell::new(child.stdin.take());
        Ok((Self { child, input }, heard))
    }

    pub(super) fn ask(&self, what: Asked) {
        self.write(&Line::Own(what));
    }

    /// A message for the agent.
    pub(super) fn pass(&self, line: &str) {
        self.write(&Line::<Asked>::Agent(line.to_owned()));
    }

    pub(super) fn interrupt(&self) {
        let request = json!({"type": "control_request", "request": {"subtype": "interrupt"}});
        self.pass(&request.to_string());
    }

    /// What was answered, as the agent reads it.
    pub(super) fn answer(&self, post: PermissionPost) -> String {
        let response = response(post).to_string();
        self.pass(&response);
        response
    }

    /// Without its input it ends in order.
    pub(super) fn close_input(&self) {
        drop(self.input.borrow_mut().take());
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

    /// Waits for its end. It has said itself what has failed, and with it this program ends.
    pub(super) fn conclude(mut self, heard: &Receiver<Heard>) -> Result<(), Error> {
        self.close_input();
        let status = self.child.wait();
        let status = status
            .map_err(|error| Error::local(format!("cannot wait for the agent's host: {error}")))?;
        // What it has said may still be on its way.
        let rest = async {
            while let Ok(heard) = heard.recv().await {
                if let Heard::Error(line) = heard {
                    eprintln!("{line}");
                }
            }
        };
        block_on(rest.or(async {
            async_io::Timer::after(LAST_WORDS).await;
        }));
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => std::process::exit(code),
            None => Err(Error::local("the agent's host was killed")),
        }
    }
}

/// Reads lines on a thread of its own, which may wait for ever.
fn pass_on(
    from: impl Read + Send + 'static,
    to: Sender<Heard>,
    each: impl Fn(&str) -> Option<Heard> + Send + 'static,
    end: Option<Heard>,
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
        if let Some(end) = end {
            let _ = to.send_blocking(end);
        }
    });
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
