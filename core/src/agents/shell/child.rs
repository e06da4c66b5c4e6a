//! One running command: starting it, reading its output, ending it.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::cx::{Cx, Notice, Purpose, Timer};
use super::output::{Decoder, Kept};
use super::printer::Printer;
use crate::base::id::OpId;
use crate::base::limits::{COMMAND_ABANDON_AFTER, COMMAND_GRACE, COMMAND_LINGER};
use crate::base::time::Instant;
use crate::contract::action::{Action, ProcessSpec, Signal};
use crate::contract::event::{ExitStatus, IoError};

/// The shell that runs commands.
const SHELL: &str = "/bin/sh";

/// Runs the command line `$1` with an empty stdin, and with stderr merged into stdout in the order
/// in which it writes them.
///
/// Beside it a watcher waits for the end of the pipe that the agent holds. That comes when the
/// agent lets go of the command, and also when the agent itself is killed: then the whole process
/// group goes, with whatever the command left behind. Being one of the group, the watcher cannot
/// hit another group that was given the same number later.
const WRAPPER: &str = r#"exec 3<&0 </dev/null
{ trap '' TERM INT HUP; read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
exec /bin/sh -c "$1" 2>&1 3<&-"#;

/// Where and how commands run.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) directory: String,
    pub(super) env_remove: Vec<String>,
}

/// A running command.
#[derive(Debug)]
pub(super) struct Child {
    op: OpId,
    /// Whether reading its output is paused because the reader is behind.
    is_paused: bool,
    started: Instant,
    decoder: Decoder,
    kept: Kept,
    /// Whether any of its output was shown while it was running.
    is_streaming: bool,
    exit: Option<ExitStatus>,
    is_output_ended: bool,
}

/// How a command ended.
pub(super) struct Ended {
    pub(super) output: String,
    /// `None`: it did not end even though it was killed.
    pub(super) exit: Option<ExitStatus>,
    pub(super) millis: u64,
}

impl Child {
    pub(super) fn start(cx: &mut Cx, place: &Place, command: &str) -> Self {
        let started = cx.fx.now().mono;
        let command = ProcessSpec {
            program: SHELL.to_owned(),
            args: ["-c", WRAPPER, "sh", command].map(ToOwned::to_owned).to_vec(),
            env: Vec::new(),
            env_remove: place.env_remove.clone(),
            directory: Some(place.directory.clone()),
        };
        let op = cx.fx.start(Purpose::Command, |op| Action::Spawn { op, command });
        Self {
            op,
            is_paused: false,
            started,
            decoder: Decoder::default(),
            kept: Kept::default(),
            is_streaming: false,
            exit: None,
            is_output_ended: false,
        }
    }

    /// It never ran. Returns why, for people.
    pub(super) fn not_started(&self, cx: &mut Cx, place: &Place, failure: &IoError) -> String {
        cx.fx.finish(self.op);
        clear_timers(cx);
        format!("{SHELL} could not be started in {}: {failure}", place.directory)
    }

    /// It has printed something.
    pub(super) fn printed(&mut self, cx: &mut Cx, printer: &mut Printer, data: &[u8]) {
        let text = self.decoder.push(data);
        self.show(cx, printer, &text);
    }

    fn show(&mut self, cx: &mut Cx, printer: &mut Printer, text: &str) {
        if text.is_empty() {
            return;
        }
        self.kept.push(text);
        if !core::mem::replace(&mut self.is_streaming, true) {
            printer.print_stream_start(cx);
        }
        printer.print_stream_text(cx, text);
    }

    /// Returns whether that ends it.
    pub(super) const fn output_ended(&mut self) -> bool {
        self.is_output_ended = true;
        self.exit.is_some()
    }

    /// The shell has ended; processes it left behind may still hold the output open. Returns
    /// whether that ends the command.
    pub(super) fn exited(&mut self, cx: &mut Cx, status: ExitStatus) -> bool {
        self.exit = Some(status);
        if !self.is_output_ended {
            clear_timers(cx);
            cx.set_timer(Timer::LetGo, COMMAND_LINGER);
        }
        self.is_output_ended
    }

    pub(super) const fn has_exited(&self) -> bool {
        self.exit.is_some()
    }

    /// Asks it to end, and makes sure that it does.
    pub(super) fn terminate(&self, cx: &mut Cx) {
        cx.fx.act(self.op, |op| Action::Signal { op, signal: Signal::Terminate });
        cx.set_timer(Timer::Kill, COMMAND_GRACE);
    }

    pub(super) fn kill(&self, cx: &mut Cx) {
        if self.has_exited() || cx.timers.is_set(&Timer::LetGo) {
            // It was already killed: asking again does not prolong the wait.
            return;
        }
        cx.fx.act(self.op, |op| Action::Signal { op, signal: Signal::Kill });
        cx.timers.clear(&Timer::Kill);
        cx.set_timer(Timer::LetGo, COMMAND_ABANDON_AFTER);
    }

    /// Whatever remains of it is no longer waited for, unless its output is waiting for the reader.
    /// Returns whether that ends it.
    pub(super) fn let_go(&self, cx: &mut Cx) -> bool {
        if self.has_exited() && self.is_paused {
            cx.set_timer(Timer::LetGo, COMMAND_LINGER);
            return false;
        }
        if !self.has_exited() {
            cx.fx.notify(Notice::Abandoned);
        }
        true
    }

    /// Stops reading its output while the host is behind.
    pub(super) fn balance(&mut self, cx: &mut Cx, printer: &Printer) {
        if let Some(pause) = printer.stdio.command_should_pause(self.is_paused) {
            self.is_paused = pause;
            cx.fx.act(
                self.op,
                |op| {
                    if pause { Action::Pause { op } } else { Action::Resume { op } }
                },
            );
        }
    }

    /// Releases it, which ends whatever it left behind.
    pub(super) fn end(&mut self, cx: &mut Cx, printer: &mut Printer) -> Ended {
        clear_timers(cx);
        let rest = self.decoder.finish();
        self.show(cx, printer, rest);
        cx.fx.cancel(self.op);
        if self.is_streaming {
            printer.print_stream_stop(cx);
        }
        let output = core::mem::take(&mut self.kept).into_text();
        Ended { output, exit: self.exit, millis: millis_since(cx, self.started) }
    }
}

pub(super) fn millis_since(cx: &Cx, start: Instant) -> u64 {
    let elapsed = cx.fx.now().mono.saturating_since(start);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

fn clear_timers(cx: &mut Cx) {
    cx.timers.clear(&Timer::Kill);
    cx.timers.clear(&Timer::LetGo);
}

impl Ended {
    /// The content of the tool's result, and whether it is an error.
    pub(super) fn tool_result(&mut self) -> (String, bool) {
        let output = core::mem::take(&mut self.output);
        match (self.is_error(), output.is_empty()) {
            (true, _) => (with_note(output, &self.how()), true),
            (false, true) => ("(no output)".to_owned(), false),
            (false, false) => (output, false),
        }
    }

    /// The same, if it was ended from outside.
    pub(super) fn interrupted(self) -> String {
        with_note(self.output, "Interrupted")
    }

    /// How it ended, in a few words.
    pub(super) fn summary(&self) -> String {
        let time = format!("{}.{} s", self.millis / 1000, self.millis % 1000 / 100);
        match self.is_error() {
            true => format!("Failed with {} after {time}.", self.how()),
            false => format!("Done in {time}."),
        }
    }

    fn is_error(&self) -> bool {
        !self.exit.is_some_and(ExitStatus::is_success)
    }

    fn how(&self) -> String {
        self.exit.map_or_else(|| "did not end".to_owned(), |exit| format!("{exit}"))
    }
}

/// The output, followed by a remark about it on a line of its own.
fn with_note(mut output: String, note: &str) -> String {
    if !output.is_empty() && !output.ends_with('\n') {
        output.push('\n');
    }
    output.push('[');
    output.push_str(note);
    output.push(']');
    output
}
